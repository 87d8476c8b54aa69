# SPDX-License-Identifier: LGPL-2.1-or-later
"""What happens, one line each."""

from __future__ import annotations

import json

import pytest

from cli.fake_service import FakeService
from cli.runner import Runner
from tapeds import names
from tapeds.cli.monitor import describe

VT0, JOB, LEASE = names.drive_path("vt0"), names.job_path(7), names.session_path(3)
PROPERTIES = "org.freedesktop.DBus.Properties"


@pytest.mark.parametrize(
    ("path", "member", "body", "line"),
    [
        (
            VT0,
            "PropertiesChanged",
            [names.DRIVE, {"State": "busy", "Job": JOB, "Session": "/", "PositionKnown": True}, []],
            "drive vt0: State busy, Job 7, Session none, PositionKnown yes",
        ),
        (
            JOB,
            "PropertiesChanged",
            [names.JOB, {"Progress": 0.5, "ExpectedEndTime": 1}, []],
            "job 7: Progress 0.500",
        ),
        (
            JOB,
            "PropertiesChanged",
            [names.TRANSFER, {"FileNumber": names.UNKNOWN}, []],
            "job 7: FileNumber unknown",
        ),
        (
            names.ROOT_PATH,
            "InterfacesAdded",
            [JOB, {names.JOB: {"Operation": "rewind", "Objects": [VT0], "OwnerUID": 1000}}],
            "job 7: rewind on vt0, for uid 1000",
        ),
        (
            names.ROOT_PATH,
            "InterfacesAdded",
            [LEASE, {names.SESSION: {"Drive": VT0, "OwnerUID": 1000, "Reason": "nightly"}}],
            "lease 3: on vt0, for uid 1000: nightly",
        ),
        (names.ROOT_PATH, "InterfacesRemoved", [LEASE, [names.SESSION]], "lease 3: gone"),
        (
            JOB,
            "Completed",
            ["done", "", "", {"file": 2, "complete": True}],
            "job 7: done (file 2, complete yes)",
        ),
        (JOB, "Completed", ["failed", "E", "vt0 is empty", {}], "job 7: failed: vt0 is empty"),
        (
            names.MANAGER_PATH,
            "MediaRequested",
            [VT0, JOB, {"reason": "no-medium", "label-text": "TAPE42"}],
            "drive vt0: wanted: vt0: please insert TAPE42: the drive is empty",
        ),
        (names.MANAGER_PATH, "MediaRequestResolved", [VT0, JOB, "found"], "drive vt0: wanted no more: found"),
        (LEASE, "Released", ["expired"], "lease 3: ended: expired"),
        (
            names.changer_path("vt0"),
            "InventoryChanged",
            [
                2,
                [
                    {"kind": "slot", "number": 1, "label-text": "TAPE01"},
                    {"kind": "drive", "number": 0, "state": "empty"},
                ],
            ],
            "changer vt0: slot 1 TAPE01, drive 0 empty",
        ),
        (VT0, "DurabilityLost", [3, 5], "drive vt0: files 3 to 5 did not reach the medium"),
        ("/org/freedesktop/DBus", "NameOwnerChanged", [names.BUS_NAME, ":1.5", ""], "the service is gone"),
        ("/org/freedesktop/DBus", "NameOwnerChanged", [names.BUS_NAME, "", ":1.6"], "the service is there"),
    ],
)
def test_a_signal_in_words(path: str, member: str, body: list[object], line: str) -> None:
    assert describe(path, PROPERTIES, member, body) == [line]


def test_a_signal_that_says_nothing_to_a_person_is_left_out() -> None:
    assert describe(JOB, PROPERTIES, "PropertiesChanged", [names.JOB, {"EndTime": 1}, []]) == []


def test_it_prints_until_ctrl_c(service: FakeService, tapectl: Runner) -> None:
    terminal = tapectl.terminal("monitor")
    terminal.expect("watching; Ctrl-C ends")
    tapectl.well("rewind")
    terminal.expect(r"\d\d:\d\d:\d\d  job 1: State finished\n")
    terminal.interrupt()
    assert terminal.end() == 0


def test_it_says_when_the_service_goes(service: FakeService, tapectl: Runner) -> None:
    terminal = tapectl.terminal("monitor")
    terminal.expect("watching")
    service.stop()
    terminal.expect("the service is gone")


def test_it_ends_when_nobody_reads_it(service: FakeService, tapectl: Runner) -> None:
    running = tapectl.start("monitor", stdout=-1, stderr=-1)
    assert running.stdout is not None
    assert running.stderr is not None
    assert b"watching" in running.stderr.readline()
    running.stdout.close()
    tapectl.well("rewind")
    assert running.wait(30) == 1
    assert running.stderr.read() == b""


def test_in_json_every_line_is_a_document(service: FakeService, tapectl: Runner) -> None:
    terminal = tapectl.terminal("monitor", "--json")
    terminal.expect("watching")
    tapectl.well("rewind")
    line = terminal.expect(r"\n(\{.*finished.*\})\n").group(1)
    document = json.loads(line)
    assert (document["path"], document["member"]) == (names.job_path(1), "PropertiesChanged")
    assert document["body"][1]["State"] == "finished"
