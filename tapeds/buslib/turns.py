# SPDX-License-Identifier: LGPL-2.1-or-later
"""When what has arrived is handled: a little in each turn of the event loop, and everybody in turn.

A sender whose calls pile up or take long is blamed: its messages are handled apart, a few at a
time with pauses between, until nothing of it waits.  So nobody waits behind somebody else's flood,
and there is time left for reading, which must keep up with the bus: what waits in the bus's one
queue for us waits for all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from tapeds.buslib.inbox import Inbox

T = TypeVar("T")

PER_TURN = 64                              # items handled in one turn of the loop, and
_SECONDS = 0.01                            # the time after which no further one is begun
_HEAVY_SECONDS = 0.003                     # of processor time: whoever's item takes longer is blamed

_BLAMED_PER_TURN = 8                       # items of blamed senders, and
_BLAMED_SECONDS = 0.002                    # the processor time after which no further one is begun
_PAUSE = 0.005                             # then they have no turn for so long, and for so many times
_PAUSE_TIMES = 4                           # what they took


class Turns(Generic[T]):
    """Calls ``handle`` with what waits in ``inbox``, and ``done`` at the end of each turn."""

    def __init__(self, loop: asyncio.AbstractEventLoop, inbox: Inbox[T], handle: Callable[[T], None],
                 done: Callable[[], None]) -> None:
        self._loop = loop
        self._inbox = inbox
        self._handle = handle
        self._done = done
        self._due: asyncio.Handle | None = None
        self._blamed_turn = 0.0                        # not before this time

    def go(self) -> None:
        """Something may have arrived: handle it now, unless a turn comes anyway."""
        if isinstance(self._due, asyncio.TimerHandle) and self._inbox.waits(blamed=False):
            self.stop()
        if self._due is None:
            self._turn()

    def schedule(self) -> None:
        """Let a turn come: at once, or after their pause where only blamed senders wait."""
        if self._inbox.waits(blamed=False):
            if isinstance(self._due, asyncio.TimerHandle):
                self.stop()
            if self._due is None:
                self._due = self._loop.call_soon(self._turn)
        elif self._inbox and self._due is None:
            self._due = self._loop.call_at(self._blamed_turn, self._turn)

    def stop(self) -> None:
        """Let no turn come."""
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def blame(self, sender: str, seconds: float = 0.0) -> None:
        """``sender`` has sent too much, or what took ``seconds`` of processor time."""
        if self._inbox.blame(sender):
            self._pause(seconds)

    def _turn(self) -> None:
        self._due = None
        until = self._loop.time() + _SECONDS
        left = PER_TURN
        while left and (taken := self._inbox.take(blamed=False)) is not None:
            seconds = self._timed(taken[1])
            left -= 1
            if seconds > _HEAVY_SECONDS:
                self.blame(taken[0], seconds)
            if self._loop.time() >= until:
                break
        if left and self._loop.time() >= self._blamed_turn:
            self._turn_of_the_blamed(min(left, _BLAMED_PER_TURN))
        self.schedule()
        self._done()

    def _turn_of_the_blamed(self, most: int) -> None:
        if not self._inbox.waits(blamed=True):
            self._inbox.forgive()
            return
        seconds = 0.0
        while most and seconds < _BLAMED_SECONDS and (taken := self._inbox.take(blamed=True)) is not None:
            seconds += self._timed(taken[1])
            most -= 1
        self._pause(seconds)

    def _timed(self, item: T) -> float:
        """Handle ``item``; the processor time that this took."""
        begin = time.thread_time()
        self._handle(item)
        return time.thread_time() - begin

    def _pause(self, seconds: float) -> None:
        self._blamed_turn = self._loop.time() + max(_PAUSE, _PAUSE_TIMES * seconds)
