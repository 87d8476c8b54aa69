# SPDX-License-Identifier: LGPL-2.1-or-later
"""The directory of a virtual drive is taken away while it is used, and comes back.

What is open goes with it, so a write notices when its file is to be closed.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from support.aftermath import settled, works
from support.client import MIB, Client, drain, pour, poured, refused, tell
from support.daemon import Daemon
from tapeds import names

DATA = os.urandom(10 * MIB)
HALF = len(DATA) // 2
GONE = "drive vt0: directory", "is gone; bring it back and try again"


async def cut_off(client: Client, tmp_path: Path) -> str:
    """A write during which the directory was taken away; nothing is wrong with its data."""
    job, fd = await client.begin_write("vt0")
    await poured(fd, DATA[:HALF])
    (tmp_path / "vt0").rename(tmp_path / "away")
    rest = pour(fd, DATA[HALF:])
    await client.commit(job, DATA)
    with refused("DeviceGone", *GONE):
        await client.wait(job)
    await asyncio.to_thread(rest.join)
    result = await client.of_job(job, "ResultData")
    assert (result["file"], result["complete"]) == (2, False)
    return job


async def absent(client: Client) -> None:
    await settled(client, "vt0")
    assert await client.of_drive("vt0", "Present", "Device", "State") == (False, "", "absent")
    with refused("NotPresent", "drive vt0 is not present", "there is no directory", "create it"):
        await client.drive("vt0", "Rewind")


async def back(client: Client, daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "away").rename(tmp_path / "vt0")
    await works(client, "vt0", daemon)
    assert await client.of_drive("vt0", "Present", "Device") == (True, str(tmp_path / "vt0"))
    [cut, _] = await client.files("vt0")
    assert cut["number"] == 2
    await client.move("vt0", 2)
    job, fd = await client.begin_read("vt0")
    data = await asyncio.to_thread(drain, fd)
    if cut["complete"]:                                # all of it was written, only not answered for
        assert (await client.wait(job))["complete"]
        assert data == DATA
    else:
        with refused("Incomplete", "file 2"):
            await client.wait(job)
        assert DATA.startswith(data)


def test_in_mid_write(daemon: Daemon, tmp_path: Path) -> None:
    async def story(client: Client) -> None:
        await cut_off(client, tmp_path)
        await absent(client)
        await back(client, daemon, tmp_path)

    tell(daemon, story)


def test_in_mid_write_under_a_lease(daemon: Daemon, tmp_path: Path) -> None:
    """The lease is over: what it stood for has gone."""

    async def story(client: Client) -> None:
        released: asyncio.Queue[Any] = asyncio.Queue()
        await client.bus.subscribe(released.put_nowait, sender=names.BUS_NAME, member="Released")
        session = await client.acquire("vt0")
        await cut_off(client, tmp_path)
        told = await released.get()
        assert (told.path, told.body) == (session, ["device-gone"])
        await absent(client)
        await back(client, daemon, tmp_path)

    tell(daemon, story)


def test_while_nobody_uses_it(daemon: Daemon, tmp_path: Path) -> None:
    async def story(client: Client) -> None:
        (tmp_path / "vt0").rename(tmp_path / "away")
        with refused("NotPresent", "there is no directory", "create it, or correct path in the config"):
            await client.acquire("vt0")
        await absent(client)
        (tmp_path / "away").rename(tmp_path / "vt0")
        assert await client.of_drive("vt0", "Present") is False        # noticed at the next access
        await works(client, "vt0", daemon)
        assert await client.of_drive("vt0", "Present") is True

    tell(daemon, story)


def test_another_one_comes_in_its_place(daemon: Daemon, tmp_path: Path) -> None:
    """What was remembered of the first is not applied to the second."""

    async def story(client: Client) -> None:
        await cut_off(client, tmp_path)
        (tmp_path / "vt0").mkdir()
        with refused("NoMedia", "vt0"):
            await client.wait(await client.drive("vt0", "ReadLabel"))
        assert await client.of_drive("vt0", "Present", "Media") == (True, {})
        await client.label("vt0", "FRESH1")
        await client.write("vt0", b"something")
        assert (await client.of_drive("vt0", "Media"))["label-text"] == "FRESH1"
        await client.call(names.MANAGER_PATH, names.MANAGER, "Reload")

        (tmp_path / "vt0").rename(tmp_path / "fresh")
        await back(client, daemon, tmp_path)
        assert (await client.of_drive("vt0", "Media"))["label-text"] == "TAPE-VT0"

    tell(daemon, story)
