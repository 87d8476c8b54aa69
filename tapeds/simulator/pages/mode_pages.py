# SPDX-License-Identifier: LGPL-2.1-or-later
"""Mode pages: their defaults, which bits may be changed, and what the drive makes of them.

Ref: [SPC-5] and [SSC-5] for the pages, [IBM-LTO] for the values.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..fields import number
from ..unit import Unit

CURRENT, CHANGEABLE, DEFAULT, SAVED = range(4)
_SUBPAGE_FORMAT = 0x40
_WORM = 0x01


@dataclass(frozen=True, slots=True)
class Page:
    """One page: what stands behind its head by default, and a one for every bit that may be changed."""

    code: int
    subpage: int
    default: bytes
    changeable: bytes

    @property
    def key(self) -> str:
        """Its name in the drive's state."""
        return f"{self.code:02x}/{self.subpage:02x}"

    def head(self) -> bytes:
        """Page code and length, in the long format if it is a subpage."""
        if self.subpage:
            code = self.code | _SUBPAGE_FORMAT
            return bytes((code, self.subpage)) + len(self.default).to_bytes(2, "big")
        return bytes((self.code, len(self.default)))


def _page(code: int, subpage: int, default: str, changeable: dict[int, int]) -> Page:
    """``default`` in hexadecimal; ``changeable`` by byte of the page, as the standard counts them."""
    body = bytes.fromhex(default)
    head = 4 if subpage else 2
    mask = bytearray(len(body))
    for at, bits in changeable.items():
        mask[at - head] = bits
    return Page(code, subpage, body, bytes(mask))


PAGES: tuple[Page, ...] = (
    # Read-Write Error Recovery
    _page(0x01, 0, "00 00 00 00 00 00 00 00 00 00", {}),
    # Disconnect-Reconnect
    _page(0x02, 0, "00 00 00 00 00 00 00 00 00 00 00 00 00 00", {}),
    # Control: D_SENSE chooses descriptor format sense data
    _page(0x0A, 0, "00 00 00 00 00 00 00 00 00 00", {2: 0x04}),
    # Data Compression: DCE; DCC says it can, DDE cannot be turned off
    _page(0x0F, 0, "c0 80 00000001 00000001 00000000", {2: 0x80}),
    # Device Configuration: write delay; BIS; EEG, SEW; SWP may be set
    _page(0x10, 0, "00 00 00 00 00c8 40 00 18 000000 01 00", {6: 0xFF, 7: 0xFF, 10: 0x04}),
    # Device Configuration Extension: the size of programmable early warning, in MB
    _page(0x10, 1, "00 00 0000" + "00" * 24, {6: 0xFF, 7: 0xFF}),
    # Medium Partition: one partition, recognised by format and partition count
    _page(0x11, 0, "00 00 00 03 00 00 0000", {}),
    # Informational Exceptions Control: TapeAlert by polling only
    _page(0x1C, 0, "08 00 00000000 00000000", {}),
    # Medium Configuration: WORM mode of the loaded medium
    _page(0x1D, 0, "00 00 00 00" + "00" * 26, {}),
)


def value(unit: Unit, page: Page, control: int) -> bytes:
    """The page as MODE SENSE returns it for one page control."""
    if control == CHANGEABLE:
        body = page.changeable
    elif control == DEFAULT:
        body = page.default
    else:
        body = bytes.fromhex(unit.state.pages.get(page.key, page.default.hex()))
    if page.code == 0x1D and control != CHANGEABLE and (chip := unit.chip()) is not None:
        body = bytes([body[0] | _WORM * chip.worm]) + body[1:]
    return page.head() + body


def find(code: int, subpage: int) -> Page | None:
    """The page of that code."""
    return next((page for page in PAGES if (page.code, page.subpage) == (code, subpage)), None)


def _current(unit: Unit, code: int, subpage: int = 0) -> bytes:
    page = find(code, subpage)
    if page is None:
        raise AssertionError(f"mode page {code:02X}h is not in the table")
    return value(unit, page, CURRENT)


def descriptor_sense(unit: Unit) -> bool:
    """D_SENSE: whether sense data are in descriptor format."""
    return bool(_current(unit, 0x0A)[2] & 0x04)


def compression(unit: Unit) -> bool:
    """DCE: whether data are compressed."""
    return bool(_current(unit, 0x0F)[2] & 0x80)


def software_write_protect(unit: Unit) -> bool:
    """SWP: whether writing is forbidden by the host."""
    return bool(_current(unit, 0x10)[10] & 0x04)


def programmable_early_warning(unit: Unit) -> int:
    """PEWS: how far before early warning it is told, in MB; 0 is never."""
    return number(_current(unit, 0x10, 1), 6, 2)
