# SPDX-License-Identifier: LGPL-2.1-or-later
"""READ, WRITE, WRITE FILEMARKS and READ BLOCK LIMITS."""

from __future__ import annotations

import pytest

from tapeds.layout import Malformed
from tapeds.scsi.ssc.block import BlockLimits, Read6, ReadBlockLimits, Write6, WriteFilemarks6


def test_read6_puts_the_length_in_bytes_2_to_4() -> None:
    assert Read6(transfer_length=0x010283).to_bytes().hex(" ") == "08 00 01 02 83 00"


def test_read6_suppresses_incorrect_length_by_bit_1_and_is_fixed_by_bit_0() -> None:
    assert Read6(suppress_incorrect_length=True, transfer_length=1).to_bytes().hex(" ") == "08 02 00 00 01 00"
    assert Read6(fixed=True, transfer_length=1).to_bytes().hex(" ") == "08 01 00 00 01 00"


def test_write6_puts_the_length_in_bytes_2_to_4() -> None:
    assert Write6(transfer_length=0x010283).to_bytes().hex(" ") == "0a 00 01 02 83 00"
    assert Write6(fixed=True, transfer_length=0x800000).to_bytes().hex(" ") == "0a 01 80 00 00 00"


@pytest.mark.parametrize("length", [-1, 0x1000000])
def test_a_length_that_does_not_fit_in_three_bytes_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match=f"Write6.transfer_length: {length} does not fit in 24 bits"):
        Write6(transfer_length=length)


def test_write_filemarks_waits_unless_immediate() -> None:
    assert WriteFilemarks6(count=0x010283).to_bytes().hex(" ") == "10 00 01 02 83 00"
    assert WriteFilemarks6(count=1, immediate=True).to_bytes().hex(" ") == "10 01 00 00 01 00"


def test_read_block_limits_has_no_fields() -> None:
    assert ReadBlockLimits().to_bytes().hex(" ") == "05 00 00 00 00 00"


def test_block_limits_of_an_lto_drive() -> None:
    limits = BlockLimits.from_bytes(bytes.fromhex("00 80 00 00 00 01"))
    assert (limits.granularity, limits.maximum, limits.minimum) == (0, 8388608, 1)


def test_granularity_is_the_low_five_bits_of_byte_0() -> None:
    limits = BlockLimits.from_bytes(bytes.fromhex("f1 01 02 83 02 81"))
    assert (limits.granularity, limits.maximum, limits.minimum) == (0x11, 0x010283, 0x0281)


def test_limits_without_a_maximum_are_malformed() -> None:
    with pytest.raises(Malformed, match="no maximum in 3 bytes"):
        BlockLimits.from_bytes(b"\x00\x80\x00")
