# SPDX-License-Identifier: LGPL-2.1-or-later
"""Holding a drive while a command runs."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import Any

import pytest

from cli.fake_service import FakeService
from cli.runner import COMMAND, Runner
from tapeds import names
from tapeds.cli.failure import from_error
from tapeds.cli.lock import RENEW_SECONDS, TTL_SECONDS, Keeper

LEASE = "/org/tapeds1/sessions/1"


def test_the_command_gets_lease_and_drive_and_gives_its_exit_status(
    service: FakeService, tapectl: Runner
) -> None:
    done = tapectl(
        "lock", "lto0", "--reason", "nightly", "--", "sh", "-c", "echo $TAPEDS_SESSION $TAPEDS_DRIVE; exit 7"
    )
    assert (done.returncode, done.stdout) == (7, f"{LEASE} lto0\n")
    (acquired,) = service.called("Acquire")
    assert acquired.path == names.drive_path("lto0")
    assert acquired.arguments == [{"bind": "none", "ttl": 60, "timeout": 10, "reason": "nightly"}]
    assert [call.path for call in service.called("Release")] == [LEASE]


def test_waiting_for_the_drive_is_a_matter_of_the_caller(service: FakeService, tapectl: Runner) -> None:
    tapectl.well("lock", "--wait", "3600", "--", "true")
    tapectl.well("lock", "--for-ever", "--", "true")
    assert [call.arguments[0]["timeout"] for call in service.called("Acquire")] == [3600, names.FOR_EVER]
    assert service.called("Acquire")[0].arguments[0]["reason"] == "tapectl lock -- true"


def test_a_drive_that_is_held_is_not_got(service: FakeService, tapectl: Runner) -> None:
    service.plan("Acquire", refused=("org.tapeds1.Error.Locked", "drive vt0 is leased by uid 1000"))
    done = tapectl("lock", "--", "touch", "started")
    assert done.returncode == 4
    assert not (tapectl.folder / "started").exists()


def test_tapectl_inside_uses_the_lease(service: FakeService, tapectl: Runner) -> None:
    tapectl.well("lock", "lto0", "--", *COMMAND, "rewind")
    (rewound,) = service.called("Rewind")
    assert (rewound.path, rewound.arguments) == (names.drive_path("lto0"), [{"session": LEASE}])


def test_a_lock_inside_a_lock_is_refused(service: FakeService, tapectl: Runner) -> None:
    done = tapectl("lock", "--", *COMMAND, "lock", "--", "true")
    assert done.returncode == 4
    assert len(service.called("Acquire")) == 1


def test_a_shell_on_the_terminal_holds_it_too(service: FakeService, tapectl: Runner) -> None:
    terminal = tapectl.terminal("lock")
    terminal.expect("vt0 is yours until this shell ends")
    terminal.type("echo got=$TAPEDS_SESSION\n")
    terminal.expect(f"got={LEASE}")
    assert service.called("Release") == []
    terminal.type("exit 5\n")
    assert terminal.end() == 5
    assert len(service.called("Release")) == 1


def test_ctrl_c_is_for_the_command(service: FakeService, tapectl: Runner) -> None:
    terminal = tapectl.terminal(
        "lock", "--", "sh", "-c", "trap 'echo caught; exit 9' INT; echo ready; sleep 60 & wait"
    )
    terminal.expect("ready")
    terminal.interrupt()
    status = terminal.end()
    assert status == 9, terminal.screen
    assert "caught" in terminal.screen
    assert len(service.called("Release")) == 1


def test_sigterm_is_passed_on_and_the_drive_given_back(service: FakeService, tapectl: Runner) -> None:
    running = tapectl.start("lock", "--", "sh", "-c", "echo $$ >pid; exec sleep 600")
    while not (tapectl.folder / "pid").exists():
        time.sleep(0.02)
    running.send_signal(signal.SIGTERM)
    assert running.wait(30) == 128 + signal.SIGTERM
    assert len(service.called("Release")) == 1
    with pytest.raises(ProcessLookupError):
        os.kill(int((tapectl.folder / "pid").read_text()), 0)


def test_a_lease_that_is_gone_at_the_end_is_told(service: FakeService, tapectl: Runner) -> None:
    service.plan("Release", refused=("org.freedesktop.DBus.Error.UnknownObject", "no such object"))
    done = tapectl("lock", "--", "true")
    assert done.returncode == 4
    assert done.stderr.startswith("tapectl: vt0 was not held all the time: the lease has ended; ")


def test_a_command_that_nobody_has_holds_nothing(service: FakeService, tapectl: Runner) -> None:
    assert tapectl("lock", "--", "no-such-command-here").returncode == 2
    assert service.called("Acquire") == []


# --- renewal, without its clock -------------------------------------------------------------------


class Clock:
    """The two things that a `Keeper` asks of the client."""

    def __init__(self, answers: list[str]) -> None:
        self.answers = answers
        self.slept: list[float] = []
        self.renewed: list[tuple[Any, ...]] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if not self.answers:
            raise asyncio.CancelledError

    async def call(self, *words: Any) -> list[Any]:
        self.renewed.append(words)
        answer = self.answers.pop(0)
        if answer:
            raise from_error(answer, "no")
        return [0]


def renew(*answers: str) -> tuple[Clock, Keeper]:
    clock = Clock(list(answers))
    keeper = Keeper(clock, LEASE)
    try:
        asyncio.run(keeper.renew())
    except asyncio.CancelledError:
        pass
    return clock, keeper


def test_a_lease_of_60_seconds_is_renewed_every_20() -> None:
    clock, keeper = renew("", "", "")
    assert clock.slept == [20, 20, 20, 20]
    assert clock.renewed == [(LEASE, names.SESSION, "Renew", 60)] * 3
    assert keeper.lost == ""
    assert (TTL_SECONDS, RENEW_SECONDS) == (60, 20)


def test_a_service_that_starts_anew_is_tried_again_soon() -> None:
    clock, keeper = renew(
        "org.tapeds1.Error.Busy",
        "org.tapeds1.Error.Cancelled",
        "org.freedesktop.DBus.Error.ServiceUnknown",
        "org.freedesktop.DBus.Error.NoReply",
        "",
    )
    assert clock.slept == [20, 2, 2, 2, 2, 20]
    assert keeper.lost == ""


def test_a_lease_that_is_gone_is_not_renewed_any_more(capsys: pytest.CaptureFixture[str]) -> None:
    clock, keeper = renew("", "org.freedesktop.DBus.Error.UnknownObject", "")
    assert len(clock.renewed) == 2
    assert keeper.lost.startswith("the lease has ended")
    assert capsys.readouterr().err.startswith("tapectl: the drive is not held any longer: ")
