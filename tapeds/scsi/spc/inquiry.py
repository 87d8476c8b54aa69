# SPDX-License-Identifier: LGPL-2.1-or-later
"""INQUIRY, and its standard data: what a device is.  The vital product data pages are in `vpd`."""

from __future__ import annotations

from tapeds.layout import Layout, OpenEnum, announced, ascii, bit, bits, u8, u16
from tapeds.scsi.command import Command, Duration


class Inquiry(Command, opcode=0x12, size=6, duration=Duration.QUERY):
    """INQUIRY: standard data, or with ``vital`` (EVPD) the vital product data page.  Ref: [SPC-5]."""

    vital: bool = bit(1, 0, default=False)
    page: int = u8(2, default=0)
    allocation_length: int = u16(3)


class PeripheralDeviceType(OpenEnum):
    """The kind of device."""

    DISK = 0x00
    TAPE = 0x01
    PROCESSOR = 0x03
    OPTICAL_DISC = 0x05
    CHANGER = 0x08
    STORAGE_ARRAY = 0x0C
    ENCLOSURE = 0x0D
    AUTOMATION_DRIVE_INTERFACE = 0x12
    UNKNOWN = 0x1F


class StandardInquiry(Layout, size=36):
    """Standard INQUIRY data.  Ref: [SPC-5]."""

    qualifier: int = bits(0, 7, 5, default=0)            # 0: connected; 3: no such logical unit
    device_type: PeripheralDeviceType = bits(0, 4, 0, PeripheralDeviceType)
    removable: bool = bit(1, 7, default=False)
    version: int | None = u8(2, default=None)
    response_format: int | None = bits(3, 3, 0, default=None)
    additional_length = announced(4, 1, after=5)
    protect: bool = bit(5, 0, default=False)             # logical block protection is possible
    multiport: bool = bit(6, 4, default=False)
    command_queuing: bool = bit(7, 1, default=False)
    vendor: str = ascii(8, 8, default="")
    product: str = ascii(16, 16, default="")
    revision: str = ascii(32, 4, default="")
