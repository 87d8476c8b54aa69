# SPDX-License-Identifier: LGPL-2.1-or-later
"""The commands that the drive knows, and how a CDB finds its row."""

from __future__ import annotations

from . import sense
from .commands import attribute, block, density, inquiry, log, medium, mode, opcodes, position, unit_commands
from .request import Row

_OTHERS = (unit_commands, inquiry, block, position, medium, mode, log, density, attribute)
ROWS: tuple[Row, ...] = tuple(
    sorted(
        (*(row for family in _OTHERS for row in family.ROWS), *opcodes.rows_of(lambda: ROWS)),
        key=lambda row: (row.opcode, row.action or 0),
    )
)

_BY_OPCODE = {row.opcode: tuple(each for each in ROWS if each.opcode == row.opcode) for row in ROWS}


def find(cdb: bytes) -> Row:
    """The row of a command.  Raises Refusal if the drive does not know it."""
    rows = _BY_OPCODE.get(cdb[0], ())
    if not rows:
        raise sense.invalid_opcode()
    action = cdb[1] & 0x1F if len(cdb) > 1 else 0
    for row in rows:
        if row.action in (None, action):
            return row
    raise sense.invalid_cdb(1, 4)
