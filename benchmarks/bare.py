# SPDX-License-Identifier: LGPL-2.1-or-later
"""The bare pump: nothing but ``readv`` and ``writev`` of 256 KiB blocks between standard input and output."""

import fcntl
import os

BLOCK = 256 * 1024
BLOCKS = 4


def main() -> None:
    """Copy to the end of the input, in whole blocks but for the last."""
    for fd in (0, 1):
        try:
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, BLOCKS * BLOCK)
        except OSError:
            pass  # this end is a file
    buffers = [memoryview(bytearray(BLOCK)) for _ in range(BLOCKS)]
    while True:
        filled = 0
        while filled < BLOCKS * BLOCK:
            first, offset = divmod(filled, BLOCK)
            got = os.readv(0, [buffers[first][offset:], *buffers[first + 1 :]])
            if not got:
                break
            filled += got
        done = 0
        while done < filled:
            first, offset = divmod(done, BLOCK)
            last, rest = divmod(filled, BLOCK)
            pieces = [buffers[first][offset:], *buffers[first + 1 :]]
            pieces = pieces[: last - first] + (
                [buffers[last][(offset if last == first else 0) : rest]] if rest else []
            )
            done += os.writev(1, pieces)
        if filled < BLOCKS * BLOCK:
            return


if __name__ == "__main__":
    main()
