# SPDX-License-Identifier: LGPL-2.1-or-later
"""A daemon under a service manager, and another program that would like to have its drives."""

from __future__ import annotations

import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.aftermath import Traces
from support.client import Begin, Victim
from support.daemon import Daemon
from support.systemd import POLICY, ServiceManager
from support.vtapes import open_station
from tapeds.media.label import MediaLabel, MediaSetLabel, write_media_label, write_media_set_label

DRIVES = ("vt0", "vt1")
TRY_FOR_EVER = """
import fcntl, sys, time
tried, got = 0, 0
print("trying", flush=True)
import select
while not select.select([sys.stdin], [], [], 0.002)[0]:
    with open(sys.argv[1]) as file:
        tried += 1
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            got += 1
        except BlockingIOError:
            pass
print(tried, got, flush=True)
"""


def section(folder: Path, name: str) -> str:
    """The configuration of one drive."""
    return f'[drive.{name}]\ntype = "virtual"\npath = "{folder}/{name}"\nmax-size = "1 GiB"\n'


def put_in(path: Path, text: str, media: str) -> None:
    """Put another tape, with both labels, into the virtual drive at ``path``."""
    station = open_station(path)
    if station.directory.loaded is not None:
        station.changer.unload(0, None)
    station.load_new(text)
    write_media_label(station.drive, MediaLabel(label_text=text, uuid=media, ctime=1))
    write_media_set_label(
        station.drive, MediaSetLabel(uuid=str(uuid.uuid4()), pool="default", seq_nr=0, ctime=1)
    )
    station.close()


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directories of the virtual drives vt0 and vt1, in each a labelled tape, for copying."""
    folder = tmp_path_factory.mktemp("shelf")
    for name in DRIVES:
        (folder / name).mkdir()
        put_in(folder / name, f"TAPE-{name.upper()}", str(uuid.uuid4()))
    return folder


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[ServiceManager]:
    """A service manager, which is not on the bus yet."""
    folder = tmp_path / "systemd"
    folder.mkdir()
    made = ServiceManager(folder)
    yield made
    made.close()


@pytest.fixture
def alone(tmp_path: Path, shelf: Path, manager: ServiceManager) -> Iterator[Daemon]:
    """A daemon with the drives vt0 and vt1, on a bus without systemd; it may not meet a fault of its own."""
    for name in DRIVES:
        shutil.copytree(shelf / name, tmp_path / name)
    config = "".join(section(tmp_path, name) for name in DRIVES)
    daemon = Daemon(
        tmp_path, config, command=manager.command, environment=manager.environment, policy=POLICY
    )
    yield daemon
    daemon.stop()
    assert "Traceback" not in daemon.log(), daemon.log()


@pytest.fixture
def daemon(alone: Daemon, manager: ServiceManager) -> Daemon:
    """The same with systemd."""
    manager.appear(alone.address)
    return alone


class Prober:
    """A process that tries to lock a file, again and again."""

    def __init__(self, path: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", TRY_FOR_EVER, str(path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "trying\n"

    def result(self) -> tuple[int, int]:
        """How often it has tried, and how often it got the lock; it ends."""
        out, _ = self._process.communicate("\n")
        tried, got = out.split()
        return int(tried), int(got)

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def probe(daemon: Daemon) -> Iterator[Callable[[str], list[Prober]]]:
    """Start a prober for each lock that is held of a drive."""
    started: list[Prober] = []

    def start(drive: str) -> list[Prober]:
        found = [Prober(path) for path in held(daemon, drive)]
        started.extend(found)
        return found

    yield start
    for prober in started:
        prober.kill()


def held(daemon: Daemon, drive: str) -> list[Path]:
    """The lock files of a drive that has been open: of its path and of its identity."""
    own = (daemon.folder / drive).stat()
    return [
        Traces(daemon, drive).lock_file,
        *daemon.lock_dir.glob(f"serial-*-{own.st_dev}:{own.st_ino}"),
    ]


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
