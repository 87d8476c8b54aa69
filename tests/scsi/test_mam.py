# SPDX-License-Identifier: LGPL-2.1-or-later
"""The table of attributes in a cartridge's memory."""

from __future__ import annotations

import pytest

from tapeds.scsi import mam
from tapeds.scsi.spc.attribute import Attribute, Format


@pytest.mark.parametrize(
    ("identifier", "size", "name"),
    [
        (mam.REMAINING_CAPACITY, 8, "Remaining Capacity In Partition"),
        (mam.LOAD_COUNT, 8, "Load Count"),
        (mam.VOLUME_CHANGE_REFERENCE, 4, "Volume Change Reference"),
        (mam.MEDIUM_SERIAL_NUMBER, 32, "Medium Serial Number"),
        (mam.MANUFACTURE_DATE, 8, "Medium Manufacture Date"),
        (mam.USER_MEDIUM_TEXT_LABEL, 160, "User Medium Text Label"),
        (mam.BARCODE, 32, "Barcode"),
        (mam.MEDIA_POOL, 160, "Media Pool"),
        (0x080C, None, "Volume Coherency Information"),
    ],
)
def test_an_attribute_has_a_size_and_a_name(identifier: int, size: int | None, name: str) -> None:
    row = mam.ATTRIBUTES[identifier]
    assert (row.size, row.name) == (size, name)


@pytest.mark.parametrize(
    ("identifier", "format", "value", "text"),
    [
        (0x0003, Format.BINARY, "00 00 00 00 00 00 00 2a", "42"),
        (0x0009, Format.BINARY, "00 00 01 7f", "0000017f"),
        (0x0401, Format.ASCII, "48 30 31 20 20 20", "H01"),
        (0x0803, Format.TEXT, "54 c3 a4 67 00 00", "Täg"),
        (0x1623, Format.BINARY, "01", "01"),
        (0x0803, Format.TEXT, "ff 41", "\N{REPLACEMENT CHARACTER}A"),
    ],
)
def test_a_value_is_shown_as_people_read_it(identifier: int, format: Format, value: str, text: str) -> None:
    shown = mam.show(Attribute(identifier=identifier, format=format, value=bytes.fromhex(value)))
    assert shown == text


def test_all_ones_is_no_number() -> None:
    assert mam.number(Attribute(identifier=0, value=b"\xff" * 8)) is None
    assert mam.number(Attribute(identifier=0, value=b"")) is None
    assert mam.number(Attribute(identifier=0, value=b"\x01\x00")) == 256


def test_a_text_is_filled_up_to_the_size_of_its_attribute() -> None:
    barcode = mam.host_attribute(mam.BARCODE, "TEST01L8")
    assert (barcode.value, barcode.format) == (b"TEST01L8" + 24 * b"\0", Format.ASCII)
    pool = mam.host_attribute(mam.MEDIA_POOL, "täglich")
    assert (pool.value[:8], len(pool.value), pool.format) == (b"t\xc3\xa4glich", 160, Format.TEXT)


@pytest.mark.parametrize(
    ("identifier", "text"),
    [(mam.APPLICATION_VENDOR, "123456789"), (mam.BARCODE, "ä"), (0x080C, "x"), (0x0003, "1")],
)
def test_a_text_that_does_not_fit_is_refused(identifier: int, text: str) -> None:
    with pytest.raises(ValueError):
        mam.host_attribute(identifier, text)
