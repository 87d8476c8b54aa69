# SPDX-License-Identifier: LGPL-2.1-or-later
"""Leases that do not survive: the daemon is not restarted but stopped or killed, or what they had is gone."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from support.aftermath import Traces, settled, works
from support.client import Begin, Client, Victim, refused, tell
from support.daemon import Daemon
from support.systemd import ServiceManager
from tapeds import names
from tapeds.state import locks

SECTION = '[drive.{1}]\ntype = "virtual"\npath = "{0}"\nmax-size = "1 GiB"\n'

pytestmark = pytest.mark.system


async def released(client: Client) -> asyncio.Queue[Any]:
    """What Released tells from now on."""
    news: asyncio.Queue[Any] = asyncio.Queue()
    await client.bus.subscribe(news.put_nowait, sender=names.BUS_NAME, member="Released")
    return news


def nothing_was_kept(daemon: Daemon, manager: ServiceManager) -> None:
    manager.settle()
    assert manager.store == {}
    assert not any(message.startswith("FDSTORE=1") for message in manager.messages)
    assert list(daemon.runtime_dir.glob("sessions/*")) == []
    assert Traces(daemon, "vt0").all == []


# --- no restart ---------------------------------------------------------------------------------


async def ends_with_the_daemon(client: Client, daemon: Daemon) -> None:
    news = await released(client)
    session = await client.acquire("vt0", bind="none", ttl=600)
    daemon.signal(signal.SIGTERM)
    told = await news.get()
    assert (told.path, told.body) == (session, ["shutdown"])
    assert await asyncio.to_thread(daemon.wait) == 0


@pytest.mark.parametrize("job", ["stop", "", "start", "hang"])
def test_a_stop_of_another_kind(daemon: Daemon, manager: ServiceManager, job: str) -> None:
    manager.job = job
    tell(daemon, lambda client: ends_with_the_daemon(client, daemon))
    nothing_was_kept(daemon, manager)
    assert ("it has not answered in 2 s" in daemon.log()) == (job == "hang")


def test_a_stop_where_nobody_knows_of_restarts(alone: Daemon, manager: ServiceManager) -> None:
    tell(alone, lambda client: ends_with_the_daemon(client, alone))
    nothing_was_kept(alone, manager)
    assert "INFO systemd does not say whether this is a restart: " in alone.log()


def test_a_daemon_that_is_killed_after_a_restart(daemon: Daemon, manager: ServiceManager) -> None:
    """Also when the store has not heard that it may forget: no lease comes back, no lock stays."""

    async def story(client: Client) -> None:
        session = await client.acquire("vt0", bind="none", ttl=600)
        manager.deaf = True
        await asyncio.to_thread(manager.restart, daemon)
        assert await client.of_drive("vt0", "Session") == session
        assert sorted(manager.store) == ["session-1-0", "session-1-1"]
        daemon.kill()
        await asyncio.to_thread(manager.stop_post, daemon)
        manager.deaf = False
        await asyncio.to_thread(manager.start, daemon)
        assert manager.store == {}
        assert await client.of_drive("vt0", "Session", "LockHolder") == ("/", "")
        with refused("org.freedesktop.DBus.Error.UnknownObject", session):
            await client.release(session)
        await works(client, "vt0", daemon)

    tell(daemon, story)


def test_what_else_is_in_the_store_is_closed(daemon: Daemon, manager: ServiceManager) -> None:
    assert daemon.terminate() == 0
    lock = locks.try_lock(str(Traces(daemon, "vt0").lock_file))
    assert lock is not None
    manager.store = {"session-9-0": [os.dup(lock.fileno())], "stored": [os.open("/dev/null", os.O_RDONLY)]}
    lock.release()
    assert Traces(daemon, "vt0").all != []
    manager.start(daemon)
    assert manager.store == {}
    assert Traces(daemon, "vt0").all == []
    tell(daemon, lambda client: works(client, "vt0", daemon))


# --- something has happened in between ----------------------------------------------------------


def restarted(
    daemon: Daemon,
    manager: ServiceManager,
    meanwhile: Callable[[], None],
    then: Callable[[Client, str], Awaitable[None]],
) -> None:
    """A lease on vt0 of nobody but its user, and a restart in which ``meanwhile`` happens."""

    async def story(client: Client) -> None:
        session = await client.acquire("vt0", bind="none", ttl=600)
        await asyncio.to_thread(manager.stop, daemon, "restart")
        meanwhile()
        await then(client, session)

    tell(daemon, story)


async def ends(client: Client, daemon: Daemon, manager: ServiceManager, session: str, cause: str) -> None:
    """After the start the end of the lease is told, and its drive is free."""
    news = await released(client)
    await asyncio.to_thread(manager.start, daemon)
    told = await news.get()
    assert (told.path, told.body) == (session, [cause])
    with refused("org.freedesktop.DBus.Error.UnknownObject", session):
        await client.release(session)
    assert manager.store == {}
    assert list(daemon.runtime_dir.glob("sessions/*")) == []


def test_its_time_has_run_out(daemon: Daemon, manager: ServiceManager) -> None:
    def meanwhile() -> None:
        record = daemon.runtime_dir / "sessions" / "1.json"
        record.write_text(json.dumps({**json.loads(record.read_text()), "expires": 1}))

    async def then(client: Client, session: str) -> None:
        await ends(client, daemon, manager, session, "expired")
        why = "on drive vt0 has not come through the restart: its time has run out"
        assert f"lease 1 of uid {os.geteuid()} (pid {os.getpid()}) {why}" in daemon.log()
        await works(client, "vt0", daemon)

    restarted(daemon, manager, meanwhile, then)


def test_its_drive_is_not_configured_any_more(daemon: Daemon, manager: ServiceManager) -> None:
    own = daemon.folder / "vt1"

    async def then(client: Client, session: str) -> None:
        await ends(client, daemon, manager, session, "device-gone")
        assert "has not come through the restart: the drive is not configured any more" in daemon.log()
        await works(client, "vt1", daemon)

    restarted(daemon, manager, lambda: rewrite(daemon, SECTION.format(own, "vt1")), then)


def test_its_drive_is_another_one(daemon: Daemon, manager: ServiceManager) -> None:
    path = daemon.folder / "elsewhere"

    def meanwhile() -> None:
        path.mkdir()
        rewrite(daemon, SECTION.format(path, "vt0"))

    async def then(client: Client, session: str) -> None:
        await ends(client, daemon, manager, session, "device-gone")
        assert f"the drive is {path} now and was {daemon.folder}/vt0" in daemon.log()
        assert await client.of_drive("vt0", "Session") == "/"

    restarted(daemon, manager, meanwhile, then)


def rewrite(daemon: Daemon, text: str) -> None:
    daemon.config_file.write_text(text)


def test_another_program_has_its_lock(daemon: Daemon, manager: ServiceManager) -> None:
    """The store has lost it, and somebody was faster."""
    path = Traces(daemon, "vt0").lock_file
    taken: list[locks.Lock] = []

    def meanwhile() -> None:
        manager.drop("session-1-0")
        taken.append(locks.try_lock(str(path)))

    async def then(client: Client, session: str) -> None:
        await ends(client, daemon, manager, session, "lock-lost")
        assert f"its lock did not come back, and another program has taken {path}" in daemon.log()
        assert await client.of_drive("vt0", "Session", "LockHolder") == ("/", "external")
        taken[0].release()
        await client.wait(await client.drive("vt0", "Rewind"))     # the text was not ours to empty
        await works(client, "vt0", daemon)

    restarted(daemon, manager, meanwhile, then)


def test_its_record_is_damaged(daemon: Daemon, manager: ServiceManager) -> None:
    async def then(client: Client, session: str) -> None:
        await asyncio.to_thread(manager.start, daemon)
        assert "a lease from before the restart is lost: " in daemon.log()
        assert manager.store == {}
        await settled(client, "vt0")
        await works(client, "vt0", daemon)

    restarted(daemon, manager, lambda: damage(daemon.runtime_dir / "sessions" / "1.json"), then)


def damage(record: Path) -> None:
    record.write_text("{")


def test_its_owner_is_gone(
    daemon: Daemon, manager: ServiceManager, victim: Callable[[Begin], Victim]
) -> None:
    async def story(client: Client) -> None:
        process = victim(lambda other: other.acquire("vt0"))
        await asyncio.to_thread(manager.stop, daemon, "restart")
        process.kill()
        await ends(client, daemon, manager, process.made, "client-vanished")
        assert "has not come through the restart: its owner has left the bus" in daemon.log()
        await works(client, "vt0", daemon)

    tell(daemon, story)


def test_its_owner_goes_after_the_restart(
    daemon: Daemon, manager: ServiceManager, victim: Callable[[Begin], Victim]
) -> None:
    async def story(client: Client) -> None:
        news = await released(client)
        process = victim(lambda other: other.acquire("vt0"))
        await asyncio.to_thread(manager.restart, daemon)
        assert await client.of_drive("vt0", "Session") == process.made
        process.kill()
        told = await news.get()
        assert (told.path, told.body) == (process.made, ["client-vanished"])
        await settled(client, "vt0")
        await works(client, "vt0", daemon)

    tell(daemon, story)
