# SPDX-License-Identifier: LGPL-2.1-or-later
"""Daemons that are to be killed, stopped and shared, and what has to hold after all of that."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.client import Begin, Victim
from support.daemon import Daemon
from support.vtapes import open_station
from tapeds.media.label import MediaLabel, MediaSetLabel, write_media_label, write_media_set_label

DRIVES = ("vt0", "vt1")
_CONFIG = '[drive.{0}]\ntype = "virtual"\npath = "{1}/{0}"\nmax-size = "1 GiB"\n'


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directories of the virtual drives vt0 and vt1, in each a labelled tape, for copying."""
    folder = tmp_path_factory.mktemp("shelf")
    for name in DRIVES:
        path = folder / name
        path.mkdir()
        station = open_station(path)
        text = f"TAPE-{name.upper()}"
        station.load_new(text)
        write_media_label(station.drive, MediaLabel(label_text=text, uuid=str(uuid.uuid4()), ctime=1))
        write_media_set_label(
            station.drive, MediaSetLabel(uuid=str(uuid.uuid4()), pool="default", seq_nr=0, ctime=1)
        )
        station.close()
    return folder


StartDaemon = Callable[..., Daemon]


@pytest.fixture
def start_daemon(tmp_path: Path, shelf: Path) -> Iterator[StartDaemon]:
    """Start a daemon with the drives vt0 and vt1; it may not meet a fault of its own."""
    started: list[Daemon] = []

    def start(folder: Path = tmp_path, **how: Any) -> Daemon:
        for name in DRIVES:
            if not (tmp_path / name).exists():
                shutil.copytree(shelf / name, tmp_path / name)
        folder.mkdir(exist_ok=True)
        config = "".join(_CONFIG.format(name, tmp_path) for name in DRIVES)
        started.append(Daemon(folder, config, **how))
        return started[-1]

    yield start
    for daemon in started:
        daemon.stop()
        assert "Traceback" not in daemon.log(), daemon.log()


@pytest.fixture
def daemon(start_daemon: StartDaemon) -> Daemon:
    """A running daemon with the virtual drives vt0 and vt1, each with a labelled tape in it."""
    return start_daemon()


@pytest.fixture
def victim(daemon: Daemon) -> Iterator[Callable[[Begin], Victim]]:
    """Start a client process that can be killed."""
    started: list[Victim] = []

    def start(begin: Begin) -> Victim:
        started.append(Victim(daemon.address, begin))
        return started[-1]

    yield start
    for process in started:
        process.kill()
