# SPDX-License-Identifier: LGPL-2.1-or-later
"""The ring of blocks between a caller and a drive.

One mapping, allocated once, serves every transfer of a drive.  The bytes of a caller go straight
into the payload areas of its blocks and from there to the drive, and the other way round: nothing
is copied here.  The block that was used last is used again first, so that a fast drive works in
the processor's cache and touches only a few blocks of a large ring.
"""

from __future__ import annotations

import mmap
from collections import deque
from dataclasses import dataclass

from tapeds.media.header import BLOCK, HEADER, PAYLOAD

QUICK_SECONDS = 0.002        # a block in less than this is faster than any tape

_FEWEST = 4                  # blocks of a ring, however small it is asked for
_VECTOR = 5                  # payload areas per call: a full pipe of 1 MiB


@dataclass(frozen=True)
class Thresholds:
    """When a drive starts and stops, in blocks: values of the drive's profile."""

    start: int = 1               # at hand before the first is written
    refill: int = 1              # at hand (reading: free) before the drive goes on after it had to stop
    ahead: int = 1               # at hand that are enough while the drive is quick: they stay in the cache


class Ring:
    """``buffer_bytes`` of page-aligned memory in blocks of 256 KiB."""

    def __init__(self, buffer_bytes: int, thresholds: Thresholds | None = None) -> None:
        self.thresholds = thresholds or Thresholds()
        count = max(_FEWEST, buffer_bytes // BLOCK)
        # A private mapping: its pages are taken when they are first used.
        memory = memoryview(mmap.mmap(-1, count * BLOCK, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
        self.blocks = [memory[index * BLOCK : (index + 1) * BLOCK] for index in range(count)]
        self.payloads = [block[HEADER:] for block in self.blocks]

    def free(self) -> list[int]:
        """The numbers of all blocks; the last is used first."""
        return list(range(len(self.blocks) - 1, -1, -1))


class Inflow:
    """Bytes of a caller on their way into blocks.  Begins with ``head``, which is at most one payload."""

    def __init__(self, ring: Ring, head: bytes = b"") -> None:
        self._ring = ring
        self._free = ring.free()
        self._full: deque[int] = deque()
        self._current: int | None = None         # the block being filled, while something is in it
        self._fill = 0                           # payload bytes in it
        self.capacity = len(self._free) - 1      # full blocks, beside the one being filled
        ring.payloads[self._filling()][: len(head)] = head
        self.took(len(head))

    @property
    def full(self) -> int:
        """How many full blocks are at hand."""
        return len(self._full)

    @property
    def at_hand(self) -> int:
        """How many bytes are at hand."""
        return len(self._full) * PAYLOAD + self._fill

    def room(self, limit: int | None = None) -> list[memoryview]:
        """Where the next bytes go, at most ``limit`` of them; empty when the ring is full."""
        more = self.capacity - len(self._full)
        if more <= 0:
            return []
        payloads = self._ring.payloads
        areas = [payloads[self._filling()][self._fill :]]
        areas += [payloads[index] for index in self._free[-1 : -min(more, _VECTOR) : -1]]
        return areas if limit is None else _shorten(areas, limit)

    def took(self, count: int) -> None:
        """``count`` bytes have been put into `room`."""
        self._fill += count
        while self._fill >= PAYLOAD:
            self._fill -= PAYLOAD
            self._full.append(self._filling())
            self._current = None
        if self._fill:
            self._filling()                      # what follows a full block stands in the next free one

    def _filling(self) -> int:
        if self._current is None:
            self._current = self._free.pop()
        return self._current

    def cut(self, count: int) -> None:
        """Forget the last ``count`` bytes at hand."""
        while count > self._fill:
            count -= self._fill
            if self._current is not None:
                self._free.append(self._current)
            self._current = self._full.pop()
            self._fill = PAYLOAD
        self._fill -= count

    def first(self) -> tuple[memoryview, int]:
        """The block that goes to the drive next, and how many payload bytes are in it."""
        if self._full:
            return self._ring.blocks[self._full[0]], PAYLOAD
        return self._ring.blocks[self._filling()], self._fill

    def drop(self) -> None:
        """The first full block has been written."""
        self._free.append(self._full.popleft())


def _shorten(areas: list[memoryview], limit: int) -> list[memoryview]:
    """The first ``limit`` bytes of ``areas``."""
    kept = []
    for area in areas:
        if limit <= 0:
            break
        kept.append(area[:limit])
        limit -= len(area)
    return kept


class Outflow:
    """Payload read from tape on its way to a caller."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        self._free = ring.free()
        self._pending: deque[tuple[int, memoryview]] = deque()

    @property
    def free(self) -> int:
        """How many blocks can still be read."""
        return len(self._free)

    @property
    def pending(self) -> int:
        """How many blocks wait for the caller."""
        return len(self._pending)

    def block(self) -> memoryview:
        """Where the next block goes."""
        return self._ring.blocks[self._free[-1]]

    def add(self, start: int, end: int) -> None:
        """`block` has been read; its payload bytes from ``start`` to before ``end`` are for the caller."""
        if end > start:
            index = self._free.pop()
            self._pending.append((index, self._ring.payloads[index][start:end]))

    def first(self) -> list[memoryview]:
        """What the caller gets next."""
        return [self._pending[index][1] for index in range(min(_VECTOR, len(self._pending)))]

    def sent(self, count: int) -> None:
        """The caller has taken ``count`` bytes."""
        while count:
            index, area = self._pending.popleft()
            if count < len(area):
                self._pending.appendleft((index, area[count:]))
                return
            count -= len(area)
            self._free.append(index)
