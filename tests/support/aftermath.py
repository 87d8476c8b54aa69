# SPDX-License-Identifier: LGPL-2.1-or-later
"""What has to hold after whatever happened: the drive works, and nothing is held, said or left open."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path

from support.client import MIB, Client
from support.daemon import Daemon
from tapeds.names import lock_name
from tapeds.state import locks


class Traces:
    """What a daemon has of one drive in its directories, as another program sees it."""

    def __init__(self, daemon: Daemon, drive: str) -> None:
        self._drive = drive
        self._text = daemon.runtime_dir / "drives" / drive
        self._marker = daemon.runtime_dir / "open" / drive
        self._intent = daemon.state_dir / "drives" / f"{drive}.json"
        self._locks = daemon.lock_dir
        self._path = Path(tomllib.loads(daemon.config_file.read_text())["drive"][drive]["path"])

    @property
    def lock_file(self) -> Path:
        """The lock file of the drive's path."""
        return self._locks / lock_name(str(self._path))

    @property
    def text(self) -> str:
        """The state text."""
        return self._text.read_text() if self._text.exists() else ""

    @property
    def worker(self) -> int:
        """The process that has the drive open."""
        return int(json.loads(self._marker.read_text())["pid"])

    @property
    def all(self) -> list[str]:
        """What is held, said or left open; empty for a drive that nobody uses."""
        own = self._path.stat()
        identity = lock_name(f"{own.st_dev}:{own.st_ino}")
        held = [path for path in self._locks.glob(f"*{identity}") if locks.probe(str(path))]
        held += [self.lock_file] if locks.probe(str(self.lock_file)) else []
        return [
            *(f"{path.name} is locked" for path in held),
            *([f"the state text is {self.text}"] if self.text else []),
            *(["it is marked as open"] if self._marker.exists() else []),
            *(["a write is on record as begun"] if self._intent.exists() else []),
        ]


async def settled(client: Client, drive: str) -> None:
    """Return once nobody has the drive any more."""
    for name, value in (("Job", "/"), ("Session", "/"), ("LockHolder", "")):
        await client.until(drive, name, value)


async def works(client: Client, drive: str, daemon: Daemon) -> None:
    """The drive takes a file and gives it back, and whoever used it leaves no trace."""
    await settled(client, drive)
    assert Traces(daemon, drive).text == ""
    session = await client.acquire(drive)
    data = os.urandom(2 * MIB + 17)
    result = await client.write(drive, data)
    assert (result["complete"], result["bytes"]) == (True, len(data))
    back, told = await client.read(drive, result["file"])
    assert back == data
    assert told["complete"]
    listed = (await client.files(drive))[-1]
    assert (listed["number"], listed["bytes"], listed["complete"]) == (result["file"], len(data), True)
    assert "first-error" not in await client.wait(
        await client.drive(drive, "VerifyFile", "ta{sv}", result["file"], {})
    )
    await client.release(session)
    assert await client.of_drive(drive, "State", "StatusText", "Waiters") == ("idle", "", 0)
    assert Traces(daemon, drive).all == []
