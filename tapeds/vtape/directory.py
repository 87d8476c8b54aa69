# SPDX-License-Identifier: LGPL-2.1-or-later
"""The directory of a virtual drive under its lock: which tapes there are, which one is loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tapeds.errors import InvalidState, MediumError, NoMedia
from tapeds.filesystem import FileSystem
from tapeds.vtape import layout
from tapeds.vtape.folder import Folder, parse_json
from tapeds.vtape.tape import Tape

LOCK_TIMEOUT_SECONDS = 10.0


class TapeDirectory:
    """One directory, locked against other programs until `close`.

    Methods raise DeviceGone when the directory is not there any more, Io when the operating system
    fails, InvalidState when a file of the directory is not what it should be.
    """

    def __init__(
        self, fs: FileSystem, path: str, *, name: str, lock_timeout: float = LOCK_TIMEOUT_SECONDS
    ) -> None:
        """Open ``path`` for the drive called ``name``.

        Raises DeviceGone, OpenFailed; Locked when another program holds it for ``lock_timeout`` seconds.
        """
        self.name = name
        self.path = path
        self.mounted: Tape | None = None
        """The loaded tape, once something was asked of it; `tape` gives it in any case."""
        self._folder = Folder(fs, path, name=name, lock_timeout=lock_timeout)
        self._loaded: tuple[str, int] | None = None     # label and position, as in the status file
        self._status_known = False

    @property
    def serial(self) -> str:
        """The identity of the directory: ``st_dev:st_ino``."""
        return self._folder.serial

    def check(self) -> None:
        """Raises DeviceGone when the directory is not there any more."""
        self._folder.check()

    def labels(self) -> set[str]:
        """The labels of all tapes in the directory, the loaded one included."""
        with self._access(""):
            names = self._folder.names()
        return {label for label in map(layout.label_of, names) if label is not None}

    # --- the drive ------------------------------------------------------------------------------

    @property
    def loaded(self) -> str | None:
        """The label of the tape in the drive."""
        self._read_status()
        return self._loaded[0] if self._loaded else None

    def tape(self) -> Tape:
        """The tape in the drive.  Raises NoMedia, MediumError for one whose index is unusable."""
        self.check()
        if self.mounted is None:
            self._read_status()
            if self._loaded is None:
                raise NoMedia(f"drive {self.name} is empty; load a tape")
            self.mounted = Tape(self._folder, *self._loaded)
        return self.mounted

    def blank_tape(self) -> Tape:
        """The tape in the drive, made empty; its index need not be usable.  Raises NoMedia."""
        try:
            tape = self.tape()
        except MediumError:
            if self._loaded is None:
                raise
            self._store(layout.index_name(self._loaded[0]), {"files": 0})
            tape = self.tape()
        tape.seek(0)
        self.store_position()
        tape.clear()
        return tape

    def store_position(self) -> None:
        """Let the status file say where the head is, so that it is there again after a restart."""
        if self.mounted is None or self._loaded is None:
            return
        place = (self.mounted.label, self.mounted.where_to_resume)
        if place != self._loaded:
            self._store_status(place)

    def announce_cut(self) -> None:
        """What is behind the head is about to go: let the status file not point there, whatever happens."""
        if self.mounted is not None and self._loaded is not None and self._loaded[1] > self.mounted.file:
            self.store_position()

    def put_in(self, label: str) -> None:
        """Put tape ``label`` into the empty drive, the head at the beginning; not durable yet."""
        self._store_status((label, 0))

    def put_out(self) -> None:
        """Empty the drive, with everything on the tape durable.  An empty drive stays empty."""
        if self.loaded is None:
            return
        if self.mounted is not None:
            self.mounted.close()
        self._store_status(None)
        self.mounted = None
        self.keep_moves()

    # --- the shelf ------------------------------------------------------------------------------

    def create(self, label: str) -> None:
        """Make an empty tape ``label``; its existence is durable."""
        self._store(layout.index_name(label), {"files": 0})
        with self._access(layout.index_name(label)):
            self._folder.sync()

    def keep_moves(self) -> None:
        """Make durable where every tape is."""
        with self._access(""):
            self._folder.sync()

    def read_slots(self) -> dict[str, int]:
        """The slot of each tape that was given one, by label."""
        value = self._read(layout.SLOTS, "tapes are then given slots anew")
        if value is None:
            return {}
        match value:
            case {"slots": dict(slots)}:
                numbers = list(slots.values())
                if all(type(number) is int and number > 0 for number in numbers) and (
                    len(set(numbers)) == len(numbers)
                ):
                    return dict(slots)
        raise self._damaged(layout.SLOTS, "tapes are then given slots anew")

    def store_slots(self, slots: Mapping[str, int]) -> None:
        """Keep the slot of each tape."""
        ordered = sorted(slots.items(), key=lambda item: item[1])
        self._store(layout.SLOTS, {"slots": dict(ordered)})

    def close(self) -> None:
        """Give the directory back, with everything durable and the position kept; what failed is raised."""
        try:
            try:
                if self.mounted is not None:
                    self.mounted.close()
            finally:
                self.store_position()
        finally:
            self.mounted = None
            with self._access(""):
                self._folder.close()

    # --- the pieces -----------------------------------------------------------------------------

    def _read_status(self) -> None:
        if self._status_known:
            return
        value = self._read(layout.STATUS, "the drive is then empty")
        match value:
            case None:
                self._loaded = None
            case {"current_tape": None}:
                self._loaded = None
            case {"current_tape": {"name": str(label), "pos": int(position)}} if (
                layout.is_label(label) and position >= 0 and not isinstance(position, bool)
            ):
                self._loaded = (label, position)
            case _:
                raise self._damaged(layout.STATUS, "the drive is then empty")
        self._status_known = True

    def _store_status(self, loaded: tuple[str, int] | None) -> None:
        current = {"name": loaded[0], "pos": loaded[1]} if loaded else None
        self._store(layout.STATUS, {"current_tape": current})
        self._loaded = loaded
        self._status_known = True

    def _read(self, name: str, afterwards: str) -> object:
        """The value in the file ``name``; None if there is no such file."""
        with self._access(name):
            try:
                data = self._folder.read(name)
            except FileNotFoundError:
                self.check()
                return None
        try:
            value = parse_json(data)
        except ValueError as exc:
            raise self._damaged(name, afterwards) from exc
        if value is None:
            raise self._damaged(name, afterwards)
        return value

    def _store(self, name: str, value: object) -> None:
        with self._access(name):
            self._folder.store_json(name, value)

    def _damaged(self, name: str, afterwards: str) -> InvalidState:
        return InvalidState(
            f"drive {self.name}: {self._folder.path_of(name)} is damaged;"
            f" restore it, or remove it: {afterwards}"
        )

    @contextmanager
    def _access(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise self._folder.explain(exc, name) from exc
