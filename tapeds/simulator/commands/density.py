# SPDX-License-Identifier: LGPL-2.1-or-later
"""REPORT DENSITY SUPPORT: what the drive, or the loaded medium, can hold.

Ref: [SSC-5].
"""

from __future__ import annotations

from .. import sense
from ..fields import ascii_field, store
from ..generation import Density
from ..request import Access, Request, Row
from ..sense import Answer
from ..unit import Unit

WIDTH = 127
"""Of the tape, in tenths of a millimetre."""
_WRITABLE, _DEFAULT = 0x80, 0x20


def descriptor(density: Density, *, default: bool) -> bytes:
    """One density support data block descriptor, 52 bytes."""
    out = bytearray(52)
    out[0] = out[1] = density.code
    out[2] = _WRITABLE | _DEFAULT * default
    store(out, 5, 3, density.bits_per_mm)
    store(out, 8, 2, WIDTH)
    store(out, 10, 2, density.tracks)
    store(out, 12, 4, density.megabytes)
    out[16:24] = ascii_field("LTO-CVE", 8)
    out[24:32] = ascii_field(density.name, 8)
    out[32:52] = ascii_field(density.description, 20)
    return bytes(out)


def _report(unit: Unit, request: Request) -> Answer:
    if request.flag(1, 1):
        raise sense.invalid_cdb(1, 1)  # MEDIUM TYPE descriptors are not kept
    if request.flag(1, 0):
        densities: tuple[Density, ...] = (unit.ready().chip.density,)
    else:
        densities = unit.generation.densities
    body = b"".join(descriptor(each, default=each is unit.generation.density) for each in densities)
    data = (len(body) + 2).to_bytes(2, "big") + bytes(2) + body
    return Answer(data[: request.number(7, 2)])


ROWS = (
    Row(
        "REPORT DENSITY SUPPORT",
        bytes.fromhex("44 03 00 00 00 00 00 ff ff 00"),
        Access.QUESTION,
        _report,
        "question",
    ),
)
