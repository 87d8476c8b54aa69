# SPDX-License-Identifier: LGPL-2.1-or-later
"""The frame of a message: where it ends, and what its header says.

Only the header is read here.  Bodies stay bytes until somebody asks for them, so that a flood of
messages that nobody wants costs little, and a body that cannot be read harms only its sender.
Ref: D-Bus Specification, "Message Format"
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tapeds.buslib.descriptors import NOTHING, Received

CALL, RETURN, ERROR, SIGNAL = 1, 2, 3, 4

NO_REPLY = 0x1
INTERACTIVE = 0x4

FIXED = 16                             # bytes before the header fields, their length included
_PROTOCOL = 1
LONGEST = 128 * 1024 * 1024            # of a whole message; no bus sends more

_LITTLE = ord("l")
_ENDIAN = {_LITTLE: "<", ord("B"): ">"}
_LENGTHS = {mark: struct.Struct(order + "III").unpack_from for mark, order in _ENDIAN.items()}
_FIELDS = {
    1: ("path", "o"), 2: ("interface", "s"), 3: ("member", "s"),
    4: ("error_name", "s"), 5: ("reply_serial", "u"), 6: ("destination", "s"),
    7: ("sender", "s"), 8: ("signature", "g"), 9: ("fd_count", "u"),
}  # fmt: skip
_ALIGNMENT = {"y": 1, "g": 1, "v": 1, "n": 2, "q": 2, "x": 8, "t": 8, "d": 8, "(": 8, "{": 8}     # others: 4
_SIZE = {"y": 1, "n": 2, "q": 2, "b": 4, "i": 4, "u": 4, "h": 4, "x": 8, "t": 8, "d": 8}


class BrokenFrame(ValueError):
    """What the bus sent is no message; there is no way to tell where the next one begins."""


@dataclass(slots=True)
class Frame:
    """A message whose body has not been read yet."""

    kind: int
    flags: int
    serial: int
    path: str = ""
    interface: str | None = None
    member: str = ""
    error_name: str = ""
    reply_serial: int = 0
    destination: str = ""
    sender: str = ""
    signature: str = ""
    fd_count: int = 0
    order: str = "<"                   # of the bytes of a number, as `struct` has it
    body: bytes = b""
    received: Received = NOTHING
    refusal: str = ""                  # why it must be refused without being read
    wishes: Sequence[Any] = ()         # the subscriptions that a signal may fulfil
    deserted: bool = False             # its sender has left the bus while it waited


def lengths(data: bytes | bytearray, at: int) -> tuple[int, int]:
    """Length of the header (padding included) and of the body of the message that begins at ``at``.

    Raises BrokenFrame.
    """
    unpack = _LENGTHS.get(data[at])
    if unpack is None or data[at + 3] != _PROTOCOL:
        raise BrokenFrame("the bus sent something that is no message")
    body, _, fields = unpack(data, at + 4)
    header = FIXED + (fields + 7 & ~7)
    if header + body > LONGEST:
        raise BrokenFrame(f"the bus sent a message of {header + body} bytes")
    return header, body


class _Walk:
    """Goes over the header fields of one message."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.unpack = struct.Struct(_ENDIAN[data[0]] + "I").unpack_from

    def text(self, at: int) -> tuple[str, int]:
        """The string at ``at`` (aligned) and where it ends."""
        end = at + 4 + int(self.unpack(self.data, at)[0])
        return self.data[at + 4 : end].decode(), end + 1

    def signature(self, at: int) -> tuple[str, int]:
        """The signature at ``at`` and where it ends."""
        end = at + 1 + self.data[at]
        return self.data[at + 1 : end].decode("ascii"), end + 1

    def skip(self, signature: str, type_at: int, at: int) -> tuple[int, int]:
        """Go over one value: the next code of ``signature`` and the place behind the value."""
        code = signature[type_at]
        at += -at % _ALIGNMENT.get(code, 4)
        if code in _SIZE:
            return type_at + 1, at + _SIZE[code]
        if code in "so":
            return type_at + 1, at + 4 + int(self.unpack(self.data, at)[0]) + 1
        if code == "g":
            return type_at + 1, self.signature(at)[1]
        if code == "v":
            inner, at = self.signature(at)
            return type_at + 1, self.skip(inner, 0, at)[1]
        if code == "a":
            length = int(self.unpack(self.data, at)[0])
            at += 4
            at += -at % _ALIGNMENT.get(signature[type_at + 1], 4)
            return _end_of_type(signature, type_at + 1), at + length
        type_at += 1
        while signature[type_at] not in ")}":
            type_at, at = self.skip(signature, type_at, at)
        return type_at + 1, at


def _end_of_type(signature: str, at: int) -> int:
    while signature[at] == "a":
        at += 1
    if signature[at] not in "({":
        return at + 1
    depth = 0
    for index in range(at, len(signature)):
        depth += (signature[index] in "({") - (signature[index] in ")}")
        if depth == 0:
            return index + 1
    raise IndexError(at)


def parse_header(data: bytes) -> Frame:
    """The frame whose header, padding included, is ``data``; its body is still to be put in.

    Unknown fields are ignored, as the specification wants it; dbus-next gives up the connection
    over them.  Raises BrokenFrame.
    """
    order = _ENDIAN[data[0]]
    serial, length = struct.unpack_from(order + "II", data, 8)
    fields = remembered(data, 0, len(data))
    if fields is not None:
        return Frame(data[1], data[2], serial, *fields)
    frame = Frame(data[1], data[2], serial, order=order)
    try:
        _read_fields(frame, data, FIXED + length)
    except (IndexError, struct.error, UnicodeDecodeError, RecursionError) as exc:
        raise BrokenFrame(f"the bus sent a header that cannot be read: {exc}") from exc
    if not frame.reply_serial and len(data) <= _REMEMBERED_BYTES and data[0] == _LITTLE:
        _remember(data, frame)
    return frame


_SENDER = b"\x07\x01s\x00"              # how the field of the sender begins
_FDS = b"\x09\x01u\x00"                 # and that of the number of descriptors


def glance(data: bytearray, at: int, length: int) -> str:
    """The sender of the message without descriptors whose header of ``length`` bytes is at ``at``.

    Much faster than reading the header, and not as sure: "" where a closer look is needed.  A bus
    puts the sender last.
    """
    end = at + length
    begin = data.rfind(_SENDER, max(at + FIXED, end - 64), end)
    if begin < 0 or data.find(_FDS, at + FIXED, end) >= 0:
        return ""
    return data[begin + 8 : begin + 8 + data[begin + 4]].decode("ascii", "replace")


class Fields(NamedTuple):
    """The header fields of a message, in the order in which `Frame` has them."""

    path: str
    interface: str | None
    member: str
    error_name: str
    reply_serial: int
    destination: str
    sender: str
    signature: str
    fd_count: int


_REMEMBERED = 512                      # headers, of at most
_REMEMBERED_BYTES = 512                # each
_headers: dict[bytes, Fields] = {}


def remembered(data: bytes | bytearray, at: int, length: int) -> Fields | None:
    """The fields of the header of ``length`` bytes at ``at``, if an equal one was read before."""
    return _headers.get(bytes(data[at + 12 : at + length])) if data[at] == _LITTLE else None


def _remember(data: bytes, frame: Frame) -> None:
    """Keep what was read: whoever sends a thousand calls sends a thousand equal headers."""
    if len(_headers) >= _REMEMBERED:
        _headers.clear()
    _headers[data[12:]] = Fields(*(getattr(frame, name) for name in Fields._fields))


def _read_fields(frame: Frame, data: bytes, end: int) -> None:
    walk = _Walk(data)
    at = FIXED
    while at < end:
        at += -at % 8
        name, code = _FIELDS.get(data[at], ("", ""))
        signature, at = walk.signature(at + 1)
        if name and signature != code:
            raise BrokenFrame(f"the header field {name} has type {signature!r}")
        value: str | int
        if code in ("s", "o"):
            value, at = walk.text(at)
        elif code == "g":
            value, at = walk.signature(at)
        elif code == "u":
            value, at = int(walk.unpack(data, at)[0]), at + 4
        else:
            _, at = walk.skip(signature, 0, at)
            continue
        setattr(frame, name, value)
    if at != end:
        raise BrokenFrame("the header is longer than it says")
