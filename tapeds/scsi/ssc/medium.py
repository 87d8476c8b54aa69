# SPDX-License-Identifier: LGPL-2.1-or-later
"""LOAD UNLOAD, ERASE(6) and FORMAT MEDIUM: the medium as a whole."""

from __future__ import annotations

from tapeds.layout import OpenEnum, bit, bits, u16
from tapeds.scsi.command import Command, Duration


class LoadUnload(Command, opcode=0x1B, size=6, duration=Duration.LOAD):
    """LOAD UNLOAD: thread the medium with ``load``, else give it out.  Ref: [SSC-5]."""

    immediate: bool = bit(1, 0, default=False)
    hold: bool = bit(4, 3, default=False)                # load, but do not thread; unthread, but keep
    end_of_tape: bool = bit(4, 2, default=False)         # EOT: unload at the end
    retension: bool = bit(4, 1, default=False)
    load: bool = bit(4, 0)


class Erase6(Command, opcode=0x19, size=6, duration=Duration.ERASE):
    """ERASE(6): end of data here; with ``long`` all of the tape from here on.  Ref: [SSC-5]."""

    immediate: bool = bit(1, 1, default=False)
    long: bool = bit(1, 0, default=False)


class MediumFormat(OpenEnum):
    """What FORMAT MEDIUM makes."""

    DEFAULT = 0                          # one partition
    PARTITION = 1                        # as the Medium Partition mode page says
    DEFAULT_THEN_PARTITION = 2


class FormatMedium(Command, opcode=0x04, size=6, duration=Duration.FORMAT):
    """FORMAT MEDIUM: at the beginning only; on LTO-9 it optimises the medium anew.  Ref: [SSC-5]."""

    verify: bool = bit(1, 1, default=False)
    immediate: bool = bit(1, 0, default=False)
    format: MediumFormat = bits(2, 3, 0, MediumFormat, default=MediumFormat.DEFAULT)
    transfer_length: int = u16(3, default=0)
