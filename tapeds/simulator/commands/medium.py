# SPDX-License-Identifier: LGPL-2.1-or-later
"""LOAD UNLOAD, ERASE(6), FORMAT MEDIUM: what concerns the whole cartridge.

Ref: [SSC-5].
"""

from __future__ import annotations

from .. import sense, state
from ..cartridge import Cartridge
from ..request import Access, Request, Row
from ..sense import Answer
from ..unit import Unit

_IMMEDIATE, _LONG = 1, 0
_SHORT_ERASE = 5.0
"""Seconds that it takes to write an end of data at the beginning."""
_HOLD, _EOT, _RETENSION, _LOAD = 3, 2, 1, 0


def _load_unload(unit: Unit, request: Request) -> Answer:
    immediate = request.flag(1, 0)
    unit.idle()
    if request.flag(4, _EOT):
        raise sense.invalid_cdb(4, _EOT)  # this drive does not unload at the end of the tape
    if request.flag(4, _LOAD):
        return _load(unit, request, immediate=immediate)
    if request.flag(4, _RETENSION):
        raise sense.invalid_cdb(4, _RETENSION)
    return _unload(unit, request, immediate=immediate)


def _load(unit: Unit, request: Request, *, immediate: bool) -> Answer:
    if not unit.state.cartridge:
        raise sense.no_medium()
    if unit.state.place == state.THREADED:
        unit.ready()
        seconds = unit.leave() + unit.stand(0)
        if request.flag(4, _RETENSION):
            seconds += 2 * unit.generation.whole_tape
        if immediate:
            unit.under_way(state.REWINDING, seconds)
            return Answer()
        return Answer(seconds=seconds)
    if request.flag(4, _HOLD):
        unit.state.place = state.HOLD
        return Answer(seconds=unit.generation.load / 2)
    seconds = unit.load(immediate=immediate)
    return Answer(seconds=0.0 if immediate else seconds)


def _unload(unit: Unit, request: Request, *, immediate: bool) -> Answer:
    hold = request.flag(4, _HOLD)
    if not unit.state.cartridge or unit.state.place == state.MOUTH:
        raise sense.no_medium()
    if unit.state.prevented and not hold:
        unit.alert(state.NO_REMOVAL)
        raise sense.removal_prevented()
    seconds = unit.unload(state.HOLD if hold else state.MOUTH)
    if immediate:
        unit.under_way(state.UNLOADING, seconds)
        return Answer()
    return Answer(seconds=seconds)


def _erase(unit: Unit, request: Request) -> Answer:
    cartridge = _blankable(unit)
    seconds = unit.generation.erase if request.flag(1, _LONG) else _SHORT_ERASE
    cartridge.tape.cut(0)
    cartridge.chip.change_reference += 1
    cartridge.chip.end_known = True
    cartridge.save()
    return _lasts(unit, state.ERASING, seconds, immediate=request.flag(1, _IMMEDIATE))


def _format(unit: Unit, request: Request) -> Answer:
    if request.cdb[2]:
        raise sense.invalid_cdb(2, 3)  # one partition is all there is
    if request.number(3, 2):
        raise sense.list_length_error()
    cartridge = _blankable(unit)
    cartridge.tape.cut(0)
    cartridge.chip.change_reference += 1
    cartridge.chip.formats += 1
    cartridge.chip.end_known = True
    cartridge.save()
    own = cartridge.chip.density is unit.generation.density
    seconds = unit.generation.format + (unit.generation.optimisation if own else 0.0)
    return _lasts(unit, state.FORMATTING, seconds, immediate=request.flag(1, 0))


def _blankable(unit: Unit) -> Cartridge:
    """The medium, if all that stands on it may go.  Raises Refusal."""
    cartridge = unit.writable()
    if cartridge.chip.worm:
        unit.alert(state.WORM_OVERWRITE)
        raise sense.worm_overwrite()
    if unit.state.position:
        raise sense.past_beginning()
    unit.leave()
    return cartridge


def _lasts(unit: Unit, activity: int, seconds: float, *, immediate: bool) -> Answer:
    if immediate:
        unit.under_way(activity, seconds)
        return Answer()
    return Answer(seconds=seconds)


ROWS = (
    Row("FORMAT MEDIUM", bytes.fromhex("04 01 0f ff ff 00"), Access.MEDIUM, _format, "format"),
    Row("ERASE(6)", bytes.fromhex("19 03 00 00 00 00"), Access.MEDIUM, _erase, "erase"),
    Row("LOAD UNLOAD", bytes.fromhex("1b 01 00 00 0f 00"), Access.OWN, _load_unload, "load"),
)
