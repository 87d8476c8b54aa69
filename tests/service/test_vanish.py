# SPDX-License-Identifier: LGPL-2.1-or-later
"""A caller that goes away, in every phase of what it asked for."""

from __future__ import annotations

import asyncio
import os

import pytest

from tapeds import errors, names
from tapeds.names import Operation


async def test_while_it_waits_for_a_lock_nothing_is_taken_for_it(house, external) -> None:
    async with house.running(house.quick(lock=60.0)) as service:
        drive = service.drives["vt0"]
        program = external(house.dirs.lock / names.lock_name(house.sections["vt0"]["path"]))
        calls = [
            drive.start(house.anna, Operation.SYNC, {}),
            drive.start_write(house.anna, {}),
            drive.request_media(house.anna, {"label-text": "A1"}),
            drive.acquire(house.anna, timeout=60),
        ]
        for call in calls:
            waiting = asyncio.create_task(call)
            await asyncio.sleep(0.1)
            service.caller_vanished(house.anna.name)
            with pytest.raises(errors.ClientGone):
                await waiting
        program.kill()
        assert (service.jobs.all(), service.sessions) == ([], {})
        job = await drive.start(house.bert, Operation.SYNC, {})
        await job.ended()


async def test_while_the_device_is_being_opened_it_is_released_again(house) -> None:
    go = house.base / "go"
    async with house.running(worker_command=house.scripted(open=[{"until": str(go)}])) as service:
        drive = service.drives["vt0"]
        for call in (drive.acquire(house.anna), drive.start(house.anna, Operation.READ_FILE, {})):
            go.unlink(missing_ok=True)
            waiting = asyncio.create_task(call)
            await house.until(lambda: house.markers() == ["vt0"])
            service.caller_vanished(house.anna.name)
            go.touch()
            with pytest.raises(errors.ClientGone):
                await waiting
            assert (drive.lock_holder(), drive.handle.opened, house.markers()) == ("", False, [])
        assert (service.jobs.all(), service.sessions) == ([], {})


async def test_a_request_that_is_broken_off_while_the_device_is_being_opened_leaves_nothing(house) -> None:
    go = house.base / "go"
    async with house.running(worker_command=house.scripted(open=[{"until": str(go)}])) as service:
        drive = service.drives["vt0"]
        for call in (drive.acquire(house.anna), drive.start(house.anna, Operation.SYNC, {})):
            go.unlink(missing_ok=True)
            waiting = asyncio.create_task(call)
            await house.until(lambda: house.markers() == ["vt0"])
            waiting.cancel()
            await asyncio.sleep(0.05)
            assert not waiting.done()
            go.touch()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert (drive.lock_holder(), drive.handle.opened, house.markers()) == ("", False, [])
        await house.result(drive.start(house.bert, Operation.SYNC, {}))


async def test_a_connection_does_not_wait_without_limit(house) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        await drive.acquire(house.bert)
        waiting = [asyncio.create_task(drive.acquire(house.anna, timeout=60)) for _ in range(16)]
        await house.until(lambda: drive.waiters == 16)
        with pytest.raises(errors.LimitsExceeded, match="waits for 16 drives already"):
            await drive.acquire(house.anna)
        service.caller_vanished(house.anna.name)
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {errors.ClientGone}


async def test_a_lease_of_its_connection_ends_and_the_next_in_line_has_the_drive(house) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        session = await drive.acquire(house.anna)
        released = []
        session.released.connect(released.append)
        waiting = asyncio.create_task(drive.acquire(house.bert, timeout=names.FOR_EVER))
        await house.until(lambda: drive.waiters == 1)
        service.caller_vanished(house.anna.name)
        assert (await waiting).owner == house.bert.name
        assert released == [(session, "client-vanished")]


async def test_a_write_ends_as_client_gone_and_the_file_is_incomplete(house) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        await house.label(service)
        job, fd = await drive.start_write(house.anna, {})
        os.write(fd, b"x" * 1000)
        service.caller_vanished(house.anna.name)
        with pytest.raises(errors.ClientGone, match=r"job \d+ \(write-file\): the caller went away"):
            await job.wait()
        os.close(fd)
        assert (drive.state, drive.lock_holder(), drive.handle.opened) == ("idle", "", False)
        files = await house.result(drive.start(house.bert, Operation.LIST_FILES, {"first": 2, "count": 9}))
        assert [entry["complete"] for entry in files["files"]] in ([], [False])


async def test_a_read_ends_and_the_drive_is_free(house) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        await house.label(service)
        await house.write(drive, b"x" * 5_000_000)
        await house.result(drive.start(house.anna, Operation.MOVE_TO_FILE, {"file": 2}))
        job, fd = await drive.start_read(house.anna, {})
        service.caller_vanished(house.anna.name)
        with pytest.raises(errors.ClientGone):
            await job.wait()
        os.close(fd)
        assert (drive.state, drive.lock_holder()) == ("idle", "")


async def test_under_its_lease_the_job_ends_first_and_then_the_lease(house) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        await house.label(service)
        session = await drive.acquire(house.anna)
        order = []
        session.released.connect(lambda news: order.append(news[1]))
        job, fd = await drive.start_write(house.anna, {}, detach=True)
        job.completed.connect(lambda job: order.append(job.error_name))
        os.write(fd, b"x")
        service.caller_vanished(house.anna.name)
        await house.until(lambda: len(order) == 2)
        os.close(fd)
        assert order == ["ClientGone", "client-vanished"]
        assert drive.lock_holder() == ""


@pytest.mark.parametrize("operation", [Operation.VERIFY_TAPE, Operation.REWIND, Operation.LABEL_TAPE])
async def test_a_job_that_needs_no_caller_goes_on(house, operation) -> None:
    go = house.base / "go"
    steps = {operation: [{"until": str(go)}, {"answer": {"file": 0}}]}
    async with house.running(worker_command=house.scripted(**steps)) as service:
        job = await service.drives["vt0"].start(house.anna, operation, {})
        service.caller_vanished(house.anna.name)
        await asyncio.sleep(0.1)
        assert job.state == "running"
        go.touch()
        assert await job.wait() == {"file": 0}


async def test_a_detached_transfer_outlives_its_caller(house) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        await house.label(service)
        source, sink = os.pipe()
        job, _ = await drive.start_write(house.anna, {"commit-on-eof": True}, fd=source, detach=True)
        os.write(sink, b"hello")
        service.caller_vanished(house.anna.name)
        await asyncio.sleep(0.1)
        os.close(sink)
        assert (await job.wait())["bytes"] == 5


async def test_a_detached_write_that_only_its_caller_could_commit_ends_with_it(house) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        await house.label(service)
        job, fd = await drive.start_write(house.anna, {}, detach=True)
        os.write(fd, b"hello")
        service.caller_vanished(house.anna.name)
        with pytest.raises(errors.ClientGone, match=r"write-file\): the caller went away; stay on the bus"):
            await job.wait()
        os.close(fd)
        assert (drive.state, drive.lock_holder()) == ("idle", "")


async def test_a_detached_write_goes_on_once_it_is_committed_or_has_said_how_much_comes(house) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        await house.label(service)
        for request in ({}, {"size": 5}):
            job, fd = await drive.start_write(house.anna, request, detach=True)
            if not request:
                await job.commit(5)
            service.caller_vanished(house.anna.name)
            os.write(fd, b"hello")
            os.close(fd)
            assert (await job.wait())["bytes"] == 5


async def test_a_request_for_a_medium_ends_at_once_unless_it_is_detached(house) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        job = await drive.request_media(house.anna, {"label-text": "A1"})
        await house.until(lambda: job.state == "waiting")
        service.caller_vanished(house.anna.name)
        async with asyncio.timeout(5):
            with pytest.raises(errors.ClientGone):
                await job.wait()
        assert (drive.state, drive.lock_holder()) == ("idle", "")
        job = await drive.request_media(house.anna, {"label-text": "A1"}, detach=True)
        await house.until(lambda: job.state == "waiting")
        service.caller_vanished(house.anna.name)
        await asyncio.sleep(0.1)
        assert job.state == "waiting"


async def test_the_next_block_is_where_a_stalled_transfer_ends_too(house) -> None:
    """The client is stopped, not dead: its pipe stays open and nothing comes."""
    async with house.running() as service:
        drive = service.drives["vt0"]
        await house.label(service)
        job, fd = await drive.start_write(house.anna, {})
        await house.until(lambda: job.state == "running")
        service.caller_vanished(house.anna.name)
        async with asyncio.timeout(10):
            with pytest.raises(errors.ClientGone):
                await job.wait()
        os.close(fd)


async def test_others_are_not_touched(house) -> None:
    house.drive("vt1")
    command = house.scripted(read_file=[{"wait": True}])
    async with house.running(worker_command=command) as service:
        mine, end = await service.drives["vt0"].start_read(house.anna, {})
        other, other_end = await service.drives["vt1"].start_read(house.bert, {})
        service.caller_vanished(house.anna.name)
        await mine.ended()
        await asyncio.sleep(0.1)
        assert other.state == "running"
        service.caller_vanished(":1.77")
        other.cancel()
        await other.ended()
        os.close(end)
        os.close(other_end)
