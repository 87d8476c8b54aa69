# SPDX-License-Identifier: LGPL-2.1-or-later
"""Density codes and REPORT DENSITY SUPPORT."""

from __future__ import annotations

import pytest

from support.lone import lone_flags_decode
from tapeds.scsi.ssc.density import Density, DensityDescriptor, DensitySupport, ReportDensitySupport

LTO8 = (
    "5e 5f a0 00 00"
    " 00 50 f8"  # 20,728 bits per mm
    " 00 7f"  # 12.7 mm
    " 1a 81"  # tracks
    " 00 b7 1b 00"  # 12,000,000 MB
    " 4c 54 4f 2d 43 56 45 20"  # "LTO-CVE "
    " 55 2d 38 30 38 20 20 20"  # "U-808   "
    " 55 6c 74 72 69 75 6d 20 38 2f 32 30 38 54 20 20 20 20 20 20"
)


def test_densities_of_the_drive_and_of_the_medium() -> None:
    assert (
        ReportDensitySupport(allocation_length=0x0281).to_bytes().hex(" ") == "44 00 00 00 00 00 00 02 81 00"
    )
    cdb = ReportDensitySupport(medium=True, allocation_length=1).to_bytes()
    assert cdb.hex(" ") == "44 01 00 00 00 00 00 00 01 00"
    cdb = ReportDensitySupport(medium_types=True, allocation_length=1).to_bytes()
    assert cdb.hex(" ") == "44 02 00 00 00 00 00 00 01 00"


def test_a_descriptor_has_52_bytes() -> None:
    one, other = DensitySupport.from_bytes(
        bytes.fromhex("00 6a 00 00" + LTO8 + LTO8.replace("5e 5f", "60 60") + " ee")
    ).densities
    assert (one.primary, one.secondary) == (Density.LTO_8, 0x5F)
    assert other.primary is Density.LTO_9
    assert (one.bits_per_mm, one.width_tenth_mm, one.tracks) == (20728, 127, 0x1A81)
    assert one.capacity_mb == 12_000_000
    assert (one.organization, one.name, one.description) == ("LTO-CVE", "U-808", "Ultrium 8/208T")


def test_the_announced_length_counts() -> None:
    assert len(DensitySupport.from_bytes(bytes.fromhex("00 36 00 00" + LTO8 + LTO8)).densities) == 1
    assert DensitySupport.from_bytes(bytes.fromhex("00 36 00 00" + LTO8)[:50]).densities == []


def test_each_flag_is_a_bit_of_byte_2() -> None:
    flags = {"writable": (2, 0x80), "duplicate": (2, 0x40), "default": (2, 0x20)}
    lone_flags_decode(DensityDescriptor, 52 * "00 ", flags)


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (0x40, "LTO_1"),
        (0x42, "LTO_2"),
        (0x44, "LTO_3"),
        (0x46, "LTO_4"),
        (0x58, "LTO_5"),
        (0x5A, "LTO_6"),
        (0x5C, "LTO_7"),
        (0x5D, "LTO_7_M8"),
        (0x5E, "LTO_8"),
        (0x60, "LTO_9"),
        (0x62, "LTO_10"),
        (0x63, "LTO_10P"),
    ],
)
def test_generations_have_codes(code: int, name: str) -> None:
    assert Density(code).name == name


def test_an_unknown_density_is_a_value() -> None:
    assert (Density(0x66), Density(0x66).name, Density(0x66).known) == (0x66, "UNKNOWN_66", False)
    assert Density.LTO_9.known
