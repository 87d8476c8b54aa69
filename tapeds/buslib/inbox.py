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


class Inbox(Generic[T]):
    """Items by sender, in order for each sender, taken from one sender after the other."""

    def __init__(self) -> None:
        self._queues: OrderedDict[str, deque[tuple[T, int]]] = OrderedDict()
        self._bytes_of: dict[str, int] = {}
        self.bytes = 0
        """Of all items that wait."""

    def __bool__(self) -> bool:
        return bool(self._queues)

    def has_room(self, sender: str, size: int) -> bool:
        """Whether one more method call of ``sender`` may wait."""
        queue = self._queues.get(sender)
        if queue is None:
            return True
        return len(queue) < CALLS_PER_SENDER and self._bytes_of[sender] + size <= BYTES_PER_SENDER

    def put(self, sender: str, item: T, size: int) -> None:
        """Let ``item`` wait behind everything else of ``sender``."""
        self._queues.setdefault(sender, deque()).append((item, size))
        self._bytes_of[sender] = self._bytes_of.get(sender, 0) + size
        self.bytes += size

    def take(self) -> T | None:
        """The next item: the oldest of the sender that has waited longest."""
        if not self._queues:
            return None
        sender, queue = self._queues.popitem(last=False)
        item, size = queue.popleft()
        self.bytes -= size
        if queue:
            self._queues[sender] = queue           # behind all other senders
            self._bytes_of[sender] -= size
        else:
            del self._bytes_of[sender]
        return item

    def take_all(self) -> list[T]:
        """Everything that waits."""
        items = []
        while (item := self.take()) is not None:
            items.append(item)
        return items
