# SPDX-License-Identifier: LGPL-2.1-or-later
"""The system calls that touch a directory, as a door: the module ``os`` stands behind it.

Whoever keeps files through a crash takes a `FileSystem` as an argument, so that a test can count
the calls, make one fail, or stop the process in front of any of them.
"""

from __future__ import annotations

import os
from typing import Any, Protocol


class FileSystem(Protocol):
    """What the module ``os`` offers, as far as it is used here; same names, same meaning."""

    def open(self, path: str, flags: int, mode: int = 0o777) -> int: ...
    def close(self, fd: int) -> None: ...
    def write(self, fd: int, data: Any) -> int: ...
    def pread(self, fd: int, length: int, offset: int) -> bytes: ...
    def preadv(self, fd: int, buffers: Any, offset: int) -> int: ...
    def pwritev(self, fd: int, buffers: Any, offset: int) -> int: ...
    def ftruncate(self, fd: int, length: int) -> None: ...
    def fsync(self, fd: int) -> None: ...
    def fdatasync(self, fd: int) -> None: ...
    def fchmod(self, fd: int, mode: int) -> None: ...
    def replace(self, src: str, dst: str) -> None: ...
    def unlink(self, path: str) -> None: ...
    def mkdir(self, path: str, mode: int = 0o777) -> None: ...
    def listdir(self, path: str) -> list[str]: ...
    def stat(self, path: str) -> os.stat_result: ...
    def fstat(self, fd: int) -> os.stat_result: ...


REAL: FileSystem = os


def write_all(fs: FileSystem, fd: int, data: bytes | memoryview) -> None:
    """Write all of ``data``, however many calls it takes.  Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[fs.write(fd, view) :]


def pwrite_all(fs: FileSystem, fd: int, data: bytes | memoryview, offset: int) -> None:
    """Write all of ``data`` at ``offset``, however many calls it takes.  Raises OSError."""
    view = memoryview(data)
    while view:
        done = fs.pwritev(fd, (view,), offset)
        view = view[done:]
        offset += done


def sync_directory(fs: FileSystem, path: str) -> None:
    """Make the names in directory ``path`` durable.  Raises OSError."""
    fd = fs.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fs.fsync(fd)
    finally:
        fs.close(fd)


def replace_file(
    fs: FileSystem,
    path: str,
    data: bytes,
    *,
    mode: int = 0o644,
    exact_mode: bool = False,
    temporary: str,
    durable: bool = True,
    name_durable: bool = True,
) -> None:
    """Put ``data`` at ``path``: readers see the old content or the new, never a mixture.

    ``temporary`` is a path in the same directory for the content on its way; what is left of it
    after a failure is removed.  ``durable`` makes content and name survive a loss of power before
    this returns; with ``name_durable=False`` it is the old content or the new one, each whole, that
    survives, until the caller synchronises the directory.  ``exact_mode``: the umask takes nothing
    from ``mode``.  Raises OSError; then the old content stands.
    """
    fd = fs.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        try:
            if exact_mode:
                fs.fchmod(fd, mode)
            write_all(fs, fd, data)
            if durable:
                fs.fsync(fd)
        finally:
            fs.close(fd)
        fs.replace(temporary, path)
    except OSError:
        try:
            fs.unlink(temporary)
        except OSError:
            pass  # the first failure is the one to tell
        raise
    if durable and name_durable:
        sync_directory(fs, os.path.dirname(path))
