# SPDX-License-Identifier: LGPL-2.1-or-later
"""How tapectl ends: the exit status, what went wrong in words, and the command that helps."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any

from tapeds import names


class Exit(IntEnum):
    """The exit status of tapectl.  Scripts rely on it: it only ever grows."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    BUSY = 4
    NO_MEDIUM = 5
    INCOMPLETE = 6
    CANCELLED = 130


_BUS_ERRORS = "org.freedesktop.DBus.Error."

_EXITS = {
    "InvalidOption": Exit.USAGE,
    "InvalidArgs": Exit.USAGE,
    "NoSuchDrive": Exit.USAGE,
    "NoSuchChanger": Exit.USAGE,
    "AccessDenied": Exit.REFUSED,
    "InteractiveAuthorizationRequired": Exit.REFUSED,
    "NotOwner": Exit.REFUSED,
    "Busy": Exit.BUSY,
    "Locked": Exit.BUSY,
    "NoMedia": Exit.NO_MEDIUM,
    "Incomplete": Exit.INCOMPLETE,
    "EndOfMedia": Exit.INCOMPLETE,
    "Cancelled": Exit.CANCELLED,
}

# What to type next.  {drive} is the drive's name, or DRIVE where no drive is meant.
_REMEDIES = {
    "AccessDenied": "tapectl doctor (shows what you may do), or ask as root or as a member of the group tape",
    "InteractiveAuthorizationRequired": "the same without --no-interactive, or as root",
    "NotOwner": "run it inside the `tapectl lock` that holds the drive",
    "Busy": "tapectl jobs, then tapectl wait JOB or tapectl cancel JOB",
    "Locked": "tapectl status {drive} (shows the holder), or tapectl lock --wait SECONDS {drive} -- COMMAND",
    "NoSuchDrive": "tapectl drives",
    "NoSuchChanger": "tapectl drives",
    "NoChanger": "put the cartridge in by hand",
    "NoMedia": "tapectl inventory {drive}, then tapectl load {drive} LABEL",
    "EmptyMedia": "tapectl label {drive} TEXT",
    "NotEmpty": "the same with --overwrite, if these files may go",
    "WrongLabel": "tapectl read-label {drive}",
    "PositionLost": "tapectl rewind {drive}",
    "EndOfData": "tapectl ls {drive}",
    "NotPresent": "tapectl scan",
    "InvalidConfig": "mend the file, then tapectl reload",
    "ServiceUnknown": "tapectl doctor, or systemctl start tapeds",
    "NameHasNoOwner": "tapectl doctor, or systemctl start tapeds",
    "NoServer": "tapectl doctor",
    "AuthFailed": "tapectl doctor",
    "NoReply": "tapectl doctor, and journalctl -u tapeds",
    "Timeout": "tapectl doctor, and journalctl -u tapeds",
    "Disconnected": "tapectl doctor, and journalctl -u tapeds",
}


# What a bus says in its own words, said in ours.
_TEXTS = {
    "ServiceUnknown": "the tape drive service does not run on this bus",
    "NameHasNoOwner": "the tape drive service does not run on this bus",
    "NoReply": "the service went away before it answered; it says at its next start what became of the work",
}


class Failure(Exception):
    """The end of a verb that did not do what it should.

    ``left`` says what is on the tape or the disk now, ``remedy`` what to type next.
    ``name`` is the last part of the D-Bus error name ("" where tapectl itself found the fault),
    ``full_name`` all of it, ``data`` further facts such as ``bytes-on-tape``.
    """

    def __init__(
        self,
        text: str,
        *,
        exit_status: Exit = Exit.FAILED,
        remedy: str = "",
        left: str = "",
        full_name: str = "",
        data: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(text)
        self.text = text
        self.exit_status = exit_status
        self.remedy = remedy
        self.left = left
        self.full_name = full_name
        self.data: dict[str, Any] = dict(data or {})

    @property
    def name(self) -> str:
        return short_name(self.full_name)


def short_name(full_name: str) -> str:
    """The part of a D-Bus error name that says what; foreign names stay whole."""
    for prefix in (names.ERROR_PREFIX, _BUS_ERRORS):
        if full_name.startswith(prefix):
            return full_name.removeprefix(prefix)
    return full_name


def from_error(
    full_name: str, text: str, *, drive: str = "", data: Mapping[str, Any] | None = None
) -> Failure:
    """The D-Bus error ``full_name`` as the end of a verb on ``drive``."""
    name = short_name(full_name)
    return Failure(
        _TEXTS.get(name) or text or f"{name}, without any explanation",
        exit_status=_EXITS.get(name, Exit.FAILED),
        remedy=_REMEDIES.get(name, "").format(drive=drive or "DRIVE"),
        full_name=full_name,
        data=data,
    )
