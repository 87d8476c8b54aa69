# SPDX-License-Identifier: LGPL-2.1-or-later
"""MODE SENSE and MODE SELECT, of 6 and of 10 bytes.

Ref: [SPC-5] [SSC-5].
"""

from __future__ import annotations

from .. import attention, sense
from ..fields import number
from ..pages import mode_pages
from ..pages.mode_pages import PAGES, SAVED, Page
from ..request import Access, Request, Row
from ..sense import Answer
from ..unit import Unit

_ALL = 0x3F
_ALL_SUBPAGES = 0xFF
_WRITE_PROTECT = 0x80
_WORM_TYPE = 0x0C
_DESCRIPTOR = 8
_NO_CHANGE = 0x7F
"""The density code that leaves the density as it is."""


def _sense_pages(unit: Unit, request: Request, head: int) -> Answer:
    code, subpage, control = request.cdb[2] & 0x3F, request.cdb[3], request.cdb[2] >> 6
    if control == SAVED:
        raise sense.saving_not_supported()
    wanted = [page for page in PAGES if _asked(page, code, subpage)]
    if not wanted:
        raise sense.invalid_cdb(3 if any(page.code == code for page in PAGES) else 2)
    descriptor = b"" if request.flag(1, 3) else _block_descriptor(unit)
    body = descriptor + b"".join(mode_pages.value(unit, page, control) for page in wanted)
    data = _header(unit, head, len(descriptor), len(body)) + body
    allocation = request.cdb[4] if head == 4 else request.number(7, 2)
    return Answer(data[:allocation])


def _asked(page: Page, code: int, subpage: int) -> bool:
    if code not in (page.code, _ALL):
        return False
    return subpage in (page.subpage, _ALL_SUBPAGES)


def _block_descriptor(unit: Unit) -> bytes:
    chip = unit.chip()
    density = chip.density.code if chip is not None else 0
    return bytes((density, 0, 0, 0, 0)) + unit.state.block_length.to_bytes(3, "big")


def _header(unit: Unit, head: int, descriptor: int, body: int) -> bytes:
    medium = specific = 0
    if (chip := unit.chip()) is not None:
        medium = chip.density.cartridge_type & 0xF0 | (_WORM_TYPE if chip.worm else 0x08)
        specific = _WRITE_PROTECT * chip.write_protected
    specific |= unit.state.buffered << 4
    if head == 4:
        return bytes((min(255, head - 1 + body), medium, specific, descriptor))
    length = (head - 2 + body).to_bytes(2, "big")
    return length + bytes((medium, specific, 0, 0)) + descriptor.to_bytes(2, "big")


def _sense_6(unit: Unit, request: Request) -> Answer:
    return _sense_pages(unit, request, 4)


def _sense_10(unit: Unit, request: Request) -> Answer:
    return _sense_pages(unit, request, 8)


def _select_6(unit: Unit, request: Request) -> Answer:
    return _select(unit, request, 4, request.cdb[4])


def _select_10(unit: Unit, request: Request) -> Answer:
    return _select(unit, request, 8, request.number(7, 2))


def _select(unit: Unit, request: Request, head: int, length: int) -> Answer:
    if not request.flag(1, 4):
        raise sense.invalid_cdb(1, 4)  # PF: the pages have the standard's format
    if not length:
        return Answer()
    data = bytes(request.parameters(length))
    if length < head:
        raise sense.list_length_error()
    descriptor = data[3] if head == 4 else number(data, 6, 2)
    buffered = _check_header(data, head)
    if descriptor not in (0, _DESCRIPTOR):
        raise sense.invalid_list(3 if head == 4 else 6)
    if length < head + descriptor:
        raise sense.list_length_error()
    block_length = unit.state.block_length
    if descriptor:
        block_length = _check_descriptor(unit, data, head)
    pages, at = {}, head + descriptor
    while at < length:
        page, end = _check_page(unit, data, at)
        pages[page.key] = data[at + len(page.head()) : end].hex()
        at = end
    # Everything was in order: only now something changes.
    if (pages, buffered, block_length) != ({}, unit.state.buffered, unit.state.block_length):
        attention.raise_for_all(unit.state, attention.MODE_CHANGED, but=request.nexus)
    unit.state.pages.update(pages)
    unit.state.buffered, unit.state.block_length = buffered, block_length
    return Answer(taken=length)


def _check_header(data: bytes, head: int) -> int:
    """The buffered mode of a parameter list; mode data length is reserved, write protect is ignored."""
    sizes, specific = ((0,), 2) if head == 4 else ((0, 1), 3)
    for at in sizes:
        if data[at]:
            raise sense.invalid_list(at)
    reserved = () if head == 4 else (4, 5)
    for at in reserved:
        if data[at]:
            raise sense.invalid_list(at)
    if data[specific] & 0x0F:
        raise sense.invalid_list(specific, 3)  # one speed, the drive's own
    buffered = data[specific] >> 4 & 0x07
    if buffered > 1:
        raise sense.invalid_list(specific, 6)
    return buffered


def _check_descriptor(unit: Unit, data: bytes, at: int) -> int:
    """The block length of a block descriptor."""
    chip = unit.chip()
    if data[at] not in (0, _NO_CHANGE, chip.density.code if chip is not None else 0):
        raise sense.invalid_list(at)
    if number(data, at + 1, 3):
        raise sense.invalid_list(at + 1)
    if data[at + 4]:
        raise sense.invalid_list(at + 4)
    length = number(data, at + 5, 3)
    if length > unit.settings.largest_block:
        raise sense.invalid_list(at + 5)
    return length


def _check_page(unit: Unit, data: bytes, at: int) -> tuple[Page, int]:
    """The page that stands at ``at``, and where it ends."""
    long_format = bool(data[at] & 0x40)
    if at + (4 if long_format else 2) > len(data):
        raise sense.list_length_error()
    if data[at] & 0x80:
        raise sense.invalid_list(at, 7)  # PS is reserved here
    page = mode_pages.find(data[at] & 0x3F, data[at + 1] if long_format else 0)
    if page is None:
        raise sense.invalid_list(at)
    head = page.head()
    if data[at : at + len(head)] != head:
        raise sense.invalid_list(at + len(head) - 1)
    end = at + len(head) + len(page.default)
    if end > len(data):
        raise sense.list_length_error()
    now = mode_pages.value(unit, page, mode_pages.CURRENT)
    for n, may in enumerate(page.changeable, len(head)):
        if wrong := (data[at + n] ^ now[n]) & ~may:
            raise sense.invalid_list(at + n, wrong.bit_length() - 1)
    return page, end


ROWS = (
    Row("MODE SELECT(6)", bytes.fromhex("15 10 00 00 ff 00"), Access.QUESTION, _select_6, "question"),
    Row("MODE SENSE(6)", bytes.fromhex("1a 08 ff ff ff 00"), Access.QUESTION, _sense_6, "question"),
    Row(
        "MODE SELECT(10)",
        bytes.fromhex("55 10 00 00 00 00 00 ff ff 00"),
        Access.QUESTION,
        _select_10,
        "question",
    ),
    Row(
        "MODE SENSE(10)",
        bytes.fromhex("5a 08 ff ff 00 00 00 ff ff 00"),
        Access.QUESTION,
        _sense_10,
        "question",
    ),
)
