# SPDX-License-Identifier: LGPL-2.1-or-later
"""A client process that is killed: what was only for it ends, what was not goes on, and so do others."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

import pytest

from support.aftermath import Traces, works
from support.client import MIB, Begin, Client, Victim, options, poured, refused, tell
from support.daemon import Daemon
from tapeds import names
from tapeds.buslib import CallError

Kill = Callable[[Begin], Victim]

GIVEN = 3 * MIB
GONE = "ClientGone", "vt0"


async def released(client: Client) -> asyncio.Queue[Any]:
    """What Released tells from now on."""
    news: asyncio.Queue[Any] = asyncio.Queue()
    await client.bus.subscribe(news.put_nowait, sender=names.BUS_NAME, member="Released")
    return news


async def the_job(client: Client) -> str:
    """The job that the drive vt0 does."""
    while (job := await client.of_drive("vt0", "Job")) == "/":
        await asyncio.sleep(0.01)
    return str(job)


async def hold(client: Client) -> str:
    return await client.acquire("vt0", reason="a lease that ends with its owner")


def test_while_it_holds_a_lease(daemon: Daemon, victim: Kill) -> None:
    async def story(client: Client) -> None:
        news = await released(client)
        process = victim(hold)
        holder = f"drive vt0 is leased by uid {os.geteuid()} (pid {process.pid})"
        with refused("Locked", holder, f"pass the option session {process.made}"):
            await client.drive("vt0", "Rewind")
        process.kill()
        told = await news.get()
        assert (told.path, told.body) == (process.made, ["client-vanished"])
        with refused("org.freedesktop.DBus.Error.UnknownObject", process.made):
            await client.call(process.made, names.SESSION, "Release")
        with refused("InvalidState", process.made, "acquire the drive again"):
            await client.drive("vt0", "Rewind", "a{sv}", options(session=process.made))
        await works(client, "vt0", daemon)

    tell(daemon, story)


def test_while_it_writes_under_a_lease(daemon: Daemon, victim: Kill) -> None:
    async def begin(client: Client) -> list[str]:
        session = await hold(client)
        job, fd = await client.begin_write("vt0")
        await poured(fd, bytes(GIVEN))
        return [session, job]

    async def story(client: Client) -> None:
        news = await released(client)
        process = victim(begin)
        session, job = process.made
        waiting = asyncio.create_task(client.wait(job))
        await client.of_job(job, "State")
        process.kill()
        with refused("ClientGone", "write-file", "went away"):
            await waiting
        told = await news.get()
        assert (told.path, told.body) == (session, ["client-vanished"])
        await works(client, "vt0", daemon)
        [cut, _] = await client.files("vt0")
        assert not cut["complete"]
        assert 0 < cut["bytes"] <= GIVEN

    tell(daemon, story)


def test_while_it_reads(daemon: Daemon, victim: Kill) -> None:
    data = os.urandom(16 * MIB)

    async def begin(client: Client) -> str:
        await client.move("vt0", 2)
        job, fd = await client.begin_read("vt0")
        assert os.read(fd, 1000) == data[:1000]
        return job

    async def story(client: Client) -> None:
        await client.write("vt0", data)
        process = victim(begin)
        process.kill()
        with refused("ClientGone"):
            await client.wait(process.made)
        failed = await client.of_job(process.made, "ErrorMessage")
        assert any(word in failed for word in ("went away", "closed"))
        assert (await client.read("vt0", 2))[0] == data
        await works(client, "vt0", daemon)

    tell(daemon, story)


@pytest.mark.parametrize("detach", [False, True])
def test_while_it_writes(daemon: Daemon, victim: Kill, detach: bool) -> None:
    """Nobody else could commit the file: it ends, detached or not."""

    async def begin(client: Client) -> str:
        job, fd = await client.begin_write("vt0", detach=detach)
        await poured(fd, bytes(GIVEN))
        return job

    async def story(client: Client) -> None:
        process = victim(begin)
        process.kill()
        with refused("ClientGone", "write-file", "went away"):
            await client.wait(process.made)
        data = await client.of_job(process.made, "ResultData")
        await works(client, "vt0", daemon)
        [cut, _] = await client.files("vt0")
        assert (cut["complete"], cut["bytes"]) == (False, data["bytes-on-tape"])
        assert 0 < cut["bytes"] <= GIVEN

    tell(daemon, story)


def test_while_it_writes_detached_and_has_said_how_much(daemon: Daemon, victim: Kill) -> None:
    """The job goes on; the data are too short, and that is what it ends with."""

    async def begin(client: Client) -> str:
        job, fd = await client.begin_write("vt0", detach=True, size=2 * GIVEN)
        await poured(fd, bytes(GIVEN))
        return job

    async def story(client: Client) -> None:
        process = victim(begin)
        process.kill()
        with refused("Incomplete", f"the data ended after {GIVEN} bytes of the {2 * GIVEN} of size"):
            await client.wait(process.made)
        await works(client, "vt0", daemon)

    tell(daemon, story)


def test_after_it_has_committed_a_detached_write(daemon: Daemon, victim: Kill) -> None:
    """All that was needed from it is there: the job goes on to its end."""
    data = os.urandom(GIVEN)

    async def begin(client: Client) -> str:
        job, fd = await client.begin_write("vt0", detach=True)
        await client.commit(job, data)
        if os.fork() == 0:                         # the data come from a child, which lives on
            os.write(fd, data)
            os._exit(0)
        return job

    async def story(client: Client) -> None:
        process = victim(begin)
        process.kill()
        result = await client.wait(process.made)
        assert (result["bytes"], result["complete"]) == (len(data), True)
        assert (await client.read("vt0", 2))[0] == data
        await works(client, "vt0", daemon)

    tell(daemon, story)


@pytest.mark.parametrize("detach", [False, True])
def test_while_its_own_pipe_is_written_from(daemon: Daemon, victim: Kill, detach: bool) -> None:
    async def begin(client: Client) -> str:
        source, sink = os.pipe()
        job = await client.write_from("vt0", source, detach=detach, size=2 * GIVEN)
        os.close(source)
        await poured(sink, bytes(GIVEN))
        return job

    async def story(client: Client) -> None:
        process = victim(begin)
        process.kill()
        with pytest.raises(CallError) as caught:
            await client.wait(process.made)
        endings = {"Incomplete": f"the data ended after {GIVEN} bytes of the {2 * GIVEN} of size"}
        if not detach:                             # the bus may be faster than the pipe
            endings["ClientGone"] = "the caller went away"
        assert endings[caught.value.name.rpartition(".")[2]] in caught.value.text
        await works(client, "vt0", daemon)
        [cut, _] = await client.files("vt0")
        assert not cut["complete"]
        assert 0 < cut["bytes"] <= GIVEN

    tell(daemon, story)


@pytest.mark.system
def test_while_a_file_of_its_own_is_written_detached(daemon: Daemon, victim: Kill, tmp_path: Any) -> None:
    """A regular file needs nobody: it is written to its end."""
    data = os.urandom(64 * MIB)
    (tmp_path / "data").write_bytes(data)

    async def begin(client: Client) -> str:
        with (tmp_path / "data").open("rb") as source:
            return await client.write_from("vt0", source.fileno(), detach=True, commit_on_eof=True)

    async def story(client: Client) -> None:
        process = victim(begin)
        process.kill()
        assert (await client.wait(process.made))["bytes"] == len(data)
        assert (await client.read("vt0", 2))[0] == data
        await works(client, "vt0", daemon)

    tell(daemon, story)


@pytest.mark.parametrize("detach", [False, True])
def test_while_it_waits_for_a_medium(daemon: Daemon, victim: Kill, detach: bool) -> None:
    wanted = options(label_text="NEVER01")

    async def begin(client: Client) -> str:
        job: str = await client.drive("vt0", "RequestMedia", "a{sv}a{sv}", wanted, options(detach=detach))
        while await client.of_job(job, "State") != "waiting":
            await asyncio.sleep(0.01)
        return job

    async def story(client: Client) -> None:
        process = victim(begin)
        while "please insert media 'NEVER01'" not in Traces(daemon, "vt0").text:
            await asyncio.sleep(0.01)
        process.kill()
        if detach:
            assert await client.of_drive("vt0", "State") == "waiting-for-media"
            await client.changer("vt0", "LoadMedia", "sua{sv}", "NEVER01", 0, options(create=True))
            await client.call(process.made, names.JOB, "Cancel")
            with refused("Cancelled", "request-media", f"cancelled by uid {os.geteuid()}"):
                await client.wait(process.made)
            await client.wait(await client.changer("vt0", "LoadMedia", "sua{sv}", "TAPE-VT0", 0, {}))
        else:
            with refused("ClientGone", "request-media", "the caller went away"):
                await client.wait(process.made)
        await works(client, "vt0", daemon)

    tell(daemon, story)


def test_while_it_waits_in_the_queue(daemon: Daemon, victim: Kill) -> None:
    async def begin(client: Client) -> None:
        client.kept = asyncio.create_task(client.acquire("vt0", timeout=names.FOR_EVER))

    async def story(client: Client) -> None:
        session = await client.acquire("vt0")
        process = victim(begin)
        await client.until("vt0", "Waiters", 1)
        async with await client.another() as patient:
            next_one = asyncio.create_task(patient.acquire("vt0", timeout=names.FOR_EVER))
            await client.until("vt0", "Waiters", 2)
            process.kill()
            await client.until("vt0", "Waiters", 1)
            await client.release(session)
            session = await next_one
            assert await client.of_drive("vt0", "Session") == session
        await works(client, "vt0", daemon)

    tell(daemon, story)


def test_while_it_waits_for_a_job_of_somebody_else(daemon: Daemon, victim: Kill) -> None:
    data = os.urandom(GIVEN)

    async def story(client: Client) -> None:
        job, fd = await client.begin_write("vt0")

        async def begin(other: Client) -> None:
            other.kept = asyncio.create_task(other.wait(job))
            await other.of_job(job, "State")

        process = victim(begin)
        process.kill()
        await poured(fd, data)
        os.close(fd)
        await client.commit(job, data)
        assert (await client.wait(job))["complete"]
        await works(client, "vt0", daemon)

    tell(daemon, story)
