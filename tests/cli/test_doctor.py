# SPDX-License-Identifier: LGPL-2.1-or-later
"""Is everything as it should be, and what helps if not."""

from __future__ import annotations

from pathlib import Path

from cli.fake_service import FakeService, V
from cli.runner import Inside
from tapeds import __version__


def states(inside: Inside) -> dict[str, str]:
    """The worst state of each thing that was looked at."""
    order = ["well", "note", "bad"]
    found: dict[str, str] = {}
    for finding in inside.json("doctor"):
        worst = max(found.get(finding["check"], "well"), finding["state"], key=order.index)
        found[finding["check"]] = worst
    return found


def test_all_is_well(inside: Inside) -> None:
    done = inside("doctor")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert [line.split()[1] for line in lines] == [
        "bus",
        "service",
        "settings",
        "drives",
        "drives",
        "space",
        "permissions",
    ]
    assert {line.split()[0] for line in lines} == {"well"}
    assert f"tapedsd {__version__}, API revision 1" in lines[1]


def test_quiet_prints_only_what_is_not_well(service: FakeService, inside: Inside) -> None:
    assert inside.well("doctor", "-q") == ""
    service.config_errors = ["tapeds.toml: drive.vt9: unknown key"]
    done = inside("doctor", "-q")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "bad   settings     tapeds.toml: drive.vt9: unknown key",
        "                   try: mend it, then tapectl reload",
    ]


def test_no_bus(inside: Inside) -> None:
    done = inside("doctor", "--address", "unix:path=/nowhere")
    assert done.returncode == 1
    assert done.stdout.startswith("bad   bus ")


def test_no_service(service: FakeService, inside: Inside) -> None:
    service.stop()
    done = inside("doctor")
    assert done.returncode == 1
    assert done.stdout.splitlines()[0].startswith("well  bus ")
    assert done.stdout.splitlines()[1].startswith("bad   service ")
    assert "systemctl start tapeds" in done.stdout


def test_another_version_of_the_service_is_worth_knowing(service: FakeService, inside: Inside) -> None:
    service.version = "9.9"
    assert states(inside)["service"] == "note"


def test_a_drive_that_is_not_there(service: FakeService, inside: Inside) -> None:
    service.drives["lto0"]["Present"] = V("b", False)
    assert states(inside)["drives"] == "bad"
    assert "drive lto0 is not there (/dev/sg0)" in inside("doctor").stdout


def test_a_drive_in_trouble(service: FakeService, inside: Inside) -> None:
    service.drives["lto0"] |= {
        "State": V("s", "error"),
        "StatusText": V("s", "REWIND does not return since 12:00"),
    }
    assert "bad   drives       drive lto0: REWIND does not return since 12:00" in inside("doctor").stdout


def test_who_holds_a_drive(service: FakeService, inside: Inside) -> None:
    service.drives["vt0"]["LockHolder"] = V("s", "external")
    assert (
        "note  drives       drive vt0 is idle, held by another program on this host"
        in inside("doctor").stdout
    )


def test_a_directory_that_cannot_be_looked_at(service: FakeService, inside: Inside, tmp_path: Path) -> None:
    service.drives["vt0"]["ConfiguredPath"] = V("s", str(tmp_path / "gone"))
    assert states(inside)["space"] == "note"


def test_what_is_refused_and_what_wants_a_password(service: FakeService, inside: Inside) -> None:
    service.permissions = {
        "org.tapeds1.data.read": "auth",
        "org.tapeds1.media.erase": "no",
        "org.tapeds1.drive.inspect": "yes",
    }
    done = inside("doctor")
    assert done.returncode == 0
    assert "a password is asked for data.read; refused are media.erase" in done.stdout
    assert "try: become a member of the group tape, or root" in done.stdout


def test_whoever_may_do_nothing_may_look(service: FakeService, inside: Inside) -> None:
    service.permissions = {"org.tapeds1.data.read": "no", "org.tapeds1.media.erase": "no"}
    assert "note  permissions  you may only look" in inside("doctor").stdout


def test_no_drive_at_all(service: FakeService, inside: Inside) -> None:
    service.drives.clear()
    assert states(inside)["drives"] == "note"
