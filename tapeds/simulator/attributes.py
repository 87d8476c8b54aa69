# SPDX-License-Identifier: LGPL-2.1-or-later
"""Medium auxiliary memory: the attributes of a cartridge.

Ref: [SPC-5] [IBM-LTO] for lengths.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from . import sense
from .fields import ascii_field, number
from .tape import OBJECT_OVERHEAD
from .unit import Unit

BINARY, ASCII, TEXT = 0, 1, 2
_READ_ONLY = 0x80
_ALL_ONES = (1 << 64) - 1
_MEMORY_BYTES = 16384
_MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute with its value."""

    identifier: int
    format: int
    value: bytes
    read_only: bool = True

    def record(self) -> bytes:
        """As READ ATTRIBUTE returns it."""
        flags = _READ_ONLY * self.read_only | self.format
        head = self.identifier.to_bytes(2, "big") + bytes([flags]) + len(self.value).to_bytes(2, "big")
        return head + self.value


HOST: Mapping[int, tuple[int, int]] = {
    0x0800: (8, ASCII),
    0x0801: (32, ASCII),
    0x0802: (8, ASCII),
    0x0803: (160, TEXT),
    0x0804: (12, ASCII),
    0x0805: (1, BINARY),
    0x0806: (32, ASCII),
    0x0807: (80, TEXT),
    0x0808: (160, TEXT),
    0x0809: (16, ASCII),
    0x080A: (16, ASCII),
    0x080B: (16, ASCII),
    0x080C: (1023, BINARY),
    0x0820: (36, BINARY),
    0x0821: (36, BINARY),
}
"""Host attributes: their length (080Ch: at most), and the format they are written in."""
_VARIABLE = 0x080C


def _counter(value: int, size: int = 8) -> bytes:
    return value.to_bytes(size, "big")


def remaining(unit: Unit) -> bytes:
    """How much can still be written, in MiB."""
    chip, tape = unit.cartridge.chip, unit.cartridge.tape
    used = tape.place(tape.count)[1] + OBJECT_OVERHEAD * tape.count
    return _counter(max(0, chip.capacity - used) // _MEBIBYTE)


def _memory_left(unit: Unit) -> bytes:
    held = sum(len(str(value)) // 2 + 5 for _, value in unit.cartridge.chip.attributes.values())
    return _counter(_MEMORY_BYTES - 4096 - held)


def _alerts(unit: Unit) -> bytes:
    return _counter(sum(1 << (64 - flag) for flag in unit.state.alerts))


def _drive(at: int) -> Callable[[Unit], bytes]:
    def last(unit: Unit) -> bytes:
        drives = unit.cartridge.chip.drives
        return ascii_field(drives[at] if at < len(drives) else "", 40)

    return last


_DEVICE: Mapping[int, tuple[int, Callable[[Unit], bytes]]] = {
    0x0000: (BINARY, remaining),
    0x0001: (BINARY, lambda unit: _counter(unit.cartridge.chip.capacity // _MEBIBYTE)),
    0x0002: (BINARY, _alerts),
    0x0003: (BINARY, lambda unit: _counter(unit.cartridge.chip.loads)),
    0x0004: (BINARY, _memory_left),
    0x0005: (ASCII, lambda _: ascii_field("LTO-CVE", 8)),
    0x0006: (BINARY, lambda unit: _counter(unit.cartridge.chip.density.code, 1)),
    0x0007: (BINARY, lambda unit: _counter(unit.cartridge.chip.formats, 2)),
    0x0009: (BINARY, lambda unit: _counter(unit.cartridge.chip.change_reference, 4)),
    0x020A: (ASCII, _drive(0)),
    0x020B: (ASCII, _drive(1)),
    0x020C: (ASCII, _drive(2)),
    0x020D: (ASCII, _drive(3)),
    0x0220: (BINARY, lambda u: _counter((u.cartridge.chip.written + u.state.mount.written) // _MEBIBYTE)),
    0x0221: (BINARY, lambda u: _counter((u.cartridge.chip.read + u.state.mount.read) // _MEBIBYTE)),
    0x0222: (BINARY, lambda unit: _counter(unit.state.mount.written // _MEBIBYTE)),
    0x0223: (BINARY, lambda unit: _counter(unit.state.mount.read // _MEBIBYTE)),
    0x0224: (BINARY, lambda _: _counter(_ALL_ONES)),
    0x0225: (BINARY, lambda _: _counter(_ALL_ONES)),
    0x0400: (ASCII, lambda _: ascii_field("TAPEDS", 8)),
    0x0401: (ASCII, lambda unit: ascii_field(unit.cartridge.chip.serial, 32)),
    0x0402: (BINARY, lambda unit: _counter(unit.cartridge.chip.density.metres, 4)),
    0x0403: (BINARY, lambda _: _counter(127, 4)),
    0x0404: (ASCII, lambda _: ascii_field("LTO-CVE", 8)),
    0x0405: (BINARY, lambda unit: _counter(unit.cartridge.chip.density.code, 1)),
    0x0406: (ASCII, lambda unit: ascii_field(unit.cartridge.chip.manufactured, 8)),
    0x0407: (BINARY, lambda _: _counter(_MEMORY_BYTES)),
    0x0408: (BINARY, lambda unit: _counter(0x80 if unit.cartridge.chip.worm else 0x00, 1)),
    0x0409: (BINARY, lambda _: _counter(0, 2)),
}


def present(unit: Unit) -> list[Attribute]:
    """All attributes that have a value, by identifier.  Raises Refusal if the memory cannot be read."""
    chip = unit.present().chip
    found = [Attribute(identifier, form, value(unit)) for identifier, (form, value) in _DEVICE.items()]
    for text, (form, value) in chip.attributes.items():
        found.append(Attribute(int(text, 16), int(form), bytes.fromhex(str(value)), read_only=False))
    return sorted(found, key=lambda each: each.identifier)


def supported() -> list[int]:
    """The identifiers of all attributes that there can be."""
    return sorted((*_DEVICE, *HOST))


def change(attributes: dict[str, list[str | int]], record: bytes, at: int) -> None:
    """Set or, without a value, delete one host attribute.  Raises Refusal; ``at`` is where it stood."""
    identifier, form, value = number(record, 0, 2), record[2], record[5:]
    if identifier not in HOST:
        raise sense.invalid_list(at)
    length, wanted = HOST[identifier]
    if form != wanted:
        raise sense.invalid_list(at + 2)
    if value and (len(value) > length if identifier == _VARIABLE else len(value) != length):
        raise sense.invalid_list(at + 3)
    key = f"{identifier:04x}"
    attributes.pop(key, None)
    if value:
        attributes[key] = [form, value.hex()]
