# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may do what: one table with a row for every member of the API, without wildcards.

A row is None (everybody), the name of a polkit action, `Who.OWNER`, `Who.ROOT`, or a `Where` that
chooses between rows by the arguments or by who is calling.  `check` refuses an API with a member
that has no row, and the daemon does not start then.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tapeds import names
from tapeds.buslib.schema import Interface

DRIVE_INSPECT = "org.tapeds1.drive.inspect"
DRIVE_ACQUIRE = "org.tapeds1.drive.acquire"
DRIVE_MOVE = "org.tapeds1.drive.move"
DRIVE_EJECT = "org.tapeds1.drive.eject"
DATA_READ = "org.tapeds1.data.read"
DATA_WRITE = "org.tapeds1.data.write"
MEDIA_ERASE = "org.tapeds1.media.erase"
CHANGER_INVENTORY = "org.tapeds1.changer.inventory"
CHANGER_MOVE = "org.tapeds1.changer.move"
MANAGER_RELOAD = "org.tapeds1.manager.reload"
JOB_CANCEL = "org.tapeds1.job.cancel"
JOB_CANCEL_OTHERS = "org.tapeds1.job.cancel-others"
SESSION_BREAK = "org.tapeds1.session.break"

NEVER_REMEMBERED = frozenset({MEDIA_ERASE, SESSION_BREAK})
"""A yes to these counts once, also within a lease."""


class Who(enum.Enum):
    """Rows that polkit is not asked about."""

    OWNER = "owner"  # of the job or session; nobody else
    ROOT = "root"  # uid 0


class Relation(enum.Enum):
    """What the caller is to the object it calls."""

    OWNER = "owner"  # the object is the caller's own
    SAME_USER = "same-user"  # another connection of the owner's uid
    OTHER = "other"


@dataclass(frozen=True)
class Question:
    """What a row may look at."""

    arguments: tuple[Any, ...]
    options: Mapping[str, Any]
    relation: Relation


@dataclass(frozen=True)
class Where:
    """``then`` where ``holds`` says so of the call, else ``otherwise``."""

    holds: Callable[[Question], bool]
    then: Rule
    otherwise: Rule


Rule = str | Who | Where | None


def _by_owner(question: Question) -> bool:
    return question.relation is Relation.OWNER


def _by_same_user(question: Question) -> bool:
    return question.relation is Relation.SAME_USER


def _closes_an_open_file(question: Question) -> bool:
    return bool(question.arguments[0])


def _destroys_files(question: Question) -> bool:
    return question.options.get("file") is not None


_WRITE = Where(_destroys_files, MEDIA_ERASE, DATA_WRITE)
_CANCEL = Where(_by_owner, None, Where(_by_same_user, JOB_CANCEL, JOB_CANCEL_OTHERS))

METHODS: Mapping[tuple[str, str], Rule] = {
    (names.MANAGER, "GetDrives"): None,
    (names.MANAGER, "GetChangers"): None,
    (names.MANAGER, "GetJobs"): None,
    (names.MANAGER, "GetDriveByName"): None,
    (names.MANAGER, "GetChangerByName"): None,
    (names.MANAGER, "GetPermissions"): None,
    (names.MANAGER, "ScanDevices"): None,
    (names.MANAGER, "Reload"): MANAGER_RELOAD,
    (names.DRIVE, "GetStatus"): DRIVE_INSPECT,
    (names.DRIVE, "CurrentFileNumber"): DRIVE_INSPECT,
    (names.DRIVE, "Acquire"): DRIVE_ACQUIRE,
    (names.DRIVE, "Sync"): DRIVE_MOVE,
    (names.DRIVE, "Rewind"): DRIVE_MOVE,
    (names.DRIVE, "MoveToEom"): Where(_closes_an_open_file, DATA_WRITE, DRIVE_MOVE),
    (names.DRIVE, "MoveToLastFile"): DRIVE_MOVE,
    (names.DRIVE, "MoveToFile"): DRIVE_MOVE,
    (names.DRIVE, "RequestMedia"): DRIVE_MOVE,
    (names.DRIVE, "ReadLabel"): DRIVE_MOVE,
    (names.DRIVE, "EjectMedia"): DRIVE_EJECT,
    (names.DRIVE, "ReadFile"): DATA_READ,
    (names.DRIVE, "ReadFileInto"): DATA_READ,
    (names.DRIVE, "ListFiles"): DATA_READ,
    (names.DRIVE, "VerifyFile"): DATA_READ,
    (names.DRIVE, "VerifyTape"): DATA_READ,
    (names.DRIVE, "WriteFile"): _WRITE,
    (names.DRIVE, "WriteFileFrom"): _WRITE,
    (names.DRIVE, "FormatMedia"): MEDIA_ERASE,
    (names.DRIVE, "LabelTape"): MEDIA_ERASE,
    (names.DRIVE, "WriteMediaSetLabel"): MEDIA_ERASE,
    (names.CHANGER, "GetInventory"): None,
    (names.CHANGER, "RefreshInventory"): CHANGER_INVENTORY,
    (names.CHANGER, "LoadMedia"): CHANGER_MOVE,
    (names.CHANGER, "LoadSlot"): CHANGER_MOVE,
    (names.CHANGER, "UnloadMedia"): CHANGER_MOVE,
    (names.CHANGER, "TransferMedia"): CHANGER_MOVE,
    (names.CHANGER, "ExportMedia"): CHANGER_MOVE,
    (names.SESSION, "Renew"): Who.OWNER,
    (names.SESSION, "SetStatusText"): Who.OWNER,
    (names.SESSION, "Release"): Where(_by_owner, None, SESSION_BREAK),
    (names.JOB, "Cancel"): _CANCEL,
    (names.JOB, "Wait"): None,
    (names.TRANSFER, "Commit"): Who.OWNER,
    (names.TRANSFER, "Abort"): Who.OWNER,
}

# fmt: off
READABLE: Mapping[str, frozenset[str]] = {
    names.MANAGER: frozenset({
        "Version", "ApiRevision", "ConfigGeneration", "ConfigErrors", "ActiveJobs",
    }),
    names.DRIVE: frozenset({
        "Name", "Type", "ConfiguredPath", "Present", "Device", "Vendor", "Model", "Revision", "Serial",
        "State", "StatusText", "Job", "Session", "LockHolder", "MediaState", "Media", "PositionKnown",
        "FileNumber", "BlockNumber", "DurableFile", "DurableBlock", "CapacityBytes", "RemainingBytes",
        "Waiters", "Changer", "ChangerDriveNumber",
    }),
    names.CHANGER: frozenset({
        "Name", "Type", "ConfiguredPath", "Present", "Device", "Vendor", "Model", "Revision", "Serial",
        "State", "Job", "LockHolder", "SlotCount", "ImportExportCount", "DriveCount", "TransportCount",
        "Drives", "InventoryGeneration", "InventoryTime",
    }),
    names.SESSION: frozenset({
        "Drive", "Owner", "OwnerUID", "OwnerPID", "Binding", "Reason", "Created", "Expires",
    }),
    names.JOB: frozenset({
        "Id", "Operation", "Objects", "Owner", "OwnerUID", "Session", "StartTime", "EndTime",
        "ExpectedEndTime", "State", "Cancelable", "ProgressValid", "Progress", "BytesDone", "BytesTotal",
        "Rate", "Message", "Prompt", "Result", "ErrorName", "ErrorMessage", "ResultData",
    }),
    names.TRANSFER: frozenset({
        "Direction", "FileNumber", "EarlyWarning",
    }),
    names.LOG_CONTROL: frozenset({
        "LogLevel", "LogTarget", "SyslogIdentifier",
    }),
}
# fmt: on
"""Properties that everybody may read."""

WRITABLE: Mapping[tuple[str, str], Rule] = {
    (names.LOG_CONTROL, "LogLevel"): Who.ROOT,
    (names.LOG_CONTROL, "LogTarget"): Who.ROOT,
}
"""Properties that can be set, and by whom."""


def check(interfaces: Mapping[str, Interface]) -> None:
    """Every member of ``interfaces`` has its row.  Raises LookupError naming those that have none."""
    missing: list[str] = []
    for name, interface in interfaces.items():
        missing += [f"{name}.{method}" for method in interface.methods if (name, method) not in METHODS]
        missing += [
            f"{name}.{known}" for known in interface.properties if known not in READABLE.get(name, ())
        ]
        missing += [
            f"{name}.{known} (write)"
            for known, about in interface.properties.items()
            if "write" in about.access and (name, known) not in WRITABLE
        ]
    if missing:
        raise LookupError(f"no row in the authorization table for {', '.join(sorted(missing))}")


def decide(rule: Rule, question: Question) -> str | Who | None:
    """What ``rule`` asks of this call."""
    while isinstance(rule, Where):
        rule = rule.then if rule.holds(question) else rule.otherwise
    return rule


def actions() -> tuple[str, ...]:
    """Every polkit action that a row can ask for, sorted."""
    found: set[str] = set()
    rules = [*METHODS.values(), *WRITABLE.values()]
    while rules:
        match rules.pop():
            case str() as action:
                found.add(action)
            case Where(then=then, otherwise=otherwise):
                rules += [then, otherwise]
    return tuple(sorted(found))
