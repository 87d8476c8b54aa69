# SPDX-License-Identifier: LGPL-2.1-or-later
"""Flags, each alone: a table of byte and mask, as the standard prints them, against a layout."""

from __future__ import annotations

from typing import Any

Flags = dict[str, tuple[int, int]]  # field -> byte and mask


def lone_flags_decode(kind: Any, start: str, flags: Flags) -> None:
    """Setting one bit in the bytes ``start`` sets the field of the table and no other of it."""
    for name, (byte, mask) in flags.items():
        data = bytearray.fromhex(start)
        data[byte] |= mask
        value = kind.from_bytes(data)
        assert [one for one in flags if getattr(value, one)] == [name]


def lone_flags_encode(kind: Any, flags: Flags, plain: str, **others: Any) -> None:
    """Setting one field changes the bytes ``plain`` by the bit of the table and by no other."""
    zero = bytes.fromhex(plain)
    off = dict.fromkeys(flags, False)
    assert kind(**others, **off).to_bytes() == zero
    for name, (byte, mask) in flags.items():
        expected = bytearray(zero)
        expected[byte] |= mask
        assert kind(**others, **{**off, name: True}).to_bytes() == expected, name
