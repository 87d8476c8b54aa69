# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a hostile client does harms neither the service nor those who are served beside it."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.aftermath import works
from support.client import Client, tell
from support.daemon import CHECKOUT, Daemon
from support.hostile import ATTACKS

pytestmark = pytest.mark.system

DRIVES = ("vt0", "vt1")
CONFIG = '[drive.{0}]\ntype = "virtual"\npath = "{1}/{0}"\nmax-size = "256 MiB"\n'
MOST_MEMORY = 16 << 20                     # beyond what the daemon had before all attacks
MOST_SECONDS = 10
SETTLE_SECONDS = 30.0

_DAEMON = pytest.mark.requires("dbus-daemon")
_BROKER = pytest.mark.requires("dbus-broker", "root")
SURROUNDINGS = [
    pytest.param((False, "dbus_next"), id="dbus-daemon", marks=_DAEMON),
    pytest.param((True, "dbus_next"), id="dbus-broker", marks=_BROKER),
    pytest.param((False, "dbus_fast"), id="dbus-fast", marks=_DAEMON),
]


class Process:
    """The daemon as the kernel sees it."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._folder = Path(f"/proc/{pid}")

    def memory(self) -> int:
        """Bytes in memory."""
        lines = (self._folder / "status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))

    def descriptors(self) -> int:
        """How many are open, without the socket that each worker has."""
        children = (self._folder / "task" / str(self._pid) / "children").read_text().split()
        return len(os.listdir(self._folder / "fd")) - sum(1 for child in children if _lives(child))


def _lives(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Siege:
    """A daemon under attack, and what it had before."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.process = Process(daemon.pid)
        self.descriptors = self.process.descriptors()
        self.memory = self.process.memory()

    async def attack(self, name: str) -> None:
        """Return when the hostile client has done its worst."""
        program = CHECKOUT / "tests" / "support" / "hostile.py"
        words = (str(program), self.daemon.address, "0", name)
        process = await asyncio.create_subprocess_exec(sys.executable, *words)
        assert await process.wait() == 0

    async def settled(self) -> None:
        """Return when the daemon holds no more descriptors than before, or after a while."""
        until = time.monotonic() + SETTLE_SECONDS
        while self.process.descriptors() > self.descriptors and time.monotonic() < until:
            await asyncio.sleep(0.05)


class Polite:
    """A client that asks one thing after the other all the time, and is owed an answer each time."""

    def __init__(self) -> None:
        self.answers = 0
        self.longest = {"State": 0.0, "GetStatus": 0.0}

    async def ask(self, client: Client) -> None:
        """Go on until cancelled.  Raises CallError for an answer that did not come in ten seconds."""
        while True:
            for what in self.longest:
                began = time.monotonic()
                if what == "GetStatus":
                    await client.drive("vt1", what, timeout=MOST_SECONDS)
                else:
                    await client.of_drive("vt1", what, timeout=MOST_SECONDS)
                self.longest[what] = max(self.longest[what], time.monotonic() - began)
                self.answers += 1


@pytest.fixture(scope="module", params=SURROUNDINGS)
def siege(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Siege]:
    """A daemon with two virtual drives, on each kind of bus and with each library."""
    broker, library = request.param
    folder = tmp_path_factory.mktemp("hostile")
    for name in DRIVES:
        (folder / name).mkdir()
    config = "".join(CONFIG.format(name, folder) for name in DRIVES)
    daemon = Daemon(folder, config, broker=broker, environment={"TAPEDS_DBUS": library})

    async def prepare(client: Client) -> None:
        for name in DRIVES:
            await client.label(name, f"TAPE-{name}")
            await works(client, name, daemon)

    tell(daemon, prepare)
    yield Siege(daemon)
    daemon.stop()


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_changes_nothing(siege: Siege, attack: str) -> None:
    polite = Polite()

    async def story(client: Client) -> None:
        asking = asyncio.create_task(polite.ask(client))
        await siege.attack(attack)
        before = polite.answers
        while not asking.done() and polite.answers < before + 10:
            await asyncio.sleep(0.01)
        if asking.done():
            await asking
        asking.cancel()
        for name in DRIVES:
            await works(client, name, siege.daemon)
        await siege.settled()

    tell(siege.daemon, story)
    grown = siege.process.memory() - siege.memory
    waits = ", ".join(f"{what} {seconds * 1000:.0f} ms" for what, seconds in polite.longest.items())
    print(f"{attack}: {polite.answers} answers, the longest waits: {waits}; grown by {grown >> 10} KiB")
    assert siege.process.descriptors() <= siege.descriptors
    assert grown < MOST_MEMORY
    for fault in ("Traceback", "nobody planned"):
        assert fault not in siege.daemon.log()
