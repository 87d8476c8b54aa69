# SPDX-License-Identifier: LGPL-2.1-or-later
"""What stands on a tape, from the first and the last block of each file: nothing is read whole."""

from __future__ import annotations

from dataclasses import dataclass

from tapeds.drive.base import Drive, Mark
from tapeds.errors import BlockTooLarge, EndOfData, MalformedData
from tapeds.media import json_text
from tapeds.media.control import Control
from tapeds.media.header import (
    BLOCK,
    CONTENT_HEADER,
    HEADER,
    PAYLOAD,
    BlockHeader,
    ContentHeader,
    FileHeader,
    Kind,
    kind_of,
)

_NAMED_BY = {                            # the key of the header data that names a file of this kind
    Kind.MEDIA_LABEL: "label_text",
    Kind.MEDIA_SET_LABEL: "pool",
    Kind.CHUNK_ARCHIVE: "store",
    Kind.SNAPSHOT_ARCHIVE: "snapshot",
}


@dataclass(frozen=True)
class FileEntry:
    """One file; ``bytes`` is how many a reader gets of it."""

    number: int
    kind: Kind
    name: str
    bytes: int
    complete: bool


def list_files(drive: Drive, first: int, count: int, control: Control) -> tuple[list[FileEntry], bool]:
    """At most ``count`` files from number ``first`` on, and whether there are more.

    Raises MediumError and whatever ``control`` raises.
    """
    buffer = memoryview(bytearray(BLOCK))
    entries: list[FileEntry] = []
    try:
        drive.locate_file(first)
    except EndOfData:
        return entries, False
    for number in range(first, first + count):
        control.poll()
        entry = _entry(drive, number, buffer)
        if entry is None:
            return entries, False
        entries.append(entry)
        control.report(0, file=number, message=f"file {number}")
    return entries, _read(drive, buffer) is not Mark.END_OF_DATA


def _entry(drive: Drive, number: int, buffer: memoryview) -> FileEntry | None:
    """The file before which the head stands, ``None`` at end of data; the head is then at the next file."""
    found = _read(drive, buffer)
    if found is Mark.END_OF_DATA:
        return None
    if isinstance(found, Mark):
        return FileEntry(number, Kind.UNKNOWN, "", 0, False)
    try:
        payload = buffer[HEADER : HEADER + BlockHeader.unpack(buffer, found, 0).size]
        kind, name, skip = kind_of(payload), *_name(payload)
    except MalformedData:
        kind, name, skip = Kind.UNKNOWN, "", 0
    try:
        length, index = drive.read_last_block(number, buffer)
    except BlockTooLarge:
        drive.locate_file(number + 1)
        return FileEntry(number, kind, name, 0, False)
    try:
        last = BlockHeader.unpack(buffer, length, index)
    except MalformedData:
        return FileEntry(number, kind, name, max(0, index * PAYLOAD - skip), False)
    size = index * PAYLOAD + last.size - skip
    return FileEntry(number, kind, name, size, last.end and not last.incomplete)


def _read(drive: Drive, buffer: memoryview) -> int | Mark:
    """The next block's length, or the mark; a block that is too large has some other length than ours."""
    try:
        return drive.read_block(buffer)
    except BlockTooLarge:
        return 0


def _name(payload: memoryview) -> tuple[str, int]:
    """What the first ``payload`` of a file calls it, and how many bytes of it no reader gets."""
    try:
        header = ContentHeader.unpack(payload)
        if header.kind is Kind.FILE:
            ours, length = FileHeader.unpack(payload)
            return ours.name, length
        key = _NAMED_BY.get(header.kind)
        if key is None:
            return "", 0
        data = json_text.load(bytes(payload[CONTENT_HEADER : CONTENT_HEADER + header.size]))
        return json_text.optional_text(data, key) or "", 0
    except (MalformedData, json_text.BadJson):
        return "", 0
