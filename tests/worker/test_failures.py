# SPDX-License-Identifier: LGPL-2.1-or-later
"""When the device fails: what is known afterwards, and how the work goes on."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.powerloss import Recorder
from support.workers import Bench, Peer, Refusal
from tapeds.worker.messages import Log

DATA = random.Random(11).randbytes(2_000_000)


class Trouble:
    """Makes calls of the file system fail, as long as it is told to."""

    def __init__(self) -> None:
        self.calls: dict[str, int] = {}           # name of the call: error number
        self.skip = 0                             # calls of these names that still work

    def __call__(self, number: int, name: str) -> None:
        code = self.calls.get(name)
        if code is None:
            return
        if self.skip > 0:
            self.skip -= 1
            return
        raise OSError(code, os.strerror(code))


@pytest.fixture
def trouble() -> Trouble:
    return Trouble()


@pytest.fixture
def peer(bench: Bench, trouble: Trouble) -> Iterator[Peer]:
    """A worker with both labels and one file on the tape; its file system can be made to fail."""
    recorder = Recorder(before=trouble)
    peer = bench.opened_in_thread(recorder)
    peer.ask("load-media", label_text="TEST01L8", create=True)
    peer.ask("label-tape", label_text="TEST01L8")
    peer.ask("write-media-set-label", pool="default", seq_nr=0)
    peer.write(b"before", name="before")
    yield peer
    trouble.calls.clear()


def entries(peer: Peer) -> list[tuple[str, bool]]:
    return [(entry["name"], entry["complete"]) for entry in peer.ask("list-files", first=2)["files"]]


def fail_in_write(peer: Peer, trouble: Trouble, **arguments: Any) -> Refusal:
    """Write a file and have the fourth block fail."""
    trouble.calls, trouble.skip = {"pwritev": errno.EIO}, 3
    with pytest.raises(Refusal) as refused:
        peer.write(DATA, name="broken", **arguments)
    return refused.value


def test_a_failed_block_ends_the_write(bench: Bench, peer: Peer, trouble: Trouble) -> None:
    failure = fail_in_write(peer, trouble)
    assert failure.name == "Io"
    assert failure.text == f"drive lto0: {bench.tape_file(3)}: Input/output error"
    assert failure.data["file"] == 3
    assert failure.data["complete"] is False
    assert failure.data["bytes-on-tape"] == 0
    assert failure.data["files-removed"] == 0


def test_after_a_failure_position_and_label_are_not_known(peer: Peer, trouble: Trouble) -> None:
    fail_in_write(peer, trouble)
    trouble.calls.clear()
    assert not peer.state.position_known
    assert not peer.state.label_known
    assert peer.state.media_state == "loaded"
    text = "PositionLost: drive lto0: the position is not proved; rewind or move to a file first"
    with pytest.raises(Refusal, match=text):
        peer.read()
    assert "file-number" not in peer.ask("status")
    assert not peer.state.position_known


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("rewind", {}),
        ("move-to-file", {"file": 1}),
        ("move-to-eom", {"write_missing_eof": False}),
        ("move-to-last-file", {}),
        ("read-label", {}),
        ("list-files", {}),
        ("verify-file", {"file": 0}),
    ],
)
def test_what_goes_to_a_known_place_proves_the_position(
    peer: Peer, trouble: Trouble, operation: str, arguments: dict[str, Any]
) -> None:
    fail_in_write(peer, trouble)
    trouble.calls.clear()
    peer.ask(operation, **arguments)
    assert peer.state.position_known


def test_the_broken_file_is_open_until_the_next_write_closes_it(
    bench: Bench, peer: Peer, trouble: Trouble
) -> None:
    fail_in_write(peer, trouble)
    trouble.calls.clear()
    assert peer.state.in_file
    assert bench.intent.exists()
    assert entries(peer) == [("before", True), ("broken", False)]
    assert peer.write(DATA, name="after")["file"] == 4
    assert peer.state.label_known
    assert not peer.state.in_file
    assert entries(peer) == [("before", True), ("broken", False), ("after", True)]
    assert any("file 3 is closed as incomplete" in line.message for line in peer.logs)
    assert not bench.intent.exists()


def test_a_release_closes_the_broken_file(bench: Bench, peer: Peer, trouble: Trouble) -> None:
    fail_in_write(peer, trouble)
    trouble.calls.clear()
    assert peer.release() == []
    assert not bench.intent.exists()
    assert peer.open(bench.spec()) == {}
    assert entries(peer) == [("before", True), ("broken", False)]
    assert "first-error" not in peer.ask("verify-tape")


def test_a_release_tries_every_step_and_tells_what_failed(
    bench: Bench, peer: Peer, trouble: Trouble
) -> None:
    fail_in_write(peer, trouble)
    trouble.calls = {"pwritev": errno.EIO, "fdatasync": errno.EIO, "fsync": errno.EIO}
    failed = peer.release()
    trouble.calls.clear()
    assert [step.split(":")[:2] for step in failed] == [
        ["mark the open file incomplete", " Io"],
        ["sync", " Io"],
        ["close", " Io"],
    ]
    assert bench.intent.exists()
    # The directory was given back all the same, and the next start mends what could not be.
    recovered = peer.open(bench.spec())["recovered"]
    assert "file 3 is closed as incomplete" in recovered
    assert entries(peer) == [("before", True), ("broken", False)]


def test_the_same_tape_must_be_there_after_a_failure(bench: Bench, peer: Peer, trouble: Trouble) -> None:
    uuid = peer.state.media["uuid"]
    fail_in_write(peer, trouble)
    trouble.calls.clear()
    golden = Path(__file__).parent.parent / "golden"
    shutil.copy(golden / "label-media.blk", bench.tape_file(0))
    for _ in range(2):
        with pytest.raises(Refusal) as refused:
            peer.write(DATA)
        assert str(refused.value) == (
            "WrongLabel: tape TEST01L8 in drive lto0 is media 7f42c4dd-9626-4d89-9f2b-c7bc6da7d533 "
            f"(label TEST01L8), but media {uuid} was in the drive before; read the label to go on"
        )
    peer.ask("read-label")
    peer.write(DATA)
    # The intent was of the other tape, and so its file stays open.
    assert [complete for _, complete in entries(peer)] == [True, False, True]


def test_a_sync_that_fails_fails_the_job_and_proves_nothing(
    bench: Bench, peer: Peer, trouble: Trouble
) -> None:
    peer.write(DATA, name="a", durable=False)
    trouble.calls = {"fdatasync": errno.EIO}
    with pytest.raises(Refusal, match=r"Io: drive lto0: .*Input/output error"):
        peer.ask("sync")
    trouble.calls.clear()
    assert peer.state.durable_file == 3
    assert not peer.state.position_known
    assert bench.intent.exists()


@pytest.mark.parametrize("call", ["fdatasync", "fsync"])
def test_a_file_that_cannot_be_made_durable_is_not_done(
    bench: Bench, peer: Peer, trouble: Trouble, call: str
) -> None:
    number, source = peer.write_slowly(DATA, name="a", commit_on_eof=True)
    peer.wait_for_blocks(bench.tape_file(3), 7)
    trouble.calls = {call: errno.EIO}
    os.close(source)
    with pytest.raises(Refusal, match="Io"):
        peer.end(number)
    trouble.calls.clear()
    assert peer.state.durable_file == 3
    assert bench.intent.exists()
    peer.write(b"next", name="next")
    assert "first-error" not in peer.ask("verify-tape")


def test_an_intent_that_cannot_be_removed_fails_no_write(bench: Bench, peer: Peer, trouble: Trouble) -> None:
    trouble.calls = {"unlink": errno.EIO}
    assert peer.write(DATA, name="a")["complete"] is True
    trouble.calls.clear()
    assert any("cannot remove the write intent" in line.message for line in peer.logs)
    assert peer.release() == []
    assert not bench.intent.exists()


def test_an_intent_that_cannot_be_written_stops_the_write(bench: Bench, peer: Peer, trouble: Trouble) -> None:
    trouble.calls = {"replace": errno.ENOSPC}
    with pytest.raises(Refusal, match=r"Io: cannot write the write intent .*: No space left on device"):
        peer.write(DATA, name="a")
    trouble.calls.clear()
    assert entries(peer) == [("before", True)]


def test_a_directory_that_vanishes_is_a_device_that_is_gone(bench: Bench, peer: Peer) -> None:
    away = bench.tapes.with_name("away")
    bench.tapes.rename(away)
    text = f"DeviceGone: drive lto0: .*{bench.tapes} is gone; bring it back and try again"
    for operation in ("rewind", "read-label", "list-files", "status", "inventory"):
        with pytest.raises(Refusal, match=text):
            peer.ask(operation)
        assert not peer.state.position_known
    with pytest.raises(Refusal, match=text):
        peer.write(DATA)
    away.rename(bench.tapes)
    assert peer.ask("rewind")["position-known"] is True
    assert peer.write(DATA)["complete"] is True


def test_a_release_without_the_directory_tells_what_failed(bench: Bench, peer: Peer) -> None:
    peer.write(DATA, durable=False)
    away = bench.tapes.with_name("away")
    bench.tapes.rename(away)
    failed = peer.release()
    assert failed
    assert all("DeviceGone" in step for step in failed)
    away.rename(bench.tapes)
    assert "the last one, is closed" in peer.open(bench.spec())["recovered"]


def test_a_caller_whose_descriptor_fails_gets_an_incomplete_file(bench: Bench, peer: Peer) -> None:
    """A file that is cut while it is read is the caller's trouble, and the tape is none the worse."""
    with open(bench.tapes.parent / "source", "w+b") as source:
        source.write(DATA)
        source.seek(0)
        number = peer.begin("write-file", source.fileno(), name="a", size=len(DATA) + 1)
        with pytest.raises(Refusal, match="Incomplete"):
            peer.end(number)
    assert entries(peer) == [("before", True), ("a", False)]
    assert peer.state.position_known


def test_a_fault_of_the_worker_is_told_and_gives_the_device_back(bench: Bench, trouble: Trouble) -> None:
    class Fault(Exception):
        pass

    def broken(number: int, name: str) -> None:
        if trouble.calls.pop("any", None):
            raise Fault("this is no OSError")

    peer = bench.opened_in_thread(Recorder(before=broken))
    peer.ask("load-media", label_text="TEST01L8", create=True)
    trouble.calls = {"any": 1}
    number = peer.begin("label-tape", label_text="TEST01L8")
    with pytest.raises(Refusal, match="Internal: a fault in the worker; the journal has the details"):
        peer.end(number)
    assert peer.receive() is None
    (line,) = [line for line in peer.logs if "Traceback" in line.message]
    assert isinstance(line, Log)
    assert "this is no OSError" in line.message
    bench.threads[-1].join()
    assert bench.statuses == [70]
    assert json.loads((bench.tapes / "drive-status.json").read_text())["current_tape"] is not None
