# SPDX-License-Identifier: LGPL-2.1-or-later
"""Leases that belong to no connection: they outlive their caller, and end with their time."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import Any

import pytest

from support.aftermath import Traces, works
from support.client import MIB, Begin, Client, Victim, options, poured, refused, tell
from support.daemon import Daemon
from tapeds import names

UID = os.geteuid()


async def released(client: Client) -> asyncio.Queue[Any]:
    """What Released tells from now on."""
    news: asyncio.Queue[Any] = asyncio.Queue()
    await client.bus.subscribe(news.put_nowait, sender=names.BUS_NAME, member="Released")
    return news


@pytest.mark.system
def test_one_outlives_its_caller_and_ends_with_its_time(
    daemon: Daemon, victim: Callable[[Begin], Victim]
) -> None:
    async def begin(client: Client) -> str:
        return await client.acquire("vt0", bind="none", ttl=2, reason="a script")

    async def story(client: Client) -> None:
        news = await released(client)
        process = victim(begin)
        process.kill()
        session = process.made
        with refused("Locked", f"leased by uid {UID}", f"pass the option session {session}"):
            await client.drive("vt0", "Rewind")
        await client.wait(await client.drive("vt0", "Rewind", "a{sv}", options(session=session)))
        assert Traces(daemon, "vt0").text == "a script"
        expires = await client.get(session, names.SESSION, "Expires")
        told = await news.get()
        assert (told.path, told.body) == (session, ["expired"])
        assert time.time() * 1_000_000 >= expires
        with refused("InvalidState", session, "it has ended; acquire the drive again"):
            await client.drive("vt0", "Rewind", "a{sv}", options(session=session))
        await works(client, "vt0", daemon)

    tell(daemon, story)


@pytest.mark.system
def test_one_expires_in_mid_write(daemon: Daemon) -> None:
    async def story(client: Client) -> None:
        news = await released(client)
        session = await client.acquire("vt0", bind="none", ttl=2)
        job, fd = await client.begin_write("vt0", session=session)
        await poured(fd, os.urandom(5 * MIB))
        with refused("Cancelled", "write-file", "the lease has expired"):
            await client.wait(job)
        os.close(fd)
        told = await news.get()
        assert (told.path, told.body) == (session, ["expired"])
        await works(client, "vt0", daemon)
        [cut, _] = await client.files("vt0")
        assert not cut["complete"]
        assert 0 < cut["bytes"] <= 5 * MIB

    tell(daemon, story)


def test_one_expires_and_the_next_in_line_has_the_drive(daemon: Daemon) -> None:
    async def story(client: Client) -> None:
        news = await released(client)
        first = await client.acquire("vt0", bind="none", ttl=1)
        async with await client.another() as other:
            second = await other.acquire("vt0", timeout=names.FOR_EVER)
            assert (await news.get()).path == first
            assert await client.of_drive("vt0", "Session") == second
            await other.release(second)
        await works(client, "vt0", daemon)

    tell(daemon, story)


@pytest.mark.system
def test_one_is_renewed_by_its_user_and_lives_on(daemon: Daemon) -> None:
    async def story(client: Client) -> None:
        news = await released(client)
        session = await client.acquire("vt0", bind="none", ttl=1)
        async with await client.another() as other:
            reply = await other.call(session, names.SESSION, "Renew", "ta{sv}", 600, {})
        assert reply.body[0] == await client.get(session, names.SESSION, "Expires")
        await asyncio.sleep(1.2)
        assert news.empty()
        await client.wait(await client.drive("vt0", "Rewind", "a{sv}", options(session=session)))
        with refused("InvalidOption", "must expire; give a ttl"):
            await client.call(session, names.SESSION, "Renew", "ta{sv}", 0, {})
        await client.release(session)
        assert (await news.get()).body == ["released"]
        with refused("org.freedesktop.DBus.Error.UnknownObject", session):
            await client.call(session, names.SESSION, "Renew", "ta{sv}", 600, {})
        await works(client, "vt0", daemon)

    tell(daemon, story)


def test_one_without_a_time_is_refused(daemon: Daemon) -> None:
    async def story(client: Client) -> None:
        with refused("InvalidOption", "bind=none needs a ttl in seconds"):
            await client.acquire("vt0", bind="none")
        await works(client, "vt0", daemon)

    tell(daemon, story)
