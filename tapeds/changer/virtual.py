# SPDX-License-Identifier: LGPL-2.1-or-later
"""The shelf of a virtual drive: tapes in a directory, numbered slots, one drive.

Slots only exist as numbers in a file of ours beside the tapes.  A tape that appears in the
directory gets the lowest free one at the next look; one that vanishes frees its own.  The slot of
the tape in the drive is empty and stays its own; when somebody puts another tape there, it gets
the lowest free one to go back to.
"""

from __future__ import annotations

from tapeds.changer.base import Element, ElementKind
from tapeds.errors import InvalidOption, InvalidState, NoMedia, NotSupported
from tapeds.vtape import TapeDirectory, is_label

_ROW = 8                    # slots come in rows of this many
_CLEANING = "CLN"


class VirtualChanger:
    """The changer's face of a `TapeDirectory`; a `Changer` with one drive, number 0."""

    def __init__(self, directory: TapeDirectory) -> None:
        """A changer over ``directory``; the drive over the same directory sees what it does."""
        self._directory = directory

    def inventory(self) -> tuple[Element, ...]:
        loaded, slots = self._look()
        inside = {slot: label for label, slot in slots.items() if label != loaded}
        drive = Element(
            ElementKind.DRIVE,
            number=0,
            address=0,
            full=loaded is not None,
            label_text=loaded or "",
            source_slot=slots.get(loaded) if loaded is not None else None,
            vendor="tapeds",
            model="virtual",
            serial=self._directory.serial,
        )
        shelf = (
            Element(
                ElementKind.SLOT,
                number=number,
                address=number,
                full=number in inside,
                label_text=inside.get(number, ""),
            )
            for number in range(1, _count(slots) + 1)
        )
        return (drive, *shelf)

    def load(self, label_text: str, drive: int, *, create: bool = False) -> None:
        self._check_drive(drive)
        self._check_loadable(label_text)
        exists = label_text in self._directory.labels()
        if not exists and not create:
            raise NoMedia(
                f"there is no tape {label_text} in {self._directory.path}; name one that is there,"
                " or make it with the option create"
            )
        if not is_label(label_text):
            raise InvalidOption(
                f"{label_text!r} cannot be the label of a tape: it needs 2 to 32 letters, digits and . _ -,"
                " and neither . nor - in front"
            )
        self._directory.put_out()
        if not exists:
            self._directory.create(label_text)
        self._directory.put_in(label_text)
        self._look()
        self._directory.keep_moves()

    def load_slot(self, slot: int, drive: int) -> None:
        self._check_drive(drive)
        loaded, slots = self._look()
        self.load(self._label_in(slot, slots, loaded), drive)

    def unload(self, drive: int, slot: int | None = None) -> None:
        self._check_drive(drive)
        loaded, slots = self._look()
        if loaded is None:
            raise NoMedia(f"drive {self._directory.name} is empty; there is nothing to unload")
        if slot is not None:
            self._check_free(slot, slots, loaded)
            self._directory.store_slots(slots | {loaded: slot})
        self._directory.put_out()

    def transfer(self, source: int, destination: int) -> None:
        loaded, slots = self._look()
        label = self._label_in(source, slots, loaded)
        self._check_free(destination, slots, loaded)
        if loaded is not None and slots.get(loaded) == destination:
            del slots[loaded]
        self._directory.store_slots(slots | {label: destination})
        self._look()
        self._directory.keep_moves()

    def export(self, label_text: str) -> int:
        raise NotSupported(
            f"changer {self._directory.name} has no import/export slots; leave {label_text} where it is"
        )

    def _look(self) -> tuple[str | None, dict[str, int]]:
        """The loaded tape, and the slot of every tape; what has none gets one now."""
        self._directory.check()
        loaded = self._directory.loaded
        known = self._directory.read_slots()
        there = self._directory.labels()
        slots = {label: slot for label, slot in known.items() if label in there}
        for label in sorted(there - slots.keys()):
            slots[label] = _lowest_free(slots)
        if slots != known:
            self._directory.store_slots(slots)
        return loaded, slots

    def _label_in(self, slot: int, slots: dict[str, int], loaded: str | None) -> str:
        self._check_slot(slot, slots)
        for label, number in slots.items():
            if number == slot and label != loaded:
                return label
        raise NoMedia(f"slot {slot} of changer {self._directory.name} is empty; name a slot with a tape")

    def _check_free(self, slot: int, slots: dict[str, int], loaded: str | None) -> None:
        self._check_slot(slot, slots)
        for label, number in slots.items():
            if number == slot and label != loaded:
                raise InvalidState(
                    f"slot {slot} of changer {self._directory.name} holds {label}; name an empty slot"
                )

    def _check_slot(self, slot: int, slots: dict[str, int]) -> None:
        if not 1 <= slot <= _count(slots):
            raise InvalidOption(
                f"changer {self._directory.name} has no slot {slot}; its slots are 1 to {_count(slots)}"
            )

    def _check_drive(self, drive: int) -> None:
        if drive != 0:
            raise InvalidOption(f"changer {self._directory.name} has no drive {drive}, only drive 0")

    def _check_loadable(self, label: str) -> None:
        if label.startswith(_CLEANING):
            raise NotSupported(
                f"{label} is a cleaning cartridge, and drive {self._directory.name} needs none; load a tape"
            )


def _count(slots: dict[str, int]) -> int:
    """How many slots there are: whole rows, at least one, for every slot in use and every tape."""
    needed = max(1, len(slots), *slots.values())
    return -(-needed // _ROW) * _ROW


def _lowest_free(slots: dict[str, int]) -> int:
    taken = set(slots.values())
    return next(number for number in range(1, len(taken) + 2) if number not in taken)
