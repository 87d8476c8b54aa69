# SPDX-License-Identifier: LGPL-2.1-or-later
"""`LogPage`: a log page as one row per parameter, and the walk over the parameters of any page.

A parameter that the drive does not report is None, never 0; one that nobody asked for is skipped.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, Self, dataclass_transform

from tapeds.layout import Layout, Malformed, announced, bit, bits, raw, u8, u16


class PageHead(Layout, size=4):
    """How every log page begins.  Ref: [SPC-5]."""

    has_subpage: bool = bit(0, 6)                        # SPF
    code: int = bits(0, 5, 0)
    subpage: int = u8(1)
    length = announced(2, 2, after=4)
    parameters: bytes = raw(4)


class LogParameter(Layout, size=4):
    """One parameter of a page.  Ref: [SPC-5]."""

    code: int = u16(0)
    length = announced(3, 1, after=4)
    value: bytes = raw(4)


def parameters(data: bytes, code: int, subpage: int = 0) -> dict[int, bytes]:
    """The values of a page by parameter code, as far as they are there in full.

    Raises Malformed for the bytes of another page.
    """
    return {one.code: one.value for one in LogParameter.each(body(data, code, subpage))}


def body(data: bytes, code: int, subpage: int = 0) -> bytes:
    """What stands behind the head of a page.  Raises Malformed for the bytes of another page."""
    head = PageHead.from_bytes(data)
    if (head.code, head.subpage if head.has_subpage else 0) != (code, subpage):
        found = f"{head.code:02X}h/{head.subpage:02X}h"
        raise Malformed(f"log page {found} in place of {code:02X}h/{subpage:02X}h")
    return head.parameters


# --- how parameters are declared -------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One row of a page: the parameter's code, and what its bytes mean."""

    code: int
    read: Callable[[bytes], Any]

    def value(self, data: bytes) -> Any:
        """What ``data`` means; None where it has not the shape it should have."""
        try:
            return self.read(data)
        except Malformed:
            return None


def counter(code: int) -> Any:
    """A number of 1 to 8 bytes."""
    return Parameter(code, lambda value: int.from_bytes(value, "big") if 1 <= len(value) <= 8 else None)


def flag(code: int) -> Any:
    """A number that says yes or no."""
    return Parameter(code, lambda value: bool(int.from_bytes(value, "big")) if value else None)


def text(code: int) -> Any:
    """Characters, without the blanks and NULs around them."""
    return Parameter(code, lambda value: value.decode("ascii", "replace").strip(" \0"))


def octets(code: int) -> Any:
    """Bytes as they are."""
    return Parameter(code, lambda value: value)


def parsed(code: int, read: Callable[[bytes], Any]) -> Any:
    """What ``read`` makes of the bytes."""
    return Parameter(code, read)


def record(code: int, kind: type[Layout]) -> Any:
    """A structure of its own."""
    return parsed(code, kind.from_bytes)


@dataclass_transform(
    kw_only_default=True, frozen_default=True, field_specifiers=(counter, flag, text, octets, parsed, record)
)
class LogPage:
    """Base of all log pages.  Instances come from `from_bytes`."""

    code: ClassVar[int]
    subpage: ClassVar[int]
    rows: ClassVar[dict[str, Parameter]]

    def __init_subclass__(cls, *, code: int, subpage: int = 0) -> None:
        super().__init_subclass__()
        cls.code, cls.subpage = code, subpage
        cls.rows = {name: row for name, row in vars(cls).items() if isinstance(row, Parameter)}
        for name in cls.rows:
            setattr(cls, name, dataclasses.field(default=None))
        dataclasses.dataclass(frozen=True, kw_only=True)(cls)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The page in the reply to LOG SENSE.  Raises Malformed for the bytes of another page."""
        found = parameters(data, cls.code, cls.subpage)
        there = {name: row for name, row in cls.rows.items() if row.code in found}
        return cls(**{name: row.value(found[row.code]) for name, row in there.items()})
