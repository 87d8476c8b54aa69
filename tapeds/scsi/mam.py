# SPDX-License-Identifier: LGPL-2.1-or-later
"""Table: the attributes of medium auxiliary memory, the chip in a cartridge.  Ref: [SPC-5]; [SSC-5].

Capacities (0000h, 0001h, 0220h to 0223h) are in MiB; the volume change reference (0009h) is another
number whenever the medium was written to.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from tapeds.scsi.spc.attribute import Attribute, Format


class Form(enum.Enum):
    """How people read a value."""

    NUMBER = "number"
    BINARY = "binary"
    ASCII = "ascii"
    TEXT = "text"


@dataclass(frozen=True)
class Row:
    """One attribute: its size in bytes (None: as long as it is) and what it is called."""

    size: int | None
    form: Form
    name: str


N, B, A, T = Form.NUMBER, Form.BINARY, Form.ASCII, Form.TEXT

# Device attributes: the drive keeps them.
REMAINING_CAPACITY = 0x0000
MAXIMUM_CAPACITY = 0x0001
LOAD_COUNT = 0x0003
VOLUME_CHANGE_REFERENCE = 0x0009
# Medium attributes: the manufacturer wrote them.
MEDIUM_SERIAL_NUMBER = 0x0401
MANUFACTURE_DATE = 0x0406
# Host attributes: ours to write.
APPLICATION_VENDOR = 0x0800
APPLICATION_NAME = 0x0801
APPLICATION_VERSION = 0x0802
USER_MEDIUM_TEXT_LABEL = 0x0803
BARCODE = 0x0806
MEDIA_POOL = 0x0808

ATTRIBUTES = {
    0x0000: Row(8, N, "Remaining Capacity In Partition"),
    0x0001: Row(8, N, "Maximum Capacity In Partition"),
    0x0002: Row(8, B, "TapeAlert Flags"),
    0x0003: Row(8, N, "Load Count"),
    0x0004: Row(8, N, "MAM Space Remaining"),
    0x0005: Row(8, A, "Assigning Organization"),
    0x0006: Row(1, B, "Formatted Density Code"),
    0x0007: Row(2, N, "Initialization Count"),
    0x0008: Row(32, A, "Volume Identifier"),
    0x0009: Row(4, B, "Volume Change Reference"),
    0x020A: Row(40, A, "Device Vendor/Serial Number at Last Load"),
    0x020B: Row(40, A, "Device Vendor/Serial Number at Load-1"),
    0x020C: Row(40, A, "Device Vendor/Serial Number at Load-2"),
    0x020D: Row(40, A, "Device Vendor/Serial Number at Load-3"),
    0x0220: Row(8, N, "Total MBytes Written in Medium Life"),
    0x0221: Row(8, N, "Total MBytes Read In Medium Life"),
    0x0222: Row(8, N, "Total MBytes Written in Current/Last Load"),
    0x0223: Row(8, N, "Total MBytes Read in Current/Last Load"),
    0x0224: Row(8, B, "Logical Position of First Encrypted Block"),
    0x0225: Row(8, B, "Logical Position of First Unencrypted Block After the First Encrypted Block"),
    0x0340: Row(90, B, "Medium Usage History"),
    0x0341: Row(60, B, "Partition Usage History"),
    0x0400: Row(8, A, "Medium Manufacturer"),
    0x0401: Row(32, A, "Medium Serial Number"),
    0x0402: Row(4, N, "Medium Length"),                  # metres
    0x0403: Row(4, N, "Medium Width"),                   # 0.1 mm
    0x0404: Row(8, A, "Assigning Organization"),
    0x0405: Row(1, B, "Medium Density Code"),
    0x0406: Row(8, A, "Medium Manufacture Date"),        # YYYYMMDD
    0x0407: Row(8, N, "MAM Capacity"),
    0x0408: Row(1, B, "Medium Type"),
    0x0409: Row(2, B, "Medium Type Information"),
    0x040A: Row(None, B, "Numeric Medium Serial Number"),
    0x040B: Row(10, B, "Supported Density Codes"),
    0x0800: Row(8, A, "Application Vendor"),
    0x0801: Row(32, A, "Application Name"),
    0x0802: Row(8, A, "Application Version"),
    0x0803: Row(160, T, "User Medium Text Label"),
    0x0804: Row(12, A, "Date And Time Last Written"),
    0x0805: Row(1, B, "Text Localization Identifier"),
    0x0806: Row(32, A, "Barcode"),
    0x0807: Row(80, T, "Owning Host Textual Name"),
    0x0808: Row(160, T, "Media Pool"),
    0x0809: Row(16, A, "Partition User Text Label"),
    0x080A: Row(1, B, "Load/Unload At Partition"),
    0x080B: Row(16, A, "Application Format Version"),
    0x080C: Row(None, B, "Volume Coherency Information"),
    0x0820: Row(36, B, "Medium Globally Unique Identifier"),
    0x0821: Row(36, B, "Media Pool Globally Unique Identifier"),
    0x1000: Row(28, B, "Unique Cartridge Identity"),
    0x1001: Row(24, B, "Alternate Unique Cartridge Identity"),
}

_FORMATS = {N: Format.BINARY, B: Format.BINARY, A: Format.ASCII, T: Format.TEXT}


def show(attribute: Attribute) -> str:
    """The value as people read it; binary and unknown ones in hexadecimal."""
    row = ATTRIBUTES.get(attribute.identifier)
    if row is not None and row.form is Form.NUMBER:
        return str(int.from_bytes(attribute.value, "big"))
    if attribute.format is Format.BINARY:
        return attribute.value.hex()
    return attribute.value.decode("utf-8", "replace").strip(" \0")


def number(attribute: Attribute) -> int | None:
    """The value as a number; None where it is empty or all ones, which says that nobody knows."""
    if not attribute.value or attribute.value == b"\xff" * len(attribute.value):
        return None
    return int.from_bytes(attribute.value, "big")


def host_attribute(identifier: int, text: str) -> Attribute:
    """A text as WRITE ATTRIBUTE takes it, filled up with NULs; no text deletes the attribute.

    Raises ValueError for a text that is too long, is not ASCII where it must be, or an attribute
    that holds no text.
    """
    row = ATTRIBUTES[identifier]
    if row.form not in (Form.ASCII, Form.TEXT) or row.size is None:
        raise ValueError(f"attribute {identifier:04X}h holds no text")
    data = text.encode("ascii" if row.form is Form.ASCII else "utf-8")
    if len(data) > row.size:
        raise ValueError(f"{row.name} takes {row.size} bytes, not {len(data)}")
    return Attribute(
        identifier=identifier,
        format=_FORMATS[row.form],
        value=data.ljust(row.size, b"\0") if data else b"",
    )
