# SPDX-License-Identifier: LGPL-2.1-or-later
"""Vital product data, the pages of INQUIRY: 00h 80h 83h, and B0h B1h B2h of tape drives."""

from __future__ import annotations

from dataclasses import dataclass

from tapeds.layout import Layout, OpenEnum, announced, bit, bits, constant, raw, u8


def _text(data: bytes) -> str:
    return data.decode("ascii", "replace").strip(" \0")


class SupportedPages(Layout, size=4):
    """Page 00h: the pages there are.  Ref: [SPC-5]."""

    page_code = constant(u8(1), 0x00)
    page_length = announced(2, 2, after=4)
    pages: bytes = raw(4)                                # one byte each


class UnitSerialNumber(Layout, size=4):
    """Page 80h.  Ref: [SPC-5]."""

    page_code = constant(u8(1), 0x80)
    page_length = announced(2, 2, after=4)
    number: bytes = raw(4)

    @property
    def serial(self) -> str:
        """The serial number, without the blanks around it."""
        return _text(self.number)


class CodeSet(OpenEnum):
    """How a designator is written."""

    BINARY = 1
    ASCII = 2
    UTF8 = 3


class Association(OpenEnum):
    """What a designator designates."""

    LOGICAL_UNIT = 0
    TARGET_PORT = 1
    TARGET_DEVICE = 2


class DesignatorType(OpenEnum):
    """Who gave it, and how it is built."""

    VENDOR_SPECIFIC = 0
    T10_VENDOR_ID = 1
    EUI64 = 2
    NAA = 3
    RELATIVE_TARGET_PORT = 4
    TARGET_PORT_GROUP = 5
    LOGICAL_UNIT_GROUP = 6
    MD5 = 7
    SCSI_NAME = 8
    PROTOCOL_PORT = 9
    UUID = 10


class DesignatorHeader(Layout, size=4):
    """The head of a designation descriptor.  Ref: [SPC-5]."""

    protocol: int = bits(0, 7, 4)
    code_set: CodeSet = bits(0, 3, 0, CodeSet)
    protocol_valid: bool = bit(1, 7)                     # PIV
    association: Association = bits(1, 5, 4, Association)
    kind: DesignatorType = bits(1, 3, 0, DesignatorType)
    length = announced(3, 1, after=4)
    designator: bytes = raw(4)


@dataclass(frozen=True)
class Designator:
    """One name of a device, a port or a logical unit."""

    kind: DesignatorType
    association: Association
    code_set: CodeSet
    designator: bytes
    protocol: int | None = None          # of the port, where it says so

    @property
    def text(self) -> str:
        """The designator as people read it: hexadecimal where it is binary."""
        return self.designator.hex() if self.code_set is CodeSet.BINARY else _text(self.designator)


class DeviceIdentification(Layout, size=4):
    """Page 83h.  Ref: [SPC-5]."""

    page_code = constant(u8(1), 0x83)
    page_length = announced(2, 2, after=4)
    descriptors: bytes = raw(4)

    @property
    def designators(self) -> list[Designator]:
        """All designators that are there in full."""
        return [
            Designator(
                one.kind,
                one.association,
                one.code_set,
                one.designator,
                one.protocol if one.protocol_valid else None,
            )
            for one in DesignatorHeader.each(self.descriptors)
        ]

    @property
    def naa(self) -> str | None:
        """The logical unit's world wide name, 16 or 32 hexadecimal digits."""
        for one in self.designators:
            if (one.kind, one.association) == (DesignatorType.NAA, Association.LOGICAL_UNIT):
                return one.designator.hex()
        return None


class TapeCapabilities(Layout, size=6):
    """Page B0h, Sequential-access Device Capabilities.  Ref: [SSC-5]."""

    page_code = constant(u8(1), 0xB0)
    page_length = announced(2, 2, after=4)
    mirroring: bool = bit(4, 1, default=False)           # TSMC
    worm: bool = bit(4, 0, default=False)                # WORM media are supported


class ManufacturerSerialNumber(Layout, size=4):
    """Page B1h, the serial number as the manufacturer gave it.  Ref: [SSC-5]."""

    page_code = constant(u8(1), 0xB1)
    page_length = announced(2, 2, after=4)
    number: bytes = raw(4)

    @property
    def serial(self) -> str:
        """The serial number, without the blanks around it."""
        return _text(self.number)


class SupportedTapeAlerts(Layout, size=12):
    """Page B2h: which TapeAlert flags the drive may raise, the first in the highest bit.  Ref: [SSC-5]."""

    page_code = constant(u8(1), 0xB2)
    page_length = announced(2, 2, after=4)
    flags: bytes | None = raw(4, 8, default=None)
