# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whole daemons on private buses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.daemon import Daemon
from tapeds import names
from tapeds.buslib import Bus, Reply, unwrap

MIB = 1 << 20
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


class Client:
    """A client that speaks plain D-Bus."""

    def __init__(self, bus: Bus, address: str) -> None:
        self.bus = bus
        self.address = address

    async def another(self) -> Client:
        """Another client of the same user; its ``bus`` is the caller's to close."""
        return Client(await Bus.connect(self.address), self.address)

    async def call(
        self, path: str, interface: str, member: str, signature: str = "a{sv}", *body: Any, **how: Any
    ) -> Reply:
        """Call a method, by default one that takes options only and without any."""
        return await self.bus.call(
            names.BUS_NAME, path, interface, member, signature, list(body or ({},)), **how
        )

    async def drive(self, name: str, member: str, signature: str = "a{sv}", *body: Any) -> Any:
        """The first value that a member of a drive returns."""
        reply = await self.call(names.drive_path(name), names.DRIVE, member, signature, *body)
        return unwrap(reply.body[0])

    async def changer(self, name: str, member: str, signature: str = "a{sv}", *body: Any) -> Any:
        """The first value that a member of a changer returns."""
        reply = await self.call(names.changer_path(name), names.CHANGER, member, signature, *body)
        return unwrap(reply.body[0])

    async def wait(self, job: str) -> dict[str, Any]:
        """The result of a job.  Raises CallError with the job's own error."""
        reply = await self.call(job, names.JOB, "Wait", timeout=None)
        result: dict[str, Any] = unwrap(reply.body[0])
        return result

    async def get(self, path: str, interface: str, name: str) -> Any:
        """A property."""
        reply = await self.call(path, "org.freedesktop.DBus.Properties", "Get", "ss", interface, name)
        return unwrap(reply.body[0])


Story = Callable[[Client], Awaitable[None]]


@pytest.fixture
def tell() -> Callable[[Daemon, Story], None]:
    """Run a story with a client of the daemon."""

    async def run(daemon: Daemon, story: Story) -> None:
        bus = await Bus.connect(daemon.address)
        try:
            async with asyncio.timeout(120):
                await story(Client(bus, daemon.address))
        finally:
            await bus.close()

    return lambda daemon, story: asyncio.run(run(daemon, story))
