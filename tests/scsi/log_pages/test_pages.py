# SPDX-License-Identifier: LGPL-2.1-or-later
"""Log pages as drives send them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.lone import lone_flags_decode
from tapeds.scsi.log_pages.device_status import Activity, DeviceStatus, VeryHighFrequency
from tapeds.scsi.log_pages.error_counters import ReadErrorCounters, WriteErrorCounters
from tapeds.scsi.log_pages.page import LogPage
from tapeds.scsi.log_pages.sequential_access import SequentialAccess
from tapeds.scsi.log_pages.tape_alert import Severity, TapeAlert, TapeAlertResponse, flags, tape_alert_page
from tapeds.scsi.log_pages.tape_capacity import TapeCapacity
from tapeds.scsi.log_pages.volume_statistics import VolumeStatistics

SAMPLES = json.loads((Path(__file__).parents[2] / "golden/golden.json").read_text())["responses"]


def only(kind: type[LogPage], code: int, name: str) -> None:
    """Of a page with parameter ``code`` alone, 01h, the field ``name`` and no other has a value."""
    data = bytes([kind.code, 0, 0, 5, code >> 8, code & 0xFF, 3, 1, 1])
    page: Any = kind.from_bytes(data)
    assert {field: getattr(page, field) for field in kind.rows if getattr(page, field) is not None} == {
        name: 1
    }


@pytest.mark.parametrize("kind", [WriteErrorCounters, ReadErrorCounters])
def test_error_counters_have_the_numbers_of_the_standard(kind: type[LogPage]) -> None:
    only(kind, 0x0000, "corrected_without_delay")
    only(kind, 0x0001, "corrected_with_delay")
    only(kind, 0x0002, "rewrites" if kind is WriteErrorCounters else "rereads")
    only(kind, 0x0003, "corrected")
    only(kind, 0x0004, "algorithm_processed")
    only(kind, 0x0005, "bytes_processed")
    only(kind, 0x0006, "uncorrected")


def test_write_and_read_error_counters_are_pages_02h_and_03h() -> None:
    body = " 00 00 60 04 01 02 03 04 00 06 60 04 00 00 00 05"
    write = WriteErrorCounters.from_bytes(bytes.fromhex("02 00 00 10" + body))
    assert (write.corrected_without_delay, write.uncorrected) == (0x01020304, 5)
    read = ReadErrorCounters.from_bytes(bytes.fromhex("03 00 00 10" + body))
    assert (read.corrected_without_delay, read.uncorrected) == (0x01020304, 5)


def test_sequential_access_has_the_numbers_of_the_standard() -> None:
    only(SequentialAccess, 0x0000, "received_bytes")
    only(SequentialAccess, 0x0001, "written_bytes")
    only(SequentialAccess, 0x0002, "read_bytes")
    only(SequentialAccess, 0x0003, "sent_bytes")
    only(SequentialAccess, 0x0004, "native_mb")
    only(SequentialAccess, 0x0005, "native_to_early_warning_mb")
    only(SequentialAccess, 0x0006, "early_warning_to_end_mb")
    only(SequentialAccess, 0x0007, "native_to_position_mb")
    only(SequentialAccess, 0x0008, "buffer_mb")
    only(SequentialAccess, 0x0100, "cleaning_requested")


def test_the_buffer_of_a_drive_is_in_page_0ch() -> None:
    page = SequentialAccess.from_bytes(bytes.fromhex("0c 00 00 0d 00 08 03 04 00 00 01 a2 01 00 03 01 00"))
    assert (page.buffer_mb, page.cleaning_requested, page.native_mb) == (418, False, None)


def test_a_drive_that_rewinds_says_so() -> None:
    page = DeviceStatus.from_bytes(bytes.fromhex(SAMPLES["page_11_activity_rewinding"]))
    assert page.vhf is not None
    assert (page.vhf.valid, page.vhf.activity) == (True, Activity.REWINDING)
    assert page.polling_delay_ms is None


def test_polling_delay_is_parameter_1() -> None:
    page = DeviceStatus.from_bytes(bytes.fromhex("11 00 00 0e 00 00 03 04 01 00 00 00 00 01 03 02 03 e8"))
    assert page.polling_delay_ms == 1000
    assert page.vhf == VeryHighFrequency.from_bytes(b"\x01\0\0\0")


def test_an_activity_that_nobody_knows_is_a_value() -> None:
    vhf = VeryHighFrequency.from_bytes(bytes.fromhex("01 00 83 00"))
    assert (vhf.activity, vhf.activity.known) == (0x83, False)


def test_each_flag_of_the_vhf_data_is_a_bit_of_its_own() -> None:
    table = {
        "prevented": (0, 0x80),
        "host_initiated_unload": (0, 0x40),
        "memory_accessible": (0, 0x20),
        "compressing": (0, 0x10),
        "write_protected": (0, 0x08),
        "cleaning_requested": (0, 0x04),
        "cleaning_required": (0, 0x02),
        "valid": (0, 0x01),
        "in_transition": (1, 0x80),
        "robot_may_access": (1, 0x20),
        "present": (1, 0x10),
        "seated": (1, 0x04),
        "threaded": (1, 0x02),
        "mounted": (1, 0x01),
        "vendor_data": (3, 0x80),
        "encryption_changed": (3, 0x20),
        "encryption_parameters": (3, 0x10),
        "encryption_requested": (3, 0x08),
        "recovery_requested": (3, 0x04),
        "interface_changed": (3, 0x02),
        "alert_changed": (3, 0x01),
    }
    lone_flags_decode(VeryHighFrequency, "00 00 00 00", table)


def test_volume_statistics_of_an_lto8_medium() -> None:
    page = VolumeStatistics.from_bytes(bytes.fromhex(SAMPLES["page_17_volume_statistics"]))
    assert (page.valid, page.mounts) == (True, 42)
    assert (page.native_mb, page.used_native_mb) == (12_000_000, 1_234_567)
    assert page.serial == "SN123"
    assert (page.write_protected, page.worm) == (False, True)
    assert page.beginning_passes == 80
    assert page.middle_passes is None


def test_volume_statistics_have_the_numbers_of_the_standard() -> None:
    numbers = {
        0x0000: "valid",
        0x0001: "mounts",
        0x0002: "datasets_written",
        0x0003: "recovered_write_errors",
        0x0004: "unrecovered_write_errors",
        0x0005: "suspended_writes",
        0x0006: "fatal_suspended_writes",
        0x0007: "datasets_read",
        0x0008: "recovered_read_errors",
        0x0009: "unrecovered_read_errors",
        0x000A: "suspended_reads",
        0x000B: "fatal_suspended_reads",
        0x000C: "last_mount_unrecovered_write_errors",
        0x000D: "last_mount_unrecovered_read_errors",
        0x000E: "last_mount_mb_written",
        0x000F: "last_mount_mb_read",
        0x0010: "lifetime_mb_written",
        0x0011: "lifetime_mb_read",
        0x0012: "write_compression_percent",
        0x0013: "read_compression_percent",
        0x0014: "mount_milliseconds",
        0x0015: "ready_milliseconds",
        0x0016: "native_mb",
        0x0017: "used_native_mb",
        0x0019: "life_percent",
        0x0080: "write_protected",
        0x0081: "worm",
        0x0101: "beginning_passes",
        0x0102: "middle_passes",
    }
    for code, name in numbers.items():
        only(VolumeStatistics, code, name)


def test_volume_statistics_have_texts_and_positions() -> None:
    body = b"".join(
        bytes([code >> 8, code & 0xFF, 3, 2]) + value
        for code, value in [
            (0x0018, b"A1"),
            (0x0040, b"B2"),
            (0x0041, b"C3"),
            (0x0042, b"D4"),
            (0x0043, b"E5"),
            (0x0044, b"F6"),
            (0x0045, b"G "),
            (0x0200, b"\xff\xff"),
            (0x0201, b"\xff\xfe"),
        ]
    )
    page = VolumeStatistics.from_bytes(bytes([0x17, 0, 0, len(body)]) + body)
    assert (page.application, page.serial, page.lot, page.barcode) == ("A1", "B2", "C3", "D4")
    assert (page.manufacturer, page.licence, page.personality) == ("E5", "F6", "G")
    assert (page.first_encrypted, page.first_unencrypted) == (b"\xff\xff", b"\xff\xfe")


def test_capacities_are_told_for_each_partition() -> None:
    page = VolumeStatistics.from_bytes(
        bytes.fromhex(
            "17 00 00 30"
            " 02 02 03 10  07 00 00 00 01 b7 1b 81  07 00 01 02 00 00 00 05"
            " 02 03 03 08  07 00 00 00 ff ff ff ff"
            " 02 04 03 0c  07 00 00 00 00 00 00 07  03 00 00 01"
        )
    )
    assert page.native_mb_by_partition == {0: 0x01B71B81, 0x0102: 5}
    assert page.used_mb_by_partition == {0: None}
    assert page.remaining_mb_by_partition is None  # a record too short for its number


def test_what_remains_is_told_for_each_partition() -> None:
    page = VolumeStatistics.from_bytes(bytes.fromhex("17 00 00 0c 02 04 03 08 07 00 00 00 00 00 00 07"))
    assert page.remaining_mb_by_partition == {0: 7}


def test_tape_capacity_has_four_numbers() -> None:
    only(TapeCapacity, 0x0001, "remaining_mib")
    only(TapeCapacity, 0x0002, "alternate_remaining_mib")
    only(TapeCapacity, 0x0003, "maximum_mib")
    only(TapeCapacity, 0x0004, "alternate_maximum_mib")


def test_the_highest_bit_is_the_first_flag() -> None:
    page = TapeAlertResponse.from_bytes(bytes.fromhex(SAMPLES["page_12_alert_media_cleannow"]))
    assert page.alerts == {TapeAlert.MEDIA, TapeAlert.CLEANING_REQUIRED}
    assert TapeAlertResponse.from_bytes(bytes.fromhex(SAMPLES["page_12_alert_none"])).alerts == frozenset()
    assert flags(bytes.fromhex("80 00 00 00 00 00 00 01")) == {1, 64}
    assert flags(bytes.fromhex("01 80")) == {8, 9}


def test_a_drive_that_does_not_say_has_not_said_that_all_is_well() -> None:
    assert TapeAlertResponse.from_bytes(bytes.fromhex("12 00 00 00")).alerts is None
    assert TapeAlertResponse.from_bytes(bytes.fromhex("12 00 00 05 00 00 03 01 ff")).alerts is None
    assert (
        TapeAlertResponse.from_bytes(bytes.fromhex("12 00 00 0c 00 01 03 08 ff 00 00 00 00 00 00 00")).alerts
        is None
    )


def test_page_2eh_has_a_parameter_for_each_flag() -> None:
    page = bytes.fromhex("2e 00 00 14 00 01 03 01 fe 00 04 03 01 01 00 14 03 01 01 00 40 03 01 81")
    assert tape_alert_page(page) == {TapeAlert.MEDIA, TapeAlert.CLEANING_REQUIRED, TapeAlert.RESERVED_64}


# Severity and name of each flag, as the table of the standard has them.
ALERTS = """
1 W Read warning|2 W Write warning|3 W Hard error|4 C Media|5 C Read failure|6 C Write failure|7 W Media life
8 W Not data grade|9 C Write protect|10 I No removal|11 I Cleaning media|12 I Unsupported format
13 C Recoverable mechanical cartridge failure|14 C Unrecoverable mechanical cartridge failure
15 W Memory chip in cartridge failure|16 C Forced eject|17 W Read only format
18 W Tape directory corrupted on load
19 I Nearing media life|20 C Cleaning required|21 W Cleaning requested|22 C Expired cleaning media
23 C Invalid cleaning tape|24 W Retension requested|25 W Dual port interface error|26 W Cooling fan failing
27 W Power supply failure|28 W Power consumption|29 W Drive maintenance|30 C Hardware A
31 C Hardware B|32 W Interface
33 C Eject media|34 W Microcode update failure|35 W Drive humidity|36 W Drive temperature|37 W Drive voltage
38 C Predictive failure|39 W Diagnostics required|40 C Loader hardware A|41 C Loader stray tape
42 W Loader hardware B|43 C Loader door|44 C Loader hardware C|45 C Loader magazine
46 W Loader predictive failure
47 W External data encryption control - communications failure
48 W External data encryption control - key manager returned error|49 W Diminished native capacity
50 W Lost statistics|51 W Tape directory invalid at unload|52 C Tape system area write failure
53 C Tape system area read failure|54 C No start of data
55 C Loading failure|56 C Unrecoverable unload failure
57 C Automation interface failure|58 W Firmware failure|59 W WORM medium - integrity check failed
60 W WORM medium - overwrite attempted|61 W Encryption policy violation
"""


def test_each_flag_has_the_severity_and_the_name_of_the_standard() -> None:
    rows = [row for line in ALERTS.strip().splitlines() for row in line.split("|")]
    told = [
        f"{flag:d} {flag.severity.value} {flag.title}"
        for flag in TapeAlert
        if flag.severity is not Severity.NONE
    ]
    assert told == rows
    assert [int(flag) for flag in TapeAlert] == list(range(1, 65))
