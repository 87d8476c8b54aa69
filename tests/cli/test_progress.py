# SPDX-License-Identifier: LGPL-2.1-or-later
"""How far a job is: a bar on a terminal, lines in a pipe, never on standard output."""

from __future__ import annotations

import re

from cli.fake_service import FakeService, V
from cli.runner import Runner
from tapeds import names
from tapeds.cli.job import Job

GIGABYTE = 1_000_000_000
VERIFIED = {"files": V("t", 4), "bytes": V("t", 4 * GIGABYTE)}


def step(fraction: float) -> dict[str, V]:
    return {
        "ProgressValid": V("b", True),
        "Progress": V("d", fraction),
        "BytesDone": V("t", int(fraction * 4 * GIGABYTE)),
        "BytesTotal": V("t", 4 * GIGABYTE),
        "Rate": V("t", 250_000_000),
    }


def test_a_terminal_shows_a_bar_with_amount_rate_and_time_left(service: FakeService, tapectl: Runner) -> None:
    service.plan("VerifyTape", seconds=2, steps=[step(n / 10) for n in range(10)], result=VERIFIED)
    terminal = tapectl.terminal("verify")
    terminal.expect(r"vt0: verifying .*━.* \d0% .* of 4\.00 GB, 250 MB/s, 0:\d\d left")
    assert terminal.end() == 0
    assert terminal.screen.endswith("vt0: 4 files, 4,000,000,000 bytes, no error\n")


def test_the_bar_fits_into_80_columns(service: FakeService, tapectl: Runner) -> None:
    service.plan("VerifyTape", seconds=2, steps=[step(0.5)] * 3, result=VERIFIED)
    terminal = tapectl.terminal("verify")
    terminal.expect("left")
    terminal.end()
    frames = re.split(r"[\r\n]", terminal.screen)
    assert max(len(frame) for frame in frames) <= 80


def test_work_of_unknown_length_shows_how_long_it_takes(service: FakeService, tapectl: Runner) -> None:
    service.plan("Rewind", seconds=2, steps=[{"Message": V("s", "rewinding")}])
    terminal = tapectl.terminal("rewind")
    terminal.expect(r"vt0: rewinding .*0:01")
    assert terminal.end() == 0


def test_a_pipe_gets_plain_lines_on_standard_error(service: FakeService, tapectl: Runner) -> None:
    service.plan("VerifyTape", seconds=4, steps=[step(n / 4) for n in range(5)], result=VERIFIED)
    done = tapectl("verify")
    assert done.stdout == "vt0: 4 files, 4,000,000,000 bytes, no error\n"
    lines = done.stderr.splitlines()
    assert lines
    for line in lines:
        assert re.fullmatch(
            r"tapectl: vt0: verifying: \d+%, \d\.\d\d GB of 4\.00 GB, 250 MB/s, 0:\d\d left", line
        ), line


def test_quick_work_shows_nothing_on_the_way(service: FakeService, tapectl: Runner) -> None:
    service.plan("VerifyTape", result=VERIFIED)
    assert tapectl("verify").stderr == ""


def test_quiet_shows_nothing_on_the_way(service: FakeService, tapectl: Runner) -> None:
    service.plan("VerifyTape", seconds=2, steps=[step(0.5)] * 3, result=VERIFIED)
    terminal = tapectl.terminal("verify", "--quiet")
    assert terminal.end() == 0
    assert terminal.screen == ""


def test_a_job_that_waits_for_a_tape_says_which(service: FakeService, tapectl: Runner) -> None:
    prompt = {
        "reason": V("s", "wrong-label"),
        "label-text": V("s", "TAPE42"),
        "found-label-text": V("s", "TAPE01"),
    }
    waiting = {"State": V("s", "waiting"), "Prompt": V("a{sv}", prompt)}
    service.plan("RequestMedia", seconds=2.4, steps=[waiting], result={"label-text": V("s", "TAPE42")})
    done = tapectl("request", "TAPE42")
    assert done.stdout == "vt0: TAPE42 is loaded\n"
    assert done.stderr == "tapectl: vt0: please insert TAPE42: another tape is in the drive (TAPE01)\n"
    terminal = tapectl.terminal("request", "TAPE42")
    terminal.expect(r"please insert TAPE42: another tape is in the drive \(TAPE01\)\n")
    terminal.expect("vt0: waiting for TAPE42")
    assert terminal.end() == 0


def test_a_listing_counts_files_and_does_not_call_them_bytes() -> None:
    job = Job(
        "/org/tapeds1/jobs/1", {"Operation": names.Operation.LIST_FILES, "BytesDone": 12, "BytesTotal": 1000}
    )
    assert job.summary() == "0:00"
