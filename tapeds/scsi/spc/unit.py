# SPDX-License-Identifier: LGPL-2.1-or-later
"""TEST UNIT READY, REQUEST SENSE, PREVENT ALLOW MEDIUM REMOVAL."""

from __future__ import annotations

from tapeds.layout import OpenEnum, bit, bits, u8
from tapeds.scsi.command import Command, Duration


class TestUnitReady(Command, opcode=0x00, size=6, duration=Duration.QUERY):
    """TEST UNIT READY: is a medium ready; a unit attention is told first.  Ref: [SPC-5]."""

    __test__ = False                     # its name is T10's, and not that of a test


class RequestSense(Command, opcode=0x03, size=6, duration=Duration.QUERY):
    """REQUEST SENSE: what there is to tell, as data; progress of what is under way, too.  Ref: [SPC-5]."""

    descriptor_format: bool = bit(1, 0, default=False)
    allocation_length: int = u8(4)


class Prevention(OpenEnum):
    """Whether the medium may be removed."""

    ALLOWED = 0
    PREVENTED = 1


class PreventAllowMediumRemoval(Command, opcode=0x1E, size=6, duration=Duration.QUERY):
    """PREVENT ALLOW MEDIUM REMOVAL: for this I_T nexus.  Ref: [SPC-5]."""

    prevent: Prevention = bits(4, 1, 0, Prevention)
