# SPDX-License-Identifier: LGPL-2.1-or-later
"""What may stand in ``tapeds.toml``: one frozen model per section, with every default.

`docs/man/tapeds.toml.5` and ``data/tapeds.toml`` say the same; tests compare the three.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from tapeds import names

_UNITS = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40, "P": 50}
_SIZE = re.compile(r"(\d{1,18})\s*(?:([KMGTP])(?:iB)?|B)?", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{2,31}")
_FILE_NAME_BYTES = 255

MINIMUM_TAPE = 256 * 1024
MAXIMUM_TAPE = 1 << 50
MINIMUM_BUFFER = 1 << 20
MAXIMUM_BUFFER = 16 << 30


def size(value: object) -> int:
    """``value`` as bytes: a number, or text such as ``"64MiB"``, ``"64M"``, ``"64 MiB"``; units are binary.

    Raises ValueError.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError('is not a size; write bytes, or a number with KiB, MiB, GiB or TiB, such as "64MiB"')
    return int(match[1]) << _UNITS[match[2] or ""]


def size_text(value: int) -> str:
    """``value`` bytes in the largest binary unit that divides it."""
    for unit in ("PiB", "TiB", "GiB", "MiB", "KiB"):
        factor = 1 << _UNITS[unit[0]]
        if value and value % factor == 0:
            return f"{value // factor}{unit}"
    return f"{value}B"


def _between(low: int, high: int) -> AfterValidator:
    def check(value: int) -> int:
        if not low <= value <= high:
            raise ValueError(f"is out of range; write {size_text(low)} to {size_text(high)}")
        return value

    return AfterValidator(check)


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError(
            "is not a name; use 3 to 32 letters, digits and . _ - (a letter, a digit or _ at the beginning)"
        )
    return value


def _directory(value: str) -> str:
    if not value.startswith("/"):
        raise ValueError("is not absolute; write the whole path, beginning with /")
    if ".." in value.split("/") or not value.isprintable():
        raise ValueError('has a part ".." or a control character; write the path without it')
    if len(names.lock_name(value)) > _FILE_NAME_BYTES:
        raise ValueError(f"gives its lock file a name over {_FILE_NAME_BYTES} bytes; use a shorter path")
    return value


def _kebab(field: str) -> str:
    return field.replace("_", "-")


DriveName = Annotated[str, AfterValidator(_name)]
AbsolutePath = Annotated[str, AfterValidator(_directory)]


class Section(BaseModel):
    """A table of the file: unknown keys are errors, values do not change."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=_kebab, populate_by_name=True
    )


class VirtualDriveConfig(Section):
    """``[drive.NAME]`` with ``type = "virtual"``: a drive made of files, as Proxmox knows it."""

    type: Literal["virtual"] = Field(description="Kind of drive.")
    path: AbsolutePath = Field(description="Directory of the drive's files.")
    max_size: Annotated[int, BeforeValidator(size), _between(MINIMUM_TAPE, MAXIMUM_TAPE)] = Field(
        default=64 << 20, description="Size of every tape, in bytes or with a binary unit."
    )
    buffer: Annotated[int, BeforeValidator(size), _between(MINIMUM_BUFFER, MAXIMUM_BUFFER)] = Field(
        default=64 << 20, description="Memory between client and drive, in bytes or with a binary unit."
    )


DriveConfig = VirtualDriveConfig
"""Any drive; a new kind makes this a union that ``type`` decides."""


class Config(Section):
    """The whole configuration; without any file it has no drive."""

    drives: dict[DriveName, DriveConfig] = Field(
        default_factory=dict, alias="drive", description="The drives, by name."
    )


def known_keys(location: tuple[str, ...]) -> list[str]:
    """The keys that may stand in the table at ``location``, as they are written in the file."""
    if not location:
        model: type[Section] = Config
    elif len(location) == 2 and location[0] == "drive":
        model = DriveConfig
    else:
        return []
    return [field.alias or name for name, field in model.model_fields.items()]
