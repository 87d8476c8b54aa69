# SPDX-License-Identifier: LGPL-2.1-or-later
"""A daemon that is told to stop: everybody who waits gets an answer, and nothing is left half done."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from support.aftermath import Traces, works
from support.client import MIB, Client, options, poured, refused, tell
from support.daemon import Daemon
from tapeds import names
from tapeds.state import locks

pytestmark = pytest.mark.system

STOPS = "the daemon is shutting down"

Story = Callable[[Client], Awaitable[None]]


@pytest.fixture
def stopped(daemon: Daemon) -> Callable[[Story], None]:
    """Tell a story in which the daemon is told to stop: it does, nothing is left, and the next one works."""

    def run(story: Story) -> None:
        tell(daemon, story)
        assert daemon.wait() == 0
        for drive in ("vt0", "vt1"):
            assert Traces(daemon, drive).all == []
        daemon.start()
        tell(daemon, lambda client: works(client, "vt0", daemon))

    return run


async def begun(client: Client, waiting: Awaitable[Any]) -> asyncio.Task[Any]:
    """The task of a call that the daemon has received."""
    task = asyncio.ensure_future(waiting)
    await asyncio.sleep(0)
    await client.of_drive("vt0", "Name")
    return task


async def news(client: Client, member: str) -> asyncio.Queue[Any]:
    """The signals ``member`` from now on."""
    heard: asyncio.Queue[Any] = asyncio.Queue()
    await client.bus.subscribe(heard.put_nowait, sender=names.BUS_NAME, member=member)
    return heard


def test_in_mid_write(daemon: Daemon, stopped: Any) -> None:
    async def story(client: Client) -> None:
        completed = await news(client, "Completed")
        job, fd = await client.begin_write("vt0")
        await poured(fd, os.urandom(5 * MIB))
        waiting = await begun(client, client.wait(job))
        daemon.signal(signal.SIGTERM)
        with refused("Cancelled", f"{job.rpartition('/')[2]} (write-file): {STOPS}"):
            await waiting
        with pytest.raises(BrokenPipeError):
            os.write(fd, b"x")
        os.close(fd)
        told = await completed.get()
        result, error, text, data = told.body
        assert (told.path, result, error) == (job, "canceled", "org.tapeds1.Error.Cancelled")
        assert STOPS in text
        assert (data["file"].value, data["complete"].value) == (2, False)
        assert 0 < data["bytes-on-tape"].value <= 5 * MIB

    stopped(story)

    async def after(client: Client) -> None:
        [cut, _] = await client.files("vt0")
        assert not cut["complete"]
        assert 0 < cut["bytes"] <= 5 * MIB

    tell(daemon, after)
    assert "was interrupted" not in daemon.log()       # it was closed at once, not by the next start


def test_in_mid_write_of_a_file_of_the_caller_that_was_detached(daemon: Daemon, stopped: Any) -> None:
    async def story(client: Client) -> None:
        source, sink = os.pipe()
        job = await client.write_from("vt0", source, detach=True, commit_on_eof=True)
        os.close(source)
        await poured(sink, os.urandom(5 * MIB))
        waiting = await begun(client, client.wait(job))
        daemon.signal(signal.SIGTERM)
        with refused("Cancelled", "write-file-from", STOPS):
            await waiting
        with pytest.raises(BrokenPipeError):
            os.write(sink, b"x")
        os.close(sink)

    stopped(story)


def test_in_mid_read(daemon: Daemon, stopped: Any) -> None:
    data = os.urandom(16 * MIB)

    async def story(client: Client) -> None:
        await client.write("vt0", data)
        await client.move("vt0", 2)
        job, fd = await client.begin_read("vt0")
        assert os.read(fd, 1000) == data[:1000]
        waiting = await begun(client, client.wait(job))
        daemon.signal(signal.SIGTERM)
        with refused("Cancelled", "read-file", STOPS):
            await waiting
        rest = b""
        while more := os.read(fd, MIB):
            rest += more
        os.close(fd)
        assert data[1000:].startswith(rest)            # what came is right, and its end is no success
        assert len(rest) < len(data) - 1000

    stopped(story)


def test_while_a_medium_is_waited_for(daemon: Daemon, stopped: Any) -> None:
    async def story(client: Client) -> None:
        resolved = await news(client, "MediaRequestResolved")
        wanted = options(label_text="NEVER01")
        job = await client.drive("vt0", "RequestMedia", "a{sv}a{sv}", wanted, options(detach=True))
        await client.until("vt0", "State", "waiting-for-media")
        waiting = await begun(client, client.wait(job))
        daemon.signal(signal.SIGTERM)
        with refused("Cancelled", "request-media", STOPS):
            await waiting
        assert (await resolved.get()).body == [names.drive_path("vt0"), job, "canceled"]

    stopped(story)


def test_with_a_lease_and_those_who_wait_for_it(daemon: Daemon, stopped: Any) -> None:
    async def story(client: Client) -> None:
        released = await news(client, "Released")
        session = await client.acquire("vt0", reason="an evening")
        assert Traces(daemon, "vt0").text == "an evening"
        others = [await client.another() for _ in range(3)]
        waiting = [asyncio.create_task(other.acquire("vt0", timeout=names.FOR_EVER)) for other in others]
        await client.until("vt0", "Waiters", 3)
        daemon.signal(signal.SIGTERM)
        for task in waiting:
            with refused("Busy", STOPS, "try again later"):
                await task
        told = await released.get()
        assert (told.path, told.body) == (session, ["shutdown"])
        assert released.empty()
        for other in others:
            await other.bus.close()

    stopped(story)


def test_with_a_lease_under_which_a_job_runs(daemon: Daemon, stopped: Any) -> None:
    async def story(client: Client) -> None:
        released, completed = await news(client, "Released"), await news(client, "Completed")
        session = await client.acquire("vt0", bind="none", ttl=60)
        job, fd = await client.begin_write("vt0", session=session)
        await poured(fd, os.urandom(5 * MIB))
        waiting = await begun(client, client.wait(job))
        daemon.signal(signal.SIGTERM)
        with refused("Cancelled", "write-file", STOPS):
            await waiting
        assert (await completed.get()).path == job
        told = await released.get()
        assert (told.path, told.body) == (session, ["shutdown"])
        os.close(fd)

    stopped(story)


def test_while_a_job_waits_for_the_lock_of_another_program(daemon: Daemon, stopped: Any) -> None:
    async def story(client: Client) -> None:
        lock = locks.try_lock(str(Traces(daemon, "vt0").lock_file))
        assert lock is not None
        with lock:
            waiting = await begun(client, client.drive("vt0", "Rewind"))
            daemon.signal(signal.SIGTERM)
            with refused("Busy", STOPS, "try again later"):
                await waiting

    stopped(story)


def test_what_comes_after_the_word_to_stop(daemon: Daemon, stopped: Any) -> None:
    """While a file is being closed, new requests are refused, questions are answered."""

    async def story(client: Client) -> None:
        job, fd = await client.begin_write("vt0")
        await poured(fd, os.urandom(5 * MIB))
        worker = Traces(daemon, "vt0").worker
        os.kill(worker, signal.SIGSTOP)
        try:
            waiting = await begun(client, client.wait(job))
            daemon.signal(signal.SIGTERM)
            while await client.of_job(job, "State") != "canceling":
                await asyncio.sleep(0.01)
            assert "stopping write-file" in await client.of_job(job, "Message")
            with refused("Busy", STOPS, "try again later"):
                await client.drive("vt1", "Rewind")
            with refused("Busy", STOPS, "try again later"):
                await client.acquire("vt1")
            assert (await client.drive("vt0", "GetStatus"))["job"] == job
        finally:
            os.kill(worker, signal.SIGCONT)
        with refused("Cancelled", "write-file", STOPS):
            await waiting
        os.close(fd)

    stopped(story)
