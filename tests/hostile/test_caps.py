# SPDX-License-Identifier: LGPL-2.1-or-later
"""As much as one user and one connection may have, and one more."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest

from support.aftermath import settled
from support.client import Client, options, refused, tell
from support.daemon import Daemon
from tapeds import names
from tapeds.buslib import Error

pytestmark = pytest.mark.system

UID = os.geteuid()
JOBS, LEASES, CALLS, REQUESTS = 16, 8, 64, 16
DRIVES = [f"vt{number}" for number in range(JOBS + 1)]
CONFIG = '[drive.{0}]\ntype = "virtual"\npath = "{1}/{0}"\n'
LIMIT = Error.LIMITS_EXCEEDED


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with more drives than one connection may use."""
    folder = tmp_path_factory.mktemp("caps")
    for name in DRIVES:
        (folder / name).mkdir()
    running = Daemon(folder, "".join(CONFIG.format(name, folder) for name in DRIVES))
    yield running
    running.stop()
    assert "Traceback" not in running.log()


def test_a_user_has_at_most_eight_leases_whatever_the_connections(daemon: Daemon) -> None:
    async def story(client: Client) -> None:
        async with await client.another() as other:
            half = LEASES // 2
            sessions = [await client.acquire(name) for name in DRIVES[:half]]
            sessions += [await other.acquire(name) for name in DRIVES[half:LEASES]]
            for who in (client, other):
                with refused(LIMIT, f"uid {UID} holds {LEASES} leases; release one first"):
                    await who.acquire(DRIVES[LEASES])
                with refused(LIMIT, "release one first"):
                    wanted = options(label_text="TAPE01")
                    await who.drive(DRIVES[LEASES], "RequestMedia", "a{sv}a{sv}", wanted, {})
            await client.release(sessions[0])
            sessions[0] = await other.acquire(DRIVES[LEASES])
            for session in sessions:
                await client.release(session)
        for name in DRIVES[: LEASES + 1]:
            await settled(client, name)

    tell(daemon, story)


def test_a_connection_has_at_most_sixteen_jobs(daemon: Daemon) -> None:
    async def story(client: Client) -> None:
        wanted = options(label_text="NEVER01")

        async def ask(who: Client, name: str) -> str:
            job: str = await who.drive(name, "RequestMedia", "a{sv}a{sv}", wanted, {}, timeout=60)
            return job

        jobs = await asyncio.gather(*(ask(client, name) for name in DRIVES[:JOBS]))
        assert await client.get(names.MANAGER_PATH, names.MANAGER, "ActiveJobs") == JOBS
        with refused(LIMIT, f"has {JOBS} jobs on this connection; wait for one or cancel one"):
            await ask(client, DRIVES[JOBS])
        assert await client.of_drive(DRIVES[JOBS], "LockHolder", "Job") == ("", "/")
        async with await client.another() as other:
            await ask(other, DRIVES[JOBS])                 # ends with its connection
        for job in jobs:
            await client.call(job, names.JOB, "Cancel")
            with refused("Cancelled", "was cancelled by uid"):
                await client.wait(job)
        for name in DRIVES:
            await settled(client, name)

    tell(daemon, story)


def test_a_connection_has_at_most_so_many_calls_that_wait(daemon: Daemon) -> None:
    async def story(client: Client) -> None:
        session = await client.acquire("vt0")
        async with await client.another() as other:
            asking = [asyncio.create_task(other.acquire("vt0", timeout=60)) for _ in range(CALLS + 10)]
            await client.until("vt0", "Waiters", REQUESTS)
            refusals = [task.exception() for task in asking if task.done()]
            while len(refusals) < len(asking) - REQUESTS:
                await asyncio.sleep(0.01)
                refusals = [task.exception() for task in asking if task.done()]
            assert {getattr(refusal, "name", None) for refusal in refusals} == {LIMIT}
            texts = {str(refusal).partition(";")[2].strip() for refusal in refusals}
            assert texts <= {"wait for one", "await some of them"}
            await other.of_drive("vt0", "State")           # questions are answered all the same
            waiting = [task for task in asking if not task.done()]
        for task in waiting:
            with refused(Error.DISCONNECTED):
                await task
        await client.until("vt0", "Waiters", 0)
        await client.release(session)
        await settled(client, "vt0")

    tell(daemon, story)
