# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sense data as devices send it."""

from __future__ import annotations

import pytest

from support.lone import lone_flags_decode
from tapeds.layout import Malformed
from tapeds.scsi.command import Status
from tapeds.scsi.sense import (
    CheckCondition,
    FieldPointer,
    FixedSense,
    KeySpecific,
    Sense,
    SenseKey,
    StreamDescriptor,
    UnexpectedStatus,
)


def sense(data: str) -> Sense:
    return Sense.from_bytes(bytes.fromhex(data))


def test_no_medium() -> None:
    found = sense("70 00 02 00 00 00 00 0a 00 00 00 00 3a 00 00 00 00 00")
    assert found.code == (SenseKey.NOT_READY, 0x3A, 0x00)
    assert str(found) == "NOT_READY 3Ah/00h Medium not present"
    assert not found.deferred


def test_a_filemark_in_fixed_format_says_what_was_left() -> None:
    found = sense("f0 00 80 00 04 00 00 0e 00 00 00 00 00 01 00 00 00 00 00 00 00 00")
    assert found.code == (SenseKey.NO_SENSE, 0x00, 0x01)
    assert (found.filemark, found.end_of_medium, found.incorrect_length) == (True, False, False)
    assert found.information == 262144


def test_a_longer_block_has_a_negative_information() -> None:
    found = sense("f0 00 20 ff fc 00 00 0a 00 00 00 00 00 00 00 00 00 00")
    assert (found.incorrect_length, found.information) == (True, -262144)


def test_information_that_is_not_valid_is_none() -> None:
    found = sense("70 00 20 ff fc 00 00 0a 00 00 00 00 00 00 00 00 00 00")
    assert (found.incorrect_length, found.information) == (True, None)


def test_early_warning_and_end_of_data() -> None:
    warning = sense("70 00 40 00 00 00 00 0a 00 00 00 00 00 02 00 00 00 00")
    assert (warning.code, warning.end_of_medium) == ((SenseKey.NO_SENSE, 0x00, 0x02), True)
    end = sense("70 00 08 00 00 00 00 0a 00 00 00 00 00 05 00 00 00 00")
    assert end.code == (SenseKey.BLANK_CHECK, 0x00, 0x05)


def test_a_deferred_error_is_of_an_earlier_command() -> None:
    found = sense("71 00 03 00 00 00 00 0a 00 00 00 00 0c 00 00 00 00 00")
    assert (found.code, found.deferred) == ((SenseKey.MEDIUM_ERROR, 0x0C, 0x00), True)
    assert str(found) == "deferred MEDIUM_ERROR 0Ch/00h Write error"
    assert sense("73 03 0c 00 00 00 00 00").deferred
    assert not sense("72 03 0c 00 00 00 00 00").deferred


def test_progress_is_a_part_of_65536() -> None:
    found = sense("70 00 02 00 00 00 00 0a 00 00 00 00 04 04 00 80 40 00")
    assert (found.code, found.progress) == ((SenseKey.NOT_READY, 0x04, 0x04), 0.25)
    assert sense("70 00 00 00 00 00 00 0a 00 00 00 00 00 16 00 80 00 01").progress == 1 / 65536
    assert sense("70 00 02 00 00 00 00 0a 00 00 00 00 04 04 00 00 40 00").progress is None


def test_an_illegal_request_points_at_byte_and_bit() -> None:
    found = sense("70 00 05 00 00 00 00 0a 00 00 00 00 24 00 00 cd 01 02")
    assert found.pointer == FieldPointer(0x0102, bit=5, in_command=True)
    assert found.progress is None
    found = sense("70 00 05 00 00 00 00 0a 00 00 00 00 26 00 00 82 00 0a")
    assert found.pointer == FieldPointer(10, bit=None, in_command=False)
    assert sense("70 00 05 00 00 00 00 0a 00 00 00 00 24 00 00 4d 01 02").pointer is None


def test_a_medium_error_has_retries_where_others_have_progress() -> None:
    found = sense("70 00 03 00 00 00 00 0a 00 00 00 00 11 00 00 80 40 00")
    assert (found.progress, found.pointer) == (None, None)


def test_further_bytes_of_fixed_format() -> None:
    found = sense("70 00 04 00 00 00 00 0a 81 02 03 84 44 81 85 00 00 00")
    assert (found.asc, found.ascq, found.unit) == (0x44, 0x81, 0x85)
    assert found.command_specific == -0x7EFDFC7C
    assert found.raw.hex(" ") == "70 00 04 00 00 00 00 0a 81 02 03 84 44 81 85 00 00 00"


def test_fixed_format_ends_where_it_says() -> None:
    found = sense("70 00 02 00 00 00 00 05 00 00 00 00 3a 04 00 80 40 00")
    assert (found.asc, found.ascq, found.progress) == (0x3A, 0, None)


def test_each_flag_of_fixed_format_is_a_bit_of_its_own() -> None:
    flags = {
        "valid": (0, 0x80),
        "filemark": (2, 0x80),
        "end_of_medium": (2, 0x40),
        "incorrect_length": (2, 0x20),
    }
    lone_flags_decode(FixedSense, "70 00 00 00 00 00 00 0a" + 10 * " 00", flags)
    assert FixedSense.from_bytes(bytes.fromhex("7f 00 0f")).key is SenseKey.COMPLETED
    assert FixedSense.from_bytes(bytes.fromhex("f0 00 f1")).key is SenseKey.RECOVERED_ERROR
    assert FixedSense.from_bytes(bytes.fromhex("81 00 00")).response_code == 1


def test_flags_of_the_sense_key_specific_bytes() -> None:
    flags = {"valid": (0, 0x80), "in_command": (0, 0x40), "bit_valid": (0, 0x08)}
    lone_flags_decode(KeySpecific, "00 00 00", flags)
    assert KeySpecific.from_bytes(bytes.fromhex("f5 00 00")).bit_pointer == 5
    assert KeySpecific.from_bytes(bytes.fromhex("fa 00 00")).bit_pointer == 2


def test_descriptor_format_tells_the_same() -> None:
    found = sense(
        "72 00 00 01 00 00 00 2a"
        " 00 0a 80 00 00 00 00 00 00 04 00 00"  # information
        " 01 0a 00 00 81 02 03 04 05 06 07 88"  # command specific
        " 02 06 00 00 80 40 00 00"  # sense key specific
        " 03 02 00 85"  # unit
        " 04 02 00 80"  # stream commands
        " ff ff"
    )
    assert found.code == (SenseKey.NO_SENSE, 0x00, 0x01)
    assert (found.filemark, found.end_of_medium, found.incorrect_length) == (True, False, False)
    assert found.information == 262144
    assert found.command_specific == -0x7EFDFCFBFAF9F878
    assert (found.progress, found.unit) == (0.25, 0x85)


def test_descriptor_format_puts_key_and_code_in_bytes_1_to_3() -> None:
    found = sense("f2 f5 24 81 00 00 00 08 02 06 00 00 cd 01 02 00")
    assert found.code == (SenseKey.ILLEGAL_REQUEST, 0x24, 0x81)
    assert found.pointer == FieldPointer(0x0102, bit=5, in_command=True)


def test_information_of_a_descriptor_counts_only_if_valid() -> None:
    assert sense("72 00 00 00 00 00 00 0c 00 0a 00 00 ff ff ff ff ff fc 00 00").information is None
    assert sense("72 00 00 00 00 00 00 0c 00 0a 80 00 ff ff ff ff ff fc 00 00").information == -262144
    assert sense("72 00 00 00 00 00 00 0c 00 0a 7f ff ff ff ff ff ff fc 00 00").information is None


def test_each_flag_of_the_stream_descriptor_is_a_bit_of_byte_3() -> None:
    flags = {"filemark": (3, 0x80), "end_of_medium": (3, 0x40), "incorrect_length": (3, 0x20)}
    lone_flags_decode(StreamDescriptor, "04 02 00 00", flags)


def test_descriptors_that_nobody_knows_are_passed_over() -> None:
    found = sense("72 00 00 02 00 00 00 0d 80 07 04 02 00 80 00 00 ff 04 02 00 40")
    assert (found.filemark, found.end_of_medium) == (False, True)


def test_descriptors_end_where_the_head_says() -> None:
    assert not sense("72 00 00 00 00 00 00 00 04 02 00 80").filemark
    assert sense("72 00 00 00 00 00 00 04 04 02 00 80").filemark
    assert not sense("72 00 00 00 00 00 00 04 04 02 00 80 04 02 00 40").end_of_medium


def test_sense_data_that_ends_after_the_key_has_no_additional_code() -> None:
    assert sense("70 00 06").code == (SenseKey.UNIT_ATTENTION, 0, 0)
    assert sense("72 06").code == (SenseKey.UNIT_ATTENTION, 0, 0)


@pytest.mark.parametrize("data", ["", "70", "70 00", "72", "00 00 00", "74 00 02", "7f 00 02 00"])
def test_what_is_no_sense_data_is_malformed(data: str) -> None:
    with pytest.raises(Malformed):
        sense(data)


def test_check_condition_names_the_command() -> None:
    found = CheckCondition(sense("70 00 07 00 00 00 00 0a 00 00 00 00 27 00"), "WRITE(6)")
    assert str(found) == "WRITE(6): DATA_PROTECT 27h/00h Write protected"
    assert found.sense.key is SenseKey.DATA_PROTECT
    assert str(CheckCondition(found.sense)) == "DATA_PROTECT 27h/00h Write protected"


def test_another_status_is_told_with_its_name() -> None:
    found = UnexpectedStatus(Status(0x18), "WRITE(6)")
    assert str(found) == "WRITE(6): status 18h RESERVATION_CONFLICT"
    assert found.status is Status.RESERVATION_CONFLICT
    assert str(UnexpectedStatus(Status(0x22))) == "status 22h UNKNOWN_22"


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (0x0, "NO_SENSE"),
        (0x1, "RECOVERED_ERROR"),
        (0x2, "NOT_READY"),
        (0x3, "MEDIUM_ERROR"),
        (0x4, "HARDWARE_ERROR"),
        (0x5, "ILLEGAL_REQUEST"),
        (0x6, "UNIT_ATTENTION"),
        (0x7, "DATA_PROTECT"),
        (0x8, "BLANK_CHECK"),
        (0x9, "VENDOR_SPECIFIC"),
        (0xA, "COPY_ABORTED"),
        (0xB, "ABORTED_COMMAND"),
        (0xD, "VOLUME_OVERFLOW"),
        (0xE, "MISCOMPARE"),
        (0xF, "COMPLETED"),
    ],
)
def test_sense_keys_have_their_numbers(number: int, name: str) -> None:
    assert sense(f"70 00 0{number:x}").key.name == name
