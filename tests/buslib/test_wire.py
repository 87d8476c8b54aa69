# SPDX-License-Identifier: LGPL-2.1-or-later
"""Frames: where a message ends and what its header says, in whatever pieces it comes."""

from __future__ import annotations

import socket
import struct
from types import ModuleType
from typing import Any

import pytest

from support import rawbus

UNKNOWN = {
    "a string": ("s", rawbus.string("future")),
    "a signature": ("g", rawbus.signature("a{sv}")),
    "a number": ("t", struct.pack("<Q", 2**64 - 1)),
    "a byte": ("y", b"\7"),
    "a list of strings": ("as", struct.pack("<I", 6) + rawbus.string("x")),
    "an empty list of pairs": ("a(xx)", struct.pack("<I", 0) + b"\0" * 4),
    "a structure": ("(yas)", b"\1\0\0\0" + struct.pack("<I", 6) + rawbus.string("x")),
    "a variant in a variant": ("v", b"\1v\0\1s\0\0\0" + rawbus.string("deep")),
    "a dictionary": ("a{sv}", struct.pack("<I", 10) + b"\0" * 4 + rawbus.string("k") + b"\1y\0\7"),
}


def fields_with(unknown: bytes, place: int) -> list[bytes]:
    fields = rawbus.call_fields("org.example.Service", "/a", "org.example.Interface", "Do", "s")
    fields.append(rawbus.header_field(rawbus.SENDER, "s", rawbus.string(":1.7")))
    fields.insert(place, unknown)
    return fields


def header_of(room: ModuleType, message: bytes) -> bytes:
    header, _ = room.wire.lengths(message, 0)
    return message[:header]


@pytest.mark.parametrize("place", [0, 2, 6])
@pytest.mark.parametrize("what", UNKNOWN)
def test_unknown_header_fields_are_ignored_and_no_library_sees_them(
    room: ModuleType, what: str, place: int
) -> None:
    kind, value = UNKNOWN[what]
    unknown = rawbus.header_field(200, kind, value)
    message = rawbus.frame(rawbus.CALL, 7, fields_with(unknown, place), rawbus.string("body"))
    frame = room.wire.parse_header(header_of(room, message))
    assert (frame.sender, frame.path, frame.member, frame.signature) == (":1.7", "/a", "Do", "s")
    assert frame.interface == "org.example.Interface"
    assert room.library.decode(frame.order, frame.signature, rawbus.string("body"), 100) == ["body"]


def test_a_header_from_a_big_endian_machine_is_read(room: ModuleType) -> None:
    def string(text: str) -> bytes:
        return struct.pack(">I", len(text)) + text.encode() + b"\0"

    fields = b""
    for code, kind, value in ((1, "o", string("/a")), (3, "s", string("Do")), (7, "s", string(":1.7")),
                              (8, "g", rawbus.signature("su"))):
        fields = rawbus.align(fields, 8) + bytes([code]) + rawbus.signature(kind) + value
    body = rawbus.align(string("x"), 4) + struct.pack(">I", 5)
    head = struct.pack(">BBBBIII", ord("B"), 1, 0, 1, len(body), 99, len(fields))
    message = rawbus.align(head + fields, 8) + body
    frame = room.wire.parse_header(header_of(room, message))
    assert (frame.serial, frame.path, frame.member, frame.sender) == (99, "/a", "Do", ":1.7")
    assert room.library.decode(frame.order, frame.signature, body, 100) == ["x", 5]


def test_equal_headers_are_read_once_and_stay_apart(room: ModuleType) -> None:
    fields = fields_with(b"", 0)[1:]
    headers = [header_of(room, rawbus.frame(rawbus.CALL, serial, fields)) for serial in (1, 2)]
    frames = [room.wire.parse_header(header) for header in headers]
    assert [frame.serial for frame in frames] == [1, 2]
    assert frames[0].sender == frames[1].sender == ":1.7"
    frames[0].refusal = "only this one"
    assert room.wire.parse_header(headers[1]).refusal == ""


def test_what_is_remembered_of_headers_has_an_end(room: ModuleType) -> None:
    for number in range(3_000):
        fields = rawbus.call_fields("org.example.Service", f"/path/{number}", None, "Do")
        room.wire.parse_header(header_of(room, rawbus.frame(rawbus.CALL, 1, fields)))
    assert len(room.wire._headers) <= 512


BROKEN = {
    "no message": b"HTTP/1.1 400 Bad Request\r\n\r\n" + b"\0" * 16,
    "another protocol": b"l\1\0\2" + b"\0" * 12,
    "two hundred megabytes": struct.pack("<BBBBIII", ord("l"), 1, 0, 1, 200 << 20, 1, 0),
    "a path that is a number": rawbus.frame(1, 1, [rawbus.header_field(1, "u", b"\0\0\0\0")]),
    "a string without end": rawbus.frame(1, 1, [rawbus.header_field(3, "s", struct.pack("<I", 9_000))]),
    "an unknown field of no type": rawbus.frame(1, 1, [rawbus.header_field(99, "?", b"\0\0\0\0")]),
    "a member that is no text": rawbus.frame(1, 1, [rawbus.header_field(3, "s", rawbus.string(b"\xff\xfe"))]),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_bus_that_talks_nonsense_is_left(
    room: ModuleType, wire_pair: tuple[socket.socket, socket.socket], what: str
) -> None:
    ours, theirs = wire_pair
    reader = room.reader.Reader(ours, lambda frame, length: True, lambda sender: False)
    theirs.sendall(BROKEN[what])
    with pytest.raises(room.wire.BrokenFrame):
        reader.read()


@pytest.mark.parametrize("piece", [1, 7, 16, 100, 10_000])
def test_messages_may_come_in_any_pieces(
    room: ModuleType, wire_pair: tuple[socket.socket, socket.socket], piece: int
) -> None:
    ours, theirs = wire_pair
    wanted = [rawbus.frame(rawbus.CALL, serial, fields_with(b"", 0)[1:], rawbus.string("x" * serial))
              for serial in range(1, 30)]
    unwanted = rawbus.frame(rawbus.CALL, 0, fields_with(b"", 0)[1:], rawbus.string("y" * 1_000))
    data = unwanted.join(wanted)
    reader = room.reader.Reader(ours, lambda frame, length: frame.serial != 0, lambda sender: False)
    frames: list[Any] = []
    for at in range(0, len(data), piece):
        theirs.sendall(data[at : at + piece])
        while (more := reader.read()) is not None:
            frames += more
    assert [frame.serial for frame in frames] == list(range(1, 30))
    assert [frame.body for frame in frames] == [rawbus.string("x" * serial) for serial in range(1, 30)]


def test_an_unwanted_message_with_a_reason_is_returned_without_its_body(
    room: ModuleType, wire_pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = wire_pair

    def wants(frame: Any, length: int) -> bool:
        frame.refusal = "too long" if length > 1_000 else ""
        return not frame.refusal

    reader = room.reader.Reader(ours, wants, lambda sender: False)
    long = rawbus.frame(rawbus.CALL, 1, fields_with(b"", 0)[1:], rawbus.string("y" * 5_000))
    short = rawbus.frame(rawbus.CALL, 2, fields_with(b"", 0)[1:], rawbus.string("x"))
    theirs.sendall(long + short)
    frames = []
    while (more := reader.read()) is not None:
        frames += more
    assert [(frame.serial, frame.refusal, frame.body) for frame in frames] == [
        (1, "too long", b""), (2, "", rawbus.string("x")),
    ]


def test_the_end_of_the_connection_is_told(
    room: ModuleType, wire_pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = wire_pair
    reader = room.reader.Reader(ours, lambda frame, length: True, lambda sender: False)
    assert reader.read() is None
    theirs.close()
    with pytest.raises(ConnectionError):
        reader.read()


def test_senders_are_served_in_turn(room: ModuleType) -> None:
    inbox = room.inbox.Inbox()
    for item in ("a1", "a2", "a3", "b1", "c1", "b2"):
        inbox.put(item[0], item, 10)
    assert inbox.bytes == 60
    assert inbox.take_all() == ["a1", "b1", "c1", "a2", "b2", "a3"]
    assert (inbox.bytes, bool(inbox)) == (0, False)


def test_a_blamed_sender_is_served_apart_until_it_is_forgiven(room: ModuleType) -> None:
    inbox = room.inbox.Inbox()
    for number in range(room.inbox.CALLS_PER_SENDER):
        assert inbox.has_room("a", 1)
        inbox.put("a", number, 1)
    assert not inbox.has_room("a", 1)
    assert inbox.is_full("a")
    assert inbox.blame("a")
    assert not inbox.blame("a")
    inbox.blame("nobody")
    inbox.put("b", "b", 1)
    assert inbox.take(blamed=False) == ("b", "b")
    assert inbox.take(blamed=False) is None
    inbox.forgive()                                    # something of it waits: not yet
    assert [inbox.take(blamed=True) for _ in range(256)] == [("a", number) for number in range(256)]
    inbox.put("a", "more", 1)
    assert inbox.take(blamed=False) is None
    assert inbox.take(blamed=True) == ("a", "more")
    inbox.forgive()
    inbox.put("a", "again", 1)
    assert inbox.take(blamed=False) == ("a", "again")


def test_a_sender_may_have_only_so_many_bytes_waiting(room: ModuleType) -> None:
    inbox = room.inbox.Inbox()
    assert inbox.has_room("a", 10**9)                  # a first one always; its length is limited elsewhere
    inbox.put("a", "x", 600_000)
    assert inbox.has_room("a", 400_000)
    assert not inbox.has_room("a", 500_000)
    assert inbox.has_room("b", 500_000)
