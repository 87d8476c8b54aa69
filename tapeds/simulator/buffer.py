# SPDX-License-Identifier: LGPL-2.1-or-later
"""The drive's buffer: what the host was told is written, and is not on the medium yet.

A ring in the mapped file.  Before each object stands its head: kind, length.  The buffer empties
as late as a drive may: when the tape runs, when there is no room, or when it must.
"""

from __future__ import annotations

from .cartridge import Cartridge
from .fields import number
from .generation import Generation
from .memory import Memory
from .sense import WRITE_ERROR, Refusal, Sense
from .speed import Matcher
from .state import HARD_ERROR, WRITE_FAILURE, Failing, State

_HEAD = 16
_WASTE = 2
"""The kind of what fills the end of the ring when an object does not fit there."""


class Buffer:
    """The buffer of the drive in ``memory``."""

    def __init__(self, memory: Memory, generation: Generation) -> None:
        self._memory = memory
        self.size = memory.ring_bytes
        self.matcher = Matcher(generation.speeds, self.size)
        self._left = False

    def settle(self, state: State, cartridge: Cartridge) -> None:
        """Write what the tape has had time for."""
        if state.ring.objects:
            self._drain(state, cartridge, self.matcher.advance(state.motion, state.time, state.ring.bytes))

    def add(self, state: State, cartridge: Cartridge, kind: int, data: memoryview) -> float:
        """Take one object; the seconds until there was room for it.

        Raises Refusal, with a deferred error, if room cannot be made.
        """
        seconds = self._make_room(state, cartridge, _HEAD + len(data))
        if self._left:
            # The new object may overwrite one that the stored state still counts as buffered.
            self._memory.checkpoint()
            self._left = False
        ring = state.ring
        if ring.head + _HEAD + len(data) > self.size:
            self._waste(state)
        at = ring.head
        self._memory.ring[at : at + _HEAD] = kind.to_bytes(8, "big") + len(data).to_bytes(8, "big")
        self._memory.ring[at + _HEAD : at + _HEAD + len(data)] = data
        if not ring.objects:
            ring.first = state.position
        ring.head = (at + _HEAD + len(data)) % self.size
        ring.space += _HEAD + len(data)
        ring.bytes += len(data)
        ring.objects += 1
        self.matcher.accept(state.motion, len(data))
        return seconds

    def flush(self, state: State, cartridge: Cartridge) -> float:
        """Write everything; the seconds that it takes.

        Raises Refusal, with a deferred error, if something cannot be written; once it was told
        it is no longer deferred.
        """
        if not state.ring.objects:
            return 0.0
        seconds = self.matcher.flush(state.motion, state.time, state.ring.bytes)
        self._drain(state, cartridge, state.ring.bytes)
        if state.ring.objects:
            raise self.failure(state, cartridge)
        return seconds

    def failure(self, state: State, cartridge: Cartridge) -> Refusal:
        """What is said of the object that cannot be written; all before it are on the medium by then."""
        self._drain(state, cartridge, state.ring.bytes)
        failing = state.failing
        if failing is None:
            raise AssertionError("the buffer is stuck without a reason")
        if deferred := not failing.told:
            failing.told = True
            state.mount.write_errors += 1
            state.raise_alert(HARD_ERROR)
            state.raise_alert(WRITE_FAILURE)
        return Refusal(Sense(failing.key, failing.asc, failing.ascq, deferred=deferred))

    def lose(self, state: State) -> None:
        """Forget what is in the buffer."""
        ring = state.ring
        ring.head = ring.tail = ring.objects = ring.bytes = ring.space = 0
        state.failing = None

    def _make_room(self, state: State, cartridge: Cartridge, needed: int) -> float:
        if needed + _HEAD > self.size:
            raise ValueError("a block is longer than the drive's buffer")
        ring, seconds = state.ring, 0.0
        while True:
            waste = self.size - ring.head if ring.head + needed > self.size else 0
            if ring.space + needed + waste <= self.size or not ring.objects:
                break
            length = max(1, self._length(ring.tail))
            seconds += self.matcher.room(state.motion, state.time + seconds, length, ring.bytes)
            before = ring.objects
            self._drain(state, cartridge, length)
            if ring.objects == before:
                raise self.failure(state, cartridge)
        if not ring.objects:
            ring.head = ring.tail = ring.space = 0
        return seconds

    def _waste(self, state: State) -> None:
        ring = state.ring
        left = self.size - ring.head
        if left >= _HEAD:
            self._memory.ring[ring.head : ring.head + 8] = _WASTE.to_bytes(8, "big")
        ring.head = 0
        ring.space += left

    def _length(self, at: int) -> int:
        at = self._skip(at)
        return number(self._memory.ring, at + 8, 8)

    def _skip(self, at: int) -> int:
        """Where the object at or behind ``at`` begins."""
        if self.size - at < _HEAD or number(self._memory.ring, at, 8) == _WASTE:
            return 0
        return at

    def _drain(self, state: State, cartridge: Cartridge, budget: int) -> None:
        """Write whole objects of at most ``budget`` bytes, up to the one that cannot be written."""
        ring = state.ring
        if ring.objects and not state.mount.dirty:
            self._begin_writing(state, cartridge)
        while ring.objects and not (state.failing and state.failing.object <= ring.first):
            at = self._skip(ring.tail)
            kind, length = number(self._memory.ring, at, 8), number(self._memory.ring, at + 8, 8)
            if length > budget:
                break
            try:
                with self._memory.ring[at + _HEAD : at + _HEAD + length] as data:
                    cartridge.tape.put(ring.first, kind, data)
            except OSError:
                # The disk behind the tape is full or broken: to a host, a medium that cannot be written.
                key, asc, ascq = WRITE_ERROR.key, WRITE_ERROR.asc, WRITE_ERROR.ascq
                state.failing = Failing(ring.first, state.commands, key, asc, ascq)
                break
            budget -= length
            ring.space -= (_HEAD + length) + ((self.size - ring.tail) if at != ring.tail else 0)
            ring.tail = (at + _HEAD + length) % self.size
            ring.bytes -= length
            ring.objects -= 1
            ring.first += 1
            self.matcher.took(state.motion, length)
            state.mount.written += length
            state.total_written += length
            self._left = True

    @staticmethod
    def _begin_writing(state: State, cartridge: Cartridge) -> None:
        # The chip says it before the tape changes: no change goes without a new reference, and
        # a drive that loses its power now leaves no mark behind the data.
        cartridge.chip.change_reference += 1
        cartridge.chip.end_known = False
        cartridge.save()
        state.mount.dirty = True
