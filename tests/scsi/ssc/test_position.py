# SPDX-License-Identifier: LGPL-2.1-or-later
"""REWIND, SPACE, LOCATE and READ POSITION."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.lone import lone_flags_decode
from tapeds.layout import Malformed
from tapeds.scsi.ssc.position import (
    DestType,
    Locate10,
    Locate16,
    PositionExtended,
    PositionLong,
    PositionShort,
    ReadPositionExtended,
    ReadPositionLong,
    ReadPositionShort,
    Rewind,
    Space6,
    Space16,
    SpaceCode,
)

SAMPLES = json.loads((Path(__file__).parents[2] / "golden/golden.json").read_text())["responses"]


def test_rewind_is_immediate_by_bit_0_of_byte_1() -> None:
    assert Rewind().to_bytes().hex(" ") == "01 00 00 00 00 00"
    assert Rewind(immediate=True).to_bytes().hex(" ") == "01 01 00 00 00 00"


def test_space6_counts_backwards_in_twos_complement() -> None:
    assert Space6(code=SpaceCode.FILEMARKS, count=-2).to_bytes().hex(" ") == "11 01 ff ff fe 00"
    assert Space6(code=SpaceCode.BLOCKS, count=-0x800000).to_bytes().hex(" ") == "11 00 80 00 00 00"
    assert (
        Space6(code=SpaceCode.SEQUENTIAL_FILEMARKS, count=0x010203).to_bytes().hex(" ") == "11 02 01 02 03 00"
    )
    assert Space6(code=SpaceCode(9), count=1).to_bytes().hex(" ") == "11 09 00 00 01 00"


def test_space6_refuses_a_count_beyond_three_bytes() -> None:
    with pytest.raises(ValueError, match="does not fit in 24 bits"):
        Space6(code=SpaceCode.BLOCKS, count=0x800000)


def test_space6_to_end_of_data() -> None:
    assert Space6(code=SpaceCode.END_OF_DATA).to_bytes().hex(" ") == "11 03 00 00 00 00"


def test_space16_puts_the_count_in_bytes_4_to_11() -> None:
    cdb = Space16(code=SpaceCode.BLOCKS, count=-3).to_bytes()
    assert cdb.hex(" ") == "91 00 00 00 ff ff ff ff ff ff ff fd 00 00 00 00"
    cdb = Space16(code=SpaceCode(9), count=0x0102030405060783).to_bytes()
    assert cdb.hex(" ") == "91 09 00 00 01 02 03 04 05 06 07 83 00 00 00 00"


def test_locate10_puts_the_object_in_bytes_3_to_6() -> None:
    cdb = Locate10(logical_object=0x81020304, partition=1, change_partition=True).to_bytes()
    assert cdb.hex(" ") == "2b 02 00 81 02 03 04 00 01 00"
    assert Locate10(logical_object=1, immediate=True).to_bytes().hex(" ") == "2b 01 00 00 00 00 01 00 00 00"


def test_locate16_puts_the_file_number_in_bytes_4_to_11() -> None:
    cdb = Locate16(dest_type=DestType.LOGICAL_FILE, logical_identifier=7).to_bytes()
    assert cdb.hex(" ") == "92 08 00 00 00 00 00 00 00 00 00 07 00 00 00 00"


def test_locate16_to_an_object_of_a_partition() -> None:
    cdb = Locate16(change_partition=True, partition=0x81, logical_identifier=0x8102030405060783).to_bytes()
    assert cdb.hex(" ") == "92 02 00 81 81 02 03 04 05 06 07 83 00 00 00 00"


def test_locate16_to_end_of_data_at_once() -> None:
    cdb = Locate16(dest_type=DestType.END_OF_DATA, immediate=True).to_bytes()
    assert cdb.hex(" ") == "92 19 00 00 00 00 00 00 00 00 00 00 00 00 00 00"
    assert Locate16(dest_type=DestType(5)).to_bytes().hex(" ")[:5] == "92 28"


def test_read_position_has_a_form_for_each_service_action() -> None:
    assert ReadPositionShort().to_bytes().hex(" ") == "34 00 00 00 00 00 00 00 00 00"
    assert ReadPositionLong().to_bytes().hex(" ") == "34 06 00 00 00 00 00 00 00 00"
    cdb = ReadPositionExtended(allocation_length=0x0120).to_bytes()
    assert cdb.hex(" ") == "34 08 00 00 00 00 00 01 20 00"


def test_only_service_action_0_is_the_short_form() -> None:
    assert ReadPositionShort.from_bytes(bytes.fromhex("34 00 00 00 00 00 00 00 00 00")) == ReadPositionShort()
    for action in ("01", "10"):
        with pytest.raises(Malformed, match="service_action_field"):
            ReadPositionShort.from_bytes(bytes.fromhex(f"34 {action} 00 00 00 00 00 00 00 00"))


def test_the_short_form_tells_what_is_in_the_buffer() -> None:
    at = PositionShort.from_bytes(
        bytes.fromhex("00 81 00 00 01 02 03 84 05 06 07 88 00 09 0a 8b 0c 0d 0e 8f")
    )
    assert (at.partition, at.first, at.last) == (0x81, 0x01020384, 0x05060788)
    assert (at.objects_in_buffer, at.bytes_in_buffer) == (0x090A8B, 0x0C0D0E8F)


def test_each_flag_of_the_short_form_is_a_bit_of_byte_0() -> None:
    flags = {
        "beginning": (0, 0x80),
        "end": (0, 0x40),
        "objects_unknown": (0, 0x20),
        "bytes_unknown": (0, 0x10),
        "unknown": (0, 0x04),
        "overflow": (0, 0x02),
        "early_warning": (0, 0x01),
    }
    lone_flags_decode(PositionShort, 20 * "00 ", flags)
    lone_flags_decode(PositionExtended, "00 00 00 1c" + 28 * " 00", flags)


def test_a_short_form_that_is_cut_off_does_not_know_the_buffer() -> None:
    at = PositionShort.from_bytes(bytes.fromhex("80 00 00 00 00 00 00 05"))
    assert (at.beginning, at.first, at.last, at.bytes_in_buffer) == (True, 5, None, None)


def test_the_long_form_tells_file_and_object() -> None:
    at = PositionLong.from_bytes(bytes.fromhex(SAMPLES["read_position_long_file7_object123456"]))
    assert (at.partition, at.logical_object, at.logical_file) == (0, 123456, 7)
    assert not at.beginning


def test_the_long_form_has_eight_bytes_for_each() -> None:
    at = PositionLong.from_bytes(
        bytes.fromhex(
            "00 00 00 00 81 02 03 84 81 02 03 04 05 06 07 88 91 02 03 04 05 06 07 98 ff ff ff ff ff ff ff ff"
        )
    )
    assert (at.partition, at.logical_object, at.logical_file) == (
        0x81020384,
        0x8102030405060788,
        0x9102030405060798,
    )


def test_each_flag_of_the_long_form_is_a_bit_of_byte_0() -> None:
    flags = {
        "beginning": (0, 0x80),
        "end": (0, 0x40),
        "file_unknown": (0, 0x08),
        "unknown": (0, 0x04),
        "early_warning": (0, 0x01),
    }
    lone_flags_decode(PositionLong, 32 * "00 ", flags)


def test_a_long_form_that_is_cut_off_is_malformed() -> None:
    with pytest.raises(Malformed, match="no logical_file in 20 bytes"):
        PositionLong.from_bytes(bytes(20))


def test_the_extended_form_tells_all_in_large_numbers() -> None:
    at = PositionExtended.from_bytes(
        bytes.fromhex(
            "00 81 00 1c 00 09 0a 8b 81 02 03 04 05 06 07 88 91 02 03 04 05 06 07 98 a1 02 03 04 05 06 07 a8"
        )
    )
    assert (at.partition, at.objects_in_buffer) == (0x81, 0x090A8B)
    assert (at.first, at.last) == (0x8102030405060788, 0x9102030405060798)
    assert at.bytes_in_buffer == 0xA1020304050607A8


def test_the_extended_form_ends_where_it_says() -> None:
    at = PositionExtended.from_bytes(bytes.fromhex("00 00 00 0c" + 28 * " 01"))
    assert (at.first, at.last, at.bytes_in_buffer) == (0x0101010101010101, None, None)
