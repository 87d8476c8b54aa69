# SPDX-License-Identifier: LGPL-2.1-or-later
"""Jobs of a drive: accepted or refused, stopped, killed, and what is known of the drive afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal

import pytest

from tapeds import errors, names
from tapeds.names import Operation
from tapeds.service import operations


async def test_two_callers_at_once_one_job_and_one_refusal(house) -> None:
    command = house.scripted(verify_tape=[{"wait": True}])
    async with house.running(worker_command=command) as service:
        drive = service.drives["vt0"]
        starts = [drive.start(caller, Operation.VERIFY_TAPE, {}) for caller in (house.anna, house.bert)]
        job, refusal = await asyncio.gather(*starts, return_exceptions=True)
        assert isinstance(refusal, errors.Busy)
        assert str(refusal) == (
            "drive vt0 is busy with verify-tape for uid 1000 (pid 100); wait until it is done"
        )
        assert drive.job is job
        assert (drive.state, job.objects, job.owner) == ("busy", (names.drive_path("vt0"),), house.anna)
        with pytest.raises(errors.Busy):
            await drive.start(house.anna, Operation.REWIND, {})
        job.cancel()
        await job.ended()
        assert (drive.job, drive.state) == (None, "idle")


async def test_under_a_lease_a_second_job_is_refused_and_named(house) -> None:
    command = house.scripted(verify_tape=[{"wait": True}])
    async with house.running(worker_command=command) as service:
        drive = service.drives["vt0"]
        await drive.acquire(house.anna)
        job = await drive.start(house.anna, Operation.VERIFY_TAPE, {})
        with pytest.raises(errors.Busy, match=r"drive vt0 is busy with job 1 \(verify-tape\); wait"):
            await drive.start(house.anna, Operation.REWIND, {})
        job.cancel()
        await job.ended()


async def test_the_drive_is_free_when_the_job_is_told_to_have_ended(house) -> None:
    async with house.running(worker_command=house.scripted()) as service:
        drive = service.drives["vt0"]
        for _ in range(10):
            await house.result(drive.start(house.anna, Operation.SYNC, {}))
            assert (drive.job, drive.state) == (None, "idle")
        assert service.jobs.get(10).result == "done"


async def test_the_worker_stays_for_the_next_job_and_leaves_when_nobody_comes(house) -> None:
    async with house.running(house.quick(idle=0.5), worker_command=house.scripted()) as service:
        drive = service.drives["vt0"]
        await house.result(drive.start(house.anna, Operation.SYNC, {}))
        pid = drive.handle.worker_pid
        assert pid
        await house.result(drive.start(house.anna, Operation.SYNC, {}))
        assert drive.handle.worker_pid == pid
        await house.until(lambda: not drive.handle.worker_pid)
        await house.until(lambda: not os.path.exists(f"/proc/{pid}"))
        await house.result(drive.start(house.anna, Operation.SYNC, {}))
        assert drive.handle.worker_pid not in (0, pid)


async def test_cancel_ends_a_job_at_the_next_block_and_says_what_is_on_tape(house) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        await house.label(service)
        job, fd = await drive.start_write(house.anna, {})
        os.write(fd, b"x" * 300_000)
        await house.until(lambda: job.transfer.file_number == 2 or job.bytes_done)
        job.cancel("uid 0")
        with pytest.raises(errors.Cancelled, match="was cancelled by uid 0") as caught:
            await job.wait()
        os.close(fd)
        assert caught.value.data["complete"] is False
        assert caught.value.data["file"] == 2
        assert (job.result, job.error_name) == ("canceled", "Cancelled")
        files = await house.result(drive.start(house.anna, Operation.LIST_FILES, {"first": 0, "count": 9}))
        assert [entry["complete"] for entry in files["files"]] == [True, True, False]


@pytest.mark.parametrize("operation", sorted(operations.ROWS))
def test_the_table_of_cancelling_says_all_three_things_or_none(operation) -> None:
    row = operations.row(operation)
    assert bool(row.stops) == bool(row.head) == bool(row.tape) == row.cancelable


def test_the_table_has_every_operation_and_refuses_others() -> None:
    every = {value for name, value in vars(names.Operation).items() if name.isupper()}
    assert set(operations.ROWS) == every
    with pytest.raises(errors.NotSupported, match="polish is not known"):
        operations.row("polish")


async def test_a_label_cannot_be_cancelled_half_way(house) -> None:
    command = house.scripted(label_tape=[{"until": str(house.base / "go")}])
    async with house.running(worker_command=command) as service:
        job = await service.drives["vt0"].start(house.anna, Operation.LABEL_TAPE, {"label-text": "A1"})
        assert job.cancelable is False
        with pytest.raises(errors.InvalidState, match=r"job 1 \(label-tape\) cannot be cancelled"):
            job.cancel()
        (house.base / "go").touch()
        assert await job.wait() == {}


async def test_a_killed_worker_fails_its_job_alone_and_the_other_drive_goes_on(house, caplog) -> None:
    house.drive("vt1")
    async with house.running() as service:
        await house.label(service, "vt0")
        await house.label(service, "vt1")
        victim, other = service.drives["vt0"], service.drives["vt1"]
        job, fd = await victim.start_write(house.anna, {})
        other_job, other_fd = await other.start_write(house.bert, {"digest": "sha256"})
        os.write(fd, b"x" * 1000)
        await house.until(lambda: (house.dirs.state / "drives" / "vt0.json").exists())
        os.kill(victim.handle.worker_pid, signal.SIGKILL)
        with pytest.raises(errors.DeviceFailed) as caught:
            await job.wait()
        assert str(caught.value) == (
            "the worker of vt0 was killed by signal 9"
            "; try again: an unfinished file is closed as incomplete"
        )
        with pytest.raises(BrokenPipeError):
            os.write(fd, b"x")
        os.close(fd)
        assert victim.position_known is False
        os.write(other_fd, b"hello")
        os.close(other_fd)
        await other_job.commit(5)
        assert (await other_job.wait())["sha256"].startswith("2cf24dba5fb0a30e")
        assert "the worker of vt0 was killed by signal 9" in caplog.text

        assert (victim.state, victim.lock_holder()) == ("idle", "")
        await house.result(victim.start(house.anna, Operation.SYNC, {}))
        assert victim.position_known is False
        await house.result(victim.start(house.anna, Operation.REWIND, {}))
        assert victim.position_known is True
        recovered = [r for r in caplog.records if getattr(r, "MESSAGE_ID", "").startswith("3e5a7c9b")]
        assert len(recovered) == 1
        assert (await house.result(victim.start(house.anna, Operation.VERIFY_TAPE, {})))["files"] >= 2


async def test_a_killed_worker_under_a_lease_leaves_the_lease(house) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        await house.label(service)
        session = await drive.acquire(house.anna)
        os.kill(drive.handle.worker_pid, signal.SIGKILL)
        await house.until(lambda: not drive.handle.worker_pid)
        assert drive.session is session
        assert (drive.lock_holder(), drive.position_known) == ("session", False)
        await house.result(drive.start(house.anna, Operation.REWIND, {}))
        assert drive.position_known is True


async def test_files_answered_before_they_were_durable_are_named_when_the_worker_dies(house) -> None:
    steps = [{"state": {"file": 3, "durable_file": 2}}, {"answer": {"file": 2}}]
    more = [{"state": {"file": 4, "durable_file": 2}}, {"answer": {"file": 3}}]
    command = house.scripted(write_file=steps, rewind=more, sync=[{"state": {"durable_file": 9}}])
    async with house.running(worker_command=command) as service:
        drive = service.drives["vt0"]
        lost = []
        drive.durability_lost.connect(lost.append)
        await drive.acquire(house.anna)
        for _ in range(2):
            job, fd = await drive.start_write(house.anna, {"durable": False})
            os.close(fd)
            await job.wait()
        os.kill(drive.handle.worker_pid, signal.SIGKILL)
        await house.until(lambda: lost)
        assert lost == [(2, 2)]
        job, fd = await drive.start_write(house.anna, {"durable": False})
        os.close(fd)
        await job.wait()
        await house.result(drive.start(house.anna, Operation.SYNC, {}))
        os.kill(drive.handle.worker_pid, signal.SIGKILL)
        await house.until(lambda: not drive.handle.worker_pid)
        assert lost == [(2, 2)]


async def test_a_worker_that_hangs_makes_the_drive_unusable_until_it_is_gone(house) -> None:
    go = house.base / "go"
    command = house.scripted(rewind=[{"until": str(go)}, {"answer": {}}])
    async with house.running(house.quick(ping=0.05, patience=0.3), worker_command=command) as service:
        drive = service.drives["vt0"]
        with pytest.raises(errors.DeviceFailed, match=r"rewind has not answered .* left to the kernel"):
            await house.result(drive.start(house.anna, Operation.REWIND, {}))
        assert drive.state == "error"
        assert drive.status_text.startswith("rewind has not answered since")
        assert drive.lock_holder() == "job"
        with pytest.raises(errors.InvalidState, match=r"vt0: rewind has not .*; wait until worker \d+ has"):
            await drive.start(house.anna, Operation.SYNC, {})
        with pytest.raises(errors.InvalidState, match="wait until worker"):
            await drive.acquire(house.anna)
        assert (await drive.status(house.anna))["product"] == "PAPER"       # as last known
        go.touch()
        await house.until(lambda: drive.lock_holder() == "")
        await house.result(drive.start(house.anna, Operation.SYNC, {}))
        assert drive.state == "idle"


async def test_a_lease_keeps_its_locks_through_a_worker_that_hung(house) -> None:
    go = house.base / "go"
    command = house.scripted(rewind=[{"until": str(go)}, {"answer": {}}])
    async with house.running(house.quick(ping=0.05, patience=0.3), worker_command=command) as service:
        drive = service.drives["vt0"]
        session = await drive.acquire(house.anna)
        with pytest.raises(errors.DeviceFailed):
            await house.result(drive.start(house.anna, Operation.REWIND, {}))
        go.touch()
        await house.until(lambda: drive.fault == "")
        assert drive.handle.locked
        await house.result(drive.start(house.anna, Operation.SYNC, {}))
        await session.release(house.anna)
        assert not drive.handle.locked


async def test_a_release_that_failed_is_an_error_of_the_drive_until_the_next_open(house, caplog) -> None:
    command = house.scripted(release=[{"answer": {"failed": ["sync: Io: no space"]}}])
    async with house.running(worker_command=command) as service:
        drive = service.drives["vt0"]
        await house.result(drive.start(house.anna, Operation.SYNC, {}))
        assert (drive.state, drive.fault) == ("error", "release of vt0 failed: sync: Io: no space")
        assert "release of vt0 failed: sync: Io: no space" in caplog.text
        await drive.acquire(house.anna)
        assert drive.state == "idle"


async def test_a_directory_that_is_gone_is_noticed_at_the_next_access_as_is_its_return(house, caplog) -> None:
    caplog.set_level(logging.INFO, logger="tapeds")
    async with house.running() as service:
        drive = service.drives["vt0"]
        assert (drive.present, drive.state, drive.device) == (True, "idle", str(house.base / "vt0"))
        (house.base / "vt0").rename(house.base / "away")
        assert drive.present is True
        with pytest.raises(errors.NotPresent, match="drive vt0 is not present: "):
            await drive.start(house.anna, Operation.SYNC, {})
        assert (drive.present, drive.state, drive.device) == (False, "absent", "")
        with pytest.raises(errors.NotPresent):
            await drive.acquire(house.anna)
        assert drive.lock_holder() == ""
        (house.base / "away").rename(house.base / "vt0")
        await drive.acquire(house.anna)
        assert (drive.present, drive.state) == (True, "idle")
        told = [r.MESSAGE_ID[:8] for r in caplog.records if "TAPEDS_PATH" in vars(r)]
        assert told == ["7c2e4a6f", "d8f6b4a2", "7c2e4a6f"]


async def test_a_device_that_goes_away_under_a_lease_ends_the_lease(house) -> None:
    command = house.scripted(rewind=[{"fail": "DeviceGone", "text": "the directory is gone"}])
    async with house.running(worker_command=command) as service:
        drive = service.drives["vt0"]
        session = await drive.acquire(house.anna)
        released = []
        session.released.connect(released.append)
        with pytest.raises(errors.DeviceGone, match="the directory is gone"):
            await house.result(drive.start(house.anna, Operation.REWIND, {}))
        await house.until(lambda: released)
        assert released == [(session, "device-gone")]
        assert (drive.session, drive.state) == (None, "absent")


async def test_a_directory_that_goes_away_in_mid_write_makes_the_drive_absent_and_is_no_fault(house) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        await house.label(service)
        job, fd = await drive.start_write(house.anna, {})
        os.write(fd, b"hello")
        os.close(fd)
        (house.base / "vt0").rename(house.base / "away")
        with contextlib.suppress(errors.JobFinished):          # the worker may have noticed already
            await job.commit(5)
        with pytest.raises(errors.DeviceGone, match="is gone; bring it back and try again"):
            await job.wait()
        assert (drive.present, drive.state, drive.status_text) == (False, "absent", "")
        assert (drive.media_state, drive.media, drive.position_known) == ("unknown", {}, False)
        (house.base / "away").rename(house.base / "vt0")
        assert (await house.write(drive, b"hello"))["complete"]


async def test_a_directory_that_is_gone_at_the_release_is_no_fault_but_what_it_took_is_told(house) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        await house.label(service)
        session = await drive.acquire(house.anna)
        await house.write(drive, b"hello", durable=False)
        lost = []
        drive.durability_lost.connect(lost.append)
        (house.base / "vt0").rename(house.base / "away")
        await session.release(house.anna)
        assert (drive.present, drive.state, drive.status_text) == (False, "absent", "")
        assert lost == [(2, 2)]
        (house.base / "away").rename(house.base / "vt0")


async def test_progress_of_the_worker_is_shown_by_job_and_drive(house) -> None:
    steps = [{"state": {"file": 2, "durable_file": 1}}, {"progress": [50, 200]}, {"wait": True}]
    async with house.running(worker_command=house.scripted(verify_tape=steps)) as service:
        drive = service.drives["vt0"]
        job = await drive.start(house.anna, Operation.VERIFY_TAPE, {})
        await house.until(lambda: job.bytes_done)
        assert (job.bytes_done, job.bytes_total, job.progress, job.progress_valid) == (50, 200, 0.25, True)
        assert (drive.file_number, drive.durable_file, drive.position_known) == (2, 1, True)
        job.cancel()
        await job.ended()


async def test_the_log_of_a_worker_belongs_to_its_job(house, caplog) -> None:
    command = house.scripted(rewind=[{"log": "block 7 was slow"}, {"answer": {}}])
    async with house.running(worker_command=command) as service:
        await house.result(service.drives["vt0"].start(house.anna, Operation.REWIND, {}))
        (record,) = [record for record in caplog.records if record.name == "tapeds.worker"]
        assert (record.TAPEDS_JOB, record.TAPEDS_DRIVE, record.TAPEDS_OPERATION) == ("1", "vt0", "rewind")


async def test_a_connection_with_16_jobs_gets_no_17th_and_no_lock_for_it(house) -> None:
    for number in range(1, 17):
        house.drive(f"vt{number}")
    command = house.scripted(verify_tape=[{"wait": True}])
    async with house.running(house.quick(hello=60), worker_command=command) as service:
        drives = list(service.drives.values())
        jobs = [await drive.start(house.anna, Operation.VERIFY_TAPE, {}) for drive in drives[:16]]
        with pytest.raises(errors.LimitsExceeded, match="has 16 jobs on this connection"):
            await drives[16].start(house.anna, Operation.SYNC, {})
        assert drives[16].lock_holder() == ""
        for job in jobs:
            job.cancel()
