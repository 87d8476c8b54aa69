# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whatever a peer sends, the worker goes on, or ends with the device given back."""

from __future__ import annotations

import os
import random
import socket

import pytest

from support.workers import Bench, Peer, Refusal
from tapeds.worker import messages
from tapeds.worker.messages import MAXIMUM, Ask, Commit, Failure, Request, Result, State, Taken

JUNK = [
    b"\x00",
    b"{",
    b"null",
    b"[]",
    b'{"type":"Nonsense"}',
    b'{"type":"Request","id":"x","operation":"rewind"}',
    b'{"type":"Request","id":1,"operation":["rewind"]}',
    b'{"type":"Commit","id":1,"size":"many"}',
    b'{"type":"Open","device":{"path":5}}',
    b"[" * 60_000,
    b"\xff" * 1000,
    b"x" * MAXIMUM,
]


def open_descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def test_junk_is_logged_and_left_out(bench: Bench) -> None:
    peer = bench.opened()
    for count, junk in enumerate(JUNK, start=1):
        peer.socket.send(junk)
        assert peer.knowledge().media_state == "empty"
        assert [line.message[:16] for line in peer.logs] == ["packet left out:"] * count


def test_a_packet_that_is_too_long_is_logged_and_left_out(bench: Bench) -> None:
    peer = bench.opened()
    peer.socket.send(b'{"type":"Ask"}' + b" " * MAXIMUM)
    assert peer.knowledge().media_state == "empty"
    assert peer.logs[0].message == f"packet left out: a packet of more than {MAXIMUM} bytes"


def test_an_empty_packet_ends_the_conversation(bench: Bench) -> None:
    peer = bench.labelled()
    peer.socket.send(b"")
    assert peer.receive() is None
    assert bench.exit_status() == 0
    bench.opened()


def test_junk_before_hello_is_left_out(bench: Bench) -> None:
    peer = bench.process()
    peer.socket.send(b"junk")
    peer.greet()
    peer.open(bench.spec())


def test_junk_in_the_middle_of_a_write_harms_no_byte(bench: Bench) -> None:
    peer = bench.labelled()
    data = random.Random(1).randbytes(2_000_000)
    number, source = peer.write_slowly(data[:1_000_000])
    for junk in JUNK:
        peer.socket.send(junk)
    remaining = memoryview(data)[1_000_000:]
    while remaining:
        remaining = remaining[os.write(source, remaining) :]
    peer.send(Commit(number, len(data)))
    assert peer.receive() == Taken(number)
    assert peer.end(number)["bytes"] == len(data)
    os.close(source)
    peer.ask("move-to-file", file=2)
    assert peer.read()[0] == data


def test_descriptors_that_come_with_anything_are_closed(bench: Bench) -> None:
    peer = bench.opened()
    pid = bench.processes[-1].pid
    before = open_descriptors(pid)
    null = os.open("/dev/null", os.O_RDWR)
    try:
        for _ in range(20):
            socket.send_fds(peer.socket, [messages.encode(Ask())], [null])
            assert isinstance(peer.receive(), State)
            socket.send_fds(peer.socket, [b"junk"], [null] * 3)
            peer.knowledge()
            # More than there is room for: the kernel closes what is left.
            socket.send_fds(peer.socket, [messages.encode(Ask())], [null] * 20)
            assert isinstance(peer.receive(), State)
            with pytest.raises(Refusal, match="InvalidFileDescriptor"):
                peer.ask("read-file", null)
            with pytest.raises(Refusal, match="InvalidFileDescriptor"):
                peer.ask("write-file", null, null)
            with pytest.raises(Refusal, match="NotSupported"):
                peer.ask("dance", null)
    finally:
        os.close(null)
    assert open_descriptors(pid) == before


def test_descriptors_of_transfers_are_closed(bench: Bench) -> None:
    peer = bench.labelled()
    peer.write(b"x")
    pid = bench.processes[-1].pid
    before = open_descriptors(pid)
    for _ in range(10):
        peer.write(b"x")
        peer.ask("move-to-file", file=2)
        peer.read()
    assert open_descriptors(pid) == before


WRONG_ARGUMENTS: list[tuple[str, dict[str, object]]] = [
    ("rewind", {"x": 1}),
    ("move-to-file", {}),
    ("move-to-file", {"file": "1"}),
    ("move-to-file", {"file": -1}),
    ("move-to-file", {"file": 2**70}),
    ("move-to-file", {"file": {"a": [1]}}),
    ("move-to-eom", {"write-missing-eof": "yes"}),
    ("label-tape", {"label-text": "../../etc/passwd"}),
    ("label-tape", {"label-text": "x" * 100_000}),
    ("label-tape", {"label-text": "TEST01L8", "uuid": "x"}),
    ("label-tape", {"label-text": "TEST01L8", "ctime": 2**64}),
    ("write-media-set-label", {"pool": "default"}),
    ("write-media-set-label", {"pool": "\ud800", "seq-nr": 0}),
    ("write-media-set-label", {"pool": 5, "seq-nr": 0}),
    ("format-media", {"fast": None}),
    ("list-files", {"first": 1.5}),
    ("list-files", {"count": -5}),
    ("verify-file", {"file": []}),
    ("load-media", {"label-text": {}}),
    ("load-slot", {"slot": "one"}),
    ("unload-media", {"slot": "one"}),
    ("transfer-media", {"from": 1}),
    ("export-media", {}),
    ("inventory", {"first": "a"}),
    ("status", {"verbose": True}),
]
WRONG_WRITES: list[dict[str, object]] = [
    {"name": 5},
    {"name": "\ud800"},
    {"name": "x" * 70_000},
    {"attributes": []},
    {"attributes": {"x": "y" * 70_000}},
    {"name": "a", "content-magic": "00" * 8},
    {"attributes": {}, "header": "00"},
    {"content-magic": "00"},
    {"content-magic": "zz"},
    {"header": "00"},
    {"size": -1},
    {"size": "5"},
    {"commit-on-eof": 1},
    {"sha256": "00"},
    {"digest": "sha256"},
    {"durable": "no"},
    {"file": "2"},
    {"expect-uuid": "x"},
    {"expect-file": -2},
    {"unlabelled": 0},
    {"owned": None},
    {"nonsense": 1},
]


def test_wrong_arguments_are_refused_and_nothing_moves(bench: Bench) -> None:
    peer = bench.labelled()
    before = peer.state
    for operation, arguments in WRONG_ARGUMENTS:
        peer.send(Request(99, operation, arguments))
        with pytest.raises(Refusal, match="InvalidOption") as refused:
            peer.end(99)
        assert len(refused.value.text) <= 2000, operation
        assert peer.state == before, operation


def test_wrong_arguments_of_a_write_are_refused_and_nothing_is_written(bench: Bench) -> None:
    peer = bench.labelled()
    read_end, write_end = os.pipe()
    for arguments in WRONG_WRITES:
        peer.send(Request(99, "write-file", arguments), (read_end,))
        with pytest.raises(Refusal, match="InvalidOption"):
            peer.end(99)
        assert not bench.intent.exists(), arguments
    os.close(read_end)
    os.close(write_end)
    assert len(peer.ask("list-files")["files"]) == 2


def test_attributes_that_json_nests_deeply_are_refused_or_written(bench: Bench) -> None:
    peer = bench.labelled()
    nested: dict[str, object] = {}
    for _ in range(400):
        nested = {"a": nested}
    read_end, write_end = os.pipe()
    peer.send(Request(99, "write-file", {"attributes": nested, "commit-on-eof": True}), (read_end,))
    os.close(read_end)
    os.close(write_end)
    assert isinstance(peer.receive(), Failure | Result)
    peer.knowledge()


def test_many_messages_at_once_are_all_answered(bench: Bench) -> None:
    peer = bench.opened()
    for _ in range(100):
        peer.send(Ask())
    for _ in range(100):
        assert isinstance(peer.receive(), State)


def test_random_requests_never_end_the_worker(bench: Bench) -> None:
    peer = bench.labelled()
    chance = random.Random(7)
    operations = [
        "sync", "rewind", "move-to-eom", "move-to-last-file", "move-to-file", "current-file-number", "status",
        "read-label", "label-tape", "write-media-set-label", "format-media", "read-file", "write-file",
        "list-files", "verify-file", "inventory", "load-media", "load-slot", "unload-media", "transfer-media",
        "export-media", "eject-media",
    ]  # fmt: skip
    keys = [
        "file", "fast", "label-text", "pool", "seq-nr", "slot", "from", "to", "first", "count", "overwrite",
        "write-missing-eof", "create",
    ]  # fmt: skip
    values = [0, 1, 2, 3, True, False, "TEST01L8", "X", None, [], {}, -1, 2**64]
    for _ in range(400):
        chosen = chance.sample(keys, chance.randrange(4))
        peer.send(Request(1, chance.choice(operations), {key: chance.choice(values) for key in chosen}))
        assert isinstance(peer.receive(), Result | Failure)
    assert peer.release() == []


def test_a_peer_that_does_not_read_cannot_keep_the_device(bench: Bench) -> None:
    peer = bench.labelled()
    fill(peer)
    bench.terminate()
    assert bench.exit_status() == 0
    bench.opened()


def fill(peer: Peer) -> None:
    """Ask for more than the socket holds and read nothing of it."""
    peer.socket.setblocking(False)
    try:
        while True:
            peer.send(Request(1, "inventory"))
    except BlockingIOError:
        peer.socket.setblocking(True)
