# SPDX-License-Identifier: LGPL-2.1-or-later
"""LOG SENSE and LOG SELECT.  The pages are in `tapeds.scsi.log_pages`."""

from __future__ import annotations

from tapeds.layout import OpenEnum, bit, bits, u8, u16
from tapeds.scsi.command import Command, Duration


class LogValues(OpenEnum):
    """Which values of a page (PC)."""

    THRESHOLD = 0
    CUMULATIVE = 1
    DEFAULT_THRESHOLD = 2
    DEFAULT_CUMULATIVE = 3


class LogSense(Command, opcode=0x4D, size=10, duration=Duration.QUERY):
    """LOG SENSE: one page, from parameter ``first`` on.  Page 2Eh is cleared by it.  Ref: [SPC-5]."""

    save: bool = bit(1, 0, default=False)
    values: LogValues = bits(2, 7, 6, LogValues)
    page: int = bits(2, 5, 0)
    subpage: int = u8(3, default=0)
    first: int = u16(5, default=0)
    allocation_length: int = u16(7)


class LogSelect(Command, opcode=0x4C, size=10, duration=Duration.QUERY):
    """LOG SELECT: with ``reset`` (PCR) and no parameters, counters go back to 0.  Ref: [SPC-5]."""

    reset: bool = bit(1, 1, default=False)
    save: bool = bit(1, 0, default=False)
    values: LogValues = bits(2, 7, 6, LogValues)
    page: int = bits(2, 5, 0, default=0)
    subpage: int = u8(3, default=0)
    parameter_list_length: int = u16(7, default=0)
