# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who is behind a unique name, and when that connection goes."""

from __future__ import annotations

from functools import partial

from tapeds.buslib import Bus, CallError
from tapeds.events import Signal
from tapeds.jobs.caller import Caller


class Callers:
    """Every connection that has called a method; ``vanished`` tells its unique name when it goes."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._watched: set[str] = set()
        self._known: dict[str, Caller] = {}
        self.vanished: Signal[str] = Signal()

    async def get(self, name: str) -> Caller:
        """The caller ``name``, watched from now on.  Raises CallError when it has gone already."""
        if (known := self._known.get(name)) is not None:
            return known
        if name not in self._watched:
            self._watched.add(name)
            self._bus.watch(name, partial(self._gone, name))
        credentials = await self._bus.credentials(name)
        caller = Caller(name, credentials.uid, credentials.pid)
        if self.alive(name):
            self._known[name] = caller
        return caller

    async def is_there(self, caller: Caller) -> bool:
        """Whether that connection of that process is on the bus; watched from now on if it is."""
        try:
            return await self.get(caller.name) == caller and self.alive(caller.name)
        except CallError:
            return False

    def alive(self, name: str) -> bool:
        """Whether ``name`` is on the bus, as far as it is known."""
        return name in self._watched

    def _gone(self, name: str) -> None:
        self._watched.discard(name)
        self._known.pop(name, None)
        self.vanished.emit(name)
