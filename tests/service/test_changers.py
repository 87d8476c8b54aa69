# SPDX-License-Identifier: LGPL-2.1-or-later
"""The shelf of a virtual drive: its inventory, and who may move cartridges when."""

from __future__ import annotations

import pytest

from tapeds import errors, names
from tapeds.names import Operation


def full(elements) -> dict[tuple[str, int], str]:
    return {(e["kind"], e["number"]): e["label-text"] for e in elements if e["state"] == "full"}


async def test_before_anybody_looked_nothing_is_known_and_no_device_is_asked(house) -> None:
    async with house.running() as service:
        changer = service.changers["vt0"]
        assert changer.inventory() == (0, [])
        assert (changer.slot_count, changer.import_export_count, changer.transport_count) == (0, 0, 0)
        assert (changer.drive_count, changer.drives) == (1, {0: names.drive_path("vt0")})
        assert service.drives["vt0"].handle.worker_pid == 0


async def test_a_load_is_shown_by_inventory_and_drive(house) -> None:
    async with house.running() as service:
        changer, drive = service.changers["vt0"], service.drives["vt0"]
        news = []
        changer.inventory_changed.connect(news.append)
        arguments = {"label-text": "TAPE01", "drive-number": 0, "create": True}
        job = await changer.start(house.anna, Operation.LOAD_MEDIA, arguments)
        assert job.operation == "load-media"
        assert await job.wait() == {}
        generation, elements = changer.inventory()
        assert generation == 1
        assert full(elements) == {("drive", 0): "TAPE01"}
        (element,) = [e for e in elements if e["kind"] == "drive"]
        assert (element["drive"], element["source-slot"]) == (drive.path, 1)
        assert "full" not in element
        assert (changer.slot_count, changer.inventory_time > 0) == (8, True)
        assert [(g, len(e)) for g, e in news] == [(1, 9)]
        assert (drive.media_state, drive.media["label-text"]) == ("loaded", "TAPE01")


async def test_looking_again_without_news_keeps_the_generation(house) -> None:
    async with house.running() as service:
        changer = service.changers["vt0"]
        for _ in range(2):
            job = await changer.start(house.anna, Operation.REFRESH_INVENTORY, {"initialize": True})
            assert await job.wait() == {}
        assert changer.inventory_generation == 1


async def test_an_eject_is_seen_by_the_inventory_and_only_what_changed_is_told(house) -> None:
    async with house.running() as service:
        changer, drive = service.changers["vt0"], service.drives["vt0"]
        await house.label(service)
        news = []
        changer.inventory_changed.connect(news.append)
        await house.result(drive.start(house.anna, Operation.EJECT_MEDIA, {}))
        ((generation, changed),) = news
        assert generation == 2
        assert [(e["kind"], e["number"], e["state"]) for e in changed] == [
            ("drive", 0, "empty"),
            ("slot", 1, "full"),
        ]


async def test_an_element_that_is_no_more_is_told_as_unknown(house) -> None:
    async with house.running() as service:
        changer = service.changers["vt0"]
        slot = {"kind": "slot", "number": 1, "address": 1, "full": True, "label-text": "A1"}
        changer.learn([slot, {**slot, "number": 2, "address": 2}])
        news = []
        changer.inventory_changed.connect(news.append)
        changer.learn([slot])
        ((_, changed),) = news
        assert [(e["number"], e["state"]) for e in changed] == [(2, "unknown")]
        assert changer.slot_count == 1


async def test_cartridges_go_from_slot_to_slot_and_back(house) -> None:
    async with house.running() as service:
        changer = service.changers["vt0"]

        async def do(operation: str, **arguments: object) -> None:
            plain = {key.replace("_", "-"): value for key, value in arguments.items()}
            await house.result(changer.start(house.anna, operation, plain))

        await do(Operation.LOAD_MEDIA, label_text="A1", create=True)
        await do(Operation.UNLOAD_MEDIA, drive_number=0, slot=3)
        assert full(changer.inventory()[1]) == {("slot", 3): "A1"}
        await do(Operation.TRANSFER_MEDIA, **{"from": 3, "to": 5})
        assert full(changer.inventory()[1]) == {("slot", 5): "A1"}
        await do(Operation.LOAD_SLOT, slot=5, drive_number=0)
        assert full(changer.inventory()[1]) == {("drive", 0): "A1"}
        with pytest.raises(errors.NoMedia):
            await do(Operation.LOAD_MEDIA, label_text="B2")
        with pytest.raises(errors.NotSupported):
            await do(Operation.EXPORT_MEDIA, label_text="A1")


async def test_a_drive_that_somebody_has_leased_is_not_loaded_by_others(house) -> None:
    async with house.running() as service:
        changer, drive = service.changers["vt0"], service.drives["vt0"]
        session = await drive.acquire(house.anna)
        assert changer.lock_holder() == "session"
        load = {"label-text": "A1", "create": True}
        with pytest.raises(errors.Locked, match=r"drive vt0 is leased by uid 1000 \(pid 100\)"):
            await changer.start(house.bert, Operation.LOAD_MEDIA, load)
        await house.result(changer.start(house.anna2, Operation.LOAD_MEDIA, load, session=session.path))
        await house.result(changer.start(house.anna, Operation.UNLOAD_MEDIA, {}))


async def test_while_it_moves_a_cartridge_changer_and_drive_are_busy_with_the_same_job(house) -> None:
    go = house.base / "go"
    command = house.scripted(load_media=[{"until": str(go)}, {"answer": {"elements": []}}])
    async with house.running(worker_command=command) as service:
        changer, drive = service.changers["vt0"], service.drives["vt0"]
        assert (changer.state, changer.job) == ("idle", None)
        changed = []
        changer.changed.connect(changed.append)
        job = await changer.start(house.anna, Operation.LOAD_MEDIA, {"label-text": "A1"})
        assert (changer.job, drive.job) == (job, job)
        assert (changer.state, drive.state) == ("busy", "busy")
        assert job.objects == (drive.path, changer.path)
        assert (job.facts["TAPEDS_DRIVE"], job.facts["TAPEDS_CHANGER"]) == ("vt0", "vt0")
        assert changed
        go.touch()
        await job.wait()
        assert (changer.state, changer.job) == ("idle", None)


async def test_a_drive_s_own_job_is_none_of_the_changer_s(house) -> None:
    command = house.scripted(verify_tape=[{"wait": True}])
    async with house.running(worker_command=command) as service:
        job = await service.drives["vt0"].start(house.anna, Operation.VERIFY_TAPE, {})
        assert (service.changers["vt0"].job, service.changers["vt0"].state) == (None, "idle")
        job.cancel()
        await job.ended()


@pytest.mark.parametrize(
    ("operation", "arguments", "error", "text"),
    [
        (Operation.LOAD_SLOT, {"drive-number": 3}, errors.InvalidOption, "changer vt0 has no drive 3"),
        (Operation.REWIND, {}, errors.NotSupported, "a changer does not do rewind"),
    ],
)
async def test_what_a_changer_has_not_is_refused(house, operation, arguments, error, text) -> None:
    async with house.running() as service:
        with pytest.raises(error, match=text):
            await service.changers["vt0"].start(house.anna, operation, arguments)


async def test_it_is_there_and_named_as_its_drive(house) -> None:
    async with house.running() as service:
        changer, drive = service.changers["vt0"], service.drives["vt0"]
        await house.label(service)
        assert (changer.name, changer.type, changer.path) == ("vt0", "virtual", drive.changer)
        assert (changer.configured_path, changer.device) == (drive.configured_path, drive.device)
        assert (changer.vendor, changer.model) == (drive.vendor, drive.model)
        assert (changer.revision, changer.serial) == (drive.revision, drive.serial)
        (house.base / "vt0").rename(house.base / "away")
        with pytest.raises(errors.NotPresent):
            await changer.start(house.anna, Operation.REFRESH_INVENTORY, {})
        assert (changer.present, changer.state) == (False, "absent")


async def test_an_inventory_of_several_packets_is_seen_whole(house) -> None:
    shelf = house.drive("vt0")
    for number in range(1500):
        (shelf / f"tape-T{number:05}.json").write_text('{"files": 0}')
    async with house.running() as service:
        changer, drive = service.changers["vt0"], service.drives["vt0"]
        assert await house.result(changer.start(house.anna, Operation.REFRESH_INVENTORY, {})) == {}
        assert changer.slot_count == 1504
        seen = changer.inventory()[1]
        assert [element["label-text"] for element in seen if element["number"] == 1500] == ["T01499"]
        load = {"label-text": "T01499"}
        assert await house.result(changer.start(house.anna, Operation.LOAD_MEDIA, load)) == {}
        assert changer.slot_count == 1504
        await house.result(drive.start(house.anna, Operation.EJECT_MEDIA, {}))
        assert changer.slot_count == 1504


async def test_an_inventory_that_breaks_off_leaves_the_one_before(house) -> None:
    shelf = house.drive("vt0")
    (shelf / "tape-TAPE01.json").write_text('{"files": 0}')
    slot = {"kind": "slot", "number": 1, "address": 1, "full": False}
    page = {"elements": [slot], "more": True}
    command = house.scripted(
        load_media=[{"answer": page}],
        inventory=[{"fail": "Io", "text": "disk"}],
    )
    async with house.running(worker_command=command) as service:
        changer = service.changers["vt0"]
        load = {"label-text": "TAPE01"}
        assert await house.result(changer.start(house.anna, Operation.LOAD_MEDIA, load)) == {}
        assert changer.inventory() == (0, [])
