# SPDX-License-Identifier: LGPL-2.1-or-later
"""One row per operation: whether it can be cancelled and what is left then, whether it needs its caller.

The documentation's table of cancelling is this one.
"""

from __future__ import annotations

from dataclasses import dataclass

from tapeds import errors
from tapeds.names import Operation as Op


@dataclass(frozen=True)
class Row:
    """``stops``: when a cancel takes effect, "" for an operation that cannot be cancelled."""

    request: str                   # what the worker is asked for
    stops: str = ""
    head: str = ""                 # where the head stands after a cancel
    tape: str = ""                 # what the tape holds after a cancel
    attended: bool = False         # dies with its caller, unless detached
    synchronizes: bool = False     # ends with everything durable; if it fails, nothing is known of that
    proves_position: bool = False  # after it the position is known, whatever was before
    stales_inventory: bool = False # after it the changer's inventory is to be looked at again

    @property
    def cancelable(self) -> bool:
        """Whether a job of this operation can be cancelled."""
        return bool(self.stops)


_UNCHANGED = "what it held"
_PASSED = "between the blocks read"
_MOTION = "before or after the motion in hand"
_INCOMPLETE = "the file, marked incomplete, up to the bytes told in bytes-on-tape"
_READ = Row(Op.READ_FILE, "at the next block", _PASSED, _UNCHANGED, attended=True)
_WRITE = Row(
    Op.WRITE_FILE,
    "at the next block",
    "behind the file",
    _INCOMPLETE,
    attended=True,
    synchronizes=True,
    proves_position=True,
)

ROWS: dict[str, Row] = {
    Op.SYNC: Row(Op.SYNC, synchronizes=True),
    Op.REWIND: Row(Op.REWIND, _MOTION, "as told", _UNCHANGED, proves_position=True),
    Op.MOVE_TO_EOM: Row(Op.MOVE_TO_EOM, _MOTION, "as told", _UNCHANGED, proves_position=True),
    Op.MOVE_TO_LAST_FILE: Row(Op.MOVE_TO_LAST_FILE, _MOTION, "as told", _UNCHANGED, proves_position=True),
    Op.MOVE_TO_FILE: Row(Op.MOVE_TO_FILE, _MOTION, "as told", _UNCHANGED, proves_position=True),
    Op.READ_LABEL: Row(Op.READ_LABEL, "at the next block", _PASSED, _UNCHANGED, proves_position=True),
    Op.LABEL_TAPE: Row(Op.LABEL_TAPE, proves_position=True),
    Op.WRITE_MEDIA_SET_LABEL: Row(Op.WRITE_MEDIA_SET_LABEL, proves_position=True),
    Op.FORMAT_MEDIA: Row(Op.FORMAT_MEDIA, proves_position=True),
    Op.EJECT_MEDIA: Row(Op.EJECT_MEDIA, synchronizes=True, proves_position=True, stales_inventory=True),
    Op.REQUEST_MEDIA: Row(
        Op.READ_LABEL, "at once; during a label check at the next block", "as told", _UNCHANGED, attended=True
    ),
    Op.READ_FILE: _READ,
    Op.READ_FILE_INTO: _READ,
    Op.WRITE_FILE: _WRITE,
    Op.WRITE_FILE_FROM: _WRITE,
    Op.LIST_FILES: Row(Op.LIST_FILES, "at the next file", "as told", _UNCHANGED, proves_position=True),
    Op.VERIFY_FILE: Row(Op.VERIFY_FILE, "at the next block", _PASSED, _UNCHANGED, proves_position=True),
    Op.VERIFY_TAPE: Row(Op.VERIFY_TAPE, "at the next block", _PASSED, _UNCHANGED, proves_position=True),
    Op.REFRESH_INVENTORY: Row("inventory"),
    Op.LOAD_MEDIA: Row(Op.LOAD_MEDIA, synchronizes=True, proves_position=True),
    Op.LOAD_SLOT: Row(Op.LOAD_SLOT, synchronizes=True, proves_position=True),
    Op.UNLOAD_MEDIA: Row(Op.UNLOAD_MEDIA, synchronizes=True, proves_position=True),
    Op.TRANSFER_MEDIA: Row(Op.TRANSFER_MEDIA),
    Op.EXPORT_MEDIA: Row(Op.EXPORT_MEDIA),
}


def row(operation: str) -> Row:
    """The row of ``operation``.  Raises NotSupported."""
    found = ROWS.get(operation)
    if found is None:
        raise errors.NotSupported(f"{operation} is not known")
    return found
