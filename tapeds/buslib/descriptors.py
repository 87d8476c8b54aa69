# SPDX-License-Identifier: LGPL-2.1-or-later
"""Descriptors that came with messages: who owns them, and how many may be held.

A client may send sixteen with every message, whether or not the method wants any.  Both libraries
leave them open; here they are closed unless somebody takes them, and bounded while they wait.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable

PER_SENDER = 64
IN_ALL = 256


class Budget:
    """How many received descriptors are held, in all and for each sender."""

    def __init__(self) -> None:
        self.held: Counter[str] = Counter()

    def admits(self, sender: str, count: int) -> bool:
        """Whether ``count`` more from ``sender`` may be held."""
        return self.held[sender] + count <= PER_SENDER and self.held.total() + count <= IN_ALL

    def give_back(self, sender: str, count: int) -> None:
        """``count`` descriptors of ``sender`` are closed, or somebody else's now."""
        self.held[sender] -= count
        if self.held[sender] <= 0:
            del self.held[sender]


class Received:
    """The descriptors of one message, until they are taken or closed."""

    __slots__ = ("_budget", "_fds", "_sender")

    def __init__(self, fds: Iterable[int] = ()) -> None:
        self._fds: dict[int, int] = dict(enumerate(fds))
        self._budget: Budget | None = None
        self._sender = ""

    def __len__(self) -> int:
        return len(self._fds)

    def charge(self, budget: Budget, sender: str) -> bool:
        """Hold them on the account of ``sender``; closes them and returns False when it is overdrawn."""
        if not self._fds:
            return True
        if not budget.admits(sender, len(self._fds)):
            self.close()
            return False
        budget.held[sender] += len(self._fds)
        self._budget, self._sender = budget, sender
        return True

    def take(self, index: int) -> int | None:
        """Descriptor ``index``, now the caller's to close; None if there is none, or not any more."""
        fd = self._fds.pop(index, None)
        if fd is not None and self._budget is not None:
            self._budget.give_back(self._sender, 1)
        return fd

    def take_all(self) -> list[int]:
        """All that are left, in order, now the caller's to close."""
        return [fd for index in sorted(self._fds) if (fd := self.take(index)) is not None]

    def close(self) -> None:
        """Close all that nobody has taken."""
        close_all(self.take_all())


NOTHING = Received()
"""No descriptors: what most messages carry."""


def close_all(fds: Iterable[int]) -> None:
    """Close ``fds``; one that is closed already is ignored."""
    for fd in fds:
        try:
            os.close(fd)
        except OSError:
            pass                       # its owner closed it early; there is nothing left to do
