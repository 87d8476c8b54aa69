# SPDX-License-Identifier: LGPL-2.1-or-later
"""A service on directories of the test, real workers, and a worker that does what a script says."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tapeds.config.models import Config
from tapeds.jobs.caller import Caller
from tapeds.jobs.job import Job
from tapeds.names import Operation
from tapeds.service.core import Directories, Service
from tapeds.service.drives import DriveUnit
from tapeds.service.timings import Timings

HERE = Path(__file__).parent
QUICK = Timings(lock=0.5, lock_poll=0.02, idle=30.0, grace=2.0, linger=60.0)

HOLD_A_LOCK = """
import fcntl, sys
file = open(sys.argv[1], "a")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an async test in a loop of its own."""
    test = pyfuncitem.obj
    if not inspect.iscoroutinefunction(test):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in inspect.signature(test).parameters}
    asyncio.run(test(**arguments))
    return True


class House:
    """Directories, drives and callers of one test."""

    anna = Caller(":1.10", 1000, 100)
    anna2 = Caller(":1.11", 1000, 101)      # another connection of the same user
    bert = Caller(":1.20", 1001, 200)

    def __init__(self, base: Path) -> None:
        self.base = base
        self.dirs = Directories(base / "run", base / "lock", base / "state", base / "sys")
        self.sections: dict[str, dict[str, Any]] = {}
        self.config_file = base / "tapeds.toml"

    def drive(self, name: str, **section: Any) -> Path:
        """Configure drive ``name`` and make its directory."""
        path = self.base / name
        path.mkdir(exist_ok=True)
        self.sections[name] = {"type": "virtual", "path": str(path), **section}
        return path

    def config(self) -> Config:
        return Config.model_validate({"drive": self.sections})

    def write_config(self) -> None:
        lines = []
        for name, section in self.sections.items():
            lines.append(f"[drive.{name}]")
            lines.extend(f"{key} = {json.dumps(value)}" for key, value in section.items())
        self.config_file.write_text("\n".join(lines) + "\n")

    @asynccontextmanager
    async def running(self, timings: Timings = QUICK, **options: Any) -> AsyncIterator[Service]:
        """A started service, stopped at the end; nothing may be held then."""
        service = Service(
            self.config(), self.dirs, timings=timings, config_file=str(self.config_file), **options
        )
        await service.start()
        try:
            yield service
        finally:
            async with asyncio.timeout(60):
                await service.stop()
        for unit in service.drives.values():
            assert not unit.handle.locked
            assert unit.handle.worker_pid == 0

    def state_text(self, name: str = "vt0") -> str:
        path = self.dirs.runtime / "drives" / name
        return path.read_text().rstrip("\n") if path.exists() else ""

    def markers(self) -> list[str]:
        return sorted(os.listdir(self.dirs.runtime / "open"))

    @staticmethod
    def scripted(**script: list[dict[str, Any]]) -> list[str]:
        """The command of a worker that does what ``script`` says; ``_`` stands for ``-`` in operations."""
        steps = {name.replace("_", "-"): value for name, value in script.items()}
        return [sys.executable, str(HERE / "scripted_worker.py"), json.dumps(steps)]

    @staticmethod
    def quick(**timings: float) -> Timings:
        return replace(QUICK, **timings)

    @staticmethod
    async def until(condition: Callable[[], object], what: str = "") -> None:
        """Wait until ``condition`` holds."""
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0.005)

    @staticmethod
    async def result(started: Any) -> dict[str, Any]:
        """The result of a job, given the call that starts it."""
        job: Job = await started
        return await job.wait()

    async def label(self, service: Service, name: str = "vt0", text: str = "TAPE01") -> dict[str, Any]:
        """Make and load a cartridge and write both labels on it."""
        changer, drive = service.changers[name], service.drives[name]
        new = {"label-text": text, "create": True}
        await self.result(changer.start(self.anna, Operation.LOAD_MEDIA, new))
        label = await self.result(drive.start(self.anna, Operation.LABEL_TAPE, {"label-text": text}))
        pool = {"pool": "default", "seq-nr": 0}
        await self.result(drive.start(self.anna, Operation.WRITE_MEDIA_SET_LABEL, pool))
        return label

    async def write(
        self, drive: DriveUnit, data: bytes, caller: Caller = anna, **arguments: Any
    ) -> dict[str, Any]:
        """Write ``data`` as one tape file."""
        request = {key.replace("_", "-"): value for key, value in arguments.items()}
        job, fd = await drive.start_write(caller, request)
        assert fd is not None
        await asyncio.to_thread(give, fd, data)
        await job.commit(len(data))
        return await job.wait()

    async def read(self, drive: DriveUnit, caller: Caller = anna) -> tuple[bytes, dict[str, Any]]:
        """Read the next tape file."""
        job, fd = await drive.start_read(caller, {})
        assert fd is not None
        data = await asyncio.to_thread(take, fd)
        return data, await job.wait()


def give(fd: int, data: bytes) -> None:
    with open(fd, "wb") as file:
        file.write(data)


def take(fd: int) -> bytes:
    with open(fd, "rb") as file:
        return file.read()


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Directories with one drive, vt0."""
    house = House(tmp_path)
    house.drive("vt0")
    return house


@pytest.fixture
def external() -> Iterator[Callable[[Path], subprocess.Popen[str]]]:
    """Starts another program that holds the lock of a path, until it is terminated."""
    running: list[subprocess.Popen[str]] = []

    def hold(path: Path) -> subprocess.Popen[str]:
        program = subprocess.Popen(
            [sys.executable, "-c", HOLD_A_LOCK, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(program)
        assert program.stdout is not None
        assert program.stdout.readline() == "held\n"
        return program

    yield hold
    for program in running:
        program.kill()
        program.wait()
        for stream in (program.stdin, program.stdout):
            if stream is not None:
                stream.close()
