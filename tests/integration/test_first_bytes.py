# SPDX-License-Identifier: LGPL-2.1-or-later
"""From an empty directory to bytes on tape and back, by plain calls on the bus."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from collections.abc import Callable
from typing import Any

from support.daemon import Daemon
from tapeds import names
from tapeds.buslib import Variant

Tell = Callable[[Daemon, Any], None]
NOTHING: dict[str, Variant] = {}


def give(fd: int, data: bytes) -> threading.Thread:
    """Write ``data`` into ``fd`` and close it, beside everything else."""

    def write() -> None:
        with open(fd, "wb") as stream:
            stream.write(data)

    thread = threading.Thread(target=write)
    thread.start()
    return thread


def take(fd: int, into: list[bytes]) -> threading.Thread:
    """Read ``fd`` to its end and close it, beside everything else."""

    def read() -> None:
        with open(fd, "rb") as stream:
            into.append(stream.read())

    thread = threading.Thread(target=read)
    thread.start()
    return thread


async def labelled(client: Any, drive: str, label: str) -> None:
    """Make the cartridge ``label``, load it and write both labels."""
    create = {"create": Variant("b", True)}
    await client.wait(await client.changer(drive, "LoadMedia", "sua{sv}", label, 0, create))
    text = {"label-text": Variant("s", label)}
    result = await client.wait(await client.drive(drive, "LabelTape", "a{sv}a{sv}", text, NOTHING))
    assert result["label-text"] == label
    pool = {"pool": Variant("s", "default")}
    await client.wait(await client.drive(drive, "WriteMediaSetLabel", "a{sv}a{sv}", pool, NOTHING))


async def written(client: Any, drive: str, data: bytes, **options: Variant) -> dict[str, Any]:
    """Append ``data`` as a file with its digest."""
    given = {"digest": Variant("s", "sha256"), **options}
    reply = await client.call(names.drive_path(drive), names.DRIVE, "WriteFile", "a{sv}", given)
    job = reply.body[0]
    thread = give(reply.fds[0], data)
    digest = {"sha256": Variant("ay", hashlib.sha256(data).digest())}
    await client.call(job, names.TRANSFER, "Commit", "ta{sv}", len(data), digest)
    result: dict[str, Any] = await client.wait(job)
    thread.join()
    return result


async def read(client: Any, drive: str, file: int) -> tuple[bytes, dict[str, Any]]:
    """The bytes of ``file`` and the result of reading them."""
    await client.wait(await client.drive(drive, "MoveToFile", "ta{sv}", file, NOTHING))
    given = {"digest": Variant("s", "sha256")}
    reply = await client.call(names.drive_path(drive), names.DRIVE, "ReadFile", "a{sv}", given)
    got: list[bytes] = []
    thread = take(reply.fds[0], got)
    result = await client.wait(reply.body[0])
    thread.join()
    return got[0], result


def test_a_labelled_tape_takes_a_file_and_gives_it_back(daemon: Daemon, tell: Tell) -> None:
    data = os.urandom(3_000_000)

    async def story(client: Any) -> None:
        await labelled(client, "vt0", "TAPE01")
        result = await written(client, "vt0", data, name=Variant("s", "random.bin"))
        assert (result["file"], result["bytes"], result["complete"]) == (2, len(data), True)
        assert result["sha256"] == hashlib.sha256(data).digest()
        back, told = await read(client, "vt0", 2)
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
    async def one(client: Any, drive: str) -> None:
        data = drive.encode() * 500_000
        await labelled(client, drive, f"{drive.upper()}01")
        await written(client, drive, data)
        assert (await read(client, drive, 2))[0] == data

    async def story(client: Any) -> None:
        await asyncio.gather(one(client, "vt0"), one(client, "vt1"))

    tell(daemon, story)


def test_what_was_written_is_there_after_a_restart_of_the_daemon(daemon: Daemon, tell: Tell) -> None:
    async def before(client: Any) -> None:
        await labelled(client, "vt0", "TAPE01")
        await written(client, "vt0", b"kept")

    async def after(client: Any) -> None:
        assert (await read(client, "vt0", 2))[0] == b"kept"

    tell(daemon, before)
    assert daemon.terminate() == 0
    daemon.start()
    tell(daemon, after)
