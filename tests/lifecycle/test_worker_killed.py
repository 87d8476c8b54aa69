# SPDX-License-Identifier: LGPL-2.1-or-later
"""A worker that dies takes its own job with it, and nothing else."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal

import pytest

from support.aftermath import Traces, works
from support.client import MIB, Client, drain, pour, poured, refused, tell
from support.daemon import Daemon

DATA = 64 * MIB


@pytest.mark.system
def test_a_worker_killed_in_mid_write_fails_its_own_job_only(daemon: Daemon) -> None:
    lost, kept = os.urandom(DATA), os.urandom(DATA)

    async def story(client: Client) -> None:
        traces = Traces(daemon, "vt0")
        first, first_fd = await client.begin_write("vt0")
        second, second_fd = await client.begin_write("vt1")
        await asyncio.gather(
            poured(first_fd, lost[: DATA // 2]), poured(second_fd, kept[: DATA // 2])
        )
        os.kill(traces.worker, signal.SIGKILL)
        rest = pour(second_fd, kept[DATA // 2 :])
        with refused("DeviceFailed", "the worker of vt0 was killed by signal 9; try again"):
            await client.wait(first)
        with pytest.raises(BrokenPipeError):
            os.write(first_fd, bytes(MIB))
        os.close(first_fd)

        await works(client, "vt0", daemon)                       # at once: the other still writes
        assert await client.of_job(second, "State") == "running"
        await client.commit(second, kept)
        result = await client.wait(second)
        rest.join()
        assert result["sha256"] == hashlib.sha256(kept).digest()
        back, told = await client.read("vt1", 2)
        assert hashlib.sha256(back).digest() == told["sha256"] == hashlib.sha256(kept).digest()
        [cut, _] = await client.files("vt0")
        assert (cut["number"], cut["complete"]) == (2, False)
        assert DATA // 2 - 2 * MIB <= cut["bytes"] <= DATA // 2

    tell(daemon, story)


def test_a_worker_killed_in_mid_read_fails_the_read_and_the_data_are_no_success(daemon: Daemon) -> None:
    data = os.urandom(16 * MIB)

    async def story(client: Client) -> None:
        await client.write("vt0", data)
        await client.move("vt0", 2)
        job, fd = await client.begin_read("vt0")
        begin = os.read(fd, MIB)
        os.kill(Traces(daemon, "vt0").worker, signal.SIGKILL)
        rest = await asyncio.to_thread(drain, fd)
        with refused("DeviceFailed", "the worker of vt0 was killed by signal 9; try again"):
            await client.wait(job)
        assert data.startswith(begin + rest)
        assert len(begin + rest) < len(data)
        assert (await client.read("vt0", 2))[0] == data
        await works(client, "vt0", daemon)

    tell(daemon, story)


def test_a_lease_outlives_its_worker_and_the_position_is_to_be_proved_again(daemon: Daemon) -> None:
    async def story(client: Client) -> None:
        session = await client.acquire("vt0")
        await client.move("vt0", 1)
        assert await client.of_drive("vt0", "PositionKnown", "FileNumber") == (True, 1)
        os.kill(Traces(daemon, "vt0").worker, signal.SIGKILL)
        await client.until("vt0", "PositionKnown", False)
        assert await client.of_drive("vt0", "Session", "State") == (session, "idle")
        async with await client.another() as other:
            with refused("Locked", "drive vt0 is leased by uid", f"pass the option session {session}"):
                await other.drive("vt0", "Rewind")
        await client.wait(await client.drive("vt0", "Rewind"))
        assert await client.of_drive("vt0", "PositionKnown", "FileNumber") == (True, 0)
        await client.release(session)
        await works(client, "vt0", daemon)

    tell(daemon, story)
