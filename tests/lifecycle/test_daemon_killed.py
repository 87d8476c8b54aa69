# SPDX-License-Identifier: LGPL-2.1-or-later
"""A daemon that is killed: its workers release what they have, and the next one finds everything in order."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from typing import Any

import pytest

from support.aftermath import Traces, works
from support.client import MIB, Client, poured, refused, tell
from support.daemon import Daemon
from tapeds import names
from tapeds.buslib import Error

pytestmark = pytest.mark.system

GIVEN = 5 * MIB


def gone(pid: int) -> None:
    """Return when the process has ended; it is not ours to wait for."""
    while os.path.exists(f"/proc/{pid}"):
        time.sleep(0.01)


async def write_until_killed(client: Client, daemon: Daemon, *, worker_too: bool) -> None:
    job, fd = await client.begin_write("vt0", name="cut off")
    await poured(fd, os.urandom(GIVEN))
    worker = Traces(daemon, "vt0").worker
    waiting = asyncio.create_task(client.wait(job))
    await client.of_job(job, "State")
    if worker_too:
        os.kill(worker, signal.SIGSTOP)            # so that it does not get the chance to close its file
    daemon.kill()
    if worker_too:
        os.kill(worker, signal.SIGKILL)
    with refused(Error.NO_REPLY):
        await waiting
    with refused("org.freedesktop.DBus.Error.ServiceUnknown", names.BUS_NAME):
        await client.drive("vt0", "Rewind")
    await asyncio.to_thread(gone, worker)
    with pytest.raises(BrokenPipeError):
        os.write(fd, b"x")
    os.close(fd)


async def the_file_is_incomplete(client: Client) -> None:
    [cut, _] = await client.files("vt0")
    assert (cut["number"], cut["name"], cut["complete"]) == (2, "cut off", False)
    assert 0 < cut["bytes"] <= GIVEN
    await client.move("vt0", 2)
    job, fd = await client.begin_read("vt0")
    data = await asyncio.to_thread(read_all, fd)
    with refused("Incomplete", "file 2"):
        await client.wait(job)
    assert len(data) == cut["bytes"]


def read_all(fd: int) -> bytes:
    with open(fd, "rb") as stream:
        return stream.read()


@pytest.mark.parametrize("worker_too", [False, True])
def test_in_mid_write(daemon: Daemon, worker_too: bool) -> None:
    tell(daemon, lambda client: write_until_killed(client, daemon, worker_too=worker_too))
    daemon.start()
    mended = "the write of file 2 on TAPE-VT0 was interrupted; file 2 is closed as incomplete"
    assert (mended in daemon.log()) == worker_too

    async def after(client: Client) -> None:
        assert Traces(daemon, "vt0").all == []
        await works(client, "vt0", daemon)
        await the_file_is_incomplete(client)

    tell(daemon, after)


def test_with_a_lease(daemon: Daemon) -> None:
    """The lock goes with the daemon; the text that it leaves says nothing any more."""

    async def before(client: Client) -> None:
        session = await client.acquire("vt0", bind="none", ttl=600, reason="for ever")
        worker = Traces(daemon, "vt0").worker
        daemon.kill()
        with refused("org.freedesktop.DBus.Error.ServiceUnknown", names.BUS_NAME):
            await client.release(session)
        await asyncio.to_thread(gone, worker)

    async def after(client: Client) -> None:
        with refused(Error.UNKNOWN_OBJECT, "sessions/1"):
            await client.release(names.session_path(1))
        await works(client, "vt0", daemon)

    tell(daemon, before)
    daemon.start()
    tell(daemon, after)


def test_while_clients_wait_in_the_queue(daemon: Daemon) -> None:
    async def before(client: Client) -> None:
        await client.acquire("vt0")
        async with await client.another() as other:
            waiting: asyncio.Task[Any] = asyncio.create_task(other.acquire("vt0", timeout=names.FOR_EVER))
            await client.until("vt0", "Waiters", 1)
            daemon.kill()
            with refused(Error.NO_REPLY):
                await waiting

    tell(daemon, before)
    daemon.start()
    tell(daemon, lambda client: works(client, "vt0", daemon))


@pytest.mark.parametrize("hangs", [False, True])
def test_the_next_one_comes_while_a_worker_of_the_last_still_has_the_drive(
    daemon: Daemon, hangs: bool
) -> None:
    """It waits for the worker; one that hangs, it leaves for later."""
    workers: list[int] = []

    async def before(client: Client) -> None:
        _, fd = await client.begin_write("vt0", name="cut off")
        await poured(fd, os.urandom(GIVEN))
        workers.append(Traces(daemon, "vt0").worker)
        if hangs:
            os.kill(workers[0], signal.SIGSTOP)
        daemon.kill()
        os.close(fd)

    async def meanwhile(client: Client) -> None:
        await client.wait(await client.drive("vt1", "Rewind"))           # the other drive waits for nobody

    async def after(client: Client) -> None:
        await works(client, "vt0", daemon)
        await the_file_is_incomplete(client)

    tell(daemon, before)
    try:
        daemon.start()
        if hangs:
            tell(daemon, meanwhile)
            held = ".drive.lck is held by another program (external); wait for it or end it"
            assert re.search(f"left for later: drive vt0: .*{re.escape(held)}", daemon.log())
    finally:
        if hangs:
            os.kill(workers[0], signal.SIGCONT)
    gone(workers[0])
    tell(daemon, after)
