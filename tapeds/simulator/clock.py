# SPDX-License-Identifier: LGPL-2.1-or-later
"""Simulated time: real, a multiple of real time, or none at all.

The time itself is part of the drive's state, so that all processes have the same.  A drive
whose clock stands takes no time: the time that a command would take passes at once.
"""

from __future__ import annotations

import time

from .state import State

POLLS = 4
"""With a standing clock an operation that runs in the background ends at the fourth look at it."""


class Clock:
    """How much simulated time passes in a second: 1 is real time, 60 a minute, 0 a standing clock."""

    def __init__(self, factor: float) -> None:
        if factor < 0:
            raise ValueError("the clock factor must not be negative")
        self.factor = factor

    @property
    def stands(self) -> bool:
        """Whether time passes by commands only."""
        return self.factor == 0

    def tick(self, state: State) -> float:
        """Bring the drive's time up to date and return it, in seconds."""
        # Boot time is the same in all processes; after a restart of the machine nothing has passed.
        real = time.clock_gettime(time.CLOCK_BOOTTIME)
        if state.mark:
            state.time += max(0.0, real - state.mark) * self.factor
        state.mark = real
        return state.time

    def sleep(self, seconds: float) -> None:
        """Let ``seconds`` of simulated time pass; never with the drive's lock held."""
        if self.factor and seconds > 0:
            time.sleep(seconds / self.factor)
