# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every public string: bus name, object paths, interfaces, journal fields, message ids, directories."""

from __future__ import annotations

BUS_NAME = "org.tapeds1"
ERROR_PREFIX = "org.tapeds1.Error."

ROOT_PATH = "/org/tapeds1"
MANAGER_PATH = "/org/tapeds1/Manager"
LOG_CONTROL_PATH = "/org/freedesktop/LogControl1"
NO_PATH = "/"                                # a property of type "o" that names nothing

MANAGER = "org.tapeds1.Manager"
DRIVE = "org.tapeds1.Drive"
CHANGER = "org.tapeds1.Changer"
SESSION = "org.tapeds1.Session"
JOB = "org.tapeds1.Job"
TRANSFER = "org.tapeds1.Transfer"
LOG_CONTROL = "org.freedesktop.LogControl1"

API_REVISION = 1
UNKNOWN = 0xFFFF_FFFF_FFFF_FFFF              # a number of type "t" that is not known yet
SOURCE_SLOT = 0xFFFF_FFFF                    # UnloadMedia: where the cartridge came from
FOR_EVER = 0xFFFF_FFFF                       # Acquire: wait without limit

SYSLOG_IDENTIFIER = "tapedsd"

CONFIG_FILE = "/etc/tapeds/tapeds.toml"
RUNTIME_DIR = "/run/tapeds"
LOCK_DIR = "/run/lock/tapeds"
STATE_DIR = "/var/lib/tapeds"


class Field:
    """Fields of a journal entry.  Upper case: journald drops other names without an error."""

    MESSAGE_ID = "MESSAGE_ID"
    JOB = "TAPEDS_JOB"
    OPERATION = "TAPEDS_OPERATION"
    DRIVE = "TAPEDS_DRIVE"
    CHANGER = "TAPEDS_CHANGER"
    LABEL = "TAPEDS_LABEL"
    MEDIA_UUID = "TAPEDS_MEDIA_UUID"
    BYTES = "TAPEDS_BYTES"
    CALLER_UID = "TAPEDS_CALLER_UID"
    CALLER = "TAPEDS_CALLER"
    RESULT = "TAPEDS_RESULT"
    ERROR = "TAPEDS_ERROR"
    PATH = "TAPEDS_PATH"


class MessageId:
    """Message ids; ``data/tapeds.catalog`` explains each."""

    JOB_STARTED = "5d1e2c9c6f6a4a0d9a5b0c2b8f0e7a11"
    JOB_FINISHED = "0a8b5c8e3f424d6c8f3f4f6f2e5d7b22"
    JOB_FAILED = "b7d0f6a1c6e94a6a8f2d9d8c1a3e5c33"
    JOB_PROGRESS = "e2a4c6d8b0f14d5e9a7c3b5d7f9e1a88"
    MEDIA_REQUESTED = "9f3c1b7a5d2e4f60b8c4a6e8d0f21344"
    WRONG_MEDIA = "c5b9a7d3e1f0426c8e6a4c2b0d8f6e55"
    MEDIA_FOUND = "41f7e5d3c1b94a8f9e7d5c3b1a0f8e66"
    DRIVE_PRESENT = "7c2e4a6f8d0b4c1ea3b5d7f9c1e3a577"
    DRIVE_ABSENT = "d8f6b4a2c0e84e3f81a3c5e7f9b1d399"
    LEASE_BROKEN = "2b4d6f8a0c1e4395b7d9fb1d3f5a7caa"
    TAPE_ALERT = "86a4c2e0f1d34b5797b9d1f3a5c7e9bb"
    CONFIG_ERROR = "f0e1d2c3b4a5469788796a5b4c3d2ecc"
    RECOVERED = "3e5a7c9b1d3f4e6fa8c0e2f4b6d8facc"


class Operation:
    """The jobs, named as the D-Bus member in kebab-case; also the worker's requests of that name."""

    SYNC = "sync"
    REWIND = "rewind"
    MOVE_TO_EOM = "move-to-eom"
    MOVE_TO_LAST_FILE = "move-to-last-file"
    MOVE_TO_FILE = "move-to-file"
    READ_LABEL = "read-label"
    LABEL_TAPE = "label-tape"
    WRITE_MEDIA_SET_LABEL = "write-media-set-label"
    FORMAT_MEDIA = "format-media"
    EJECT_MEDIA = "eject-media"
    REQUEST_MEDIA = "request-media"
    READ_FILE = "read-file"
    READ_FILE_INTO = "read-file-into"
    WRITE_FILE = "write-file"
    WRITE_FILE_FROM = "write-file-from"
    LIST_FILES = "list-files"
    VERIFY_FILE = "verify-file"
    VERIFY_TAPE = "verify-tape"
    REFRESH_INVENTORY = "refresh-inventory"
    LOAD_MEDIA = "load-media"
    LOAD_SLOT = "load-slot"
    UNLOAD_MEDIA = "unload-media"
    TRANSFER_MEDIA = "transfer-media"
    EXPORT_MEDIA = "export-media"


_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")


def path_element(name: str) -> str:
    """``name`` as one element of an object path; other characters become ``_xx`` (hex), as sd-bus does."""
    if not name:
        return "_"
    encoded = name.encode()
    parts = []
    for index, byte in enumerate(encoded):
        plain = chr(byte) in _PLAIN and not (index == 0 and 48 <= byte <= 57)
        parts.append(chr(byte) if plain else f"_{byte:02x}")
    return "".join(parts)


def name_of(path: str) -> str:
    """The name that `path_element` made the last element of ``path`` of."""
    element = path.rpartition("/")[2]
    if element == "_":
        return ""
    first, *rest = element.split("_")
    decoded = first.encode() + b"".join(bytes.fromhex(part[:2]) + part[2:].encode() for part in rest)
    return decoded.decode(errors="replace")


def drive_path(name: str) -> str:
    """The object path of the drive called ``name``."""
    return f"{ROOT_PATH}/drives/{path_element(name)}"


def changer_path(name: str) -> str:
    """The object path of the changer called ``name``."""
    return f"{ROOT_PATH}/changers/{path_element(name)}"


def job_path(number: int) -> str:
    """The object path of job ``number``."""
    return f"{ROOT_PATH}/jobs/{number}"


def session_path(number: int) -> str:
    """The object path of session ``number``."""
    return f"{ROOT_PATH}/sessions/{number}"


_UNIT_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:_.")


def lock_name(path: str) -> str:
    """``path`` as a file name, exactly as ``systemd-escape --path`` gives it.  Ref: systemd.unit(5)."""
    parts = [part for part in path.split("/") if part and part != "."]
    if not parts:
        return "-"
    text = "/".join(parts)
    escaped = []
    for index, byte in enumerate(text.encode()):
        char = chr(byte)
        if char == "/":
            escaped.append("-")
        elif char in _UNIT_PLAIN and not (index == 0 and char == "."):
            escaped.append(char)
        else:
            escaped.append(f"\\x{byte:02x}")
    return "".join(escaped)
