# SPDX-License-Identifier: LGPL-2.1-or-later
"""The log: fields, levels, targets, and the catalog that explains its messages."""

from __future__ import annotations

import ast
import io
import logging
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tapeds import errors, journal
from tapeds.names import Field, MessageId
from tapeds.worker.messages import Log

ROOT = Path(__file__).parents[1]
CATALOG = ROOT / "data/tapeds.catalog"

log = logging.getLogger("tapeds.test")


class Journal:
    """Takes what would be sent to the journal."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self.away = False

    def send(self, message: str, **fields: Any) -> None:
        if self.away:
            raise ConnectionRefusedError(111, "Connection refused")
        self.entries.append({"MESSAGE": message, **fields})


class Setup:
    """A log set up for the test: lines, entries and how to begin."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        self.journal = Journal()

    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()

    def console(self, level: str = "info") -> None:
        journal.setup("tapedsd", level, stream=self.stream)

    def to_journal(self, level: str = "info") -> None:
        journal.setup("tapedsd", level, stream=self.stream, send=self.journal.send)
        journal.set_target("journal")


@pytest.fixture
def setup() -> Iterator[Setup]:
    root = logging.root.level, list(logging.root.handlers)
    tapeds = logging.getLogger("tapeds").level
    before = journal.level()
    # A log that another test of this process has set up would say everything a second time.
    logging.root.handlers[:] = [handler for handler in root[1] if not isinstance(handler, journal.Handler)]
    yield Setup()
    journal.set_level(before)
    logging.getLogger("tapeds").setLevel(tapeds)
    logging.root.setLevel(root[0])
    logging.root.handlers[:] = root[1]


# --- lines on stderr -----------------------------------------------------------------------------


def test_a_line_has_level_text_and_fields(setup: Setup) -> None:
    setup.console()
    log.info("loaded %s", "TAPE01", extra={Field.DRIVE: "vt0", Field.JOB: 7})
    assert setup.lines() == ["INFO loaded TAPE01 TAPEDS_DRIVE=vt0 TAPEDS_JOB=7"]


@pytest.mark.parametrize(
    ("level", "name"),
    [
        (10, "DEBUG"),
        (20, "INFO"),
        (25, "NOTICE"),
        (30, "WARNING"),
        (40, "ERR"),
        (50, "CRIT"),
        (60, "ALERT"),
        (70, "EMERG"),
    ],
)
def test_levels_are_named_as_syslog_names_them(setup: Setup, level: int, name: str) -> None:
    setup.console("debug")
    log.log(level, "x")
    assert setup.lines() == [f"{name} x"]


def test_a_value_that_would_break_the_line_is_quoted(setup: Setup) -> None:
    setup.console()
    log.info("x", extra={Field.LABEL: 'a "b"=c', Field.PATH: "/a\nEMERG forged"})
    assert setup.lines() == ['INFO x TAPEDS_LABEL="a \\"b\\"=c" TAPEDS_PATH="/a\\nEMERG forged"']


def test_a_line_leaves_out_what_says_nothing(setup: Setup) -> None:
    setup.console()
    log.info("x", extra={Field.MESSAGE_ID: MessageId.JOB_STARTED, Field.DRIVE: "vt0", Field.LABEL: ""})
    assert setup.lines() == [f"INFO x MESSAGE_ID={MessageId.JOB_STARTED} TAPEDS_DRIVE=vt0"]


def test_a_text_is_one_line_whatever_is_in_it(setup: Setup) -> None:
    setup.console()
    log.info("file %s", "a\nb\x1b[31m\u2028c é")
    assert setup.lines() == ["INFO file a\\nb\\x1b[31m\\u2028c é"]


def test_a_fault_brings_its_traceback(setup: Setup) -> None:
    setup.console()
    try:
        raise ValueError("oops")
    except ValueError:
        log.exception("failed")
    (line,) = setup.lines()
    assert line.startswith("ERR failed\\nTraceback (most recent call last):\\n")
    assert line.endswith("ValueError: oops")


def test_a_second_setup_replaces_the_first(setup: Setup) -> None:
    setup.console()
    setup.console()
    log.info("once")
    assert setup.lines() == ["INFO once"]


def test_stderr_of_the_moment_takes_the_lines(setup: Setup, capsys: pytest.CaptureFixture[str]) -> None:
    journal.setup()
    log.info("hello")
    assert capsys.readouterr().err == "INFO hello\n"


# --- entries in the journal ----------------------------------------------------------------------


def test_an_entry_has_priority_identifier_place_and_fields(setup: Setup) -> None:
    setup.to_journal()
    extra = {Field.DRIVE: "vt0", Field.MESSAGE_ID: MessageId.DRIVE_ABSENT, Field.PATH: "/a"}
    log.warning("lost %s", "TAPE01", extra=extra)
    (entry,) = setup.journal.entries
    assert Path(entry.pop("CODE_FILE")).name == "test_journal.py"
    assert entry.pop("CODE_LINE") > 0
    assert entry == {
        "MESSAGE": "lost TAPE01",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "tapedsd",
        "LOGGER": "tapeds.test",
        "CODE_FUNC": "test_an_entry_has_priority_identifier_place_and_fields",
        "MESSAGE_ID": MessageId.DRIVE_ABSENT,
        "TAPEDS_DRIVE": "vt0",
        "TAPEDS_PATH": "/a",
    }
    assert setup.lines() == []


@pytest.mark.parametrize(
    ("level", "priority"),
    [(70, 0), (60, 1), (50, 2), (45, 3), (40, 3), (30, 4), (25, 5), (20, 6), (10, 7), (1, 7)],
)
def test_priorities_are_those_of_syslog(level: int, priority: int) -> None:
    assert journal.priority(level) == priority


def test_the_text_of_a_fault_keeps_its_lines(setup: Setup) -> None:
    setup.to_journal()
    log.error("failed", exc_info=ValueError("oops"))
    assert setup.journal.entries[0]["MESSAGE"] == "failed\nValueError: oops"


def test_an_entry_goes_to_stderr_when_the_journal_is_away(setup: Setup) -> None:
    setup.to_journal()
    setup.journal.away = True
    log.info("kept", extra={Field.JOB: 1})
    assert setup.lines() == ["INFO kept TAPEDS_JOB=1"]


def test_a_field_that_the_journal_would_drop_is_complained_about(setup: Setup) -> None:
    setup.to_journal()
    log.info("text", extra={"drive": "vt0", "_X": 1, "A" * 65: 1, Field.JOB: 1})
    first, second = setup.journal.entries
    assert (first["MESSAGE"], first["TAPEDS_JOB"]) == ("text", "1")
    assert "drive" not in first
    assert "has fields the journal would drop: 'drive', '_X', 'AAA" in second["MESSAGE"]


def test_a_mistake_in_a_log_call_harms_nobody(setup: Setup, capsys: pytest.CaptureFixture[str]) -> None:
    handler = journal.setup("tapedsd", send=setup.journal.send)
    handler.handle(logging.makeLogRecord({"msg": "%d blocks", "args": ("many",)}))
    assert setup.journal.entries == []
    assert "Logging error" in capsys.readouterr().err


def test_a_line_to_a_closed_stderr_harms_nobody(setup: Setup, capsys: pytest.CaptureFixture[str]) -> None:
    setup.console()
    setup.stream.close()
    log.info("nobody reads this")
    assert "Logging error" in capsys.readouterr().err


KEY = bytes(range(200, 232))


@pytest.mark.parametrize(
    "secret", [KEY, bytearray(KEY), memoryview(KEY), [KEY], (KEY, 1), {"key": KEY}, [{"a": [KEY]}]]
)
@pytest.mark.parametrize("begin", [Setup.console, Setup.to_journal])
def test_bytes_are_never_shown(setup: Setup, begin: Callable[[Setup], None], secret: Any) -> None:
    begin(setup)
    log.info("key %s", secret, extra={Field.ERROR: secret})
    log.info("key %(key)s", {"key": secret})
    shown = "\n".join(setup.lines()) + repr(setup.journal.entries)
    assert shown.count("<32 bytes>") == 3
    assert "\\xc8" not in shown
    assert "200, 201" not in shown


# --- level and target ----------------------------------------------------------------------------


def test_entries_below_the_level_are_left_out(setup: Setup) -> None:
    setup.console("warning")
    assert journal.level() == "warning"
    log.info("quiet")
    log.warning("loud")
    assert setup.lines() == ["WARNING loud"]


@pytest.mark.parametrize("name", list(journal.LEVELS))
def test_every_level_can_be_set_while_running(setup: Setup, name: str) -> None:
    setup.console()
    journal.set_level(name)
    assert journal.level() == name
    for level in journal.LEVELS.values():
        log.log(level, "x")
    wanted = list(journal.LEVELS)[: list(journal.LEVELS).index(name) + 1]
    assert setup.lines() == [f"{level.upper()} x" for level in wanted]


def test_libraries_are_heard_from_warning_on(setup: Setup) -> None:
    logging.root.setLevel(logging.DEBUG)
    setup.console("debug")
    logging.getLogger("asyncio").info("using epoll")
    logging.getLogger("asyncio").warning("slow")
    assert setup.lines() == ["WARNING slow"]


def test_libraries_obey_a_graver_level_too(setup: Setup) -> None:
    setup.console("err")
    logging.getLogger("asyncio").warning("slow")
    assert setup.lines() == []


def test_an_unknown_level_changes_nothing(setup: Setup) -> None:
    setup.console("notice")
    with pytest.raises(errors.InvalidOption, match="log level loud is not known; use emerg, alert, "):
        journal.set_level("loud")
    assert journal.level() == "notice"


def test_the_target_can_be_changed_while_running(setup: Setup) -> None:
    setup.to_journal()
    assert journal.target() == "journal"
    for name in ("console", "stderr"):
        journal.set_target(name)
        assert journal.target() == "console"
    log.info("here")
    journal.set_target("journal")
    log.info("there")
    assert setup.lines() == ["INFO here"]
    assert [entry["MESSAGE"] for entry in setup.journal.entries] == ["there"]


def test_an_unknown_target_changes_nothing(setup: Setup) -> None:
    setup.console()
    with pytest.raises(errors.InvalidOption, match="log target printer is not known; use journal, "):
        journal.set_target("printer")
    assert journal.target() == "console"


def test_a_journal_that_does_not_run_is_no_target(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "SOCKET", "/nonexistent/socket")
    setup.console()
    with pytest.raises(errors.InvalidOption, match="no journal runs on this machine; use console"):
        journal.set_target("journal")
    assert journal.target() == "console"


def test_the_journals_own_function_is_taken_where_the_journal_runs(
    setup: Setup, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from systemd import journal as real

    monkeypatch.setattr(journal, "SOCKET", str(tmp_path))
    monkeypatch.setattr(real, "send", setup.journal.send)
    setup.console()
    journal.set_target("journal")
    log.info("x")
    assert [entry["MESSAGE"] for entry in setup.journal.entries] == ["x"]


@pytest.mark.parametrize(
    ("stream", "target"), [("own", "journal"), ("other", "console"), ("none", "console")]
)
def test_the_journal_is_the_target_where_stderr_is_its_stream(
    setup: Setup, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stream: str, target: str
) -> None:
    status = os.fstat(2)
    monkeypatch.setattr(journal, "SOCKET", str(tmp_path))
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    if stream != "none":
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino + (stream == 'other')}")
    journal.setup("tapedsd", send=setup.journal.send)
    assert journal.target() == target


def test_without_a_stderr_the_target_is_not_the_journal(
    setup: Setup, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(fd: int) -> None:
        raise OSError(9, "Bad file descriptor")

    monkeypatch.setattr(journal, "SOCKET", str(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fstat", refuse)
        journal.setup("tapedsd", send=setup.journal.send)
    assert journal.target() == "console"


def test_a_handler_begins_with_lines(setup: Setup) -> None:
    handler = journal.Handler("tapedsd", stream=setup.stream, send=setup.journal.send)
    handler.handle(logging.makeLogRecord({"msg": "hello", "levelno": logging.INFO}))
    assert setup.lines() == ["INFO hello"]


def test_the_identifier_is_told(setup: Setup) -> None:
    journal.setup("other", stream=setup.stream)
    assert journal.identifier() == "other"


# --- what a worker logged ------------------------------------------------------------------------


def test_the_record_of_a_worker_is_logged_with_its_fields(setup: Setup) -> None:
    setup.to_journal()
    journal.relay(Log(30, "100 % full", {Field.DRIVE: "vt0", Field.BYTES: 5}))
    (entry,) = setup.journal.entries
    assert (entry["MESSAGE"], entry["PRIORITY"], entry["LOGGER"]) == ("100 % full", "4", "tapeds.worker")
    assert (entry["TAPEDS_DRIVE"], entry["TAPEDS_BYTES"], entry["CODE_FILE"]) == ("vt0", "5", "worker")


def test_the_record_of_a_worker_obeys_the_level(setup: Setup) -> None:
    setup.console("warning")
    journal.relay(Log(20, "quiet"))
    journal.relay(Log(40, "loud"))
    assert setup.lines() == ["ERR loud"]


def test_the_fields_of_a_worker_cannot_disturb_the_record(setup: Setup) -> None:
    setup.console()
    journal.relay(Log(20, "text", {"msg": "other", "args": [1], "levelno": 50, Field.JOB: 3}))
    assert setup.lines() == ["INFO text TAPEDS_JOB=3"]


# --- the catalog ---------------------------------------------------------------------------------


def catalog() -> dict[str, str]:
    """The text of each entry, by message id."""
    parts = re.split(r"^-- ([0-9a-f]{32})\n", CATALOG.read_text(), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


MESSAGES = {name: value for name, value in vars(MessageId).items() if not name.startswith("_")}


def test_the_catalog_explains_every_message_once() -> None:
    ids = re.findall(r"^-- (\S+)$", CATALOG.read_text(), re.M)
    assert sorted(ids) == sorted(MESSAGES.values())


@pytest.mark.parametrize("name", list(MESSAGES))
def test_an_explanation_has_subject_origin_and_text(name: str) -> None:
    head, _, body = catalog()[MESSAGES[name]].partition("\n\n")
    assert re.match(r"Subject: \S.*\nDefined-By: tapeds\nDocumentation: man:\S", head)
    assert body.strip()
    assert max(len(line) for line in body.splitlines()) <= 90


@pytest.mark.parametrize("name", list(MESSAGES))
def test_the_fields_of_an_explanation_are_those_that_are_always_sent(name: str) -> None:
    used = set(re.findall(r"@(\w+)@", catalog()[MESSAGES[name]]))
    assert used == set(journal.MESSAGE_FIELDS[MESSAGES[name]])


def test_every_field_of_the_table_is_a_known_one() -> None:
    known = {value for name, value in vars(Field).items() if not name.startswith("_")}
    assert {field for fields in journal.MESSAGE_FIELDS.values() for field in fields} <= known


@pytest.mark.parametrize("name", list(MESSAGES))
def test_an_entry_has_every_field_its_explanation_uses(setup: Setup, name: str) -> None:
    setup.to_journal()
    log.info("x", extra={Field.MESSAGE_ID: MESSAGES[name]})
    (entry,) = setup.journal.entries
    for field in journal.MESSAGE_FIELDS[MESSAGES[name]]:
        assert entry[field] == "-"


@pytest.mark.requires("journalctl")
def test_the_journal_can_read_the_catalog(tmp_path: Path) -> None:
    place = tmp_path / "usr/lib/systemd/catalog"
    place.mkdir(parents=True)
    shutil.copy(CATALOG, place)
    root = f"--root={tmp_path}"
    subprocess.run(["journalctl", root, "--update-catalog"], check=True, capture_output=True)
    told = subprocess.run(
        ["journalctl", root, "--list-catalog"], check=True, capture_output=True, text=True
    ).stdout
    assert sorted(line.split()[0] for line in told.splitlines()) == sorted(MESSAGES.values())
    assert all(line.split()[1] == "tapeds:" for line in told.splitlines())


# --- the log calls of the whole program ----------------------------------------------------------


def extras() -> list[tuple[str, str]]:
    """Every literal key in an ``extra={...}`` of the program, with its place."""
    found = []
    for file in sorted((ROOT / "tapeds").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "extra" and isinstance(node.value, ast.Dict):
                found += [
                    (f"{file.relative_to(ROOT)}:{key.lineno}", key.value)
                    for key in node.value.keys
                    if isinstance(key, ast.Constant)
                ]
    return found


def test_no_log_call_spells_a_field_by_hand() -> None:
    assert extras() == [], "fields have names in tapeds.names.Field"
