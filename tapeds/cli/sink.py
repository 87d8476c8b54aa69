# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where the bytes of a file that is read go: under their name only when all of them are there."""

from __future__ import annotations

import os
import stat
import sys
from typing import Protocol

import click

SUFFIX = ".incomplete"


class Sink(Protocol):
    """A place for what is read from tape."""

    described: str

    def open(self) -> int:
        """The descriptor to write to; asked for once, when the tape delivers."""

    def complete(self) -> None:
        """Everything came: make it durable and give it its name.  Raises OSError."""

    def incomplete(self) -> str:
        """Not everything came; where what came is, or ""."""


class NewFile:
    """A file that is called ``path`` once it is complete, and ``path.incomplete`` before."""

    def __init__(self, path: str) -> None:
        self.described = path
        self._path = os.path.realpath(path)  # a symbolic link stays one
        self._partial = self._path + SUFFIX
        self._descriptor = -1
        if not os.path.isdir(os.path.dirname(self._path)):
            raise click.UsageError(f"{os.path.dirname(path)} is no directory")

    def open(self) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        self._descriptor = os.open(self._partial, flags, 0o666)
        return self._descriptor

    def complete(self) -> None:
        os.fsync(self._descriptor)
        os.replace(self._partial, self._path)
        self._close()

    def incomplete(self) -> str:
        if self._descriptor < 0:
            return ""
        empty = os.fstat(self._descriptor).st_size == 0
        self._close()
        if empty:
            os.unlink(self._partial)
            return ""
        return f"what came is kept as {self.described}{SUFFIX}"

    def _close(self) -> None:
        os.close(self._descriptor)
        self._descriptor = -1


class Special:
    """A pipe or a device that is there already; it cannot be renamed."""

    def __init__(self, path: str) -> None:
        self.described = path
        self._descriptor = -1

    def open(self) -> int:
        self._descriptor = os.open(self.described, os.O_WRONLY | os.O_CLOEXEC)
        return self._descriptor

    def complete(self) -> None:
        os.close(self._descriptor)

    def incomplete(self) -> str:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        return ""


class StandardOutput:
    """Standard output; whoever reads it learns of the end by our exit status only."""

    described = "standard output"

    def open(self) -> int:
        sys.stdout.flush()
        return sys.stdout.fileno()

    def complete(self) -> None:
        """Nothing: it is not ours."""

    def incomplete(self) -> str:
        return "what came went to standard output"


def sink(path: str) -> Sink:
    """The place called ``path``; ``-`` is standard output."""
    if path == "-":
        return StandardOutput()
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return NewFile(path)
    except OSError as error:
        raise click.UsageError(f"{path}: {error.strerror}") from error
    if stat.S_ISDIR(mode):
        raise click.UsageError(f"{path} is a directory; -o wants the name of a file")
    return NewFile(path) if stat.S_ISREG(mode) else Special(path)
