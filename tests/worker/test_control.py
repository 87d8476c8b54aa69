# SPDX-License-Identifier: LGPL-2.1-or-later
"""What may be said while a file is written: commit, abort, cancel, ask, release; and who may go away."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from support.workers import MIB, TAPE, Bench, Peer, Refusal, feed
from tapeds.worker.messages import (
    Abort,
    Ask,
    Cancel,
    Commit,
    Refused,
    Release,
    Released,
    State,
    Taken,
)

DATA = random.Random(8).randbytes(3_000_000)


@dataclass
class Transfer:
    """A write in one of its phases."""

    peer: Peer
    number: int
    source: int
    given: int
    """bytes that were put into the pipe"""

    def close(self) -> None:
        if self.source >= 0:
            os.close(self.source)
            self.source = -1


def before_the_first_byte(bench: Bench, peer: Peer) -> Transfer:
    number, source = peer.write_slowly(b"", name="x", digest=True)
    while not peer.knowledge().in_file:
        pass
    return Transfer(peer, number, source, 0)


def in_the_middle(bench: Bench, peer: Peer) -> Transfer:
    number, source = peer.write_slowly(DATA, name="x", digest=True)
    peer.wait_for_blocks(bench.tape_file(2), 11)
    return Transfer(peer, number, source, len(DATA))


def at_the_end_of_the_data(bench: Bench, peer: Peer) -> Transfer:
    transfer = in_the_middle(bench, peer)
    transfer.close()
    return transfer


def committed_and_waiting_for_more(bench: Bench, peer: Peer) -> Transfer:
    transfer = in_the_middle(bench, peer)
    peer.send(Commit(transfer.number, len(DATA) + 5))
    assert peer.receive() == Taken(transfer.number)
    return transfer


def at_full_speed(bench: Bench, peer: Peer) -> Transfer:
    read_end, write_end = os.pipe()
    number = peer.begin("write-file", read_end, name="x", digest=True)
    os.close(read_end)
    threading.Thread(target=feed, args=(write_end, DATA * 60)).start()
    peer.wait_for_blocks(bench.tape_file(2), 40)
    return Transfer(peer, number, -1, 60 * len(DATA))


PHASES = [
    before_the_first_byte,
    in_the_middle,
    at_the_end_of_the_data,
    committed_and_waiting_for_more,
    at_full_speed,
]
Phase = Callable[[Bench, Peer], Transfer]
each_phase = pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.__name__)


@pytest.fixture
def peer(bench: Bench) -> Peer:
    """A worker with a tape that has both labels."""
    return bench.labelled()


def incomplete_file(peer: Peer, facts: dict[str, object], given: int) -> None:
    """File 2 is closed, marked incomplete, and holds what was told of it."""
    assert facts["file"] == 2
    assert facts["complete"] is False
    on_tape = facts["bytes-on-tape"]
    assert isinstance(on_tape, int)
    assert 0 <= on_tape <= given
    assert facts["bytes"] == on_tape
    listed = peer.ask("list-files", first=2)["files"]
    assert listed == [{"number": 2, "kind": "file", "name": "x", "bytes": on_tape, "complete": False}]
    peer.ask("move-to-file", file=2)
    with pytest.raises(Refusal, match=f"Incomplete: {TAPE}: file 2 is marked incomplete") as refused:
        peer.read(digest=True)
    expected = (DATA * (on_tape // len(DATA) + 1))[:on_tape]
    assert refused.value.data["sha256"] == hashlib.sha256(expected).hexdigest()
    assert peer.write(b"next", name="next")["file"] == 3


@each_phase
def test_a_cancelled_file_is_closed_as_incomplete(bench: Bench, peer: Peer, phase: Phase) -> None:
    transfer = phase(bench, peer)
    peer.send(Cancel(transfer.number, "Cancelled", "cancelled by uid 1000"))
    with pytest.raises(Refusal, match="Cancelled: cancelled by uid 1000") as refused:
        peer.end(transfer.number)
    assert (peer.state.file, peer.state.position_known, peer.state.in_file) == (3, True, False)
    assert peer.state.durable_file == 3
    assert not bench.intent.exists()
    transfer.close()
    incomplete_file(peer, refused.value.data, transfer.given)


@each_phase
def test_an_aborted_file_is_closed_as_incomplete(bench: Bench, peer: Peer, phase: Phase) -> None:
    transfer = phase(bench, peer)
    peer.send(Abort(transfer.number))
    assert peer.receive() == Taken(transfer.number)
    with pytest.raises(Refusal, match=f"Incomplete: {TAPE}: the caller has given up the transfer") as refused:
        peer.end(transfer.number)
    transfer.close()
    incomplete_file(peer, refused.value.data, transfer.given)


@each_phase
def test_a_client_that_goes_leaves_an_incomplete_file(bench: Bench, peer: Peer, phase: Phase) -> None:
    transfer = phase(bench, peer)
    peer.send(Cancel(transfer.number, "ClientGone", ":1.7 has gone away"))
    with pytest.raises(Refusal, match=r"ClientGone: :1\.7 has gone away") as refused:
        peer.end(transfer.number)
    transfer.close()
    incomplete_file(peer, refused.value.data, transfer.given)


@each_phase
def test_sigterm_closes_the_file_and_gives_the_device_back(bench: Bench, peer: Peer, phase: Phase) -> None:
    transfer = phase(bench, peer)
    bench.terminate()
    with pytest.raises(Refusal, match="Cancelled: the worker was told to stop") as refused:
        peer.end(transfer.number)
    assert peer.receive() is None
    assert bench.exit_status() == 0
    assert not bench.intent.exists()
    transfer.close()
    incomplete_file(bench.opened(), refused.value.data, transfer.given)


@each_phase
def test_the_end_of_the_socket_closes_the_file(bench: Bench, peer: Peer, phase: Phase) -> None:
    transfer = phase(bench, peer)
    peer.socket.close()
    assert bench.exit_status() == 0
    assert bench.intent.exists()                      # nobody could be told: the next start tells
    transfer.close()
    follower = bench.opened()
    assert not bench.intent.exists()
    entry = follower.ask("list-files", first=2)["files"][0]
    assert entry["complete"] is False
    assert entry["bytes"] <= transfer.given
    assert "first-error" not in follower.ask("verify-tape")


@each_phase
def test_a_release_stops_the_write_first(bench: Bench, peer: Peer, phase: Phase) -> None:
    transfer = phase(bench, peer)
    peer.send(Release())
    with pytest.raises(Refusal, match="Cancelled: the device is being released") as refused:
        peer.end(transfer.number)
    assert peer.receive() == Released()
    transfer.close()
    peer.open(bench.spec())
    incomplete_file(peer, refused.value.data, transfer.given)


@each_phase
def test_the_knowledge_is_told_at_any_time(bench: Bench, peer: Peer, phase: Phase) -> None:
    transfer = phase(bench, peer)
    for _ in range(3):
        peer.send(Ask())
        answer = peer.receive()
        assert isinstance(answer, State)
        assert answer.state.in_file
        assert (answer.state.file, answer.state.durable_file) == (2, 2)
    peer.send(Cancel(transfer.number))
    with pytest.raises(Refusal, match="Cancelled"):
        peer.end(transfer.number)
    transfer.close()


# --- commit -------------------------------------------------------------------------------------


def test_the_end_of_the_data_is_no_commit(bench: Bench, peer: Peer) -> None:
    transfer = at_the_end_of_the_data(bench, peer)
    peer.send(Ask())
    answer = peer.receive()
    assert isinstance(answer, State)
    assert answer.state.in_file
    peer.send(Commit(transfer.number, len(DATA)))
    assert peer.receive() == Taken(transfer.number)
    assert peer.end(transfer.number)["bytes"] == len(DATA)


def test_a_commit_may_come_before_the_end_of_the_data(bench: Bench, peer: Peer) -> None:
    transfer = in_the_middle(bench, peer)
    peer.send(Commit(transfer.number, len(DATA)))
    assert peer.receive() == Taken(transfer.number)
    assert peer.end(transfer.number)["complete"] is True
    transfer.close()


def test_a_commit_may_come_before_the_first_byte(bench: Bench, peer: Peer) -> None:
    number, source = peer.write_slowly(b"", name="x")
    peer.send(Commit(number, 5))
    assert peer.receive() == Taken(number)
    os.write(source, b"12345")
    assert peer.end(number)["bytes"] == 5
    os.close(source)


def test_of_what_comes_behind_the_committed_size_nothing_is_taken(peer: Peer) -> None:
    number, source = peer.write_slowly(b"", name="x")
    peer.send(Commit(number, 5))
    assert peer.receive() == Taken(number)
    os.write(source, b"12345678")
    assert peer.end(number)["bytes"] == 5
    os.close(source)
    peer.ask("move-to-file", file=2)
    assert peer.read()[0] == b"12345"


def test_less_data_than_committed_is_an_incomplete_file(bench: Bench, peer: Peer) -> None:
    transfer = at_the_end_of_the_data(bench, peer)
    peer.send(Commit(transfer.number, len(DATA) + 1))
    assert peer.receive() == Taken(transfer.number)
    with pytest.raises(Refusal, match=f"Incomplete: {TAPE}: the data ended after {len(DATA)} bytes"):
        peer.end(transfer.number)


def test_a_commit_with_the_right_digest_closes_the_file(bench: Bench, peer: Peer) -> None:
    transfer = at_the_end_of_the_data(bench, peer)
    digest = hashlib.sha256(DATA).hexdigest()
    peer.send(Commit(transfer.number, len(DATA), digest))
    assert peer.receive() == Taken(transfer.number)
    assert peer.end(transfer.number)["sha256"] == digest


def test_a_commit_with_another_digest_does_not(bench: Bench, peer: Peer) -> None:
    transfer = at_the_end_of_the_data(bench, peer)
    peer.send(Commit(transfer.number, len(DATA), "00" * 32))
    assert peer.receive() == Taken(transfer.number)
    with pytest.raises(Refusal, match="Incomplete: tape TEST01L8 in drive lto0: the SHA-256 of the data is"):
        peer.end(transfer.number)


def test_commits_that_cannot_be_taken_are_refused_and_the_write_goes_on(peer: Peer) -> None:
    number, source = peer.write_slowly(b"abc", name="x")
    for commit, name, text in (
        (Commit(number + 1, 3), "JobFinished", f"request {number + 1} is not running any more"),
        (Commit(number, -1), "InvalidOption", "size -1 is negative; give the number of bytes written"),
        (
            Commit(number, 3, "00" * 32),
            "InvalidOption",
            "sha256 needs a transfer that was started with digest=sha256",
        ),
    ):
        peer.send(commit)
        refused = peer.receive()
        assert isinstance(refused, Refused)
        assert (refused.id, refused.name) == (commit.id, name)
        assert refused.message.startswith(text)
    peer.send(Commit(number, 4))
    assert peer.receive() == Taken(number)
    peer.send(Commit(number, 4))
    assert peer.receive() == Refused(
        number, "InvalidState", "the transfer was committed with 4 bytes; wait for its end"
    )
    os.write(source, b"d")
    assert peer.end(number)["bytes"] == 4
    os.close(source)


def test_a_digest_that_is_none_is_refused(bench: Bench, peer: Peer) -> None:
    transfer = in_the_middle(bench, peer)
    for digest in ("00", "zz" * 32, "00" * 33):
        peer.send(Commit(transfer.number, len(DATA), digest))
        refused = peer.receive()
        assert isinstance(refused, Refused)
        assert (refused.name, refused.message[:29]) == ("InvalidOption", "sha256 is not 32 bytes long; ")
    peer.send(Commit(transfer.number, len(DATA)))
    assert peer.receive() == Taken(transfer.number)
    peer.end(transfer.number)
    transfer.close()


def test_what_is_said_of_another_request_is_left_out(bench: Bench, peer: Peer) -> None:
    transfer = in_the_middle(bench, peer)
    peer.send(Cancel(transfer.number - 1))
    peer.send(Cancel(transfer.number + 1))
    peer.send(Abort(transfer.number + 1))
    refused = peer.receive()
    assert isinstance(refused, Refused)
    assert refused.name == "JobFinished"
    peer.send(Commit(transfer.number, len(DATA)))
    assert peer.receive() == Taken(transfer.number)
    assert peer.end(transfer.number)["complete"] is True
    transfer.close()


def test_an_error_that_is_none_is_called_cancelled(bench: Bench, peer: Peer) -> None:
    for error in ("TapeError", "Nonsense", "Exception", ""):
        number, source = peer.write_slowly(b"abc")
        peer.send(Cancel(number, error))
        with pytest.raises(Refusal, match=r"^Cancelled: cancelled by the caller"):
            peer.end(number)
        os.close(source)


def test_a_cancel_before_the_tape_moves_writes_nothing(bench: Bench, peer: Peer) -> None:
    read_end, write_end = os.pipe()
    before = peer.ask("list-files")
    # Both packets are in the socket before the worker looks at the first.
    os.kill(bench.processes[-1].pid, signal.SIGSTOP)
    number = peer.begin("write-file", read_end, name="x")
    peer.send(Cancel(number))
    os.kill(bench.processes[-1].pid, signal.SIGCONT)
    os.close(read_end)
    with pytest.raises(Refusal, match="Cancelled"):
        peer.end(number)
    os.close(write_end)
    assert peer.ask("list-files") == before
    assert not bench.intent.exists()


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("rewind", {}),
        ("move-to-eom", {"write_missing_eof": True}),
        ("move-to-last-file", {}),
        ("move-to-file", {"file": 1}),
        ("read-label", {}),
        ("label-tape", {"label_text": "TEST01L8", "overwrite": True}),
        ("write-media-set-label", {"pool": "x", "seq_nr": 1, "overwrite": True}),
        ("format-media", {"fast": True}),
        ("list-files", {}),
        ("verify-file", {"file": 0}),
        ("verify-tape", {}),
    ],
)
def test_a_cancel_that_comes_at_once_stops_before_anything_moves(
    bench: Bench, peer: Peer, operation: str, arguments: dict[str, object]
) -> None:
    before = peer.state
    os.kill(bench.processes[-1].pid, signal.SIGSTOP)
    number = peer.begin(operation, **arguments)
    peer.send(Cancel(number))
    os.kill(bench.processes[-1].pid, signal.SIGCONT)
    with pytest.raises(Refusal, match="Cancelled: cancelled by the caller"):
        peer.end(number)
    assert peer.state == before
    assert len(peer.ask("list-files")["files"]) == 2


def test_a_read_at_full_speed_can_be_stopped_by_sigterm(bench: Bench, peer: Peer) -> None:
    peer.write(DATA * 10)
    peer.ask("move-to-file", file=2)
    read_end, write_end = os.pipe()
    number = peer.begin("read-file", write_end)
    os.close(write_end)
    os.read(read_end, MIB)
    bench.terminate()
    with pytest.raises(Refusal, match="Cancelled: the worker was told to stop"):
        peer.end(number)
    assert bench.exit_status() == 0
    os.close(read_end)
