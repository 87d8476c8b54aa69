# SPDX-License-Identifier: LGPL-2.1-or-later
"""Read files for nothing but their rules: blocks, content headers and labels.

Damage is a result here, not an error: the first of it is told with file and block, and the
reading goes on at the next file.
"""

from __future__ import annotations

from dataclasses import dataclass

from tapeds.drive.base import Drive
from tapeds.errors import EndOfData, MalformedData, MediumError, UnexpectedFilemark
from tapeds.media.control import Control
from tapeds.media.header import (
    BLOCK,
    CONTENT_HEADER,
    CONTENT_MAGIC,
    HEADER,
    HEADER_DATA_LIMIT,
    MEDIA_LABEL,
    MEDIA_SET_LABEL,
    PAYLOAD,
    REFUSED,
    ContentHeader,
    FileHeader,
    Kind,
)
from tapeds.media.label import parse_media_label, parse_media_set_label
from tapeds.media.stream import BlockReader

_LABELS = {MEDIA_LABEL: (0, parse_media_label), MEDIA_SET_LABEL: (1, parse_media_set_label)}
_LABEL_LIMIT = CONTENT_HEADER + HEADER_DATA_LIMIT


@dataclass(frozen=True)
class Fault:
    """A rule that is broken in block number ``block`` of ``file``."""

    file: int
    block: int
    text: str


@dataclass(frozen=True)
class Verified:
    """``files`` were read, with ``bytes`` of good payload; ``incomplete`` of them are marked so."""

    files: int
    bytes: int
    incomplete: int
    first_error: Fault | None


def verify_file(drive: Drive, file: int, control: Control) -> Verified:
    """Read ``file``.  Raises EndOfData when there is none, and whatever ``control`` raises."""
    drive.locate_file(file)
    check = _Check(drive, control)
    check.file(file)
    return check.result()


def verify_tape(drive: Drive, control: Control) -> Verified:
    """Read every file of the tape.  Raises whatever ``control`` raises."""
    check = _Check(drive, control)
    drive.rewind()
    file = 0
    try:
        while True:
            if not check.file(file):
                drive.locate_file(file + 1)      # the head stands somewhere inside
            file += 1
    except (EndOfData, MediumError):
        return check.result()                    # damage that cannot be passed ends the tape


class _Check:
    """What has been found so far."""

    def __init__(self, drive: Drive, control: Control) -> None:
        self._drive = drive
        self._control = control
        self._buffer = memoryview(bytearray(BLOCK))
        self._files = self._bytes = self._incomplete = 0
        self._first: Fault | None = None

    def result(self) -> Verified:
        return Verified(self._files, self._bytes, self._incomplete, self._first)

    def file(self, number: int) -> bool:
        """Read file ``number``; whether the head is now behind its filemark.  Raises EndOfData."""
        reader = BlockReader(self._drive, number)
        try:
            self._read(reader)
        except (MalformedData, UnexpectedFilemark, MediumError) as exc:
            self._files += 1
            if self._first is None:
                self._first = Fault(number, int(str(exc.data.get("block", reader.block))), str(exc))
            return reader.ended
        self._files += 1
        self._incomplete += reader.incomplete
        return True

    def _read(self, reader: BlockReader) -> None:
        start = bytearray()                      # of the payload: enough for a label and one byte more
        short = False
        while True:
            self._control.poll()
            number = reader.block
            header = reader.read(self._buffer)
            if header is None:
                break
            if short:
                raise _fault(reader, number - 1, f"detected tape block with less than {PAYLOAD} bytes")
            short = header.size < PAYLOAD
            payload = self._buffer[HEADER : HEADER + header.size]
            start += payload[: max(0, _LABEL_LIMIT + 1 - len(start))]
            self._bytes += header.size
            self._control.report(self._bytes, file=reader.file)
        if not reader.end_marker:
            raise reader.no_end_marker()
        if reader.incomplete:
            return                               # it may end anywhere
        try:
            _check_content(reader, bytes(start))
        except MalformedData as exc:
            raise _fault(reader, 0, str(exc)) from exc


def _fault(reader: BlockReader, block: int, text: str) -> MalformedData:
    return MalformedData(f"file {reader.file}, block {block}: {text}", {"file": reader.file, "block": block})


def _check_content(reader: BlockReader, start: bytes) -> None:
    """Raises MalformedData when the beginning of a file's payload is a content header that is not right."""
    if not start.startswith(CONTENT_MAGIC):
        return                                   # the caller's own bytes
    header = ContentHeader.unpack(start)
    if text := REFUSED.get(header.content_magic):
        raise MalformedData(text)
    if header.content_magic in _LABELS:
        place, parse = _LABELS[header.content_magic]
        if reader.file != place:
            raise MalformedData("unexpected content magic (label)")
        parse(start)
    elif header.kind is Kind.FILE:
        FileHeader.unpack(start)
    elif len(start) < min(_LABEL_LIMIT, CONTENT_HEADER + header.size):
        raise MalformedData("MediaContentHeader: got unexpected size")
