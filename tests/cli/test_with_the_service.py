# SPDX-License-Identifier: LGPL-2.1-or-later
"""tapectl in front of the real service and its virtual drives, as a person uses it."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest

from cli.runner import COMMAND, Runner
from support.daemon import Daemon

pytestmark = pytest.mark.system

DATA = os.urandom(3_000_000)
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def labelled(real: Runner) -> Runner:
    """A labelled tape is in vt0, and the current directory holds 3 MB called data.tar."""
    real.well("load", "vt0", "TAPE01", "--new")
    real.well("label", "vt0", "TAPE01", "--pool", "daily")
    (real.folder / "data.tar").write_bytes(DATA)
    return real


def files(tapectl: Runner, drive: str = "vt0") -> list[tuple[int, str, int, bool]]:
    """Number, name, bytes and completeness of every file behind the labels."""
    listed = tapectl.json("ls", drive)
    return [(f["number"], f["name"], f["bytes"], f["complete"]) for f in listed if f["number"] >= 2]


def wait_for_job(tapectl: Runner, operation: str) -> str:
    """The number of the job that runs ``operation``, once it has its file."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for job in tapectl.json("jobs"):
            if job["operation"] == operation and job["state"] == "running":
                return str(job["id"])
        time.sleep(0.05)
    raise AssertionError(f"no {operation} began")


def test_the_first_steps_of_the_readme(real: Runner) -> None:
    (real.folder / "tree").mkdir()
    (real.folder / "tree/file").write_bytes(DATA)
    real.well("drives")
    real.well("load", "vt0", "TAPE01", "--new")
    real.well("label", "vt0", "TAPE01", "--pool", "daily")
    assert "file 2, " in real.well("write", "vt0", "--name", "tree.tar", "--", "tar", "-c", "tree")
    assert re.search(r"^ +2 +file +[\d,]+ +yes +tree\.tar$", real.well("ls", "vt0"), re.MULTILINE)
    real.well("read", "vt0", "--file", "2", "-o", "tree.tar")
    subprocess.run(
        ["tar", "-x", "-f", "tree.tar", "-C", "..", "--one-top-level=back"], cwd=real.folder, check=True
    )
    assert (real.folder.parent / "back/tree/file").read_bytes() == DATA
    assert real.well("verify", "vt0").endswith(" no error\n")


def test_what_was_written_comes_back_with_the_same_digest(labelled: Runner) -> None:
    written = labelled.json("write", "vt0", "data.tar")
    assert (written["file"], written["bytes"], written["sha256"]) == (2, 3_000_000, DIGEST)
    read = labelled.json("read", "vt0", "--file", "2", "-o", "out")
    assert (read["name"], read["sha256"]) == ("data.tar", DIGEST)
    assert (labelled.folder / "out").read_bytes() == DATA
    assert files(labelled) == [(2, "data.tar", 3_000_000, True)]


def test_several_files_follow_each_other(labelled: Runner) -> None:
    labelled.well("write", "vt0", "data.tar")
    labelled.well("write", "vt0", "--trust-eof", "-", stdin=b"hello")
    labelled.well("write", "vt0", "--name", "one", "--", "printf", "1")
    assert files(labelled) == [(2, "data.tar", 3_000_000, True), (3, "", 5, True), (4, "one", 1, True)]
    assert labelled.well("seek", "vt0", "3") == "vt0: at file 3\n"
    done = labelled("read", "vt0")
    assert (done.returncode, done.stdout) == (0, "hello")
    assert labelled.well("seek", "vt0", "last") == "vt0: at file 4\n"
    assert labelled.well("eod", "vt0") == "vt0: at file 5\n"
    assert labelled.well("rewind", "vt0") == "vt0: at file 0\n"


def test_a_command_that_fails_leaves_an_incomplete_file(labelled: Runner) -> None:
    done = labelled("write", "vt0", "--name", "half", "--", "sh", "-c", "head -c 500000 data.tar; exit 3")
    assert done.returncode == 6
    assert done.stderr.splitlines() == [
        "tapectl: sh exited with status 3",
        "  file 2 on the tape holds 500,000 bytes and is marked incomplete",
    ]
    assert files(labelled) == [(2, "half", 500_000, False)]
    done = labelled("read", "vt0", "--file", "2", "-o", "out")
    assert done.returncode == 6
    assert "what came is kept as out.incomplete" in done.stderr
    assert (labelled.folder / "out.incomplete").read_bytes() == DATA[:500_000]
    labelled.well("write", "vt0", "data.tar")
    assert files(labelled)[1] == (3, "data.tar", 3_000_000, True)


def test_standard_input_that_nothing_proves_is_incomplete(labelled: Runner) -> None:
    assert labelled("write", "vt0", "-", stdin=DATA).returncode == 6
    (labelled.folder / "SUMS").write_text(f"{DIGEST}  data.tar\n")
    labelled.well("write", "vt0", "--sha256-file", "SUMS", "-", stdin=DATA)
    labelled.well("write", "vt0", "--size", "3000000", "-", stdin=DATA)
    assert labelled("write", "vt0", "--size", "3000000", "-", stdin=DATA[1:]).returncode == 6
    assert labelled("write", "vt0", "--size", "2999999", "-", stdin=DATA).returncode == 6
    assert [entry[3] for entry in files(labelled)] == [False, True, True, False, False]


def test_ctrl_c_leaves_an_incomplete_file_and_says_so(labelled: Runner) -> None:
    command = ["sh", "-c", "head -c 500000 data.tar; exec sleep 60"]
    terminal = labelled.terminal("write", "vt0", "--name", "half", "--", *command)
    terminal.expect("vt0: writing file 2 .* 0:0[1-9]")
    terminal.interrupt()
    assert terminal.end() == 130
    assert re.search(
        r"tapectl: cancelled\n  file 2 on the tape holds 500,000 bytes and is marked incomplete\n$",
        terminal.screen,
    )
    assert files(labelled) == [(2, "half", 500_000, False)]
    labelled.well("rewind", "vt0")


def test_ctrl_c_in_a_pipeline_does_not_take_the_end_of_the_dead_writer_for_the_end(labelled: Runner) -> None:
    program = " ".join(shlex.quote(word) for word in COMMAND)
    line = f"(head -c 500000 data.tar; exec sleep 60) | {program} write vt0 --trust-eof -"
    terminal = labelled.shell(line)
    terminal.expect("vt0: writing file 2")
    terminal.interrupt()
    terminal.end()
    assert "cancelled" in terminal.screen
    assert [entry[3] for entry in files(labelled)] == [False]


def test_leaving_at_once_leaves_the_drive_free(labelled: Runner) -> None:
    terminal = labelled.terminal("write", "vt0", "--", "sh", "-c", "trap '' INT; cat data.tar; exec sleep 60")
    terminal.expect("vt0: writing file 2")
    terminal.type("\x03")
    terminal.expect("Ctrl-C again leaves at once")
    terminal.type("\x03")
    assert terminal.end() == 130
    assert [entry[3] for entry in files(labelled)] == [False]
    os.killpg(terminal.process.pid, signal.SIGKILL)


def test_a_killed_tapectl_leaves_an_incomplete_file_and_a_free_drive(labelled: Runner) -> None:
    reading, writing = os.pipe()
    client = labelled.start("write", "vt0", "--trust-eof", "-", stdin=reading, stderr=-3)
    os.close(reading)
    os.write(writing, b"x" * 1000)
    wait_for_job(labelled, "write-file")
    client.kill()
    client.wait()
    os.close(writing)
    deadline = time.monotonic() + 30
    while labelled("rewind", "vt0").returncode != 0:
        assert time.monotonic() < deadline
    assert [entry[3] for entry in files(labelled)] == [False]


def test_a_full_tape_says_how_much_is_on_it(real: Runner) -> None:
    real.well("load", "small", "SMALL1", "--new")
    real.well("label", "small", "SMALL1")
    (real.folder / "big").write_bytes(DATA * 2)
    failed = real.json("write", "small", "big")
    assert (failed["error"], failed["exit-status"]) == ("EndOfMedia", 6)
    there = failed["data"]["bytes-on-tape"]
    assert 0 < there < 6_000_000
    assert files(real, "small") == [(2, "big", there, False)]
    assert real("read", "small", "--file", "2", "-o", "first").returncode == 6
    assert (real.folder / "first.incomplete").read_bytes() == (DATA * 2)[:there]


def test_another_tape_than_the_expected_one_is_not_touched(labelled: Runner) -> None:
    done = labelled("-v", "write", "vt0", "data.tar", "--expect-uuid", "11111111-2222-4333-8444-555555555555")
    assert done.returncode == 1
    assert "org.tapeds1.Error.WrongLabel" in done.stderr
    assert files(labelled) == []
    label = labelled.json("read-label", "vt0")["label"]
    labelled.well("write", "vt0", "data.tar", "--expect-uuid", label["uuid"])


def test_a_question_shows_what_goes_and_yes_makes_it_go(labelled: Runner) -> None:
    for name in ("a", "b", "c"):
        labelled.well("write", "vt0", "--name", name, "--", "printf", name)
    terminal = labelled.terminal("write", "vt0", "--file", "3", "--name", "new", "data.tar")
    terminal.expect(r"vt0 holds the tape TAPE01 .*\n2 files will go, 2 B:\n.*3  file .* b\n.*4  file .* c\n")
    terminal.expect(r"\[y/N\] ")
    terminal.type("y\n")
    assert terminal.end() == 0
    assert "  removed  2 files\n" in terminal.screen
    assert files(labelled) == [(2, "a", 1, True), (3, "new", 3_000_000, True)]
    terminal = labelled.terminal("erase", "vt0")
    terminal.expect(r"4 files will go(.|\n)*\[y/N\] ")
    terminal.type("n\n")
    assert terminal.end() == 130
    assert len(files(labelled)) == 2
    assert labelled.well("erase", "vt0", "--yes") == "vt0: erased, 4 files removed\n"
    assert labelled.well("read-label", "vt0") == "vt0: the tape is empty, it has no label\n"


def test_a_label_is_not_written_over_by_accident(labelled: Runner) -> None:
    labelled.well("write", "vt0", "data.tar")
    done = labelled("label", "vt0", "TAPE02")
    assert done.returncode == 1
    assert "--overwrite" in done.stderr
    assert labelled("label", "vt0", "TAPE02", "--overwrite").returncode == 2
    assert files(labelled) == [(2, "data.tar", 3_000_000, True)]
    labelled.well("label", "vt0", "TAPE01", "--overwrite", "--yes", "--pool", "weekly")
    label = labelled.json("read-label", "vt0")
    assert (label["media-set-label"]["pool"], label["media-set-label"]["seq-nr"]) == ("weekly", 0)
    assert files(labelled) == []


def test_an_empty_drive_is_no_medium(real: Runner) -> None:
    for words in (["read-label"], ["rewind"], ["ls"], ["load", "vt0", "NOPE01"]):
        done = real(*words, *(["vt0"] if len(words) == 1 else []))
        assert done.returncode == 5, (words, done.stderr)


def test_a_held_drive_is_for_its_holder_only(labelled: Runner) -> None:
    inside = " ".join(shlex.quote(word) for word in COMMAND)
    held = labelled.start(
        "lock",
        "vt0",
        "--reason",
        "nightly",
        "--",
        "sh",
        "-c",
        f"{inside} write data.tar && touch got && exec sleep 60",
    )
    deadline = time.monotonic() + 30
    while not (labelled.folder / "got").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    done = labelled("rewind", "vt0")
    assert done.returncode == 4
    assert "uid 0" in done.stderr or f"uid {os.getuid()}" in done.stderr
    assert labelled("lock", "vt0", "--wait", "0", "--", "true").returncode == 4
    assert "nightly" in labelled.well("drives")
    held.terminate()
    assert held.wait(30) == 128 + signal.SIGTERM
    labelled.well("rewind", "vt0")
    assert files(labelled) == [(2, "data.tar", 3_000_000, True)]


def test_a_busy_drive_is_busy_and_its_job_can_be_watched_and_cancelled(labelled: Runner) -> None:
    reading, writing = os.pipe()
    client = labelled.start("write", "vt0", "--trust-eof", "-", stdin=reading, stderr=-1)
    os.close(reading)
    job = wait_for_job(labelled, "write-file")
    assert labelled("rewind", "vt0").returncode == 4
    assert "write-file" in labelled.well("drives")
    assert f"job         {job}, vt0: writing" in labelled.well("status", "vt0")
    assert labelled.well("cancel", job).startswith(f"job {job}: cancelled; file 2 on the tape holds 0 bytes")
    _, err = client.communicate(timeout=30)
    assert client.returncode == 130
    assert b"was cancelled" in err
    os.close(writing)


def test_a_stopping_service_closes_the_file_and_tells_its_writer(labelled: Runner, daemon: Daemon) -> None:
    reading, writing = os.pipe()
    client = labelled.start("write", "vt0", "--trust-eof", "-", stdin=reading, stderr=-1)
    os.close(reading)
    os.write(writing, b"x" * 1000)
    wait_for_job(labelled, "write-file")
    daemon.terminate()
    _, err = client.communicate(timeout=30)
    assert client.returncode != 0
    assert b"file 2 on the tape holds 1,000 bytes and is marked incomplete" in err
    os.close(writing)
    assert labelled("drives").returncode == 1
    daemon.start()
    assert files(labelled) == [(2, "", 1000, False)]


def test_cartridges_move_between_slots_and_drive(labelled: Runner) -> None:
    labelled.well("unload", "vt0")
    assert labelled.well("inventory", "vt0").splitlines()[1:] == [
        "drive       0  -       vt0",
        "slot        1  TAPE01",
    ]
    labelled.well("transfer", "vt0", "1", "3")
    labelled.well("load", "vt0", "--slot", "3")
    assert "from slot 3" in labelled.well("inventory", "vt0")
    labelled.well("unload", "vt0", "--slot", "5")
    assert "slot        5  TAPE01" in labelled.well("inventory", "vt0", "--refresh")
    assert labelled.well("request", "vt0", "TAPE01") == "vt0: TAPE01 is loaded\n"
    assert labelled("request", "vt0", "TAPE99", "--timeout", "1").returncode == 5


def test_a_tape_that_is_requested_and_then_loaded_is_found(labelled: Runner) -> None:
    labelled.well("unload", "vt0")
    labelled.well("load", "vt0", "TAPE02", "--new")
    labelled.well("label", "vt0", "TAPE02")
    labelled.well("unload", "vt0")
    terminal = labelled.terminal("request", "vt0", "TAPE03")
    terminal.expect("please insert TAPE03")
    assert labelled("rewind", "vt0").returncode == 4
    terminal.interrupt()
    assert terminal.end() == 130


@pytest.mark.parametrize(
    "line",
    [
        "drives",
        "status vt0",
        "jobs",
        "ls vt0",
        "read-label vt0",
        "verify vt0",
        "inventory vt0",
        "scan",
        "reload",
    ],
)
def test_every_answer_is_one_json_document_and_fits_into_80_columns(labelled: Runner, line: str) -> None:
    labelled.json(*line.split())
    terminal = labelled.terminal(*line.split())
    assert terminal.end() == 0, terminal.screen
    assert max(len(shown.rstrip()) for shown in terminal.screen.splitlines()) <= 80


def test_monitor_tells_what_a_write_does(labelled: Runner) -> None:
    terminal = labelled.terminal("monitor")
    terminal.expect("watching")
    labelled.well("write", "vt0", "data.tar")
    terminal.expect(r"job \d+: write-file on vt0, for uid \d+\n")
    terminal.expect(r"job \d+: done \(file 2, bytes 3000000, ")
    terminal.interrupt()
    assert terminal.end() == 0


@pytest.mark.requires("bash")
def test_bash_completes_the_drives_of_the_service(real: Runner, root: Path) -> None:
    program = real.folder / "tapectl"
    program.write_text("#!/bin/sh\nexec " + " ".join(shlex.quote(word) for word in COMMAND) + ' "$@"\n')
    program.chmod(0o755)
    code = f"""
source {shlex.quote(str(root / "data/completions/tapectl"))}
COMP_WORDS=(./tapectl rewind ""); COMP_CWORD=2; _tapectl; echo "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(
        ["bash", "--norc", "-c", code],
        env=real.environment,
        cwd=real.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "small vt0\n"
