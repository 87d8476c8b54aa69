# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reading: a file has its name only when all of it is there."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from cli.fake_service import FakeService, V
from cli.runner import Runner

DATA = os.urandom(3_000_000)
DIGEST = hashlib.sha256(DATA).hexdigest()


def test_a_file_is_written_under_its_name(service: FakeService, tapectl: Runner) -> None:
    service.plan("ReadFile", gives=DATA, result={"name": V("s", "data.tar")})
    printed = tapectl.well("read", "-o", "out")
    assert (tapectl.folder / "out").read_bytes() == DATA
    assert [path.name for path in tapectl.folder.glob("out*")] == ["out"]
    assert printed.startswith("vt0: file 2, 3,000,000 bytes, complete, to out (")
    assert printed.splitlines()[1:] == ["  name    data.tar", f"  sha256  {DIGEST}"]
    assert service.called("ReadFile")[0].arguments == [{"digest": "sha256"}]


def test_a_certain_file_is_sought_first_under_one_lease(service: FakeService, tapectl: Runner) -> None:
    service.plan("ReadFile", gives=DATA)
    tapectl.well("read", "--file", "7", "-o", "out")
    (sought,), (read,) = service.called("MoveToFile"), service.called("ReadFile")
    assert sought.arguments[0] == 7
    assert sought.arguments[1]["session"] == read.arguments[0]["session"]
    assert len(service.called("Release")) == 1


def test_an_older_file_stays_until_the_new_one_is_complete(service: FakeService, tapectl: Runner) -> None:
    (tapectl.folder / "out").write_text("older")
    service.plan(
        "ReadFile", gives=DATA, error=("org.tapeds1.Error.Incomplete", "file 2 is marked incomplete")
    )
    done = tapectl("read", "-o", "out")
    assert done.returncode == 6
    assert done.stderr == "tapectl: file 2 is marked incomplete\n  what came is kept as out.incomplete\n"
    assert (tapectl.folder / "out").read_text() == "older"
    assert (tapectl.folder / "out.incomplete").read_bytes() == DATA


def test_a_link_stays_a_link(service: FakeService, tapectl: Runner) -> None:
    (tapectl.folder / "elsewhere").mkdir()
    (tapectl.folder / "elsewhere/real").write_text("older")
    (tapectl.folder / "out").symlink_to("elsewhere/real")
    service.plan("ReadFile", gives=DATA)
    tapectl.well("read", "-o", "out")
    assert (tapectl.folder / "out").is_symlink()
    assert (tapectl.folder / "elsewhere/real").read_bytes() == DATA


def test_nothing_is_left_when_nothing_came(service: FakeService, tapectl: Runner) -> None:
    service.plan("ReadFile", error=("org.tapeds1.Error.EndOfData", "there is no file"))
    done = tapectl("read", "-o", "out")
    assert done.returncode == 1
    assert list(tapectl.folder.glob("out*")) == []
    service.plan("ReadFile", refused=("org.tapeds1.Error.Busy", "busy"))
    assert tapectl("read", "-o", "out").returncode == 4
    assert list(tapectl.folder.glob("out*")) == []


def test_another_digest_of_the_service_is_not_believed(service: FakeService, tapectl: Runner) -> None:
    service.plan("ReadFile", gives=DATA, result={"sha256": V("ay", bytes(32))})
    done = tapectl("read", "-o", "out")
    assert done.returncode == 6
    assert f"the service read data of SHA-256 {'0' * 64}, but {DIGEST} came" in done.stderr
    assert not (tapectl.folder / "out").exists()


def test_another_length_of_the_service_is_not_believed(service: FakeService, tapectl: Runner) -> None:
    service.plan("ReadFile", gives=DATA, result={"bytes": V("t", 3_000_001)})
    done = tapectl("read", "-o", "out")
    assert done.returncode == 6
    assert "the service read 3000001 bytes, but 3000000 came" in done.stderr


def test_standard_output_gets_the_data_and_standard_error_the_words(
    service: FakeService, tapectl: Runner
) -> None:
    service.plan("ReadFile", gives=b"hello")
    done = tapectl("read")
    assert done.stdout == "hello"
    assert done.stderr.startswith("vt0: file 2, 5 bytes, complete, to standard output (")
    assert done.returncode == 0


def test_standard_output_cannot_be_taken_back_so_the_status_tells(
    service: FakeService, tapectl: Runner
) -> None:
    service.plan(
        "ReadFile", gives=b"hel", error=("org.tapeds1.Error.Incomplete", "file 2 is marked incomplete")
    )
    done = tapectl("read", "-o", "-")
    assert (done.returncode, done.stdout) == (6, "hel")
    assert "what came went to standard output" in done.stderr


def test_a_reader_who_has_enough_ends_the_job(service: FakeService, tapectl: Runner) -> None:
    service.plan("ReadFile", gives=bytes(50_000_000))
    running = tapectl.start("read", stdout=-1, stderr=-1)
    assert running.stdout is not None
    running.stdout.read(1000)
    running.stdout.close()
    assert running.stderr is not None
    assert running.stderr.read().startswith(b"tapectl: standard output was closed\n")
    assert running.wait(30) == 1


def test_a_full_disk_ends_the_job_and_says_so(service: FakeService, tapectl: Runner) -> None:
    service.plan("ReadFile", gives=bytes(50_000_000))
    done = tapectl("read", "-o", "/dev/full")
    assert done.returncode == 1
    assert done.stderr.startswith("tapectl: /dev/full: No space left on device\n")


def test_a_pipe_that_is_there_gets_the_data(service: FakeService, tapectl: Runner) -> None:
    os.mkfifo(tapectl.folder / "fifo")
    service.plan("ReadFile", gives=DATA)
    running = tapectl.start("read", "-o", "fifo", stdout=-3)
    assert (tapectl.folder / "fifo").read_bytes() == DATA
    assert running.wait(30) == 0
    assert (tapectl.folder / "fifo").is_fifo()


def test_a_terminal_is_no_place_for_data(service: FakeService, tapectl: Runner) -> None:
    terminal = tapectl.terminal("read")
    assert terminal.end() == 2
    assert service.called("ReadFile") == []


def test_data_and_json_do_not_share_standard_output(tapectl: Runner) -> None:
    assert tapectl("read", "--json").returncode == 2


def test_in_json_the_result_says_where_the_data_are(service: FakeService, tapectl: Runner) -> None:
    service.plan("ReadFile", gives=DATA)
    found = tapectl.json("read", "-o", "out")
    assert (found["file"], found["bytes"], found["sha256"], found["output"]) == (2, 3_000_000, DIGEST, "out")


def test_ctrl_c_keeps_what_came(service: FakeService, tapectl: Runner) -> None:
    service.plan("ReadFile", gives=DATA, seconds=60)
    terminal = tapectl.terminal("read", "-o", "out")
    terminal.expect("reading")
    terminal.interrupt()
    assert terminal.end() == 130
    assert terminal.screen.endswith("tapectl: cancelled\n  what came is kept as out.incomplete\n")
    assert (tapectl.folder / "out.incomplete").read_bytes() == DATA


@pytest.mark.parametrize("place", ["/nowhere/out", "/"])
def test_a_place_that_cannot_be_is_wrong_usage(tapectl: Runner, place: str, tmp_path: Path) -> None:
    assert tapectl("read", "-o", place).returncode == 2
