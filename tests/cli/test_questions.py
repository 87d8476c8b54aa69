# SPDX-License-Identifier: LGPL-2.1-or-later
"""Before something is destroyed a person sees what, and says yes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cli.fake_service import FakeService, V
from cli.runner import Runner

UUID = "7f42c4dd-9626-4d89-9f2b-c7bc6da7d533"


def file(number: int, kind: str, name: str, size: int, *, complete: bool = True) -> dict[str, V]:
    return {
        "number": V("t", number),
        "kind": V("s", kind),
        "name": V("s", name),
        "bytes": V("t", size),
        "complete": V("b", complete),
    }


FILES = [
    file(0, "media-label", "TAPE01", 149),
    file(1, "media-set-label", "daily", 157),
    file(2, "file", "etc.tar", 3_000_000),
    file(3, "file", "evil\x1b[2J", 12_345_678, complete=False),
]


@pytest.fixture(autouse=True)
def labelled(service: FakeService) -> None:
    """A tape with a label and two files is in the drive."""
    label = {"label-text": V("s", "TAPE01"), "uuid": V("s", UUID), "ctime": V("x", 1626103418)}
    service.plan("ReadLabel", result={"label": V("a{sv}", label)})
    service.plan("ListFiles", result={"files": V("aa{sv}", FILES), "more": V("b", False)})
    service.plan("LabelTape", result={"uuid": V("s", UUID), "label-text": V("s", "TAPE02")})
    written = {"uuid": V("s", UUID), "label-text": V("s", "TAPE02"), "media-set-uuid": V("s", UUID)}
    service.plan("WriteMediaSetLabel", result=written)


QUESTION = f"""vt0 holds the tape TAPE01 (uuid {UUID}).
4 files will go, 15.3 MB:
      0  media-label          149 B  TAPE01
      1  media-set-label      157 B  daily
      2  file               3.00 MB  etc.tar
      3  file               12.3 MB  evil\\x1b[2J  (incomplete)
"""


def test_erase_names_label_and_files_and_erases_this_tape_only(service: FakeService, tapectl: Runner) -> None:
    terminal = tapectl.terminal("erase")
    terminal.expect(r"Erase it\? \[y/N\] ")
    assert QUESTION in terminal.screen
    assert service.called("FormatMedia") == []
    terminal.type("y\n")
    assert terminal.end() == 0
    (erased,) = service.called("FormatMedia")
    assert erased.arguments[0] is True
    assert erased.arguments[1]["expect-uuid"] == UUID


@pytest.mark.parametrize("answer", ["n\n", "\n", "yess\n", "\x04"])
def test_anything_but_yes_changes_nothing(service: FakeService, tapectl: Runner, answer: str) -> None:
    terminal = tapectl.terminal("erase")
    terminal.expect(r"\[y/N\] ")
    terminal.type(answer)
    assert terminal.end() == 130
    assert terminal.screen.endswith("tapectl: nothing was changed\n")
    assert service.called("FormatMedia") == []
    assert len(service.called("Release")) == 1


def test_ctrl_c_at_the_question_changes_nothing(service: FakeService, tapectl: Runner) -> None:
    terminal = tapectl.terminal("erase")
    terminal.expect(r"\[y/N\] ")
    terminal.interrupt()
    assert terminal.end() == 130
    assert service.called("FormatMedia") == []
    assert len(service.called("Release")) == 1


@pytest.mark.parametrize(
    "words", [["erase"], ["label", "TAPE02", "--overwrite"], ["write", "--file", "2", "data"]]
)
def test_without_a_terminal_nothing_is_destroyed(
    service: FakeService, tapectl: Runner, words: list[str]
) -> None:
    (tapectl.folder / "data").write_bytes(b"data")
    done = tapectl(*words, stdin=b"y\n")
    assert done.returncode == 2
    assert "there is no terminal to ask on" in done.stderr
    assert "--yes" in done.stderr
    assert {"FormatMedia", "LabelTape", "WriteFile"} & {call.member for call in service.calls} == set()


def test_a_file_with_the_answer_is_no_terminal(service: FakeService, tapectl: Runner) -> None:
    (tapectl.folder / "answer").write_text("y\n")
    with (tapectl.folder / "answer").open() as answer:
        terminal = tapectl.terminal("erase", stdin=answer.fileno())
        assert terminal.end() == 2
    assert service.called("FormatMedia") == []


def test_yes_asks_nobody_and_looks_at_nothing(service: FakeService, tapectl: Runner) -> None:
    assert tapectl.well("erase", "--yes", "--full") == "vt0: erased\n"
    assert service.called("ReadLabel") == []
    (erased,) = service.called("FormatMedia")
    assert erased.arguments[0] is False
    assert "expect-uuid" not in erased.arguments[1]


def test_overwriting_a_label_asks(service: FakeService, tapectl: Runner) -> None:
    terminal = tapectl.terminal("label", "TAPE02", "--overwrite")
    terminal.expect(r"Label it TAPE02 and lose all this\? \[y/N\] ")
    assert QUESTION in terminal.screen
    terminal.type("yes\n")
    assert terminal.end() == 0
    (labelled,) = service.called("LabelTape")
    assert labelled.arguments[1]["overwrite"] is True
    assert labelled.arguments[1]["expect-uuid"] == UUID


def test_a_blank_tape_is_labelled_without_a_question(service: FakeService, tapectl: Runner) -> None:
    service.plan("ReadLabel")
    service.plan("ListFiles", result={"files": V("aa{sv}", []), "more": V("b", False)})
    tapectl.well("label", "TAPE02", "--overwrite")
    assert len(service.called("LabelTape")) == 1


def test_without_overwrite_the_service_decides(service: FakeService, tapectl: Runner) -> None:
    service.plan("LabelTape", error=("org.tapeds1.Error.NotEmpty", "the tape holds 4 files"))
    done = tapectl("label", "TAPE02")
    assert done.returncode == 1
    assert done.stderr.splitlines()[1] == "  try: the same with --overwrite, if these files may go"
    assert service.called("ReadLabel") == []


def test_replacing_a_file_names_only_what_stands_behind(service: FakeService, tapectl: Runner) -> None:
    service.plan("ListFiles", result={"files": V("aa{sv}", FILES[3:]), "more": V("b", False)})
    (tapectl.folder / "data").write_bytes(b"data")
    terminal = tapectl.terminal("write", "--file", "3", "data")
    terminal.expect(r"Write file 3 in their place\? \[y/N\] ")
    assert "1 file will go, 12.3 MB:" in terminal.screen
    terminal.type("y\n")
    assert terminal.end() == 0
    assert service.called("ListFiles")[0].arguments[0]["first"] == 3
    (written,) = service.called("WriteFile")
    assert (written.arguments[0]["file"], written.arguments[0]["expect-uuid"]) == (3, UUID)


def test_data_on_standard_input_are_not_taken_for_an_answer(
    service: FakeService, tapectl: Runner, tmp_path: Path
) -> None:
    (tmp_path / "data").write_bytes(b"n\nn\nn\n")
    source = os.open(tmp_path / "data", os.O_RDONLY)
    terminal = tapectl.terminal("write", "--file", "2", "--trust-eof", "-", stdin=source)
    os.close(source)
    terminal.expect(r"\[y/N\] ")
    terminal.type("y\n")
    assert terminal.end() == 0
    assert service.received == b"n\nn\nn\n"


def test_many_files_are_counted(service: FakeService, tapectl: Runner) -> None:
    many = [file(number, "file", f"f{number}", 1000) for number in range(2, 1002)]
    service.plan("ListFiles", result={"files": V("aa{sv}", many), "more": V("b", False)})
    terminal = tapectl.terminal("erase")
    terminal.expect(r"1,000 files will go, 1\.00 MB:\n(.*\n){12}  and 988 files more\n")


def test_a_tape_that_cannot_be_read_is_named_as_such(service: FakeService, tapectl: Runner) -> None:
    service.plan("ReadLabel", error=("org.tapeds1.Error.UnknownFormat", "this is no tape of ours"))
    service.plan("ListFiles", error=("org.tapeds1.Error.UnknownFormat", "this is no tape of ours"))
    terminal = tapectl.terminal("erase")
    terminal.expect(r"vt0 holds a tape that cannot be read: this is no tape of ours\.")
    terminal.type("y\n")
    assert terminal.end() == 0
    assert "expect-uuid" not in service.called("FormatMedia")[0].arguments[1]


def test_a_drive_without_a_tape_is_not_asked_about(service: FakeService, tapectl: Runner) -> None:
    service.plan("ReadLabel", error=("org.tapeds1.Error.NoMedia", "drive vt0 is empty"))
    terminal = tapectl.terminal("erase")
    assert terminal.end() == 5
    assert service.called("FormatMedia") == []
