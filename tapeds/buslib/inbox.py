# SPDX-License-Identifier: LGPL-2.1-or-later
"""What has arrived and is not handled yet: one queue a sender, served in turn.

The bus gives us one queue for all.  Read fast and sorted by sender, a client that sends without
pause waits for itself; everybody else is next.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Generic, TypeVar

T = TypeVar("T")

CALLS_PER_SENDER = 256                 # dbus-daemon lets a client wait for 128 replies
BYTES_PER_SENDER = 1024 * 1024


class _Queue(Generic[T]):
    """What one sender has sent."""

    __slots__ = ("bytes", "items")

    def __init__(self) -> None:
        self.items: deque[tuple[T, int]] = deque()
        self.bytes = 0


class Inbox(Generic[T]):
    """Items by sender, in order for each sender, taken from one sender after the other.

    The items of senders that were blamed are taken apart from all others, so that they can be left
    for later.
    """

    def __init__(self) -> None:
        self._queues: dict[str, _Queue[T]] = {}
        self._blamed: set[str] = set()
        self._turns: tuple[OrderedDict[str, None], OrderedDict[str, None]] = (OrderedDict(), OrderedDict())
        self.bytes = 0
        """Of all items that wait."""

    def __bool__(self) -> bool:
        return bool(self._queues)

    def waits(self, *, blamed: bool) -> bool:
        """Whether anything waits of blamed senders, or of all others."""
        return bool(self._turns[blamed])

    def is_full(self, sender: str) -> bool:
        """Whether as many calls of ``sender`` wait as may."""
        queue = self._queues.get(sender)
        return queue is not None and len(queue.items) >= CALLS_PER_SENDER

    def overflows(self, sender: str) -> bool:
        """Whether not even the refusals of more calls of ``sender`` may wait."""
        queue = self._queues.get(sender)
        return queue is not None and len(queue.items) >= 2 * CALLS_PER_SENDER

    def has_room(self, sender: str, size: int) -> bool:
        """Whether one more method call of ``sender`` may wait."""
        queue = self._queues.get(sender)
        if queue is None:
            return True
        return len(queue.items) < CALLS_PER_SENDER and queue.bytes + size <= BYTES_PER_SENDER

    def blame(self, sender: str) -> bool:
        """``sender`` sends too much, or what takes too long; False if that was known."""
        if sender in self._blamed:
            return False
        self._blamed.add(sender)
        if sender in self._queues:
            del self._turns[False][sender]
            self._turns[True][sender] = None
        return True

    def forgive(self) -> None:
        """Blame nobody any more of whom nothing waits."""
        self._blamed &= self._queues.keys()

    def put(self, sender: str, item: T, size: int) -> None:
        """Let ``item`` wait behind everything else of ``sender``."""
        queue = self._queues.get(sender)
        if queue is None:
            queue = self._queues[sender] = _Queue()
            self._turns[sender in self._blamed][sender] = None
        queue.items.append((item, size))
        queue.bytes += size
        self.bytes += size

    def of(self, sender: str) -> list[T]:
        """What waits of ``sender``."""
        queue = self._queues.get(sender)
        return [item for item, _ in queue.items] if queue is not None else []

    def take(self, *, blamed: bool) -> tuple[str, T] | None:
        """Sender and next item of blamed senders, or of all others: of whoever has waited longest."""
        turns = self._turns[blamed]
        if not turns:
            return None
        sender, _ = turns.popitem(last=False)
        queue = self._queues[sender]
        item, size = queue.items.popleft()
        queue.bytes -= size
        self.bytes -= size
        if queue.items:
            turns[sender] = None       # behind all other senders
        else:
            del self._queues[sender]
        return sender, item

    def take_all(self) -> list[T]:
        """Everything that waits."""
        items = []
        for blamed in (False, True):
            while (taken := self.take(blamed=blamed)) is not None:
                items.append(taken[1])
        return items
