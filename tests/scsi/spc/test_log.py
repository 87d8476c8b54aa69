# SPDX-License-Identifier: LGPL-2.1-or-later
"""LOG SENSE and LOG SELECT."""

from __future__ import annotations

from tapeds.scsi.spc.log import LogSelect, LogSense, LogValues


def test_log_sense_puts_page_control_over_the_page() -> None:
    cdb = LogSense(values=LogValues.CUMULATIVE, page=0x31, allocation_length=0x2041).to_bytes()
    assert cdb.hex(" ") == "4d 00 71 00 00 00 00 20 41 00"


def test_log_sense_from_a_parameter_of_a_subpage_on() -> None:
    cdb = LogSense(
        save=True,
        values=LogValues.DEFAULT_THRESHOLD,
        page=0x01,
        subpage=0xFE,
        first=0x0281,
        allocation_length=4,
    ).to_bytes()
    assert cdb.hex(" ") == "4d 01 81 fe 00 02 81 00 04 00"


def test_log_select_sets_counters_back() -> None:
    cdb = LogSelect(reset=True, values=LogValues.CUMULATIVE).to_bytes()
    assert cdb.hex(" ") == "4c 02 40 00 00 00 00 00 00 00"


def test_log_select_with_everything() -> None:
    cdb = LogSelect(
        save=True, values=LogValues.DEFAULT_THRESHOLD, page=0x21, subpage=0x81, parameter_list_length=0x0142
    ).to_bytes()
    assert cdb.hex(" ") == "4c 01 a1 81 00 00 00 01 42 00"
