# SPDX-License-Identifier: LGPL-2.1-or-later
"""LOG SENSE.

Ref: [SPC-5].
"""

from __future__ import annotations

from .. import sense
from ..pages.log_pages import PAGES
from ..request import Access, Request, Row
from ..sense import Answer
from ..unit import Unit

_CUMULATIVE = 1
_ALL_SUBPAGES = 0xFF
_SUBPAGE_FORMAT = 0x40


def _log_sense(unit: Unit, request: Request) -> Answer:
    code, subpage, pointer = request.cdb[2] & 0x3F, request.cdb[3], request.number(5, 2)
    if request.cdb[2] >> 6 != _CUMULATIVE:
        raise sense.invalid_cdb(2, 7)  # there are no thresholds and no defaults
    if code == 0 and subpage in (0, _ALL_SUBPAGES):
        if pointer:
            raise sense.invalid_cdb(5)
        return _answer(request, _supported(subpage))
    if subpage:
        raise sense.invalid_cdb(3)
    if code not in PAGES:
        raise sense.invalid_cdb(2, 5)
    found = [each for each in PAGES[code](unit) if int.from_bytes(each[:2], "big") >= pointer]
    if not found:
        raise sense.invalid_cdb(5)
    body = b"".join(found)
    return _answer(request, bytes((code, 0)) + len(body).to_bytes(2, "big") + body)


def _supported(subpage: int) -> bytes:
    codes = sorted((0, *PAGES))
    if subpage:
        body = bytes((0, 0, 0, _ALL_SUBPAGES)) + b"".join(bytes((code, 0)) for code in codes if code)
        return bytes((_SUBPAGE_FORMAT, subpage)) + len(body).to_bytes(2, "big") + body
    return bytes((0, 0)) + len(codes).to_bytes(2, "big") + bytes(codes)


def _answer(request: Request, data: bytes) -> Answer:
    return Answer(data[: request.number(7, 2)])


ROWS = (
    Row("LOG SENSE", bytes.fromhex("4d 00 ff ff 00 ff ff ff ff 00"), Access.QUESTION, _log_sense, "question"),
)
