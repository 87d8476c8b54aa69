# SPDX-License-Identifier: LGPL-2.1-or-later
"""A command as it arrives, and the row that says what may stand in its CDB."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

from . import sense
from .fields import number
from .sense import Answer
from .unit import Unit


class Access(enum.Enum):
    """What a command needs, and what it must hear first."""

    ALWAYS = "carried out whatever is going on; attentions stay for the next"
    QUESTION = "needs the drive only"
    MEMORY = "needs a cartridge whose memory can be read"
    MEDIUM = "needs a loaded medium and an idle drive"
    OWN = "decides for itself"


@dataclass(frozen=True, slots=True)
class Request:
    """One command: from which nexus, its bytes, its data-out buffer, and how much it may answer."""

    nexus: str
    cdb: bytes
    data: memoryview
    allocation: int

    @property
    def opcode(self) -> int:
        """Byte 0."""
        return self.cdb[0]

    def number(self, at: int, size: int) -> int:
        """An unsigned field of the CDB."""
        return number(self.cdb, at, size)

    def flag(self, at: int, bit: int) -> bool:
        """A bit of the CDB."""
        return bool(self.cdb[at] >> bit & 1)

    def parameters(self, length: int) -> memoryview:
        """The parameter list of ``length`` bytes.  Raises Refusal if fewer came."""
        if len(self.data) < length:
            raise sense.data_phase_error()
        return self.data[:length]


Handler = Callable[[Unit, Request], Answer]


@dataclass(frozen=True, slots=True)
class Row:
    """One command.  ``usage`` is its CDB with a one for every bit that may be set.  Ref: [SPC-5].

    ``action`` is the service action that tells it from others of its opcode.  ``timeout`` names a
    value of the generation's table.
    """

    name: str
    usage: bytes
    access: Access
    handler: Handler
    timeout: str
    action: int | None = None

    @property
    def opcode(self) -> int:
        """Byte 0."""
        return self.usage[0]

    def check(self, cdb: bytes) -> None:
        """Raises Refusal for a CDB of another length, or with a bit that has no meaning."""
        if len(cdb) != len(self.usage):
            raise sense.invalid_cdb(min(len(cdb), len(self.usage)) - 1)
        for at, (byte, may) in enumerate(zip(cdb, self.usage, strict=True)):
            if at and (wrong := byte & ~may):
                raise sense.invalid_cdb(at, wrong.bit_length() - 1)
