# SPDX-License-Identifier: LGPL-2.1-or-later
"""Byte layouts: what a definition means, what it may not say, and what becomes of missing bytes."""

from __future__ import annotations

import dataclasses
import enum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeds.layout import (
    Layout,
    LayoutError,
    Malformed,
    OpenEnum,
    announced,
    ascii,
    bit,
    bits,
    constant,
    raw,
    s24,
    s32,
    s64,
    u8,
    u16,
    u24,
    u32,
    u64,
    unnamed,
)


class Colour(OpenEnum):
    RED = 1
    BLUE = 2


class Everything(Layout, size=48):
    one: int = u8(0)
    two: int = u16(1)
    three: int = u24(3)
    four: int = u32(6)
    eight: int = u64(10)
    minus_three: int = s24(18)
    minus_four: int = s32(21)
    minus_eight: int = s64(25)
    high: bool = bit(33, 7)
    colour: Colour = bits(33, 6, 4, Colour)
    low: int = bits(33, 3, 0)
    octets: bytes = raw(34, 2)
    name: str = ascii(36, 4)
    little_two: int = u16(40, order="little")
    little_four: int = u32(42, order="little")
    magic = constant(u16(46), 0xBEEF)


VALUE = Everything(
    one=1,
    two=0x0203,
    three=0x040506,
    four=0x0708090A,
    eight=0x0B0C0D0E0F101112,
    minus_three=-2,
    minus_four=-3,
    minus_eight=-4,
    high=True,
    colour=Colour.BLUE,
    low=5,
    octets=b"\xaa\xbb",
    name="AB",
    little_two=0x0102,
    little_four=0x03040506,
)
BYTES = bytes.fromhex(
    "01 0203 040506 0708090a 0b0c0d0e0f101112 fffffe fffffffd fffffffffffffffc"
    " a5 aabb 41422020 0201 06050403 beef"
)


def test_every_kind_of_field_has_its_bytes() -> None:
    assert VALUE.to_bytes() == BYTES
    assert Everything.from_bytes(BYTES) == VALUE
    assert Everything.from_bytes(memoryview(BYTES)) == VALUE


def test_an_instance_is_a_frozen_value() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        VALUE.one = 2  # type: ignore[misc]
    assert hash(VALUE) == hash(Everything.from_bytes(BYTES))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("one", 256),
        ("one", -1),
        ("three", 1 << 24),
        ("minus_three", 1 << 23),
        ("minus_three", -(1 << 23) - 1),
        ("low", 16),
        ("colour", 8),
        ("octets", b"123"),
        ("octets", b"1"),
        ("name", "ABCDE"),
        ("name", "ä"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"Everything.{field}"):
        dataclasses.replace(VALUE, **{field: value})


def test_a_wrong_constant_is_malformed() -> None:
    with pytest.raises(Malformed, match="magic is not 0xbeef"):
        Everything.from_bytes(BYTES[:-1] + b"\xee")


def test_an_unknown_code_is_a_value() -> None:
    colour = Colour(7)
    assert (colour, colour.name, colour.known) == (7, "UNKNOWN_07", False)
    assert colour == Colour(7)
    assert repr(colour) == "<Colour.UNKNOWN_07: 7>"
    assert Colour.RED.known
    with pytest.raises(ValueError):
        Colour(-1)


class Reply(Layout, size=8):
    first: int = u8(0)
    length = announced(1, 1, after=2)
    maybe: int | None = u16(2, default=None)
    flag: bool = bit(4, 7, default=False)
    rest: bytes = raw(6)


def test_missing_bytes_are_the_default() -> None:
    assert Reply.from_bytes(b"\x01") == Reply(first=1)
    assert Reply.from_bytes(b"\x01\x05\x02") == Reply(first=1)
    assert Reply.from_bytes(bytes.fromhex("01 05 0203 80 00 77 88")) == Reply(
        first=1, maybe=0x0203, flag=True, rest=b"\x77"
    )


def test_a_field_without_default_must_be_there() -> None:
    with pytest.raises(Malformed, match="Reply: no first in 0 bytes"):
        Reply.from_bytes(b"")


def test_an_announced_length_cuts_and_is_written_right() -> None:
    assert Reply.from_bytes(bytes.fromhex("01 02 0203 80")).flag is False
    assert Reply(first=1, maybe=2, rest=b"abc").to_bytes().hex(" ") == "01 07 00 02 00 00 61 62 63"


def test_what_is_no_ascii_is_a_question_mark() -> None:
    assert Everything.from_bytes(BYTES.replace(b"AB  ", b"A\xffB\0")).name == "A?B"


class Item(Layout, size=2):
    kind: int = u8(0)
    length = announced(1, 1, after=2)
    body: bytes = raw(2)


def test_items_follow_each_other_and_a_cut_one_is_left_out() -> None:
    items = Item.each(bytes.fromhex("01 00 02 01 aa 03 02 bb"))
    assert list(items) == [Item(kind=1), Item(kind=2, body=b"\xaa")]
    assert list(Item.each(b"\x01")) == []


class Pair(Layout, size=2):
    a: int = u8(0)
    b: int = u8(1)


def test_items_of_a_fixed_size_follow_each_other() -> None:
    assert list(Pair.each(b"\1\2\3\4\5")) == [Pair(a=1, b=2), Pair(a=3, b=4)]


class Page(Layout, size=4):
    as_read: bytes = unnamed()
    flag: bool = bit(1, 6)
    number: int | None = u16(2, default=None)


@given(st.binary(min_size=2, max_size=6))
def test_unnamed_bits_are_written_back(data: bytes) -> None:
    assert Page.from_bytes(data).to_bytes() == data


def test_one_field_changes_and_the_rest_stays() -> None:
    page = Page.from_bytes(b"\xff\xbf\x01\x02\xee")
    assert dataclasses.replace(page, flag=True, number=3).to_bytes() == b"\xff\xff\x00\x03\xee"
    assert Page(flag=True, number=1).to_bytes() == b"\x00\x40\x00\x01"


class Closed(enum.IntEnum):
    A = 0
    B = 1


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"a": ("int", u8(0)), "b": ("int", u16(0))}, "b and a both have bit 7 of byte 0"),
        ({"a": ("int", bits(0, 4, 2)), "b": ("bool", bit(0, 4))}, "b and a both have bit 4 of byte 0"),
        ({"a": ("int", u32(1))}, "a ends behind its 4 bytes"),
        ({"a": ("int", u8(0, default=1))}, "a default is 0 or None, not 1"),
        ({"a": (None, u8(0))}, "values are annotated"),
        ({"a": ("int", constant(u8(0), 1))}, "constants and lengths are not"),
        ({"a": ("Colour", bits(0, 0, 0, Colour))}, "Colour does not fit in 1 bits"),
        ({"a": ("Closed", u8(0, Closed))}, "Closed names not all values"),
        ({"to_bytes": ("int", u8(0))}, "every layout has something else of this name"),
    ],
)
def test_a_definition_that_contradicts_itself_is_refused(
    fields: dict[str, tuple[str | None, object]], message: str
) -> None:
    members = {name: field for name, (_, field) in fields.items()}
    annotations = {name: kind for name, (kind, _) in fields.items() if kind}
    with pytest.raises(LayoutError, match=message):
        type("Wrong", (Layout,), {**members, "__annotations__": annotations}, size=4)


@pytest.mark.parametrize(("high", "low"), [(8, 0), (2, 3), (0, -1)])
def test_bits_are_numbered_from_7_to_0(high: int, low: int) -> None:
    with pytest.raises(LayoutError, match="has no bits"):
        bits(0, high, low)


def test_an_enum_that_names_all_values_needs_not_be_open() -> None:
    class Closes(Layout, size=1):
        a: Closed = bits(0, 0, 0, Closed)

    assert Closes.from_bytes(b"\x01").a is Closed.B


@given(st.binary(max_size=60))
def test_garbage_is_malformed_or_a_value(data: bytes) -> None:
    for kind in (Everything, Reply, Item, Page):
        try:
            kind.from_bytes(data)
        except Malformed:
            continue
