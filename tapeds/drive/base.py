# SPDX-License-Identifier: LGPL-2.1-or-later
"""The door `Drive`: the little that every tape drive can do.

Files are counted from 0 at the beginning of the tape, blocks from 0 at the beginning of their
file.  Tape events are values (`Mark`), trouble is an exception from `tapeds.errors`.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Protocol


class Mark(enum.Enum):
    """What a read or a write may meet that is not trouble."""

    FILEMARK = "filemark"
    END_OF_DATA = "end-of-data"
    EARLY_WARNING = "early-warning"


@dataclass(frozen=True)
class Position:
    """Where the head stands: in which file, before which of its blocks."""

    file: int
    block: int


@dataclass(frozen=True)
class DriveStatus:
    """What a drive can say of itself without moving tape.  ``None``: not known or not reported."""

    loaded: bool
    label_text: str | None = None          # of the cartridge, where the drive itself knows it
    position: Position | None = None
    write_protected: bool = False
    worm: bool = False
    capacity_bytes: int | None = None
    remaining_bytes: int | None = None
    block_size: int = 0                     # 0: variable


class Drive(Protocol):
    """One open drive.  Blocking, one caller at a time.

    Every method raises NoMedia when the drive is empty, DeviceGone when the device has vanished,
    Io when the operating system fails; what else is raised stands with the method.
    """

    vendor: str
    model: str
    revision: str
    serial: str
    early_warning_reserve: int
    """How many bytes may still be taken from a caller after early warning; 0: none."""

    def status(self) -> DriveStatus:
        """What the drive knows without moving tape; never raises NoMedia."""

    def position(self) -> Position:
        """Where the head stands."""

    def rewind(self) -> None:
        """Go to the beginning of the tape: file 0, block 0."""

    def locate_file(self, file: int) -> None:
        """Go to the first block of ``file``; one past the last file is end of data.

        Raises EndOfData when the tape has fewer files.
        """

    def locate_end(self) -> None:
        """Go to end of data, behind the last file."""

    def space_filemarks(self, count: int) -> None:
        """Go over ``count`` filemarks, backwards if negative.

        The head is then behind a filemark or at file 0.  Raises EndOfData beyond either end.
        """

    def read_block(self, buffer: memoryview) -> int | Mark:
        """Read the next block into ``buffer`` and return its length in bytes.

        `Mark.FILEMARK`: the file has ended, the head is now behind its filemark, at the next file.
        `Mark.END_OF_DATA`: nothing has been written here.
        Raises BlockTooLarge for a block longer than ``buffer``, MediumError.
        """

    def read_last_block(self, file: int, buffer: memoryview) -> tuple[int, int]:
        """Read the last block of ``file`` into ``buffer``; return its length and its index in the file.

        The length is 0 for a file without a single block; then the index is 0 too.  The head is
        afterwards behind the filemark of ``file``, at the next file.
        Raises EndOfData when the tape has fewer files, BlockTooLarge, MediumError.
        """

    def write_block(self, block: memoryview) -> Mark | None:
        """Write one block at the head; whatever lay behind it is lost from the tape.

        Blocks reach the medium in the order of the calls, as on a real tape: the last block of a
        file is never durable while one before it is not.  Returns `Mark.EARLY_WARNING` for every
        block from the one on that crosses it; the block itself has been written.
        Raises EndOfMedia (this block is not on tape), WriteProtected, MediumError.
        """

    def write_filemarks(self, count: int, *, immediate: bool = False) -> None:
        """End the file being written.  Unless ``immediate``, everything written so far is durable on return.

        ``count`` 0 writes no filemark and only makes durable.
        """

    def distrust(self, file: int) -> None:
        """Whoever wrote ``file`` and what is behind it was interrupted: nothing of it counts as durable yet.

        The next synchronising filemark makes it so.
        """

    def format(self, *, fast: bool) -> None:
        """Make the tape empty; the head is then at the beginning."""

    def load(self) -> None:
        """Thread the cartridge and go to the beginning of the tape."""

    def unload(self) -> None:
        """Put out the cartridge; an empty drive stays empty."""

    def close(self) -> None:
        """Give the device back; the drive cannot be used any more."""
