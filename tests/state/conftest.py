# SPDX-License-Identifier: LGPL-2.1-or-later
"""Other processes that hold locks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

_HOLDER = """
import fcntl, os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o660)
fcntl.flock(fd, fcntl.LOCK_SH if sys.argv[2] == "shared" else fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def elsewhere() -> Iterator[Callable[..., Callable[[], None]]]:
    """Lets another process hold a lock; returns what makes it let go."""
    running: list[subprocess.Popen[str]] = []

    def hold(path: Path, kind: str = "exclusive") -> Callable[[], None]:
        process = subprocess.Popen(
            [sys.executable, "-c", _HOLDER, str(path), kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return lambda: _end(process)

    yield hold
    for process in running:
        _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()
