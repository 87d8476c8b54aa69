# SPDX-License-Identifier: LGPL-2.1-or-later
"""How tapectl ends, in words for people, in a status for scripts and in JSON for programs."""

from __future__ import annotations

import pytest

from cli.fake_service import FakeService, V
from cli.runner import Inside, Runner
from tapeds.cli.main import main

OURS = "org.tapeds1.Error."
BUS = "org.freedesktop.DBus.Error."

EXPECTED = [
    (OURS + "DeviceFailed", 1),
    (OURS + "EndOfData", 1),
    (OURS + "WrongLabel", 1),
    (OURS + "NotPresent", 1),
    (OURS + "InvalidState", 1),
    (OURS + "InvalidOption", 2),
    (BUS + "InvalidArgs", 2),
    (BUS + "AccessDenied", 3),
    (BUS + "InteractiveAuthorizationRequired", 3),
    (OURS + "NotOwner", 3),
    (OURS + "Busy", 4),
    (OURS + "Locked", 4),
    (OURS + "NoMedia", 5),
    (OURS + "Incomplete", 6),
    (OURS + "EndOfMedia", 6),
    (OURS + "Cancelled", 130),
]


def test_a_call_that_is_refused(service: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
    for name, status in EXPECTED:
        service.plan("Rewind", refused=(name, "the drive says why"))
        assert main(["--address", service.address, "rewind", "vt0"]) == status, name
        printed = capsys.readouterr()
        assert printed.err.startswith("tapectl: the drive says why\n")
        assert printed.out == ""


def test_a_job_that_fails(service: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
    for name, status in EXPECTED:
        service.plan("Rewind", error=(name, "the drive says why"))
        assert main(["rewind", "vt0", "--address", service.address]) == status, name
        assert capsys.readouterr().err.startswith("tapectl: the drive says why\n")


def test_the_name_of_the_error_comes_with_verbose(service: FakeService, inside: Inside) -> None:
    service.plan("Rewind", refused=(OURS + "Busy", "vt0 is busy"))
    assert "org.tapeds1" not in inside("rewind").stderr
    assert "tapectl: vt0 is busy (org.tapeds1.Error.Busy)\n" in inside("-v", "rewind").stderr


def test_the_command_that_helps_names_the_drive(service: FakeService, inside: Inside) -> None:
    service.plan("Rewind", error=(OURS + "NoMedia", "drive vt0 is empty"))
    assert inside("rewind").stderr.splitlines()[1:] == [
        "  try: tapectl inventory vt0, then tapectl load vt0 LABEL"
    ]
    service.plan("Rewind", refused=(OURS + "Locked", "drive vt0 is leased"))
    assert "tapectl status vt0" in inside("rewind").stderr


def test_a_failure_in_json_has_its_facts(service: FakeService, inside: Inside) -> None:
    service.plan("Rewind", error=(OURS + "DeviceFailed", "it is broken"), result={"asc": V("y", 9)})
    done = inside("rewind", "--json")
    assert done.returncode == 1
    assert inside.json("rewind") == {
        "error": "DeviceFailed",
        "text": "it is broken",
        "exit-status": 1,
        "data": {"asc": 9},
    }


def test_success_in_json_is_the_result(service: FakeService, inside: Inside) -> None:
    service.plan("Rewind", result={"file": V("t", 0), "block": V("t", 0), "position-known": V("b", True)})
    assert inside.json("rewind") == {"file": 0, "block": 0, "position-known": True}


def test_quiet_says_nothing_about_success(service: FakeService, inside: Inside) -> None:
    done = inside("-q", "rewind")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_text_with_control_characters_does_no_harm(service: FakeService, inside: Inside) -> None:
    service.plan("Rewind", error=(OURS + "Failed", "evil \x1b[2J tape"))
    assert inside("rewind").stderr == "tapectl: evil \\x1b[2J tape\n"


def test_a_service_that_does_not_run(service: FakeService, tapectl: Runner) -> None:
    service.stop()
    done = tapectl("rewind")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "tapectl: the tape drive service does not run on this bus",
        "  try: tapectl doctor, or systemctl start tapeds",
    ]


def test_a_service_that_goes_away_in_the_middle(service: FakeService, tapectl: Runner) -> None:
    service.plan("Rewind", seconds=30)
    running = tapectl.start("rewind", stderr=-1)
    while not service.called("Wait"):
        assert running.poll() is None
    service.stop()
    _, err = running.communicate(timeout=30)
    assert running.returncode == 1
    assert b"the service went away before it answered" in err


def test_a_bus_that_is_not_there(inside: Inside) -> None:
    done = inside("rewind", "--address", "unix:path=/nowhere/bus")
    assert done.returncode == 1
    assert "unix:path=/nowhere/bus" in done.stderr


def test_completion_hears_nothing_of_failures(service: FakeService, tapectl: Runner) -> None:
    assert tapectl.well("drives", "--names") == "lto0\nvt0\n"
    service.stop()
    for words in (
        ["drives", "--names"],
        ["jobs", "--ids"],
        ["--address", "unix:path=/nowhere", "drives", "--names"],
    ):
        done = tapectl(*words)
        assert (done.returncode, done.stdout, done.stderr) == (1, "", "")


def test_a_reader_that_has_seen_enough_is_no_fault(service: FakeService, tapectl: Runner) -> None:
    entry = {"number": V("t", 2), "kind": V("s", "file"), "name": V("s", "n" * 80)}
    entry |= {"bytes": V("t", 1), "complete": V("b", True)}
    service.plan("ListFiles", result={"files": V("aa{sv}", [entry] * 3000), "more": V("b", False)})
    running = tapectl.start("ls", stdout=-1, stderr=-1)
    assert running.stdout is not None
    assert running.stderr is not None
    running.stdout.readline()
    running.stdout.close()
    assert running.stderr.read() == b""
    assert running.wait(30) == 1


def test_nobody_is_asked_for_a_password_without_interactive(service: FakeService, inside: Inside) -> None:
    inside.well("rewind")
    inside.well("rewind", "--no-interactive")
    assert [call.interactive for call in service.called("Rewind")] == [True, False]


def test_a_look_at_a_drive_asks_nobody_for_a_password(service: FakeService, inside: Inside) -> None:
    inside.well("status")
    assert [call.interactive for call in service.called("GetStatus")] == [False]
