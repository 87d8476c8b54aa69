# SPDX-License-Identifier: LGPL-2.1-or-later
"""Names of files: what belongs to which tape, and what belongs to none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeds.vtape import layout

LABELS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{1,31}", fullmatch=True).filter(str.isascii)


@given(label=LABELS, number=st.integers(0, 10**18))
def test_every_name_leads_back_to_its_tape_and_number(label: str, number: int) -> None:
    assert layout.label_of(layout.index_name(label)) == label
    assert layout.number_of(layout.file_name(number, label), label) == number
    assert layout.label_of(layout.file_name(number, label)) is None


@given(label=LABELS, other=LABELS, number=st.integers(0, 99))
def test_no_file_belongs_to_two_tapes(label: str, other: str, number: int) -> None:
    found = layout.number_of(layout.file_name(number, label), other)
    assert found == (number if label == other else None)


@pytest.mark.parametrize(
    "name", ["tapefile-00-AAA.json", "tapefile--1-AAA.json", "tapefile-1.5-AAA.json", "tapefile-1-AAA.jsonx"]
)
def test_numbers_are_written_in_one_way_only(name: str) -> None:
    assert layout.number_of(name, "AAA") is None


@given(label=LABELS)
def test_temporary_names_are_known_again_and_are_nothing_else(label: str) -> None:
    for name in (layout.index_name(label), layout.STATUS, layout.SLOTS):
        temporary = layout.temporary_name(name)
        assert layout.is_temporary(temporary)
        assert not layout.is_temporary(name)
        assert not temporary.endswith(".json")


def test_a_temporary_name_replaces_the_extension_as_proxmox_does() -> None:
    assert layout.temporary_name("tape-A.B.json").startswith("tape-A.B.tmp_")
    assert layout.is_temporary("drive-status.tmp_ab12Cd")
