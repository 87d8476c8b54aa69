# SPDX-License-Identifier: LGPL-2.1-or-later
"""The two ends of a benchmark's pipe: ``endless.py produce BYTES >pipe`` and ``endless.py consume <pipe``."""

import os
import sys

MIB = 1 << 20


def produce(count: int) -> None:
    """Write ``count`` bytes to standard output, 1 MiB a call."""
    block = memoryview(bytes(range(256)) * (MIB // 256))
    while count:
        piece = block[: min(count, MIB)]
        while piece:
            written = os.write(1, piece)
            piece = piece[written:]
            count -= written


def consume() -> int:
    """Read standard input to its end, 1 MiB a call; the number of bytes."""
    buffer, total = bytearray(MIB), 0
    while got := os.readv(0, [buffer]):
        total += got
    return total


if __name__ == "__main__":
    if sys.argv[1] == "produce":
        produce(int(sys.argv[2]))
    else:
        sys.stderr.write(f"{consume()}\n")
