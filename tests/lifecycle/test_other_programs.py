# SPDX-License-Identifier: LGPL-2.1-or-later
"""Programs beside the daemon with the same drives: another daemon, and one that knows no D-Bus."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.aftermath import Traces, settled, works
from support.client import MIB, Client, options, refused, tell
from support.daemon import Daemon
from tapeds import names
from tapeds.state import locks

EXTERNAL = "drive vt0 is locked by another program (external)", "wait for it or end it"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """What another program does with a lock file."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


async def answered(client: Client) -> None:
    """Return when everything that was called so far has arrived."""
    await asyncio.sleep(0)
    await client.of_drive("vt0", "Name")


def test_a_lock_of_another_program_is_seen_and_respected(daemon: Daemon) -> None:
    async def story(client: Client) -> None:
        with locked(Traces(daemon, "vt0").lock_file):
            assert await client.of_drive("vt0", "LockHolder", "Session", "Job") == ("external", "/", "/")
            changer = names.changer_path("vt0")
            assert await client.get(changer, names.CHANGER, "LockHolder") == "external"
            with refused("Locked", *EXTERNAL):
                await client.acquire("vt0", timeout=0)
            assert "age-ms" not in await client.drive("vt0", "GetStatus")     # it never waits
            await client.wait(await client.drive("vt1", "Rewind"))
        assert await client.of_drive("vt0", "LockHolder") == ""
        await works(client, "vt0", daemon)

    tell(daemon, story)


def test_a_job_waits_for_a_lock_that_comes_free_in_time(daemon: Daemon) -> None:
    async def story(client: Client) -> None:
        with locked(Traces(daemon, "vt0").lock_file):
            starting = asyncio.create_task(client.drive("vt0", "Rewind"))
            acquiring = asyncio.create_task(client.acquire("vt1"))
            await answered(client)
            await client.release(await acquiring)
            with refused("Busy", "drive vt0 is busy with rewind for uid", "wait until it is done"):
                await client.drive("vt0", "Sync")
            assert not starting.done()
        await client.wait(await starting)
        await works(client, "vt0", daemon)

    tell(daemon, story)


@pytest.mark.system
def test_a_job_waits_ten_seconds_for_the_lock_of_another_program(daemon: Daemon) -> None:
    async def story(client: Client) -> None:
        loop = asyncio.get_running_loop()
        with locked(Traces(daemon, "vt0").lock_file):
            began = loop.time()
            with refused("Locked", *EXTERNAL):
                await client.drive("vt0", "Rewind")
            assert loop.time() - began >= 10
        await works(client, "vt0", daemon)

    tell(daemon, story)


@pytest.mark.system
def test_the_lock_of_the_directory_itself_counts_too(daemon: Daemon, tmp_path: Path) -> None:
    """Proxmox Backup takes no other."""

    async def story(client: Client) -> None:
        held = ".drive.lck is held by another program (external)"
        with locked(tmp_path / "vt0" / ".drive.lck"), refused("Locked", "drive vt0", held, "wait for it"):
            await client.acquire("vt0")
        await works(client, "vt0", daemon)

    tell(daemon, story)


def test_a_lock_directory_that_is_gone_is_no_lock(daemon: Daemon) -> None:
    async def story(client: Client) -> None:
        away = daemon.lock_dir.with_name("away")
        daemon.lock_dir.rename(away)
        with refused("Io", "lock file", str(daemon.lock_dir), "No such file or directory"):
            await client.drive("vt0", "Rewind")
        away.rename(daemon.lock_dir)
        await works(client, "vt0", daemon)

    tell(daemon, story)


@pytest.mark.system
def test_two_daemons_share_a_drive_by_its_lock(
    start_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    """Each on a bus of its own, with the same lock directory and the same drives."""
    first = start_daemon(tmp_path / "first")
    (tmp_path / "second").mkdir()
    (tmp_path / "second" / "lock").symlink_to(first.lock_dir)
    second = start_daemon(tmp_path / "second")
    data = os.urandom(3 * MIB)

    async def story(one: Client) -> None:
        async with await Client.connect(second.address) as other:
            session = await one.acquire("vt0", reason="the first daemon's")
            assert await other.of_drive("vt0", "LockHolder", "StatusText") == ("external", "")
            with refused("Locked", *EXTERNAL):
                await other.acquire("vt0", timeout=0)
            await one.write("vt0", data)
            starting = asyncio.create_task(other.drive("vt0", "ListFiles", "a{sv}", options(first=2)))
            await answered(other)
            await one.release(session)
            listed = await other.wait(await starting)
            assert [(file["bytes"], file["complete"]) for file in listed["files"]] == [(len(data), True)]

            await works(other, "vt0", second)              # what one has written, the other appends to
            await works(one, "vt0", first)
            await other.wait(await other.drive("vt1", "Rewind"))
            assert [file["number"] for file in await one.files("vt0")] == [2, 3, 4]
            assert await other.read("vt0", 2) == await one.read("vt0", 2)
            await settled(one, "vt0")

    tell(first, story)
    assert not locks.probe(str(Traces(first, "vt0").lock_file))


@pytest.mark.system
def test_a_daemon_that_is_killed_gives_its_drive_to_the_other(
    start_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    """The other does not know of the write, and finds the file closed by the worker that was left alone."""
    first = start_daemon(tmp_path / "first")
    (tmp_path / "second").mkdir()
    (tmp_path / "second" / "lock").symlink_to(first.lock_dir)
    second = start_daemon(tmp_path / "second")

    async def story(other: Client) -> None:
        async with await Client.connect(first.address) as one:
            _, fd = await one.begin_write("vt0")
            await asyncio.to_thread(os.write, fd, bytes(3 * MIB))
            assert await other.of_drive("vt0", "LockHolder") == "external"
            first.kill()
            os.close(fd)
            await works(other, "vt0", second)
            [cut, _] = await other.files("vt0")
            assert not cut["complete"]

    tell(second, story)
