# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the service remembers across a restart, one JSON object per file.

Write intents are left by workers and only read here; labels, open markers and sessions are
written here.  Records of another version may have keys more or less: unknown ones are ignored,
those that are missing have defaults where the rest makes sense without them.
"""

from __future__ import annotations

import os
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from tapeds import errors
from tapeds.filesystem import FileSystem
from tapeds.state import files

INTENTS = "drives"        # in the state directory
LABELS = "labels"         # in the state directory
OPEN = "open"             # in the runtime directory
SESSIONS = "sessions"     # in the runtime directory
LAST_SESSION = "last-session"  # in the runtime directory itself


def _kebab(field: str) -> str:
    return field.replace("_", "-")


class Record(BaseModel):
    """The content of one file, kebab-case keys."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=_kebab,
        populate_by_name=True,
        defer_build=True,  # memory: most runs meet one kind only
    )


class Intent(Record):
    """A worker was about to write ``file``: whatever is left of it is incomplete."""

    name: str                     # the drive
    label_text: str
    file: int
    blocks: int                   # so many of the file's blocks were known to be durable
    media_uuid: str = ""          # "" for an unlabelled tape


class LastLabel(Record):
    """The label that was read last in a drive; times in µs since the epoch, ``ctime`` in seconds."""

    label_text: str
    uuid: str
    seen: int
    ctime: int = 0
    pool: str = ""
    media_set_uuid: str = ""
    media_set_pool: str = ""
    seq_nr: int = 0


class OpenMarker(Record):
    """A drive is open, and must be released: made before the open, removed after the release."""

    name: str
    type: str
    path: str
    since: int                    # µs since the epoch
    pid: int = 0                  # of the worker


class SessionRecord(Record):
    """A lease that a restart keeps; times in µs since the epoch, ``expires`` 0 for never.

    What the device was: its ``path``, its lock files, its identity, and the tape in it, as far as
    its label was read.
    """

    id: int
    drive: str
    path: str = ""                # as configured
    locks: list[str] = []
    serial: str = ""
    loaded: bool = False
    label_known: bool = False
    label_text: str = ""          # of the label, or of the cartridge where that was not read
    media_uuid: str = ""
    owner: str                    # unique name on the bus
    owner_uid: int
    owner_pid: int = 0
    binding: str = "client"
    reason: str = ""
    created: int = 0
    expires: int = 0
    status_text: str = ""


class LastSession(Record):
    """No lease has had a number above this one."""

    number: int


R = TypeVar("R", bound=Record)


class Records(Generic[R]):
    """The records of one kind, each a file in one directory, which may be missing while there is none."""

    def __init__(self, fs: FileSystem, directory: str, model: type[R], suffix: str = ".json") -> None:
        """Records of class ``model`` in ``directory``; nothing is touched yet."""
        self._fs = fs
        self._directory = directory
        self._model = model
        self._suffix = suffix

    def path(self, name: str) -> str:
        """Where the record ``name`` is, or would be."""
        return os.path.join(self._directory, name + self._suffix)

    def get(self, name: str) -> R | None:
        """The record ``name``, or None.  Raises Io also for a file that is no such record."""
        path = self.path(name)
        text = files.read_text(self._fs, path)
        if text is None:
            return None
        try:
            return self._model.model_validate_json(text)
        except ValidationError as exc:
            first = exc.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            what = f"{where}: {first['msg']}" if where else first["msg"]
            raise errors.Io(f"{path} is damaged ({what}); look at it, then remove it") from exc

    def all(self) -> tuple[dict[str, R], list[str]]:
        """Every record by name, and a sentence for each file that is none.  Raises Io."""
        found: dict[str, R] = {}
        problems: list[str] = []
        for name in self.names():
            try:
                record = self.get(name)
            except errors.Io as exc:
                problems.append(str(exc))
            else:
                if record is not None:
                    found[name] = record
        return found, problems

    def names(self) -> list[str]:
        """The names of all files of records, sorted.  Raises Io."""
        try:
            entries = self._fs.listdir(self._directory)
        except FileNotFoundError:
            return []
        except OSError as exc:
            raise errors.Io(f"{self._directory}: {exc.strerror}") from exc
        return sorted(
            entry.removesuffix(self._suffix)
            for entry in entries
            if entry.endswith(self._suffix) and not entry.startswith(".")
        )

    def put(self, name: str, record: R) -> None:
        """Remember ``record`` as ``name``, durable on return; makes the directory if needed.  Raises Io."""
        files.make_directory(self._fs, self._directory)
        text = record.model_dump_json(by_alias=True, indent=2)
        files.write_text(self._fs, self.path(name), text + "\n")

    def remove(self, name: str) -> None:
        """Forget the record ``name``, durable on return; one that is not there is fine.  Raises Io."""
        files.remove(self._fs, self.path(name))


def intents(fs: FileSystem, state_directory: str) -> Records[Intent]:
    """What workers were writing when they ended, by name of the drive."""
    return Records(fs, os.path.join(state_directory, INTENTS), Intent)


def last_labels(fs: FileSystem, state_directory: str) -> Records[LastLabel]:
    """The label read last, by name of the drive."""
    return Records(fs, os.path.join(state_directory, LABELS), LastLabel)


def open_markers(fs: FileSystem, runtime_directory: str) -> Records[OpenMarker]:
    """The drives that are open, by name, which is the whole name of the file."""
    return Records(fs, os.path.join(runtime_directory, OPEN), OpenMarker, suffix="")


def sessions(fs: FileSystem, runtime_directory: str) -> Records[SessionRecord]:
    """The leases that a restart keeps, by number."""
    return Records(fs, os.path.join(runtime_directory, SESSIONS), SessionRecord)


def last_session(fs: FileSystem, runtime_directory: str) -> Records[LastSession]:
    """The number of the newest lease, as the record `LAST_SESSION`."""
    return Records(fs, runtime_directory, LastSession)
