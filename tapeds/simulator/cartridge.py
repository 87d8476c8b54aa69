# SPDX-License-Identifier: LGPL-2.1-or-later
"""A cartridge: a tape, its memory chip, its write-protect switch.

Beside the two files of the tape stands ``NAME.cartridge``, a JSON file with all the rest.  It
always exists as a whole: it is written anew under another name and takes its own last.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .generation import DENSITIES, Density
from .tape import Tape

_SUFFIX = ".cartridge"
_LAST_DRIVES = 4


@dataclass
class Chip:
    """What the memory chip and the shell of a cartridge say.  ``cleanings`` is None for a data cartridge."""

    name: str
    generation: str
    serial: str
    worm: bool = False
    write_protected: bool = False
    cleanings: int | None = None
    initialized: bool = True
    """Whether an LTO-9 drive has optimised it."""
    capacity: int = 0
    manufactured: str = "20240102"
    loads: int = 0
    write_mounts: int = 0
    formats: int = 1
    written: int = 0
    read: int = 0
    written_last: int = 0
    read_last: int = 0
    change_reference: int = 1
    end_known: bool = True
    drives: list[str] = field(default_factory=list)
    attributes: dict[str, list[str | int]] = field(default_factory=dict)
    """Host attributes: format and value, by identifier, both in hexadecimal."""

    @property
    def density(self) -> Density:
        """The format that stands on it."""
        return DENSITIES[self.generation]

    def loaded_in(self, drive: str) -> None:
        """A drive, as vendor and serial number, has taken it in."""
        self.loads += 1
        self.drives = [drive, *self.drives][:_LAST_DRIVES]
        self.written_last = self.read_last = 0


class Cartridge:
    """An open cartridge.  Change ``chip``, then ``save``."""

    def __init__(self, directory: Path, name: str) -> None:
        self._path = directory / (name + _SUFFIX)
        self.chip = Chip(**json.loads(self._path.read_text()))
        self.tape = Tape(self._path)

    def close(self) -> None:
        """Close its files."""
        self.tape.close()

    def reload(self) -> None:
        """Read the chip again: another process may have changed it."""
        self.chip = Chip(**json.loads(self._path.read_text()))

    def save(self) -> None:
        """Store the chip."""
        _store(self._path, self.chip)


def _store(path: Path, chip: Chip) -> None:
    new = path.with_suffix(".new")
    new.write_text(json.dumps(asdict(chip), indent=1))
    os.replace(new, path)


def create(
    directory: Path,
    name: str,
    *,
    generation: str,
    capacity: int,
    worm: bool = False,
    write_protected: bool = False,
    cleanings: int | None = None,
    initialized: bool = True,
) -> None:
    """Make a new, blank cartridge; ``capacity`` is in bytes.

    Raises ValueError for a name that is no file name, FileExistsError if there is one.
    """
    if not name or "/" in name or name.startswith("."):
        raise ValueError(f"{name!r} cannot be the name of a cartridge")
    if generation not in DENSITIES:
        raise ValueError(f"no cartridges of generation {generation!r} are made")
    path = directory / (name + _SUFFIX)
    if path.exists():
        raise FileExistsError(f"there is a cartridge {name} in {directory}")
    chip = Chip(
        name=name,
        generation=generation,
        serial=hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:10].upper(),
        worm=worm,
        write_protected=write_protected,
        cleanings=cleanings,
        initialized=initialized,
        capacity=capacity,
    )
    _store(path, chip)


def names(directory: Path) -> list[str]:
    """The cartridges in a directory."""
    return sorted(path.name.removesuffix(_SUFFIX) for path in directory.glob("*" + _SUFFIX))


def protect(directory: Path, name: str, *, on: bool) -> None:
    """Move the write-protect switch of a cartridge that is in no drive."""
    path = directory / (name + _SUFFIX)
    chip = Chip(**json.loads(path.read_text()))
    chip.write_protected = on
    _store(path, chip)
