# SPDX-License-Identifier: LGPL-2.1-or-later
"""The headers on tape: 16 bytes before every block's payload, 48 bytes at the start of most files.

All integers are little-endian.  A magic is the first 8 bytes of the SHA-256 of the
text beside it (written out, because the library that computes it is the largest part of a worker).
"""

from __future__ import annotations

import enum
import struct
import time
import uuid
from dataclasses import dataclass
from typing import Any

from tapeds.errors import InvalidOption, MalformedData
from tapeds.media import json_text

BLOCK = 262144                       # bytes of every block
HEADER = 16                          # of which this many are its header
PAYLOAD = BLOCK - HEADER
CONTENT_HEADER = 48
HEADER_DATA_LIMIT = 65536            # bytes of header data behind the content header

BLOCK_MAGIC = bytes.fromhex("dcbdafcaeba0a528")  # Proxmox Tape Block Header v1.0
CONTENT_MAGIC = bytes.fromhex("63ee149fcdf29b0c")  # Proxmox Backup Content Header v1.0
MEDIA_LABEL = bytes.fromhex("2a05bf3cb030aa39")  # Proxmox Backup Tape Label v1.0
MEDIA_SET_LABEL = bytes.fromhex("086063f92f9753d8")  # Proxmox Backup MediaSet Label v1.0
FILE = bytes.fromhex("fcefb48b93e955f4")  # Tapeds File v1.0


class Kind(enum.StrEnum):
    """What a tape file holds."""

    MEDIA_LABEL = "media-label"
    MEDIA_SET_LABEL = "media-set-label"
    CHUNK_ARCHIVE = "chunk-archive"
    SNAPSHOT_ARCHIVE = "snapshot-archive"
    CATALOG_ARCHIVE = "catalog-archive"
    FILE = "file"
    UNKNOWN = "unknown"


KINDS = {
    MEDIA_LABEL: Kind.MEDIA_LABEL,
    MEDIA_SET_LABEL: Kind.MEDIA_SET_LABEL,
    bytes.fromhex("6d31636dd70283bf"): Kind.CHUNK_ARCHIVE,  # Proxmox Backup Chunk Archive v1.1
    bytes.fromhex("da1615d011e29a62"): Kind.SNAPSHOT_ARCHIVE,  # Proxmox Backup Snapshot Archive v1.1
    bytes.fromhex("6210369bba10331d"): Kind.SNAPSHOT_ARCHIVE,  # Proxmox Backup Snapshot Archive v1.2
    bytes.fromhex("b7cfc7259e991e73"): Kind.CATALOG_ARCHIVE,  # Proxmox Backup Catalog Archive v1.0
    bytes.fromhex("b3ec71f0adec0260"): Kind.CATALOG_ARCHIVE,  # Proxmox Backup Catalog Archive v1.1
    FILE: Kind.FILE,
}

# Never released, and refused by Proxmox Backup itself.
REFUSED = {
    # Proxmox Backup Chunk Archive v1.0
    bytes.fromhex("3eada75f314c066e"): "unexpected chunk archive version (v1.0)",
    # Proxmox Backup Snapshot Archive v1.0
    bytes.fromhex("09b6021f7de87285"): "unexpected snapshot archive version (v1.0)",
}

_BLOCK = struct.Struct("<8sII")             # magic; flags (8 bits) and size (24 bits); sequence number
_END, _INCOMPLETE = 0x01, 0x02
_CONTENT = struct.Struct("<8s8s16sqIB3x")


@dataclass(frozen=True)
class BlockHeader:
    """The first 16 bytes of a block: how much payload follows, and its place in the file."""

    size: int
    sequence: int
    end: bool = False
    incomplete: bool = False                # only says something where ``end`` does

    def pack_into(self, block: memoryview | bytearray) -> None:
        """Write the header over the first bytes of ``block``."""
        flags = _END * self.end | _INCOMPLETE * self.incomplete
        _BLOCK.pack_into(block, 0, BLOCK_MAGIC, flags | self.size << 8, self.sequence)

    @classmethod
    def unpack(cls, block: memoryview | bytes, length: int, sequence: int) -> BlockHeader:
        """The header of a block of ``length`` bytes that should be number ``sequence`` of its file.

        Raises MalformedData with the first rule it breaks.
        """
        if length != BLOCK:
            raise MalformedData(f"got wrong block size ({length} != {BLOCK})")
        found, word, number = _BLOCK.unpack_from(block)
        flags, size = word & 0xFF, word >> 8
        if found != BLOCK_MAGIC:
            raise MalformedData(
                "got tape block with unknown magic number - not written by PBS or incompatible LTO version"
            )
        if number != sequence:
            raise MalformedData(f"detected tape block with wrong sequence number ({number} != {sequence})")
        if size > PAYLOAD:
            raise MalformedData(f"detected tape block with wrong payload size ({size} > {PAYLOAD})")
        if size == 0 and not flags & _END:
            raise MalformedData("detected tape block with zero payload size")
        return cls(size, number, bool(flags & _END), bool(flags & _INCOMPLETE))


@dataclass(frozen=True)
class ContentHeader:
    """The first 48 bytes of a file's payload: what it is and how much header data follows."""

    content_magic: bytes
    uuid: bytes                              # of this stream, 16 bytes
    ctime: int                               # seconds since the epoch
    size: int                                # bytes of header data behind this header
    part: int = 0                            # of a file that spans cartridges

    def pack(self) -> bytes:
        """The 48 bytes."""
        return _CONTENT.pack(CONTENT_MAGIC, self.content_magic, self.uuid, self.ctime, self.size, self.part)

    @classmethod
    def unpack(cls, payload: memoryview | bytes) -> ContentHeader:
        """The header at the start of ``payload``.  Raises MalformedData."""
        if len(payload) < CONTENT_HEADER:
            raise MalformedData("MediaContentHeader: failed to fill whole buffer")
        found, content_magic, stream, ctime, size, part = _CONTENT.unpack_from(payload)
        if found != CONTENT_MAGIC:
            raise MalformedData("MediaContentHeader: wrong magic")
        return cls(content_magic, stream, ctime, size, part)

    @property
    def kind(self) -> Kind:
        """What the file holds."""
        return KINDS.get(self.content_magic, Kind.UNKNOWN)

    def check(self, content_magic: bytes) -> None:
        """Raises MalformedData unless this is a header of that kind with 1 to 65536 bytes of header data."""
        if self.content_magic != content_magic:
            raise MalformedData("MediaContentHeader: wrong content magic")
        if not 1 <= self.size <= HEADER_DATA_LIMIT:
            raise MalformedData("MediaContentHeader: got unexpected size")


def kind_of(payload: memoryview | bytes) -> Kind:
    """What a file holds whose payload begins with ``payload``."""
    try:
        return ContentHeader.unpack(payload).kind
    except MalformedData:
        return Kind.UNKNOWN


def content(
    content_magic: bytes, data: bytes, *, stream_uuid: uuid.UUID | None = None, ctime: int | None = None
) -> bytes:
    """A content header and the header ``data`` behind it; by default a fresh UUID, and now.

    Raises InvalidOption for a magic that is not 8 bytes, or more than 65536 bytes of data.
    """
    if len(content_magic) != 8:
        raise InvalidOption(f"a content magic has 8 bytes, not {len(content_magic)}")
    if len(data) > HEADER_DATA_LIMIT:
        raise InvalidOption(f"the header has {len(data)} bytes, more than {HEADER_DATA_LIMIT}")
    stream = stream_uuid or uuid.uuid4()
    when = int(time.time()) if ctime is None else ctime
    return ContentHeader(content_magic, stream.bytes, when, len(data)).pack() + data


@dataclass(frozen=True)
class FileHeader:
    """What a file of ours says of itself."""

    name: str = ""
    attributes: dict[str, Any] | None = None

    def pack(self, *, stream_uuid: uuid.UUID | None = None, ctime: int | None = None) -> bytes:
        """The bytes before the caller's.  Raises InvalidOption for too much, or what JSON cannot say."""
        value: json_text.Object = {"name": self.name}
        if self.attributes:
            value["attributes"] = self.attributes
        try:
            data = json_text.dump(value)
        except json_text.BadJson as exc:
            raise InvalidOption(
                f"name or attributes cannot be written as JSON: {exc};"
                " give text, numbers, truth values, lists and dictionaries of these"
            ) from exc
        return content(FILE, data, stream_uuid=stream_uuid, ctime=ctime)

    @classmethod
    def unpack(cls, payload: memoryview | bytes) -> tuple[FileHeader, int]:
        """The header at the start of a file's ``payload``, and how many bytes it takes.

        Raises MalformedData.
        """
        header = ContentHeader.unpack(payload)
        header.check(FILE)
        length = CONTENT_HEADER + header.size
        if length > len(payload):
            raise MalformedData("MediaContentHeader: failed to fill whole buffer")
        try:
            value = json_text.load(bytes(payload[CONTENT_HEADER:length]))
            name = json_text.optional_text(value, "name") or ""
            attributes = json_text.optional_object(value, "attributes")
        except json_text.BadJson as exc:
            raise MalformedData(f"unable to parse file header - {exc}") from exc
        return cls(name, attributes), length
