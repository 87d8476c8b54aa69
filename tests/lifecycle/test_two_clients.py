# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two clients at once: who is told what, and who may do what with the other's things."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

from support import people
from support.aftermath import works
from support.client import MIB, Client, options, poured, refused, tell
from support.daemon import Daemon
from tapeds import names
from tapeds.buslib import Bus

UID, PID = os.geteuid(), os.getpid()


def test_two_who_acquire_have_the_drive_one_after_the_other(daemon: Daemon) -> None:
    async def story(client: Client) -> None:
        order: list[str] = []

        async def one(name: str) -> None:
            async with await client.another() as other:
                session = await other.acquire("vt0", timeout=names.FOR_EVER)
                order.append(name)
                assert await other.of_drive("vt0", "Session") == session
                await other.wait(await other.drive("vt0", "Rewind"))
                await other.release(session)

        session = await client.acquire("vt0")
        waiting = []
        for number, name in enumerate(("first", "second", "third"), 1):
            waiting.append(asyncio.create_task(one(name)))
            await client.until("vt0", "Waiters", number)
        with refused("Locked", f"drive vt0 is leased by uid {UID} (pid {PID})", "wait until it is released"):
            async with await client.another() as hasty:
                await hasty.acquire("vt0", timeout=0)
        await client.release(session)
        await asyncio.gather(*waiting)
        assert order == ["first", "second", "third"]
        await works(client, "vt0", daemon)

    tell(daemon, story)


def test_a_second_job_is_told_which_one_the_drive_is_busy_with(daemon: Daemon) -> None:
    async def story(client: Client) -> None:
        job, fd = await client.begin_write("vt0")
        async with await client.another() as other:
            busy = f"drive vt0 is busy with write-file for uid {UID} (pid {PID})"
            for who in (client, other):
                with refused("Busy", busy, "wait until it is done"):
                    await who.drive("vt0", "Rewind")
                with refused("Busy", "drive vt0 is busy with", "wait until"):
                    await who.drive("vt0", "CurrentFileNumber")
            assert (await other.drive("vt0", "GetStatus"))["job"] == job
            await client.wait(await other.drive("vt1", "Rewind"))            # the other drive is nobody's
        os.close(fd)
        await client.commit(job, b"")
        await client.wait(job)
        await works(client, "vt0", daemon)

    tell(daemon, story)


def test_a_second_job_under_a_lease_is_told_which_one_runs(daemon: Daemon) -> None:
    async def story(client: Client) -> None:
        session = await client.acquire("vt0")
        job, fd = await client.begin_write("vt0")
        number = job.rpartition("/")[2]
        with refused("Busy", f"drive vt0 is busy with job {number} (write-file)", "wait for its end"):
            await client.drive("vt0", "Rewind")
        os.close(fd)
        await client.commit(job, b"")
        await client.wait(job)
        await client.release(session)
        await works(client, "vt0", daemon)

    tell(daemon, story)


def test_only_its_caller_commits_aborts_and_ends_a_write(daemon: Daemon) -> None:
    data = os.urandom(MIB)

    async def story(client: Client) -> None:
        job, fd = await client.begin_write("vt0")
        await poured(fd, data)
        os.close(fd)
        async with await client.another() as stranger:
            with refused("NotOwner", f"Commit is for the owner of {job} only, not for uid {UID}"):
                await stranger.commit(job, data)
            with refused("NotOwner", f"Abort is for the owner of {job} only"):
                await stranger.call(job, names.TRANSFER, "Abort")
        assert await client.of_job(job, "State") == "running"
        await client.commit(job, data)
        result = await client.wait(job)
        assert (result["complete"], result["bytes"]) == (True, len(data))
        with refused("JobFinished", "has ended already"):
            await client.commit(job, data)
        await works(client, "vt0", daemon)

    tell(daemon, story)


def test_a_lease_that_is_passed_to_a_child_serves_the_child(daemon: Daemon) -> None:
    """A process of its own with a connection of its own, of the same user."""
    data = os.urandom(3 * MIB)

    async def story(client: Client) -> None:
        session = await client.acquire("vt0", reason="the parent's")

        async def child(bus: Bus) -> list[Any]:
            async with Client(bus, daemon.address) as own:
                said = []
                for given in ({}, {"session": "/org/tapeds1/sessions/77"}):
                    try:
                        await own.drive("vt0", "Rewind", "a{sv}", options(**given))
                    except people.CallError as exc:
                        said.append([exc.name, exc.text])
                result = await own.write("vt0", data, session=session)
                back, _ = await own.read("vt0", result["file"], session=session)
                return [*said, result["complete"], back == data]

        foreign, wrong, complete, same = await asyncio.to_thread(
            people.as_, people.Person("child", UID, os.getegid()), daemon.address, child
        )
        assert foreign == [
            "org.tapeds1.Error.Locked",
            f"drive vt0 is leased by uid {UID} (pid {PID}); pass the option session {session}",
        ]
        assert wrong == [
            "org.tapeds1.Error.InvalidState",
            "/org/tapeds1/sessions/77 is no lease on drive vt0, or it has ended; acquire the drive again",
        ]
        assert (complete, same) == (True, True)
        assert await client.of_drive("vt0", "Session") == session        # the child's end was not its end
        await client.release(session)
        await works(client, "vt0", daemon)

    tell(daemon, story)


def test_a_child_that_dies_under_the_lease_ends_its_own_job_only(daemon: Daemon, victim: Any) -> None:
    async def story(client: Client) -> None:
        session = await client.acquire("vt0")

        async def begin(child: Client) -> str:
            job, fd = await child.begin_write("vt0", session=session)
            await poured(fd, bytes(3 * MIB))
            return job

        child = victim(begin)
        child.kill()
        with refused("ClientGone", "write-file", "went away"):
            await client.wait(child.made)
        assert await client.of_drive("vt0", "Session") == session
        result = await client.write("vt0", b"the parent goes on", session=session)
        assert (result["file"], result["complete"]) == (3, True)
        await client.release(session)
        await works(client, "vt0", daemon)

    tell(daemon, story)


def test_a_client_that_is_stopped_and_not_dead_is_cancelled_by_another(daemon: Daemon, victim: Any) -> None:
    async def begin(client: Client) -> str:
        job, fd = await client.begin_write("vt0")
        await poured(fd, bytes(3 * MIB))
        return job

    async def story(client: Client) -> None:
        process = victim(begin)
        os.kill(process.pid, signal.SIGSTOP)
        with refused("Busy", f"busy with write-file for uid {UID} (pid {process.pid}); wait until"):
            await client.drive("vt0", "Rewind")
        await client.call(process.made, names.JOB, "Cancel")
        with refused("Cancelled", "(write-file) was cancelled by uid"):
            await client.wait(process.made)
        with refused("JobFinished", process.made.rpartition("/")[2], "has ended already"):
            await client.call(process.made, names.JOB, "Cancel")
        await works(client, "vt0", daemon)
        [cut, _] = await client.files("vt0")
        assert not cut["complete"]

    tell(daemon, story)
