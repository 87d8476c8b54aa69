# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tape in a cartridge: blocks of any length and filemarks, in two files.

``NAME.tape`` holds the data of all blocks, one behind the other.  ``NAME.index`` holds one entry
for every logical object, behind a head that says how many there are: what lies behind that is
old and cannot be read.  An object is there when its number is counted, which is stored last.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

from .fields import number

BLOCK, FILEMARK = 0, 1
HEAD = b"SIMTAPE\x01"
_HEAD_SIZE, _ENTRY_SIZE = 16, 32
OBJECT_OVERHEAD = 4
"""Bytes on tape that an object takes beside its data."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A logical object: what it is, where its data begin, and how many filemarks stand before it."""

    kind: int
    length: int
    offset: int
    file: int

    def pack(self) -> bytes:
        """As it stands in the index."""
        return b"".join(
            value.to_bytes(8, "big") for value in (self.kind, self.length, self.offset, self.file)
        )

    @classmethod
    def unpack(cls, data: bytes) -> Entry:
        """What ``pack`` gave."""
        return cls(*(number(data, at, 8) for at in range(0, _ENTRY_SIZE, 8)))

    @property
    def files_behind(self) -> int:
        """How many filemarks stand before the place behind it."""
        return self.file + (self.kind == FILEMARK)


class Tape:
    """An open tape.  Objects are numbered from 0."""

    def __init__(self, stem: Path) -> None:
        self._data = os.open(stem.with_suffix(".tape"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
        self._index = os.open(stem.with_suffix(".index"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
        if os.pread(self._index, len(HEAD), 0) != HEAD:
            os.pwrite(self._index, HEAD + bytes(8), 0)

    def close(self) -> None:
        """Close both files."""
        os.close(self._data)
        os.close(self._index)

    @property
    def count(self) -> int:
        """How many objects stand on it; the number of the place behind the last one."""
        return number(os.pread(self._index, 8, 8), 0, 8)

    def entry(self, at: int) -> Entry:
        """Object ``at``, which must be there."""
        return Entry.unpack(os.pread(self._index, _ENTRY_SIZE, _HEAD_SIZE + _ENTRY_SIZE * at))

    def place(self, at: int) -> tuple[int, int]:
        """Filemarks and bytes of data before object ``at``, which may be the end of data."""
        if at == 0:
            return 0, 0
        before = self.entry(at - 1)
        return before.files_behind, before.offset + before.length

    def read(self, entry: Entry, limit: int) -> bytes:
        """At most ``limit`` bytes of a block."""
        return os.pread(self._data, min(entry.length, limit), entry.offset)

    def put(self, at: int, kind: int, data: bytes | memoryview) -> None:
        """Write object ``at``; everything behind it is gone.  To write it again changes nothing."""
        if at != self.count:
            self.cut(at)
        file, offset = self.place(at)
        if data:
            os.pwrite(self._data, data, offset)
        entry = Entry(kind, len(data), offset, file)
        os.pwrite(self._index, entry.pack(), _HEAD_SIZE + _ENTRY_SIZE * at)
        os.pwrite(self._index, (at + 1).to_bytes(8, "big"), 8)

    def cut(self, at: int) -> None:
        """Make ``at`` the end of data."""
        count = min(at, self.count)
        os.pwrite(self._index, count.to_bytes(8, "big"), 8)
        os.ftruncate(self._index, _HEAD_SIZE + _ENTRY_SIZE * count)
        os.ftruncate(self._data, self.place(count)[1])

    def find(self, filemarks: int) -> int | None:
        """The first object that has ``filemarks`` filemarks before it; None if there are fewer on tape."""
        at = bisect_left(_FilesBehind(self), filemarks) if filemarks else -1
        return at + 1 if at < self.count else None


class _FilesBehind(Sequence[int]):
    """For each object, how many filemarks stand before the place behind it; never falls."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    def __len__(self) -> int:
        return self._tape.count

    @overload
    def __getitem__(self, at: int) -> int: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[int]: ...
    def __getitem__(self, at: int | slice) -> int | Sequence[int]:
        if isinstance(at, slice):
            return [self[n] for n in range(*at.indices(len(self)))]
        return self._tape.entry(at).files_behind
