# SPDX-License-Identifier: LGPL-2.1-or-later
"""Blocks going into a tape file, in an order that a loss of power cannot turn round.

What a reader takes for the end of a file is its last block, and what makes a block the last one is
the length of the file.  So the newest block always lacks its last page on disk: the page is kept
in memory and goes out at the head of the next block's write.  When the file is to end, all the
rest is synchronised first; only then does the page make the length whole.  Hence no power loss
leaves an end in front of which something is missing: the file is cut to whole blocks when it is
read again, and ends without an end marker.

That costs one copy of a page per block and one ``fdatasync`` per file of more than one block.
Looking for end markers in the data would cost less and tie the drive to what the blocks mean;
holding back whole blocks would copy them.
"""

from __future__ import annotations

from tapeds.filesystem import FileSystem, pwrite_all
from tapeds.vtape.layout import BLOCK

_PAGE = 4096
_BODY = BLOCK - _PAGE


class FileWriter:
    """Writes behind the blocks that a tape file has; methods raise OSError.

    After a failure it takes nothing more: every method raises the failure again, and the file
    keeps the whole blocks that it has.
    """

    def __init__(self, fs: FileSystem, fd: int, blocks: int) -> None:
        """Write to ``fd``, whose ``blocks`` blocks are durable and followed by nothing."""
        self.blocks = blocks
        """How many blocks the file has; one that has failed does not count."""
        self.durable = True
        """Whether all of them are durable."""
        self.doubtful = False
        """Whether blocks are in the file of which nothing can prove any more that they are on disk."""
        self._fs = fs
        self._fd = fd
        self._held = b""                       # the last page of the newest block
        self._failure: OSError | None = None

    @property
    def failed(self) -> bool:
        """Whether a method has failed."""
        return self._failure is not None

    def write(self, block: memoryview) -> None:
        """Append one block of `BLOCK` bytes."""
        if self._failure is not None:
            raise OSError(*self._failure.args)
        held = self._held
        at = self.blocks * BLOCK - len(held)
        buffers = (held, block[:_BODY])
        try:
            done = self._fs.pwritev(self._fd, buffers, at)
            if done != len(held) + _BODY:
                pwrite_all(self._fs, self._fd, b"".join(buffers)[done:], at + done)
        except OSError as exc:
            self._keep_what_fits(at)
            self._failure = exc
            raise
        self._held = bytes(block[_BODY:])
        self.durable = False
        self.blocks += 1

    def settle(self) -> None:
        """Let the newest block become the end of the file: behind everything else, not yet durably."""
        if self._failure is not None:
            raise OSError(*self._failure.args)
        try:
            self._release_held()
        except OSError as exc:
            self._forget_held()
            self._failure = exc
            raise

    def sync(self) -> None:
        """Make every block durable."""
        self.settle()
        if self.durable:
            return
        try:
            self._fs.fdatasync(self._fd)
        except OSError as exc:
            # A second fdatasync would succeed and prove nothing: the file must not keep this end.
            self._drop_last_block()
            self._failure = exc
            raise
        self.durable = True

    def _release_held(self) -> None:
        if self._held:
            self._fs.fdatasync(self._fd)
            pwrite_all(self._fs, self._fd, self._held, self.blocks * BLOCK - len(self._held))
            self._held = b""

    def _keep_what_fits(self, end: int) -> None:
        """After a failed write: the block before stays on tape if the disk still takes its last page."""
        try:
            self._fs.ftruncate(self._fd, end)
            self._release_held()
        except OSError:
            self._forget_held()

    def _forget_held(self) -> None:
        """The newest block cannot be completed: it is not on tape."""
        if self._held:
            self._held = b""
            self._drop_last_block()

    def _drop_last_block(self) -> None:
        self.blocks -= 1
        try:
            self._fs.ftruncate(self._fd, self.blocks * BLOCK)
        except OSError:
            self.doubtful = True               # what is torn of it is cut off when the tape is opened next
