# SPDX-License-Identifier: LGPL-2.1-or-later
"""REWIND, LOCATE, SPACE, READ POSITION: where the head stands, and going elsewhere.

Ref: [SSC-5].
"""

from __future__ import annotations

from .. import sense, state
from ..fields import signed, store
from ..request import Access, Request, Row
from ..sense import Answer, Sense, residue
from ..tape import FILEMARK
from ..unit import Unit
from ..zones import zones_of

_BLOCKS, _FILEMARKS, _SEQUENTIAL_FILEMARKS, _END_OF_DATA = range(4)
_OBJECT, _FILE, _EOD = 0, 1, 3
_BOP, _EOP, _PERR, _BPEW = 0x80, 0x40, 0x02, 0x01


def _rewind(unit: Unit, request: Request) -> Answer:
    seconds = unit.leave() + unit.stand(0)
    return _moved(unit, request, state.REWINDING, seconds)


def _moved(unit: Unit, request: Request, activity: int, seconds: float, found: Sense | None = None) -> Answer:
    """The end of a movement: answered at once (IMMED, byte 1 bit 0) or when the head is there."""
    if not request.flag(1, 0):
        return Answer(sense=found, seconds=seconds)
    unit.under_way(activity, seconds)
    if found is not None:
        unit.state.late = [found.key, found.asc, found.ascq]
    return Answer()


def _locate_10(unit: Unit, request: Request) -> Answer:
    _one_partition(request, 8)
    return _locate(unit, request, request.number(3, 4))


def _locate_16(unit: Unit, request: Request) -> Answer:
    _one_partition(request, 3)
    kind, wanted = request.cdb[1] >> 3, request.number(4, 8)
    if kind == _OBJECT:
        return _locate(unit, request, wanted)
    if kind not in (_FILE, _EOD):
        raise sense.invalid_cdb(1, 5)
    seconds = unit.leave()
    tape = unit.cartridge.tape
    if kind == _EOD:
        return _moved(unit, request, state.LOCATING, seconds + unit.stand(tape.count))
    if unit.settings.file_numbering == "hp":
        wanted = max(0, wanted - 1)
    there = wanted <= tape.place(tape.count)[0]
    return _arrive(unit, request, _behind(unit, wanted) if there else None, seconds)


def _one_partition(request: Request, at: int) -> None:
    if request.flag(1, 1) and request.cdb[at]:  # CP: change to another partition
        raise sense.invalid_cdb(at)


def _locate(unit: Unit, request: Request, wanted: int) -> Answer:
    seconds = unit.leave()
    return _arrive(unit, request, wanted if wanted <= unit.cartridge.tape.count else None, seconds)


def _arrive(unit: Unit, request: Request, at: int | None, seconds: float) -> Answer:
    """Stand before object ``at``; with None it is not on tape, and the head stands at the end of data."""
    if at is None:
        seconds += unit.stand(unit.cartridge.tape.count)
        return _moved(unit, request, state.LOCATING, seconds, sense.AT_END_OF_DATA)
    return _moved(unit, request, state.LOCATING, seconds + unit.stand(at))


def _space_6(unit: Unit, request: Request) -> Answer:
    return _space(unit, request.cdb[1] & 0x0F, signed(request.cdb, 2, 3))


def _space_16(unit: Unit, request: Request) -> Answer:
    return _space(unit, request.cdb[1] & 0x0F, signed(request.cdb, 4, 8))


def _space(unit: Unit, code: int, count: int) -> Answer:
    if code > _END_OF_DATA:
        raise sense.invalid_cdb(1, 3)
    if count == 0 and code != _END_OF_DATA:
        return Answer()
    seconds = unit.leave()
    if code == _END_OF_DATA:
        return Answer(seconds=seconds + unit.stand(unit.cartridge.tape.count))
    step = {_BLOCKS: _over_blocks, _FILEMARKS: _over_filemarks, _SEQUENTIAL_FILEMARKS: _over_sequence}[code]
    at, found = step(unit, count)
    return Answer(sense=found, seconds=seconds + unit.stand(at))


def _over_blocks(unit: Unit, count: int) -> tuple[int, Sense | None]:
    """Where spacing over blocks ends, and why before its count."""
    tape, at, left = unit.cartridge.tape, unit.state.position, abs(count)
    forward = count > 0
    here = tape.place(at)[0]
    # The nearest filemark stands before the first object behind it.
    beyond = tape.find(here + 1) if forward else None
    if forward:
        marks_end = tape.count > 0 and tape.place(tape.count)[0] > here
        stop = (beyond if beyond is not None else tape.count) - 1 if marks_end else tape.count
        if at + left <= stop:
            return at + left, None
        if marks_end:
            return stop + 1, residue(sense.AT_FILEMARK, left - (stop - at))
        return stop, residue(sense.AT_END_OF_DATA, left - (stop - at))
    stop = _behind(unit, here)
    if at - left >= stop:
        return at - left, None
    if here:
        return stop - 1, residue(sense.AT_FILEMARK, left - (at - stop))
    return 0, residue(sense.AT_BEGINNING, left - at)


def _behind(unit: Unit, filemarks: int) -> int:
    """The place behind that many filemarks, which are on tape."""
    tape = unit.cartridge.tape
    at = tape.find(filemarks)
    return tape.count if at is None else at


def _over_filemarks(unit: Unit, count: int) -> tuple[int, Sense | None]:
    tape = unit.cartridge.tape
    here, whole = unit.state.file, tape.place(tape.count)[0]
    wanted = here + count
    if count > 0:
        if wanted <= whole:
            return _behind(unit, wanted), None
        return tape.count, residue(sense.AT_END_OF_DATA, wanted - whole)
    if wanted >= 0:
        return _behind(unit, wanted + 1) - 1, None  # before the filemark
    return 0, residue(sense.AT_BEGINNING, -wanted)


def _over_sequence(unit: Unit, count: int) -> tuple[int, Sense | None]:
    """To the first place where ``count`` filemarks stand in a row."""
    tape, wanted = unit.cartridge.tape, abs(count)
    step = 1 if count > 0 else -1
    at, run = unit.state.position, 0
    while (at < tape.count) if step > 0 else (at > 0):
        entry = tape.entry(at if step > 0 else at - 1)
        run = run + 1 if entry.kind == FILEMARK else 0
        at += step
        if run == wanted:
            return at, None
    return at, residue(sense.AT_END_OF_DATA if step > 0 else sense.AT_BEGINNING, wanted)


def _flags(unit: Unit) -> int:
    zones, used = zones_of(unit), unit.used
    begins = _BOP * (unit.state.position == 0)
    return begins | _EOP * (used >= zones.early) | _BPEW * (used >= zones.programmable)


def _position_short(unit: Unit, request: Request) -> Answer:
    _no_allocation(request)
    ring, at = unit.state.ring, unit.state.position
    last = ring.first if ring.objects else at
    out = bytearray(20)
    out[0] = _flags(unit)
    if at >= 1 << 32:
        out[0] |= _PERR
    else:
        store(out, 4, 4, at)
        store(out, 8, 4, last)
    store(out, 13, 3, ring.objects)
    store(out, 16, 4, ring.bytes)
    return Answer(bytes(out))


def _position_long(unit: Unit, request: Request) -> Answer:
    _no_allocation(request)
    out = bytearray(32)
    out[0] = _flags(unit)
    store(out, 8, 8, unit.state.position)
    store(out, 16, 8, unit.state.file)
    return Answer(bytes(out))


def _position_extended(unit: Unit, request: Request) -> Answer:
    ring, at = unit.state.ring, unit.state.position
    out = bytearray(32)
    out[0] = _flags(unit)
    store(out, 2, 2, len(out) - 4)
    store(out, 5, 3, ring.objects)
    store(out, 8, 8, at)
    store(out, 16, 8, ring.first if ring.objects else at)
    store(out, 24, 8, ring.bytes)
    return Answer(bytes(out)[: request.number(7, 2)])


def _no_allocation(request: Request) -> None:
    if request.number(7, 2):
        raise sense.invalid_cdb(7)


_POSITION = bytes.fromhex("34 1f 00 00 00 00 00 ff ff 00")
_LOCATE_16 = bytes.fromhex("92 3b 00 ff ff ff ff ff ff ff ff ff 00 00 00 00")
_SPACE_16 = bytes.fromhex("91 0f 00 00 ff ff ff ff ff ff ff ff 00 00 00 00")

ROWS = (
    Row("REWIND", bytes.fromhex("01 01 00 00 00 00"), Access.MEDIUM, _rewind, "rewind"),
    Row("SPACE(6)", bytes.fromhex("11 0f ff ff ff 00"), Access.MEDIUM, _space_6, "locate"),
    Row("LOCATE(10)", bytes.fromhex("2b 03 00 ff ff ff ff 00 ff 00"), Access.MEDIUM, _locate_10, "locate"),
    Row("READ POSITION", _POSITION, Access.MEDIUM, _position_short, "question", action=0x00),
    Row("READ POSITION", _POSITION, Access.MEDIUM, _position_long, "question", action=0x06),
    Row("READ POSITION", _POSITION, Access.MEDIUM, _position_extended, "question", action=0x08),
    Row("SPACE(16)", _SPACE_16, Access.MEDIUM, _space_16, "locate"),
    Row("LOCATE(16)", _LOCATE_16, Access.MEDIUM, _locate_16, "locate"),
)
