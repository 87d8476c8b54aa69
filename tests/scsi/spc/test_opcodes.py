# SPDX-License-Identifier: LGPL-2.1-or-later
"""REPORT SUPPORTED OPERATION CODES."""

from __future__ import annotations

from tapeds.scsi.spc.opcodes import ReportSupportedOperationCodes, SupportedCommand, supported_commands


def test_all_commands_are_asked_for_with_their_times() -> None:
    cdb = ReportSupportedOperationCodes(timeouts=True, allocation_length=0x00010283).to_bytes()
    assert cdb.hex(" ") == "a3 0c 80 00 00 00 00 01 02 83 00 00"


def test_one_command_is_asked_for_by_opcode_and_service_action() -> None:
    cdb = ReportSupportedOperationCodes(
        options=5, requested_opcode=0xA3, requested_service_action=0x011F, allocation_length=256
    ).to_bytes()
    assert cdb.hex(" ") == "a3 0c 05 a3 01 1f 00 00 01 00 00 00"


def test_commands_are_told_with_and_without_service_action_and_times() -> None:
    found = supported_commands(
        bytes.fromhex(
            "00 00 00 38"
            " 08 00 00 00 00 02 00 06  00 0a 00 00 00 00 00 3c 00 00 08 e8"  # READ(6): 60 s, 2280 s
            " a3 00 01 0c 00 03 01 0c  00 0a 00 00 00 00 00 00 00 01 00 81"  # no nominal time
            " 12 00 ff ff 00 00 00 06"  # INQUIRY: no descriptor
            " a4 00 00 1d 00 01 00 0c"  # service action, no times
            " 01 00 00 00 00 00 00 06"  # not announced
        )
    )
    assert list(found.values()) == [
        SupportedCommand(0x08, None, 6, nominal=60, recommended=2280),
        SupportedCommand(0xA3, 0x010C, 0x010C, nominal=None, recommended=0x00010081),
        SupportedCommand(0x12, None, 6),
        SupportedCommand(0xA4, 0x1D, 12),
    ]
    assert list(found) == [(0x08, None), (0xA3, 0x010C), (0x12, None), (0xA4, 0x1D)]


def test_nominal_times_take_four_bytes() -> None:
    found = supported_commands(
        bytes.fromhex("00 00 00 14 19 00 00 00 00 02 00 06 00 0a 00 00 01 02 03 84 81 02 03 04")
    )
    assert (found[0x19, None].nominal, found[0x19, None].recommended) == (0x01020384, 0x81020304)


def test_a_longer_timeouts_descriptor_is_passed_over() -> None:
    found = supported_commands(
        bytes.fromhex(
            "00 00 00 1e"
            " 08 00 00 00 00 02 00 06  00 0c 00 00 00 00 00 3c 00 00 08 e8 ff ff"
            " 01 00 00 00 00 00 00 06"
        )
    )
    assert list(found) == [(0x08, None), (0x01, None)]


def test_a_descriptor_that_is_cut_short_is_left_out() -> None:
    assert supported_commands(bytes.fromhex("00 00 00 14 08 00 00 00 00 02 00 06 00 0a 00 00")) == {}
    assert supported_commands(bytes.fromhex("00 00 00 08 08 00 00 00 00")) == {}
    assert supported_commands(b"") == {}
