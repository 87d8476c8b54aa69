# SPDX-License-Identifier: LGPL-2.1-or-later
"""Jobs, slots, devices and settings: what is asked of the service, and what is shown."""

from __future__ import annotations

import time

from cli.fake_service import FakeService, V
from cli.runner import Inside, Runner
from tapeds import names
from tapeds.cli.job import Job, on_tape


def test_jobs_show_who_does_what_and_how_it_went(service: FakeService, tapectl: Runner) -> None:
    tapectl.well("rewind")
    service.plan("EjectMedia", seconds=30, steps=[{"ProgressValid": V("b", True), "Progress": V("d", 0.25)}])
    running = tapectl.start("eject")
    while len(service.called("Wait")) < 2:
        time.sleep(0.02)
    heads, first, second = tapectl.well("jobs").splitlines()
    assert heads.split() == ["JOB", "DRIVE", "OPERATION", "STATE", "UID", "PROGRESS"]
    assert first.split()[:4] == ["1", "vt0", "rewind", "finished"]
    assert second.split()[:4] == ["2", "vt0", "eject-media", "running"]
    assert tapectl.well("jobs", "--ids") == "2\n"
    assert [job["id"] for job in tapectl.json("jobs")] == [1, 2]
    running.kill()
    running.wait()


def test_waiting_for_a_job_gives_its_end(service: FakeService, inside: Inside) -> None:
    service.plan("Rewind", error=("org.tapeds1.Error.NoMedia", "drive vt0 is empty"))
    inside("rewind")
    for name in ("1", names.job_path(1)):
        done = inside("wait", name)
        assert done.returncode == 5
        assert done.stderr.startswith("tapectl: drive vt0 is empty\n")


def test_a_job_that_nobody_knows_is_wrong_usage(inside: Inside) -> None:
    done = inside("wait", "99")
    assert done.returncode == 2
    assert done.stderr.startswith("tapectl: there is no job 99; ")


def test_cancelling_a_job_waits_for_its_end_and_tells_what_is_on_the_tape(
    service: FakeService, tapectl: Runner
) -> None:
    writing = tapectl.start("write", "--", "sh", "-c", "printf 12345; exec sleep 60", stderr=-1)
    while len(service.received) < 5:
        time.sleep(0.02)
    told = tapectl.well("cancel", "1")
    assert told == "job 1: cancelled; file 2 on the tape holds 5 bytes and is marked incomplete\n"
    _, err = writing.communicate(timeout=30)
    assert writing.returncode == 130
    assert err.decode().startswith("tapectl: cancelled by its caller\n")


def test_a_job_that_was_done_first_was_not_cancelled(service: FakeService, inside: Inside) -> None:
    inside.well("rewind")
    done = inside("cancel", "1")
    assert done.returncode == 1
    assert done.stderr == "tapectl: it has ended\n"


def test_loading_goes_to_the_changer_of_the_drive(service: FakeService, inside: Inside) -> None:
    inside.well("load", "TAPE01", "--new")
    inside.well("load", "--slot", "3")
    inside.well("unload")
    inside.well("unload", "--slot", "4")
    loaded, slot = service.called("LoadMedia")[0], service.called("LoadSlot")[0]
    assert (loaded.path, loaded.arguments) == (names.changer_path("vt0"), ["TAPE01", 0, {"create": True}])
    assert slot.arguments == [3, 0, {}]
    assert [call.arguments for call in service.called("UnloadMedia")] == [
        [0, names.SOURCE_SLOT, {}],
        [0, 4, {}],
    ]


def test_a_lease_goes_along_to_the_changer(service: FakeService, inside: Inside) -> None:
    lease = service.lease(names.drive_path("vt0"))
    inside.well("load", "TAPE01", TAPEDS_SESSION=lease)
    assert service.called("LoadMedia")[0].arguments[-1] == {"session": lease}


def test_a_drive_without_a_changer_is_loaded_by_hand(service: FakeService, inside: Inside) -> None:
    done = inside("load", "lto0", "TAPE01")
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["tapectl: lto0 has no changer", "  try: put the cartridge in by hand"]


def test_a_cartridge_that_is_not_there_can_be_made(service: FakeService, inside: Inside) -> None:
    service.plan("LoadMedia", error=("org.tapeds1.Error.NoMedia", "there is no tape TAPE01"))
    done = inside("load", "TAPE01")
    assert done.returncode == 5
    assert "--new to make the cartridge" in done.stderr


def test_a_request_that_was_in_vain_is_no_medium(service: FakeService, inside: Inside) -> None:
    service.plan("RequestMedia", error=("org.tapeds1.Error.Timeout", "it did not come in 5 s"))
    assert inside("request", "TAPE42", "--timeout", "5", "--uuid", "u").returncode == 5
    media, options = service.called("RequestMedia")[0].arguments
    assert media == {"label-text": "TAPE42", "uuid": "u"}
    assert options == {"timeout": 5}


def test_listing_goes_on_to_the_last_page(service: FakeService, tapectl: Runner) -> None:
    entry = {
        "number": V("t", 0),
        "kind": V("s", "file"),
        "name": V("s", ""),
        "bytes": V("t", 1),
        "complete": V("b", True),
    }
    page = service.plan("ListFiles", result={"files": V("aa{sv}", [entry] * 1000), "more": V("b", True)})
    running = tapectl.start("ls", stdout=-1)
    while len(service.called("ListFiles")) < 2:
        time.sleep(0.01)
    page.result = {"files": V("aa{sv}", [entry] * 3), "more": V("b", False)}
    out, _ = running.communicate(timeout=60)
    firsts = [call.arguments[0]["first"] for call in service.called("ListFiles")]
    assert firsts == list(range(0, 1000 * len(firsts), 1000))
    assert len(out.splitlines()) == 1 + 1000 * (len(firsts) - 1) + 3
    assert {call.arguments[0]["count"] for call in service.called("ListFiles")} == {1000}


def test_the_first_error_of_a_verified_tape_is_told_and_fails(service: FakeService, inside: Inside) -> None:
    error = {"file": V("t", 3), "block": V("t", 7), "text": V("s", "the sequence number is 9, not 7")}
    service.plan(
        "VerifyTape", result={"files": V("t", 3), "bytes": V("t", 99), "first-error": V("a{sv}", error)}
    )
    done = inside("verify")
    assert done.returncode == 1
    assert done.stdout == "vt0: 3 files, 99 bytes read before the first error\n"
    assert done.stderr == "tapectl: file 3, block 7: the sequence number is 9, not 7\n"


def test_scan_tells_what_is_there_and_what_it_is_called(service: FakeService, inside: Inside) -> None:
    service.devices = [
        {
            "kind": V("s", "drive"),
            "vendor": V("s", "ACME"),
            "model": V("s", "LTO"),
            "by-id": V("s", "/dev/tape/by-id/x"),
        },
        {"kind": V("s", "changer"), "configured-as": V("s", "lib0"), "device": V("s", "/dev/sg9")},
    ]
    _, first, second = inside.well("scan").splitlines()
    assert first.split() == ["drive", "-", "ACME", "LTO", "-", "/dev/tape/by-id/x"]
    assert second.split() == ["changer", "lib0", "-", "-", "/dev/sg9"]
    assert inside.json("scan")[1]["configured-as"] == "lib0"


def test_reload_tells_what_could_not_be_taken_over(service: FakeService, inside: Inside) -> None:
    service.config_errors = ["drive vt0 is busy and keeps its old section"]
    done = inside("reload")
    assert done.returncode == 0
    assert done.stdout == "the configuration was read, generation 7\n"
    assert done.stderr == "tapectl: not yet: drive vt0 is busy and keeps its old section\n"


def test_what_is_left_on_the_tape_in_words() -> None:
    assert on_tape({}) == ""
    assert on_tape({"file": 2, "bytes-on-tape": 1, "complete": False}) == (
        "file 2 on the tape holds 1 byte and is marked incomplete"
    )
    assert on_tape({"file": 2, "bytes-on-tape": 5000, "complete": True}) == (
        "file 2 on the tape holds 5,000 bytes and is complete"
    )


def test_time_left_is_what_the_service_expects_or_what_the_rate_says() -> None:
    job = Job(names.job_path(1), {"BytesDone": 100, "BytesTotal": 300, "Rate": 20})
    assert job.seconds_left() == 10
    job.properties["ExpectedEndTime"] = int((time.time() + 3600) * 1e6)
    assert 3500 < (job.seconds_left() or 0) <= 3600
    assert Job(names.job_path(1)).seconds_left() is None
