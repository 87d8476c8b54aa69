# SPDX-License-Identifier: LGPL-2.1-or-later
"""A caller's descriptor on a file whose server hangs: nobody else waits, and nothing is left open."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator

import pytest

from tapeds import errors
from tapeds.service import descriptors


class Server:
    """Of a file: `answers` is set when it does."""

    def __init__(self) -> None:
        self.asked = threading.Semaphore(0)
        self.answers = threading.Event()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Every descriptor is on a file of this one, which is hung."""
    server = Server()
    look = descriptors.look

    def hanging(fd: int, *, readable: bool) -> None:
        server.asked.release()
        assert server.answers.wait(20)
        look(fd, readable=readable)

    monkeypatch.setattr(descriptors, "look", hanging)
    yield server
    server.answers.set()


@pytest.fixture
def source(tmp_path) -> Callable[[int], int]:
    """Opens a regular file with 1000 bytes."""
    path = tmp_path / "source"
    path.write_bytes(b"x" * 1000)
    return lambda mode: os.open(path, mode)


def is_open(path: str) -> bool:
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{name}") == path:
                return True
        except OSError:
            continue                    # the directory that was being listed
    return False


ORDER = {"commit-on-eof": True}


async def test_others_are_served_while_a_file_s_server_hangs(house, server, source) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        await house.label(service)
        writing = asyncio.create_task(drive.start_write(house.anna, ORDER, fd=source(os.O_RDONLY)))
        await asyncio.to_thread(server.asked.acquire)
        lease = await drive.acquire(house.bert)
        await lease.release(house.bert)
        assert not writing.done()
        server.answers.set()
        job, _ = await writing
        assert (await job.wait())["bytes"] == 1000
        await house.until(lambda: not is_open(str(house.base / "source")))


async def test_a_caller_who_goes_away_meanwhile_leaves_no_descriptor(house, server, source) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        writing = asyncio.create_task(drive.start_write(house.anna, ORDER, fd=source(os.O_RDONLY)))
        await asyncio.to_thread(server.asked.acquire)
        service.caller_vanished(house.anna.name)
        with pytest.raises(errors.ClientGone):
            await writing
        server.answers.set()
        await house.until(lambda: not is_open(str(house.base / "source")))
        assert service.jobs.all() == []


async def test_a_call_that_is_broken_off_leaves_no_descriptor(house, server, source) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        writing = asyncio.create_task(drive.start_write(house.anna, ORDER, fd=source(os.O_RDONLY)))
        await asyncio.to_thread(server.asked.acquire)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        server.answers.set()
        await house.until(lambda: not is_open(str(house.base / "source")))


async def test_a_call_that_is_broken_off_at_any_moment_leaves_no_descriptor(house, source) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        for turns in range(1, 12):
            call = drive.start_write(house.anna, ORDER, session="/none", fd=source(os.O_RDONLY))
            writing = asyncio.create_task(call)
            for _ in range(turns):
                await asyncio.sleep(0)
            writing.cancel()
            with pytest.raises((asyncio.CancelledError, errors.InvalidState)):
                await writing
        await house.until(lambda: not is_open(str(house.base / "source")))


async def test_an_answer_and_the_end_of_the_wait_may_come_at_once(house, server, source) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        writing = asyncio.create_task(drive.start_write(house.anna, ORDER, fd=source(os.O_RDONLY)))
        await asyncio.to_thread(server.asked.acquire)
        server.answers.set()
        while any(thread.name == "descriptor" for thread in threading.enumerate()):
            pass                        # the loop has not heard of the answer yet
        asyncio.get_running_loop().call_soon(writing.cancel)
        with pytest.raises(asyncio.CancelledError):
            await writing
        assert not is_open(str(house.base / "source"))


async def test_a_user_has_so_many_files_that_are_waited_for(house, server, source) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        for _ in range(descriptors.INSPECTIONS_PER_USER):
            writing = asyncio.create_task(drive.start_write(house.anna, ORDER, fd=source(os.O_RDONLY)))
            await asyncio.to_thread(server.asked.acquire)
            service.caller_vanished(house.anna.name)
            with pytest.raises(errors.ClientGone):
                await writing
        with pytest.raises(errors.LimitsExceeded, match="uid 1000 has given 16 files"):
            await drive.start_write(house.anna2, ORDER, fd=source(os.O_RDONLY))
        server.answers.set()
        await house.until(lambda: not is_open(str(house.base / "source")))
        with pytest.raises(errors.InvalidFileDescriptor, match="not open for reading"):
            await drive.start_write(house.anna2, ORDER, fd=source(os.O_WRONLY))
        assert not is_open(str(house.base / "source"))
