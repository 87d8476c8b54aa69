# SPDX-License-Identifier: LGPL-2.1-or-later
"""One worker process: how it begins, answers, hangs, dies and is ended."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import tapeds
from tapeds import errors
from tapeds.service import process
from tapeds.service.workers import WorkerHandle
from tapeds.worker.messages import DeviceSpec

SPEC = DeviceSpec("virtual", "vt0", "/nowhere", 1 << 20, "/nowhere.json")
VERSION = tapeds.__version__


@pytest.fixture
def worker(house):
    """Starts a worker with a script; it is ended with the test."""

    @asynccontextmanager
    async def start(timings=None, **script):
        handle = await WorkerHandle.start("vt0", house.scripted(**script), timings or house.quick())
        try:
            yield handle
        finally:
            handle.retire()
            async with asyncio.timeout(20):
                await asyncio.wait({handle.lost})

    return start


async def test_requests_are_answered_with_data_and_the_state_comes_along(worker) -> None:
    steps = [{"state": {"file": 3}}, {"progress": [1, 2]}, {"answer": {"file": 3}}]
    async with worker(rewind=steps) as handle:
        states, progress = [], []
        handle.on_state = states.append
        assert await handle.open(SPEC) == {}
        call = handle.request("rewind", {}, progress=progress.append)
        assert await call.result() == {"file": 3}
        assert [(news.done, news.total) for news in progress] == [(1, 2)]
        assert [state.file for state in states] == [0, 3, 3]
        assert await handle.release() == []


async def test_a_failure_comes_back_as_the_error_of_its_name_with_its_facts(worker) -> None:
    failure = {"fail": "EndOfMedia", "text": "tape A1 is full", "data": {"bytes-on-tape": 5}}
    async with worker(write_file=[failure]) as handle:
        with pytest.raises(errors.EndOfMedia, match="tape A1 is full") as caught:
            await handle.request("write-file", {}).result()
        assert caught.value.data == {"bytes-on-tape": 5}


async def test_the_steps_of_a_release_that_failed_are_told(worker) -> None:
    async with worker(release=[{"answer": {"failed": ["sync: Io: no space"]}}]) as handle:
        await handle.open(SPEC)
        assert await handle.release() == ["sync: Io: no space"]


async def test_commit_is_taken_or_refused_and_comes_too_late(worker) -> None:
    async with worker(write_file=[{"wait": True}]) as handle:
        call = handle.request("write-file", {})
        await call.commit(7, "ab")
        assert await call.result() == {"bytes": 7, "sha256": "ab"}
        with pytest.raises(errors.JobFinished):
            await call.commit(7, "")
    refusal = {"refuse": "InvalidOption", "text": "sha256 needs digest=sha256"}
    async with worker(write_file=[{"wait": True}], commit=[refusal]) as handle:
        call = handle.request("write-file", {})
        with pytest.raises(errors.InvalidOption, match="sha256 needs digest"):
            await call.commit(7, "ab")
        await call.abort()
        with pytest.raises(errors.Incomplete, match="given up"):
            await call.result()


async def test_a_commit_that_was_never_taken_ends_with_the_request(worker, house) -> None:
    async with worker(write_file=[{"until": str(house.base / "go")}, {"answer": {}}]) as handle:
        call = handle.request("write-file", {})
        commit = asyncio.create_task(call.commit(7, ""))
        await asyncio.sleep(0.05)
        (house.base / "go").touch()
        with pytest.raises(errors.JobFinished, match="write-file ended before that was taken"):
            await commit


@pytest.mark.parametrize(
    ("end", "text"),
    [
        ({"die": 9}, "the worker of vt0 was killed by signal 9"),
        ({"exit": 3}, "the worker of vt0 ended with status 3"),
    ],
)
async def test_death_fails_what_was_asked_and_what_is_asked_later(worker, house, end, text) -> None:
    async with worker(rewind=[end]) as handle:
        with pytest.raises(errors.DeviceFailed) as caught:
            await handle.request("rewind", {}).result()
        assert str(caught.value) == f"{text}; try again: an unfinished file is closed as incomplete"
        source, sink = os.pipe()
        with pytest.raises(errors.DeviceFailed, match=text):
            await handle.request("read-file", {}, fd=sink).result()
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(sink)
        os.close(source)


async def test_what_is_no_message_is_left_out_and_logged(worker, caplog) -> None:
    async with worker(rewind=[{"raw": "{"}, {"raw": "hello"}, {"answer": {"file": 0}}]) as handle:
        assert await handle.request("rewind", {}).result() == {"file": 0}
        assert caplog.text.count("a worker sent what is no message") == 2


async def test_its_log_reaches_ours_with_the_fields_of_the_moment(worker, caplog) -> None:
    async with worker(rewind=[{"log": "block 7 was slow"}, {"answer": {}}]) as handle:
        handle.fields = lambda: {"TAPEDS_JOB": "4", "TAPEDS_DRIVE": "vt0"}
        await handle.request("rewind", {}).result()
        (record,) = [record for record in caplog.records if record.name == "tapeds.worker"]
        assert record.getMessage() == "block 7 was slow"
        assert (record.levelname, record.TAPEDS_JOB, record.TAPEDS_SENSE) == ("WARNING", "4", "7")


async def test_a_request_that_fits_in_no_packet_is_refused_and_its_descriptor_closed(worker) -> None:
    async with worker() as handle:
        source, sink = os.pipe()
        with pytest.raises(errors.InvalidOption, match="what is asked of vt0 is too long"):
            handle.request("write-file", {"header": "00" * 70_000}, fd=source)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(source)
        os.close(sink)


@pytest.mark.parametrize(
    ("hello", "text"),
    [
        ([{"version": "0.0"}], f"the worker of vt0 is tapeds 0.0 .protocol 1., the daemon {VERSION}"),
        ([{"exit": 4}], "the worker of vt0 ended with status 4 before it began"),
        ([{"sleep": 60}], "the worker of vt0 did not answer for 1 s"),
    ],
)
async def test_what_is_no_worker_is_ended_and_named(house, hello, text) -> None:
    command = house.scripted(hello=hello)
    with pytest.raises(errors.Internal, match=text):
        await WorkerHandle.start("vt0", command, house.quick(hello=1.0, grace=1.0))


async def test_a_program_that_cannot_be_started_is_named(house) -> None:
    with pytest.raises(errors.Internal, match=r"cannot start a worker for vt0: .*nowhere"):
        await WorkerHandle.start("vt0", ["/nowhere/worker"], house.quick())


async def test_it_inherits_no_descriptor_but_its_socket(worker, house) -> None:
    left_open = os.open("/", os.O_RDONLY)
    os.set_inheritable(left_open, True)
    try:
        async with worker(rewind=[{"fds": str(house.base / "fds")}]) as handle:
            await handle.request("rewind", {}).result()
    finally:
        os.close(left_open)
    found = (house.base / "fds").read_text().splitlines()
    own = [name for name in found if name != str(house.base / "fds")]
    assert own[0] == "/dev/null"
    assert len(own) == 4
    assert own[3].startswith("socket:")


async def test_it_imports_our_tapeds_and_is_told_nothing_that_is_for_the_daemon(
    worker, house, monkeypatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/notify")
    monkeypatch.setenv("WATCHDOG_USEC", "5")
    async with worker(rewind=[{"environment": str(house.base / "env")}]) as handle:
        await handle.request("rewind", {}).result()
    told = json.loads((house.base / "env").read_text())
    assert "NOTIFY_SOCKET" not in told
    assert "WATCHDOG_USEC" not in told
    assert told["PYTHONSAFEPATH"] == "1"
    assert told["PYTHONPATH"].split(":")[0] == str(Path(tapeds.__file__).parent.parent)


def test_installed_packages_are_not_put_before_the_standard_library(monkeypatch) -> None:
    here = str(Path(tapeds.__file__).parent.parent)
    monkeypatch.setattr(process.site, "getsitepackages", lambda: [here])
    assert "PYTHONPATH" not in process.environment({"PATH": "/bin"})
    assert process.environment({"PYTHONPATH": "/mine"})["PYTHONPATH"] == "/mine"


async def test_a_signal_at_the_terminal_is_for_the_daemon_alone(worker) -> None:
    async with worker() as handle:
        assert os.getsid(handle.pid) == handle.pid


async def test_an_idle_worker_ends_by_sigterm_and_by_sigkill_if_it_must(house) -> None:
    obedient = await WorkerHandle.start("vt0", house.scripted(), house.quick(grace=20.0))
    await obedient.end()
    assert obedient.lost.result() == f"was killed by signal {signal.SIGTERM.value}"
    deaf = house.scripted(hello=[{"ignore": signal.SIGTERM.value}])
    stubborn = await WorkerHandle.start("vt0", deaf, house.quick(grace=0.2))
    await stubborn.end()
    assert stubborn.lost.result() == f"was killed by signal {signal.SIGKILL.value}"


async def test_a_worker_that_says_nothing_is_asked_and_its_answer_counts(worker, house) -> None:
    timings = house.quick(ping=0.05, patience=0.5)
    async with worker(timings, write_file=[{"wait": True}]) as handle:
        states = []
        handle.on_state = states.append
        call = handle.request("write-file", {})
        await asyncio.sleep(1.2)
        assert handle.stuck == ""
        assert len(states) > 2
        call.cancel("Cancelled", "enough")
        with pytest.raises(errors.Cancelled, match="enough"):
            await call.result()


async def test_a_worker_that_does_not_answer_is_given_up_and_not_killed(worker, house) -> None:
    timings = house.quick(ping=0.05, patience=0.3)
    go = house.base / "go"
    async with worker(timings, rewind=[{"until": str(go)}, {"answer": {}}]) as handle:
        told = []
        handle.on_stuck = told.append
        with pytest.raises(errors.DeviceFailed, match=r"vt0: rewind has not answered since \d\d:\d\d:\d\d"):
            await handle.request("rewind", {}).result()
        assert told == [handle.stuck]
        await asyncio.sleep(0.3)
        assert not handle.lost.done()
        go.touch()
        async with asyncio.timeout(20):
            await asyncio.wait({handle.lost})
        assert handle.lost.result() == "ended with status 0"
