# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every member: what the service is asked for, and what the caller gets."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from tapeds import errors, names
from tapeds.buslib import CallError, Variant, unwrap

LTO0 = names.drive_path("lto0")
SHELF = names.changer_path("lto0")
LEASE = "/org/tapeds1/sessions/7"
UUID = "11111111-2222-3333-4444-555555555555"
NOTHING: dict[str, Variant] = {}

Play = Callable[[Any], None]


def v(signature: str, value: Any) -> Variant:
    return Variant(signature, value)


# --- Manager ------------------------------------------------------------------------------------


async def manager(scene: Any, member: str, signature: str = "a{sv}", *body: Any) -> list[Any]:
    reply = await scene.call(names.MANAGER_PATH, names.MANAGER, member, signature, *(body or (NOTHING,)))
    return unwrap(reply.body)


def test_manager_tells_what_there_is(play: Play) -> None:
    async def story(scene: Any) -> None:
        await scene.drive("Rewind")
        assert await manager(scene, "GetDrives") == [[LTO0, names.drive_path("lto1")]]
        assert await manager(scene, "GetChangers") == [[SHELF, names.changer_path("lto1")]]
        assert await manager(scene, "GetJobs") == [[names.job_path(1)]]
        assert await manager(scene, "GetDriveByName", "sa{sv}", "lto0", NOTHING) == [LTO0]
        assert await manager(scene, "GetChangerByName", "sa{sv}", "lto0", NOTHING) == [SHELF]
        assert (await manager(scene, "ScanDevices"))[0][0]["device"] == "/dev/sg7"
        assert await scene.get(names.MANAGER_PATH, names.MANAGER, "ApiRevision") == 1
        assert await scene.get(names.MANAGER_PATH, names.MANAGER, "ActiveJobs") == 1

    play(story)


def test_manager_names_the_drives_there_are_when_asked_for_another(play: Play) -> None:
    async def story(scene: Any) -> None:
        with pytest.raises(CallError, match="no drive is called 'lto9'; there are lto0, lto1") as caught:
            await manager(scene, "GetDriveByName", "sa{sv}", "lto9", NOTHING)
        assert caught.value.name == "org.tapeds1.Error.NoSuchDrive"
        with pytest.raises(CallError, match="no changer is called 'lto9'") as caught:
            await manager(scene, "GetChangerByName", "sa{sv}", "lto9", NOTHING)
        assert caught.value.name == "org.tapeds1.Error.NoSuchChanger"

    play(story)


def test_reload_returns_the_new_generation_or_the_fault(play: Play) -> None:
    async def story(scene: Any) -> None:
        assert await manager(scene, "Reload") == [2]
        assert await scene.get(names.MANAGER_PATH, names.MANAGER, "ConfigGeneration") == 2
        scene.service.config_errors = ["tapeds.toml: drive.x: what is that"]
        with pytest.raises(CallError, match="what is that") as caught:
            await manager(scene, "Reload")
        assert caught.value.name == "org.tapeds1.Error.InvalidConfig"

    play(story)


def test_root_has_every_permission(play: Play) -> None:
    async def story(scene: Any) -> None:
        (permissions,) = await manager(scene, "GetPermissions")
        assert len(permissions) == 13
        assert set(permissions.values()) == {"yes"}

    play(story)


def test_requests_for_media_are_signals_of_the_manager(play: Play) -> None:
    async def story(scene: Any) -> None:
        await scene.drive("Rewind")
        await scene.listen()
        service = scene.service
        request = {"reason": "no-medium", "label-text": "TAPE02", "since": 5}
        news = (service.drives["lto0"], service.jobs.jobs[1])
        service.media_requested.emit((*news, request))
        service.media_request_resolved.emit((*news, "found"))
        await scene.settle()
        assert [(s.path, s.interface, s.member, unwrap(s.body)) for s in scene.signals] == [
            (names.MANAGER_PATH, names.MANAGER, "MediaRequested", [LTO0, names.job_path(1), request]),
            (names.MANAGER_PATH, names.MANAGER, "MediaRequestResolved", [LTO0, names.job_path(1), "found"]),
        ]

    play(story)


# --- Drive --------------------------------------------------------------------------------------

LEASED = {"session": v("o", LEASE)}
SIMPLE = [
    ("Sync", "a{sv}", (LEASED,), ("sync", {}, LEASE)),
    ("Rewind", "a{sv}", (LEASED,), ("rewind", {}, LEASE)),
    ("Rewind", "a{sv}", (NOTHING,), ("rewind", {}, "")),
    ("MoveToEom", "ba{sv}", (True, LEASED), ("move-to-eom", {"write-missing-eof": True}, LEASE)),
    ("MoveToLastFile", "a{sv}", (LEASED,), ("move-to-last-file", {}, LEASE)),
    ("MoveToFile", "ta{sv}", (7, LEASED), ("move-to-file", {"file": 7}, LEASE)),
    ("EjectMedia", "a{sv}", (LEASED,), ("eject-media", {}, LEASE)),
    ("ReadLabel", "a{sv}", (LEASED,), ("read-label", {}, LEASE)),
    (
        "FormatMedia",
        "ba{sv}",
        (True, {"expect-uuid": v("s", UUID)}),
        ("format-media", {"fast": True, "expect-uuid": UUID}, ""),
    ),
    (
        "LabelTape",
        "a{sv}a{sv}",
        ({"label-text": v("s", "TAPE01"), "pool": v("s", "daily")}, {"overwrite": v("b", True)}),
        ("label-tape", {"label-text": "TAPE01", "pool": "daily", "overwrite": True}, ""),
    ),
    (
        "WriteMediaSetLabel",
        "a{sv}a{sv}",
        ({"pool": v("s", "daily"), "seq-nr": v("t", 2)}, NOTHING),
        ("write-media-set-label", {"pool": "daily", "seq-nr": 2, "overwrite": False}, ""),
    ),
    ("ListFiles", "a{sv}", ({"first": v("t", 5)},), ("list-files", {"first": 5, "count": 1000}, "")),
    ("VerifyFile", "ta{sv}", (3, NOTHING), ("verify-file", {"file": 3}, "")),
    ("VerifyTape", "a{sv}", (NOTHING,), ("verify-tape", {}, "")),
]


@pytest.mark.parametrize(("member", "signature", "body", "asked"), SIMPLE)
def test_a_job_of_a_drive(
    play: Play, member: str, signature: str, body: tuple[Any, ...], asked: tuple[Any, ...]
) -> None:
    async def story(scene: Any) -> None:
        assert await scene.drive(member, signature, *body) == [names.job_path(1)]
        assert scene.service.drives["lto0"].calls == [asked]

    play(story)


def test_acquire_gives_the_options_to_the_service_and_the_lease_to_the_caller(play: Play) -> None:
    async def story(scene: Any) -> None:
        given = {"bind": v("s", "none"), "ttl": v("t", 60), "reason": v("s", "nightly")}
        assert await scene.drive("Acquire", "a{sv}", given) == [names.session_path(1)]
        assert scene.service.drives["lto0"].calls == [
            ("acquire", {"bind": "none", "ttl": 60, "reason": "nightly", "timeout": 10, "session": ""})
        ]
        assert await scene.get(LTO0, names.DRIVE, "Session") == names.session_path(1)

    play(story)


def test_status_and_file_number_are_answered_at_once(play: Play) -> None:
    async def story(scene: Any) -> None:
        assert await scene.drive("GetStatus") == [{"vendor": "tapeds", "write-protect": False, "age-ms": 3}]
        assert await scene.drive("CurrentFileNumber") == [4]

    play(story)


def test_request_media_tells_which_and_how_long(play: Play) -> None:
    async def story(scene: Any) -> None:
        media, how = {"label-text": v("s", "TAPE42")}, {"detach": v("b", True)}
        assert await scene.drive("RequestMedia", "a{sv}a{sv}", media, how) == [names.job_path(1)]
        assert scene.service.drives["lto0"].calls == [
            (
                "request-media",
                {"label-text": "TAPE42"},
                {"session": "", "detach": True, "timeout": 0, "interval": 5},
            )
        ]

    play(story)


def test_a_write_takes_bytes_as_bytes_and_gives_them_on_as_hex(play: Play) -> None:
    async def story(scene: Any) -> None:
        given = {
            "content-magic": v("ay", b"12345678"),
            "header": v("ay", b"\x00\xff"),
            "size": v("t", 9),
            "attributes": v("a{sv}", {"mode": v("u", 7), "tags": v("as", ["a", "b"])}),
        }
        reply = await scene.call(LTO0, names.DRIVE, "WriteFile", "a{sv}", given)
        os.close(reply.fds[0])
        ((operation, arguments, how),) = scene.service.drives["lto0"].calls
        assert operation == "write-file"
        assert arguments == {
            "content-magic": b"12345678".hex(),
            "header": "00ff",
            "size": 9,
            "durable": True,
            "digest": "none",
            "unlabelled": False,
            "commit-on-eof": False,
            "attributes": {"mode": 7, "tags": ["a", "b"]},
        }
        assert how == {"session": "", "detach": False}

    play(story)


def test_a_write_from_a_descriptor_can_go_on_without_its_caller(play: Play) -> None:
    async def story(scene: Any) -> None:
        reading, writing = os.pipe()
        given = {"detach": v("b", True), "commit-on-eof": v("b", True), "sha256": v("ay", bytes(32))}
        await scene.call(LTO0, names.DRIVE, "WriteFileFrom", "ha{sv}", 0, given, fds=[reading])
        os.close(reading)
        os.close(writing)
        ((_, arguments, how),) = scene.service.drives["lto0"].calls
        assert how == {"session": "", "detach": True}
        assert (arguments["commit-on-eof"], arguments["sha256"]) == (True, "00" * 32)
        os.close(scene.service.adopted[0])

    play(story)


def test_a_read_gives_a_descriptor_or_takes_one(play: Play) -> None:
    async def story(scene: Any) -> None:
        reply = await scene.call(LTO0, names.DRIVE, "ReadFile", "a{sv}", {"raw-header": v("b", True)})
        os.close(reply.fds[0])
        reading, writing = os.pipe()
        await scene.call(LTO0, names.DRIVE, "ReadFileInto", "ha{sv}", 0, NOTHING, fds=[writing])
        os.close(reading)
        os.close(writing)
        first, second = scene.service.drives["lto0"].calls
        how = {"session": "", "detach": False}
        assert first == ("read-file", {"raw-header": True, "digest": "none"}, how)
        assert second == ("read-file", {"raw-header": False, "digest": "none"}, how)
        for fd in scene.service.adopted:
            os.close(fd)

    play(story)


def test_lost_durability_is_a_signal(play: Play) -> None:
    async def story(scene: Any) -> None:
        await scene.listen()
        scene.service.drives["lto0"].durability_lost.emit((3, 5))
        await scene.settle()
        assert [(s.member, s.body) for s in scene.signals] == [("DurabilityLost", [3, 5])]

    play(story)


# --- Changer ------------------------------------------------------------------------------------

MOVES = [
    (
        "RefreshInventory",
        "a{sv}",
        ({"initialize": v("b", True)},),
        ("refresh-inventory", {"initialize": True}, ""),
    ),
    (
        "LoadMedia",
        "sua{sv}",
        ("TAPE02", 0, {"create": v("b", True)}),
        ("load-media", {"label-text": "TAPE02", "drive-number": 0, "create": True}, ""),
    ),
    ("LoadSlot", "uua{sv}", (2, 0, LEASED), ("load-slot", {"slot": 2, "drive-number": 0}, LEASE)),
    ("UnloadMedia", "uua{sv}", (0, 3, NOTHING), ("unload-media", {"drive-number": 0, "slot": 3}, "")),
    ("UnloadMedia", "uua{sv}", (0, 0xFFFFFFFF, NOTHING), ("unload-media", {"drive-number": 0}, "")),
    ("TransferMedia", "uua{sv}", (1, 2, NOTHING), ("transfer-media", {"from": 1, "to": 2}, "")),
    ("ExportMedia", "sa{sv}", ("TAPE02", NOTHING), ("export-media", {"label-text": "TAPE02"}, "")),
]


@pytest.mark.parametrize(("member", "signature", "body", "asked"), MOVES)
def test_a_job_of_a_changer(
    play: Play, member: str, signature: str, body: tuple[Any, ...], asked: tuple[Any, ...]
) -> None:
    async def story(scene: Any) -> None:
        reply = await scene.call(SHELF, names.CHANGER, member, signature, *body)
        assert reply.body == [names.job_path(1)]
        assert scene.service.changers["lto0"].calls == [asked]

    play(story)


def test_the_inventory_is_told_when_asked_and_when_it_changes(play: Play) -> None:
    async def story(scene: Any) -> None:
        await scene.listen()
        changer = scene.service.changers["lto0"]
        reply = await scene.call(SHELF, names.CHANGER, "GetInventory", "a{sv}", NOTHING)
        assert unwrap(reply.body) == [1, changer.elements]
        assert reply.body[1][0]["address"] == v("q", 1)
        changer.inventory_changed.emit((2, changer.elements))
        await scene.settle()
        assert [(s.member, unwrap(s.body)) for s in scene.signals] == [
            ("InventoryChanged", [2, changer.elements])
        ]
        assert await scene.get(SHELF, names.CHANGER, "Drives") == {0: LTO0}

    play(story)


# --- Session ------------------------------------------------------------------------------------


async def lease(scene: Any, member: str, signature: str = "a{sv}", *body: Any) -> list[Any]:
    reply = await scene.call(names.session_path(1), names.SESSION, member, signature, *(body or (NOTHING,)))
    return unwrap(reply.body)


def test_the_owner_renews_names_and_releases_a_lease(play: Play) -> None:
    async def story(scene: Any) -> None:
        await scene.drive("Acquire")
        assert await lease(scene, "Renew", "ta{sv}", 60, NOTHING) == [60_000_000]
        await lease(scene, "SetStatusText", "sa{sv}", "nightly backup", NOTHING)
        await lease(scene, "Release")
        assert scene.service.sessions[1].calls == [
            ("set_status_text", "nightly backup"),
            ("release", 0, False),
        ]

    play(story)


def test_another_user_cannot_renew_a_lease_and_breaks_it_by_a_right_of_its_own(
    play: Play, bus_address: str, mock_polkit: Any
) -> None:
    async def story(scene: Any) -> None:
        mock = await mock_polkit.start(bus_address)
        await scene.drive("Acquire")
        scene.callers.uid = 1000
        for member, signature, body in (("Renew", "ta{sv}", 60), ("SetStatusText", "sa{sv}", "mine")):
            with pytest.raises(CallError) as caught:
                await lease(scene, member, signature, body, NOTHING)
            assert caught.value.name == "org.tapeds1.Error.NotOwner"
        with pytest.raises(CallError) as caught:
            await lease(scene, "Release")
        assert caught.value.name == "org.freedesktop.DBus.Error.AccessDenied"
        mock.default = "yes"
        await lease(scene, "Release")
        assert {question[1] for question in mock.asked} == {"org.tapeds1.session.break"}
        assert scene.service.sessions[1].calls == [("release", 1000, True)]
        await mock.stop()

    play(story)


def test_the_end_of_a_lease_is_told_before_its_object_goes(play: Play) -> None:
    async def story(scene: Any) -> None:
        await scene.drive("Acquire")
        await scene.listen()
        session = scene.service.sessions[1]
        session.released.emit((session, "expired"))
        scene.service.session_removed.emit(session)
        await scene.settle()
        assert [(s.member, s.body[0]) for s in scene.signals] == [
            ("Released", "expired"),
            ("InterfacesRemoved", names.session_path(1)),
        ]

    play(story)


# --- Job, Transfer ------------------------------------------------------------------------------


async def job(
    scene: Any, member: str, interface: str = names.JOB, signature: str = "a{sv}", *body: Any
) -> list[Any]:
    reply = await scene.call(names.job_path(1), interface, member, signature, *(body or (NOTHING,)))
    return unwrap(reply.body)


def test_wait_returns_the_result_of_a_job(play: Play) -> None:
    async def story(scene: Any) -> None:
        await scene.drive("Rewind")
        scene.service.jobs.jobs[1].end({"file": 0, "block": 0, "position-known": True})
        assert await job(scene, "Wait") == [{"file": 0, "block": 0, "position-known": True}]

    play(story)


def test_wait_ends_in_the_error_of_the_job_and_the_properties_tell_it_too(play: Play) -> None:
    async def story(scene: Any) -> None:
        await scene.drive("Rewind")
        scene.service.jobs.jobs[1].end({"bytes-on-tape": 5}, errors.EndOfMedia("tape TAPE01 is full"))
        with pytest.raises(CallError, match="tape TAPE01 is full") as caught:
            await job(scene, "Wait")
        assert caught.value.name == "org.tapeds1.Error.EndOfMedia"
        told = {
            name: await scene.get(names.job_path(1), names.JOB, name)
            for name in ("State", "Result", "ErrorName", "ErrorMessage", "ResultData")
        }
        assert told == {
            "State": "finished",
            "Result": "failed",
            "ErrorName": "org.tapeds1.Error.EndOfMedia",
            "ErrorMessage": "tape TAPE01 is full",
            "ResultData": {"bytes-on-tape": 5},
        }

    play(story)


def test_a_job_is_cancelled_once(play: Play) -> None:
    async def story(scene: Any) -> None:
        await scene.drive("Rewind")
        await job(scene, "Cancel")
        assert await scene.get(names.job_path(1), names.JOB, "State") == "canceling"
        with pytest.raises(CallError) as caught:
            await job(scene, "Cancel")
        assert caught.value.name == "org.tapeds1.Error.AlreadyCancelled"

    play(story)


def test_commit_and_abort_reach_the_transfer_of_their_owner_only(play: Play) -> None:
    class Control:
        asked: list[tuple[Any, ...]]

        def __init__(self) -> None:
            self.asked = []

        def cancel(self, error: str, text: str) -> None:
            self.asked.append(("cancel", error))

        async def commit(self, size: int, sha256: str) -> None:
            self.asked.append(("commit", size, sha256))

        async def abort(self) -> None:
            self.asked.append(("abort",))

    async def story(scene: Any) -> None:
        reply = await scene.call(LTO0, names.DRIVE, "WriteFile", "a{sv}", NOTHING)
        os.close(reply.fds[0])
        control = Control()
        scene.service.jobs.jobs[1].attach(control)
        digest = {"sha256": v("ay", bytes(range(32)))}
        await job(scene, "Commit", names.TRANSFER, "ta{sv}", 5, digest)
        await job(scene, "Commit", names.TRANSFER, "ta{sv}", 5, NOTHING)
        await job(scene, "Abort", names.TRANSFER)
        assert control.asked == [("commit", 5, bytes(range(32)).hex()), ("commit", 5, ""), ("abort",)]
        for member, signature, body in (("Commit", "ta{sv}", (5, NOTHING)), ("Abort", "a{sv}", (NOTHING,))):
            with pytest.raises(CallError) as caught:
                await scene.call(
                    names.job_path(1), names.TRANSFER, member, signature, *body, client=scene.stranger
                )
            assert caught.value.name == "org.tapeds1.Error.NotOwner"

    play(story)
