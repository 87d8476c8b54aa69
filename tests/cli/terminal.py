# SPDX-License-Identifier: LGPL-2.1-or-later
"""A person at a terminal: starts a program on a pseudo-terminal of 80 columns, reads it and types."""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

PATIENCE_SECONDS = 30.0
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """``command`` on a terminal of its own, which is its controlling terminal.

    ``stdin`` and ``stdout`` may be something else than the terminal.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        *,
        stdin: int | None = None,
        stdout: int | None = None,
    ) -> None:
        self._ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.process = subprocess.Popen(
            command,
            stdin=theirs if stdin is None else stdin,
            stdout=theirs if stdout is None else stdout,
            stderr=theirs,
            env={**environment, "TERM": "xterm", "LC_ALL": "C.UTF-8"},
            cwd=folder,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(2, termios.TIOCSCTTY, 0),
        )
        os.close(theirs)
        self.raw = ""

    @property
    def screen(self) -> str:
        """Everything that was shown so far, without the escape sequences."""
        return _ESCAPES.sub("", self.raw).replace("\r\n", "\n")

    def expect(self, pattern: str, seconds: float = PATIENCE_SECONDS) -> re.Match[str]:
        """Read until ``pattern`` has been shown."""
        deadline = time.monotonic() + seconds
        while (found := re.search(pattern, self.screen)) is None:
            ended = self.process.poll() is not None
            if not self._read(deadline) and (ended or time.monotonic() > deadline):
                raise AssertionError(f"{pattern!r} was not shown:\n{self.screen}")
        return found

    def type(self, text: str) -> None:
        """Type ``text``; ``\\x03`` is Ctrl-C."""
        os.write(self._ours, text.encode())

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.type("\x03")

    def end(self, seconds: float = PATIENCE_SECONDS) -> int:
        """Read until the program has ended; its exit status."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            self._read(min(deadline, time.monotonic() + 0.05))
            if time.monotonic() > deadline:
                self.close()
                raise AssertionError(f"it did not end:\n{self.screen}")
        while self._read(time.monotonic() + 0.05):
            pass
        return self.process.returncode

    def close(self) -> None:
        """End what is still running."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        os.close(self._ours)

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._ours], [], [], max(0.0, min(0.1, deadline - time.monotonic())))
        if not ready:
            return False
        try:
            piece = os.read(self._ours, 65536)
        except OSError:  # nobody has the terminal open any more
            return False
        self.raw += piece.decode(errors="replace")
        return bool(piece)
