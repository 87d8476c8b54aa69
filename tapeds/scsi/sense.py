# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sense data: why a device ended a command with CHECK CONDITION, in both of its formats.

Filemark, end of data and early warning come this way too: what is trouble is decided elsewhere.
Ref: [SPC-5] 4.4; the stream bits: [SSC-5] 4.2.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from tapeds.layout import Layout, Malformed, announced, bit, bits, raw, s32, s64, u8, u16
from tapeds.scsi import asc as texts
from tapeds.scsi.command import Status


class SenseKey(enum.IntEnum):
    """What kind of condition it is."""

    NO_SENSE = 0x0
    RECOVERED_ERROR = 0x1
    NOT_READY = 0x2
    MEDIUM_ERROR = 0x3
    HARDWARE_ERROR = 0x4
    ILLEGAL_REQUEST = 0x5
    UNIT_ATTENTION = 0x6
    DATA_PROTECT = 0x7
    BLANK_CHECK = 0x8
    VENDOR_SPECIFIC = 0x9
    COPY_ABORTED = 0xA
    ABORTED_COMMAND = 0xB
    RESERVED = 0xC
    VOLUME_OVERFLOW = 0xD
    MISCOMPARE = 0xE
    COMPLETED = 0xF


class FixedSense(Layout, size=18):
    """Fixed format, response codes 70h and 71h.  Ref: [SPC-5] 4.4.3."""

    valid: bool = bit(0, 7, default=False)               # whether information is
    response_code: int = bits(0, 6, 0)
    filemark: bool = bit(2, 7, default=False)
    end_of_medium: bool = bit(2, 6, default=False)
    incorrect_length: bool = bit(2, 5, default=False)
    key: SenseKey = bits(2, 3, 0, SenseKey)
    information: int | None = s32(3, default=None)
    additional_length = announced(7, 1, after=8)
    command_specific: int | None = s32(8, default=None)
    asc: int = u8(12, default=0)
    ascq: int = u8(13, default=0)
    unit: int = u8(14, default=0)                        # field replaceable unit code
    key_specific: bytes | None = raw(15, 3, default=None)


class DescriptorSense(Layout, size=8):
    """Descriptor format, response codes 72h and 73h, without its descriptors.  Ref: [SPC-5] 4.4.2."""

    response_code: int = bits(0, 6, 0)
    key: SenseKey = bits(1, 3, 0, SenseKey)
    asc: int = u8(2, default=0)
    ascq: int = u8(3, default=0)
    additional_length = announced(7, 1, after=8)
    descriptors: bytes = raw(8)


class Descriptor(Layout, size=2):
    """What all sense data descriptors begin with."""

    kind: int = u8(0)
    length = announced(1, 1, after=2)
    whole: bytes = raw(0)


class InformationDescriptor(Layout, size=12):
    """Type 00h."""

    valid: bool = bit(2, 7, default=False)
    information: int | None = s64(4, default=None)


class CommandSpecificDescriptor(Layout, size=12):
    """Type 01h."""

    command_specific: int | None = s64(4, default=None)


class KeySpecificDescriptor(Layout, size=8):
    """Type 02h."""

    key_specific: bytes | None = raw(4, 3, default=None)


class UnitDescriptor(Layout, size=4):
    """Type 03h."""

    unit: int = u8(3, default=0)


class StreamDescriptor(Layout, size=4):
    """Type 04h, stream commands."""

    filemark: bool = bit(3, 7, default=False)
    end_of_medium: bool = bit(3, 6, default=False)
    incorrect_length: bool = bit(3, 5, default=False)


class KeySpecific(Layout, size=3):
    """The three bytes that mean something else for each sense key.  Ref: [SPC-5] 4.4.2.4."""

    valid: bool = bit(0, 7, default=False)               # SKSV
    in_command: bool = bit(0, 6, default=False)          # C/D: the CDB is wrong, not the parameters
    bit_valid: bool = bit(0, 3, default=False)           # BPV
    bit_pointer: int = bits(0, 2, 0, default=0)
    value: int = u16(1, default=0)                       # progress of 65536, or the byte that is wrong


@dataclass(frozen=True)
class FieldPointer:
    """The place that a device refused: byte, bit, and whether in the CDB or in the parameter list."""

    byte: int
    bit: int | None
    in_command: bool


@dataclass(frozen=True)
class Sense:
    """Sense data of either format.

    ``information`` of a READ with ILI is the requested length less that of the block, negative if the
    block is longer; of SPACE it is what is left to be spaced over.
    """

    key: SenseKey
    asc: int = 0
    ascq: int = 0
    deferred: bool = False               # an earlier command failed; the one just sent may be fine
    filemark: bool = False
    end_of_medium: bool = False          # also early warning, and the beginning when spacing backwards
    incorrect_length: bool = False
    information: int | None = None
    command_specific: int | None = None
    unit: int = 0
    progress: float | None = None        # of the operation under way, 0 to 1
    pointer: FieldPointer | None = None
    raw: bytes = b""

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview) -> Sense:
        """The sense data in ``data``, of which bytes may be missing at the end.

        Raises Malformed where there is no sense key, or a response code other than 70h to 73h.
        """
        data = bytes(data)
        match data[0] & 0x7F if data else None:
            case 0x70 | 0x71:
                return cls._fixed(data)
            case 0x72 | 0x73:
                return cls._descriptor(data)
        raise Malformed(f"no sense data: {data[:32].hex(' ')}")

    @classmethod
    def _fixed(cls, data: bytes) -> Sense:
        sense = FixedSense.from_bytes(data)
        progress, pointer = _key_specific(sense.key, sense.key_specific)
        return cls(
            sense.key,
            sense.asc,
            sense.ascq,
            deferred=sense.response_code == 0x71,
            filemark=sense.filemark,
            end_of_medium=sense.end_of_medium,
            incorrect_length=sense.incorrect_length,
            information=sense.information if sense.valid else None,
            command_specific=sense.command_specific,
            unit=sense.unit,
            progress=progress,
            pointer=pointer,
            raw=data,
        )

    @classmethod
    def _descriptor(cls, data: bytes) -> Sense:
        sense = DescriptorSense.from_bytes(data)
        found = {one.kind: one.whole for one in Descriptor.each(sense.descriptors)}
        information = InformationDescriptor.from_bytes(found.get(0x00, b""))
        stream = StreamDescriptor.from_bytes(found.get(0x04, b""))
        specific = KeySpecificDescriptor.from_bytes(found.get(0x02, b""))
        progress, pointer = _key_specific(sense.key, specific.key_specific)
        return cls(
            sense.key,
            sense.asc,
            sense.ascq,
            deferred=sense.response_code == 0x73,
            filemark=stream.filemark,
            end_of_medium=stream.end_of_medium,
            incorrect_length=stream.incorrect_length,
            information=information.information if information.valid else None,
            command_specific=CommandSpecificDescriptor.from_bytes(found.get(0x01, b"")).command_specific,
            unit=UnitDescriptor.from_bytes(found.get(0x03, b"")).unit,
            progress=progress,
            pointer=pointer,
            raw=data,
        )

    @property
    def code(self) -> tuple[SenseKey, int, int]:
        """Key, ASC and ASCQ."""
        return self.key, self.asc, self.ascq

    @property
    def text(self) -> str:
        """T10's words for the additional sense code."""
        return texts.text(self.asc, self.ascq)

    def __str__(self) -> str:
        deferred = "deferred " if self.deferred else ""
        return f"{deferred}{self.key.name} {self.asc:02X}h/{self.ascq:02X}h {self.text}"


def _key_specific(key: SenseKey, data: bytes | None) -> tuple[float | None, FieldPointer | None]:
    specific = KeySpecific.from_bytes(data or b"")
    if not specific.valid:
        return None, None
    if key in (SenseKey.NO_SENSE, SenseKey.NOT_READY):
        return specific.value / 65536, None
    if key is SenseKey.ILLEGAL_REQUEST:
        where = specific.bit_pointer if specific.bit_valid else None
        return None, FieldPointer(specific.value, where, specific.in_command)
    return None, None


class ScsiError(Exception):
    """A command did not end with GOOD.  Lives between `transport` and the devices; never seen above."""


class CheckCondition(ScsiError):
    """A command ended with CHECK CONDITION; ``sense`` says why."""

    def __init__(self, sense: Sense, title: str = "") -> None:
        super().__init__(f"{title}: {sense}" if title else str(sense))
        self.sense = sense


class UnexpectedStatus(ScsiError):
    """A command ended with neither GOOD nor CHECK CONDITION: busy, queue full, reserved by another."""

    def __init__(self, status: Status, title: str = "") -> None:
        text = f"status {status:02X}h {status.name}"
        super().__init__(f"{title}: {text}" if title else text)
        self.status = status
