# SPDX-License-Identifier: LGPL-2.1-or-later
"""REWIND, SPACE, LOCATE and READ POSITION: where the head is, and where it shall go."""

from __future__ import annotations

from tapeds.layout import Layout, OpenEnum, announced, bit, bits, s24, s64, u8, u16, u24, u32, u64
from tapeds.scsi.command import Command, Duration


class Rewind(Command, opcode=0x01, size=6, duration=Duration.REWIND):
    """REWIND: to the beginning of the partition.  Ref: [SSC-5]."""

    immediate: bool = bit(1, 0, default=False)


class SpaceCode(OpenEnum):
    """What SPACE counts."""

    BLOCKS = 0
    FILEMARKS = 1
    SEQUENTIAL_FILEMARKS = 2
    END_OF_DATA = 3


class Space6(Command, opcode=0x11, size=6, duration=Duration.POSITION):
    """SPACE(6): skip blocks or filemarks, backwards if negative.  Ref: [SSC-5]."""

    code: SpaceCode = bits(1, 3, 0, SpaceCode)
    count: int = s24(2, default=0)


class Space16(Command, opcode=0x91, size=16, duration=Duration.POSITION):
    """SPACE(16): skip blocks or filemarks, backwards if negative.  Ref: [SSC-5]."""

    code: SpaceCode = bits(1, 3, 0, SpaceCode)
    count: int = s64(4, default=0)


class Locate10(Command, opcode=0x2B, size=10, duration=Duration.POSITION):
    """LOCATE(10): to a logical object by its number.  Ref: [SSC-5]."""

    change_partition: bool = bit(1, 1, default=False)                # CP
    immediate: bool = bit(1, 0, default=False)
    logical_object: int = u32(3)
    partition: int = u8(8, default=0)


class DestType(OpenEnum):
    """What LOCATE(16) goes to."""

    LOGICAL_OBJECT = 0
    LOGICAL_FILE = 1
    END_OF_DATA = 3


class Locate16(Command, opcode=0x92, size=16, duration=Duration.POSITION):
    """LOCATE(16): to a logical object, a logical file, or end of data.  Ref: [SSC-5]."""

    dest_type: DestType = bits(1, 5, 3, DestType, default=DestType.LOGICAL_OBJECT)
    change_partition: bool = bit(1, 1, default=False)                # CP
    immediate: bool = bit(1, 0, default=False)
    partition: int = u8(3, default=0)
    logical_identifier: int = u64(4, default=0)


class ReadPositionShort(Command, opcode=0x34, service_action=0x00, size=10, duration=Duration.QUERY):
    """READ POSITION, short form: 20 bytes, with what is still in the buffer.  Ref: [SSC-5]."""


class ReadPositionLong(Command, opcode=0x34, service_action=0x06, size=10, duration=Duration.QUERY):
    """READ POSITION, long form: 32 bytes, the only one with the file number.  Ref: [SSC-5]."""


class ReadPositionExtended(Command, opcode=0x34, service_action=0x08, size=10, duration=Duration.QUERY):
    """READ POSITION, extended form: the short one for large numbers.  Ref: [SSC-5]."""

    allocation_length: int = u16(7)


class PositionShort(Layout, size=20):
    """Short form data.  Ref: [SSC-5]."""

    beginning: bool = bit(0, 7)                          # BOP
    end: bool = bit(0, 6, default=False)                 # EOP: between early warning and the end
    objects_unknown: bool = bit(0, 5, default=False)     # LOCU: objects_in_buffer is not valid
    bytes_unknown: bool = bit(0, 4, default=False)       # BYCU: bytes_in_buffer is not valid
    unknown: bool = bit(0, 2, default=False)             # LOLU: the two object numbers are not valid
    overflow: bool = bit(0, 1, default=False)            # PERR: a number does not fit; ask for another form
    early_warning: bool = bit(0, 0, default=False)       # BPEW: behind programmable early warning
    partition: int | None = u8(1, default=None)
    first: int | None = u32(4, default=None)             # the next object that host and buffer exchange
    last: int | None = u32(8, default=None)              # the next object that buffer and tape exchange
    objects_in_buffer: int | None = u24(13, default=None)
    bytes_in_buffer: int | None = u32(16, default=None)


class PositionLong(Layout, size=32):
    """Long form data.  Ref: [SSC-5]."""

    beginning: bool = bit(0, 7)                          # BOP
    end: bool = bit(0, 6, default=False)                 # EOP
    file_unknown: bool = bit(0, 3, default=False)        # MPU: logical_file is not valid
    unknown: bool = bit(0, 2, default=False)             # LONU: partition and object are not valid
    early_warning: bool = bit(0, 0, default=False)       # BPEW
    partition: int = u32(4)
    logical_object: int = u64(8)
    logical_file: int = u64(16)                          # filemarks before this place


class PositionExtended(Layout, size=32):
    """Extended form data.  Ref: [SSC-5]."""

    beginning: bool = bit(0, 7)                          # BOP
    end: bool = bit(0, 6, default=False)                 # EOP
    objects_unknown: bool = bit(0, 5, default=False)     # LOCU
    bytes_unknown: bool = bit(0, 4, default=False)       # BYCU
    unknown: bool = bit(0, 2, default=False)             # LOLU
    overflow: bool = bit(0, 1, default=False)            # PERR
    early_warning: bool = bit(0, 0, default=False)       # BPEW
    partition: int | None = u8(1, default=None)
    additional_length = announced(2, 2, after=4)
    objects_in_buffer: int | None = u24(5, default=None)
    first: int | None = u64(8, default=None)
    last: int | None = u64(16, default=None)
    bytes_in_buffer: int | None = u64(24, default=None)
