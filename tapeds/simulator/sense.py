# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sense data: what a command that did not end with GOOD status says.

Ref: [SPC-5].
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from .fields import store

NO_SENSE, RECOVERED, NOT_READY, MEDIUM_ERROR, HARDWARE_ERROR, ILLEGAL_REQUEST, UNIT_ATTENTION = range(7)
DATA_PROTECT, BLANK_CHECK = 7, 8
ABORTED, VOLUME_OVERFLOW = 0xB, 0xD

_VALID, _COMMAND_DATA, _BIT_VALID, _SKS_VALID = 0x80, 0x40, 0x08, 0x80
_FILEMARK, _EOM, _ILI = 0x80, 0x40, 0x20


@dataclass(frozen=True, slots=True)
class Sense:
    """One answer other than GOOD, or what REQUEST SENSE returns.

    ``information`` is left out of fixed format sense data where 32 bits do not hold it.
    ``field`` names the byte (and bit) that was refused; ``in_cdb`` says where that byte is.
    ``progress`` counts from 0 to 65,535.
    """

    key: int
    asc: int
    ascq: int
    information: int | None = None
    deferred: bool = False
    filemark: bool = False
    eom: bool = False
    ili: bool = False
    field: int | None = None
    bit: int | None = None
    in_cdb: bool = True
    progress: int | None = None

    def _flags(self) -> int:
        return _FILEMARK * self.filemark | _EOM * self.eom | _ILI * self.ili

    def _key_specific(self) -> bytes | None:
        out = bytearray(3)
        if self.field is not None:
            out[0] = _SKS_VALID | _COMMAND_DATA * self.in_cdb
            if self.bit is not None:
                out[0] |= _BIT_VALID | self.bit
            store(out, 1, 2, self.field)
        elif self.progress is not None:
            out[0] = _SKS_VALID
            store(out, 1, 2, self.progress)
        else:
            return None
        return bytes(out)

    def fixed(self) -> bytes:
        """Fixed format, 18 bytes.  Ref: [SPC-5]."""
        out = bytearray(18)
        out[0] = 0x71 if self.deferred else 0x70
        if self.information is not None and -(1 << 31) <= self.information < 1 << 32:
            out[0] |= _VALID
            store(out, 3, 4, self.information & 0xFFFFFFFF)
        out[2] = self._flags() | self.key
        out[7] = len(out) - 8
        out[12], out[13] = self.asc, self.ascq
        out[15:18] = self._key_specific() or bytes(3)
        return bytes(out)

    def descriptor(self) -> bytes:
        """Descriptor format: information, sense key specific and stream commands.  Ref: [SPC-5]."""
        out = bytearray(8)
        out[0] = 0x73 if self.deferred else 0x72
        out[1], out[2], out[3] = self.key, self.asc, self.ascq
        if self.information is not None:
            out += b"\x00\x0a\x80\x00" + (self.information & (1 << 64) - 1).to_bytes(8, "big")
        if (specific := self._key_specific()) is not None:
            out += b"\x02\x06\x00\x00" + specific + b"\x00"
        if self._flags():
            out += b"\x04\x02\x00" + bytes([self._flags()])
        out[7] = len(out) - 8
        return bytes(out)


@dataclass(frozen=True, slots=True)
class Answer:
    """How a command ended: data for the initiator, and sense data unless the status is GOOD.

    ``seconds`` is the simulated time it takes; ``taken`` how many bytes of the data-out buffer were used.
    """

    data: bytes = b""
    sense: Sense | None = None
    seconds: float = 0.0
    taken: int = 0


class Refusal(Exception):
    """A command that ends with CHECK CONDITION and has done nothing."""

    def __init__(self, sense: Sense) -> None:
        super().__init__(f"{sense.key:X}/{sense.asc:02X}/{sense.ascq:02X}")
        self.sense = sense

    def after(self, seconds: float) -> Answer:
        """The same as an answer."""
        return Answer(sense=self.sense, seconds=seconds)


@dataclass(frozen=True, slots=True)
class _Cause:
    """A row of sense codes that is used in more than one place."""

    key: int
    asc: int
    ascq: int
    eom: bool = field(default=False)

    def __call__(self) -> Refusal:
        return Refusal(Sense(self.key, self.asc, self.ascq, eom=self.eom))


invalid_opcode = _Cause(ILLEGAL_REQUEST, 0x20, 0x00)
list_length_error = _Cause(ILLEGAL_REQUEST, 0x1A, 0x00)
saving_not_supported = _Cause(ILLEGAL_REQUEST, 0x39, 0x00)
past_beginning = _Cause(ILLEGAL_REQUEST, 0x3B, 0x0C)
removal_prevented = _Cause(ILLEGAL_REQUEST, 0x53, 0x02)
no_medium = _Cause(NOT_READY, 0x3A, 0x00)
memory_only = _Cause(NOT_READY, 0x3A, 0x04)
incompatible_medium = _Cause(MEDIUM_ERROR, 0x30, 0x00)
cleaning_cartridge = _Cause(NOT_READY, 0x30, 0x03)
cleaning_rejected = _Cause(NOT_READY, 0x30, 0x0A)
cleaning_expired = _Cause(NOT_READY, 0x30, 0x13)
write_protected = _Cause(DATA_PROTECT, 0x27, 0x00)
worm_overwrite = _Cause(DATA_PROTECT, 0x30, 0x0C)
data_phase_error = _Cause(ABORTED, 0x4B, 0x00)


def invalid_cdb(at: int, bit: int | None = None) -> Refusal:
    """INVALID FIELD IN CDB; ``at`` is its byte."""
    return Refusal(Sense(ILLEGAL_REQUEST, 0x24, 0x00, field=at, bit=bit))


def invalid_list(at: int, bit: int | None = None) -> Refusal:
    """INVALID FIELD IN PARAMETER LIST; ``at`` is its byte."""
    return Refusal(Sense(ILLEGAL_REQUEST, 0x26, 0x00, field=at, bit=bit, in_cdb=False))


def residue(sense: Sense, information: int) -> Sense:
    """The same with what was left undone."""
    return replace(sense, information=information)


AT_FILEMARK = Sense(NO_SENSE, 0x00, 0x01, filemark=True)
AT_BEGINNING = Sense(NO_SENSE, 0x00, 0x04, eom=True)
AT_END_OF_DATA = Sense(BLANK_CHECK, 0x00, 0x05)
EARLY_WARNING = Sense(NO_SENSE, 0x00, 0x02, eom=True)
PROGRAMMABLE_EARLY_WARNING = Sense(NO_SENSE, 0x00, 0x07, eom=True)
END_OF_MEDIUM = Sense(VOLUME_OVERFLOW, 0x00, 0x02, eom=True)
WRITE_ERROR = Sense(MEDIUM_ERROR, 0x0C, 0x00)
TARGET_FAILURE = Sense(HARDWARE_ERROR, 0x44, 0x00)
