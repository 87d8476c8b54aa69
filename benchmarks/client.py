# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clients of the benchmarks, one process each: ``python -m benchmarks.client VERB ARGUMENT…``.

What a verb measured is its last line of standard output, one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tapeds.buslib import Bus, Variant, unwrap
from tapeds.names import (
    BUS_NAME,
    CHANGER,
    DRIVE,
    JOB,
    MANAGER,
    MANAGER_PATH,
    TRANSFER,
    changer_path,
    drive_path,
)

ENDLESS = str(Path(__file__).parent / "endless.py")
Json = dict[str, Any]


async def call(
    bus: Bus, path: str, interface: str, member: str, signature: str = "a{sv}", *body: object
) -> list[Any]:
    """One call of the service; the reply's body."""
    reply = await bus.call(BUS_NAME, path, interface, member, signature, list(body or [{}]), timeout=3600)
    for fd in reply.fds:
        os.close(fd)
    return list(reply.body)


async def finished(bus: Bus, job: str) -> Json:
    """The result of ``job``."""
    return dict(unwrap((await call(bus, job, JOB, "Wait"))[0]))


async def prepare(bus: Bus, drive: str, label: str) -> None:
    """Make, load and label a cartridge."""
    path = drive_path(drive)
    await finished(
        bus,
        (
            await call(
                bus,
                changer_path(drive),
                CHANGER,
                "LoadMedia",
                "sua{sv}",
                label,
                0,
                {"create": Variant("b", True)},
            )
        )[0],
    )
    await finished(
        bus,
        (
            await call(
                bus,
                path,
                DRIVE,
                "LabelTape",
                "a{sv}a{sv}",
                {"label-text": Variant("s", label)},
                {"overwrite": Variant("b", True)},
            )
        )[0],
    )
    await finished(
        bus,
        (
            await call(
                bus,
                path,
                DRIVE,
                "WriteMediaSetLabel",
                "a{sv}a{sv}",
                {"pool": Variant("s", "bench"), "seq-nr": Variant("t", 0)},
                {},
            )
        )[0],
    )


async def write(bus: Bus, drive: str, count: int, options: Json | None = None) -> Json:
    """Write ``count`` bytes of a producer process by `WriteFile`."""
    begin = time.monotonic()
    reply = await bus.call(
        BUS_NAME, drive_path(drive), DRIVE, "WriteFile", "a{sv}", [options or {}], timeout=60
    )
    job, fd = reply.body[0], reply.fds[0]
    producer = subprocess.Popen([sys.executable, "-S", "-E", ENDLESS, "produce", str(count)], stdout=fd)
    os.close(fd)
    await call(bus, job, TRANSFER, "Commit", "ta{sv}", count, {})
    result = await finished(bus, job)
    seconds = time.monotonic() - begin
    producer.wait()
    return {
        "seconds": seconds,
        **{key: value for key, value in result.items() if not isinstance(value, bytes)},
    }


async def read(bus: Bus, drive: str, file: int) -> Json:
    """Read ``file`` into a consumer process by `ReadFile`."""
    await finished(bus, (await call(bus, drive_path(drive), DRIVE, "MoveToFile", "ta{sv}", file, {}))[0])
    begin = time.monotonic()
    reply = await bus.call(BUS_NAME, drive_path(drive), DRIVE, "ReadFile", "a{sv}", [{}], timeout=60)
    job, fd = reply.body[0], reply.fds[0]
    consumer = subprocess.Popen(
        [sys.executable, "-S", "-E", ENDLESS, "consume"], stdin=fd, stderr=subprocess.PIPE
    )
    os.close(fd)
    result = await finished(bus, job)
    told = consumer.communicate()[1]
    if int(told) != result["bytes"]:
        raise SystemExit(f"read {told!r} bytes instead of {result['bytes']}")
    return {"seconds": time.monotonic() - begin}


async def small(bus: Bus, drive: str, count: int, size: int) -> Json:
    """Write ``count`` files of ``size`` bytes, one after the other."""
    data = os.urandom(size)
    begin = time.monotonic()
    options = {"durable": Variant("b", False), "size": Variant("t", size)}
    for _ in range(count):
        reply = await bus.call(
            BUS_NAME, drive_path(drive), DRIVE, "WriteFile", "a{sv}", [options], timeout=60
        )
        os.write(reply.fds[0], data)
        os.close(reply.fds[0])
        await finished(bus, reply.body[0])
    return {"seconds": time.monotonic() - begin, "files": count}


async def properties(bus: Bus, drive: str, seconds: float) -> Json:
    """Read a property again and again, one call after the other."""
    times: list[float] = []
    until = time.monotonic() + seconds
    while (begin := time.monotonic()) < until:
        await bus.call(
            BUS_NAME,
            drive_path(drive),
            "org.freedesktop.DBus.Properties",
            "Get",
            "ss",
            [DRIVE, "State"],
            timeout=60,
        )
        times.append(time.monotonic() - begin)
    times.sort()
    return {
        "calls": len(times),
        "seconds": seconds,
        "p50": times[len(times) // 2],
        "p99": times[len(times) * 99 // 100],
        "longest": times[-1],
    }


async def flood(bus: Bus, outstanding: int) -> Json:
    """Call without pause, ``outstanding`` calls at a time, until killed."""

    async def one() -> None:
        while True:
            await call(bus, MANAGER_PATH, MANAGER, "GetJobs")

    await asyncio.gather(*(one() for _ in range(outstanding)))
    return {}


async def disturb(bus: Bus, drive: str) -> Json:
    """Reload the configuration and list ten thousand files, over and over, until killed."""
    while True:
        await call(bus, MANAGER_PATH, MANAGER, "Reload")
        first, more = 0, True
        while more:
            job = (
                await call(
                    bus,
                    drive_path(drive),
                    DRIVE,
                    "ListFiles",
                    "a{sv}",
                    {"first": Variant("t", first), "count": Variant("t", 1000)},
                )
            )[0]
            result = await finished(bus, job)
            first, more = first + len(result["files"]), bool(result["more"])


async def main(verb: str, *words: str) -> Json:
    """Connect and do what is asked."""
    bus = await Bus.connect()
    try:
        match verb:
            case "prepare":
                await prepare(bus, words[0], words[1])
                return {}
            case "write":
                options = {"digest": Variant("s", "sha256")} if words[2:] == ("sha256",) else {}
                return await write(bus, words[0], int(words[1]), options)
            case "read":
                return await read(bus, words[0], int(words[1]))
            case "small":
                return await small(bus, words[0], int(words[1]), int(words[2]))
            case "properties":
                return await properties(bus, words[0], float(words[1]))
            case "flood":
                return await flood(bus, int(words[0]))
            case "disturb":
                return await disturb(bus, words[0])
            case _:
                raise SystemExit(f"no such verb: {verb}")
    finally:
        await bus.close()


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(*sys.argv[1:]))))
