# SPDX-License-Identifier: LGPL-2.1-or-later
"""LOAD UNLOAD, ERASE and FORMAT MEDIUM."""

from __future__ import annotations

from support.lone import lone_flags_encode
from tapeds.scsi.ssc.medium import Erase6, FormatMedium, LoadUnload, MediumFormat


def test_load_unload_says_all_in_byte_4() -> None:
    flags = {
        "immediate": (1, 0x01),
        "hold": (4, 0x08),
        "end_of_tape": (4, 0x04),
        "retension": (4, 0x02),
        "load": (4, 0x01),
    }
    lone_flags_encode(LoadUnload, flags, "1b 00 00 00 00 00")


def test_erase_is_long_by_bit_0_and_immediate_by_bit_1() -> None:
    lone_flags_encode(Erase6, {"immediate": (1, 0x02), "long": (1, 0x01)}, "19 00 00 00 00 00")
    assert Erase6(immediate=True, long=True).to_bytes().hex(" ") == "19 03 00 00 00 00"


def test_format_medium_is_immediate_by_bit_0() -> None:
    lone_flags_encode(FormatMedium, {"verify": (1, 0x02), "immediate": (1, 0x01)}, "04 00 00 00 00 00")


def test_format_medium_partitions_by_byte_2() -> None:
    cdb = FormatMedium(format=MediumFormat.DEFAULT_THEN_PARTITION, transfer_length=0x0182).to_bytes()
    assert cdb.hex(" ") == "04 00 02 01 82 00"
    assert FormatMedium(format=MediumFormat(9)).to_bytes().hex(" ") == "04 00 09 00 00 00"
