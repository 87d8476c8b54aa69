# SPDX-License-Identifier: LGPL-2.1-or-later
"""Unit attentions: what each nexus is told before its next command is carried out.

A nexus is the way from one initiator port to the drive.  All openers of one host share theirs:
who asks first takes what was meant for all of them.  Ref: [SAM-6] unit attention conditions.
"""

from __future__ import annotations

from .sense import UNIT_ATTENTION, Sense
from .state import State

Code = tuple[int, int]

POWER_ON: Code = (0x29, 0x00)
BUS_RESET: Code = (0x29, 0x02)
UNIT_RESET: Code = (0x29, 0x03)
MEDIUM_CHANGED: Code = (0x28, 0x00)
MODE_CHANGED: Code = (0x2A, 0x01)


def greet(state: State, nexus: str) -> None:
    """A nexus that was never seen has missed the power on."""
    state.nexuses.setdefault(nexus, [list(POWER_ON)])


def raise_for_all(state: State, code: Code, *, but: str = "") -> None:
    """Something has happened that every nexus must know; a reset takes the place of all before it."""
    for nexus, waiting in state.nexuses.items():
        if nexus == but:
            continue
        if code[0] == 0x29:
            waiting.clear()
        if list(code) not in waiting:
            waiting.append(list(code))


def take(state: State, nexus: str) -> Sense | None:
    """The attention that is told next, if there is one."""
    waiting = state.nexuses[nexus]
    if not waiting:
        return None
    asc, ascq = waiting.pop(0)
    return Sense(UNIT_ATTENTION, asc, ascq)
