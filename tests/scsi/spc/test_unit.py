# SPDX-License-Identifier: LGPL-2.1-or-later
"""TEST UNIT READY, REQUEST SENSE, PREVENT ALLOW MEDIUM REMOVAL."""

from __future__ import annotations

import pytest

from tapeds.layout import Malformed
from tapeds.scsi.spc.unit import PreventAllowMediumRemoval, Prevention, RequestSense, TestUnitReady


def test_test_unit_ready_is_six_zeros() -> None:
    assert TestUnitReady().to_bytes().hex(" ") == "00 00 00 00 00 00"
    assert TestUnitReady.title == "TEST UNIT READY"


def test_another_operation_code_is_no_test_unit_ready() -> None:
    with pytest.raises(Malformed, match="opcode_field is not 0x0"):
        TestUnitReady.from_bytes(bytes.fromhex("800000000000"))


def test_request_sense_asks_for_fixed_format_and_a_length_in_byte_4() -> None:
    assert RequestSense(allocation_length=252).to_bytes().hex(" ") == "03 00 00 00 fc 00"


def test_request_sense_asks_for_descriptor_format_by_bit_0_of_byte_1() -> None:
    cdb = RequestSense(descriptor_format=True, allocation_length=0x81).to_bytes()
    assert cdb.hex(" ") == "03 01 00 00 81 00"


def test_removal_is_prevented_and_allowed_by_bits_1_and_0_of_byte_4() -> None:
    assert PreventAllowMediumRemoval(prevent=Prevention.PREVENTED).to_bytes().hex(" ") == "1e 00 00 00 01 00"
    assert PreventAllowMediumRemoval(prevent=Prevention.ALLOWED).to_bytes().hex(" ") == "1e 00 00 00 00 00"
    assert PreventAllowMediumRemoval(prevent=Prevention(3)).to_bytes().hex(" ") == "1e 00 00 00 03 00"
