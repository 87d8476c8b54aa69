# SPDX-License-Identifier: LGPL-2.1-or-later
"""Declarative byte layouts: a class says where its fields stand, and is read next to the standard.

    class BlockLimits(Layout, size=6):
        granularity: int = bits(0, 4, 0, default=0)    # byte 0, bits 4..0
        maximum: int = u24(1)                          # bytes 1-3

An annotated field is a value of the frozen instance and a keyword of its constructor.  ``default``
is what it is when it is left out or when the bytes end before it: nothing but 0 or None.  A field
without default must be there.  `announced` and `constant` are fields without a value of their own.
Bytes that no field names are reserved: 0 when written, ignored when read, kept by `unnamed`.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Literal, Self, dataclass_transform

Order = Literal["big", "little"]


class Malformed(ValueError):
    """Bytes do not have the shape they should have; nothing else is raised when bytes are read."""


class LayoutError(TypeError):
    """The definition of a layout contradicts itself; raised when its class is made."""


class OpenEnum(enum.IntEnum):
    """Codes of which a device may know more than we do: an unknown one is a member without a name."""

    @classmethod
    def _missing_(cls, value: object) -> OpenEnum | None:
        if not isinstance(value, int) or value < 0:
            return None
        member = int.__new__(cls, value)
        member._name_ = f"UNKNOWN_{value:02X}"
        member._value_ = value
        return member

    @property
    def known(self) -> bool:
        """Whether the code has a name here."""
        return self.name in type(self).__members__


class _Shape(enum.Enum):
    UNSIGNED = enum.auto()
    SIGNED = enum.auto()
    RAW = enum.auto()
    ASCII = enum.auto()
    UNNAMED = enum.auto()        # every bit that no other field names


_NO_DEFAULT: Any = object()
_MISSING: Any = object()


@dataclasses.dataclass(frozen=True)
class Field:
    """Where a value stands: ``width`` bits from bit ``start``, counted from the highest bit of byte 0."""

    start: int
    width: int | None                           # None: all bytes to the end
    shape: _Shape = _Shape.UNSIGNED
    kind: Callable[[int], Any] = int            # makes the value from the number
    default: Any = _NO_DEFAULT
    order: Order = "big"
    after: int | None = None                    # an announced length: counts the bytes from this one on
    value: int | None = None                    # a constant

    @property
    def is_value(self) -> bool:
        """Whether an instance has a value for it."""
        return self.after is None and self.value is None

    def is_in(self, data: bytes | bytearray) -> bool:
        """Whether ``data`` reaches as far."""
        return self.width is None or self.start + self.width <= 8 * len(data)

    def read(self, data: bytes) -> Any:
        """The value in ``data``, or the mark that the bytes end before it."""
        if self.width is None:
            return data[self.start // 8 :]
        if not self.is_in(data):
            return _MISSING
        end = self.start + self.width
        last = (end + 7) // 8
        number = int.from_bytes(data[self.start // 8 : last], self.order)
        return self._value(number >> 8 * last - end & (1 << self.width) - 1)

    def _value(self, number: int) -> Any:
        width = self.width or 0
        match self.shape:
            case _Shape.SIGNED:
                return number - (1 << width) if number >> width - 1 else number
            case _Shape.RAW:
                return number.to_bytes(width // 8, "big")
            case _Shape.ASCII:
                data = number.to_bytes(width // 8, "big")
                return bytes(byte if byte < 0x80 else 0x3F for byte in data).decode("ascii").rstrip(" \0")
            case _:
                return self.kind(number)

    def number(self, value: Any) -> int:
        """``value`` as its bits.  Raises ValueError if it does not fit."""
        width = self.width or 0
        if self.shape in (_Shape.RAW, _Shape.ASCII):
            data = value.encode("ascii").ljust(width // 8) if self.shape is _Shape.ASCII else bytes(value)
            if len(data) != width // 8:
                raise ValueError(f"takes {width // 8} bytes, not {len(data)}")
            return int.from_bytes(data, "big")
        number = int(value)
        low = -(1 << width - 1) if self.shape is _Shape.SIGNED else 0
        if not low <= number < low + (1 << width):
            raise ValueError(f"{number} does not fit in {width} bits")
        return number & (1 << width) - 1

    def write(self, data: bytearray, value: Any) -> None:
        """Put ``value`` into ``data``, which reaches as far as the field."""
        if self.width is None:
            data[self.start // 8 :] = value
            return
        end = self.start + self.width
        first, last = self.start // 8, (end + 7) // 8
        shift = 8 * last - end
        rest = int.from_bytes(data[first:last], self.order) & ~((1 << self.width) - 1 << shift)
        data[first:last] = (rest | self.number(value) << shift).to_bytes(last - first, self.order)


# --- how fields are declared -----------------------------------------------------------------


def _field(offset: int, size: int, kind: Callable[[int], Any], default: Any, **more: Any) -> Any:
    return Field(8 * offset, 8 * size, kind=kind, default=default, **more)


def u8(offset: int, kind: Callable[[int], Any] = int, *, default: Any = _NO_DEFAULT) -> Any:
    """One byte; ``kind`` may be an enum."""
    return _field(offset, 1, kind, default)


def u16(
    offset: int, kind: Callable[[int], Any] = int, *, default: Any = _NO_DEFAULT, order: Order = "big"
) -> Any:
    """Two bytes."""
    return _field(offset, 2, kind, default, order=order)


def u24(offset: int, *, default: Any = _NO_DEFAULT, order: Order = "big") -> Any:
    """Three bytes."""
    return _field(offset, 3, int, default, order=order)


def u32(offset: int, *, default: Any = _NO_DEFAULT, order: Order = "big") -> Any:
    """Four bytes."""
    return _field(offset, 4, int, default, order=order)


def u64(offset: int, *, default: Any = _NO_DEFAULT, order: Order = "big") -> Any:
    """Eight bytes."""
    return _field(offset, 8, int, default, order=order)


def s24(offset: int, *, default: Any = _NO_DEFAULT, order: Order = "big") -> Any:
    """Three bytes, two's complement."""
    return _field(offset, 3, int, default, order=order, shape=_Shape.SIGNED)


def s32(offset: int, *, default: Any = _NO_DEFAULT, order: Order = "big") -> Any:
    """Four bytes, two's complement."""
    return _field(offset, 4, int, default, order=order, shape=_Shape.SIGNED)


def s64(offset: int, *, default: Any = _NO_DEFAULT, order: Order = "big") -> Any:
    """Eight bytes, two's complement."""
    return _field(offset, 8, int, default, order=order, shape=_Shape.SIGNED)


def bits(
    offset: int, high: int, low: int, kind: Callable[[int], Any] = int, *, default: Any = _NO_DEFAULT
) -> Any:
    """Bits ``high`` to ``low`` of byte ``offset``, numbered as the standard does: 7 is the highest."""
    if not 7 >= high >= low >= 0:
        raise LayoutError(f"byte {offset} has no bits {high}..{low}")
    return Field(8 * offset + 7 - high, high - low + 1, kind=kind, default=default)


def bit(offset: int, number: int, *, default: Any = _NO_DEFAULT) -> Any:
    """One bit of byte ``offset``, as a bool."""
    return bits(offset, number, number, bool, default=default)


def raw(offset: int, size: int | None = None, *, default: Any = _NO_DEFAULT) -> Any:
    """``size`` bytes as they are, or all to the end."""
    width = None if size is None else 8 * size
    return Field(8 * offset, width, _Shape.RAW, default=b"" if size is None else default)


def ascii(offset: int, size: int, *, default: Any = _NO_DEFAULT) -> Any:
    """``size`` characters, without the blanks and NULs behind them; "?" where there is no ASCII."""
    return Field(8 * offset, 8 * size, _Shape.ASCII, default=default)


def unnamed() -> Any:
    """The bytes as they were read, with every named bit 0: what a layout writes back unchanged."""
    return Field(0, None, _Shape.UNNAMED, default=b"")


def announced(offset: int, size: int, *, after: int) -> Any:
    """The count of the bytes from byte ``after`` on: what lies beyond is cut off; written, it is right."""
    return Field(8 * offset, 8 * size, after=after)


def constant(field: Any, value: int) -> Any:
    """A field that always has this value; other bytes are Malformed."""
    return dataclasses.replace(field, value=value, default=_NO_DEFAULT)


# --- layouts ---------------------------------------------------------------------------------


@dataclass_transform(
    kw_only_default=True,
    frozen_default=True,
    field_specifiers=(u8, u16, u24, u32, u64, s24, s32, s64, bits, bit, raw, ascii, unnamed),
)
class Layout:
    """Base of all layouts; ``size`` is the number of bytes that the fields may take."""

    byte_size: ClassVar[int] = 0
    fields: ClassVar[dict[str, Field]] = {}

    def __init_subclass__(cls, *, size: int | None = None) -> None:
        super().__init_subclass__()
        own = {name: member for name, member in vars(cls).items() if isinstance(member, Field)}
        cls.byte_size = cls.byte_size if size is None else size
        cls.fields = {**cls.fields, **own}
        _check(cls, own)
        for name, field in own.items():
            if not field.is_value:
                continue
            missing = dataclasses.MISSING if field.default is _NO_DEFAULT else field.default
            setattr(cls, name, dataclasses.field(default=missing))
        dataclasses.dataclass(frozen=True, kw_only=True)(cls)

    def __post_init__(self) -> None:
        for name, field in self._values():
            value = getattr(self, name)
            if field.width is not None and value is not None:
                try:
                    field.number(value)
                except (ValueError, TypeError) as exc:
                    raise ValueError(f"{type(self).__name__}.{name}: {exc}") from exc

    @classmethod
    def _values(cls) -> Iterator[tuple[str, Field]]:
        return ((name, field) for name, field in cls.fields.items() if field.is_value)

    @classmethod
    def length_of(cls, data: bytes) -> int | None:
        """How long the structure at the start of ``data`` says it is; None if its length is not there."""
        for field in cls.fields.values():
            if field.after is not None:
                length = field.read(data)
                return None if length is _MISSING else int(field.after + length)
        return cls.byte_size

    @classmethod
    def cut(cls, data: bytes) -> bytes:
        """``data`` up to its announced length."""
        announces = any(field.after is not None for field in cls.fields.values())
        return data[: cls.length_of(data)] if announces else data

    @classmethod
    def each(cls, data: bytes) -> Iterator[Self]:
        """The values that follow each other in ``data``; a last one that is cut short is left out.

        Raises Malformed as `from_bytes` does.
        """
        while (end := cls.length_of(data)) is not None and end <= len(data):
            yield cls.from_bytes(data[:end])
            data = data[end:]

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview) -> Self:
        """The value of ``data``, of which bytes may be missing at the end.

        Raises Malformed when a field is missing that has no default, or a constant is another.
        """
        data = cls.cut(bytes(data))
        values = {}
        for name, field in cls.fields.items():
            found = field.read(data)
            if field.value is not None and found != field.value:
                raise Malformed(f"{cls.__name__}: {name} is not {field.value:#x}: {data[:32].hex(' ')}")
            if not field.is_value:
                continue
            if field.shape is _Shape.UNNAMED:
                found = cls._unnamed(data)
            elif found is _MISSING:
                if field.default is _NO_DEFAULT:
                    raise Malformed(f"{cls.__name__}: no {name} in {len(data)} bytes: {data[:32].hex(' ')}")
                found = field.default
            values[name] = found
        return cls(**values)

    @classmethod
    def _unnamed(cls, data: bytes) -> bytes:
        rest = int.from_bytes(data, "big")
        for field in cls.fields.values():
            if field.width is not None and (shift := 8 * len(data) - field.start - field.width) >= 0:
                rest &= ~((1 << field.width) - 1 << shift)
        return rest.to_bytes(len(data), "big")

    def to_bytes(self) -> bytes:
        """The bytes: as many as were read if this keeps the unnamed ones, else as the layout has.

        Raises ValueError for a value that has no place in the bytes that were read.
        """
        data = self._blank()
        for name, field in self.fields.items():
            if field.after is None and field.shape is not _Shape.UNNAMED:
                self._put(data, name, field)
        for field in self.fields.values():
            if field.after is not None and field.is_in(data):
                field.write(data, max(0, len(data) - field.after))
        return bytes(data)

    def _blank(self) -> bytearray:
        for name, field in self.fields.items():
            if field.shape is _Shape.UNNAMED and (as_read := getattr(self, name)):
                return bytearray(as_read)
        return bytearray(self.byte_size)

    def _put(self, data: bytearray, name: str, field: Field) -> None:
        value = getattr(self, name) if field.value is None else field.value
        if field.is_in(data) and value is not None:
            field.write(data, value)
        elif value is not None and value != field.default:
            raise ValueError(f"{type(self).__name__}.{name} is not among the {len(data)} bytes as read")


def _check(cls: type[Layout], own: dict[str, Field]) -> None:
    """Hold every field against the size and against every other.  Raises LayoutError."""
    taken: dict[int, str] = {}
    for name, field in cls.fields.items():
        if field.width is None:
            continue
        for place in range(field.start, field.start + field.width):
            if place >= 8 * cls.byte_size:
                raise LayoutError(f"{cls.__name__}.{name} ends behind its {cls.byte_size} bytes")
            if place in taken:
                where = f"bit {7 - place % 8} of byte {place // 8}"
                raise LayoutError(f"{cls.__name__}: {name} and {taken[place]} both have {where}")
            taken[place] = name
    annotations = inspect.get_annotations(cls)
    for name, field in own.items():
        if hasattr(Layout, name):
            raise LayoutError(f"{cls.__name__}.{name}: every layout has something else of this name")
        annotated = name in annotations
        if annotated is not field.is_value:
            raise LayoutError(f"{cls.__name__}.{name}: values are annotated, constants and lengths are not")
        if field.default is not _NO_DEFAULT and field.default:
            raise LayoutError(f"{cls.__name__}.{name}: a default is 0 or None, not {field.default!r}")
        _check_kind(cls.__name__, name, field)


def _check_kind(layout: str, name: str, field: Field) -> None:
    if field.order == "little" and (field.start % 8 or (field.width or 0) % 8):
        raise LayoutError(f"{layout}.{name}: only whole bytes can be little-endian")
    if not isinstance(field.kind, type) or not issubclass(field.kind, enum.IntEnum) or field.width is None:
        return
    if max(field.kind) >> field.width:
        raise LayoutError(f"{layout}.{name}: {field.kind.__name__} does not fit in {field.width} bits")
    if not issubclass(field.kind, OpenEnum) and len(field.kind) < 1 << field.width:
        raise LayoutError(f"{layout}.{name}: {field.kind.__name__} names not all values and is no OpenEnum")
