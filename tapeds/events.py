# SPDX-License-Identifier: LGPL-2.1-or-later
"""News from a lower room to a higher one, without an import upwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Signal(Generic[T]):
    """A list of listeners, called in order of connection with the one value of the news."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[T], None]] = []

    def connect(self, listener: Callable[[T], None]) -> None:
        """Call ``listener`` at every later `emit`."""
        self._listeners.append(listener)

    def disconnect(self, listener: Callable[[T], None]) -> None:
        """Stop calling ``listener``; unknown listeners are ignored."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def emit(self, value: T) -> None:
        """Tell every listener; a listener may disconnect itself while being told."""
        for listener in tuple(self._listeners):
            listener(value)
