# SPDX-License-Identifier: LGPL-2.1-or-later
"""The dictionaries that a caller may pass: one table, (interface, member) -> key -> type and default.

An unknown key is an error and not ignored: a misspelt ``fast`` on an erase is not harmless.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tapeds import names
from tapeds.buslib import Variant, unwrap
from tapeds.buslib.schema import Interface
from tapeds.errors import InvalidOption

Options = dict[str, Any]
"""Plain Python values by key; keys without a default are absent unless given."""

NO_INTERACTION = "auth.no_user_interaction"
SESSION = "session"

_SAFE_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}")


@dataclass(frozen=True)
class Option:
    """One key: its D-Bus type, its default (None: absent), and which values it takes."""

    type: str
    default: object = None
    required: bool = False
    choices: tuple[str, ...] = ()
    length: tuple[int, int] | None = None
    pattern: re.Pattern[str] | None = None
    remedy: str = ""                       # of a value that the pattern does not take

    def complaint(self, value: Any) -> str:
        """What is wrong with ``value``, "" if nothing."""
        if self.choices and value not in self.choices:
            return f"must be {' or '.join(self.choices)}, not {value!r}"
        if self.length is not None and not self.length[0] <= len(value) <= self.length[1]:
            low, high = self.length
            wanted = str(low) if low == high else f"{low} to {high}"
            return f"must be {wanted} {'bytes' if self.type == 'ay' else 'characters'} long, not {len(value)}"
        if self.pattern is not None and not self.pattern.fullmatch(value):
            return f"cannot be {value!r}; {self.remedy}"
        return ""


_STANDARD = {NO_INTERACTION: Option("b", False)}
_LEASED = {**_STANDARD, SESSION: Option("o", names.NO_PATH)}
_UUID_TEXT = Option("s", pattern=_UUID, remedy="give 32 hex digits, with hyphens or without")
_LABEL_TEXT = Option(
    "s",
    length=(2, 32),
    pattern=_SAFE_ID,
    remedy="give letters, digits, '.', '_' and '-', beginning with a letter, digit or '_'",
)
_POOL = _LABEL_TEXT
_SHA256 = Option("ay", length=(32, 32))
_DIGEST = Option("s", "none", choices=("none", "sha256"))
_READ = {
    **_LEASED,
    "detach": Option("b", False),
    "raw-header": Option("b", False),
    "digest": _DIGEST,
}
_WRITE = {
    **_LEASED,
    "detach": Option("b", False),
    "name": Option("s", length=(1, 4096)),
    "attributes": Option("a{sv}"),
    "content-magic": Option("ay", length=(8, 8)),
    "header": Option("ay", length=(0, 65536)),
    "format": Option("s", choices=("stream", "raw")),
    "block-size": Option("u"),
    "framing": Option("s", choices=("none", "u32le")),
    "size": Option("t"),
    "sha256": _SHA256,
    "commit-on-eof": Option("b", False),
    "durable": Option("b", True),
    "digest": _DIGEST,
    "file": Option("t"),
    "expect-uuid": _UUID_TEXT,
    "expect-file": Option("t"),
    "unlabelled": Option("b", False),
}
_OVERWRITE = {**_LEASED, "overwrite": Option("b", False), "expect-uuid": _UUID_TEXT}

OPTIONS: Mapping[tuple[str, str], Mapping[str, Option]] = {
    (names.MANAGER, "GetDrives"): _STANDARD,
    (names.MANAGER, "GetChangers"): _STANDARD,
    (names.MANAGER, "GetJobs"): _STANDARD,
    (names.MANAGER, "GetDriveByName"): _STANDARD,
    (names.MANAGER, "GetChangerByName"): _STANDARD,
    (names.MANAGER, "GetPermissions"): _STANDARD,
    (names.MANAGER, "ScanDevices"): _STANDARD,
    (names.MANAGER, "Reload"): _STANDARD,
    (names.DRIVE, "Acquire"): {
        **_LEASED,
        "bind": Option("s", "client", choices=("client", "none")),
        "ttl": Option("t", 0),
        "timeout": Option("u", 10),
        "reason": Option("s", "", length=(0, 256)),
    },
    (names.DRIVE, "GetStatus"): _LEASED,
    (names.DRIVE, "CurrentFileNumber"): _LEASED,
    (names.DRIVE, "Sync"): _LEASED,
    (names.DRIVE, "Rewind"): _LEASED,
    (names.DRIVE, "MoveToEom"): _LEASED,
    (names.DRIVE, "MoveToLastFile"): _LEASED,
    (names.DRIVE, "MoveToFile"): _LEASED,
    (names.DRIVE, "ReadLabel"): _LEASED,
    (names.DRIVE, "LabelTape"): _OVERWRITE,
    (names.DRIVE, "WriteMediaSetLabel"): _OVERWRITE,
    (names.DRIVE, "FormatMedia"): {**_LEASED, "expect-uuid": _UUID_TEXT},
    (names.DRIVE, "EjectMedia"): _LEASED,
    (names.DRIVE, "RequestMedia"): {
        **_LEASED,
        "detach": Option("b", False),
        "timeout": Option("t", 0),
        "interval": Option("u", 5),
    },
    (names.DRIVE, "ReadFile"): _READ,
    (names.DRIVE, "ReadFileInto"): _READ,
    (names.DRIVE, "WriteFile"): _WRITE,
    (names.DRIVE, "WriteFileFrom"): _WRITE,
    (names.DRIVE, "ListFiles"): {**_LEASED, "first": Option("t", 0), "count": Option("t", 1000)},
    (names.DRIVE, "VerifyFile"): _LEASED,
    (names.DRIVE, "VerifyTape"): _LEASED,
    (names.CHANGER, "GetInventory"): _LEASED,
    (names.CHANGER, "RefreshInventory"): {**_LEASED, "initialize": Option("b", False)},
    (names.CHANGER, "LoadMedia"): {**_LEASED, "create": Option("b", False)},
    (names.CHANGER, "LoadSlot"): _LEASED,
    (names.CHANGER, "UnloadMedia"): _LEASED,
    (names.CHANGER, "TransferMedia"): _LEASED,
    (names.CHANGER, "ExportMedia"): _LEASED,
    (names.SESSION, "Renew"): _STANDARD,
    (names.SESSION, "Release"): _STANDARD,
    (names.SESSION, "SetStatusText"): _STANDARD,
    (names.JOB, "Cancel"): _STANDARD,
    (names.JOB, "Wait"): _STANDARD,
    (names.TRANSFER, "Commit"): {**_STANDARD, "sha256": _SHA256},
    (names.TRANSFER, "Abort"): _STANDARD,
}
"""The argument ``options`` of each method."""

ARGUMENTS: Mapping[tuple[str, str, str], Mapping[str, Option]] = {
    (names.DRIVE, "LabelTape", "label"): {
        "label-text": replace(_LABEL_TEXT, required=True),
        "uuid": _UUID_TEXT,
        "ctime": Option("x"),
        "pool": _POOL,
    },
    (names.DRIVE, "WriteMediaSetLabel", "label"): {
        "uuid": _UUID_TEXT,
        "pool": replace(_POOL, required=True),
        "seq-nr": Option("t", 0),
        "ctime": Option("x"),
    },
    (names.DRIVE, "RequestMedia", "media"): {"uuid": _UUID_TEXT, "label-text": _LABEL_TEXT},
}
"""The other dictionaries that a method takes."""


def check(interfaces: Mapping[str, Interface]) -> None:
    """Every dictionary that ``interfaces`` take has its row.  Raises LookupError naming those without."""
    missing = [
        f"{name}.{method.name} {arg.name}"
        for name, interface in interfaces.items()
        for method in interface.methods.values()
        for arg in method.inputs
        if arg.type == "a{sv}" and _rows(name, method.name, arg.name) is None
    ]
    if missing:
        raise LookupError(f"no row in the table of options for {', '.join(sorted(missing))}")


def parse(interface: str, member: str, argument: str, given: Mapping[str, Variant]) -> Options:
    """``given`` as plain values with the defaults filled in.  Raises InvalidOption."""
    rows = _rows(interface, member, argument) or {}
    kind = "option" if argument == "options" else f"key of {argument}"
    parsed: Options = {key: row.default for key, row in rows.items() if row.default is not None}
    for key, variant in given.items():
        row = rows.get(key)
        if row is None:
            raise InvalidOption(f"{member} has no {kind} {key!r}{_hint(key, rows)}")
        if variant.signature != row.type:
            raise InvalidOption(f"{kind} {key} of {member} is of type {row.type}, not {variant.signature}")
        value = unwrap(variant)
        if complaint := row.complaint(value):
            raise InvalidOption(f"{kind} {key} of {member} {complaint}")
        parsed[key] = value
    for key, row in rows.items():
        if row.required and key not in parsed:
            raise InvalidOption(f"{member} needs the {kind} {key}, of type {row.type}")
    return parsed


def _rows(interface: str, member: str, argument: str) -> Mapping[str, Option] | None:
    if argument == "options":
        return OPTIONS.get((interface, member))
    return ARGUMENTS.get((interface, member, argument))


def _hint(key: str, rows: Mapping[str, Option]) -> str:
    near = difflib.get_close_matches(key, rows, n=1, cutoff=0.4)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; there are {', '.join(sorted(rows))}" if rows else ""
