# SPDX-License-Identifier: LGPL-2.1-or-later
"""Ctrl-C: the first cancels in good order and tells what is on the tape, the second leaves at once."""

from __future__ import annotations

import os
import signal
import time

from cli.fake_service import FakeService
from cli.runner import Runner


def wait_for(service: FakeService, member: str) -> None:
    deadline = time.monotonic() + 30
    while not service.called(member):
        assert time.monotonic() < deadline, f"{member} was not called"
        time.sleep(0.02)


def test_the_first_one_cancels_the_job(service: FakeService, tapectl: Runner) -> None:
    service.plan("Rewind", seconds=60)
    terminal = tapectl.terminal("rewind")
    terminal.expect("rewinding")
    terminal.interrupt()
    terminal.expect("tapectl: cancelling job 1; Ctrl-C again leaves at once")
    assert terminal.end() == 130
    assert terminal.screen.endswith("tapectl: cancelled\n")
    assert len(service.called("Cancel")) == 1


def test_a_cancelled_write_tells_what_is_on_the_tape(service: FakeService, tapectl: Runner) -> None:
    terminal = tapectl.terminal("write", "--", "sh", "-c", "printf 12345; sleep 60")
    terminal.expect("writing")
    terminal.interrupt()
    assert terminal.end() == 130
    assert terminal.screen.endswith(
        "tapectl: cancelled\n  file 2 on the tape holds 5 bytes and is marked incomplete\n"
    )
    assert service.called("Commit") == []


def test_a_producer_that_ends_well_by_the_same_ctrl_c_does_not_complete_the_file(
    service: FakeService, tapectl: Runner
) -> None:
    terminal = tapectl.terminal("write", "--", "sh", "-c", "trap 'exit 0' INT; printf 12345; sleep 60 & wait")
    terminal.expect("writing")
    terminal.interrupt()
    assert terminal.end() == 130
    assert service.called("Commit") == []


def test_the_second_one_leaves_at_once(service: FakeService, tapectl: Runner) -> None:
    service.plan("Rewind", seconds=60)
    service.plan("Cancel", refused=("org.tapeds1.Error.InvalidState", "it cannot be cancelled for 40 s"))
    terminal = tapectl.terminal("rewind")
    terminal.expect("rewinding")
    terminal.interrupt()
    terminal.expect("it cannot be cancelled for 40 s")
    terminal.interrupt()
    assert terminal.end(10) == 130
    assert "tapectl: left; job 1 is still being cancelled" in terminal.screen


def test_the_terminal_has_its_cursor_back_after_leaving_at_once(
    service: FakeService, tapectl: Runner
) -> None:
    service.plan("Rewind", seconds=60)
    service.plan("Cancel", refused=("org.tapeds1.Error.InvalidState", "not now"))
    terminal = tapectl.terminal("rewind")
    terminal.expect("rewinding")
    terminal.interrupt()
    terminal.expect("not now")
    terminal.interrupt()
    terminal.end(10)
    assert terminal.raw.rindex("\x1b[?25h") > terminal.raw.rindex("\x1b[?25l")


def test_sigterm_is_like_the_first_one(service: FakeService, tapectl: Runner) -> None:
    service.plan("Rewind", seconds=60)
    running = tapectl.start("rewind", stderr=-1)
    wait_for(service, "Wait")
    running.send_signal(signal.SIGTERM)
    _, err = running.communicate(timeout=30)
    assert running.returncode == 130
    assert err.decode().endswith("tapectl: cancelled\n")
    assert len(service.called("Cancel")) == 1


def test_between_two_steps_no_further_one_is_begun(service: FakeService, tapectl: Runner) -> None:
    service.plan("MoveToFile", seconds=60)
    terminal = tapectl.terminal("read", "--file", "2", "-o", "out")
    terminal.expect("seeking")
    terminal.interrupt()
    assert terminal.end() == 130
    assert service.called("ReadFile") == []
    assert len(service.called("Release")) == 1


def test_waiting_for_a_job_ends_but_the_job_goes_on(service: FakeService, tapectl: Runner) -> None:
    service.plan("Rewind", seconds=60)
    first = tapectl.start("rewind")
    wait_for(service, "Wait")
    terminal = tapectl.terminal("wait", "1")
    terminal.expect("rewinding")
    terminal.interrupt()
    assert terminal.end() == 130
    assert "tapectl: not waiting any longer; job 1 goes on\n" in terminal.screen
    assert service.called("Cancel") == []
    first.kill()
    first.wait()


def test_a_closed_terminal_cancels_too(service: FakeService, tapectl: Runner) -> None:
    service.plan("Rewind", seconds=60)
    terminal = tapectl.terminal("rewind")
    terminal.expect("rewinding")
    os.kill(terminal.process.pid, signal.SIGHUP)
    assert terminal.end() == 130
    assert len(service.called("Cancel")) == 1
