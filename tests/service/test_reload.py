# SPDX-License-Identifier: LGPL-2.1-or-later
"""Another configuration while the service runs: what is idle changes at once, what is busy later."""

from __future__ import annotations

import asyncio

import pytest

from tapeds import errors, names
from tapeds.names import Operation


class Ears:
    def __init__(self, service) -> None:
        self.heard: list[str] = []
        for news in ("drive_added", "drive_removed", "changer_added", "changer_removed"):
            signal = getattr(service, news)
            signal.connect(lambda unit, news=news: self.heard.append(f"{news} {unit.name}"))
        service.config_changed.connect(lambda _: self.heard.append("config_changed"))


async def test_new_drives_come_and_idle_ones_go(house) -> None:
    async with house.running() as service:
        ears = Ears(service)
        assert service.config_generation == 1
        house.drive("vt1")
        house.write_config()
        assert await service.reload() == 2
        assert sorted(service.drives) == sorted(service.changers) == ["vt0", "vt1"]
        assert ears.heard == ["drive_added vt1", "changer_added vt1", "config_changed"]
        assert service.drives["vt1"].present is True
        del house.sections["vt0"]
        house.write_config()
        ears.heard.clear()
        assert await service.reload() == 3
        assert sorted(service.drives) == sorted(service.changers) == ["vt1"]
        assert ears.heard == ["changer_removed vt0", "drive_removed vt0", "config_changed"]
        assert (service.config_errors, service.config_generation) == ([], 3)


async def test_an_idle_drive_moves_and_nothing_of_the_old_place_is_known(house) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        await house.label(service)
        assert drive.media_state == "loaded"
        other = house.base / "elsewhere"
        other.mkdir()
        house.sections["vt0"]["path"] = str(other)
        house.write_config()
        await service.reload()
        assert service.drives["vt0"] is drive
        assert (drive.configured_path, drive.media_state, drive.media) == (str(other), "unknown", {})
        assert (drive.present, drive.state) == (True, "idle")
        assert service.changers["vt0"].inventory()[1] == []
        with pytest.raises(errors.NoMedia):
            await house.result(drive.start(house.anna, Operation.REWIND, {}))


@pytest.mark.parametrize("mistake", ["[drive.vt0]\ntype = 3\n", "[drive.vt0]\ntyp = 'virtual'\n", "[drive"])
async def test_a_mistake_changes_nothing(house, mistake) -> None:
    async with house.running() as service:
        ears = Ears(service)
        house.config_file.write_text(mistake)
        with pytest.raises(errors.InvalidConfig, match=r"tapeds\.toml"):
            await service.reload()
        assert (service.config_generation, service.config_errors, ears.heard) == (1, [], [])
        assert sorted(service.drives) == ["vt0"]
        await house.result(service.changers["vt0"].start(house.anna, Operation.REFRESH_INVENTORY, {}))


@pytest.mark.parametrize("use", ["job", "lease"])
async def test_a_drive_in_use_keeps_its_section_until_it_is_idle(house, use, caplog) -> None:
    command = house.scripted(verify_tape=[{"wait": True}])
    async with house.running(worker_command=command) as service:
        drive, ears = service.drives["vt0"], Ears(service)
        if use == "job":
            job = await drive.start(house.anna, Operation.VERIFY_TAPE, {})
        else:
            session = await drive.acquire(house.anna)
        old = house.sections["vt0"]["path"]
        (house.base / "elsewhere").mkdir()
        house.sections["vt0"]["path"] = str(house.base / "elsewhere")
        house.write_config()
        await service.reload()
        assert drive.configured_path == old
        assert service.config_errors == [
            "drive vt0 is in use; its new section takes effect as soon as it is idle"
        ]
        (told,) = [r for r in caplog.records if getattr(r, "MESSAGE_ID", "").startswith("f0e1d2c3")]
        assert service.config_errors == [told.TAPEDS_ERROR]
        ears.heard.clear()
        if use == "job":
            job.cancel()
            await job.ended()
        else:
            await session.release(house.anna)
        await house.until(lambda: drive.configured_path != old and drive.present)
        assert (service.config_errors, ears.heard) == ([], ["config_changed"])
        assert service.config_generation == 2
        await house.result(drive.start(house.anna, Operation.SYNC, {}))
        assert drive.device == str(house.base / "elsewhere")


async def test_a_removed_drive_in_use_goes_after_its_job(house) -> None:
    command = house.scripted(verify_tape=[{"wait": True}])
    async with house.running(worker_command=command) as service:
        job = await service.drives["vt0"].start(house.anna, Operation.VERIFY_TAPE, {})
        del house.sections["vt0"]
        house.write_config()
        await service.reload()
        assert service.config_errors == [
            "drive vt0 is in use; its removal takes effect as soon as it is idle"
        ]
        assert "vt0" in service.drives
        job.cancel()
        await job.ended()
        await house.until(lambda: not service.drives)
        assert (service.changers, service.config_errors) == ({}, [])
        assert service.jobs.get(job.id) is job


async def test_a_drive_that_somebody_waits_for_is_in_use(house) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        session = await drive.acquire(house.anna)
        waiting = asyncio.create_task(drive.acquire(house.bert, timeout=60))
        await house.until(lambda: drive.waiters == 1)
        del house.sections["vt0"]
        house.write_config()
        await service.reload()
        await session.release(house.anna)
        second = await waiting
        assert "vt0" in service.drives
        await second.release(house.bert)
        await house.until(lambda: not service.drives)


async def test_a_change_taken_back_before_it_could_take_effect_never_does(house) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        session = await drive.acquire(house.anna)
        section = house.sections.pop("vt0")
        house.write_config()
        await service.reload()
        house.sections["vt0"] = section
        house.write_config()
        assert await service.reload() == 3
        assert service.config_errors == []
        await session.release(house.anna)
        await asyncio.sleep(0.1)
        assert service.drives == {"vt0": drive}


async def test_another_size_of_tape_reaches_the_worker(house) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        house.sections["vt0"]["max-size"] = "1MiB"
        house.write_config()
        await service.reload()
        await house.label(service)
        assert drive.capacity_bytes == 1 << 20


async def test_who_was_on_the_way_to_a_drive_that_is_removed_learns_of_it(house, external) -> None:
    async with house.running() as service:
        drive, late = service.drives["vt0"], []
        external(service.shared.locks.path_lock(drive.configured_path))      # nobody gets beyond it

        def come(_: object) -> None:
            for caller in (house.anna, house.bert):
                acquiring = drive.acquire(caller, timeout=names.FOR_EVER)
                late.append(asyncio.create_task(acquiring))

        service.changer_removed.connect(come)
        house.sections.clear()
        house.write_config()
        await service.reload()
        for call in late:
            with pytest.raises(errors.NoSuchDrive):
                await asyncio.wait_for(call, 20)
        with pytest.raises(errors.NoSuchDrive, match="drive vt0 is not configured any more"):
            await drive.acquire(house.anna)
        with pytest.raises(errors.NoSuchDrive):
            await drive.start(house.anna, Operation.SYNC, {})
        assert (service.sessions, service.jobs.all(), drive.handle.worker_pid) == ({}, [], 0)
        assert (drive.lease.hold, drive.waiters) == (None, 0)
