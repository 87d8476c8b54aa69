# SPDX-License-Identifier: LGPL-2.1-or-later
"""The bus process's end of a worker's socket, in the event loop: packets in and out, descriptors out."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections import deque
from collections.abc import Callable, Iterable

from tapeds.worker import messages
from tapeds.worker.messages import MAXIMUM, Message

PACKETS_PER_TURN = 16

log = logging.getLogger(__name__)


class Channel:
    """Calls ``on_message`` for each packet and ``on_end``, once, when the peer has closed its end."""

    def __init__(
        self, sock: socket.socket, on_message: Callable[[Message], None], on_end: Callable[[], None]
    ) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * MAXIMUM)
        self._socket = sock
        self._on_message = on_message
        self._on_end = on_end
        self._queue: deque[tuple[bytes, tuple[int, ...]]] = deque()
        self._loop = asyncio.get_running_loop()
        self._open = True
        self._loop.add_reader(sock.fileno(), self._readable)

    def send(self, message: Message, fds: Iterable[int] = ()) -> None:
        """Send ``message``; ``fds`` go with it and are closed here, whatever becomes of them.

        Raises ValueError for a message that is too long.
        """
        fds = tuple(fds)
        try:
            data = messages.encode(message)
        except ValueError:
            _close_all(fds)
            raise
        self._queue.append((data, fds))
        self._flush()

    def close(self) -> None:
        """Close our end, which the worker takes as the word to release and to exit; no `on_end`."""
        if self._open:
            self._open = False
            self._loop.remove_reader(self._socket.fileno())
            self._loop.remove_writer(self._socket.fileno())
            self._socket.close()
        self._drop()

    def _drop(self) -> None:
        while self._queue:
            _close_all(self._queue.popleft()[1])

    def _flush(self) -> None:
        if not self._open:
            self._drop()
            return
        while self._queue:
            data, fds = self._queue[0]
            try:
                socket.send_fds(self._socket, [data], list(fds))
            except (BlockingIOError, InterruptedError):
                self._loop.add_writer(self._socket.fileno(), self._flush)
                return
            except OSError:
                self._drop()  # the peer has gone; the reader will see it and tell
                break
            self._queue.popleft()
            _close_all(fds)
        self._loop.remove_writer(self._socket.fileno())

    def _readable(self) -> None:
        for _ in range(PACKETS_PER_TURN):
            try:
                packet = self._socket.recv(MAXIMUM)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                packet = b""
            if not packet:
                self.close()
                self._on_end()
                return
            try:
                message = messages.decode(packet)
            except ValueError as exc:
                log.warning("a worker sent what is no message: %s", exc)
                continue
            self._on_message(message)
            if not self._open:
                return


def _close_all(fds: Iterable[int]) -> None:
    for fd in fds:
        os.close(fd)
