# SPDX-License-Identifier: LGPL-2.1-or-later
"""The manual page of tapedsd says what the program does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tapeds import names
from tapeds.daemon import Exit
from tapeds.state import records

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/man/tapedsd.8").read_text().replace("\\-", "-")


def section(title: str) -> str:
    found = re.search(rf"^\.SH {title}\n(.*?)(?=^\.SH |\Z)", PAGE, re.M | re.S)
    assert found is not None
    return found[1]


def test_the_page_has_the_options_of_the_program_with_their_defaults() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "tapeds", "--help"], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    options = told.partition("options:")[2]
    assert set(re.findall(r"--[a-z-]+", section("OPTIONS"))) == set(re.findall(r"--[a-z-]+", options))
    for option, default in re.findall(r"(--[a-z-]+) \w+\s+default: (\S+)", options):
        assert re.search(rf"^\.BI {option} .*?^Default:\n\.IR {re.escape(default)} \.$", PAGE, re.M | re.S)


def test_the_page_has_every_exit_status() -> None:
    told = {int(number) for number in re.findall(r"^\.B (\d+)$", section("EXIT STATUS"), re.M)}
    usage = subprocess.run(
        [sys.executable, "-m", "tapeds", "--nonsense"], capture_output=True, check=False, cwd=ROOT
    ).returncode
    assert told == {*map(int, Exit), usage}


def test_the_page_has_every_field_of_the_journal() -> None:
    fields = {value for name, value in vars(names.Field).items() if not name.startswith("_")}
    assert set(re.findall(r"TAPEDS_[A-Z_]+", section("JOURNAL"))) == fields - {names.Field.MESSAGE_ID}


@pytest.mark.parametrize(
    "path",
    [
        names.CONFIG_FILE,
        f"{names.LOCK_DIR}/NAME",
        f"{names.RUNTIME_DIR}/drives/NAME",
        f"{names.RUNTIME_DIR}/{records.OPEN}/NAME",
        f"{names.STATE_DIR}/{records.INTENTS}/NAME.json",
        f"{names.STATE_DIR}/{records.LABELS}/NAME.json",
    ],
)
def test_the_page_has_the_files_of_the_program(path: str) -> None:
    assert path in section("FILES")
