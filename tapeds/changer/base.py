# SPDX-License-Identifier: LGPL-2.1-or-later
"""The door `Changer`: moving cartridges between elements.

Slots are counted from 1 over storage elements and then import/export elements, as ``mtx`` does;
drives from 0.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Protocol


class ElementKind(enum.Enum):
    """The four kinds of element of a medium changer.  Ref: [SMC-3]."""

    TRANSPORT = "transport"
    SLOT = "slot"
    IMPORT_EXPORT = "import-export"
    DRIVE = "drive"


@dataclass(frozen=True)
class Element:
    """One element and what is in it; ``label_text`` is the volume tag, "" when there is none."""

    kind: ElementKind
    number: int
    address: int
    full: bool
    label_text: str = ""
    source_slot: int | None = None         # of a full drive: where its cartridge came from
    accessible: bool = True
    vendor: str = ""
    model: str = ""
    serial: str = ""


class Changer(Protocol):
    """One open changer.  Blocking, one caller at a time.  Raises DeviceGone and Io anywhere."""

    def inventory(self) -> tuple[Element, ...]:
        """Every element, as the changer knows it now."""

    def load(self, label_text: str, drive: int, *, create: bool = False) -> None:
        """Load the cartridge ``label_text``; what is in the drive goes back first.

        ``create`` makes the cartridge where it does not exist (virtual changers only).
        Raises NoMedia for an unknown label, NotSupported for a cleaning cartridge (``CLN…``).
        """

    def load_slot(self, slot: int, drive: int) -> None:
        """Load what is in ``slot``.

        Raises NoMedia for an empty slot, InvalidOption for a number that is not there.
        """

    def unload(self, drive: int, slot: int | None = None) -> None:
        """Put the drive's cartridge into ``slot``, by default where it came from, else the first free one.

        Raises NoMedia for an empty drive, InvalidState for a full slot.
        """

    def transfer(self, source: int, destination: int) -> None:
        """Move a cartridge from slot to slot.  Raises NoMedia, InvalidState, InvalidOption."""

    def export(self, label_text: str) -> int:
        """Move a cartridge to an import/export slot and return its number.

        Raises NotSupported where there is none.
        """
