# SPDX-License-Identifier: LGPL-2.1-or-later
"""From the socket to frames, one read at a time.

Both libraries read and handle until the socket is empty, so that one client who sends without
pause stops everything else; dbus-next also gives up the connection over one odd message.
"""

from __future__ import annotations

import array
import socket
from collections import deque
from collections.abc import Callable

from tapeds.buslib import wire
from tapeds.buslib.descriptors import Received, close_all
from tapeds.buslib.wire import Frame

_CHUNK = 32 * 1024                     # bytes taken from the socket at once
_MOST_FDS = 253                        # the kernel sends no more with one message
_ANCILLARY = socket.CMSG_SPACE(_MOST_FDS * array.array("i").itemsize)


class ConnectionEnded(ConnectionError):
    """The bus has closed the connection."""


class Reader:
    """Takes messages from ``sock``, a connected, non-blocking socket.

    ``wants`` is asked, with the frame and the length of its body, as soon as a header is there.
    Where it says no, the body is thrown away as it comes; the frame is then returned only if it
    has a ``refusal``.  ``drops`` is asked before that about calls that need no answer, and is given
    their sender: True throws them away without making a frame of them.
    """

    def __init__(self, sock: socket.socket, wants: Callable[[Frame, int], bool],
                 drops: Callable[[str], bool]) -> None:
        self._sock = sock
        self._wants = wants
        self._drops = drops
        self._buffer = bytearray()
        self._batches: deque[list[int]] = deque()      # descriptors whose message is not complete
        self._frame: Frame | None = None               # its header is parsed, its body is still to come
        self._header_length = 0
        self._body_length = 0
        self._skipping = 0                             # bytes of an unwanted body still to come

    def read(self) -> list[Frame] | None:
        """The messages that are complete after one more read; None when nothing was there.

        Raises ConnectionEnded, OSError, wire.BrokenFrame: the connection is of no use any more.
        """
        try:
            data, ancillary, flags, _ = self._sock.recvmsg(_CHUNK, _ANCILLARY, socket.MSG_CMSG_CLOEXEC)
        except (BlockingIOError, InterruptedError):
            return None
        self._take_descriptors(ancillary, truncated=bool(flags & socket.MSG_CTRUNC))
        if not data:
            raise ConnectionEnded("the bus has closed the connection")
        if self._skipping:
            skipped = min(self._skipping, len(data))
            self._skipping -= skipped
            data = data[skipped:]
        self._buffer += data
        return self._frames()

    def close(self) -> None:
        """Close the descriptors whose messages were never complete."""
        if self._frame is not None:
            self._frame.received.close()
        while self._batches:
            close_all(self._batches.popleft())

    def _take_descriptors(self, ancillary: list[tuple[int, int, bytes]], *, truncated: bool) -> None:
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds = array.array("i")
                fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
                self._batches.append(list(fds))
                return                 # the kernel stops reading behind a message with descriptors
        if truncated:
            self._batches.append([])   # our table is full: the message comes without them

    def _frames(self) -> list[Frame]:
        frames: list[Frame] = []
        at = 0
        while (step := self._next(at, frames)) > 0:
            at += step
        if at:
            del self._buffer[:at]
        return frames

    def _next(self, at: int, frames: list[Frame]) -> int:
        """Go one message on from ``at``; how many bytes that took, 0 when it is not complete."""
        there = len(self._buffer) - at
        if self._frame is None:
            if there < wire.FIXED:
                return 0
            self._header_length, self._body_length = wire.lengths(self._buffer, at)
            if there < self._header_length:
                return 0
            if self._is_chaff(at):
                return self._skip(None, there, frames)
            frame = wire.parse_header(bytes(self._buffer[at : at + self._header_length]))
            self._adopt_descriptors(frame)
            if not self._wants(frame, self._body_length):
                return self._skip(frame, there, frames)
            self._frame = frame
        whole = self._header_length + self._body_length
        if there < whole:
            return 0
        frame, self._frame = self._frame, None
        frame.body = bytes(self._buffer[at + self._header_length : at + whole])
        frames.append(frame)
        return whole

    def _is_chaff(self, at: int) -> bool:
        if self._buffer[at + 1] != wire.CALL or not self._buffer[at + 2] & wire.NO_REPLY:
            return False
        return self._drops(wire.glance(self._buffer, at, self._header_length))

    def _skip(self, frame: Frame | None, there: int, frames: list[Frame]) -> int:
        if frame is not None:
            frame.received.close()
            if frame.refusal:
                frames.append(frame)
        whole = self._header_length + self._body_length
        if there < whole:
            self._skipping = whole - there
            return there
        return whole

    def _adopt_descriptors(self, frame: Frame) -> None:
        if not frame.fd_count:
            return
        fds = self._batches.popleft() if self._batches else []
        if len(fds) == frame.fd_count:
            frame.received = Received(fds)
        else:
            close_all(fds)
            frame.refusal = "the service has no room for more file descriptors now"
