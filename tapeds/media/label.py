# SPDX-License-Identifier: LGPL-2.1-or-later
"""The labels: file 0 says which cartridge this is, file 1 to which media set it belongs.

Both generations are read: the pool stands in the media label, or in a media-set label whose
UUID is all zero ("reserved for the pool, still empty").
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from tapeds.drive.base import Drive, Position
from tapeds.errors import (
    EmptyMedia,
    EndOfData,
    InvalidOption,
    InvalidState,
    MalformedData,
    TapeError,
    UnexpectedFilemark,
    UnknownFormat,
)
from tapeds.media import json_text
from tapeds.media.header import (
    BLOCK,
    CONTENT_HEADER,
    CONTENT_MAGIC,
    HEADER,
    HEADER_DATA_LIMIT,
    MEDIA_LABEL,
    MEDIA_SET_LABEL,
    ContentHeader,
    content,
)
from tapeds.media.json_text import BadJson, Object
from tapeds.media.key_config import KeyConfig
from tapeds.media.stream import BlockReader, BlockWriter, read_payload

UNASSIGNED = str(uuid.UUID(int=0))
_I64 = 2**63
_U64 = 2**64 - 1


@dataclass(frozen=True)
class MediaLabel:
    """Which cartridge this is: ``uuid`` in lower case with hyphens, ``ctime`` in seconds since the epoch."""

    label_text: str
    uuid: str
    ctime: int
    pool: str | None = None

    @classmethod
    def from_json(cls, value: Object) -> MediaLabel:
        """The label in the object ``value``; unknown keys are ignored.  Raises BadJson."""
        return cls(
            json_text.text(value, "label_text"),
            json_text.uuid_text(value, "uuid"),
            json_text.integer(value, "ctime", -_I64, _I64 - 1),
            json_text.optional_text(value, "pool"),
        )

    def to_json(self) -> Object:
        """The object as it stands on tape."""
        value: Object = {"ctime": self.ctime, "label_text": self.label_text, "uuid": self.uuid}
        if self.pool is not None:
            value["pool"] = self.pool
        return value


@dataclass(frozen=True)
class MediaSetLabel:
    """Where the cartridge stands in which media set; ``seq_nr`` counts from 0."""

    uuid: str
    pool: str
    seq_nr: int
    ctime: int                               # when the cartridge joined the set
    encryption_key_fingerprint: str | None = None
    key_config: KeyConfig | None = None

    @property
    def unassigned(self) -> bool:
        """Whether the cartridge is only reserved for its pool."""
        return self.uuid == UNASSIGNED

    @classmethod
    def from_json(cls, value: Object) -> MediaSetLabel:
        """The label in the object ``value``; unknown keys are ignored.  Raises BadJson."""
        key_config = json_text.optional_object(value, "key-config")
        return cls(
            json_text.uuid_text(value, "uuid"),
            json_text.text(value, "pool"),
            json_text.integer(value, "seq_nr", 0, _U64),
            json_text.integer(value, "ctime", -_I64, _I64 - 1),
            json_text.fingerprint(value, "encryption_key_fingerprint"),
            None if key_config is None else KeyConfig.from_json(key_config),
        )

    def to_json(self) -> Object:
        """The object as it stands on tape; the key config goes only with a fingerprint.

        Raises InvalidOption for a fingerprint without key config.
        """
        value: Object = {"ctime": self.ctime, "pool": self.pool, "seq_nr": self.seq_nr, "uuid": self.uuid}
        if self.encryption_key_fingerprint is not None:
            if self.key_config is None:
                raise InvalidOption("missing encryption key config")
            value["encryption_key_fingerprint"] = self.encryption_key_fingerprint
            value["key-config"] = self.key_config.to_json()
        return value


@dataclass(frozen=True)
class Labels:
    """What stands at the beginning of a tape; an empty tape has neither."""

    label: MediaLabel | None = None
    set_label: MediaSetLabel | None = None


def parse_media_label(payload: bytes) -> MediaLabel:
    """The media label whose file has this ``payload``.  Raises MalformedData."""
    value = _parse(payload, MEDIA_LABEL, "drive label", "label")
    try:
        return MediaLabel.from_json(value)
    except BadJson as exc:
        raise MalformedData(f"unable to parse drive label - {exc}") from exc


def parse_media_set_label(payload: bytes) -> MediaSetLabel:
    """The media-set label whose file has this ``payload``.  Raises MalformedData."""
    value = _parse(payload, MEDIA_SET_LABEL, "media set label", "media set label")
    try:
        return MediaSetLabel.from_json(value)
    except BadJson as exc:
        raise MalformedData(f"unable to parse media set label - {exc}") from exc


def _parse(payload: bytes, content_magic: bytes, name: str, place: str) -> Object:
    """The JSON object that is all of a label's ``payload`` behind its content header."""
    header = ContentHeader.unpack(payload)
    header.check(content_magic)
    end = CONTENT_HEADER + header.size
    if len(payload) < end:
        raise MalformedData("MediaContentHeader: failed to fill whole buffer")
    try:
        value = json_text.load(payload[CONTENT_HEADER:end])
    except BadJson as exc:
        raise MalformedData(f"unable to parse {name} - {exc}") from exc
    if len(payload) > end:
        raise MalformedData(f"got unexpected data after {place}")
    return value


_LABEL_LIMIT = CONTENT_HEADER + HEADER_DATA_LIMIT


def read_labels(drive: Drive) -> Labels:
    """Rewind and read both labels; the head is then behind them.

    Raises UnexpectedFilemark, UnknownFormat for a tape that does not begin with a media label,
    MalformedData, MediumError.
    """
    drive.rewind()
    try:
        payload = read_payload(BlockReader(drive, 0, alien=UnknownFormat), _LABEL_LIMIT)
    except EndOfData:
        return Labels()
    except UnexpectedFilemark as exc:
        raise UnexpectedFilemark("got unexpected filemark at BOT", exc.data) from None
    try:
        label = parse_media_label(payload)
    except MalformedData as exc:
        ours = payload.startswith(CONTENT_MAGIC + MEDIA_LABEL)
        raise _at(0, exc, MalformedData if ours else UnknownFormat) from exc
    try:
        payload = read_payload(BlockReader(drive, 1), _LABEL_LIMIT)
        return Labels(label, parse_media_set_label(payload))
    except EndOfData:
        return Labels(label)
    except UnexpectedFilemark as exc:
        raise UnexpectedFilemark("got unexpected filemark after label", exc.data) from None
    except MalformedData as exc:
        if exc.data:                         # a block of the file, already named
            raise
        raise _at(1, exc, MalformedData) from exc


def _at(file: int, exc: MalformedData, kind: type[TapeError]) -> TapeError:
    """``exc`` of the payload of ``file``, with its place."""
    return kind(f"file {file}, block 0: {exc}", {"file": file, "block": 0})


def write_media_label(
    drive: Drive, label: MediaLabel, *, stream_uuid: uuid.UUID | None = None, ctime: int | None = None
) -> None:
    """Write ``label`` as file 0; it is durable on return, and whatever lay behind it is gone.

    ``stream_uuid`` and ``ctime`` stand in the content header: by default a fresh UUID, and now.
    Raises WriteProtected, EndOfMedia, MediumError.
    """
    payload = content(MEDIA_LABEL, _dump(label.to_json()), stream_uuid=stream_uuid, ctime=ctime)
    if drive.position() != Position(0, 0):
        drive.rewind()
    _write(drive, payload)


def write_media_set_label(
    drive: Drive, label: MediaSetLabel, *, stream_uuid: uuid.UUID | None = None, ctime: int | None = None
) -> None:
    """Write ``label`` as file 1; it is durable on return, and whatever lay behind it is gone.

    ``stream_uuid`` and ``ctime`` as in `write_media_label`.
    Raises EmptyMedia for a tape without file 0, InvalidState, WriteProtected, EndOfMedia, MediumError.
    """
    payload = content(MEDIA_SET_LABEL, _dump(label.to_json()), stream_uuid=stream_uuid, ctime=ctime)
    try:
        drive.locate_file(1)
    except EndOfData as exc:
        raise EmptyMedia("media is empty (no label)") from exc
    found = drive.position()
    if found.file != 1 or found.block != 0:
        raise InvalidState(f"write_media_set_label failed - got wrong file number ({found.file} != 1)")
    _write(drive, payload)


def _dump(value: Object) -> bytes:
    try:
        return json_text.dump(value)
    except BadJson as exc:
        raise InvalidOption(f"the label cannot be written as JSON: {exc}") from exc


def _write(drive: Drive, payload: bytes) -> None:
    """Write ``payload``, which is less than a block's, as one whole file at the head."""
    block = memoryview(bytearray(BLOCK))
    block[HEADER : HEADER + len(payload)] = payload
    writer = BlockWriter(drive)
    writer.close(block, len(payload))
    writer.end(durable=True)
