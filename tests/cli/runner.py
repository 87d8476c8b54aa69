# SPDX-License-Identifier: LGPL-2.1-or-later
"""tapectl as a program: run in a pipe, or on a terminal with a person in front of it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

from cli.terminal import Terminal
from tapeds.cli.main import main

COMMAND = [sys.executable, "-m", "tapeds.cli.main"]


class Runner:
    """Runs tapectl against the bus of ``environment``, with ``folder`` as its current directory."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self.environment = dict(environment)
        self.folder = folder
        self.terminals: list[Terminal] = []

    def __call__(
        self, *words: str, stdin: bytes = b"", seconds: float = 60.0, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run it without a terminal until it ends; ``stdin`` is all of its standard input."""
        done = subprocess.run(
            [*COMMAND, *words],
            input=stdin,
            capture_output=True,
            env={**self.environment, **variables},
            cwd=self.folder,
            start_new_session=True,
            timeout=seconds,
            check=False,
        )
        return subprocess.CompletedProcess(
            done.args,
            done.returncode,
            done.stdout.decode(errors="replace"),
            done.stderr.decode(errors="replace"),
        )

    def well(self, *words: str, **more: Any) -> str:
        """Run it, see it exit 0, and give what it printed."""
        done = self(*words, **more)
        assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def json(self, *words: str, **more: Any) -> Any:
        """Run it with --json; the document, whatever the exit status."""
        return json.loads(self(*words, "--json", **more).stdout)

    def start(self, *words: str, **streams: Any) -> subprocess.Popen[bytes]:
        """Start it without a terminal."""
        return subprocess.Popen(
            [*COMMAND, *words], env=self.environment, cwd=self.folder, start_new_session=True, **streams
        )

    def terminal(self, *words: str, **streams: Any) -> Terminal:
        """Start it on a terminal."""
        terminal = Terminal([*COMMAND, *words], self.environment, self.folder, **streams)
        self.terminals.append(terminal)
        return terminal

    def shell(self, line: str) -> Terminal:
        """Start a line of shell on a terminal."""
        terminal = Terminal(["sh", "-c", line], self.environment, self.folder)
        self.terminals.append(terminal)
        return terminal

    def close(self) -> None:
        for terminal in self.terminals:
            terminal.close()


class Inside(Runner):
    """The same in this very process, which is quicker: for verbs that use no standard input."""

    def __call__(
        self, *words: str, stdin: bytes = b"", seconds: float = 60.0, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        assert not stdin, "nobody reads it here"
        out, err = io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, {**self.environment, **variables}, clear=True),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            status = main(words)
        return subprocess.CompletedProcess(words, int(status), out.getvalue(), err.getvalue())
