# SPDX-License-Identifier: LGPL-2.1-or-later
"""What listeners hear: changes once per turn, before answers, and enough to know everything."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from tapeds import names
from tapeds.buslib import Variant, unwrap

LTO0 = names.drive_path("lto0")
PROPERTIES = "org.freedesktop.DBus.Properties"

Play = Callable[[Any], None]


def told(scene: Any) -> list[tuple[str, dict[str, Any], list[str]]]:
    """Every PropertiesChanged so far: path, values, invalidated."""
    return [
        (signal.path, unwrap(signal.body[1]), signal.body[2])
        for signal in scene.signals
        if signal.member == "PropertiesChanged"
    ]


def test_changes_of_one_turn_are_told_in_one_signal(play: Play) -> None:
    async def story(scene: Any) -> None:
        await scene.listen()
        drive = scene.service.drives["lto0"]
        for number in range(5):
            drive.change(file_number=number, state="busy")
        await scene.settle()
        assert told(scene) == [(LTO0, {"State": "busy", "FileNumber": 4}, [])]

    play(story)


def test_what_has_not_changed_is_not_told(play: Play) -> None:
    async def story(scene: Any) -> None:
        await scene.listen()
        scene.service.drives["lto0"].change(state="idle", media=dict(scene.service.drives["lto0"].media))
        await scene.settle()
        assert told(scene) == []

    play(story)


def test_a_change_is_told_before_the_answer_that_follows_it(play: Play) -> None:
    async def story(scene: Any) -> None:
        await scene.listen()
        await scene.drive("Rewind")
        order = [(s.member, s.path) for s in scene.signals]  # all of it has come before the reply
        assert order == [
            ("InterfacesAdded", names.ROOT_PATH),
            ("PropertiesChanged", names.MANAGER_PATH),
            ("PropertiesChanged", LTO0),
        ]
        assert told(scene)[1] == (LTO0, {"State": "busy", "Job": names.job_path(1)}, [])

    play(story)


def test_a_signal_comes_behind_the_changes_that_led_to_it(play: Play) -> None:
    async def story(scene: Any) -> None:
        await scene.drive("Rewind")
        await scene.listen()
        scene.service.jobs.jobs[1].end({"file": 0, "block": 0, "position-known": True})
        await scene.settle()
        members = [s.member for s in scene.signals if s.path == names.job_path(1)]
        assert members == ["PropertiesChanged", "Completed"]
        (completed,) = [s for s in scene.signals if s.member == "Completed"]
        assert unwrap(completed.body) == ["done", "", "", {"file": 0, "block": 0, "position-known": True}]

    play(story)


def test_a_property_that_is_not_announced_is_not_even_asked_for(play: Play) -> None:
    async def story(scene: Any) -> None:
        await scene.listen()
        drive = scene.service.drives["lto0"]
        before = drive.lock_probes
        drive.change(state="busy")
        await scene.settle()
        assert drive.lock_probes == before
        assert "LockHolder" not in told(scene)[0][1]
        await scene.get(LTO0, names.DRIVE, "LockHolder")
        assert drive.lock_probes == before + 1

    play(story)


def test_nothing_is_told_of_an_object_that_has_gone(play: Play) -> None:
    async def story(scene: Any) -> None:
        await scene.listen()
        drive = scene.service.drives.pop("lto0")
        drive.change(state="error")
        scene.service.drive_removed.emit(drive)
        drive.change(state="idle")
        await scene.settle()
        assert [s.member for s in scene.signals] == ["PropertiesChanged", "InterfacesRemoved"]
        assert told(scene)[0][1] == {"State": "error"}

    play(story)


def test_whoever_hears_every_signal_knows_what_managed_objects_would_answer(play: Play) -> None:
    async def story(scene: Any) -> None:
        known = await scene.managed()
        await scene.listen()
        dice = random.Random(7)
        for _ in range(400):
            _something_happens(scene, dice)
            if dice.random() < 0.3:
                await scene.settle()
        for job in scene.service.jobs.all():
            job.announce()                       # progress is told at most twice a second
        await scene.settle()
        for signal in scene.signals:
            _hear(known, signal)
        truth = await scene.managed()
        assert _announced(known) == _announced(truth)
        assert len(truth) > 5

    play(story)


def _something_happens(scene: Any, dice: random.Random) -> None:
    service = scene.service
    drive = dice.choice(list(service.drives.values()))
    jobs = service.jobs.all()
    match dice.randrange(8):
        case 0:
            drive.change(file_number=dice.randrange(9), remaining_bytes=dice.randrange(1 << 40))
        case 1:
            drive.change(media=dice.choice([{}, {"label-text": "TAPE02", "uuid": "u", "ctime": 3}]))
        case 2:
            caller = scene.caller
            job = service.begin("rewind", caller, names.drive_path(drive.name))
            drive.change(job=job, state="busy")
        case 3 if jobs:
            dice.choice(jobs).advance(dice.randrange(1000), 1000, "halfway")
        case 4 if jobs:
            job = dice.choice(jobs)
            if not job.finished:
                job.end({"file": 3})
                drive.change(job=None, state="idle")
        case 5 if jobs:
            job = dice.choice(jobs)
            if job.finished:
                service.forget(job)
        case 6:
            changer = service.changers["lto0"]
            changer.inventory_generation += 1
            changer.changed.emit(changer)
            changer.inventory_changed.emit((changer.inventory_generation, changer.elements))
        case 7:
            service.config_generation += 1
            service.config_changed.emit(None)


def _hear(known: dict[str, Any], signal: Any) -> None:
    match signal.member:
        case "InterfacesAdded":
            path, interfaces = signal.body
            known.setdefault(path, {}).update(interfaces)
        case "InterfacesRemoved":
            path, interfaces = signal.body
            for interface in interfaces:
                del known[path][interface]
            if not known[path]:
                del known[path]
        case "PropertiesChanged":
            interface, changed, invalidated = signal.body
            assert invalidated == []
            known[signal.path][interface].update(changed)


def _announced(objects: dict[str, dict[str, dict[str, Variant]]]) -> dict[str, Any]:
    """Without what is never announced: it is asked for when somebody wants to know."""
    return {
        path: {
            interface: {name: unwrap(value) for name, value in values.items() if name != "LockHolder"}
            for interface, values in interfaces.items()
        }
        for path, interfaces in objects.items()
    }
