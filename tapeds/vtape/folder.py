# SPDX-License-Identifier: LGPL-2.1-or-later
"""A directory that somebody may take away: its files, its JSON, its identity, its lock."""

from __future__ import annotations

import fcntl
import json
import os
import time

from tapeds.errors import DeviceGone, Io, Locked, OpenFailed, TapeError
from tapeds.filesystem import FileSystem, replace_file
from tapeds.vtape import layout

_POLL_SECONDS = 0.05
_READ_AT_ONCE = 65536
_READ_LIMIT = 16 * 1024 * 1024


class Folder:
    """The directory at ``path``, open and locked until `close`.

    Methods raise OSError, which `explain` turns into what a caller should hear; ``name`` is the
    drive's, for the texts.
    """

    def __init__(self, fs: FileSystem, path: str, *, name: str, lock_timeout: float) -> None:
        """Open and lock.  Raises DeviceGone, OpenFailed, Locked after ``lock_timeout`` seconds."""
        self.fs = fs
        self.path = path
        self.name = name
        self._fd = self._lock_fd = -1
        try:
            self._fd = fs.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            found = fs.fstat(self._fd)
            self._identity = (found.st_dev, found.st_ino)
            self._lock_fd = fs.open(self.path_of(layout.LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            self._lock(lock_timeout)
            self._remove_temporaries()
            self.sync()                        # a killed predecessor may not have come to it
        except (FileNotFoundError, NotADirectoryError) as exc:
            self._give_up()
            raise DeviceGone(
                f"drive {name}: there is no directory {path}; create it, or correct path in the configuration"
            ) from exc
        except OSError as exc:
            self._give_up()
            raise OpenFailed(f"drive {name}: {exc.filename or path} cannot be used: {exc.strerror}") from exc
        except BaseException:
            self._give_up()
            raise

    @property
    def serial(self) -> str:
        """What identifies the directory, under whatever path: ``st_dev:st_ino``."""
        return "{}:{}".format(*self._identity)

    def path_of(self, name: str) -> str:
        """The path of the entry ``name``."""
        return os.path.join(self.path, name)

    def check(self) -> None:
        """Raises DeviceGone when the path no longer leads to the directory that was opened."""
        try:
            found = self.fs.stat(self.path)
        except OSError as exc:
            raise self._gone() from exc
        if (found.st_dev, found.st_ino) != self._identity:
            raise self._gone()

    def explain(self, exc: OSError, name: str) -> TapeError:
        """What became of an access to the entry ``name``: DeviceGone, or Io."""
        try:
            self.check()
        except DeviceGone as gone:
            return gone
        return Io(f"drive {self.name}: {self.path_of(name)}: {exc.strerror or exc}")

    def names(self) -> list[str]:
        """The names of all entries."""
        return self.fs.listdir(self.path)

    def sync(self) -> None:
        """Make every name given, changed and removed so far durable."""
        self.fs.fsync(self._fd)

    def remove(self, name: str) -> None:
        """Remove the entry ``name``, if it is there."""
        try:
            self.fs.unlink(self.path_of(name))
        except FileNotFoundError:
            pass  # gone is what was wanted

    def read(self, name: str) -> bytes:
        """What the entry ``name`` holds; of a file too large to be one of ours, the beginning."""
        fd = self.fs.open(self.path_of(name), os.O_RDONLY | os.O_CLOEXEC)
        data = b""
        try:
            while len(data) < _READ_LIMIT and (more := self.fs.pread(fd, _READ_AT_ONCE, len(data))):
                data += more
        finally:
            self.fs.close(fd)
        return data

    def store_json(self, name: str, value: object) -> None:
        """Put ``value`` into the JSON file ``name``, as Proxmox writes it.

        A loss of power leaves the old content or the new one, each whole; which, `sync` decides.
        """
        replace_file(
            self.fs,
            self.path_of(name),
            json.dumps(value, indent=2).encode(),
            temporary=self.path_of(layout.temporary_name(name)),
            name_durable=False,
        )

    def close(self) -> None:
        """Give the lock and the directory back, both even if one fails; a second time does nothing."""
        held = (self._lock_fd, self._fd)
        self._fd = self._lock_fd = -1
        failure = None
        for fd in held:
            try:
                if fd >= 0:
                    self.fs.close(fd)
            except OSError as exc:
                failure = exc
        if failure is not None:
            raise failure

    def _give_up(self) -> None:
        """`close`, where something else has failed already."""
        try:
            self.close()
        except OSError:
            pass  # the first failure is the one to tell

    def _gone(self) -> DeviceGone:
        return DeviceGone(f"drive {self.name}: directory {self.path} is gone; bring it back and try again")

    def _lock(self, timeout: float) -> None:
        end = time.monotonic() + timeout
        while True:
            try:
                return fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as exc:
                if time.monotonic() >= end:
                    raise Locked(
                        f"drive {self.name}: {self.path_of(layout.LOCK)} is held by another program"
                        " (external); wait for it or end it"
                    ) from exc
            time.sleep(_POLL_SECONDS)

    def _remove_temporaries(self) -> None:
        """Remove what a crash has left of JSON files on their way; nobody else writes under the lock."""
        for name in self.names():
            if layout.is_temporary(name):
                self.remove(name)


def parse_json(data: bytes) -> object:
    """The value in ``data``.  Raises ValueError for everything that is no JSON."""
    try:
        value: object = json.loads(data)
    except RecursionError as exc:
        raise ValueError("nested too deeply") from exc
    return value
