# SPDX-License-Identifier: LGPL-2.1-or-later
"""Additional sense codes and their texts."""

from __future__ import annotations

import pytest

from tapeds.scsi import asc


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ((0x00, 0x05), "End-of-data detected"),
        ((0x00, 0x07), "Programmable early warning detected"),
        ((0x04, 0x01), "Logical unit is in process of becoming ready"),
        ((0x20, 0x00), "Invalid command operation code"),
        ((0x28, 0x00), "Not ready to ready change, medium may have changed"),
        ((0x2C, 0x0B), "Not reserved"),
        ((0x30, 0x0C), "WORM medium - overwrite attempted"),
        ((0x3A, 0x04), "Medium not present - medium auxiliary memory accessible"),
        ((0x3B, 0x00), "Sequential positioning error"),
        ((0x53, 0x02), "Medium removal prevented"),
        ((0x74, 0x6F), "External data encryption control error"),
    ],
)
def test_a_code_has_t10s_text(code: tuple[int, int], text: str) -> None:
    assert asc.text(*code) == text


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ((0x40, 0x81), "Diagnostic failure on component 81h"),
        ((0x4D, 0x07), "Tagged overlapped commands (task tag 07h)"),
        ((0x5D, 0x32), "Failure prediction threshold exceeded (32h)"),
        ((0x70, 0x03), "Decompression exception short algorithm ID of 03h"),
        ((0x82, 0x82), "Vendor specific 82h/82h"),
        ((0x04, 0x91), "Vendor specific 04h/91h"),
        ((0x7E, 0x7E), "Additional sense code 7Eh/7Eh"),
    ],
)
def test_a_code_without_a_text_of_its_own_is_told_by_its_numbers(code: tuple[int, int], text: str) -> None:
    assert asc.text(*code) == text


def test_every_row_stands_where_its_number_belongs_and_none_stands_twice() -> None:
    rows = asc._TABLE.strip().splitlines()
    numbers = [row.split(" ")[0] for row in rows]
    assert numbers == sorted(set(numbers))
    assert all(words and words == words.strip() for words in asc.TEXTS.values())


def test_what_the_drive_has_to_understand_is_there() -> None:
    # Every code that decides what becomes of a job on a tape drive.
    needed = (
        "00/00 00/01 00/02 00/04 00/05 00/07 00/16 00/17 00/18 04/00 04/01 04/02 04/03 04/04 "
        "04/07 04/12 0C/00 10/01 10/02 10/03 10/04 10/05 11/00 14/03 20/00 20/0C 24/00 26/00 "
        "26/10 26/11 26/12 27/00 27/01 27/02 27/03 27/04 27/05 27/06 27/07 28/00 28/01 29/00 "
        "29/01 29/02 29/03 29/04 29/05 29/06 29/07 2A/01 2A/03 2A/04 2A/05 2A/10 2A/11 2A/12 "
        "2C/0B 30/03 30/07 30/0A 30/0C 30/0D 30/13 31/00 33/00 3A/00 3A/01 3A/02 3A/03 3A/04 "
        "3B/0D 3B/0E 3B/12 3B/13 41/00 44/00 51/00 52/00 53/00 53/02 53/03 53/04 53/08 5D/00 "
        "74/00 74/01 74/02 74/03 74/04 74/05 74/09 74/0B 74/21 74/61 74/6F "
    )
    missing = [code for code in needed.split() if tuple(int(n, 16) for n in code.split("/")) not in asc.TEXTS]
    assert missing == []
