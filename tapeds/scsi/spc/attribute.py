# SPDX-License-Identifier: LGPL-2.1-or-later
"""READ ATTRIBUTE and WRITE ATTRIBUTE: the memory in the cartridge.  What is in it is in `tapeds.scsi.mam`."""

from __future__ import annotations

from tapeds.layout import Layout, OpenEnum, announced, bit, bits, raw, u8, u16, u32
from tapeds.scsi.command import Command, Duration


class ReadAttributeValues(Command, opcode=0x8C, service_action=0x00, size=16, duration=Duration.QUERY):
    """READ ATTRIBUTE, ATTRIBUTE VALUES: from identifier ``first`` on.  Ref: [SPC-5]."""

    volume: int = u8(5, default=0)
    partition: int = u8(7, default=0)
    first: int = u16(8, default=0)
    allocation_length: int = u32(10)
    cached: bool = bit(14, 0, default=False)             # CACHE: need not be read from the chip anew


class ReadAttributeList(Command, opcode=0x8C, service_action=0x01, size=16, duration=Duration.QUERY):
    """READ ATTRIBUTE, ATTRIBUTE LIST: which there are.  Ref: [SPC-5]."""

    volume: int = u8(5, default=0)
    partition: int = u8(7, default=0)
    first: int = u16(8, default=0)
    allocation_length: int = u32(10)
    cached: bool = bit(14, 0, default=False)


class WriteAttribute(Command, opcode=0x8D, size=16, duration=Duration.QUERY):
    """WRITE ATTRIBUTE: ``write_through`` (WTC) waits until the chip has them.  Ref: [SPC-5]."""

    write_through: bool = bit(1, 0, default=False)
    volume: int = u8(5, default=0)
    partition: int = u8(7, default=0)
    parameter_list_length: int = u32(10)


class Format(OpenEnum):
    """How the value of an attribute is written."""

    BINARY = 0
    ASCII = 1
    TEXT = 2


class Attribute(Layout, size=5):
    """One attribute as the device has it, or as it shall be; without a value it is deleted.  Ref: [SPC-5]."""

    identifier: int = u16(0)
    read_only: bool = bit(2, 7, default=False)
    format: Format = bits(2, 1, 0, Format, default=Format.BINARY)
    length = announced(3, 2, after=5)
    value: bytes = raw(5)


class AttributeData(Layout, size=4):
    """The head of the attributes in a reply and in a parameter list."""

    length = announced(0, 4, after=4)
    attributes: bytes = raw(4)


class Identifier(Layout, size=2):
    """One entry of ATTRIBUTE LIST."""

    identifier: int = u16(0)


def read_values(data: bytes) -> dict[int, Attribute]:
    """The reply to ATTRIBUTE VALUES, as far as attributes are there in full.  Raises Malformed."""
    reply = AttributeData.from_bytes(data)
    return {one.identifier: one for one in Attribute.each(reply.attributes)}


def read_list(data: bytes) -> list[int]:
    """The reply to ATTRIBUTE LIST.  Raises Malformed."""
    reply = AttributeData.from_bytes(data)
    return [one.identifier for one in Identifier.each(reply.attributes)]


def parameter_list(*attributes: Attribute) -> bytes:
    """What WRITE ATTRIBUTE is given."""
    return AttributeData(attributes=b"".join(one.to_bytes() for one in attributes)).to_bytes()
