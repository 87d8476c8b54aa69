# SPDX-License-Identifier: LGPL-2.1-or-later
"""REPORT SUPPORTED OPERATION CODES: what a device can do, and how long it may take."""

from __future__ import annotations

from dataclasses import dataclass

from tapeds.layout import Layout, announced, bit, bits, raw, u8, u16, u32
from tapeds.scsi.command import Command, Duration


class ReportSupportedOperationCodes(
    Command, opcode=0xA3, service_action=0x0C, size=12, duration=Duration.QUERY
):
    """REPORT SUPPORTED OPERATION CODES: all of them, with ``timeouts`` (RCTD) if asked.  Ref: [SPC-5]."""

    timeouts: bool = bit(2, 7, default=False)
    options: int = bits(2, 2, 0, default=0)              # 0: all; 1 to 3: the one that is named
    requested_opcode: int = u8(3, default=0)
    requested_service_action: int = u16(4, default=0)
    allocation_length: int = u32(6)


class AllCommands(Layout, size=4):
    """The head of the reply to options 0."""

    length = announced(0, 4, after=4)
    descriptors: bytes = raw(4)


class CommandDescriptor(Layout, size=8):
    """One command.  Ref: [SPC-5]."""

    opcode: int = u8(0)
    service_action: int = u16(2)
    timeouts: bool = bit(5, 1)                           # CTDP: a timeouts descriptor follows
    has_service_action: bool = bit(5, 0)                 # SERVACTV
    cdb_length: int = u16(6)


class TimeoutsDescriptor(Layout, size=12):
    """How long a command takes, in seconds; 0 where the device does not say.  Ref: [SPC-5]."""

    length = announced(0, 2, after=2)
    nominal: int = u32(4, default=0)
    recommended: int = u32(8, default=0)


@dataclass(frozen=True)
class SupportedCommand:
    """A command that a device knows; times are in seconds, None where it does not say."""

    opcode: int
    service_action: int | None
    cdb_length: int
    nominal: int | None = None
    recommended: int | None = None


def supported_commands(data: bytes) -> dict[tuple[int, int | None], SupportedCommand]:
    """The reply, by opcode and service action, as far as it goes.  Raises Malformed."""
    rest = AllCommands.from_bytes(data).descriptors
    found = {}
    while len(rest) >= CommandDescriptor.byte_size:
        one = CommandDescriptor.from_bytes(rest)
        rest = rest[CommandDescriptor.byte_size :]
        nominal = recommended = 0
        if one.timeouts:
            times = next(TimeoutsDescriptor.each(rest), None)
            if times is None:
                break
            nominal, recommended = times.nominal, times.recommended
            rest = rest[TimeoutsDescriptor.length_of(rest) :]
        action = one.service_action if one.has_service_action else None
        found[one.opcode, action] = SupportedCommand(
            one.opcode, action, one.cdb_length, nominal or None, recommended or None
        )
    return found
