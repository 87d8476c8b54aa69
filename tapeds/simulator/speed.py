# SPDX-License-Identifier: LGPL-2.1-or-later
"""How fast the tape moves, and when it has to stop.

While data are written the tape runs at one of a few speeds and the buffer empties.  A host that
delivers less than the lowest speed empties it: the tape stops, runs back and waits until the
buffer is full enough for the next run.  Every stop is counted.  Ref: [IBM-LTO] speed matching.
"""

from __future__ import annotations

from collections.abc import Sequence

from .generation import MEGABYTE
from .state import Motion

START, STOP = 1.0, 3.0
"""Seconds: to come up to speed; to stop, run back and stand ready."""
_MATCHING = 1.0
"""How often, in seconds, the speed is matched to the host."""
FULL = 0.8
"""Above this share of the buffer the tape runs faster than the host, below it slower."""


class Matcher:
    """Speed matching of one drive: its steps in MB/s, its buffer, and the fill at which the tape starts."""

    def __init__(self, steps: Sequence[float], buffer_bytes: int, threshold: int | None = None) -> None:
        self._steps = [step * MEGABYTE for step in steps]
        self._full = FULL * buffer_bytes
        self.threshold = threshold if threshold is not None else buffer_bytes // 2

    @property
    def top(self) -> float:
        """The highest speed, in bytes/s."""
        return self._steps[-1]

    def accept(self, motion: Motion, length: int) -> None:
        """The host has delivered ``length`` bytes."""
        motion.accepted += length

    def advance(self, motion: Motion, now: float, fill: int) -> int:
        """How many of ``fill`` bytes may have reached the medium at ``now``; tell ``took`` which did."""
        if not motion.moving:
            if fill >= self.threshold and fill:
                self._begin(motion, now, fill)
            return 0
        if now <= motion.at:
            return 0
        self._match(motion, now, fill)
        ran = motion.carry + (now - motion.at) * motion.speed
        if ran >= fill:
            self._stop(motion, motion.at + max(0.0, fill - motion.carry) / motion.speed)
            return fill
        motion.at, motion.carry = now, ran
        return int(ran)

    def took(self, motion: Motion, length: int) -> None:
        """``length`` bytes were written to the medium."""
        motion.carry = max(0.0, motion.carry - length) if motion.moving else 0.0

    def room(self, motion: Motion, now: float, length: int, fill: int) -> float:
        """Seconds until ``length`` bytes have left a full buffer."""
        if not motion.moving:
            self._begin(motion, now, fill)
        motion.speed = self.top
        seconds = max(0.0, motion.at - now) + max(0.0, length - motion.carry) / motion.speed
        motion.at, motion.carry = now + seconds, max(motion.carry, float(length))
        return seconds

    def flush(self, motion: Motion, now: float, fill: int) -> float:
        """Seconds until everything is on the medium; the tape stops there."""
        if not fill and not motion.moving:
            return 0.0
        seconds = self.room(motion, now, fill, fill)
        self._stop(motion, now + seconds)
        return seconds

    def halt(self, motion: Motion, now: float) -> None:
        """The tape goes elsewhere."""
        motion.moving, motion.carry = False, 0.0
        motion.ready = motion.at = motion.since = now
        motion.accepted = 0
        motion.read_until = 0.0

    def read(self, motion: Motion, now: float, length: int, buffer_bytes: int) -> float:
        """Seconds until ``length`` bytes more have been read; while the host is away the buffer fills."""
        if not motion.read_until:
            motion.read_until = now + START
        begin = max(motion.read_until, now - buffer_bytes / self.top)
        motion.read_until = begin + length / self.top
        return max(0.0, motion.read_until - now)

    def _begin(self, motion: Motion, now: float, fill: int) -> None:
        motion.at = max(motion.ready, now) + START
        motion.moving, motion.carry = True, 0.0
        motion.speed = self._matched(motion, now, fill)

    def _stop(self, motion: Motion, when: float) -> None:
        motion.moving, motion.carry = False, 0.0
        motion.stops += 1
        motion.at = motion.ready = when + STOP

    def _match(self, motion: Motion, now: float, fill: int) -> None:
        if now - motion.since >= _MATCHING:
            motion.speed = self._matched(motion, now, fill)

    def _matched(self, motion: Motion, now: float, fill: int) -> float:
        passed = now - motion.since
        rate = motion.accepted / passed if passed > 0 else self.top
        motion.accepted, motion.since = 0, now
        # A little slower than the host, so that the buffer fills; faster when it is nearly full.
        step = sum(speed <= rate for speed in self._steps) - 1
        if fill > self._full:
            step += 1
        return self._steps[min(max(step, 0), len(self._steps) - 1)]
