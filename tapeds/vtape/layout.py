# SPDX-License-Identifier: LGPL-2.1-or-later
"""Names in the directory of a virtual drive; all but the slots are Proxmox's."""

from __future__ import annotations

import os
import re

BLOCK = 262144
"""Bytes in every block of a virtual tape."""

STATUS = "drive-status.json"
LOCK = ".drive.lck"
SLOTS = ".tapeds-slots.json"

_LABEL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{1,31}", re.ASCII)
_INDEX = re.compile(r"tape-(.+)\.json", re.DOTALL)
_FILE = re.compile(r"tapefile-(0|[1-9][0-9]{0,18})-(.+)\.json", re.DOTALL)
_TEMPORARY = re.compile(r"(drive-status|\.tapeds-slots|tape-.+)\.tmp_[A-Za-z0-9]{6}", re.DOTALL)


def is_label(text: str) -> bool:
    """Whether ``text`` may be the label of a cartridge: 2 to 32 safe characters."""
    return _LABEL.fullmatch(text) is not None


def index_name(label: str) -> str:
    """The file that counts the files of tape ``label``."""
    return f"tape-{label}.json"


def file_name(number: int, label: str) -> str:
    """The file that holds the blocks of file ``number`` of tape ``label``."""
    return f"tapefile-{number}-{label}.json"


def label_of(name: str) -> str | None:
    """The label of the tape whose index is called ``name``; None for every other name."""
    found = _INDEX.fullmatch(name)
    return found[1] if found and is_label(found[1]) else None


def number_of(name: str, label: str) -> int | None:
    """The number of the tape file called ``name``; None unless it belongs to tape ``label``."""
    found = _FILE.fullmatch(name)
    return int(found[1]) if found and found[2] == label else None


def temporary_name(name: str) -> str:
    """A name for the next content of the JSON file ``name``; it does not end in ``.json``."""
    return f"{name.removesuffix('.json')}.tmp_{os.urandom(3).hex()}"


def is_temporary(name: str) -> bool:
    """Whether ``name`` was made by `temporary_name`, or by Proxmox in the same way."""
    return _TEMPORARY.fullmatch(name) is not None
