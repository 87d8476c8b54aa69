# SPDX-License-Identifier: LGPL-2.1-or-later
"""READ, WRITE, WRITE FILEMARKS (6), READ BLOCK LIMITS: blocks between host and tape."""

from __future__ import annotations

from tapeds.layout import Layout, bit, bits, u16, u24
from tapeds.scsi.command import Command, Duration


class Read6(Command, opcode=0x08, size=6, duration=Duration.READ):
    """READ(6): one block of at most ``transfer_length`` bytes, or that many with ``fixed``.  Ref: [SSC-5]."""

    suppress_incorrect_length: bool = bit(1, 1, default=False)       # SILI
    fixed: bool = bit(1, 0, default=False)
    transfer_length: int = u24(2)


class Write6(Command, opcode=0x0A, size=6, duration=Duration.WRITE):
    """WRITE(6): one block of ``transfer_length`` bytes, or that many with ``fixed``.  Ref: [SSC-5]."""

    fixed: bool = bit(1, 0, default=False)
    transfer_length: int = u24(2)


class WriteFilemarks6(Command, opcode=0x10, size=6, duration=Duration.FILEMARKS):
    """WRITE FILEMARKS(6): 0 write the buffer out; with ``immediate`` nothing waits.  Ref: [SSC-5]."""

    immediate: bool = bit(1, 0, default=False)
    count: int = u24(2)


class ReadBlockLimits(Command, opcode=0x05, size=6, duration=Duration.QUERY):
    """READ BLOCK LIMITS: which block lengths the drive can do.  Ref: [SSC-5]."""


class BlockLimits(Layout, size=6):
    """The reply to READ BLOCK LIMITS.  Ref: [SSC-5]."""

    granularity: int = bits(0, 4, 0, default=0)          # lengths are multiples of 2 to the power of this
    maximum: int = u24(1)                                # 0: no limit
    minimum: int = u16(4, default=0)
