# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clients on the bus, each a process of its own that can be killed, and what they say of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from crash.story import DRIVE, Refused, TapeFile, play, until_told
from tapeds import names
from tapeds.buslib import Bus, CallError, Variant, unwrap

SECONDS = 60.0
_TYPES = {
    "label-text": "s", "uuid": "s", "ctime": "x", "pool": "s", "seq-nr": "t", "overwrite": "b",
    "create": "b", "durable": "b", "digest": "s", "unlabelled": "b", "sha256": "ay", "expect-uuid": "s",
    "timeout": "u",
}  # fmt: skip
_LOST = ("org.freedesktop.DBus.Error.NoReply", "org.freedesktop.DBus.Error.ServiceUnknown",
         "org.freedesktop.DBus.Error.NameHasNoOwner", "org.freedesktop.DBus.Error.Disconnected")  # fmt: skip
_BODIES = {"LoadMedia": "sua{sv}", "LabelTape": "a{sv}a{sv}", "WriteMediaSetLabel": "a{sv}a{sv}"}

Say = Callable[..., None]


def _variants(options: dict[str, Any]) -> dict[str, Variant]:
    return {key: Variant(_TYPES[key], value) for key, value in options.items()}


class BusStage:
    """The script's stage on the bus."""

    def __init__(self, bus: Bus, text: Path) -> None:
        """``text`` is the state file of the drive."""
        self.bus = bus
        self.session = ""
        self._text = text

    async def call(self, path: str, interface: str, member: str, signature: str, *body: Any) -> Any:
        """What the call returns, with descriptors.  Raises Refused, ConnectionError."""
        try:
            return await self.bus.call(
                names.BUS_NAME, path, interface, member, signature, body, timeout=SECONDS
            )
        except CallError as error:
            if error.name in _LOST:
                raise ConnectionError(f"{error.name}: {error.text}") from error
            raise Refused(error.name.removeprefix(names.ERROR_PREFIX), error.text) from error

    async def job(self, member: str, arguments: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
        given = _variants(options)
        if member == "LoadMedia":
            reply = await self.call(
                names.changer_path(DRIVE), names.CHANGER, member, "sua{sv}", arguments["label-text"], 0, given
            )
        elif member in _BODIES:
            body = (_variants(arguments), given)
            reply = await self.call(names.drive_path(DRIVE), names.DRIVE, member, "a{sv}a{sv}", *body)
        elif arguments:
            reply = await self.call(
                names.drive_path(DRIVE), names.DRIVE, member, "ta{sv}", arguments["file"], given
            )
        else:
            reply = await self.call(names.drive_path(DRIVE), names.DRIVE, member, "a{sv}", given)
        return await self.wait(reply.body[0])

    async def wait(self, job: str) -> dict[str, Any]:
        """The result of ``job``."""
        result: dict[str, Any] = unwrap((await self.call(job, names.JOB, "Wait", "a{sv}", {})).body[0])
        return result

    async def write(self, file: TapeFile, text: str = "") -> dict[str, Any]:
        given = _variants({"durable": file.durable, "digest": "sha256"})
        reply = await self.call(names.drive_path(DRIVE), names.DRIVE, "WriteFile", "a{sv}", given)
        job = reply.body[0]
        with open(reply.fds[0], "wb", buffering=0) as pipe:
            feeder = asyncio.create_task(asyncio.to_thread(_give, pipe, file.data))
            try:
                await self.told(text)
                digest = _variants({"sha256": bytes.fromhex(file.sha256)})
                await self.call(job, names.TRANSFER, "Commit", "ta{sv}", len(file.data), digest)
            finally:
                try:
                    result = await self.wait(job)
                finally:
                    await feeder
        return result

    async def read(self, file: int) -> tuple[bytes, dict[str, Any]]:
        """The bytes of ``file`` and the result of reading them."""
        await self.job("MoveToFile", {"file": file}, {})
        given = _variants({"digest": "sha256"})
        reply = await self.call(names.drive_path(DRIVE), names.DRIVE, "ReadFile", "a{sv}", given)
        with open(reply.fds[0], "rb") as pipe:
            data = await asyncio.to_thread(pipe.read)
        return data, await self.wait(reply.body[0])

    async def acquire(self) -> None:
        given = _variants({"timeout": 30})
        reply = await self.call(names.drive_path(DRIVE), names.DRIVE, "Acquire", "a{sv}", given)
        self.session = reply.body[0]

    async def told(self, text: str) -> None:
        await until_told(self._text, text)

    async def release(self) -> None:
        await self.call(self.session, names.SESSION, "Release", "a{sv}", {})


def _give(pipe: Any, data: bytes) -> None:
    view = memoryview(data)
    with contextlib.suppress(BrokenPipeError):
        while view:
            view = view[pipe.write(view) :]


async def script(stage: BusStage, say: Say, uuid: str) -> None:
    """Play the script; what is learnt on the way is said at once."""

    def changed(message: Any) -> None:
        interface, values, _ = message.body
        if interface == names.DRIVE and "DurableFile" in values:
            say("durable", str(values["DurableFile"].value))

    def lost(message: Any) -> None:
        say("lost", str(message.body[1]))

    path = names.drive_path(DRIVE)
    await stage.bus.subscribe(changed, sender=names.BUS_NAME, path=path, member="PropertiesChanged")
    await stage.bus.subscribe(lost, sender=names.BUS_NAME, path=path, member="DurabilityLost")
    try:
        await play(stage, say, uuid)
    except Refused as refused:
        say("refused", refused.name, refused.text)
        # The news of what became of earlier files may still be on its way: what comes after it is an answer.
        await stage.call(path, "org.freedesktop.DBus.Peer", "Ping", "")
    except ConnectionError as error:
        say("cut off", str(error))


class Client:
    """A process that does ``work`` on the bus at ``address``."""

    def __init__(self, address: str, text: Path, work: Callable[[BusStage, Say], Awaitable[None]]) -> None:
        source, sink = os.pipe2(os.O_CLOEXEC)
        self.fd = source
        """Where it speaks."""
        self._rest = b""
        self.pid = os.fork()
        if self.pid == 0:
            _be_client(address, text, work, source, sink)
        os.close(sink)

    def listen(self) -> list[list[Any]]:
        """What it has said meanwhile; waits for something.  Empty at its end."""
        piece = os.read(self.fd, 65536)
        *lines, self._rest = (self._rest + piece).split(b"\n")
        said = [json.loads(line) for line in lines]
        return said if said or not piece else self.listen()

    def kill(self) -> None:
        """SIGKILL."""
        os.kill(self.pid, signal.SIGKILL)

    def close(self) -> int:
        """Wait for its end; the status."""
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def _be_client(address: str, text: Path, work: Any, source: int, sink: int) -> None:
    status = 1
    try:
        os.close(source)
        signal.signal(signal.SIGINT, signal.SIG_DFL)

        def say(*words: Any) -> None:
            os.write(sink, json.dumps(words).encode() + b"\n")

        async def story() -> None:
            bus = await Bus.connect(address)
            try:
                async with asyncio.timeout(SECONDS):
                    await work(BusStage(bus, text), say)
            finally:
                await bus.close()

        try:
            asyncio.run(story())
            status = 0
        except BaseException as exc:
            say("fault", f"{type(exc).__name__}: {exc}")
    finally:
        sys.stdout = sys.stderr = None                 # what the parent had not flushed is the parent's
        os._exit(status)


def said(client: Client) -> Iterator[list[Any]]:
    """Everything that ``client`` says, to its end."""
    while lines := client.listen():
        yield from lines
