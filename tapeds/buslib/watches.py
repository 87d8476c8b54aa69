# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who waits for which connection to leave the bus."""

from __future__ import annotations

from collections.abc import Callable

Callback = Callable[[], None]


class Watches:
    """Callbacks by unique name; each is called once."""

    def __init__(self) -> None:
        self._callbacks: dict[str, list[Callback]] = {}

    def __bool__(self) -> bool:
        return bool(self._callbacks)

    def __contains__(self, name: object) -> bool:
        return name in self._callbacks

    def add(self, name: str, callback: Callback) -> None:
        """Call ``callback`` when ``name`` is gone."""
        self._callbacks.setdefault(name, []).append(callback)

    def remove(self, name: str, callback: Callback) -> None:
        """Do not; an unknown callback is ignored."""
        callbacks = self._callbacks.get(name, [])
        if callback in callbacks:
            callbacks.remove(callback)
        if not callbacks:
            self._callbacks.pop(name, None)

    def take(self, name: str) -> list[Callback]:
        """Those that are to be called now, because ``name`` is gone."""
        return self._callbacks.pop(name, [])
