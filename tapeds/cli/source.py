# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where the bytes of a written file come from, and whether their end is proved.

The end of a stream is no proof that all of it came.  Each source knows what is: a regular file its
size, a command its exit status, standard input only what the person says about it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import click

from tapeds.cli.copying import Copied, Ending, Stop
from tapeds.cli.failure import Exit, Failure

_PIPE_BYTES = 1 << 20
_PATIENCE_SECONDS = 2.0


class Source(Protocol):
    """Something to be written to tape."""

    name: str  # in the header of the file on tape; "" writes no header
    size: int | None  # bytes, where it is known before
    described: str  # in a sentence

    def open(self) -> int:
        """The descriptor to read from; asked for once, when the tape is ready."""

    def objection(self, copied: Copied, stop: Stop) -> str:
        """Why the file must not be called complete; "" when it may.  May wait."""

    def close(self) -> None: ...


class RegularFile:
    """A file: complete when all of it was read and it did not change meanwhile."""

    def __init__(self, path: str, name: str | None) -> None:
        self._path = path
        self.described = path
        self.name = os.path.basename(path) if name is None else name
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise click.UsageError(f"{path}: {error.strerror}") from error
        self._before = os.fstat(self._descriptor)
        if not stat.S_ISREG(self._before.st_mode):
            os.close(self._descriptor)
            raise click.UsageError(f"{path} is no regular file; its end proves nothing: use - or -- COMMAND")
        self.size: int | None = self._before.st_size

    def open(self) -> int:
        return self._descriptor

    def objection(self, copied: Copied, stop: Stop) -> str:
        after = os.fstat(self._descriptor)
        same = (after.st_size, after.st_mtime_ns) == (self._before.st_size, self._before.st_mtime_ns)
        if not same or copied.bytes != self.size or copied.ending is not Ending.SOURCE:
            return f"{self._path} changed while it was read"
        return ""

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self._descriptor)


class StandardInput:
    """Standard input: complete only as far as its size, its digest or a word of the person proves it."""

    described = "standard input"

    def __init__(self, name: str, size: int | None, sha256_file: str | None, trusted: bool) -> None:
        self.name = name
        self.size = size
        self._sha256_file = sha256_file
        self._trusted = trusted
        if sha256_file is not None and not os.access(sha256_file, os.R_OK):
            raise click.UsageError(f"{sha256_file} cannot be read; it holds the SHA-256 that is expected")

    @property
    def proved(self) -> bool:
        """Whether there is anything that can prove the end."""
        return self._trusted or self.size is not None or self._sha256_file is not None

    def open(self) -> int:
        return sys.stdin.fileno()

    def objection(self, copied: Copied, stop: Stop) -> str:
        if copied.ending is Ending.LONGER:
            return f"standard input holds more than the {self.size:,} bytes of --size"
        if self.size is not None and copied.bytes < self.size:
            return f"standard input ended after {copied.bytes:,} of the {self.size:,} bytes of --size"
        if self._sha256_file is not None:
            return self._compare(copied.sha256, self._sha256_file)
        if not self.proved:
            return "the end of standard input does not prove that all of it came"
        return ""

    @staticmethod
    def _compare(found: str, file: str) -> str:
        try:
            expected = digest_in(Path(file).read_text())
        except (OSError, ValueError) as error:
            return f"{file} tells no SHA-256 ({error})"
        return (
            ""
            if found == expected
            else f"the SHA-256 of standard input is {found}, but {file} says {expected}"
        )

    def close(self) -> None:
        """Standard input stays open: it is not ours."""


class Producer:
    """A command: complete when it exits 0."""

    size: int | None = None

    def __init__(self, words: Sequence[str], name: str) -> None:
        self.name = name
        self.described = words[0]
        self._words = list(words)
        self._process: subprocess.Popen[bytes] | None = None
        self._output = -1
        if shutil.which(words[0]) is None:
            raise click.UsageError(f"{words[0]}: no such command")

    def open(self) -> int:
        self._output, theirs = os.pipe()
        with contextlib.suppress(OSError):  # fewer, larger reads where the kernel allows it
            fcntl.fcntl(theirs, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        try:
            self._process = subprocess.Popen(self._words, stdout=theirs)
        except OSError as error:
            raise Failure(
                f"{self.described} cannot be started: {error.strerror}", exit_status=Exit.USAGE
            ) from error
        finally:
            os.close(theirs)
        return self._output

    def objection(self, copied: Copied, stop: Stop) -> str:
        """Wait for the exit status; a command that only closed its output is not done."""
        process = self._process
        if process is None:
            return f"{self.described} was not started"
        while process.poll() is None and not stop.is_set():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.1)
        if process.returncode is None:
            return f"{self.described} was still running"
        if process.returncode < 0:
            return f"{self.described} was killed by signal {-process.returncode}"
        return f"{self.described} exited with status {process.returncode}" if process.returncode else ""

    def close(self) -> None:
        """End the command where it still runs: its output is closed, then it is asked, then killed."""
        if self._output >= 0:
            os.close(self._output)
            self._output = -1
        if self._process is None:
            return
        for number in (0, signal.SIGTERM, signal.SIGKILL):  # 0 is no signal: its output is closed
            self._process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_PATIENCE_SECONDS)
                return


def digest_in(text: str) -> str:
    """The SHA-256 in the manner of sha256sum(1): the first word.  Raises ValueError."""
    words = text.split()
    found = words[0].lower().lstrip("\\") if words else ""
    if not re.fullmatch(r"[0-9a-f]{64}", found):
        raise ValueError("no line of sha256sum")
    return found
