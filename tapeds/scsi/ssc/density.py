# SPDX-License-Identifier: LGPL-2.1-or-later
"""Density codes, and REPORT DENSITY SUPPORT.  A code that has no name here is a value like any other."""

from __future__ import annotations

from tapeds.layout import Layout, OpenEnum, announced, ascii, bit, raw, u8, u16, u24, u32
from tapeds.scsi.command import Command, Duration


class Density(OpenEnum):
    """Primary density codes.  Ref: [SSC-5]; [IBM-LTO] for the generations behind LTO-5."""

    DEFAULT = 0x00                       # as the drive likes, or no medium
    LTO_1 = 0x40
    LTO_2 = 0x42
    LTO_3 = 0x44
    LTO_4 = 0x46
    J1A = 0x51                           # IBM 3592
    E05 = 0x52
    E06 = 0x53
    E07 = 0x54
    E08 = 0x55
    LTO_5 = 0x58
    LTO_6 = 0x5A
    LTO_7 = 0x5C
    LTO_7_M8 = 0x5D                      # LTO-7 medium in LTO-8's format
    LTO_8 = 0x5E
    LTO_9 = 0x60
    LTO_10 = 0x62                        # 30 TB
    LTO_10P = 0x63                       # 40 TB
    UNCHANGED = 0x7F                     # in MODE SELECT


class ReportDensitySupport(Command, opcode=0x44, size=10, duration=Duration.QUERY):
    """REPORT DENSITY SUPPORT: of the drive, or with ``medium`` (MEDIA) of what is loaded.  Ref: [SSC-5]."""

    medium_types: bool = bit(1, 1, default=False)        # medium types in place of densities
    medium: bool = bit(1, 0, default=False)
    allocation_length: int = u16(7)


class DensitySupport(Layout, size=4):
    """The head of the reply."""

    length = announced(0, 2, after=2)
    descriptors: bytes = raw(4)

    @property
    def densities(self) -> list[DensityDescriptor]:
        """All density support data block descriptors that are there in full."""
        return list(DensityDescriptor.each(self.descriptors))


class DensityDescriptor(Layout, size=52):
    """What the drive can do in one format.  Ref: [SSC-5]."""

    primary: Density = u8(0, Density)
    secondary: Density = u8(1, Density)
    writable: bool = bit(2, 7)                           # WRTOK
    duplicate: bool = bit(2, 6)                          # DUP: the code stands in several descriptors
    default: bool = bit(2, 5)                            # DEFLT
    bits_per_mm: int = u24(5)
    width_tenth_mm: int = u16(8)
    tracks: int = u16(10)
    capacity_mb: int = u32(12)                           # 10^6 bytes
    organization: str = ascii(16, 8)
    name: str = ascii(24, 8)
    description: str = ascii(32, 20)
