# SPDX-License-Identifier: LGPL-2.1-or-later
"""Questions to polkit, and what its answers mean."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tapeds import names
from tapeds.buslib import Bus, CallError
from tapeds.dbus.polkit import Polkit
from tapeds.errors import AccessDenied, InteractiveAuthorizationRequired
from tapeds.jobs.caller import Caller

MOVE = "org.tapeds1.drive.move"
ERASE = "org.tapeds1.media.erase"
BREAK = "org.tapeds1.session.break"
DETAILS = {"drive": "lto0", "label": "TAPE01"}
LEASE = "/org/tapeds1/sessions/1"
OWN_UID = 4242

Ask = Callable[[Callable[[Polkit, Any, Caller], Awaitable[None]]], None]


@pytest.fixture
def ask(bus_address: str, mock_polkit: Any) -> Ask:
    """Run a story with a mock authority on the bus; the caller is uid 1000."""

    async def run(story: Callable[[Polkit, Any, Caller], Awaitable[None]]) -> None:
        mock = await mock_polkit.start(bus_address)
        bus = await Bus.connect(bus_address)
        try:
            async with asyncio.timeout(30):
                await story(Polkit(bus, own_uid=OWN_UID, timeout_seconds=0.5), mock, Caller(bus.name, 1000))
        finally:
            await bus.close()
            await mock.stop()

    return lambda story: asyncio.run(run(story))


async def require(polkit: Polkit, caller: Caller, action: str = MOVE, **how: Any) -> None:
    await polkit.require(caller, action, DETAILS, interactive=how.pop("interactive", False), **how)


def test_the_question_names_connection_action_and_details(ask: Ask) -> None:
    async def story(polkit: Polkit, mock: Any, caller: Caller) -> None:
        mock.default = "yes"
        await require(polkit, caller)
        await require(polkit, caller, interactive=True)
        (first, second) = mock.asked
        assert first[:4] == [["system-bus-name", {"name": caller.name}], MOVE, DETAILS, 0]
        assert second[3] == 1
        assert first[4] != second[4]

    ask(story)


def test_no_is_access_denied_and_names_the_action_also_in_the_journal(
    ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(polkit: Polkit, mock: Any, caller: Caller) -> None:
        with pytest.raises(AccessDenied, match=r"uid 1000 is not authorized for org\.tapeds1\.drive\.move"):
            await require(polkit, caller)

    with caplog.at_level(logging.INFO, logger="tapeds"):
        ask(story)
    assert MOVE in caplog.text


def test_a_challenge_means_that_an_authentication_would_do(ask: Ask) -> None:
    async def story(polkit: Polkit, mock: Any, caller: Caller) -> None:
        mock.default = "challenge"
        with pytest.raises(InteractiveAuthorizationRequired, match=r"org\.tapeds1\.drive\.move"):
            await require(polkit, caller)

    ask(story)


def test_root_is_never_asked_about(ask: Ask) -> None:
    async def story(polkit: Polkit, mock: Any, caller: Caller) -> None:
        await require(polkit, Caller(caller.name, 0))
        assert await polkit.permission(Caller(caller.name, 0), ERASE) == "yes"
        assert mock.asked == []

    ask(story)


def test_permissions_are_yes_auth_or_no_and_start_no_dialogue(ask: Ask) -> None:
    async def story(polkit: Polkit, mock: Any, caller: Caller) -> None:
        mock.answers = {MOVE: "yes", ERASE: "challenge"}
        assert [await polkit.permission(caller, a) for a in (MOVE, ERASE, BREAK)] == ["yes", "auth", "no"]
        assert {question[3] for question in mock.asked} == {0}

    ask(story)


def test_a_yes_is_remembered_within_the_lease_for_this_connection_action_and_drive(ask: Ask) -> None:
    async def story(polkit: Polkit, mock: Any, caller: Caller) -> None:
        mock.default = "yes"
        await require(polkit, caller, lease=lambda: LEASE)
        await require(polkit, caller, lease=lambda: LEASE)
        assert len(mock.asked) == 1
        await require(polkit, caller, "org.tapeds1.data.read", lease=lambda: LEASE)
        await require(polkit, Caller(":1.999", 1000), lease=lambda: LEASE)
        await polkit.require(caller, MOVE, {"drive": "lto1"}, interactive=False, lease=lambda: LEASE)
        await require(polkit, caller)
        await require(polkit, caller, lease=lambda: "/org/tapeds1/sessions/2")
        assert len(mock.asked) == 6
        polkit.forget_lease(LEASE)
        await require(polkit, caller, lease=lambda: LEASE)
        assert len(mock.asked) == 7

    ask(story)


def test_a_no_is_not_remembered(ask: Ask) -> None:
    async def story(polkit: Polkit, mock: Any, caller: Caller) -> None:
        with pytest.raises(AccessDenied):
            await require(polkit, caller, lease=lambda: LEASE)
        mock.default = "yes"
        await require(polkit, caller, lease=lambda: LEASE)

    ask(story)


@pytest.mark.parametrize("action", [ERASE, BREAK])
def test_a_yes_to_something_grave_counts_once(ask: Ask, action: str) -> None:
    async def story(polkit: Polkit, mock: Any, caller: Caller) -> None:
        mock.default = "yes"
        await require(polkit, caller, action, lease=lambda: LEASE)
        await require(polkit, caller, action, lease=lambda: LEASE)
        assert len(mock.asked) == 2

    ask(story)


def test_what_a_connection_was_allowed_goes_with_it(ask: Ask) -> None:
    async def story(polkit: Polkit, mock: Any, caller: Caller) -> None:
        mock.default = "yes"
        await require(polkit, caller, lease=lambda: LEASE)
        polkit.forget_caller(caller.name)
        await require(polkit, caller, lease=lambda: LEASE)
        assert len(mock.asked) == 2

    ask(story)


def test_a_question_is_taken_back_when_its_caller_goes(ask: Ask) -> None:
    async def story(polkit: Polkit, mock: Any, caller: Caller) -> None:
        mock.silent = True
        question = asyncio.create_task(require(polkit, caller))
        while not mock.asked:
            await asyncio.sleep(0.01)
        polkit.forget_caller(caller.name)
        with pytest.raises(asyncio.CancelledError):
            await question
        while not mock.cancelled:
            await asyncio.sleep(0.01)
        assert mock.cancelled == [mock.asked[0][4]]

    ask(story)


def test_a_question_that_is_not_answered_in_time_is_taken_back_and_refused(ask: Ask) -> None:
    async def story(polkit: Polkit, mock: Any, caller: Caller) -> None:
        mock.silent = True
        with pytest.raises(AccessDenied, match="polkit does not answer"):
            await require(polkit, caller)
        while not mock.cancelled:
            await asyncio.sleep(0.01)
        assert mock.cancelled == [mock.asked[0][4]]

    ask(story)


def test_a_polkit_that_fails_leaves_root_alone_with_the_right(ask: Ask) -> None:
    async def story(polkit: Polkit, mock: Any, caller: Caller) -> None:
        mock.failure = "org.freedesktop.PolicyKit1.Error.Failed"
        with pytest.raises(AccessDenied, match="polkit does not answer"):
            await require(polkit, Caller(caller.name, OWN_UID))
        await require(polkit, Caller(caller.name, 0))

    ask(story)


def test_where_no_polkit_is_on_the_bus_root_and_the_daemons_own_user_may_everything(bus_address: str) -> None:
    async def story() -> None:
        bus = await Bus.connect(bus_address)
        polkit = Polkit(bus, own_uid=OWN_UID)
        await require(polkit, Caller(bus.name, OWN_UID), ERASE)
        await require(polkit, Caller(bus.name, 0), ERASE)
        with pytest.raises(AccessDenied, match="polkit is not on the bus"):
            await require(polkit, Caller(bus.name, 1000))
        await bus.close()

    asyncio.run(story())


# --- through the server --------------------------------------------------------------------------


def test_a_refusal_reaches_the_caller_under_the_standard_name(
    play: Callable[[Any], None], bus_address: str, mock_polkit: Any
) -> None:
    async def story(scene: Any) -> None:
        mock = await mock_polkit.start(bus_address)
        scene.callers.uid = 1000
        with pytest.raises(CallError) as caught:
            await scene.drive("Rewind")
        assert caught.value.name == "org.freedesktop.DBus.Error.AccessDenied"
        mock.default = "challenge"
        with pytest.raises(CallError) as caught:
            await scene.drive("Rewind")
        assert caught.value.name == "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"
        assert scene.service.drives["lto0"].calls == []
        await mock.stop()

    play(story)


def test_a_dialogue_is_allowed_by_the_message_and_forbidden_by_the_option(
    play: Callable[[Any], None], bus_address: str, mock_polkit: Any, options: Any
) -> None:
    async def story(scene: Any) -> None:
        mock = await mock_polkit.start(bus_address)
        mock.default = "yes"
        scene.callers.uid = 1000
        await scene.drive("Rewind")
        await scene.drive("Rewind", interactive=True)
        silent = {"auth.no_user_interaction": options(x=("b", True))["x"]}
        await scene.drive("Rewind", "a{sv}", silent, interactive=True)
        assert [question[3] for question in mock.asked] == [0, 1, 0]
        assert mock.asked[0][2] == {"drive": "lto0", "label": "TAPE01"}
        await mock.stop()

    play(story)


def test_the_answer_to_a_question_counts_for_the_lease_the_caller_has(
    play: Callable[[Any], None], bus_address: str, mock_polkit: Any
) -> None:
    async def story(scene: Any) -> None:
        mock = await mock_polkit.start(bus_address)
        mock.default = "yes"
        scene.callers.uid = 1000
        await scene.drive("Acquire")
        await scene.drive("Rewind")
        await scene.drive("Rewind")
        assert [question[1] for question in mock.asked] == ["org.tapeds1.drive.acquire", MOVE]
        scene.service.session_removed.emit(scene.service.sessions.pop(1))
        scene.service.drives["lto0"].session = None
        await scene.drive("Rewind")
        assert len(mock.asked) == 3
        await mock.stop()

    play(story)


def test_an_object_that_went_away_during_the_dialogue_is_not_called(
    play: Callable[[Any], None], bus_address: str, mock_polkit: Any
) -> None:
    async def story(scene: Any) -> None:
        mock = await mock_polkit.start(bus_address)
        mock.silent = True
        scene.callers.uid = 1000
        call = asyncio.create_task(scene.drive("Rewind"))
        while not mock.asked:
            await asyncio.sleep(0.01)
        drive = scene.service.drives.pop("lto0")
        scene.service.drive_removed.emit(drive)
        mock.answer_all("yes")
        with pytest.raises(CallError, match="went away") as caught:
            await call
        assert caught.value.name == "org.freedesktop.DBus.Error.UnknownObject"
        assert drive.calls == []
        await mock.stop()

    play(story)


def test_a_caller_that_dies_during_the_dialogue_takes_the_question_with_it(
    play: Callable[[Any], None], bus_address: str, mock_polkit: Any
) -> None:
    async def story(scene: Any) -> None:
        mock = await mock_polkit.start(bus_address)
        mock.silent = True
        scene.callers.uid = 1000
        other = await Bus.connect(bus_address)
        name = other.name
        call = asyncio.create_task(
            scene.call(names.drive_path("lto0"), names.DRIVE, "Rewind", "a{sv}", {}, client=other)
        )
        while not mock.asked:
            await asyncio.sleep(0.01)
        await other.close()
        with pytest.raises(CallError):
            await call
        while not mock.cancelled:
            await asyncio.sleep(0.01)
        assert scene.service.vanished == [name]
        assert scene.service.drives["lto0"].calls == []
        await mock.stop()

    play(story)
