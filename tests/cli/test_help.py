# SPDX-License-Identifier: LGPL-2.1-or-later
"""Help: there for every verb, within 80 columns, and without loading what only a running verb needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tapeds.cli.main import SUBJECTS, main, tapectl


def verb_names() -> list[str]:
    return [name for verbs in SUBJECTS.values() for name, _ in verbs]


@pytest.mark.parametrize("verb", ["", *verb_names()])
def test_help_fits_into_80_columns_and_says_something(verb: str) -> None:
    result = CliRunner().invoke(tapectl, [*verb.split(), "--help"], terminal_width=80)
    assert result.exit_code == 0
    assert max(len(line) for line in result.output.splitlines()) <= 80
    assert len(result.output.splitlines()) > 5
    assert "\\b" not in result.output


def test_every_verb_of_the_service_is_there() -> None:
    wanted = """status drives jobs rewind seek eod label read-label write read ls verify erase eject load
        unload lock monitor cancel scan doctor inventory transfer reload wait"""
    assert set(wanted.split()) <= set(verb_names())


def test_help_loads_neither_the_bus_nor_the_event_loop_nor_tables(root: Path) -> None:
    code = """
import sys
from tapeds.cli.main import main
assert main(["--help"]) == 0
loaded = {"asyncio", "rich", "dbus_next", "dbus_fast", "tapeds.buslib", "xml"} & set(sys.modules)
assert not loaded, loaded
"""
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize(
    "words",
    [
        ["no-such-verb"],
        ["drives", "--no-such-option"],
        ["ls", "--first", "minus-one"],
        ["ls", "--first", "-1"],
        ["wait", "seven"],
        ["write", "vt0", "--"],
        ["read", "-o", "/nowhere/at/all"],
        ["read", "-o", "/"],
        ["load", "--slot", "1", "--new"],
        ["--json"],
    ],
)
def test_wrong_words_are_exit_status_2_before_any_bus(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--address", "unix:path=/nowhere", *words]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("Usage: tapectl ")
    assert "\ntapectl: " in printed.err


def test_tapectl_alone_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    printed = capsys.readouterr()
    assert "Tapes and their files:" in printed.out
    assert printed.err == ""


def test_common_options_stand_before_or_behind_the_verb() -> None:
    with click.Context(tapectl) as context:
        for verb in verb_names():
            command = tapectl.get_command(context, verb)
            assert command is not None
            assert {"--json", "--quiet", "--address"} <= {name for p in command.params for name in p.opts}
