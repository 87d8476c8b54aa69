# SPDX-License-Identifier: LGPL-2.1-or-later
"""A D-Bus client by hand, byte by byte: it can say what no library would.

It blocks, and it imports neither library nor anything of tapeds.
"""

from __future__ import annotations

import array
import os
import socket
import struct
from dataclasses import dataclass, field
from typing import Any, Self

CALL, RETURN, ERROR, SIGNAL = 1, 2, 3, 4
PATH, INTERFACE, MEMBER, ERROR_NAME, REPLY_SERIAL, DESTINATION, SENDER, SIGNATURE, UNIX_FDS = range(1, 10)
NO_REPLY, NO_START, INTERACTIVE = 1, 2, 4

BUS = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")


def align(data: bytes, to: int) -> bytes:
    """``data`` filled up with zeros to a multiple of ``to``."""
    return data + b"\0" * (-len(data) % to)


def string(text: str | bytes) -> bytes:
    """A value of type "s" or "o"."""
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack("<I", len(raw)) + raw + b"\0"


def signature(text: str) -> bytes:
    """A value of type "g"."""
    return bytes([len(text)]) + text.encode() + b"\0"


def strings(*texts: str) -> bytes:
    """A body of values of type "s"."""
    body = b""
    for text in texts:
        body = align(body, 4) + string(text)
    return body


def header_field(code: int, kind: str, value: bytes) -> bytes:
    """A header field of any code and type; ``value`` must be aligned as if it began at a multiple of 8."""
    start = bytes([code]) + signature(kind)
    boundary = {"s": 4, "o": 4, "u": 4, "a": 4, "(": 8, "x": 8, "t": 8}.get(kind[0], 1)
    return align(start, boundary) + value


def frame(kind: int, serial: int, fields: list[bytes], body: bytes = b"", flags: int = 0) -> bytes:
    """A message of exactly these header fields and this body."""
    joined = b""
    for one in fields:
        joined = align(joined, 8) + one
    head = struct.pack("<BBBBIII", ord("l"), kind, flags, 1, len(body), serial, len(joined))
    return align(head + joined, 8) + body


def call_fields(destination: str | None, path: str, interface: str | None, member: str, kind: str = "",
                fds: int = 0) -> list[bytes]:
    """The header fields of a method call."""
    fields = [header_field(PATH, "o", string(path)), header_field(MEMBER, "s", string(member))]
    if destination is not None:
        fields.append(header_field(DESTINATION, "s", string(destination)))
    if interface is not None:
        fields.append(header_field(INTERFACE, "s", string(interface)))
    if kind:
        fields.append(header_field(SIGNATURE, "g", signature(kind)))
    if fds:
        fields.append(header_field(UNIX_FDS, "u", struct.pack("<I", fds)))
    return fields


@dataclass
class Answer:
    """A message that came in."""

    kind: int
    reply_serial: int = 0
    error_name: str = ""
    member: str = ""
    body: bytes = b""
    fds: list[int] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The first value of the body, which must be a string."""
        return self.body[4 : 4 + struct.unpack_from("<I", self.body)[0]].decode()


class RawClient:
    """A connection to the bus at ``address``; ``name`` is its unique name."""

    def __init__(self, address: str, seconds: float = 20.0) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(seconds)
        self.sock.connect(address.removeprefix("unix:path="))
        self._serial = 0
        self._data = b""
        self._fds: list[int] = []
        self.sock.sendall(b"\0AUTH EXTERNAL " + str(os.geteuid()).encode().hex().encode() + b"\r\n")
        self._line()
        self.sock.sendall(b"NEGOTIATE_UNIX_FD\r\n")
        self._line()
        self.sock.sendall(b"BEGIN\r\n")
        self.name = self.ask(*BUS, "Hello").text

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the bus without a word."""
        self.sock.close()

    def serial(self) -> int:
        """The number for the next message."""
        self._serial += 1
        return self._serial

    def send(self, data: bytes, fds: list[int] | None = None) -> None:
        """Send bytes, with descriptors."""
        if not fds:
            self.sock.sendall(data)
            return
        sent = self.sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])
        if sent < len(data):
            self.sock.sendall(data[sent:])

    def call(self, destination: str, path: str, interface: str | None, member: str, kind: str = "",
             body: bytes = b"", *, fds: list[int] | None = None, flags: int = 0,
             more: list[bytes] | None = None) -> int:
        """Send a method call and return its serial; ``more`` are further header fields."""
        serial = self.serial()
        fields = call_fields(destination, path, interface, member, kind, len(fds or ())) + (more or [])
        self.send(frame(CALL, serial, fields, body, flags), fds)
        return serial

    def ask(self, destination: str, path: str, interface: str | None, member: str, kind: str = "",
            body: bytes = b"", **options: Any) -> Answer:
        """Send a method call and wait for its reply."""
        return self.reply_to(self.call(destination, path, interface, member, kind, body, **options))

    def reply_to(self, serial: int) -> Answer:
        """The reply to the call ``serial``; everything before it is thrown away."""
        while True:
            answer = self.receive()
            if answer.reply_serial == serial:
                return answer

    def receive(self) -> Answer:
        """The next message.  Raises ConnectionError when the bus has ended the connection."""
        while True:
            if len(self._data) >= 16:
                length, _, fields = struct.unpack_from("<III", self._data, 4)
                head = 16 + (fields + 7 & ~7)
                if len(self._data) >= head + length:
                    whole, self._data = self._data[: head + length], self._data[head + length :]
                    return self._answer(whole, head, 16 + fields)
            data, ancillary, _, _ = self.sock.recvmsg(64 * 1024, 4096)
            if not data:
                raise ConnectionError("the bus has ended the connection")
            self._data += data
            for _, _, raw in ancillary:
                self._fds.extend(array.array("i", raw))

    def is_dropped(self) -> bool:
        """Whether the bus ends the connection; waits for it."""
        try:
            while True:
                self.receive()
        except ConnectionError:
            return True
        except TimeoutError:
            return False

    def _answer(self, whole: bytes, head: int, end: int) -> Answer:
        answer = Answer(whole[1], body=whole[head:])
        at = 16
        while at < end:
            at += -at % 8
            code, kind = whole[at], whole[at + 2 : at + 2 + whole[at + 1]].decode()
            at += whole[at + 1] + 3
            if kind == "u":
                value: Any = struct.unpack_from("<I", whole, at)[0]
                at += 4
            elif kind == "g":
                value, at = "", at + whole[at] + 2
            else:
                length = struct.unpack_from("<I", whole, at)[0]
                value, at = whole[at + 4 : at + 4 + length].decode(), at + 5 + length
            if code == REPLY_SERIAL:
                answer.reply_serial = value
            elif code == ERROR_NAME:
                answer.error_name = value
            elif code == MEMBER:
                answer.member = value
            elif code == UNIX_FDS:
                answer.fds, self._fds = self._fds[:value], self._fds[value:]
        return answer

    def _line(self) -> bytes:
        line = b""
        while not line.endswith(b"\r\n"):
            line += self.sock.recv(1)
        return line
