# SPDX-License-Identifier: LGPL-2.1-or-later
"""While the daemon was away somebody has changed what the lease had: that is noticed before all else."""

from __future__ import annotations

import asyncio
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.aftermath import works
from support.client import Client, options, refused, tell
from support.daemon import Daemon
from support.systemd import ServiceManager
from support.vtapes import Station, open_station
from tapeds.media.label import MediaLabel, MediaSetLabel, write_media_label, write_media_set_label

OTHER = str(uuid.uuid4())

pytestmark = pytest.mark.system


def refuses(client: Client, member: str, *arguments: Any) -> Callable[..., Any]:
    async def ask(name: str, *texts: str) -> None:
        with refused(name, *texts):
            await client.wait(await client.drive("vt0", member, *arguments))

    return ask


async def media(client: Client) -> str:
    """The UUID of the tape in vt0, read from it."""
    told: str = (await client.wait(await client.drive("vt0", "ReadLabel")))["label"]["uuid"]
    return told


def label(station: Station, text: str) -> None:
    """Write both labels, at the beginning of a tape that is empty."""
    write_media_label(station.drive, MediaLabel(label_text=text, uuid=OTHER, ctime=1))
    write_media_set_label(
        station.drive, MediaSetLabel(uuid=str(uuid.uuid4()), pool="default", seq_nr=0, ctime=1)
    )
    station.close()


def exchange(path: Path) -> None:
    """Another program puts another tape into the drive."""
    station = open_station(path)
    station.load_new("OTHER01")
    label(station, "OTHER01")


@pytest.mark.parametrize("read", [True, False], ids=["label read", "label not read"])
def test_the_tape(daemon: Daemon, manager: ServiceManager, read: bool) -> None:
    """Everything about the tape is refused until its label was read; then the lease goes on with it."""

    async def story(client: Client) -> None:
        session = await client.acquire("vt0")
        was = "but tape TAPE-VT0 was in the drive before the restart; "
        if read:
            was = f"but media {await media(client)} (label TAPE-VT0) was in the drive before the restart; "
        go_on = was + "read the label to go on with this tape"
        await asyncio.to_thread(manager.stop, daemon, "restart")
        exchange(daemon.folder / "vt0")
        await asyncio.to_thread(manager.start, daemon)
        for _ in range(2):                               # it is not forgotten by being told
            await refuses(client, "Rewind")("WrongLabel", "tape OTHER01 in drive vt0 is ", go_on)
        await refuses(client, "FormatMedia", "ba{sv}", True, {})("WrongLabel", go_on)
        new = options(label_text="NEW01"), options(overwrite=True)
        await refuses(client, "LabelTape", "a{sv}a{sv}", *new)("WrongLabel", go_on)
        job, fd = await client.begin_write("vt0")
        os.close(fd)
        with refused("WrongLabel", go_on):
            await client.wait(job)
        await asyncio.to_thread(manager.restart, daemon)  # nor by another restart
        await refuses(client, "Rewind")("WrongLabel", go_on)
        assert await media(client) == OTHER
        assert (await client.write("vt0", b"now"))["file"] == 2
        assert await client.of_drive("vt0", "Session") == session
        await client.release(session)
        await works(client, "vt0", daemon)

    tell(daemon, story)


def test_a_tape_that_looks_the_same(daemon: Daemon, manager: ServiceManager) -> None:
    """The cartridge has the same name, its label another UUID."""

    async def story(client: Client) -> None:
        await client.acquire("vt0")
        then = await media(client)
        await asyncio.to_thread(manager.stop, daemon, "restart")
        station = open_station(daemon.folder / "vt0")
        station.drive.format(fast=True)
        label(station, "TAPE-VT0")
        await asyncio.to_thread(manager.start, daemon)
        await refuses(client, "Rewind")(
            "WrongLabel",
            f"tape TAPE-VT0 in drive vt0 is media {OTHER},",
            f"but media {then} (label TAPE-VT0) was in the drive before the restart",
        )
        await client.wait(await client.drive("vt0", "ReadLabel"))
        await client.wait(await client.drive("vt0", "Rewind"))

    tell(daemon, story)


def test_a_tape_in_a_drive_that_was_empty(daemon: Daemon, manager: ServiceManager) -> None:
    async def story(client: Client) -> None:
        await client.acquire("vt0")
        await client.wait(await client.drive("vt0", "EjectMedia"))
        await asyncio.to_thread(manager.stop, daemon, "restart")
        exchange(daemon.folder / "vt0")
        await asyncio.to_thread(manager.start, daemon)
        told = "tape OTHER01 in drive vt0 is another one, but the drive was empty before the restart"
        await refuses(client, "Rewind")("WrongLabel", told)
        await client.wait(await client.changer("vt0", "LoadMedia", "sua{sv}", "TAPE-VT0", 0, {}))
        await client.wait(await client.drive("vt0", "Rewind"))   # what it has loaded itself needs no proof

    tell(daemon, story)


def test_the_drive_is_empty_now(daemon: Daemon, manager: ServiceManager) -> None:
    async def story(client: Client) -> None:
        await client.acquire("vt0")
        await asyncio.to_thread(manager.stop, daemon, "restart")
        station = open_station(daemon.folder / "vt0")
        station.drive.unload()
        station.close()
        await asyncio.to_thread(manager.start, daemon)
        await refuses(client, "Rewind")("NoMedia", "drive vt0 is empty")

    tell(daemon, story)


def test_the_directory(daemon: Daemon, manager: ServiceManager) -> None:
    """Another directory at the same path is another drive; the own one may come back."""

    async def story(client: Client) -> None:
        path, away = daemon.folder / "vt0", daemon.folder / "away"
        session = await client.acquire("vt0")
        await asyncio.to_thread(manager.stop, daemon, "restart")
        path.rename(away)
        shutil.copytree(away, path)
        await asyncio.to_thread(manager.start, daemon)
        for member in ("Rewind", "ReadLabel"):
            await refuses(client, member)(
                "PositionLost", f"drive vt0: {path} is not what the lease had before the restart",
                "bring that back, or release the lease and acquire the drive again",
            )  # fmt: skip
        assert await client.of_drive("vt0", "Session") == session
        shutil.rmtree(path)
        away.rename(path)
        await client.wait(await client.drive("vt0", "Rewind"))
        await client.release(session)
        await works(client, "vt0", daemon)

    tell(daemon, story)


def test_the_directory_is_not_there(daemon: Daemon, manager: ServiceManager) -> None:
    """The lease goes on until somebody needs the drive; then it ends, as at any other time."""

    async def story(client: Client) -> None:
        session = await client.acquire("vt0")
        await asyncio.to_thread(manager.stop, daemon, "restart")
        (daemon.folder / "vt0").rename(daemon.folder / "away")
        await asyncio.to_thread(manager.start, daemon)
        assert await client.of_drive("vt0", "Session", "Present", "State") == (session, False, "absent")
        await refuses(client, "Rewind")("NotPresent", "drive vt0 is not present")
        await client.until("vt0", "Session", "/")

    tell(daemon, story)
