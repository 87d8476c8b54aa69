# SPDX-License-Identifier: LGPL-2.1-or-later
"""Generated input: whatever a caller sends is understood or refused, whatever a tape holds can be sent."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeds.buslib import Variant, check, unwrap
from tapeds.dbus import convert, options
from tapeds.errors import InvalidOption

TEXT = st.text(st.characters() | st.sampled_from("\0\ud800\udfff"), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=30,
)
SENT = st.one_of(
    st.booleans().map(lambda value: Variant("b", value)),
    st.integers(0, 2**64 - 1).map(lambda value: Variant("t", value)),
    st.integers(0, 2**32 - 1).map(lambda value: Variant("u", value)),
    st.integers(-(2**63), 2**63 - 1).map(lambda value: Variant("x", value)),
    TEXT.map(lambda value: Variant("s", value)),
    st.binary(max_size=40).map(lambda value: Variant("ay", value)),
    st.just(Variant("o", "/org/tapeds1/sessions/1")),
    st.just(Variant("a{sv}", {"a": Variant("av", [Variant("u", 1)])})),
)
ROWS = [(*key, "options") for key in options.OPTIONS] + list(options.ARGUMENTS)


@given(attributes=st.dictionaries(TEXT, JSON, max_size=5))
def test_any_json_from_a_tape_can_be_sent(attributes: dict[str, Any]) -> None:
    wire = convert.to_wire({"attributes": attributes, "name": "x"})
    assert check("a{sv}", [wire])


@given(depth=st.integers(1, 200))
def test_json_of_any_depth_can_be_sent(depth: int) -> None:
    deep: Any = "bottom"
    for _ in range(depth):
        deep = {"deeper": [deep]}
    assert "bottom" in str(unwrap(check("a{sv}", [convert.to_wire({"attributes": {"x": deep}})])))


@given(text=TEXT)
def test_any_text_can_be_sent(text: str) -> None:
    assert check("s", [convert.text(text)])


@pytest.mark.parametrize("row", ROWS, ids=" ".join)
@settings(max_examples=30)
@given(data=st.data())
def test_any_dictionary_is_understood_or_refused(row: tuple[str, str, str], data: st.DataObject) -> None:
    interface, member, argument = row
    table = options.OPTIONS[interface, member] if argument == "options" else options.ARGUMENTS[row]
    sent = data.draw(st.dictionaries(st.sampled_from([*table, "fast"]) | TEXT, SENT, max_size=4))
    try:
        parsed = options.parse(interface, member, argument, sent)
    except InvalidOption:
        return
    assert set(sent) <= set(parsed) <= set(table)
