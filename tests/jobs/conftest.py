# SPDX-License-Identifier: LGPL-2.1-or-later
"""A registry with quick hands, and jobs whose bodies the test holds in its own."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest

from tapeds.jobs.caller import Caller
from tapeds.jobs.job import Job, Result, TransferView
from tapeds.jobs.registry import Registry


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an async test in a loop of its own."""
    test = pyfuncitem.obj
    if not inspect.iscoroutinefunction(test):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in inspect.signature(test).parameters}
    asyncio.run(test(**arguments))
    return True


class Work:
    """Starts a job whose body ends when the test says so; remembers what was asked of it."""

    anna = Caller(":1.10", 1000, 100)
    bert = Caller(":1.20", 1001, 200)

    def __init__(self) -> None:
        self.registry = Registry(linger_seconds=0.05)
        self.asked: list[Any] = []
        self.end: asyncio.Future[Result]

    def start(self, operation: str = "rewind", *, direction: str = "", **options: Any) -> Job:
        self.end = end = asyncio.get_running_loop().create_future()

        async def body(job: Job) -> Result:
            job.attach(self)
            return await end

        transfer = TransferView(direction) if direction else None
        return self.registry.start(
            operation,
            ("/org/tapeds1/drives/vt0",),
            options.pop("owner", self.anna),
            body,
            transfer=transfer,
            **options,
        )

    def cancel(self, error: str, text: str) -> None:
        self.asked.append(("cancel", error, text))

    async def commit(self, size: int, sha256: str) -> None:
        self.asked.append(("commit", size, sha256))

    async def abort(self) -> None:
        self.asked.append(("abort",))


@pytest.fixture
def work() -> Work:
    return Work()
