# SPDX-License-Identifier: LGPL-2.1-or-later
"""Vital product data pages."""

from __future__ import annotations

import pytest

from support.lone import lone_flags_decode
from tapeds.layout import Malformed
from tapeds.scsi.log_pages.tape_alert import TapeAlert, flags
from tapeds.scsi.spc.vpd import (
    Association,
    CodeSet,
    DesignatorType,
    DeviceIdentification,
    ManufacturerSerialNumber,
    SupportedPages,
    SupportedTapeAlerts,
    TapeCapabilities,
    UnitSerialNumber,
)


def test_page_00h_lists_the_pages() -> None:
    page = SupportedPages.from_bytes(bytes.fromhex("01 00 00 07 00 80 83 b0 b1 b2 b3 ff ff"))
    assert page.pages.hex(" ") == "00 80 83 b0 b1 b2 b3"


def test_page_80h_is_the_serial_number() -> None:
    page = UnitSerialNumber.from_bytes(bytes.fromhex("01 80 00 0a 31 30 57 54 30 36 35 33 32 35 58"))
    assert page.serial == "10WT065325"
    page = UnitSerialNumber.from_bytes(bytes.fromhex("01 80 00 06 20 20 59 4b 31 20"))
    assert page.serial == "YK1"


def test_another_page_is_malformed() -> None:
    with pytest.raises(Malformed, match="page_code is not 0x0"):
        SupportedPages.from_bytes(bytes.fromhex("01 80 00 02 31 32"))
    with pytest.raises(Malformed, match="page_code is not 0x80"):
        UnitSerialNumber.from_bytes(bytes.fromhex("01 83 00 02 31 32"))


def test_page_83h_names_the_logical_unit_and_the_port() -> None:
    page = DeviceIdentification.from_bytes(
        bytes.fromhex(
            "01 83 00 2e"
            " 02 01 00 12 49 42 4d 20 20 20 20 20 31 30 57 54 30 36 35 33 32 35"  # T10 vendor ID
            " 01 03 00 08 50 05 07 63 12 00 00 01"  # NAA of the logical unit
            " 61 94 00 04 00 00 00 02"  # port 2, SAS
            " ee"  # not announced
        )
    )
    vendor, naa, port = page.designators
    assert (vendor.kind, vendor.code_set, vendor.text) == (
        DesignatorType.T10_VENDOR_ID,
        CodeSet.ASCII,
        "IBM     10WT065325",
    )
    assert vendor.protocol is None
    assert (naa.kind, naa.association) == (DesignatorType.NAA, Association.LOGICAL_UNIT)
    assert (naa.code_set, naa.text) == (CodeSet.BINARY, "5005076312000001")
    assert naa.protocol is None
    assert (port.kind, port.association) == (DesignatorType.RELATIVE_TARGET_PORT, Association.TARGET_PORT)
    assert (port.protocol, port.designator.hex()) == (6, "00000002")
    assert page.naa == "5005076312000001"


def test_the_announced_length_of_page_83h_counts() -> None:
    page = DeviceIdentification.from_bytes(
        bytes.fromhex("01 83 00 08 01 03 00 04 11 22 33 44 01 03 00 04 aa bb cc dd")
    )
    assert page.naa == "11223344"
    assert len(page.designators) == 1


def test_a_page_83h_without_a_world_wide_name_has_none() -> None:
    page = DeviceIdentification.from_bytes(bytes.fromhex("01 83 00 08 01 13 00 04 11 22 33 44"))
    assert page.naa is None
    assert page.designators[0].association is Association.TARGET_PORT


def test_a_designator_that_is_cut_short_is_left_out() -> None:
    page = DeviceIdentification.from_bytes(bytes.fromhex("01 83 00 10 01 03 00 08 50 05 07"))
    assert page.designators == []


def test_page_b0h_says_whether_worm_media_can_be_used() -> None:
    flags = {"mirroring": (4, 0x02), "worm": (4, 0x01)}
    lone_flags_decode(TapeCapabilities, "01 b0 00 02 00 00", flags)


def test_page_b0h_without_a_body_says_no() -> None:
    page = TapeCapabilities.from_bytes(bytes.fromhex("01 b0 00 00 ff ff"))
    assert not page.worm
    assert TapeCapabilities.from_bytes(bytes.fromhex("01 b0 00 01 02")).mirroring


def test_page_b1h_is_the_manufacturers_serial_number() -> None:
    page = ManufacturerSerialNumber.from_bytes(bytes.fromhex("01 b1 00 04 59 4b 31 32 33"))
    assert page.serial == "YK12"


def test_page_b2h_says_which_tape_alerts_can_come() -> None:
    page = SupportedTapeAlerts.from_bytes(bytes.fromhex("01 b2 00 08 90 00 10 00 00 00 00 01 ff"))
    assert page.flags is not None
    assert page.flags.hex(" ") == "90 00 10 00 00 00 00 01"
    assert flags(page.flags) == {
        TapeAlert.READ_WARNING,
        TapeAlert.MEDIA,
        TapeAlert.CLEANING_REQUIRED,
        TapeAlert.RESERVED_64,
    }


def test_page_b2h_that_is_too_short_says_nothing() -> None:
    assert SupportedTapeAlerts.from_bytes(bytes.fromhex("01 b2 00 04 90 00 10 00 00 00 00 01")).flags is None
