# SPDX-License-Identifier: LGPL-2.1-or-later
"""Small files that survive a crash: replaced as a whole, synchronised, read as a whole.

One writer per path at a time; readers need no agreement.
"""

from __future__ import annotations

import os

from tapeds import errors
from tapeds.filesystem import FileSystem, replace_file, sync_directory
from tapeds.state import locks

MODE = 0o644
DIRECTORY_MODE = 0o755

_CHUNK = 64 * 1024


def read_text(fs: FileSystem, path: str) -> str | None:
    """What is in ``path``; None when it does not exist.  Raises Io."""
    try:
        fd = fs.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise _io(path, exc) from exc
    data = b""
    try:
        try:
            while chunk := fs.pread(fd, _CHUNK, len(data)):
                data += chunk
        finally:
            fs.close(fd)
    except OSError as exc:
        raise _io(path, exc) from exc
    return data.decode(errors="replace")


def write_text(fs: FileSystem, path: str, text: str, *, mode: int = MODE) -> None:
    """Put ``text`` at ``path``: readers see the old or the new, never a mixture; it is durable on return.

    The file has ``mode``, whatever the umask.  Raises Io.
    """
    directory, name = os.path.split(path)
    temporary = os.path.join(directory, f".{name}.new")
    try:
        replace_file(fs, path, text.encode(), mode=mode, exact_mode=True, temporary=temporary)
    except OSError as exc:
        raise _io(path, exc) from exc


def remove(fs: FileSystem, path: str) -> None:
    """Remove ``path``, durable on return; a file that does not exist is fine.  Raises Io."""
    try:
        fs.unlink(path)
        sync_directory(fs, os.path.dirname(path))
    except FileNotFoundError:
        return
    except OSError as exc:
        raise _io(path, exc) from exc


def make_directory(fs: FileSystem, path: str, mode: int = DIRECTORY_MODE) -> None:
    """Make directory ``path`` with ``mode``, whatever the umask; it is durable on return.

    One that exists stays as it is.  Raises Io.
    """
    try:
        fs.mkdir(path, mode)
        fd = fs.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fs.fchmod(fd, mode)
        finally:
            fs.close(fd)
        sync_directory(fs, os.path.dirname(path))
    except FileExistsError:
        return
    except OSError as exc:
        raise _io(path, exc) from exc


class StateText:
    """One line per drive, for other programs: what the drive is busy with.

    The text counts only while the drive's lock is held, so what a crash leaves behind means nothing.
    """

    def __init__(self, fs: FileSystem, directory: str) -> None:
        """Texts are files in ``directory``, by name of the drive."""
        self._fs = fs
        self._directory = directory

    def set(self, name: str, text: str) -> None:
        """Say ``text`` for drive ``name``; "" when it is idle.  Raises Io."""
        write_text(self._fs, self._path(name), text)

    def get(self, name: str, lock_path: str) -> str:
        """The text of drive ``name``; "" unless the lock at ``lock_path`` is held.

        Makes no file, also for a name that nobody knows.  Raises Io.
        """
        if not locks.probe(lock_path):
            return ""
        return (read_text(self._fs, self._path(name)) or "").rstrip("\n")

    def left_over(self) -> list[str]:
        """The drives that have a text, whether it counts or not; sorted.  Raises Io."""
        try:
            names = self._fs.listdir(self._directory)
        except OSError as exc:
            raise _io(self._directory, exc) from exc
        return sorted(
            name for name in names if not name.startswith(".") and read_text(self._fs, self._path(name))
        )

    def _path(self, name: str) -> str:
        return os.path.join(self._directory, name)


def _io(path: str, exc: OSError) -> errors.Io:
    return errors.Io(f"{path}: {exc.strerror}")
