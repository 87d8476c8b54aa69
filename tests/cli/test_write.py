# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writing: what is committed, what is not, and what the person learns."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from cli.fake_service import FakeService, V
from cli.runner import Runner

DATA = os.urandom(3_000_000)
DIGEST = hashlib.sha256(DATA)
INCOMPLETE = "  file 2 on the tape holds {} bytes and is marked incomplete\n"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.tar"
    path.write_bytes(DATA)
    return path


def test_a_file_goes_over_with_its_name_size_and_digest(
    service: FakeService, tapectl: Runner, data: Path
) -> None:
    service.plan("WriteFile", result={"sha256": V("ay", DIGEST.digest())})
    printed = tapectl.well("write", "data.tar")
    assert service.received == DATA
    (written,) = service.called("WriteFile")
    assert written.arguments[0] == {"name": "data.tar", "size": 3_000_000, "digest": "sha256"}
    (commit,) = service.called("Commit")
    assert commit.arguments == [3_000_000, {"sha256": DIGEST.digest()}]
    assert printed.startswith("vt0: file 2, 3,000,000 bytes, complete (")
    assert printed.splitlines()[1] == f"  sha256  {DIGEST.hexdigest()}"


def test_an_empty_file_is_a_file(service: FakeService, tapectl: Runner) -> None:
    (tapectl.folder / "empty").touch()
    tapectl.well("write", "empty")
    assert service.called("Commit")[0].arguments[0] == 0


def test_options_go_to_the_service_as_they_are_called_there(
    service: FakeService, tapectl: Runner, data: Path
) -> None:
    tapectl.well("write", "data.tar", "--name", "", "--unlabelled", "--no-durable", "--expect-uuid", "u")
    assert service.called("WriteFile")[0].arguments[0] == {
        "size": 3_000_000,
        "digest": "sha256",
        "expect-uuid": "u",
        "unlabelled": True,
        "durable": False,
    }


def test_a_command_that_succeeds_is_committed(service: FakeService, tapectl: Runner) -> None:
    tapectl.well("write", "--name", "hello", "--", "printf", "hello")
    assert service.received == b"hello"
    assert service.called("WriteFile")[0].arguments[0] == {"name": "hello", "digest": "sha256"}


def test_options_behind_the_dashes_belong_to_the_command(service: FakeService, tapectl: Runner) -> None:
    tapectl.well("write", "--", "printf", "%s", "--json")
    assert service.received == b"--json"


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("printf half; exit 3", "sh exited with status 3"),
        ("printf half; kill -9 $$", "sh was killed by signal 9"),
    ],
)
def test_a_command_that_fails_is_not(service: FakeService, tapectl: Runner, command: str, why: str) -> None:
    done = tapectl("write", "--", "sh", "-c", command)
    assert done.returncode == 6
    assert done.stderr == f"tapectl: {why}\n" + INCOMPLETE.format(4)
    assert service.received == b"half"
    # One byte more than came: the service writes what it got and finds that it is not all.
    assert [call.arguments for call in service.called("Commit")] == [[5, {}]]


def test_a_command_is_not_started_when_the_tape_refuses(service: FakeService, tapectl: Runner) -> None:
    service.plan("WriteFile", refused=("org.tapeds1.Error.Busy", "vt0 is busy"))
    assert tapectl("write", "--", "touch", "started").returncode == 4
    assert not (tapectl.folder / "started").exists()


def test_a_command_ends_when_the_tape_fails(service: FakeService, tapectl: Runner) -> None:
    service.plan("WriteFile", takes=1_000_000, error=("org.tapeds1.Error.MediumError", "the tape is damaged"))
    done = tapectl("write", "--", "sh", "-c", "echo $$ >pid; exec yes")
    assert done.returncode == 1
    assert done.stderr.startswith("tapectl: the tape is damaged\n")
    with pytest.raises(ProcessLookupError):
        os.kill(int((tapectl.folder / "pid").read_text()), 0)


def test_a_silent_command_is_ended_when_the_tape_fails(service: FakeService, tapectl: Runner) -> None:
    service.plan("WriteFile", takes=4, error=("org.tapeds1.Error.MediumError", "the tape is damaged"))
    done = tapectl("write", "--", "sh", "-c", "echo $$ >pid; printf 1234; exec sleep 600")
    assert done.returncode == 1
    with pytest.raises(ProcessLookupError):
        os.kill(int((tapectl.folder / "pid").read_text()), 0)


def test_standard_input_alone_is_never_complete(service: FakeService, tapectl: Runner) -> None:
    done = tapectl("write", "-", stdin=DATA)
    assert done.returncode == 6
    assert done.stderr == (
        "tapectl: nothing will prove the end of the data: the file will be marked incomplete\n"
        "  try: --size, --sha256-file or --trust-eof, or -- COMMAND\n"
        "tapectl: the end of standard input does not prove that all of it came\n"
        + INCOMPLETE.format("3,000,000")
    )
    assert [call.arguments for call in service.called("Commit")] == [[3_000_001, {}]]


def test_standard_input_with_its_size_is(service: FakeService, tapectl: Runner) -> None:
    tapectl.well("write", "--size", "3000000", "-", stdin=DATA)
    assert service.received == DATA
    assert service.called("WriteFile")[0].arguments[0]["size"] == 3_000_000


def test_standard_input_of_another_size_is_not(service: FakeService, tapectl: Runner) -> None:
    done = tapectl("write", "--size", "2999999", "-", stdin=DATA)
    assert done.returncode == 6
    assert "tapectl: standard input holds more than the 2,999,999 bytes of --size\n" in done.stderr
    done = tapectl("write", "--size", "3000001", "-", stdin=DATA)
    assert done.returncode == 6
    assert "tapectl: standard input ended after 3,000,000 of the 3,000,001 bytes of --size\n" in done.stderr
    assert service.called("Commit") == []


def test_standard_input_with_its_digest_is(service: FakeService, tapectl: Runner) -> None:
    (tapectl.folder / "SUMS").write_text(f"{DIGEST.hexdigest()}  data.tar\n")
    tapectl.well("write", "--sha256-file", "SUMS", "-", stdin=DATA)
    assert service.received == DATA


def test_standard_input_with_another_digest_is_not(service: FakeService, tapectl: Runner) -> None:
    (tapectl.folder / "SUMS").write_text("0" * 64)
    done = tapectl("write", "--sha256-file", "SUMS", "--trust-eof", "-", stdin=DATA)
    assert done.returncode == 6
    assert f"the SHA-256 of standard input is {DIGEST.hexdigest()}, but SUMS says 0000" in done.stderr


def test_standard_input_whose_end_is_trusted_is(service: FakeService, tapectl: Runner) -> None:
    tapectl.well("write", "--trust-eof", "-", stdin=DATA)
    assert service.received == DATA


def test_words_of_trust_are_for_standard_input_only(tapectl: Runner, data: Path) -> None:
    assert tapectl("write", "--trust-eof", "data.tar").returncode == 2
    assert tapectl("write", "--size", "3", "--", "printf", "abc").returncode == 2


def test_a_service_that_counts_another_digest_does_not_complete_the_file(
    service: FakeService, tapectl: Runner, data: Path
) -> None:
    service.plan("WriteFile", error=("org.tapeds1.Error.Incomplete", "the SHA-256 is another one"))
    done = tapectl("write", "data.tar")
    assert done.returncode == 6
    assert done.stderr == "tapectl: the SHA-256 is another one\n" + INCOMPLETE.format("3,000,000")


def test_a_full_tape_says_from_where_to_go_on(service: FakeService, tapectl: Runner, data: Path) -> None:
    service.plan(
        "WriteFile",
        takes=1_000_000,
        error=("org.tapeds1.Error.EndOfMedia", "the tape is full"),
        result={"bytes-on-tape": V("t", 999_999)},
    )
    done = tapectl("write", "data.tar")
    assert done.returncode == 6
    assert done.stderr == (
        "tapectl: the tape is full\n"
        + INCOMPLETE.format("999,999")
        + "  try: load the next tape, and write from byte 999,999 on\n"
    )


def test_a_commit_that_is_refused_does_not_leave_the_file_waiting(
    service: FakeService, tapectl: Runner, data: Path
) -> None:
    service.plan("Commit", refused=("org.tapeds1.Error.InvalidOption", "no digest here"))
    done = tapectl("write", "data.tar")
    assert done.returncode == 6
    assert done.stderr.startswith("tapectl: no digest here\n")
    assert len(service.called("Abort")) == 1


def test_an_unlabelled_tape_says_which_verb_labels_it(
    service: FakeService, tapectl: Runner, data: Path
) -> None:
    text = "the tape has no media label; label it with LabelTape, or write with unlabelled=true"
    service.plan("WriteFile", refused=("org.tapeds1.Error.InvalidState", text))
    done = tapectl("write", "data.tar")
    assert done.stderr.splitlines()[1] == "  try: tapectl label, or the same with --unlabelled"


def test_in_json_the_result_is_the_document(service: FakeService, tapectl: Runner, data: Path) -> None:
    found = tapectl.json("write", "data.tar")
    assert (found["file"], found["bytes"], found["complete"]) == (2, 3_000_000, True)
