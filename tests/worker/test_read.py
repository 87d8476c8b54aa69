# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reading the file at the head."""

from __future__ import annotations

import hashlib
import os
import random
import socket
from pathlib import Path

import pytest

from support.workers import MIB, TAPE, Bench, Peer, Refusal
from tapeds.worker.messages import Abort, Cancel, Commit, Refused

DATA = random.Random(6).randbytes(700_000)


@pytest.fixture
def peer(bench: Bench) -> Peer:
    """A worker before the first of two files."""
    peer = bench.labelled()
    peer.write(DATA, name="one")
    peer.write(b"two", name="two")
    peer.ask("move-to-file", file=2)
    return peer


def test_the_head_is_behind_a_file_that_was_read(peer: Peer) -> None:
    assert peer.read()[1]["name"] == "one"
    assert (peer.state.file, peer.state.block) == (3, 0)
    assert peer.read()[0] == b"two"
    with pytest.raises(Refusal, match=f"EndOfData: {TAPE}: file 4: the data on the tape ends before it"):
        peer.read()


def test_the_raw_header_comes_where_it_is_wanted(peer: Peer) -> None:
    data, result = peer.read(raw_header=True)
    assert data.endswith(DATA)
    assert data[:8].hex() == "63ee149fcdf29b0c"
    assert "name" not in result
    assert result["bytes"] == len(data)


def test_the_digest_is_told_where_it_was_asked_for(peer: Peer) -> None:
    assert peer.read(digest=True)[1]["sha256"] == hashlib.sha256(DATA).hexdigest()


def test_a_label_is_read_like_any_file(peer: Peer) -> None:
    peer.ask("rewind")
    data, result = peer.read()
    assert result["content-kind"] == "media-label"
    assert b'"label_text": "TEST01L8"' in data


def test_a_regular_file_takes_the_data(peer: Peer, tmp_path: Path) -> None:
    with open(tmp_path / "out", "wb") as out:
        result = peer.ask("read-file", out.fileno())
    assert result["bytes"] == 700_000
    assert (tmp_path / "out").read_bytes() == DATA


def test_a_socket_takes_the_data(peer: Peer) -> None:
    left, right = socket.socketpair()
    number = peer.begin("read-file", right.fileno())
    right.close()
    received = b"".join(iter(lambda: left.recv(MIB), b""))
    left.close()
    assert peer.end(number)["bytes"] == 700_000
    assert received == DATA


def test_the_descriptor_is_closed_before_the_result_is_told(peer: Peer) -> None:
    read_end, write_end = os.pipe()
    number = peer.begin("read-file", write_end, owned=True)
    os.close(write_end)
    received = b"".join(iter(lambda: os.read(read_end, MIB), b""))
    os.close(read_end)
    assert received == DATA
    assert peer.end(number)["bytes"] == 700_000


def test_a_reader_that_goes_away_leaves_the_head_inside_the_file(peer: Peer) -> None:
    read_end, write_end = os.pipe()
    number = peer.begin("read-file", write_end)
    os.close(write_end)
    os.read(read_end, 1)
    os.close(read_end)
    with pytest.raises(Refusal, match="ClientGone: the other end of the data was closed") as refused:
        peer.end(number)
    assert refused.value.data["file"] == 2
    assert refused.value.data["complete"] is False
    assert peer.state.position_known
    peer.ask("move-to-file", file=2)
    assert peer.read()[0] == DATA


def test_a_read_can_be_cancelled_while_the_reader_waits(peer: Peer) -> None:
    read_end, write_end = os.pipe()
    number = peer.begin("read-file", write_end)
    os.close(write_end)
    os.read(read_end, 1)
    peer.send(Cancel(number, "Cancelled", "cancelled by uid 1000"))
    with pytest.raises(Refusal, match="Cancelled: cancelled by uid 1000") as refused:
        peer.end(number)
    assert refused.value.data["complete"] is False
    os.close(read_end)


def test_a_read_can_be_neither_committed_nor_aborted(peer: Peer) -> None:
    read_end, write_end = os.pipe()
    number = peer.begin("read-file", write_end)
    os.close(write_end)
    os.read(read_end, 1)
    peer.send(Commit(number, 5))
    text = f"request {number} writes no file; cancel it instead"
    assert peer.receive() == Refused(number, "InvalidState", text)
    peer.send(Abort(number))
    assert peer.receive() == Refused(number, "InvalidState", text)
    peer.send(Cancel(number))
    with pytest.raises(Refusal, match="Cancelled: cancelled by the caller"):
        peer.end(number)
    os.close(read_end)


def test_an_empty_drive_gives_nothing(bench: Bench) -> None:
    peer = bench.opened()
    with pytest.raises(Refusal, match="NoMedia: drive lto0 is empty; load a tape first"):
        peer.read()


def test_an_incomplete_file_is_delivered_and_then_called_so(peer: Peer) -> None:
    with pytest.raises(Refusal, match="Incomplete") as written:
        peer.write(DATA, name="three", size=700_001)
    on_tape = written.value.data["bytes-on-tape"]
    peer.ask("move-to-file", file=4)
    read_end, write_end = os.pipe()
    number = peer.begin("read-file", write_end, digest=True)
    os.close(write_end)
    received = b"".join(iter(lambda: os.read(read_end, MIB), b""))
    os.close(read_end)
    with pytest.raises(Refusal, match=f"Incomplete: {TAPE}: file 4 is marked incomplete") as refused:
        peer.end(number)
    assert received == DATA[:on_tape]
    assert refused.value.data == {
        "file": 4,
        "bytes": on_tape,
        "complete": False,
        "name": "three",
        "sha256": hashlib.sha256(received).hexdigest(),
    }
    assert (peer.state.file, peer.state.position_known) == (5, True)
