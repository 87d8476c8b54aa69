# SPDX-License-Identifier: LGPL-2.1-or-later
"""The commands that Proxmox Backup sends, byte for byte."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tapeds.scsi.command import Command
from tapeds.scsi.spc.attribute import ReadAttributeValues
from tapeds.scsi.spc.inquiry import Inquiry
from tapeds.scsi.spc.log import LogSense, LogValues
from tapeds.scsi.spc.mode import ModeSelect6, ModeSelect10, ModeSense6, ModeSense10
from tapeds.scsi.spc.unit import PreventAllowMediumRemoval, Prevention, RequestSense, TestUnitReady
from tapeds.scsi.ssc.block import Read6, Write6, WriteFilemarks6
from tapeds.scsi.ssc.density import ReportDensitySupport
from tapeds.scsi.ssc.medium import Erase6, FormatMedium, LoadUnload
from tapeds.scsi.ssc.position import (
    DestType,
    Locate16,
    ReadPositionLong,
    Rewind,
    Space6,
    Space16,
    SpaceCode,
)

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/golden.json").read_text())["cdb"]

SENT: dict[str, Command] = {
    "allow_removal": PreventAllowMediumRemoval(prevent=Prevention.ALLOWED),
    "erase_long": Erase6(long=True),
    "erase_short": Erase6(),
    "filemark_immed": WriteFilemarks6(count=1, immediate=True),
    "filemark_sync": WriteFilemarks6(count=1),
    "flush": WriteFilemarks6(count=0),
    "format": FormatMedium(),
    "format_immed": FormatMedium(immediate=True),
    "inquiry": Inquiry(allocation_length=36),
    "load": LoadUnload(load=True),
    "locate_file_2": Locate16(dest_type=DestType.LOGICAL_FILE, logical_identifier=1),
    "locate_file_2_offset+1": Locate16(dest_type=DestType.LOGICAL_FILE, logical_identifier=2),
    "locate_file_300": Locate16(dest_type=DestType.LOGICAL_FILE, logical_identifier=299),
    "log_device_activity": LogSense(values=LogValues.CUMULATIVE, page=0x11, allocation_length=8192),
    "log_tape_alert": LogSense(values=LogValues.CUMULATIVE, page=0x12, allocation_length=512),
    "log_volume_statistics": LogSense(values=LogValues.CUMULATIVE, page=0x17, allocation_length=8192),
    "mode_select10_32": ModeSelect10(page_format=True, parameter_list_length=32),
    "mode_select6_28": ModeSelect6(page_format=True, parameter_list_length=28),
    "mode_sense10_0f": ModeSense10(page=0x0F, allocation_length=4096),
    "mode_sense10_1d": ModeSense10(page=0x1D, allocation_length=4096),
    "mode_sense6_0f": ModeSense6(page=0x0F, allocation_length=255),
    "changer_mode_sense6_1d": ModeSense6(no_block_descriptor=True, page=0x1D, allocation_length=255),
    "prevent_removal": PreventAllowMediumRemoval(prevent=Prevention.PREVENTED),
    "read_256k": Read6(suppress_incorrect_length=True, transfer_length=262144),
    "read_512": Read6(suppress_incorrect_length=True, transfer_length=512),
    "read_attribute": ReadAttributeValues(allocation_length=32768),
    "read_position_long": ReadPositionLong(),
    "report_density": ReportDensitySupport(allocation_length=8192),
    "request_sense": RequestSense(allocation_length=252),
    "rewind": Rewind(),
    "space16_fm_+16777216": Space16(code=SpaceCode.FILEMARKS, count=16777216),
    "space_blk_+1": Space6(code=SpaceCode.BLOCKS, count=1),
    "space_blk_-1": Space6(code=SpaceCode.BLOCKS, count=-1),
    "space_eod": Space6(code=SpaceCode.END_OF_DATA),
    "space_fm_+1": Space6(code=SpaceCode.FILEMARKS, count=1),
    "space_fm_-2": Space6(code=SpaceCode.FILEMARKS, count=-2),
    "test_unit_ready": TestUnitReady(),
    "unload": LoadUnload(load=False),
    "write_256k": Write6(transfer_length=262144),
}


@pytest.mark.parametrize("name", SENT)
def test_a_command_has_the_bytes_that_proxmox_sends(name: str) -> None:
    assert SENT[name].to_bytes().hex() == GOLDEN[name]


def test_only_changer_and_encryption_commands_are_left_out() -> None:
    left = {name for name in GOLDEN if name not in SENT}
    assert {name.partition("_")[0] for name in left} <= {"changer", "spin", "spout"}
