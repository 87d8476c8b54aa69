# SPDX-License-Identifier: LGPL-2.1-or-later
"""MODE SENSE and MODE SELECT, header, block descriptor and pages."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from support.lone import lone_flags_decode
from tapeds.layout import Malformed
from tapeds.scsi.spc.mode import (
    BlockDescriptor,
    ModeHeader6,
    ModeHeader10,
    ModeParameters,
    ModeSelect6,
    ModeSelect10,
    ModeSense6,
    ModeSense10,
    PageControl,
    PageHead,
)
from tapeds.scsi.ssc.mode_pages import DataCompression, DeviceConfigurationExtension, MediumConfiguration

SENT = json.loads((Path(__file__).parents[2] / "golden/golden.json").read_text())["parameter_data"]

# An LTO-8 drive's reply for page 0Fh: buffered, 2 MiB blocks, page saveable; and four bytes too many.
SENSED10 = (
    "00 1e 78 10 00 00 00 08"
    " 5e 00 00 00 00 20 00 00"
    " 8f 0e c0 80 00 00 00 ff 00 00 00 01 00 00 00 00"
    " ee ee ee ee"
)


def test_mode_sense_6() -> None:
    cdb = ModeSense6(
        no_block_descriptor=True,
        page_control=PageControl.DEFAULT,
        page=0x21,
        subpage=0x81,
        allocation_length=0xC1,
    ).to_bytes()
    assert cdb.hex(" ") == "1a 08 a1 81 c1 00"


def test_mode_sense_10() -> None:
    cdb = ModeSense10(
        no_block_descriptor=True,
        page_control=PageControl.CHANGEABLE,
        page=0x11,
        subpage=0x81,
        allocation_length=0x0142,
    ).to_bytes()
    assert cdb.hex(" ") == "5a 08 51 81 00 00 00 01 42 00"


def test_mode_select_6() -> None:
    assert (
        ModeSelect6(page_format=True, parameter_list_length=0x81).to_bytes().hex(" ") == "15 10 00 00 81 00"
    )
    cdb = ModeSelect6(page_format=False, save=True, parameter_list_length=1).to_bytes()
    assert cdb.hex(" ") == "15 01 00 00 01 00"


def test_mode_select_10() -> None:
    cdb = ModeSelect10(page_format=True, parameter_list_length=0x0142).to_bytes()
    assert cdb.hex(" ") == "55 10 00 00 00 00 00 01 42 00"
    cdb = ModeSelect10(page_format=False, save=True, parameter_list_length=1).to_bytes()
    assert cdb.hex(" ") == "55 01 00 00 00 00 00 00 01 00"


def test_the_header_of_ten_bytes_commands() -> None:
    header = ModeHeader10.from_bytes(bytes.fromhex("01 42 78 d3 00 00 02 81"))
    assert (header.mode_data_length, header.medium_type) == (0x0142, 0x78)
    assert (header.write_protected, header.buffered_mode, header.speed) == (True, 5, 3)
    assert header.block_descriptor_length == 0x0281
    lone_flags_decode(ModeHeader10, "00 00 00 00 00 00 00 00", {"write_protected": (3, 0x80)})


def test_the_header_of_six_bytes_commands() -> None:
    header = ModeHeader6.from_bytes(bytes.fromhex("42 78 d3 09"))
    assert (header.mode_data_length, header.medium_type) == (0x42, 0x78)
    assert (header.write_protected, header.buffered_mode, header.speed) == (True, 5, 3)
    assert header.block_descriptor_length == 9
    lone_flags_decode(ModeHeader6, "00 00 00 00", {"write_protected": (2, 0x80)})


def test_the_block_descriptor() -> None:
    block = BlockDescriptor.from_bytes(bytes.fromhex("5e 01 02 83 00 04 00 81"))
    assert (block.density, block.blocks, block.block_length) == (0x5E, 0x010283, 0x040081)
    assert block.to_bytes().hex(" ") == "5e 01 02 83 00 04 00 81"


def test_a_reply_of_ten_bytes_commands_is_header_descriptor_and_page() -> None:
    mode = ModeParameters.from_bytes10(bytes.fromhex(SENSED10))
    assert (mode.medium_type, mode.write_protected, mode.buffered_mode, mode.speed) == (0x78, False, 1, 0)
    assert mode.block == BlockDescriptor(density=0x5E, blocks=0, block_length=0x200000)
    assert [page.hex() for page in mode.pages] == ["8f0ec080000000ff0000000100000000"]
    assert mode.page(DataCompression).compression_algorithm == 0xFF


def test_a_reply_of_six_bytes_commands_is_header_descriptor_and_page() -> None:
    mode = ModeParameters.from_bytes6(
        bytes.fromhex("1b 58 90 08 58 00 00 00 00 00 02 00 0f 0e 80 80" + 12 * " 00" + " ee ee")
    )
    assert (mode.medium_type, mode.write_protected, mode.buffered_mode) == (0x58, True, 1)
    assert mode.block == BlockDescriptor(density=0x58, blocks=0, block_length=512)
    assert mode.page(DataCompression).enabled
    assert mode.pages[0].hex() == "0f0e8080" + 12 * "00"


def test_all_pages_are_told_apart_with_and_without_subpages() -> None:
    mode = ModeParameters.from_bytes10(
        bytes.fromhex("00 18 00 00 00 00 00 00 03 02 11 22 50 01 00 04 00 10 01 00 5d 02 00 02 00 00")
    )
    assert [page.hex(" ") for page in mode.pages] == [
        "03 02 11 22",
        "50 01 00 04 00 10 01 00",
        "5d 02 00 02 00 00",
    ]
    assert mode.block is None
    assert mode.page(DeviceConfigurationExtension).programmable_early_warning_mb == 0x0100
    with pytest.raises(Malformed, match="no mode page 1Dh/00h"):
        mode.page(MediumConfiguration)


def test_what_is_sent_back_is_what_proxmox_sends() -> None:
    page = bytes.fromhex("8f 0e 40 80 00 00 00 01 00 00 00 01 00 00 00 00")
    read = ModeParameters(block=BlockDescriptor(density=0x5E), buffered_mode=1, pages=(page,))
    wanted = dataclasses.replace(read.page(DataCompression), enabled=True)
    assert read.with_page(wanted).to_bytes10().hex() == SENT["mode_select10_default"]


def test_six_bytes_commands_send_a_header_of_four_bytes() -> None:
    sent = ModeParameters(
        medium_type=0x78,
        write_protected=True,
        buffered_mode=2,
        speed=3,
        block=BlockDescriptor(density=0x5E, block_length=0x040000),
        pages=(b"\x9d\x02\x01\x00",),
    ).to_bytes6()
    assert sent.hex(" ") == "00 78 a3 08 5e 00 00 00 00 04 00 00 1d 02 01 00"


def test_ten_bytes_commands_send_a_header_of_eight_bytes() -> None:
    sent = ModeParameters(medium_type=0x78, write_protected=True, buffered_mode=2, speed=3).to_bytes10()
    assert sent.hex(" ") == "00 00 78 a3 00 00 00 00"


def test_only_the_saveable_bit_is_taken_off_a_page_that_is_sent() -> None:
    pages = ModeParameters(pages=(b"\xd0\x01\x00\x01\x80", b"\xbf\x01\x80")).to_bytes10()
    assert pages.hex(" ") == "00 00 00 00 00 00 00 00 50 01 00 01 80 3f 01 80"


def test_the_head_of_a_page() -> None:
    head = PageHead.from_bytes(b"\x50\x01")
    assert (head.saveable, head.has_subpage, head.code) == (False, True, 0x10)
    head = PageHead.from_bytes(b"\x8f\x0e")
    assert (head.saveable, head.has_subpage, head.code) == (True, False, 0x0F)


def test_a_page_that_is_cut_short_is_read_as_far_as_it_goes() -> None:
    mode = ModeParameters.from_bytes10(bytes.fromhex(SENSED10)[:20])
    page = mode.page(DataCompression)
    assert (page.enabled, page.decompression_enabled, page.compression_algorithm) == (True, True, None)
    assert ModeParameters.from_bytes10(bytes.fromhex(SENSED10)[:12]).block is None
    assert ModeParameters.from_bytes10(b"") == ModeParameters()
    assert ModeParameters.from_bytes6(b"") == ModeParameters()
