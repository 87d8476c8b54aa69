# SPDX-License-Identifier: LGPL-2.1-or-later
"""A client of the service: what it asks, the bytes that it gives and takes, and one that can be killed."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import threading
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

import pytest

from support.daemon import Daemon
from tapeds import names
from tapeds.buslib import Bus, CallError, Reply, Variant, unwrap

MIB = 1 << 20
PROPERTIES = "org.freedesktop.DBus.Properties"

_TYPES: dict[type, str] = {bool: "b", int: "t", str: "s", bytes: "ay"}
_OWN_TYPES = {"timeout": "u", "interval": "u", "session": "o"}


def options(**given: Any) -> dict[str, Variant]:
    """Options of a call: ``expect_uuid="…"`` is the option ``expect-uuid``."""
    named = {name.replace("_", "-"): value for name, value in given.items()}
    return {name: Variant(_OWN_TYPES.get(name, _TYPES[type(value)]), value) for name, value in named.items()}


class Client:
    """A connection that speaks plain D-Bus with the service."""

    def __init__(self, bus: Bus, address: str) -> None:
        self.bus = bus
        self.address = address

    @classmethod
    async def connect(cls, address: str) -> Self:
        """A client on the bus at ``address``."""
        return cls(await Bus.connect(address), address)

    async def another(self) -> Self:
        """Another client of the same user."""
        return await self.connect(self.address)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.bus.close()

    # --- calls ----------------------------------------------------------------------------------

    async def call(
        self, path: str, interface: str, member: str, signature: str = "a{sv}", *body: Any, **how: Any
    ) -> Reply:
        """Call a method, by default one that takes options only and without any."""
        return await self.bus.call(
            names.BUS_NAME, path, interface, member, signature, list(body or ({},)), **how
        )

    async def drive(self, name: str, member: str, signature: str = "a{sv}", *body: Any, **how: Any) -> Any:
        """The first value that a member of a drive returns."""
        reply = await self.call(names.drive_path(name), names.DRIVE, member, signature, *body, **how)
        return unwrap(reply.body[0])

    async def changer(self, name: str, member: str, signature: str = "a{sv}", *body: Any) -> Any:
        """The first value that a member of a changer returns."""
        reply = await self.call(names.changer_path(name), names.CHANGER, member, signature, *body)
        return unwrap(reply.body[0])

    async def get(self, path: str, interface: str, name: str, **how: Any) -> Any:
        """A property."""
        reply = await self.call(path, PROPERTIES, "Get", "ss", interface, name, **how)
        return unwrap(reply.body[0])

    async def of_drive(self, name: str, *properties: str, **how: Any) -> Any:
        """A property of a drive, or several as a tuple."""
        values = [await self.get(names.drive_path(name), names.DRIVE, one, **how) for one in properties]
        return values[0] if len(values) == 1 else tuple(values)

    async def of_job(self, job: str, name: str) -> Any:
        """A property of a job."""
        return await self.get(job, names.JOB, name)

    async def wait(self, job: str) -> dict[str, Any]:
        """The result of a job.  Raises CallError with the job's own error."""
        reply = await self.call(job, names.JOB, "Wait", timeout=None)
        result: dict[str, Any] = unwrap(reply.body[0])
        return result

    async def acquire(self, drive: str, **given: Any) -> str:
        """A lease, by its path."""
        path: str = await self.drive(drive, "Acquire", "a{sv}", options(**given), timeout=None)
        return path

    async def release(self, session: str) -> None:
        """End a lease."""
        await self.call(session, names.SESSION, "Release")

    # --- tapes ----------------------------------------------------------------------------------

    async def label(self, drive: str, label: str) -> None:
        """Make the cartridge ``label``, load it and write both labels."""
        await self.wait(
            await self.changer(drive, "LoadMedia", "sua{sv}", label, 0, options(create=True))
        )
        await self.wait(await self.drive(drive, "LabelTape", "a{sv}a{sv}", options(label_text=label), {}))
        pool = options(pool="default")
        await self.wait(await self.drive(drive, "WriteMediaSetLabel", "a{sv}a{sv}", pool, {}))

    async def begin_write(self, drive: str, **given: Any) -> tuple[str, int]:
        """A write job, which counts the digest, and the descriptor that takes its data."""
        path = names.drive_path(drive)
        wanted = options(**{"digest": "sha256", **given})
        reply = await self.call(path, names.DRIVE, "WriteFile", "a{sv}", wanted)
        return reply.body[0], reply.fds[0]

    async def begin_read(self, drive: str, **given: Any) -> tuple[str, int]:
        """A read job and the descriptor that gives its data."""
        path = names.drive_path(drive)
        reply = await self.call(path, names.DRIVE, "ReadFile", "a{sv}", options(**given))
        return reply.body[0], reply.fds[0]

    async def write_from(self, drive: str, fd: int, **given: Any) -> str:
        """A job that writes a file from ``fd``, which stays the caller's."""
        path = names.drive_path(drive)
        reply = await self.call(
            path, names.DRIVE, "WriteFileFrom", "ha{sv}", 0, options(**given), fds=[fd]
        )
        return str(reply.body[0])

    async def commit(self, job: str, data: bytes) -> None:
        """Say that ``data`` were all."""
        digest = options(sha256=hashlib.sha256(data).digest())
        await self.call(job, names.TRANSFER, "Commit", "ta{sv}", len(data), digest, timeout=None)

    async def write(self, drive: str, data: bytes, **given: Any) -> dict[str, Any]:
        """Append ``data`` as a file; the result has its digest."""
        job, fd = await self.begin_write(drive, **given)
        thread = pour(fd, data)
        await self.commit(job, data)
        result = await self.wait(job)
        thread.join()
        return result

    async def move(self, drive: str, file: int, **given: Any) -> None:
        """Go to the beginning of ``file``."""
        await self.wait(await self.drive(drive, "MoveToFile", "ta{sv}", file, options(**given)))

    async def read(self, drive: str, file: int, **given: Any) -> tuple[bytes, dict[str, Any]]:
        """The bytes of ``file``, and the result of reading them."""
        await self.move(drive, file, **given)
        job, fd = await self.begin_read(drive, digest="sha256", **given)
        data = await asyncio.to_thread(drain, fd)
        return data, await self.wait(job)

    async def files(self, drive: str) -> list[dict[str, Any]]:
        """What ListFiles says of the files behind the labels."""
        result = await self.wait(await self.drive(drive, "ListFiles"))
        found: list[dict[str, Any]] = result["files"][2:]
        return found

    async def until(self, drive: str, name: str, value: Any) -> None:
        """Return once the property ``name`` of a drive is ``value``; the test's own limit is the limit."""
        while await self.of_drive(drive, name) != value:
            await asyncio.sleep(0.01)


Story = Callable[[Client], Awaitable[None]]


def tell(daemon: Daemon, story: Story, *, seconds: float = 120.0) -> None:
    """Run a story with a client of the daemon."""

    async def run() -> None:
        async with asyncio.timeout(seconds), await Client.connect(daemon.address) as client:
            await story(client)

    asyncio.run(run())


def pour(fd: int, data: bytes, *, close: bool = True) -> threading.Thread:
    """Write ``data`` into ``fd`` beside everything else; a reader that goes away ends it."""

    def write() -> None:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view[:MIB]) :]
        except BrokenPipeError:
            pass
        finally:
            if close:
                os.close(fd)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    return thread


async def poured(fd: int, data: bytes) -> None:
    """Write ``data`` into ``fd`` and leave it open: on return all but what a pipe holds was taken."""
    await asyncio.to_thread(pour(fd, data, close=False).join)


def drain(fd: int) -> bytes:
    """Everything that comes out of ``fd``, which is closed."""
    with open(fd, "rb") as stream:
        return stream.read()


@contextmanager
def refused(name: str, *texts: str) -> Iterator[pytest.ExceptionInfo[CallError]]:
    """The block ends in our error ``name``, and its text has all of ``texts`` in it."""
    with pytest.raises(CallError) as caught:
        yield caught
    wanted = name if "." in name else names.ERROR_PREFIX + name
    assert caught.value.name == wanted, f"{caught.value.name}: {caught.value.text}"
    for text in texts:
        assert text in caught.value.text


Begin = Callable[[Client], Awaitable[Any]]


class Victim:
    """A client process that has begun something, goes on with it, and can be killed at any moment.

    ``begin`` runs in the process; ``made`` is what it returned.  It is a fork without any of our
    descriptors.
    """

    def __init__(self, address: str, begin: Begin) -> None:
        told, telling = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            self._live(address, begin, telling)
        os.close(telling)
        with open(told, "rb") as pipe:
            answer = pipe.readline()
        if not answer:
            self.kill()
            raise RuntimeError("the client process did not come so far; its error is above")
        self.made: Any = json.loads(answer)

    def kill(self) -> None:
        """End it as the kernel ends a process that has used up all memory; a second time does nothing."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = 0

    def _live(self, address: str, begin: Begin, telling: int) -> None:
        try:
            os.closerange(3, telling)
            os.closerange(telling + 1, 4096)

            async def main() -> None:
                client = await Client.connect(address)
                made = await begin(client)
                os.write(telling, json.dumps(made).encode() + b"\n")
                await asyncio.Event().wait()

            asyncio.run(main())
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
