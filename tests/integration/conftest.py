# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whole daemons on private buses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.client import tell
from support.daemon import Daemon

CONFIG = """
[drive.vt0]
type = "virtual"
path = "{0}/vt0"
max-size = "{1}"

[drive.vt1]
type = "virtual"
path = "{0}/vt1"
max-size = "{1}"
"""

StartDaemon = Callable[..., Daemon]


@pytest.fixture
def start_daemon(tmp_path: Path) -> Iterator[StartDaemon]:
    """Start a daemon with the virtual drives vt0 and vt1; it may not meet a fault of its own."""
    started: list[Daemon] = []

    def start(max_size: str = "64 MiB", **how: Any) -> Daemon:
        for name in ("vt0", "vt1"):
            (tmp_path / name).mkdir(exist_ok=True)
        started.append(Daemon(tmp_path, CONFIG.format(tmp_path, max_size), **how))
        return started[-1]

    yield start
    for daemon in started:
        daemon.stop()
        for fault in ("Traceback", "no D-Bus type is known"):
            assert fault not in daemon.log(), daemon.log()


@pytest.fixture
def daemon(start_daemon: StartDaemon) -> Daemon:
    """A running daemon with the virtual drives vt0 and vt1, 64 MiB each, both empty."""
    return start_daemon()


@pytest.fixture(name="tell")
def _tell() -> Callable[..., None]:
    """Run a story with a client of the daemon."""
    return tell
