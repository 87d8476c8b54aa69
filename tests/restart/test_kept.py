# SPDX-License-Identifier: LGPL-2.1-or-later
"""Leases that survive a restart of the daemon."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from support.aftermath import Traces, settled, works
from support.client import MIB, Client, options, poured, refused, tell
from support.daemon import Daemon
from support.systemd import ServiceManager
from tapeds import names
from tapeds.buslib import unwrap

RESTARTS = "the daemon is restarting"

pytestmark = pytest.mark.system


async def heard(client: Client, member: str = "Released") -> asyncio.Queue[Any]:
    """What the signals ``member`` tell from now on."""
    news: asyncio.Queue[Any] = asyncio.Queue()
    await client.bus.subscribe(news.put_nowait, sender=names.BUS_NAME, member=member)
    return news


async def properties(client: Client, session: str) -> dict[str, Any]:
    reply = await client.call(
        session, "org.freedesktop.DBus.Properties", "GetAll", "s", names.SESSION
    )
    told: dict[str, Any] = unwrap(reply.body[0])
    return told


def nothing_is_left(daemon: Daemon, manager: ServiceManager) -> None:
    """The store is empty, and no lease is on record."""
    assert manager.store == {}
    assert list(daemon.runtime_dir.glob("sessions/*")) == []


def test_a_lease_goes_on_and_its_locks_are_never_free(
    daemon: Daemon, manager: ServiceManager, probe: Callable[..., Any]
) -> None:
    """One of a connection that stays, one of nobody but its user; each with its number and its text."""
    data = os.urandom(3 * MIB)

    async def story(client: Client) -> None:
        released = await heard(client)
        bound = await client.acquire("vt0", reason="an evening", ttl=5000)
        free = await client.acquire("vt1", bind="none", ttl=600, reason="a script")
        text = "halfway", {}
        await client.call(free, names.SESSION, "SetStatusText", "sa{sv}", *text)
        before = [await properties(client, session) for session in (bound, free)]
        await client.write("vt0", data)
        probers = [*probe("vt0"), *probe("vt1")]
        assert len(probers) == 4

        await asyncio.to_thread(manager.stop, daemon, "restart")
        assert [Traces(daemon, drive).text for drive in ("vt0", "vt1")] == ["an evening", "halfway"]
        assert sorted(manager.store) == ["session-1-0", "session-1-1", "session-2-0", "session-2-1"]
        assert not Traces(daemon, "vt0")._marker.exists()
        await asyncio.to_thread(manager.start, daemon)

        assert [await properties(client, session) for session in (bound, free)] == before
        assert await client.of_drive("vt0", "Session", "LockHolder", "PositionKnown") == (
            bound, "session", False,
        )  # fmt: skip
        assert await client.of_drive("vt1", "Session", "StatusText") == (free, "halfway")
        nothing_is_left(daemon, manager)
        async with await client.another() as other:
            holder = f"drive vt0 is leased by uid {os.geteuid()} (pid {os.getpid()})"
            with refused("Locked", holder, f"pass the option session {bound}"):
                await other.drive("vt0", "Rewind")
            with refused("Locked", f"drive vt1 is leased by uid {os.geteuid()}", "wait until it is released"):
                await other.acquire("vt1", timeout=0)
        assert (await client.read("vt0", 2))[0] == data
        assert (await client.write("vt0", b"more"))["file"] == 3
        assert (await client.write("vt1", b"more", session=free))["file"] == 2

        assert all(tried > 100 and got == 0 for tried, got in (each.result() for each in probers))
        assert released.empty()
        await client.release(bound)
        await client.release(free)
        assert [(await released.get()).body for _ in range(2)] == [["released"], ["released"]]
        await works(client, "vt0", daemon)

    tell(daemon, story)
    assert manager.asked == [manager.asked[0]]


def test_the_position_is_not_known_until_it_is_located(daemon: Daemon, manager: ServiceManager) -> None:
    data = os.urandom(MIB)

    async def story(client: Client) -> None:
        session = await client.acquire("vt0")
        await client.write("vt0", data)
        await client.move("vt0", 2)
        assert await client.of_drive("vt0", "PositionKnown", "FileNumber") == (True, 2)
        await asyncio.to_thread(manager.restart, daemon)
        job, fd = await client.begin_read("vt0")
        os.close(fd)
        with refused("PositionLost", "drive vt0: the position is not proved; rewind or move to a file first"):
            await client.wait(job)
        assert await client.of_drive("vt0", "PositionKnown") is False
        assert (await client.read("vt0", 2))[0] == data
        assert await client.of_drive("vt0", "PositionKnown") is True
        await client.release(session)
        await works(client, "vt0", daemon)

    tell(daemon, story)


def test_a_write_that_runs_ends_and_its_lease_does_not(daemon: Daemon, manager: ServiceManager) -> None:
    async def story(client: Client) -> None:
        released, completed = await heard(client), await heard(client, "Completed")
        session = await client.acquire("vt0")
        job, fd = await client.begin_write("vt0")
        await poured(fd, os.urandom(5 * MIB))
        async with await client.another() as other:
            queue = asyncio.create_task(other.acquire("vt0", timeout=names.FOR_EVER))
            await client.until("vt0", "Waiters", 1)
            waiting = asyncio.create_task(client.wait(job))
            await client.of_job(job, "State")
            await asyncio.to_thread(manager.stop, daemon, "restart")
            with refused("Cancelled", f"job {job.rpartition('/')[2]} (write-file): {RESTARTS}"):
                await waiting
            with refused("Busy", f"{RESTARTS}; try again in a moment"):
                await queue
        with pytest.raises(BrokenPipeError):
            os.write(fd, b"x")
        os.close(fd)
        told = await completed.get()
        result, error, text, _ = told.body
        assert (told.path, result, error) == (job, "canceled", "org.tapeds1.Error.Cancelled")
        assert RESTARTS in text
        await asyncio.to_thread(manager.start, daemon)
        assert await client.of_drive("vt0", "Session") == session
        [cut] = await client.files("vt0")
        assert not cut["complete"]
        assert 0 < cut["bytes"] <= 5 * MIB
        assert (await client.write("vt0", b"again"))["file"] == 3
        assert released.empty()
        await client.release(session)
        await works(client, "vt0", daemon)
        assert "was interrupted" not in daemon.log()    # it was closed at once, not by the next start

    tell(daemon, story)


def test_a_number_is_never_given_twice(daemon: Daemon, manager: ServiceManager) -> None:
    async def story(client: Client) -> None:
        kept = await client.acquire("vt0")
        ended = await client.acquire("vt1")
        await client.release(ended)
        assert (kept, ended) == (names.session_path(1), names.session_path(2))
        await asyncio.to_thread(manager.restart, daemon)
        assert await client.acquire("vt1") == names.session_path(3)
        with refused("InvalidState", ended, "no lease on drive vt1, or it has ended"):
            await client.drive("vt1", "Rewind", "a{sv}", options(session=ended))
        daemon.kill()
        await asyncio.to_thread(manager.stop_post, daemon)
        await asyncio.to_thread(manager.start, daemon)
        assert int((await client.acquire("vt1")).rpartition("/")[2]) > 3

    tell(daemon, story)


def test_it_goes_on_through_several_restarts_and_its_time_runs(
    daemon: Daemon, manager: ServiceManager
) -> None:
    """Also when nobody used it in between; and it still ends by its time."""

    async def story(client: Client) -> None:
        released = await heard(client)
        session = await client.acquire("vt0", bind="none", ttl=600)
        await client.wait(await client.drive("vt0", "ReadLabel", "a{sv}", options(session=session)))
        for _ in range(2):
            await asyncio.to_thread(manager.restart, daemon)
        await asyncio.to_thread(manager.stop, daemon, "restart")
        kept = json.loads((daemon.runtime_dir / "sessions" / "1.json").read_text())
        assert (kept["label-text"], kept["label-known"]) == ("TAPE-VT0", True)
        assert kept["media-uuid"]
        await asyncio.to_thread(manager.start, daemon)
        await client.call(session, names.SESSION, "Renew", "ta{sv}", 1, {})
        told = await released.get()
        assert (told.path, told.body) == (session, ["expired"])
        await settled(client, "vt0")
        await works(client, "vt0", daemon)

    tell(daemon, story)


def test_a_lock_that_does_not_come_back_is_taken_anew(daemon: Daemon, manager: ServiceManager) -> None:
    async def story(client: Client) -> None:
        session = await client.acquire("vt0")
        await asyncio.to_thread(manager.stop, daemon, "restart")
        manager.drop()
        await asyncio.to_thread(manager.start, daemon)
        assert await client.of_drive("vt0", "Session", "LockHolder") == (session, "session")
        assert "did not come back from the restart and was taken anew" in daemon.log()
        assert Traces(daemon, "vt0").all != []
        await client.release(session)
        await works(client, "vt0", daemon)

    tell(daemon, story)


def test_what_is_released_in_between_is_not_what_a_lease_has(
    daemon: Daemon, manager: ServiceManager
) -> None:
    """The unit runs --release-all after the end of every run; a marker may have stayed."""

    async def story(client: Client) -> None:
        session = await client.acquire("vt0")
        other = await client.acquire("vt1")
        markers = {name: Traces(daemon, name)._marker for name in ("vt0", "vt1")}
        texts = {name: marker.read_text() for name, marker in markers.items()}
        await client.release(other)
        await asyncio.to_thread(manager.stop, daemon, "restart")
        record = daemon.runtime_dir / "sessions" / "1.json"
        before = record.read_text()
        for name, marker in markers.items():
            marker.write_text(texts[name])
        await asyncio.to_thread(manager.stop_post, daemon)
        assert record.read_text() == before
        assert [name for name, marker in markers.items() if marker.exists()] == ["vt0"]
        await asyncio.to_thread(manager.start, daemon)
        assert not markers["vt0"].exists()                # the next run has released it itself
        assert await client.of_drive("vt0", "Session") == session
        job, fd = await client.begin_read("vt0")
        os.close(fd)
        with refused("PositionLost"):
            await client.wait(job)
        await client.release(session)
        await works(client, "vt0", daemon)

    tell(daemon, story)
