# SPDX-License-Identifier: LGPL-2.1-or-later
"""A storm of signals at the daemon while both drives are busy."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from support.aftermath import Traces, works
from support.client import MIB, Client, drain, pour, poured, refused, tell
from support.daemon import Daemon
from tapeds import names

DATA = os.urandom(64 * MIB)


@pytest.mark.system
def test_reloads_disturb_neither_a_write_nor_a_read(daemon: Daemon) -> None:
    async def story(client: Client) -> None:
        await client.write("vt1", DATA)
        await client.move("vt1", 2)
        writing, sink = await client.begin_write("vt0")
        reading, source = await client.begin_read("vt1")
        await poured(sink, DATA[: len(DATA) // 2])
        got = asyncio.create_task(asyncio.to_thread(drain, source))
        rest = pour(sink, DATA[len(DATA) // 2 :])
        for _ in range(20):
            daemon.signal(signal.SIGHUP)
            await asyncio.sleep(0.01)
        await client.commit(writing, DATA)
        assert (await client.wait(writing))["bytes"] == len(DATA)
        assert await got == DATA
        assert (await client.wait(reading))["complete"]
        rest.join()
        assert (await client.read("vt0", 2))[0] == DATA
        generation = await client.get(names.MANAGER_PATH, names.MANAGER, "ConfigGeneration")
        assert 1 < generation <= 21                    # those that come during one are one
        assert await client.get(names.MANAGER_PATH, names.MANAGER, "ConfigErrors") == []
        for drive in ("vt0", "vt1"):
            await works(client, drive, daemon)

    tell(daemon, story)


@pytest.mark.system
def test_a_worker_hears_no_signal_of_the_terminal(daemon: Daemon) -> None:
    async def story(client: Client) -> None:
        job, fd = await client.begin_write("vt0")
        await poured(fd, DATA[:MIB])
        worker = Traces(daemon, "vt0").worker
        for number in (signal.SIGHUP, signal.SIGINT) * 20:
            os.kill(worker, number)
        await poured(fd, DATA[MIB:])
        os.close(fd)
        await client.commit(job, DATA)
        assert (await client.wait(job))["bytes"] == len(DATA)
        assert (await client.read("vt0", 2))[0] == DATA
        await works(client, "vt0", daemon)

    tell(daemon, story)


def test_sigterm_at_a_worker_ends_its_write_in_order(daemon: Daemon) -> None:
    """The file is closed as incomplete by the worker itself, and the drive goes on with another one."""

    async def story(client: Client) -> None:
        job, fd = await client.begin_write("vt0")
        await poured(fd, DATA[: 5 * MIB])
        os.kill(Traces(daemon, "vt0").worker, signal.SIGTERM)
        with refused("Cancelled", "the worker was told to stop by SIGTERM; try again"):
            await client.wait(job)
        os.close(fd)
        await works(client, "vt0", daemon)
        [cut, _] = await client.files("vt0")
        assert not cut["complete"]

    tell(daemon, story)
