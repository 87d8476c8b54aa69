# SPDX-License-Identifier: LGPL-2.1-or-later
"""TEST UNIT READY, REQUEST SENSE, PREVENT ALLOW MEDIUM REMOVAL, REPORT LUNS.

Ref: [SPC-5].
"""

from __future__ import annotations

from .. import attention, sense, state
from ..request import Access, Request, Row
from ..sense import Answer, Refusal, Sense
from ..unit import Unit

_IN_PROGRESS = {state.ERASING: 0x18, state.LOCATING: 0x19, state.REWINDING: 0x1A}
"""Additional sense code qualifiers of ASC 00h: ERASE, LOCATE, REWIND OPERATION IN PROGRESS."""
_NOTHING = Sense(sense.NO_SENSE, 0x00, 0x00)


def _test_unit_ready(unit: Unit, _: Request) -> Answer:
    unit.ready()
    return Answer()


def _request_sense(unit: Unit, request: Request) -> Answer:
    found = attention.take(unit.state, request.nexus) or _condition(unit)
    data = found.descriptor() if request.flag(1, 0) else found.fixed()
    return Answer(data[: request.number(4, 1)])


def _condition(unit: Unit) -> Sense:
    """What is the matter with the drive now."""
    if (late := unit.overdue()) is not None:
        return late
    going = unit.state.under_way
    try:
        unit.ready()
    except Refusal as refused:
        found = refused.sense
        if going is not None and (found.asc, found.ascq) == (0x04, 0x07):
            return Sense(
                sense.NO_SENSE, 0x00, _IN_PROGRESS.get(going.activity, 0x16), progress=found.progress
            )
        return found
    return Sense(sense.NO_SENSE, 0x00, 0x17) if unit.state.cleaning else _NOTHING


def _prevent_allow(unit: Unit, request: Request) -> Answer:
    wanted = request.cdb[4]
    if wanted > 1:
        raise sense.invalid_cdb(4, 1)
    prevented = unit.state.prevented
    if wanted and request.nexus not in prevented:
        prevented.append(request.nexus)
    elif not wanted and request.nexus in prevented:
        prevented.remove(request.nexus)
    return Answer()


def _report_luns(_: Unit, request: Request) -> Answer:
    if request.cdb[2] > 2:
        raise sense.invalid_cdb(2)
    if request.number(6, 4) < 16:
        raise sense.invalid_cdb(6)
    # SELECT REPORT 01h asks for well-known logical units, of which there are none.
    units = b"" if request.cdb[2] == 1 else bytes(8)
    return Answer((len(units).to_bytes(4, "big") + bytes(4) + units)[: request.number(6, 4)])


ROWS = (
    Row("TEST UNIT READY", bytes.fromhex("00 00 00 00 00 00"), Access.OWN, _test_unit_ready, "question"),
    Row("REQUEST SENSE", bytes.fromhex("03 01 00 00 ff 00"), Access.ALWAYS, _request_sense, "question"),
    Row(
        "PREVENT ALLOW MEDIUM REMOVAL",
        bytes.fromhex("1e 00 00 00 03 00"),
        Access.QUESTION,
        _prevent_allow,
        "question",
    ),
    Row(
        "REPORT LUNS",
        bytes.fromhex("a0 00 ff 00 00 00 ff ff ff ff 00 00"),
        Access.ALWAYS,
        _report_luns,
        "question",
    ),
)
