# SPDX-License-Identifier: LGPL-2.1-or-later
"""The conversation from Hello to the end of the socket."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import tapeds
from support.workers import Bench, Refusal
from tapeds.worker.messages import (
    PROTOCOL,
    Abort,
    Ask,
    Cancel,
    Commit,
    Failure,
    Hello,
    Log,
    Open,
    Refused,
    Release,
    Released,
    Result,
    State,
    Taken,
)


def test_a_worker_says_hello_first(bench: Bench) -> None:
    assert bench.process().receive() == Hello(tapeds.__version__, PROTOCOL)


@pytest.mark.parametrize("hello", [Hello("0.0.0"), Hello(tapeds.__version__, PROTOCOL + 1)])
def test_another_version_ends_the_conversation(bench: Bench, hello: Hello) -> None:
    peer = bench.process()
    peer.receive()
    peer.send(hello)
    assert peer.receive() is None
    assert "restart the service" in peer.logs[0].message
    assert bench.exit_status() != 0


def test_a_conversation_that_begins_otherwise_ends(bench: Bench) -> None:
    peer = bench.process()
    peer.receive()
    peer.send(Ask())
    assert peer.receive() is None
    assert peer.logs[0].message == "the conversation began with Ask instead of Hello"
    assert bench.exit_status() != 0


def test_a_peer_that_goes_at_once_is_no_trouble(bench: Bench) -> None:
    bench.process().socket.close()
    assert bench.exit_status() == 0


def test_nothing_can_be_done_before_a_device_is_open(bench: Bench) -> None:
    peer = bench.process()
    peer.greet()
    with pytest.raises(Refusal, match="InvalidState: no device is open; open one first"):
        peer.ask("rewind")


def test_an_open_device_tells_what_it_is(bench: Bench) -> None:
    peer = bench.opened()
    assert peer.state.vendor == "tapeds"
    assert peer.state.model == "virtual"
    assert peer.state.serial == "{0.st_dev}:{0.st_ino}".format(bench.tapes.stat())
    assert peer.state.device == str(bench.tapes)
    assert peer.state.media_state == "empty"
    assert not peer.state.loaded


def test_a_directory_that_is_not_there_cannot_be_opened(bench: Bench) -> None:
    peer = bench.process()
    peer.greet()
    with pytest.raises(Refusal, match="DeviceGone: drive lto0: there is no directory /nowhere; create it"):
        peer.open(bench.spec(path="/nowhere"))
    peer.open(bench.spec())


def test_a_damaged_status_file_cannot_be_opened_and_the_lock_is_given_back(bench: Bench) -> None:
    (bench.tapes / "drive-status.json").write_text("{")
    peer = bench.process()
    peer.greet()
    with pytest.raises(Refusal, match=r"InvalidState: drive lto0: .*status.json is damaged; restore it"):
        peer.open(bench.spec())
    (bench.tapes / "drive-status.json").unlink()
    peer.open(bench.spec())


def test_a_kind_of_drive_from_the_future_is_refused(bench: Bench) -> None:
    peer = bench.process()
    peer.greet()
    with pytest.raises(Refusal, match="NotSupported: drive lto0: this version knows no type 'lto'"):
        peer.open(bench.spec(kind="lto"))


@pytest.mark.parametrize("size", [0, -1, "1G", True, 1.5])
def test_a_size_that_is_none_is_refused(bench: Bench, size: object) -> None:
    peer = bench.process()
    peer.greet()
    with pytest.raises(Refusal, match=r"InvalidOption: drive lto0: max-size is .*; give a number of bytes"):
        peer.open(bench.spec(options={"max-size": size}))


def test_one_device_at_a_time(bench: Bench) -> None:
    peer = bench.opened()
    peer.send(Open(bench.spec()))
    with pytest.raises(Refusal, match="InvalidState: a device is open already; release it first"):
        peer.end(0)


def test_after_a_release_the_worker_opens_again(bench: Bench) -> None:
    peer = bench.labelled()
    assert peer.release() == []
    with pytest.raises(Refusal, match="no device is open"):
        peer.ask("rewind")
    peer.open(bench.spec())
    assert peer.state.media["label-text"] == "TEST01L8"
    assert not peer.state.label_known
    assert peer.ask("rewind") == {"file": 0, "block": 0, "position-known": True}


def test_a_release_without_a_device_is_answered(bench: Bench) -> None:
    peer = bench.process()
    peer.greet()
    assert peer.release() == []


def test_a_released_directory_is_free_for_others(bench: Bench) -> None:
    first = bench.opened()
    first.release()
    bench.opened()


def test_the_last_knowledge_is_told_when_asked(bench: Bench) -> None:
    peer = bench.process()
    peer.greet()
    assert peer.knowledge().media_state == "unknown"
    peer.open(bench.spec())
    assert peer.knowledge().media_state == "empty"


def test_what_comes_too_late_is_refused_or_left_out(bench: Bench) -> None:
    peer = bench.opened()
    peer.send(Cancel(1))
    peer.send(Commit(1, 5))
    assert peer.receive() == Refused(1, "JobFinished", "request 1 is not running any more")
    peer.send(Abort(1))
    assert peer.receive() == Refused(1, "JobFinished", "request 1 is not running any more")


def test_an_unknown_operation_is_refused(bench: Bench) -> None:
    peer = bench.opened()
    with pytest.raises(Refusal, match="NotSupported: drive lto0 knows no operation 'dance'"):
        peer.ask("dance")


def test_a_descriptor_that_is_not_wanted_is_refused_and_closed(bench: Bench) -> None:
    peer = bench.labelled()
    read_end, write_end = os.pipe()
    number = peer.begin("rewind", write_end)
    os.close(write_end)
    with pytest.raises(Refusal, match="InvalidFileDescriptor: this request takes no descriptor; send none"):
        peer.end(number)
    assert os.read(read_end, 1) == b""
    os.close(read_end)


def test_the_end_of_the_socket_ends_the_worker(bench: Bench) -> None:
    peer = bench.labelled()
    peer.socket.close()
    assert bench.exit_status() == 0
    assert json.loads((bench.tapes / "drive-status.json").read_text())["current_tape"]["pos"] == 2
    bench.opened()


def test_sigterm_ends_an_idle_worker(bench: Bench) -> None:
    peer = bench.labelled()
    bench.terminate()
    assert peer.receive() is None
    assert bench.exit_status() == 0
    bench.opened()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_what_comes_from_a_terminal_is_for_the_service_alone(bench: Bench, number: signal.Signals) -> None:
    peer = bench.opened()
    bench.processes[-1].send_signal(number)
    assert peer.knowledge().media_state == "empty"


def test_a_worker_started_in_another_way_says_how_it_wants_to_be_started() -> None:
    for arguments in ([], ["--fd"], ["--fd", "x"], ["--fd", "3", "more"]):
        done = subprocess.run(
            [sys.executable, "-m", "tapeds.worker", *arguments],
            env=os.environ | {"PYTHONPATH": str(Path(tapeds.__file__).parent.parent)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        assert done.stderr == "usage: python -m tapeds.worker --fd NUMBER\n"


def test_a_descriptor_that_is_no_socket_is_told_in_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tapeds.worker", "--fd", "99"],
        env=os.environ | {"PYTHONPATH": str(Path(tapeds.__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "descriptor 99 is no socket" in done.stderr


def test_a_second_request_is_refused_while_the_first_is_done(bench: Bench) -> None:
    peer = bench.labelled()
    first, source = peer.write_slowly(b"x" * 1000)
    read_end, write_end = os.pipe()
    second = peer.begin("read-file", write_end)
    os.close(write_end)
    with pytest.raises(Refusal, match="Busy: another request is being done; wait for its end"):
        peer.end(second)
    assert os.read(read_end, 1) == b""
    peer.send(Open(bench.spec()))
    with pytest.raises(Refusal, match="InvalidState: a device is open already; release it first"):
        peer.end(0)
    peer.send(Commit(first, 1000))
    assert peer.receive() == Taken(first)
    assert peer.end(first)["bytes"] == 1000
    os.close(source)
    os.close(read_end)


def test_messages_in_the_wrong_direction_are_left_out(bench: Bench) -> None:
    peer = bench.opened()
    for message in (
        Hello(tapeds.__version__),
        Result(1, {}, peer.state),
        Failure(1, "Io", "x", {}, peer.state),
        State(peer.state),
        Released(),
        Log(40, "x"),
    ):
        peer.send(message)
    assert peer.knowledge() == peer.state


def test_a_release_is_answered_once(bench: Bench) -> None:
    peer = bench.opened()
    peer.send(Release())
    peer.send(Release())
    assert peer.receive() == Released()
    assert peer.receive() == Released()
