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

    __slots__ = ("bytes", "flooding", "items")

    def __init__(self) -> None:
        self.items: deque[tuple[T, int]] = deque()
        self.bytes = 0
        self.flooding = False


class Inbox(Generic[T]):
    """Items by sender, in order for each sender, taken from one sender after the other.

    A sender whose queue ran over is flooding until the queue is empty; its items are taken apart
    from all others, so that they can be left for later.
    """

    def __init__(self) -> None:
        self._queues: dict[str, _Queue[T]] = {}
        self._turns: tuple[OrderedDict[str, None], OrderedDict[str, None]] = (OrderedDict(), OrderedDict())
        self.bytes = 0
        """Of all items that wait."""

    def __bool__(self) -> bool:
        return bool(self._queues)

    def waits(self, *, flooding: bool) -> bool:
        """Whether anything waits of senders that flood, or of all others."""
        return bool(self._turns[flooding])

    def is_full(self, sender: str) -> bool:
        """Whether as many calls of ``sender`` wait as may."""
        queue = self._queues.get(sender)
        return queue is not None and len(queue.items) >= CALLS_PER_SENDER

    def has_room(self, sender: str, size: int) -> bool:
        """Whether one more method call of ``sender`` may wait."""
        queue = self._queues.get(sender)
        if queue is None:
            return True
        return len(queue.items) < CALLS_PER_SENDER and queue.bytes + size <= BYTES_PER_SENDER

    def blame(self, sender: str) -> None:
        """``sender`` has sent more than may wait."""
        queue = self._queues.get(sender)
        if queue is not None and not queue.flooding:
            queue.flooding = True
            del self._turns[False][sender]
            self._turns[True][sender] = None

    def put(self, sender: str, item: T, size: int) -> None:
        """Let ``item`` wait behind everything else of ``sender``."""
        queue = self._queues.get(sender)
        if queue is None:
            queue = self._queues[sender] = _Queue()
            self._turns[False][sender] = None
        queue.items.append((item, size))
        queue.bytes += size
        self.bytes += size

    def take(self, *, flooding: bool) -> T | None:
        """The next item of senders that flood, or of all others: of whoever has waited longest."""
        turns = self._turns[flooding]
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
        return item

    def take_all(self) -> list[T]:
        """Everything that waits."""
        items = []
        for flooding in (False, True):
            while (item := self.take(flooding=flooding)) is not None:
                items.append(item)
        return items
