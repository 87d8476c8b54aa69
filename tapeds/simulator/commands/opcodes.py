# SPDX-License-Identifier: LGPL-2.1-or-later
"""REPORT SUPPORTED OPERATION CODES: the table of commands, as the drive publishes it.

Ref: [SPC-5].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .. import sense
from ..request import Access, Request, Row
from ..sense import Answer
from ..unit import Unit

_ONE_OPCODE, _ONE_ACTION, _EITHER = 1, 2, 3
_TIMEOUTS_PRESENT, _ACTION_VALID = 0x02, 0x01
_NOT_SUPPORTED, _SUPPORTED = 0x01, 0x03
_ONE_TIMEOUTS_PRESENT = 0x80


def _timeouts(unit: Unit, row: Row) -> bytes:
    recommended = unit.generation.timeouts[row.timeout]
    # Nominal: what an undisturbed command takes at most, here a quarter of the recommended time.
    return b"\x00\x0a\x00\x00" + (recommended // 4).to_bytes(4, "big") + recommended.to_bytes(4, "big")


def _all(unit: Unit, rows: Sequence[Row], *, timeouts: bool) -> bytes:
    out = bytearray()
    for row in rows:
        flags = _TIMEOUTS_PRESENT * timeouts | _ACTION_VALID * (row.action is not None)
        out += bytes((row.opcode, 0)) + (row.action or 0).to_bytes(2, "big")
        out += bytes((0, flags)) + len(row.usage).to_bytes(2, "big")
        if timeouts:
            out += _timeouts(unit, row)
    return len(out).to_bytes(4, "big") + bytes(out)


def _one(unit: Unit, row: Row | None, *, timeouts: bool) -> bytes:
    if row is None:
        return bytes((0, _NOT_SUPPORTED, 0, 0))
    head = bytes((0, _SUPPORTED | _ONE_TIMEOUTS_PRESENT * timeouts)) + len(row.usage).to_bytes(2, "big")
    usage = bytearray(row.usage)
    if row.action is not None:
        usage[1] = usage[1] & ~0x1F | row.action
    return head + bytes(usage) + (_timeouts(unit, row) if timeouts else b"")


def rows_of(table: Callable[[], Sequence[Row]]) -> tuple[Row, ...]:
    """The row of the command itself; ``table`` gives all rows once they are there."""

    def report(unit: Unit, request: Request) -> Answer:
        option, opcode, action = request.cdb[2] & 0x07, request.cdb[3], request.number(4, 2)
        timeouts, allocation = request.flag(2, 7), request.number(6, 4)
        if option == 0:
            return Answer(_all(unit, table(), timeouts=timeouts)[:allocation])
        if option > _EITHER:
            raise sense.invalid_cdb(2, 2)
        same = [row for row in table() if row.opcode == opcode]
        acts = any(row.action is not None for row in same)
        if same and ((option == _ONE_OPCODE and acts) or (option == _ONE_ACTION and not acts)):
            raise sense.invalid_cdb(2, 2)
        found = next((row for row in same if row.action in (None, action)), None)
        return Answer(_one(unit, found, timeouts=timeouts)[:allocation])

    usage = bytes.fromhex("a3 1f 87 ff ff ff ff ff ff ff 00 00")
    return (Row("REPORT SUPPORTED OPERATION CODES", usage, Access.QUESTION, report, "question", action=0x0C),)
