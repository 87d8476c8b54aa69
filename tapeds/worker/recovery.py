# SPDX-License-Identifier: LGPL-2.1-or-later
"""Closing what an interrupted write has left open: a file without end marker becomes an incomplete one.

Nothing that is durable is touched, and a crash in here leaves the tape as another crash in the
write would have left it: the intent goes only when the file is closed and durable.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from tapeds.drive.base import Drive, Mark
from tapeds.errors import EndOfData, EndOfMedia, MalformedData
from tapeds.media.header import BLOCK, BlockHeader
from tapeds.names import Field, MessageId
from tapeds.worker import identity
from tapeds.worker.intent import Intent
from tapeds.worker.lease import Lease

log = logging.getLogger(__name__)

Poll = Callable[[], None]


@dataclass(frozen=True)
class _Found:
    """One file as it stands on tape: so many good blocks from its beginning, with an end marker or not."""

    file: int
    blocks: int
    closed: bool


def repair(lease: Lease, poll: Poll) -> None:
    """`recover`, where something may be open on the tape in the drive; what was done goes to the journal."""
    pending = lease.intents.pending
    if pending is None or (lease.intents.begun_here and not lease.knowledge.in_file):
        return
    text = recover(lease, poll)
    fields = {
        Field.MESSAGE_ID: MessageId.RECOVERED,
        Field.DRIVE: lease.spec.name,
        Field.LABEL: pending.label_text,
        Field.MEDIA_UUID: pending.media_uuid,
    }
    log.warning("%s: %s", lease.name, text, extra=fields)


def recover(lease: Lease, poll: Poll) -> str:
    """Do what the write intent asks for; one sentence for the operator, "" without an intent.

    ``poll`` is called between blocks and may raise.  Raises DeviceError, WriteProtected; then the
    intent stays.
    """
    intent = lease.intents.pending
    if intent is None:
        return ""
    begin = interrupted(intent)
    if other := _other_medium(lease, intent):
        return f"{begin}; {other}, so it is still open: load {_label(intent)} to have it closed"
    lease.drive.distrust(intent.file)
    buffer = memoryview(bytearray(BLOCK))
    files: list[_Found] = []
    while (found := _scan(lease.drive, intent.file + len(files), buffer, poll)) is not None:
        files.append(found)
    end = _close(lease, intent, files[-1] if files else None, buffer, poll)
    lease.drive.write_filemarks(0)
    lease.intents.clear()
    lease.knowledge.in_file = False
    lease.knowledge.arrive()
    return f"{begin}; {end}{_between(files)}"


def interrupted(intent: Intent) -> str:
    """What the intent says: the beginning of every sentence about it."""
    return f"the write of file {intent.file} on {_label(intent)} was interrupted"


def _label(intent: Intent) -> str:
    return intent.label_text or "the tape without label"


def _other_medium(lease: Lease, intent: Intent) -> str:
    """Why the tape in the drive is not the one of ``intent``; "" if it is."""
    knowledge = lease.knowledge
    if not knowledge.look().loaded:
        return f"{lease.name} is empty"
    if knowledge.cartridge != intent.label_text:
        return f"{knowledge.cartridge or 'another tape'} is in {lease.name}"
    if intent.file > 0 and intent.media_uuid:
        found = identity.read_or_none(lease).label
        if found is None or found.uuid != intent.media_uuid:
            return f"{lease.tape} has another media label"
    return ""


def _close(lease: Lease, intent: Intent, last: _Found | None, buffer: memoryview, poll: Poll) -> str:
    """Close the ``last`` file if it is open.  What was done, for the operator."""
    if last is None:
        return "nothing of it was on tape yet"
    if last.closed:
        _end_at_filemark(lease.drive)
        return f"file {last.file}, the last one, is closed"
    if last.file == intent.file and last.blocks < intent.blocks:
        lease.drive.write_filemarks(0)
        return (
            f"only {last.blocks} of {intent.blocks} blocks known to be durable can be read, "
            f"so file {last.file} was left as it is: verify the tape"
        )
    drive = lease.drive
    drive.locate_file(last.file)
    for _ in range(last.blocks):
        poll()
        drive.read_block(buffer)
    buffer[:] = bytes(BLOCK)
    BlockHeader(0, last.blocks, end=True, incomplete=True).pack_into(buffer)
    try:
        drive.write_block(buffer)
    except EndOfMedia:
        drive.write_filemarks(0)
        return f"the tape is full, so file {last.file} stays without an end marker and reads as incomplete"
    drive.write_filemarks(1)
    lease.knowledge.end_file(last.file, durable=True)
    return f"file {last.file} is closed as incomplete, {last.blocks} blocks of it are kept"


def _between(files: list[_Found]) -> str:
    """What to say of open files with others behind them: to close them would destroy those."""
    still_open = [str(found.file) for found in files[:-1] if not found.closed]
    if not still_open:
        return ""
    return f"; without an end marker, and so not complete, stay files before it: {', '.join(still_open)}"


def _scan(drive: Drive, file: int, buffer: memoryview, poll: Poll) -> _Found | None:
    """Look at every block of ``file``; None when the tape ends before it."""
    try:
        drive.locate_file(file)
    except EndOfData:
        return None
    index = 0
    while True:
        poll()
        got = drive.read_block(buffer)
        if isinstance(got, Mark):
            return None if got is Mark.END_OF_DATA and index == 0 else _Found(file, index, closed=False)
        try:
            header = BlockHeader.unpack(buffer, got, index)
        except MalformedData:
            return _Found(file, index, closed=False)
        index += 1
        if header.end:
            return _Found(file, index, closed=True)


def _end_at_filemark(drive: Drive) -> None:
    """Write the last filemark if the crash came before it."""
    drive.locate_end()
    if drive.position().block:
        drive.write_filemarks(1)
