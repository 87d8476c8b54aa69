# SPDX-License-Identifier: LGPL-2.1-or-later
"""READ(6), WRITE(6), WRITE FILEMARKS(6), READ BLOCK LIMITS.

Ref: [SSC-5].
"""

from __future__ import annotations

from dataclasses import replace

from .. import faults, sense, state
from ..fields import store
from ..pages import mode_pages
from ..request import Access, Request, Row
from ..sense import Answer, Refusal, Sense, residue
from ..state import Failing
from ..tape import BLOCK, FILEMARK, OBJECT_OVERHEAD, Entry
from ..unit import Unit
from ..zones import zones_of

_FIXED, _SILI = 0, 1


def _lengths(unit: Unit, request: Request) -> tuple[int, int]:
    """How many blocks, and how long each is."""
    length = request.number(2, 3)
    if not request.flag(1, _FIXED):
        if length > unit.settings.largest_block:
            raise sense.invalid_cdb(2)
        return 1, length
    size = unit.state.block_length
    if not size:
        raise sense.invalid_cdb(1, _FIXED)
    return length, size


def _write(unit: Unit, request: Request) -> Answer:
    count, size = _lengths(unit, request)
    unit.writable()
    data = request.parameters(count * size)
    if not len(data):
        return Answer()
    _may_change(unit)
    seconds, warned = 0.0, False
    for n in range(count):
        try:
            for fault in faults.at_object(unit.state, unit.state.position):
                _fault(unit, fault)
            took, near = _store(unit, BLOCK, data[n * size : (n + 1) * size])
        except Refusal as refused:
            found = refused.sense
            if found.information is None and not found.deferred:
                found = residue(found, (count - n) if request.flag(1, _FIXED) else size)
            return Answer(sense=found, seconds=seconds, taken=n * size)
        seconds, warned = seconds + took, warned or near
    seconds += _unbuffered(unit)
    return Answer(sense=_zone(unit, warned), seconds=seconds, taken=len(data))


def _may_change(unit: Unit) -> None:
    """Raises Refusal where nothing may be written, or no more."""
    if unit.state.failing is not None and unit.state.failing.told:
        raise unit.buffer.failure(unit.state, unit.cartridge)
    chip, end = unit.cartridge.chip, _end_of_data(unit)
    if chip.worm and unit.state.position < end:
        unit.alert(state.WORM_OVERWRITE)
        raise sense.worm_overwrite()
    if mode_pages.software_write_protect(unit):
        raise Refusal(Sense(sense.DATA_PROTECT, 0x27, 0x02))


def _end_of_data(unit: Unit) -> int:
    ring = unit.state.ring
    return ring.first + ring.objects if ring.objects else unit.cartridge.tape.count


def _fault(unit: Unit, fault: faults.Fault) -> None:
    if fault["kind"] == "write-error":
        default = (sense.WRITE_ERROR.key, sense.WRITE_ERROR.asc, sense.WRITE_ERROR.ascq)
        key, asc, ascq = fault.get("sense", default)
        due = unit.state.commands + fault.get("after", 0)
        unit.state.failing = Failing(unit.state.position, due, key, asc, ascq)
    elif fault["kind"] == "sense":
        raise Refusal(faults.sense_of(fault))


def _store(unit: Unit, kind: int, data: memoryview) -> tuple[float, bool]:
    """Take one object; the seconds, and whether early warning is reached behind it."""
    zones = zones_of(unit)
    if unit.used + len(data) + OBJECT_OVERHEAD > zones.end:
        unit.buffer.flush(unit.state, unit.cartridge)
        raise Refusal(sense.END_OF_MEDIUM)
    seconds = unit.buffer.add(unit.state, unit.cartridge, kind, data)
    unit.state.position += 1
    unit.state.file += kind == FILEMARK
    unit.state.offset += len(data)
    return seconds, unit.used >= zones.early


def _unbuffered(unit: Unit) -> float:
    """Without buffered mode nothing stays in the buffer, and an error is this command's own."""
    if unit.state.buffered:
        return 0.0
    try:
        return unit.buffer.flush(unit.state, unit.cartridge)
    except Refusal as refused:
        unit.give_up()
        raise Refusal(replace(refused.sense, deferred=False)) from refused


def _zone(unit: Unit, near: bool) -> Sense | None:
    """The warning that a write ends with: early warning every time, the programmable one once."""
    if near:
        return residue(sense.EARLY_WARNING, 0)
    if unit.used >= zones_of(unit).programmable and not unit.state.mount.warned:
        unit.state.mount.warned = True
        return residue(sense.PROGRAMMABLE_EARLY_WARNING, 0)
    return None


def _write_filemarks(unit: Unit, request: Request) -> Answer:
    immediate, count = request.flag(1, 0), request.number(2, 3)
    if immediate and not unit.state.buffered:
        raise sense.invalid_cdb(1, 0)
    if request.flag(1, 0) and not count:
        return Answer()
    if count:
        unit.writable()
        _may_change(unit)
    elif unit.state.failing is not None and unit.state.failing.told:
        raise unit.buffer.failure(unit.state, unit.cartridge)
    seconds, warned = 0.0, False
    for n in range(count):
        try:
            took, near = _store(unit, FILEMARK, memoryview(b""))
        except Refusal as refused:
            found = refused.sense if refused.sense.deferred else residue(refused.sense, count - n)
            return Answer(sense=found, seconds=seconds)
        seconds, warned = seconds + took, warned or near
    if not immediate:
        seconds += unit.buffer.flush(unit.state, unit.cartridge)
    return Answer(sense=_zone(unit, warned) if count else None, seconds=seconds)


def _read(unit: Unit, request: Request) -> Answer:
    fixed, sili = request.flag(1, _FIXED), request.flag(1, _SILI)
    if fixed and sili:
        raise sense.invalid_cdb(1, _SILI)
    count, size = _lengths(unit, request)
    if not count or not size:
        return Answer()
    unit.ready()
    seconds, out = _settled(unit), bytearray()
    for n in range(count):
        left = (count - n) if fixed else size
        for fault in faults.at_object(unit.state, unit.state.position):
            if fault["kind"] == "sense":
                unit.state.mount.read_errors += 1
                unit.alert(state.READ_FAILURE)
                return Answer(bytes(out), faults.sense_of(fault, left), seconds)
        if unit.state.position >= unit.cartridge.tape.count:
            return Answer(bytes(out), residue(sense.AT_END_OF_DATA, left), seconds)
        entry = unit.cartridge.tape.entry(unit.state.position)
        seconds += _pass_over(unit, entry)
        if entry.kind == FILEMARK:
            return Answer(bytes(out), residue(sense.AT_FILEMARK, left), seconds)
        data = unit.cartridge.tape.read(entry, size)
        if entry.length != size:
            found = _other_length(unit, entry.length, size, fixed=fixed, sili=sili)
            if found is not None:
                found = residue(found, left if fixed else size - entry.length)
            return Answer(bytes(out) + data if not fixed else bytes(out), found, seconds)
        if count == 1:
            return Answer(data, None, seconds)
        out += data
    return Answer(bytes(out), None, seconds)


def _settled(unit: Unit) -> float:
    """Before a read, what was written must be on the medium."""
    if not unit.state.ring.objects and not unit.state.mount.dirty:
        return 0.0
    return unit.leave()


def _other_length(unit: Unit, length: int, size: int, *, fixed: bool, sili: bool) -> Sense | None:
    """What is said of a block that is not as long as the transfer.

    With SILI a shorter block is no matter, nor a longer one where blocks have no fixed length.
    """
    if not fixed and sili and (length < size or not unit.state.block_length):
        return None
    return Sense(sense.NO_SENSE, 0x00, 0x00, ili=True)


def _pass_over(unit: Unit, entry: Entry) -> float:
    """The head moves behind the object; seconds."""
    unit.state.position += 1
    unit.state.file = entry.files_behind
    unit.state.offset = entry.offset + entry.length
    unit.state.mount.read += entry.length
    unit.state.total_read += entry.length
    matcher = unit.buffer.matcher
    return matcher.read(unit.state.motion, unit.state.time, entry.length, unit.buffer.size)


def _read_block_limits(unit: Unit, _: Request) -> Answer:
    out = bytearray(6)
    store(out, 1, 3, unit.settings.largest_block)
    store(out, 4, 2, 1)
    return Answer(bytes(out))


ROWS = (
    Row(
        "READ BLOCK LIMITS",
        bytes.fromhex("05 00 00 00 00 00"),
        Access.QUESTION,
        _read_block_limits,
        "question",
    ),
    Row("READ(6)", bytes.fromhex("08 03 ff ff ff 00"), Access.MEDIUM, _read, "read"),
    Row("WRITE(6)", bytes.fromhex("0a 01 ff ff ff 00"), Access.MEDIUM, _write, "write"),
    Row(
        "WRITE FILEMARKS(6)", bytes.fromhex("10 01 ff ff ff 00"), Access.MEDIUM, _write_filemarks, "filemarks"
    ),
)
