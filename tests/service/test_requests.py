# SPDX-License-Identifier: LGPL-2.1-or-later
"""Asking for a medium: what is tried, what a person is told and how often, and how it ends."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from tapeds import errors, names
from tapeds.jobs.caller import Caller
from tapeds.names import Operation

UUID = "3fa1d9c2-1111-4222-8333-444455556666"


class Ears:
    """Remembers what the service says about requests."""

    def __init__(self, service) -> None:
        self.requested: list[dict] = []
        self.resolved: list[str] = []
        service.media_requested.connect(lambda news: self.requested.append(news[2]))
        service.media_request_resolved.connect(lambda news: self.resolved.append(news[2]))

    @property
    def reasons(self) -> list[str]:
        return [request["reason"] for request in self.requested]


async def cartridge(house, service, text: str) -> None:
    """Make a cartridge without label and leave it in its slot."""
    changer = service.changers["vt0"]
    await house.result(changer.start(house.anna, Operation.LOAD_MEDIA, {"label-text": text, "create": True}))
    await house.result(changer.start(house.anna, Operation.UNLOAD_MEDIA, {"drive-number": 0}))


async def test_the_right_tape_in_the_drive_is_found_without_a_word_to_anybody(house) -> None:
    async with house.running() as service:
        drive, ears = service.drives["vt0"], Ears(service)
        label = await house.label(service)
        job = await drive.request_media(house.anna, {"label-text": "TAPE01"})
        result = await job.wait()
        assert result == {
            "uuid": label["uuid"], "label-text": "TAPE01", "session": names.session_path(1),
        }
        assert (ears.requested, ears.resolved) == ([], [])
        session = drive.session
        assert (session.path, session.owner) == (result["session"], house.anna.name)
        assert session.binding == "client"
        assert (job.session, drive.state, drive.lock_holder()) == ("/", "idle", "session")
        await session.release(house.anna)


async def test_a_tape_in_the_library_is_loaded_and_proved(house) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        label = await house.label(service)
        await house.result(drive.start(house.anna, Operation.EJECT_MEDIA, {}))
        job = await drive.request_media(house.anna, {"label-text": "TAPE01", "uuid": label["uuid"].upper()})
        assert (await job.wait())["uuid"] == label["uuid"]
        assert drive.media["label-text"] == "TAPE01"


async def test_a_uuid_may_be_written_without_hyphens(house) -> None:
    async with house.running() as service:
        label = await house.label(service)
        job = await service.drives["vt0"].request_media(house.anna, {"uuid": label["uuid"].replace("-", "")})
        assert (await asyncio.wait_for(job.wait(), 20))["uuid"] == label["uuid"]


async def test_a_tape_that_is_known_by_its_uuid_is_loaded_by_it(house) -> None:
    async with house.running() as service:
        label = await house.label(service)
        await house.result(service.drives["vt0"].start(house.anna, Operation.EJECT_MEDIA, {}))
    async with house.running() as service:
        job = await service.drives["vt0"].request_media(house.anna, {"uuid": label["uuid"]})
        assert (await job.wait())["label-text"] == "TAPE01"


async def test_it_asks_once_and_finds_the_tape_as_soon_as_somebody_loads_it(house, caplog) -> None:
    async with house.running() as service:
        drive, changer, ears = service.drives["vt0"], service.changers["vt0"], Ears(service)
        job = await drive.request_media(house.anna, {"label-text": "TAPE01"}, interval=1)
        await house.until(lambda: job.state == "waiting")
        assert (drive.state, drive.job) == ("waiting-for-media", job)
        assert job.message == "please insert media 'TAPE01' into drive 'vt0'"
        prompt = job.prompt
        assert prompt.pop("since") > 0
        assert prompt == {
            "reason": "not-in-library",
            "label-text": "TAPE01",
            "uuid": "",
            "found-label-text": "",
            "found-uuid": "",
            "last-error": "the drive is empty, and there is no such cartridge in its changer",
        }
        await house.until(lambda: "please insert" in house.state_text())
        await asyncio.sleep(2.5)
        assert ears.reasons == ["not-in-library"]

        load = await changer.start(house.bert, Operation.LOAD_MEDIA, {"label-text": "TAPE01", "create": True})
        assert await load.wait() == {}
        assert load.objects == (drive.path, changer.path)
        await house.until(lambda: len(ears.requested) == 2)
        assert ears.reasons == ["not-in-library", "empty-tape"]
        assert job.prompt["last-error"] == "found empty media without label (please label all tapes first)"
        job.cancel("uid 0")
        with pytest.raises(errors.Cancelled):
            await job.wait()
        assert ears.resolved == ["canceled"]
        told = [r for r in caplog.records if getattr(r, "MESSAGE_ID", "").startswith("9f3c1b7a")]
        assert [record.TAPEDS_LABEL for record in told] == ["TAPE01", "TAPE01"]


async def test_a_load_into_the_waiting_drive_is_looked_at_at_once(house, caplog) -> None:
    caplog.set_level("INFO", logger="tapeds")
    async with house.running() as service:
        drive, changer, ears = service.drives["vt0"], service.changers["vt0"], Ears(service)
        label = await house.label(service)
        new = {"label-text": "B2", "create": True}
        await house.result(changer.start(house.anna, Operation.LOAD_MEDIA, new))
        # by its uuid alone nobody here knows its label text
        service.shared.labels.clear()
        job = await drive.request_media(house.anna, {"uuid": label["uuid"]}, interval=3600)
        await house.until(lambda: job.state == "waiting")
        assert ears.reasons == ["empty-tape"]
        await house.result(changer.start(house.bert, Operation.LOAD_MEDIA, {"label-text": "TAPE01"}))
        async with asyncio.timeout(10):
            assert (await job.wait())["label-text"] == "TAPE01"
        assert ears.resolved == ["found"]
        (found,) = [r for r in caplog.records if getattr(r, "MESSAGE_ID", "").startswith("41f7e5d3")]
        assert found.getMessage() == f"found media label TAPE01 ({label['uuid']}) in drive 'vt0'"
        assert found.TAPEDS_LABEL == "TAPE01"
        assert label["uuid"] == found.TAPEDS_MEDIA_UUID


async def test_an_empty_drive_and_a_tape_known_by_uuid_alone_is_no_medium(house) -> None:
    async with house.running() as service:
        ears = Ears(service)
        job = await service.drives["vt0"].request_media(house.anna, {"uuid": UUID})
        await house.until(lambda: job.state == "waiting")
        assert ears.reasons == ["no-medium"]
        assert job.prompt["last-error"] == "the drive is empty"


async def test_another_tape_is_named_and_said_to_be_wrong(house, caplog) -> None:
    async with house.running() as service:
        ears = Ears(service)
        label = await house.label(service)
        job = await service.drives["vt0"].request_media(house.anna, {"label-text": "OTHER1", "uuid": UUID})
        await house.until(lambda: job.state == "waiting")
        (request,) = ears.requested
        assert request["reason"] == "wrong-label"
        assert (request["found-label-text"], request["found-uuid"]) == ("TAPE01", label["uuid"])
        assert request["last-error"] == f"wrong media label TAPE01 ({label['uuid']})"
        (told,) = [r for r in caplog.records if getattr(r, "MESSAGE_ID", "").startswith("c5b9a7d3")]
        assert told.TAPEDS_LABEL == "OTHER1"
        assert request["uuid"] == told.TAPEDS_MEDIA_UUID
        assert str(job.id) == told.TAPEDS_JOB


async def test_a_blank_cartridge_that_is_another_one_is_said_to_be_wrong(house) -> None:
    async with house.running() as service:
        ears = Ears(service)
        await cartridge(house, service, "BLANK1")
        load = service.changers["vt0"].start(house.anna, Operation.LOAD_MEDIA, {"label-text": "BLANK1"})
        await house.result(load)
        job = await service.drives["vt0"].request_media(house.anna, {"label-text": "TAPE01"})
        await house.until(lambda: job.state == "waiting")
        (request,) = ears.requested
        assert (request["reason"], request["found-label-text"]) == ("wrong-label", "BLANK1")
        assert request["found-uuid"] == ""
        assert request["last-error"] == "wrong media BLANK1, which has no label on tape"


async def test_the_uuid_decides_where_both_are_given(house) -> None:
    async with house.running() as service:
        ears = Ears(service)
        await house.label(service)
        job = await service.drives["vt0"].request_media(house.anna, {"label-text": "TAPE01", "uuid": UUID})
        await house.until(lambda: job.state == "waiting")
        assert ears.reasons == ["wrong-label"]


async def test_a_cartridge_without_label_is_loaded_once_and_called_empty(house) -> None:
    async with house.running() as service:
        ears = Ears(service)
        await cartridge(house, service, "BLANK1")
        job = await service.drives["vt0"].request_media(house.anna, {"label-text": "BLANK1"}, interval=1)
        await house.until(lambda: job.state == "waiting")
        await asyncio.sleep(1.5)
        assert ears.reasons == ["empty-tape"]


@pytest.mark.damaged_tape("its label is overwritten with nonsense")
async def test_a_tape_that_cannot_be_read_says_why(house) -> None:
    async with house.running() as service:
        ears = Ears(service)
        await house.label(service)
        (house.base / "vt0" / "tapefile-0-TAPE01.json").write_bytes(b"nonsense" * 32768)
        job = await service.drives["vt0"].request_media(house.anna, {"label-text": "TAPE01"})
        await house.until(lambda: job.state == "waiting")
        assert ears.reasons == ["read-failed"]
        assert job.prompt["last-error"].startswith("tape read failed - ")
        assert len(job.prompt["last-error"]) > len("tape read failed - ")


async def test_a_drive_that_cannot_be_opened_meanwhile_is_asked_for_and_found_again(house) -> None:
    async with house.running() as service:
        drive, ears = service.drives["vt0"], Ears(service)
        label = await house.label(service)
        (house.base / "vt0").rename(house.base / "away")
        with pytest.raises(errors.NotPresent):
            await drive.request_media(house.anna, {"label-text": "TAPE01"})
        (house.base / "away").rename(house.base / "vt0")
        job = await drive.request_media(house.anna, {"uuid": UUID}, interval=1)
        await house.until(lambda: job.state == "waiting")
        (house.base / "vt0").rename(house.base / "away")
        await house.until(lambda: len(ears.requested) == 2)
        assert ears.reasons == ["wrong-label", "open-failed"]
        assert job.prompt["last-error"].startswith("tape open failed - drive vt0 is not present")
        assert drive.present is False
        (house.base / "away").rename(house.base / "vt0")
        await house.until(lambda: len(ears.requested) == 3)
        assert ears.requested[2]["found-uuid"] == label["uuid"]
        assert drive.present is True


async def test_a_worker_that_dies_while_it_reads_the_label_is_replaced_at_the_next_look(house) -> None:
    flag = house.base / "once"
    steps = [{"until": str(flag)}, {"die": signal.SIGKILL.value}]
    async with house.running(worker_command=house.scripted(read_label=steps)) as service:
        ears = Ears(service)
        flag.touch()
        job = await service.drives["vt0"].request_media(house.anna, {"uuid": UUID}, interval=1)
        await house.until(lambda: job.state == "waiting")
        assert ears.reasons == ["read-failed"]
        said = job.prompt["last-error"]
        assert said.startswith("tape read failed - the worker of vt0 was killed by signal 9; try again")
        await asyncio.sleep(1.5)
        assert (ears.reasons, job.state) == (["read-failed"], "waiting")


async def test_the_device_is_free_for_other_programs_while_a_person_is_waited_for(house) -> None:
    """The shelf's own lock is free, a tape can be put there by other means; the drive's lock is held."""
    async with house.running() as service:
        drive = service.drives["vt0"]
        job = await drive.request_media(house.anna, {"label-text": "TAPE01"}, interval=3600)
        await house.until(lambda: job.state == "waiting" and not (drive.handle.opened or house.markers()))
        assert drive.lock_holder() == "job"
        with pytest.raises(errors.Busy, match=r"drive vt0 is busy with request-media for uid 1000"):
            await drive.start(house.bert, Operation.REWIND, {})
        with pytest.raises(errors.Busy):
            await service.changers["vt0"].start(house.bert, Operation.REFRESH_INVENTORY, {})


async def test_it_ends_within_200_ms_of_a_cancel_and_leaves_nothing_locked(house) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        job = await drive.request_media(house.anna, {"label-text": "TAPE01"}, interval=3600)
        await house.until(lambda: job.state == "waiting" and not drive.handle.opened)
        job.cancel("uid 1000")
        async with asyncio.timeout(0.2):
            with pytest.raises(errors.Cancelled, match=r"job 1 \(request-media\) was cancelled by uid 1000"):
                await job.wait()
        assert (drive.state, drive.lock_holder(), service.sessions) == ("idle", "", {})


async def test_a_cancel_stops_the_label_check_in_hand(house) -> None:
    command = house.scripted(read_label=[{"wait": True}])
    async with house.running(worker_command=command) as service:
        job = await service.drives["vt0"].request_media(house.anna, {"label-text": "TAPE01"})
        await asyncio.sleep(0.1)
        job.cancel()
        async with asyncio.timeout(5):
            with pytest.raises(errors.Cancelled):
                await job.wait()


async def test_time_may_run_out(house) -> None:
    async with house.running() as service:
        ears = Ears(service)
        drive = service.drives["vt0"]
        job = await drive.request_media(house.anna, {"label-text": "TAPE01"}, timeout=1, interval=60)
        with pytest.raises(errors.Timeout, match="media 'TAPE01' did not come into drive vt0 in 1 s: the"):
            await job.wait()
        assert ears.resolved == ["timeout"]
        assert drive.lock_holder() == ""


async def test_inside_a_lease_the_lease_stays(house) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        label = await house.label(service)
        session = await drive.acquire(house.anna)
        job = await drive.request_media(house.anna2, {"label-text": "TAPE01"}, session=session.path)
        assert await job.wait() == {"uuid": label["uuid"], "label-text": "TAPE01", "session": session.path}
        assert drive.session is session
        job = await drive.request_media(house.anna, {"label-text": "OTHER1"})
        await house.until(lambda: job.state == "waiting")
        job.cancel()
        await job.ended()
        assert (drive.session, drive.lock_holder()) == (session, "session")
        await house.result(drive.start(house.anna, Operation.REWIND, {}))


async def test_a_detached_request_ends_with_a_lease_of_the_user_for_600_seconds(house) -> None:
    async with house.running(clock=lambda: 1000.0) as service:
        drive = service.drives["vt0"]
        await house.label(service)
        job = await drive.request_media(house.anna, {"label-text": "TAPE01"}, detach=True)
        result = await job.wait()
        session = drive.session
        assert (session.path, session.binding) == (result["session"], "none")
        assert session.expires == 1600 * 1_000_000
        await house.result(drive.start(house.anna2, Operation.REWIND, {}, session=session.path))


async def test_an_acquire_waits_behind_it(house) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        job = await drive.request_media(house.anna, {"label-text": "TAPE01"})
        with pytest.raises(errors.Locked, match="drive vt0 is busy with request-media for uid 1000"):
            await drive.acquire(house.bert, timeout=0)
        waiting = asyncio.create_task(drive.acquire(house.bert, timeout=60))
        await house.until(lambda: drive.waiters == 1 and job.state == "waiting")
        job.cancel()
        assert (await waiting).owner == house.bert.name


@pytest.mark.parametrize(
    ("media", "options", "text"),
    [
        ({}, {}, "which medium is wanted. give label-text, uuid or both"),
        ({"barcode": "A1"}, {}, "a medium has no 'barcode'"),
        ({"label-text": "A1"}, {"interval": 0}, "an interval of 0 seconds would never rest"),
    ],
)
async def test_a_request_that_makes_no_sense_is_refused(house, media, options, text) -> None:
    async with house.running() as service:
        with pytest.raises(errors.InvalidOption, match=text):
            await service.drives["vt0"].request_media(house.anna, media, **options)


async def test_it_is_no_transfer(house) -> None:
    async with house.running() as service:
        job = await service.drives["vt0"].request_media(house.anna, {"label-text": "A1"})
        with pytest.raises(errors.InvalidState):
            await job.commit(1)
        with pytest.raises(errors.InvalidState):
            await job.abort()
        job.cancel()


async def test_only_one_load_at_a_time_answers(house) -> None:
    go = house.base / "go"
    label = {"label": {"label-text": "B2", "uuid": UUID}}
    command = house.scripted(
        read_label=[{"answer": label}],
        load_media=[{"fail": "NoMedia", "text": "there is no cartridge"}],
        load_slot=[{"until": str(go)}, {"answer": {"elements": []}}],
    )
    async with house.running(worker_command=command) as service:
        changer = service.changers["vt0"]
        job = await service.drives["vt0"].request_media(house.anna, {"label-text": "A1"}, interval=3600)
        await house.until(lambda: job.state == "waiting" and not service.drives["vt0"].handle.opened)
        first = await changer.start(house.bert, Operation.LOAD_SLOT, {"slot": 1})
        assert (changer.job, changer.state, service.drives["vt0"].job) == (first, "busy", job)
        with pytest.raises(errors.Busy, match=r"changer vt0 is busy with job 2 \(load-slot\)"):
            await changer.start(Caller(":1.5", 5), Operation.UNLOAD_MEDIA, {"drive-number": 0})
        go.touch()
        assert await first.wait() == {}
        assert changer.job is None
        job.cancel()
    assert os.path.exists(go)
