# SPDX-License-Identifier: LGPL-2.1-or-later
"""READ ATTRIBUTE and WRITE ATTRIBUTE."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tapeds.layout import Malformed
from tapeds.scsi.mam import host_attribute
from tapeds.scsi.spc.attribute import (
    Attribute,
    Format,
    ReadAttributeList,
    ReadAttributeValues,
    WriteAttribute,
    parameter_list,
    read_list,
    read_values,
)

SENT = json.loads((Path(__file__).parents[2] / "golden/golden.json").read_text())["parameter_data"]


def test_read_attribute_asks_for_values_from_an_identifier_on() -> None:
    cdb = ReadAttributeValues(volume=1, partition=2, first=0x0401, allocation_length=0x01028304, cached=True)
    assert cdb.to_bytes().hex(" ") == "8c 00 00 00 00 01 00 02 04 01 01 02 83 04 01 00"


def test_read_attribute_asks_for_a_list_by_service_action_1() -> None:
    cdb = ReadAttributeList(volume=1, partition=2, first=0x0401, allocation_length=0x01028304, cached=True)
    assert cdb.to_bytes().hex(" ") == "8c 01 00 00 00 01 00 02 04 01 01 02 83 04 01 00"


def test_other_service_actions_are_other_commands() -> None:
    plain = "8c {} 00 00 00 00 00 00 00 00 00 00 80 00 00 00"
    assert ReadAttributeValues.from_bytes(bytes.fromhex(plain.format("00"))).allocation_length == 32768
    for action in ("01", "10"):
        with pytest.raises(Malformed, match="service_action_field"):
            ReadAttributeValues.from_bytes(bytes.fromhex(plain.format(action)))


def test_write_attribute_has_its_length_in_bytes_10_to_13() -> None:
    cdb = WriteAttribute(write_through=True, volume=1, partition=2, parameter_list_length=0x01028304)
    assert cdb.to_bytes().hex(" ") == "8d 01 00 00 00 01 00 02 00 00 01 02 83 04 00 00"


def test_values_are_read_one_after_the_other() -> None:
    found = read_values(
        bytes.fromhex(
            "00 00 00 13"
            " 00 03 80 00 08 00 00 00 00 00 00 00 2a"  # load count, read only
            " 04 05 80 00 01 5e"  # density code
            " 00 00 80 00 01 77"  # beyond the announced length
        )
    )
    assert list(found) == [0x0003, 0x0405]
    assert found[0x0003].value.hex() == "000000000000002a"
    assert found[0x0003].read_only
    assert found[0x0405].value.hex() == "5e"


def test_format_and_read_only_share_byte_2() -> None:
    found = read_values(bytes.fromhex("00 00 00 0f 08 00 01 00 00 08 03 02 00 00 00 05 80 00 00"))
    assert [(one.format, one.read_only) for one in found.values()] == [
        (Format.ASCII, False),
        (Format.TEXT, False),
        (Format.BINARY, True),
    ]


def test_a_long_value_has_a_length_of_two_bytes() -> None:
    value = b"\x11" * 0x0104
    found = read_values(bytes.fromhex("00 00 01 09 08 0c 00 01 04") + value + b"\xff")
    assert found[0x080C].value == value


def test_a_value_that_is_cut_short_is_left_out() -> None:
    assert read_values(bytes.fromhex("00 00 00 0d 00 03 80 00 08 00 00 00")) == {}


def test_a_reply_without_attributes_has_none() -> None:
    assert read_values(bytes.fromhex("00 00 00 00")) == {}
    assert read_values(b"") == {}


def test_the_list_is_of_two_byte_identifiers() -> None:
    assert read_list(bytes.fromhex("00 00 00 06 00 00 04 01 08 06 ff ff")) == [0x0000, 0x0401, 0x0806]


@pytest.mark.parametrize(
    ("name", "identifier", "text"),
    [
        ("mam_write_0800", 0x0800, "Proxmox"),
        ("mam_write_0801", 0x0801, "Proxmox Backup Server"),
        ("mam_write_0803", 0x0803, "TEST01L8"),
        ("mam_clear_0803", 0x0803, ""),
    ],
)
def test_an_attribute_is_written_as_proxmox_writes_it(name: str, identifier: int, text: str) -> None:
    cdb, data = (bytes.fromhex(one) for one in SENT[name])
    attribute = host_attribute(identifier, text)
    assert parameter_list(attribute) == data
    assert WriteAttribute(write_through=True, parameter_list_length=len(data)).to_bytes() == cdb


def test_what_is_written_has_the_right_lengths() -> None:
    data = parameter_list(Attribute(identifier=0x0806, format=Format.ASCII, value=b"AB1"))
    assert data.hex(" ") == "00 00 00 08 08 06 01 00 03 41 42 31"
