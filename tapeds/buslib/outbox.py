# SPDX-License-Identifier: LGPL-2.1-or-later
"""From messages to the socket: a queue that survives a full socket and knows its descriptors.

Both libraries take a socket that is full for a broken one.  A descriptor of a reply can be closed
only when the kernel has it, and must be closed also when it never gets there.
"""

from __future__ import annotations

import array
import asyncio
import errno
import socket
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from tapeds.buslib.descriptors import close_all

_AT_ONCE = 512                         # messages, and
_SECONDS = 0.01                        # time spent on sending in one turn of the loop

_OF_ONE_MESSAGE = frozenset({errno.EBADF, errno.ETOOMANYREFS, errno.EINVAL, errno.EPERM})


@dataclass(slots=True)
class Letter:
    """One message on its way out, with descriptors that are closed when it has left or never will."""

    data: memoryview
    fds: tuple[int, ...] = ()
    done: Callable[[OSError | None], None] | None = None
    """Called once: with None when the message is with the kernel, with the cause when it never will be."""

    def finish(self, error: OSError | None = None) -> None:
        """Close what is still open and tell."""
        fds, self.fds = self.fds, ()
        close_all(fds)
        done, self.done = self.done, None
        if done is not None:
            done(error)


class Outbox:
    """Sends through ``sock``, a connected, non-blocking socket; ``broken`` is told once when that fails.

    ``relieved`` is called when the queue has become empty after the socket was full.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket,
                 broken: Callable[[OSError], None], relieved: Callable[[], None]) -> None:
        self._loop = loop
        self._sock = sock
        self._broken = broken
        self._relieved = relieved
        self._queue: deque[Letter] = deque()
        self._watching = False
        self._closed = False
        self.bytes = 0
        """How much waits because the socket is full."""

    def __bool__(self) -> bool:
        return bool(self._queue)

    def send(self, letter: Letter) -> None:
        """Send now, or as soon as the socket takes it."""
        if self._closed:
            letter.finish(ConnectionResetError("the connection to the bus is lost"))
            return
        self._queue.append(letter)
        self.bytes += len(letter.data)
        if not self._watching:
            self._flush()

    def close(self) -> None:
        """Send nothing more: what waits is given up."""
        self._closed = True
        self._unwatch()
        letters, self._queue = self._queue, deque()
        self.bytes = 0
        for letter in letters:
            letter.finish(ConnectionResetError("the connection to the bus is lost"))

    def _flush(self) -> None:
        until = time.monotonic() + _SECONDS
        sent = 0
        try:
            while self._queue and sent < _AT_ONCE and time.monotonic() < until:
                sent += self._push(self._queue[0])
        except (BlockingIOError, InterruptedError):
            pass                       # the socket is full; the loop says when it is not
        except OSError as exc:
            self._unwatch()
            self._broken(exc)
            return
        if self._queue:
            self._watch()
        elif self._watching:
            self._unwatch()
            self._relieved()

    def _push(self, letter: Letter) -> int:
        """Give the kernel what it takes of ``letter``; 1 when that was the rest of it, else 0."""
        try:
            if letter.fds:
                rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", letter.fds))]
                count = self._sock.sendmsg([letter.data], rights)
                fds, letter.fds = letter.fds, ()
                close_all(fds)
            else:
                count = self._sock.send(letter.data)
        except OSError as exc:
            if letter.fds and exc.errno in _OF_ONE_MESSAGE:    # nothing of it has left, and nothing will
                self._drop(letter)
                letter.finish(exc)
                return 1
            raise
        self.bytes -= count
        letter.data = letter.data[count:]
        if letter.data:
            return 0
        self._queue.popleft()
        letter.finish()
        return 1

    def _drop(self, letter: Letter) -> None:
        self._queue.popleft()
        self.bytes -= len(letter.data)

    def _watch(self) -> None:
        if not self._watching and not self._closed:
            self._watching = True
            self._loop.add_writer(self._sock, self._flush)

    def _unwatch(self) -> None:
        if self._watching:
            self._watching = False
            self._loop.remove_writer(self._sock)
