# SPDX-License-Identifier: LGPL-2.1-or-later
"""`Command`: a command descriptor block, as one row of bytes; `Duration`: how long its kind may take."""

from __future__ import annotations

import enum
from typing import ClassVar

from tapeds.layout import Field, Layout, OpenEnum, bits, constant, u8


class Duration(enum.Enum):
    """The class of a command when the drive does not publish a time of its own."""

    QUERY = "query"              # answered without moving the tape
    READ = "read"
    WRITE = "write"
    FILEMARKS = "filemarks"      # waits for the buffer
    POSITION = "position"        # LOCATE, SPACE
    REWIND = "rewind"
    LOAD = "load"                # LOAD UNLOAD
    FORMAT = "format"
    ERASE = "erase"              # hours when long


class Status(OpenEnum):
    """How a device ends a command.  Ref: [SAM-6] 5.3."""

    GOOD = 0x00
    CHECK_CONDITION = 0x02
    CONDITION_MET = 0x04
    BUSY = 0x08
    RESERVATION_CONFLICT = 0x18
    TASK_SET_FULL = 0x28
    ACA_ACTIVE = 0x30
    TASK_ABORTED = 0x40


class Command(Layout):
    """Base of all commands.  A command without its reply is four or five lines.

    ``service_action`` stands in bits 4..0 of byte 1 where a command has one.
    """

    opcode: ClassVar[int]
    service_action: ClassVar[int | None]
    duration: ClassVar[Duration]
    title: ClassVar[str]
    """T10's name of the command: the docstring up to its colon."""
    opcode_field: ClassVar[Field]
    service_action_field: ClassVar[Field]

    def __init_subclass__(
        cls, *, opcode: int, size: int, duration: Duration, service_action: int | None = None
    ) -> None:
        cls.opcode, cls.service_action, cls.duration = opcode, service_action, duration
        cls.title = (cls.__doc__ or cls.__name__).partition(":")[0]
        cls.opcode_field = constant(u8(0), opcode)
        if service_action is not None:
            cls.service_action_field = constant(bits(1, 4, 0), service_action)
        super().__init_subclass__(size=size)
