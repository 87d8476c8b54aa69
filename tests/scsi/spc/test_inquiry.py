# SPDX-License-Identifier: LGPL-2.1-or-later
"""INQUIRY and its standard data."""

from __future__ import annotations

import pytest

from support.lone import lone_flags_decode
from tapeds.layout import Malformed
from tapeds.scsi.spc.inquiry import Inquiry, PeripheralDeviceType, StandardInquiry

# A half-height LTO-8 drive of IBM: "IBM     ULT3580-HH8     N9M1".
LTO8 = (
    "01 80 06 02 1f 01 10 02"
    " 49 42 4d 20 20 20 20 20"
    " 55 4c 54 33 35 38 30 2d 48 48 38 20 20 20 20 20"
    " 4e 39 4d 31"
)


def test_inquiry_for_standard_data() -> None:
    assert Inquiry(allocation_length=36).to_bytes().hex(" ") == "12 00 00 00 24 00"


def test_inquiry_for_vital_product_data_names_the_page() -> None:
    cdb = Inquiry(vital=True, page=0x83, allocation_length=0x0241).to_bytes()
    assert cdb.hex(" ") == "12 01 83 02 41 00"


def test_a_tape_drive_tells_what_it_is() -> None:
    drive = StandardInquiry.from_bytes(bytes.fromhex(LTO8))
    assert (drive.device_type, drive.qualifier) == (PeripheralDeviceType.TAPE, 0)
    assert (drive.vendor, drive.product, drive.revision) == ("IBM", "ULT3580-HH8", "N9M1")
    assert (drive.version, drive.response_format) == (6, 2)


def test_qualifier_and_type_share_byte_0() -> None:
    absent = StandardInquiry.from_bytes(bytes.fromhex("7f"))
    assert (absent.qualifier, absent.device_type) == (3, PeripheralDeviceType.UNKNOWN)
    changer = StandardInquiry.from_bytes(bytes.fromhex("28"))
    assert (changer.qualifier, changer.device_type) == (1, PeripheralDeviceType.CHANGER)


def test_each_flag_is_a_bit_of_its_own() -> None:
    flags = {
        "removable": (1, 0x80),
        "protect": (5, 0x01),
        "multiport": (6, 0x10),
        "command_queuing": (7, 0x02),
    }
    lone_flags_decode(StandardInquiry, "01 00 06 02 1f 00 00 00" + 28 * " 20", flags)


def test_what_lies_beyond_the_additional_length_is_not_read() -> None:
    short = bytearray.fromhex(LTO8)
    short[4] = 0x1B  # 27: up to byte 31
    drive = StandardInquiry.from_bytes(short)
    assert (drive.product, drive.revision) == ("ULT3580-HH8", "")


def test_a_reply_that_ends_early_has_no_revision() -> None:
    drive = StandardInquiry.from_bytes(bytes.fromhex(LTO8)[:34])
    assert (drive.vendor, drive.product, drive.revision) == ("IBM", "ULT3580-HH8", "")
    assert StandardInquiry.from_bytes(b"\x01").version is None


def test_an_empty_reply_is_malformed() -> None:
    with pytest.raises(Malformed, match="no device_type in 0 bytes"):
        StandardInquiry.from_bytes(b"")


def test_an_unknown_device_type_is_a_value() -> None:
    kind = StandardInquiry.from_bytes(bytes.fromhex("1d")).device_type
    assert (kind, kind.known) == (0x1D, False)
