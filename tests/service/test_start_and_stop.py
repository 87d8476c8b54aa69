# SPDX-License-Identifier: LGPL-2.1-or-later
"""The first look at what an earlier run left behind, and an end that leaves nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from tapeds import errors, names
from tapeds.names import Operation
from tapeds.service.release import release_all

DIE_IN_MID_WRITE = """
import asyncio, os, sys
from pathlib import Path
from tapeds.config.models import Config
from tapeds.jobs.caller import Caller
from tapeds.service.core import Directories, Service

async def main():
    base = Path(sys.argv[1])
    dirs = Directories(base / "run", base / "lock", base / "state", base / "sys")
    config = Config.model_validate({"drive": {"vt0": {"type": "virtual", "path": str(base / "vt0")}}})
    service = Service(config, dirs)
    await service.start()
    await service.drives["vt0"].acquire(Caller(":1.1", 0))
    job, fd = await service.drives["vt0"].start_write(Caller(":1.1", 0), {})
    os.write(fd, b"x" * 300000)
    while not (dirs.state / "drives" / "vt0.json").exists():
        await asyncio.sleep(0.01)
    worker = service.drives["vt0"].handle.worker_pid
    os.kill(worker, 9)
    os.kill(os.getpid(), 9)

asyncio.run(main())
"""


def recovered(caplog) -> list[str]:
    return [r.getMessage() for r in caplog.records if getattr(r, "MESSAGE_ID", "").startswith("3e5a7c9b")]


async def crash(house) -> None:
    """A daemon and its worker are killed in the middle of a write."""
    async with house.running() as service:
        await house.label(service)
    program = [sys.executable, "-c", DIE_IN_MID_WRITE, str(house.base)]
    died = await asyncio.create_subprocess_exec(*program)
    assert await died.wait() == -signal.SIGKILL


async def test_directories_are_made_and_drives_are_looked_for(house, tmp_path) -> None:
    house.drive("vt1").rmdir()
    async with house.running() as service:
        assert [drive.present for drive in service.drives.values()] == [True, False]
        assert [drive.state for drive in service.drives.values()] == ["idle", "absent"]
        assert sorted(os.listdir(house.dirs.runtime)) == ["drives", "last-session.json", "open"]
        assert sorted(os.listdir(house.dirs.state)) == ["drives", "labels"]
        assert house.dirs.lock.stat().st_mode & 0o777 == 0o770
        assert all(drive.handle.worker_pid == 0 for drive in service.drives.values())


async def test_what_a_crash_left_behind_is_mended_at_the_start_and_told(house, caplog) -> None:
    await crash(house)
    assert house.markers() == ["vt0"]
    async with house.running() as service:
        drive = service.drives["vt0"]
        (told,) = recovered(caplog)
        assert told.startswith("drive vt0: ")
        assert (drive.state, drive.lock_holder(), house.markers()) == ("idle", "", [])
        assert not (house.dirs.state / "drives" / "vt0.json").exists()
        files = await house.result(drive.start(house.anna, Operation.LIST_FILES, {"first": 0, "count": 9}))
        assert [entry["complete"] for entry in files["files"][:2]] == [True, True]
        assert not any(entry["complete"] for entry in files["files"][2:])
        written = await house.write(drive, b"hello")
        assert written["complete"] is True


async def test_a_text_of_a_killed_run_is_emptied_unless_another_program_has_the_drive(
    house, external
) -> None:
    house.drive("vt1")
    async with house.running():
        pass
    for name in ("vt0", "vt1"):
        (house.dirs.runtime / "drives" / name).write_text("job 7 rewind by uid 0")
    external(house.dirs.lock / names.lock_name(house.sections["vt1"]["path"]))
    async with house.running():
        assert (house.state_text("vt0"), house.state_text("vt1")) == ("", "job 7 rewind by uid 0")


async def test_a_drive_that_another_program_has_is_mended_later(house, external, caplog) -> None:
    await crash(house)
    program = external(house.dirs.lock / names.lock_name(house.sections["vt0"]["path"]))
    async with house.running() as service:
        assert recovered(caplog) == []
        assert "left for later: drive vt0 is locked by another program (external)" in caplog.text
        assert house.markers() == ["vt0"]
        program.kill()
        await house.until(lambda: service.drives["vt0"].lock_holder() == "")
        await house.result(service.drives["vt0"].start(house.anna, Operation.REWIND, {}))
        assert len(recovered(caplog)) == 1
        assert house.markers() == []


async def test_a_marker_without_a_write_is_taken_away_after_a_release(house, caplog) -> None:
    async with house.running() as service:
        await service.drives["vt0"].acquire(house.anna)
        marker = (house.dirs.runtime / "open" / "vt0").read_text()
    (house.dirs.runtime / "open" / "vt0").write_text(marker)
    caplog.set_level("INFO", logger="tapeds")
    async with house.running():
        assert house.markers() == []
        assert recovered(caplog) == []
        assert "drive vt0, which was left open, is released" in caplog.text


async def test_the_start_does_not_wait_for_ever_for_a_drive_that_is_slow(house) -> None:
    async with house.running():
        (house.dirs.state / "drives" / "vt0.json").write_text("{}")
    go = house.base / "go"
    command = house.scripted(open=[{"until": str(go)}])
    async with house.running(house.quick(recovery=0.2), worker_command=command) as service:
        starting = asyncio.create_task(service.drives["vt0"].start(house.anna, Operation.SYNC, {}))
        await asyncio.sleep(0.1)
        assert not starting.done()
        go.touch()
        await (await starting).wait()


async def test_after_a_bad_end_what_was_open_is_released_without_a_lock(house, external, caplog) -> None:
    caplog.set_level("INFO", logger="tapeds")
    await crash(house)
    external(house.dirs.lock / names.lock_name(house.sections["vt0"]["path"]))
    assert await release_all(house.config(), house.dirs) == []
    assert house.markers() == []
    assert not (house.dirs.state / "drives" / "vt0.json").exists()
    assert "drive vt0, which was left open, is released" in caplog.text
    assert await release_all(house.config(), house.dirs, worker_command=["/nowhere"]) == []


async def test_a_release_after_a_bad_end_that_fails_is_told_and_stays_marked(house) -> None:
    await crash(house)
    failing = house.scripted(release=[{"answer": {"failed": ["sync: Io: no space"]}}])
    assert await release_all(house.config(), house.dirs, worker_command=failing) == [
        "drive vt0: sync: Io: no space"
    ]
    absent = house.scripted(open=[{"fail": "DeviceGone", "text": "it is gone"}])
    assert await release_all(house.config(), house.dirs, worker_command=absent) == ["drive vt0: it is gone"]
    assert house.markers() == ["vt0"]
    house.sections.clear()
    assert await release_all(house.config(), house.dirs) == []
    assert house.markers() == []


async def test_a_stop_in_mid_write_closes_the_file_as_incomplete_and_answers_everybody(house) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        await house.label(service)
        session = await drive.acquire(house.anna)
        released = []
        session.released.connect(released.append)
        job, fd = await drive.start_write(house.anna, {})
        os.write(fd, b"x" * 1_000_000)
        waiters = [asyncio.create_task(job.wait()) for _ in range(3)]
        queue = asyncio.create_task(drive.acquire(house.bert, timeout=names.FOR_EVER))
        await house.until(lambda: drive.waiters == 1)
        pid = drive.handle.worker_pid
        await service.stop("shutdown")
        os.close(fd)
        for waiter in waiters:
            with pytest.raises(errors.Cancelled, match=r"job 4 \(write-file\): the daemon is shutting down"):
                await waiter
        with pytest.raises(errors.Busy, match="the daemon is shutting down; try again later"):
            await queue
        assert released == [(session, "shutdown")]
        assert (service.sessions, service.jobs.running) == ({}, 0)
        assert house.markers() == []
        assert house.state_text() == ""
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    async with house.running() as service:
        drive = service.drives["vt0"]
        files = await house.result(drive.start(house.anna, Operation.LIST_FILES, {"first": 2, "count": 9}))
        assert [entry["complete"] for entry in files["files"]] in ([], [False])


async def test_after_the_word_to_stop_nothing_new_begins(house) -> None:
    go = house.base / "go"
    command = house.scripted(label_tape=[{"until": str(go)}, {"answer": {}}])
    house.drive("vt1")
    async with house.running(worker_command=command) as service:
        job = await service.drives["vt0"].start(house.anna, Operation.LABEL_TAPE, {})
        stopping = asyncio.create_task(service.stop())
        await asyncio.sleep(0.05)
        text = "the daemon is shutting down; try again later"
        idle = service.drives["vt1"]
        for call in (
            idle.start(house.anna, Operation.SYNC, {}),
            idle.start_write(house.anna, {}),
            idle.request_media(house.anna, {"label-text": "A1"}),
            idle.acquire(house.anna),
            service.changers["vt1"].start(house.anna, Operation.REFRESH_INVENTORY, {}),
            service.reload(),
        ):
            with pytest.raises(errors.Busy, match=text):
                await call
        assert not stopping.done()
        go.touch()
        assert await job.wait() == {}
        await stopping


async def test_a_stop_ends_a_request_for_a_medium_and_idle_workers(house) -> None:
    house.drive("vt1")
    async with house.running() as service:
        outcomes = []
        service.media_request_resolved.connect(lambda news: outcomes.append(news[2]))
        with pytest.raises(errors.NoMedia):
            await house.result(service.drives["vt1"].start(house.anna, Operation.REWIND, {}))
        job = await service.drives["vt0"].request_media(house.anna, {"label-text": "A1"}, detach=True)
        await house.until(lambda: job.state == "waiting")
        pids = [drive.handle.worker_pid for drive in service.drives.values()]
        await service.stop()
        with pytest.raises(errors.Cancelled, match="shutting down"):
            await job.wait()
        assert outcomes == ["canceled"]
        for pid in pids:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)


async def test_a_worker_ends_by_itself_when_the_daemon_is_killed(house) -> None:
    async with house.running() as service:
        await house.label(service)
    script = DIE_IN_MID_WRITE.replace("os.kill(worker, 9)", "print(worker, flush=True)")
    died = subprocess.run([sys.executable, "-c", script, str(house.base)], capture_output=True, text=True)
    assert died.returncode == -signal.SIGKILL
    worker = int(died.stdout)
    await house.until(lambda: not os.path.exists(f"/proc/{worker}") or zombie(worker))
    async with house.running() as service:
        files = await house.result(
            service.drives["vt0"].start(house.anna, Operation.LIST_FILES, {"first": 2, "count": 9})
        )
        assert [entry["complete"] for entry in files["files"]] in ([], [False])


def zombie(pid: int) -> bool:
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] == "Z"


async def test_scan_tells_what_is_known_and_leaves_out_the_rest(house) -> None:
    async with house.running() as service:
        assert await service.scan() == [
            {
                "kind": "drive",
                "device": str(house.base / "vt0"),
                "path": str(house.base / "vt0"),
                "configured-as": "vt0",
            }
        ]
