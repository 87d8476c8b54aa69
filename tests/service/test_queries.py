# SPDX-License-Identifier: LGPL-2.1-or-later
"""Status and file number: asked anew where that needs no waiting, else as last known."""

from __future__ import annotations

import asyncio
import os

import pytest

from tapeds import errors, names
from tapeds.names import Operation


async def test_an_idle_drive_is_asked_and_given_back(house) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        await house.label(service)
        status = await drive.status(house.bert)
        assert (status["vendor"], status["product"], status["blocksize"]) == ("tapeds", "virtual", 262144)
        assert status["file-number"] == drive.file_number
        assert status["age-ms"] < 5000
        assert (drive.lock_holder(), drive.handle.opened, house.markers()) == ("", False, [])


async def test_what_is_not_known_is_left_out(house, external) -> None:
    async with house.running() as service:
        external(house.dirs.lock / names.lock_name(house.sections["vt0"]["path"]))
        assert await service.drives["vt0"].status(house.anna) == {}


async def test_during_a_job_the_last_knowledge_is_told_with_its_age_and_the_job(house) -> None:
    steps = [{"state": {"file": 7, "block": 3}}, {"wait": True}]
    command = house.scripted(verify_tape=steps, status=[{"answer": {"vendor": "ACME", "file-number": 1}}])
    async with house.running(worker_command=command) as service:
        drive = service.drives["vt0"]
        await drive.status(house.anna)
        job = await drive.start(house.anna, Operation.VERIFY_TAPE, {})
        await asyncio.sleep(0.1)
        first = await drive.status(house.bert)
        assert (first["vendor"], first["job"]) == ("ACME", names.job_path(job.id))
        assert first["age-ms"] >= 90
        await house.until(lambda: drive.file_number == 7)
        second = await drive.status(house.bert)
        assert (second["file-number"], second["block-number"]) == (7, 3)
        job.cancel()
        await job.ended()
        assert "job" not in await drive.status(house.anna)


async def test_the_owner_of_a_lease_asks_anew_and_others_hear_what_was_known(house) -> None:
    command = house.scripted(status=[{"answer": {"vendor": "LATER"}}])
    async with house.running(worker_command=command) as service:
        drive = service.drives["vt0"]
        session = await drive.acquire(house.anna)
        assert (await drive.status(house.bert))["product"] == "PAPER"      # told when it was opened
        assert (await drive.status(house.anna2, session.path))["vendor"] == "LATER"
        assert (await drive.status(house.bert))["vendor"] == "LATER"
        assert (drive.lock_holder(), drive.handle.opened) == ("session", True)


async def test_it_never_waits_for_a_drive_that_is_slow(house) -> None:
    go = house.base / "go"
    command = house.scripted(status=[{"until": str(go)}, {"answer": {"vendor": "LATER"}}])
    async with house.running(house.quick(query=0.2), worker_command=command) as service:
        drive = service.drives["vt0"]
        async with asyncio.timeout(10):
            assert (await drive.status(house.anna)).get("vendor") != "LATER"
        starting = asyncio.create_task(drive.start(house.bert, Operation.SYNC, {}))
        await asyncio.sleep(0.1)
        assert not starting.done()
        go.touch()
        await (await starting).wait()
        assert (await drive.status(house.anna))["vendor"] == "LATER"


async def test_it_waits_for_nobody_who_is_at_the_device(house) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        known = await drive.status(house.anna)
        async with drive.turn, asyncio.timeout(1):
            assert {**await drive.status(house.bert), "age-ms": 0} == {**known, "age-ms": 0}


async def test_a_job_on_a_drive_that_nobody_asked_before_tells_what_the_worker_knows(house) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        await house.label(service)
        job, fd = await drive.start_write(house.anna, {})
        await house.until(lambda: drive.file_number == 2)
        status = await drive.status(house.bert)
        assert (status["vendor"], status["product"], status["blocksize"]) == ("tapeds", "virtual", 262144)
        assert (status["file-number"], status["job"]) == (2, names.job_path(job.id))
        assert status["age-ms"] < 60_000
        os.close(fd)
        await job.abort()
        await job.ended()


async def test_a_question_does_not_turn_a_job_away(house) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        await house.label(service)
        asking = [asyncio.create_task(drive.status(house.anna)) for _ in range(5)]
        await asyncio.sleep(0)
        await house.result(drive.start(house.bert, Operation.REWIND, {}))
        assert all("age-ms" in answer for answer in await asyncio.gather(*asking))


async def test_however_many_ask_the_drive_is_asked_once_at_a_time(house) -> None:
    go = house.base / "go"
    slow = [{"until": str(go)}, {"answer": {"vendor": "LATER", "file": 7}}]
    command = house.scripted(status=slow, current_file_number=slow)
    async with house.running(house.quick(query=0.2), worker_command=command) as service:
        drive = service.drives["vt0"]
        asked = []
        ask = drive.handle.request

        def request(operation, arguments, **how):
            asked.append(operation)
            return ask(operation, arguments, **how)

        drive.handle.request = request
        await asyncio.gather(*(drive.status(house.anna) for _ in range(50)))       # all are answered
        await asyncio.gather(*(drive.status(house.bert) for _ in range(50)))
        numbers = [asyncio.create_task(drive.current_file_number(house.anna)) for _ in range(50)]
        await asyncio.sleep(0.1)
        numbers[0].cancel()
        go.touch()
        assert await asyncio.gather(*numbers[1:]) == [7] * 49
        assert asked == ["status", "current-file-number"]
        assert (await drive.status(house.anna))["vendor"] == "LATER"


async def test_a_drive_that_is_not_there_says_so(house) -> None:
    async with house.running() as service:
        (house.base / "vt0").rmdir()
        with pytest.raises(errors.NotPresent, match="drive vt0 is not present"):
            await service.drives["vt0"].status(house.anna)
        assert service.drives["vt0"].state == "absent"


async def test_the_file_number_is_asked_of_the_drive(house) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        await house.label(service)
        await house.result(drive.start(house.anna, Operation.MOVE_TO_FILE, {"file": 1}))
        assert await drive.current_file_number(house.bert) == 1
        session = await drive.acquire(house.anna)
        assert await drive.current_file_number(house.anna) == 1
        assert await drive.current_file_number(house.anna2, session.path) == 1
        with pytest.raises(errors.Locked):
            await drive.current_file_number(house.bert)
        await session.release(house.anna)
        await house.result(drive.start(house.anna, Operation.EJECT_MEDIA, {}))
        with pytest.raises(errors.NoMedia):
            await drive.current_file_number(house.anna)
        assert drive.lock_holder() == ""


async def test_the_file_number_is_not_known_while_a_job_runs(house) -> None:
    command = house.scripted(verify_tape=[{"wait": True}])
    async with house.running(worker_command=command) as service:
        drive = service.drives["vt0"]
        await drive.acquire(house.anna)
        job = await drive.start(house.anna, Operation.VERIFY_TAPE, {})
        with pytest.raises(errors.Busy, match=r"drive vt0 is busy with job 1 \(verify-tape\)"):
            await drive.current_file_number(house.anna)
        job.cancel()
        await job.ended()


async def test_a_label_that_was_read_is_remembered_for_the_next_run(house) -> None:
    async with house.running() as service:
        label = await house.label(service)
        await service.shared.settle()
    record = (house.dirs.state / "labels" / "vt0.json").read_text()
    assert label["uuid"] in record
    async with house.running() as service:
        assert service.shared.labels == {label["uuid"]: "TAPE01"}
