# SPDX-License-Identifier: LGPL-2.1-or-later
"""The mapped file in which a drive lives: its state and its buffer.

A process that is killed takes nothing with it: what was stored before belongs to the kernel.
The state has two places; one byte says which of them counts, and is stored last.  So a command
has happened or it has not, wherever the process was killed.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .fields import number
from .state import State

MAGIC = b"SIMDRV\x00\x01"
_SLOT = 256 * 1024
_HEADER = 4096
_RING = _HEADER + 2 * _SLOT
_ACTIVE, _SEQUENCE, _SIZE = 8, 16, 24


class Damaged(Exception):
    """The mapped file is not one, or belongs to another drive."""


class Memory:
    """The file ``drive`` in ``directory``, mapped; made with ``fresh`` where there is none.

    ``ring_bytes`` is the size of the drive's buffer; an existing file keeps its own.
    """

    def __init__(self, directory: Path, fresh: State, ring_bytes: int) -> None:
        self.path = directory / "drive"
        self._lock = os.open(directory / "drive.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
        self._locked = False
        self._seen = -1
        self.readings = 0
        """How often the state was read because another process had changed it."""
        with self._hold():
            if not self.path.exists():
                self._create(fresh, ring_bytes)
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
            self._map = mmap.mmap(self._descriptor, 0)
            if self._map[:8] != MAGIC:
                raise Damaged(f"{self.path} is not the memory of a simulated drive")
            self.ring_bytes = number(self._map[_SIZE : _SIZE + 8], 0, 8)
            self.ring = memoryview(self._map)[_RING : _RING + self.ring_bytes]
            self._read()

    def _create(self, fresh: State, ring_bytes: int) -> None:
        # Complete before it has its name.
        new = self.path.with_suffix(".new")
        with open(new, "wb") as file:
            # All of it, now: a hole that the disk cannot fill would kill who writes into the map.
            os.posix_fallocate(file.fileno(), 0, _RING + ring_bytes)
            file.write(MAGIC + bytes(16) + ring_bytes.to_bytes(8, "big"))
            file.seek(_HEADER)
            file.write(_packed(fresh.dump()))
        os.replace(new, self.path)

    def close(self) -> None:
        """Let go of the file; the drive lives on in it."""
        self.ring.release()
        self._map.close()
        os.close(self._descriptor)
        os.close(self._lock)

    @contextmanager
    def _hold(self) -> Iterator[None]:
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def _read(self) -> None:
        at = _HEADER + _SLOT * self._map[_ACTIVE]
        length, check = number(self._map[at : at + 4], 0, 4), number(self._map[at + 4 : at + 8], 0, 4)
        data = self._map[at + 8 : at + 8 + length]
        if zlib.crc32(data) != check:
            raise Damaged(f"{self.path} is damaged")
        self.state = State.load(data)
        self._seen = number(self._map[_SEQUENCE : _SEQUENCE + 8], 0, 8)
        self.readings += 1

    @contextmanager
    def locked(self) -> Iterator[State]:
        """The drive's state, for this process alone; stored at the end unless something is raised."""
        with self._hold():
            if number(self._map[_SEQUENCE : _SEQUENCE + 8], 0, 8) != self._seen:
                self._read()
            try:
                yield self.state
            except BaseException:
                self._seen = -1  # what was half done is forgotten
                raise
            self._store()

    def checkpoint(self) -> None:
        """Store the state as it is, inside ``locked``: what follows may overwrite what it spoke of."""
        self._store()

    def _store(self) -> None:
        data = _packed(self.state.dump())
        if len(data) > _SLOT:
            raise Damaged(f"the state of {self.path} has outgrown its place")
        other = 1 - self._map[_ACTIVE]
        at = _HEADER + _SLOT * other
        self._map[at : at + len(data)] = data
        # Another process that sees the new number and the old byte reads the old state, which counts.
        self._seen = number(self._map[_SEQUENCE : _SEQUENCE + 8], 0, 8) + 1
        self._map[_SEQUENCE : _SEQUENCE + 8] = self._seen.to_bytes(8, "big")
        self._map[_ACTIVE] = other


def _packed(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + zlib.crc32(data).to_bytes(4, "big") + data
