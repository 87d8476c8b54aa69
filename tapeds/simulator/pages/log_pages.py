# SPDX-License-Identifier: LGPL-2.1-or-later
"""Log pages: counters of the drive and of the loaded medium, what it does, TapeAlert.

Ref: [SPC-5] [SSC-5] [ADC-4] for page 11h.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .. import attributes, state
from ..fields import ascii_field
from ..generation import MEGABYTE
from ..tape import OBJECT_OVERHEAD
from ..unit import Unit
from ..zones import zones_of
from . import mode_pages

Parameters = list[bytes]
_COUNTER, _BINARY, _ASCII = 0x02, 0x03, 0x01
"""Parameter control bytes: a bounded counter that is not saved, and lists of two kinds."""
ALERTS = 64
_POLLING_MS = 2000


def parameter(code: int, value: bytes, control: int = _BINARY) -> bytes:
    """One log parameter.  Ref: [SPC-5]."""
    return code.to_bytes(2, "big") + bytes((control, len(value))) + value


def _count(code: int, value: int, size: int = 8) -> bytes:
    return parameter(code, min(value, (1 << 8 * size) - 1).to_bytes(size, "big"))


def _errors(unit: Unit, count: int, moved: int) -> Parameters:
    codes = {0x0000: 0, 0x0001: 0, 0x0002: 0, 0x0003: 0, 0x0004: 0, 0x0005: moved, 0x0006: count}
    return [_count(code, number, 8 if code == 5 else 4) for code, number in codes.items()]


def _write_errors(unit: Unit) -> Parameters:
    return _errors(unit, unit.state.mount.write_errors, unit.state.mount.written)


def _read_errors(unit: Unit) -> Parameters:
    return _errors(unit, unit.state.mount.read_errors, unit.state.mount.read)


def _sequential_access(unit: Unit) -> Parameters:
    mount, chip = unit.state.mount, unit.chip()
    end = chip.capacity if chip is not None else 0
    early = zones_of(unit).early if chip is not None else 0
    at = unit.used if chip is not None else 0
    return [
        _count(0x0000, mount.written + unit.state.ring.bytes),
        _count(0x0001, mount.written),
        _count(0x0002, mount.read),
        _count(0x0003, mount.read),
        _count(0x0004, end // MEGABYTE, 4),
        _count(0x0005, early // MEGABYTE, 4),
        _count(0x0006, (end - early) // MEGABYTE, 4),
        _count(0x0007, at // MEGABYTE, 4),
        _count(0x0008, unit.buffer.size // MEGABYTE, 4),
        _count(0x0100, 1 if unit.state.cleaning > 1 else 0),
    ]


def _device_status(unit: Unit) -> Parameters:
    """The very high frequency data: what is inside, what it does, whether it wants to be cleaned."""
    now, chip = unit.state, unit.chip()
    inside = bool(now.cartridge) and now.place != state.MOUTH
    protected = chip is not None and chip.write_protected
    first = (
        0x01  # DINIT: what stands here counts
        | 0x02 * (now.cleaning > 1)  # CRQRD
        | 0x04 * (now.cleaning == 1)  # CRQST
        | 0x08 * protected  # WRTP
        | 0x10 * mode_pages.compression(unit)  # CMPR
        | 0x20 * inside  # MACC
        | 0x80 * bool(now.prevented)  # PAMR
    )
    going = now.under_way
    second = (
        0x80 * (going is not None)  # INXTN
        | 0x20 * (now.place == state.MOUTH)  # RAA
        | 0x10 * bool(now.cartridge)  # MPRSNT
        | 0x04 * inside  # MSTD
        | 0x02 * (now.place == state.THREADED)  # MTHRD
        | 0x01 * (chip is not None)  # MOUNTED
    )
    activity = going.activity if going is not None else state.WRITING if now.motion.moving else state.NONE
    status = bytes((first, second, activity, 0x01 * bool(now.unread)))  # TAFC
    return [parameter(0x0000, status), parameter(0x0001, _POLLING_MS.to_bytes(2, "big"))]


def _alert_response(unit: Unit) -> Parameters:
    flags = sum(1 << (ALERTS - flag) for flag in unit.state.alerts)
    return [parameter(0x0000, flags.to_bytes(8, "big"))]


def _alerts(unit: Unit) -> Parameters:
    """Reading them clears them until their reason comes again."""
    found = [parameter(flag, bytes([flag in unit.state.unread])) for flag in range(1, ALERTS + 1)]
    unit.state.unread.clear()
    return found


def _volume_statistics(unit: Unit) -> Parameters:
    chip, mount = unit.chip(), unit.state.mount
    if chip is None:
        return [_count(0x0000, 0, 1)]
    tape = unit.cartridge.tape
    used = tape.place(tape.count)[1] + OBJECT_OVERHEAD * tape.count
    ready = int(1000 * max(0.0, mount.ready - mount.began))
    return [
        _count(0x0000, 1, 1),
        _count(0x0001, chip.loads, 4),
        _count(0x0002, (chip.written + mount.written) // (5 * MEGABYTE)),
        _count(0x0003, 0, 4),
        _count(0x0004, mount.write_errors, 2),
        _count(0x0005, 0, 2),
        _count(0x0006, 0, 2),
        _count(0x0007, (chip.read + mount.read) // (5 * MEGABYTE)),
        _count(0x0008, 0, 4),
        _count(0x0009, mount.read_errors, 2),
        _count(0x000C, mount.write_errors, 2),
        _count(0x000D, mount.read_errors, 2),
        _count(0x000E, mount.written // MEGABYTE, 4),
        _count(0x000F, mount.read // MEGABYTE, 4),
        _count(0x0010, (chip.written + mount.written) // MEGABYTE),
        _count(0x0011, (chip.read + mount.read) // MEGABYTE),
        _count(0x0012, 100, 2),
        _count(0x0013, 100, 2),
        _count(0x0014, ready),
        _count(0x0015, ready),
        _count(0x0016, chip.capacity // MEGABYTE, 4),
        _count(0x0017, used // MEGABYTE, 4),
        parameter(0x0040, ascii_field(chip.serial, 32), _ASCII),
        parameter(0x0041, ascii_field("", 8), _ASCII),
        parameter(0x0042, _barcode(unit), _ASCII),
        parameter(0x0043, ascii_field("TAPEDS", 8), _ASCII),
        parameter(0x0044, ascii_field(f"U-{chip.density.name[2]}", 4), _ASCII),
        parameter(0x0045, ascii_field(f"Ultrium-{unit.generation.digit}", 9), _ASCII),
        _count(0x0080, int(chip.write_protected), 1),
        _count(0x0081, int(chip.worm), 1),
        _count(0x0082, 0, 1),
        _count(0x0101, 2 * chip.loads, 4),
        _count(0x0102, chip.loads, 4),
        _partition(0x0202, chip.capacity),
        _partition(0x0203, used),
        _partition(0x0204, chip.capacity - used),
    ]


def _barcode(unit: Unit) -> bytes:
    held = unit.cartridge.chip.attributes.get("0806")
    return bytes.fromhex(str(held[1])) if held else ascii_field("", 32)


def _partition(code: int, value: int) -> bytes:
    """A record of the one partition: its length behind itself, its number, megabytes."""
    return parameter(code, b"\x07\x00\x00\x00" + (value // MEGABYTE).to_bytes(4, "big"))


def _capacity(unit: Unit) -> Parameters:
    """What is left of the one partition and of another, and how much they can hold, in MiB."""
    chip = unit.chip()
    whole = chip.capacity >> 20 if chip is not None else 0
    left = int.from_bytes(attributes.remaining(unit), "big") if chip is not None else 0
    return [_count(code, value, 4) for code, value in ((1, left), (2, 0), (3, whole), (4, 0))]


PAGES: Mapping[int, Callable[[Unit], Parameters]] = {
    0x02: _write_errors,
    0x03: _read_errors,
    0x0C: _sequential_access,
    0x11: _device_status,
    0x12: _alert_response,
    0x17: _volume_statistics,
    0x2E: _alerts,
    0x31: _capacity,
}
"""All but page 00h, which lists them."""
