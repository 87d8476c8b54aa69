# SPDX-License-Identifier: LGPL-2.1-or-later
"""INQUIRY: standard data and vital product data.

Ref: [SPC-5] INQUIRY, [SSC-5] VPD pages B0h to B2h.
"""

from __future__ import annotations

from collections.abc import Callable

from .. import sense
from ..fields import ascii_field
from ..request import Access, Request, Row
from ..sense import Answer
from ..unit import Unit

_SEQUENTIAL_ACCESS = 0x01
_REMOVABLE = 0x80
_SPC4, _FORMAT = 0x06, 0x02
_COMMAND_QUEUE = 0x02
_VERSIONS = (0x00A0, 0x0460, 0x0520)
"""Version descriptors: SAM-5, SPC-4, SSC-4."""
ALERTS = 64


def product(unit: Unit) -> str:
    """The product identification."""
    return unit.settings.product or f"ULTRIUM-TD{unit.generation.digit}"


def _standard(unit: Unit) -> bytes:
    out = bytearray(96)
    out[0:4] = bytes((_SEQUENTIAL_ACCESS, _REMOVABLE, _SPC4, _FORMAT))
    out[4] = len(out) - 5
    out[7] = _COMMAND_QUEUE if unit.settings.queue_depth > 1 else 0
    out[8:16] = ascii_field(unit.settings.vendor, 8)
    out[16:32] = ascii_field(product(unit), 16)
    out[32:36] = ascii_field(unit.settings.revision, 4)
    for at, version in enumerate(_VERSIONS):
        out[58 + 2 * at : 60 + 2 * at] = version.to_bytes(2, "big")
    return bytes(out)


def _serial(unit: Unit) -> bytes:
    return unit.state.serial.encode("ascii")


def _designators(unit: Unit) -> bytes:
    identification = ascii_field(unit.settings.vendor, 8) + ascii_field(product(unit), 16) + _serial(unit)
    # NAA 3h: assigned by who set the drive up, as a simulated one has no company identifier.
    locally = (0x3 << 60 | int.from_bytes(_serial(unit)[-7:], "big")).to_bytes(8, "big")
    return b"\x02\x01\x00" + bytes([len(identification)]) + identification + b"\x01\x03\x00\x08" + locally


def _worm(_: Unit) -> bytes:
    return b"\x01\x00"  # WORM media are supported, tape stream mirroring is not


def _supported_alerts(_: Unit) -> bytes:
    return b"\xff" * (ALERTS // 8)


_PAGES: dict[int, Callable[[Unit], bytes]] = {
    0x00: lambda _: bytes(sorted(_PAGES)),
    0x80: _serial,
    0x83: _designators,
    0xB0: _worm,
    0xB1: _serial,
    0xB2: _supported_alerts,
}


def _inquiry(unit: Unit, request: Request) -> Answer:
    page, allocation = request.cdb[2], request.number(3, 2)
    if not request.flag(1, 0):
        if page:
            raise sense.invalid_cdb(2)
        return Answer(_standard(unit)[:allocation])
    if page not in _PAGES:
        raise sense.invalid_cdb(2)
    body = _PAGES[page](unit)
    return Answer((bytes((_SEQUENTIAL_ACCESS, page)) + len(body).to_bytes(2, "big") + body)[:allocation])


ROWS = (Row("INQUIRY", bytes.fromhex("12 01 ff ff ff 00"), Access.ALWAYS, _inquiry, "question"),)
