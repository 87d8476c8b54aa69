# SPDX-License-Identifier: LGPL-2.1-or-later
"""The worker's end of the socket: packets in and out, descriptors, and the word to stop.

Nothing here blocks without noticing that the peer has gone or that SIGTERM has come.
"""

from __future__ import annotations

import array
import logging
import os
import select
import socket
from dataclasses import dataclass, field

from tapeds.worker import messages
from tapeds.worker.messages import MAXIMUM, Message

_DESCRIPTORS = 4                      # room for more than the one that may come, so that none is lost unseen
_RECEIVE = socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Packet:
    """One message and the descriptors that came beside it; whoever takes it closes them."""

    message: Message
    descriptors: list[int] = field(default_factory=list)

    def close_descriptors(self) -> None:
        """Close what came along."""
        close_all(self.descriptors)


class Link:
    """The socket to the bus process.

    ``gone`` turns true when the peer has closed its end, ``stopping`` when ``stop_fd`` (the read end of
    a pipe that a signal handler writes to) has something to read.  Neither ever turns back.
    """

    def __init__(self, sock: socket.socket, stop_fd: int = -1) -> None:
        self.gone = False
        self.stopping = False
        self._socket = sock
        self._stop_fd = stop_fd
        self._buffer = bytearray(MAXIMUM + 1)
        self._incoming = select.poll()
        self._incoming.register(sock, select.POLLIN)
        if stop_fd >= 0:
            self._incoming.register(stop_fd, select.POLLIN)
        # A page of a list must fit in whole even where the system's default is small.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * MAXIMUM)

    @property
    def ended(self) -> bool:
        """Whether the device is to be released."""
        return self.gone or self.stopping

    def send(self, message: Message) -> None:
        """Send ``message``, however long the peer takes to make room.

        Given up when the peer goes away, or does not read while the worker is told to stop.
        Raises ValueError for a message that is too long.
        """
        data = messages.encode(message)
        while not self._send(data):
            if self.stopping or not self._wait_for_room():
                return

    def offer(self, message: Message) -> bool:
        """Send ``message`` if there is room for it now."""
        return self._send(messages.encode(message))

    def receive(self) -> Packet | None:
        """The next message that has arrived, or None.  What is no message is logged and left out."""
        while not self.gone and self._arrived():
            packet = self._take()
            if packet is not None:
                return packet
        return None

    def wait(self, fd: int = -1, *, writing: bool = False, timeout_seconds: float | None = None) -> bool:
        """Wait until ``fd`` is ready, and say so, or until a packet or the word to stop has come.

        An ``fd`` below 0 is never ready.  The other end of ``fd`` having gone counts as ready.
        """
        poller = select.poll()
        if not self.gone:
            poller.register(self._socket, select.POLLIN)
        if self._stop_fd >= 0 and not self.stopping:
            poller.register(self._stop_fd, select.POLLIN)
        if fd >= 0:
            poller.register(fd, select.POLLOUT if writing else select.POLLIN)
        ready = poller.poll(None if timeout_seconds is None else timeout_seconds * 1000)
        return any(found == fd for found, _ in ready)

    def _arrived(self) -> bool:
        arrived = False
        for fd, _ in self._incoming.poll(0):
            if fd == self._stop_fd:
                self.stopping = True
                self._incoming.unregister(fd)
            else:
                arrived = True
        return arrived

    def _take(self) -> Packet | None:
        descriptors: list[int] = []
        try:
            length, ancillary, flags, _ = self._socket.recvmsg_into(
                [self._buffer], socket.CMSG_SPACE(_DESCRIPTORS * 4), _RECEIVE
            )
        except BlockingIOError:
            return None
        except OSError:
            self.gone = True
            return None
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                numbers = array.array("i")
                numbers.frombytes(data[: len(data) - len(data) % numbers.itemsize])
                descriptors.extend(numbers)
        if length == 0:
            self.gone = True
            close_all(descriptors)
            return None
        try:
            if flags & socket.MSG_TRUNC:
                raise ValueError(f"a packet of more than {MAXIMUM} bytes")
            return Packet(messages.decode(bytes(self._buffer[:length])), descriptors)
        except ValueError as exc:
            close_all(descriptors)
            log.warning("packet left out: %s", exc)
            return None

    def _send(self, data: bytes) -> bool:
        if self.gone:
            return True
        try:
            self._socket.send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            self.gone = True
        return True

    def _wait_for_room(self) -> bool:
        """Wait until the peer has read something.  False: told to stop."""
        poller = select.poll()
        poller.register(self._socket, select.POLLOUT)
        if self._stop_fd >= 0:
            poller.register(self._stop_fd, select.POLLIN)
        return all(fd != self._stop_fd for fd, _ in poller.poll())


def close_all(descriptors: list[int]) -> None:
    """Close every one of ``descriptors``."""
    for fd in descriptors:
        os.close(fd)
