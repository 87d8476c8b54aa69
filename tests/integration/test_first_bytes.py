# SPDX-License-Identifier: LGPL-2.1-or-later
"""From an empty directory to bytes on tape and back, by plain calls on the bus."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable
from typing import Any

from support.client import Client
from support.daemon import Daemon

Tell = Callable[[Daemon, Any], None]


def test_a_labelled_tape_takes_a_file_and_gives_it_back(daemon: Daemon, tell: Tell) -> None:
    data = os.urandom(3_000_000)

    async def story(client: Client) -> None:
        await client.label("vt0", "TAPE01")
        result = await client.write("vt0", data, name="random.bin")
        assert (result["file"], result["bytes"], result["complete"]) == (2, len(data), True)
        assert result["sha256"] == hashlib.sha256(data).digest()
        back, told = await client.read("vt0", 2)
        assert back == data
        assert (told["name"], told["complete"]) == ("random.bin", True)
        listed = await client.wait(await client.drive("vt0", "ListFiles"))
        assert [(f["number"], f["kind"], f["name"], f["bytes"]) for f in listed["files"]][2:] == [
            (2, "file", "random.bin", len(data))
        ]
        assert await client.wait(await client.drive("vt0", "VerifyTape")) | {"bytes": 0} == {
            "files": 3,
            "bytes": 0,
            "incomplete": 0,
        }

    tell(daemon, story)


def test_two_drives_write_at_the_same_time(daemon: Daemon, tell: Tell) -> None:
    async def one(client: Client, drive: str) -> None:
        data = drive.encode() * 500_000
        await client.label(drive, f"{drive.upper()}01")
        await client.write(drive, data)
        assert (await client.read(drive, 2))[0] == data

    async def story(client: Client) -> None:
        await asyncio.gather(one(client, "vt0"), one(client, "vt1"))

    tell(daemon, story)


def test_what_was_written_is_there_after_a_restart_of_the_daemon(daemon: Daemon, tell: Tell) -> None:
    async def before(client: Client) -> None:
        await client.label("vt0", "TAPE01")
        await client.write("vt0", b"kept")

    async def after(client: Client) -> None:
        assert (await client.read("vt0", 2))[0] == b"kept"

    tell(daemon, before)
    assert daemon.terminate() == 0
    daemon.start()
    tell(daemon, after)
