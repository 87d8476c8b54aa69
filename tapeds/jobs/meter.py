# SPDX-License-Identifier: LGPL-2.1-or-later
"""How fast a job goes, seen over the last seconds."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

WINDOW_SECONDS = 10.0


class Meter:
    """The rate of a growing number of bytes over the last `WINDOW_SECONDS`."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._seen: deque[tuple[float, int]] = deque([(monotonic(), 0)])

    def update(self, done: int) -> None:
        """``done`` bytes are done by now."""
        now = self._monotonic()
        self._seen.append((now, done))
        while len(self._seen) > 2 and self._seen[1][0] <= now - WINDOW_SECONDS:
            self._seen.popleft()

    @property
    def rate(self) -> int:
        """Bytes per second; 0 while nothing can be said."""
        (began, first), (now, last) = self._seen[0], self._seen[-1]
        return max(0, int((last - first) / (now - began))) if now > began else 0

    def seconds_left(self, total: int) -> float | None:
        """The time until ``total`` bytes are done at this rate; None while nothing can be said."""
        missing = total - self._seen[-1][1]
        return missing / self.rate if self.rate and missing >= 0 else None
