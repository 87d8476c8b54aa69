# SPDX-License-Identifier: LGPL-2.1-or-later
"""Lock files, state texts and open markers: what other programs see of a drive in use."""

from __future__ import annotations

import asyncio
import fcntl
import os
import subprocess
import sys

import pytest

from tapeds import errors, names
from tapeds.names import Operation
from tapeds.service.locking import identity_name


def locked(path) -> bool:
    """Whether another program sees the lock."""
    code = "import fcntl,sys; fcntl.flock(open(sys.argv[1]), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    return subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True).returncode != 0


def lock_path(house, name="vt0"):
    return house.dirs.lock / names.lock_name(house.sections[name]["path"])


async def test_a_lease_locks_the_path_and_the_device_itself_and_gives_both_back(house) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        session = await drive.acquire(house.anna)
        files = sorted(os.listdir(house.dirs.lock))
        assert files == sorted([lock_path(house).name, identity_name(drive.vendor, drive.serial)])
        assert all(locked(house.dirs.lock / name) for name in files)
        await session.release(house.anna)
        assert not any(locked(house.dirs.lock / name) for name in files)
        assert sorted(os.listdir(house.dirs.lock)) == files


async def test_a_job_without_a_lease_locks_for_as_long_as_it_runs(house) -> None:
    command = house.scripted(verify_tape=[{"wait": True}])
    async with house.running(worker_command=command) as service:
        drive = service.drives["vt0"]
        job = await drive.start(house.anna, Operation.VERIFY_TAPE, {})
        assert locked(lock_path(house))
        assert drive.lock_holder() == "job"
        job.cancel()
        await job.ended()
        assert not locked(lock_path(house))
        assert drive.lock_holder() == ""


async def test_the_state_file_says_what_the_drive_is_used_for_and_is_empty_when_idle(house) -> None:
    command = house.scripted(verify_tape=[{"wait": True}])
    async with house.running(worker_command=command) as service:
        drive = service.drives["vt0"]
        job = await drive.start(house.anna, Operation.VERIFY_TAPE, {})
        await house.until(house.state_text)
        assert house.state_text().startswith("job 1 verify-tape by uid 1000 since 20")
        assert drive.status_text == house.state_text()
        job.cancel()
        await job.ended()
        assert house.state_text() == ""
        session = await drive.acquire(house.anna, reason="two\nlines")
        assert house.state_text() == "two lines"
        job = await drive.start(house.anna, Operation.VERIFY_TAPE, {})
        await house.until(lambda: "verify-tape" in house.state_text())
        job.cancel()
        await job.ended()
        await house.until(lambda: house.state_text() == "two lines")
        await session.release(house.anna)
        assert house.state_text() == ""


async def test_a_lease_without_a_reason_says_whose_it_is(house) -> None:
    async with house.running() as service:
        await service.drives["vt0"].acquire(house.anna)
        assert house.state_text() == "lease 1 of uid 1000 (pid 100)"


async def test_another_program_with_the_lock_is_waited_for_and_then_called_external(house, external) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        external(lock_path(house))
        assert drive.lock_holder() == "external"
        text = r"drive vt0 is locked by another program \(external\)"
        with pytest.raises(errors.Locked, match=text):
            await drive.start(house.anna, Operation.SYNC, {})
        with pytest.raises(errors.Locked, match=text):
            await drive.acquire(house.anna, timeout=0)
        assert (drive.state, drive.waiters) == ("idle", 0)
        assert service.jobs.all() == []


async def test_a_lock_that_comes_free_in_time_is_taken(house, external) -> None:
    async with house.running(house.quick(lock=20.0)) as service:
        drive = service.drives["vt0"]
        program = external(lock_path(house))
        starting = asyncio.create_task(drive.start(house.anna, Operation.SYNC, {}))
        acquiring = asyncio.create_task(drive.acquire(house.bert, timeout=names.FOR_EVER))
        await house.until(lambda: drive.waiters == 1)
        with pytest.raises(errors.Busy, match=r"drive vt0 is busy with sync for uid 1000 \(pid 100\)"):
            await drive.start(house.bert, Operation.SYNC, {})
        program.kill()
        job = await starting
        with pytest.raises(errors.NoMedia):
            await job.wait()
        session = await acquiring
        assert session.owner == house.bert.name


async def test_the_loop_goes_on_while_a_lock_is_waited_for(house, external) -> None:
    async with house.running(house.quick(lock=1.0)) as service:
        external(lock_path(house))
        starting = asyncio.create_task(service.drives["vt0"].start(house.anna, Operation.SYNC, {}))
        turns = 0
        while not starting.done():
            await asyncio.sleep(0.001)
            turns += 1
        assert turns > 100
        with pytest.raises(errors.Locked):
            await starting


async def test_two_names_for_one_directory_are_one_device(house) -> None:
    (house.base / "also").symlink_to(house.base / "vt0")
    house.sections["also"] = {"type": "virtual", "path": str(house.base / "also")}
    async with house.running() as service:
        session = await service.drives["vt0"].acquire(house.anna)
        # the directory has a lock of its own, which an open worker holds: that one is met first
        with pytest.raises(errors.Locked):
            await asyncio.wait_for(service.drives["also"].start(house.bert, Operation.SYNC, {}), 30)
        await session.release(house.anna)
        job = await service.drives["also"].start(house.bert, Operation.SYNC, {})
        with pytest.raises(errors.NoMedia):
            await job.wait()
        session = await service.drives["vt0"].acquire(house.anna)
        with pytest.raises(errors.Locked, match="drive also is the same device as drive vt0, which"):
            await service.drives["also"].start(house.bert, Operation.SYNC, {})


@pytest.mark.parametrize("holder", ["session", "job"])
async def test_the_holder_of_a_device_with_two_names_is_told_under_both(house, holder) -> None:
    house.drive("also")
    command = house.scripted(open=[{"state": {"serial": "42"}}], verify_tape=[{"wait": True}])
    async with house.running(worker_command=command) as service:
        drive, also = service.drives["vt0"], service.drives["also"]
        await house.result(also.start(house.bert, Operation.SYNC, {}))       # now its serial number is known
        if holder == "session":
            await drive.acquire(house.anna)
        else:
            await drive.start(house.anna, Operation.VERIFY_TAPE, {})
        assert (drive.lock_holder(), also.lock_holder()) == (holder, holder)


async def test_the_lock_of_the_device_itself_stops_a_second_path(house, external) -> None:
    command = house.scripted(open=[{"state": {"serial": "42"}}])
    async with house.running(worker_command=command) as service:
        external_path = house.dirs.lock / identity_name("ACME", "42")
        external(external_path)
        with pytest.raises(errors.Locked, match="external"):
            await service.drives["vt0"].start(house.anna, Operation.SYNC, {})
        assert not locked(lock_path(house))
        assert house.markers() == []


async def test_an_open_marker_stands_from_the_open_to_the_release(house) -> None:
    seen = house.base / "seen"
    command = house.scripted(open=[{"until": str(seen)}], release=[{"until": str(seen)}])
    async with house.running(worker_command=command) as service:
        starting = asyncio.create_task(service.drives["vt0"].start(house.anna, Operation.SYNC, {}))
        await house.until(lambda: house.markers() == ["vt0"])
        assert not starting.done()
        seen.touch()
        job = await starting
        assert house.markers() == ["vt0"]
        await job.wait()
        assert house.markers() == []


async def test_a_marker_stays_when_the_worker_died_until_a_release_has_worked(house) -> None:
    command = house.scripted(rewind=[{"die": 9}])
    async with house.running(worker_command=command) as service:
        drive = service.drives["vt0"]
        with pytest.raises(errors.DeviceFailed):
            await house.result(drive.start(house.anna, Operation.REWIND, {}))
        assert house.markers() == ["vt0"]
        await house.result(drive.start(house.anna, Operation.SYNC, {}))
        assert house.markers() == []


async def test_a_lock_directory_that_is_gone_is_an_error_of_its_own(house) -> None:
    async with house.running() as service:
        os.rmdir(house.dirs.lock)
        with pytest.raises(errors.Io, match="lock file"):
            await service.drives["vt0"].start(house.anna, Operation.SYNC, {})
        assert service.drives["vt0"].lock_holder() == ""
        house.dirs.lock.mkdir()


async def test_probing_makes_no_file_and_disturbs_nobody(house) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        assert [drive.lock_holder() for _ in range(3)] == ["", "", ""]
        assert os.listdir(house.dirs.lock) == []
        lock_path(house).touch()
        with open(lock_path(house)) as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            assert drive.lock_holder() == ""


async def test_a_state_text_that_could_not_be_written_comes_with_the_next_news(house, monkeypatch) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        session = await drive.acquire(house.anna, reason="first")
        write, tried = service.shared.texts.set, []

        def fail(name: str, text: str) -> None:
            tried.append(text)
            raise errors.Io("the disk is full")

        monkeypatch.setattr(service.shared.texts, "set", fail)
        session.set_status_text(house.anna, "second")
        await house.until(lambda: tried)
        await service.shared.settle()
        assert (tried, house.state_text()) == (["second"], "first")
        monkeypatch.setattr(service.shared.texts, "set", write)
        session.set_status_text(house.anna, "second")
        await service.shared.settle()
        assert house.state_text() == "second"
        monkeypatch.setattr(service.shared.texts, "set", fail)
        session.set_status_text(house.anna, "third")
        await service.shared.settle()
        monkeypatch.setattr(service.shared.texts, "set", write)
        await session.release(house.anna)
        assert house.state_text() == ""


async def test_a_worker_whose_device_could_not_be_marked_ends_after_a_while(house, monkeypatch) -> None:
    async with house.running(house.quick(idle=0.05)) as service:
        drive = service.drives["vt0"]

        def fail(*_: object) -> None:
            raise errors.Io("the disk is full")

        monkeypatch.setattr(service.shared.markers, "put", fail)
        with pytest.raises(errors.Io, match="the disk is full"):
            await drive.start(house.anna, Operation.SYNC, {})
        await house.until(lambda: drive.handle.worker_pid == 0)
        assert not drive.handle.locked
