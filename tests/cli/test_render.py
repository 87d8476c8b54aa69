# SPDX-License-Identifier: LGPL-2.1-or-later
"""Values as people and as machines read them."""

from __future__ import annotations

import json

import pytest

from tapeds import names
from tapeds.cli import render


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (9994, "9.99 kB"),
        (9996, "10.0 kB"),
        (262_128, "262 kB"),
        (999_499, "999 kB"),
        (999_600, "1.00 MB"),
        (1 << 30, "1.07 GB"),
        (18_000_000_000_000, "18.0 TB"),
    ],
)
def test_amounts_have_three_digits_and_units_of_1000(count: int, words: str) -> None:
    assert render.amount(count) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0:00"), (3.4, "0:03"), (59.6, "1:00"), (760, "12:40"), (10930, "3:02:10"), (-5, "0:00")],
)
def test_durations_read_like_a_clock(seconds: float, words: str) -> None:
    assert render.duration(seconds) == words


def test_one_byte_is_one_byte() -> None:
    assert render.exact(1) == "1 byte"
    assert render.exact(209_715_200) == "209,715,200 bytes"


def test_control_characters_of_a_foreign_tape_do_not_reach_the_terminal() -> None:
    assert render.printable("a\x1b[2Jb\nc") == "a\\x1b[2Jb\\nc"
    assert render.printable("größer 磁带") == "größer 磁带"


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Name", "name"),
        ("ConfiguredPath", "configured-path"),
        ("OwnerUID", "owner-uid"),
        ("OwnerPID", "owner-pid"),
        ("ExpectedEndTime", "expected-end-time"),
        ("ApiRevision", "api-revision"),
    ],
)
def test_properties_are_kebab_case_in_json(name: str, key: str) -> None:
    assert render.kebab(name) == key


def test_json_has_bytes_in_hex_and_null_for_what_is_not_known_yet(capsys: pytest.CaptureFixture[str]) -> None:
    render.document(
        {"sha256": b"\x00\xff", "file": names.UNKNOWN, "files": [{"number": 2}], "complete": True}
    )
    assert json.loads(capsys.readouterr().out) == {
        "sha256": "00ff",
        "file": None,
        "files": [{"number": 2}],
        "complete": True,
    }


def test_a_table_in_a_pipe_keeps_every_cell_whole(capsys: pytest.CaptureFixture[str]) -> None:
    render.table(("FILE", "NAME"), [("2", "x" * 200), ("10", "short")], right=("FILE",))
    assert capsys.readouterr().out.splitlines() == ["FILE  NAME", "   2  " + "x" * 200, "  10  short"]


def test_a_table_without_rows_still_has_its_heads(capsys: pytest.CaptureFixture[str]) -> None:
    render.table(("FILE", "NAME"), [])
    assert capsys.readouterr().out == "FILE  NAME\n"


def test_facts_leave_out_what_has_no_value(capsys: pytest.CaptureFixture[str]) -> None:
    render.facts([("uuid", "7f42"), ("pool", ""), ("media set", "9da3")])
    assert capsys.readouterr().out == "  uuid       7f42\n  media set  9da3\n"


def test_an_unproved_position_is_unknown() -> None:
    assert render.position({"PositionKnown": False, "FileNumber": 3, "BlockNumber": 0}) == "unknown"
    assert render.position({"PositionKnown": True, "FileNumber": 3, "BlockNumber": 0}) == "file 3"
    assert render.position({"PositionKnown": True, "FileNumber": 3, "BlockNumber": 7}) == "file 3, block 7"
