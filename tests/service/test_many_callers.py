# SPDX-License-Identifier: LGPL-2.1-or-later
"""Callers that do anything at any moment: afterwards nothing is held, nothing waits, every tape reads."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Awaitable

import pytest

from tapeds import errors
from tapeds.jobs.caller import Caller
from tapeds.jobs.job import Job
from tapeds.names import Operation

ROOT = Caller(":1.0", 0)


class Crowd:
    """Callers with a dice each."""

    def __init__(self, house, service, seed: int) -> None:
        self.house, self.service = house, service
        self.dice = random.Random(seed)
        self.come = 0
        self.refusals: set[str] = set()
        self.ended: set[str] = set()

    async def visit(self) -> None:
        """One caller: perhaps a lease, then some jobs, then it leaves the bus."""
        self.come += 1
        caller = Caller(f":1.{self.come}", 1000 + self.come % 2, self.come)
        drive = self.dice.choice(list(self.service.drives.values()))
        session = None
        try:
            if self.dice.random() < 0.5:
                bind, ttl = self.dice.choice([("client", 0), ("none", 1), ("none", 60)])
                session = await drive.acquire(caller, timeout=self.dice.choice([0, 1]), bind=bind, ttl=ttl)
            lease = {"session": session.path} if session else {}
            for _ in range(self.dice.randint(1, 4)):
                await self.one_job(drive, caller, lease)
        except errors.TapeError as exc:
            self.refusals.add(exc.name)
        finally:
            self.service.caller_vanished(caller.name)
            if session is not None and not session.ending:
                await session.release(Caller("", session.owner_uid))

    async def one_job(self, drive, caller, lease) -> None:
        changer = self.service.changers[drive.name]
        end = None
        match self.dice.choice(["move", "verify", "load", "eject", "request", "status", "write", "read"]):
            case "move":
                job = await drive.start(caller, Operation.REWIND, {}, **lease)
            case "verify":
                job = await drive.start(caller, Operation.VERIFY_TAPE, {}, **lease)
            case "load":
                job = await changer.start(caller, Operation.LOAD_MEDIA, {"label-text": "TAPE01"}, **lease)
            case "eject":
                job = await drive.start(caller, Operation.EJECT_MEDIA, {}, **lease)
            case "request":
                media = {"label-text": self.dice.choice(["TAPE01", "NONE01"])}
                job = await drive.request_media(caller, media, timeout=1, interval=1, **lease)
            case "status":
                await drive.status(caller, lease.get("session", ""))
                return
            case "write":
                job, end = await drive.start_write(caller, {"durable": self.dice.random() < 0.5}, **lease)
                os.write(end, b"x" * self.dice.choice([10, 60_000]))
            case _:
                job, end = await drive.start_read(caller, {}, **lease)
        await asyncio.sleep(self.dice.choice([0, 0.01, 0.1]))
        await self.disturb(drive, caller, job)
        if end is not None:
            os.close(end)
            await self.attempt(job.commit(10) if self.dice.random() < 0.5 else job.abort())
            await self.attempt(job.abort())
        async with asyncio.timeout(30):
            await self.attempt(job.wait())
        self.ended.add(job.error_name)

    async def disturb(self, drive, caller: Caller, job: Job) -> None:
        match self.dice.choice(["cancel", "kill", "vanish", "break", "", "", ""]):
            case "cancel":
                if job.cancelable:
                    job.cancel("the crowd")
            case "kill" if drive.handle.worker_pid:
                os.kill(drive.handle.worker_pid, signal.SIGKILL)
            case "vanish":
                self.service.caller_vanished(caller.name)
            case "break" if drive.session is not None:
                await self.attempt(drive.session.release(ROOT, force=True))

    async def attempt(self, what: Awaitable[object]) -> None:
        try:
            await what
        except errors.TapeError as exc:
            self.refusals.add(exc.name)


@pytest.mark.parametrize("seed", [1, 2])
async def test_whatever_a_crowd_does_the_drives_are_free_afterwards(house, seed, caplog) -> None:
    house.drive("vt1")
    async with house.running(house.quick(lock=0.2, query=0.3)) as service:
        for name in service.drives:
            await house.label(service, name)
        crowd = Crowd(house, service, seed)

        async def stream() -> None:
            for _ in range(12):
                await crowd.visit()

        async with asyncio.timeout(200):
            await asyncio.gather(*(stream() for _ in range(4)))
        for session in list(service.sessions.values()):
            await crowd.attempt(session.release(Caller("", session.owner_uid)))
        await house.until(lambda: not service.sessions)
        await house.until(lambda: service.jobs.running == 0)
        await service.shared.settle()
        for name, drive in service.drives.items():
            assert (drive.session, drive.job, drive.waiters, drive.busy) == (None, None, 0, False)
            assert (drive.lock_holder(), drive.handle.opened, house.state_text(name)) == ("", False, "")
            load = service.changers[name].start(house.anna, Operation.LOAD_MEDIA, {"label-text": "TAPE01"})
            await house.result(load)
            verified = await house.result(drive.start(house.anna, Operation.VERIFY_TAPE, {}))
            assert verified["files"] >= 2
        assert house.markers() == []
        assert len(crowd.ended) > 3
        assert "Internal" not in crowd.ended | crowd.refusals
    assert [record for record in caplog.records if record.exc_info] == []
