# SPDX-License-Identifier: LGPL-2.1-or-later
"""All jobs of this run of the daemon; one that has ended can be asked for a minute more."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable

from tapeds.errors import Internal, LimitsExceeded, TapeError
from tapeds.events import Signal
from tapeds.jobs.caller import Caller
from tapeds.jobs.job import Job, Result, TransferView
from tapeds.jobs.tasklog import TaskLog, fields
from tapeds.names import NO_PATH

LINGER_SECONDS = 60.0
JOBS_PER_CONNECTION = 16
ENDED_PER_CONNECTION = 32
"""So many ended jobs of a connection linger: ten thousand small files must not fill memory and bus."""
ENDED_PER_USER = 64
"""And of a user: neither must ten thousand connections with one job each."""

Body = Callable[[Job], Awaitable[Result]]

log = logging.getLogger(__name__)


class Registry:
    """Starts jobs, numbers them from 1 and keeps them `LINGER_SECONDS` beyond their end.

    Of each connection the last `ENDED_PER_CONNECTION` are kept, of each user the last `ENDED_PER_USER`.
    """

    def __init__(
        self, *, linger_seconds: float = LINGER_SECONDS, clock: Callable[[], float] = time.time
    ) -> None:
        self.added: Signal[Job] = Signal()
        self.removed: Signal[Job] = Signal()
        self._linger_seconds = linger_seconds
        self._clock = clock
        self._jobs: dict[int, Job] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._farewells: dict[int, asyncio.TimerHandle] = {}
        self._lingering: dict[str | int, deque[Job]] = {}      # by connection, and by user
        self._last = 0

    def check_limit(self, owner: Caller) -> None:
        """Raise LimitsExceeded when ``owner`` has as many live jobs as a connection may have."""
        live = sum(1 for job in self.live() if job.owner.name == owner.name)
        if live >= JOBS_PER_CONNECTION:
            raise LimitsExceeded(f"{owner} has {live} jobs on this connection; wait for one or cancel one")

    def start(
        self,
        operation: str,
        objects: tuple[str, ...],
        owner: Caller,
        body: Body,
        *,
        session: str = NO_PATH,
        transfer: TransferView | None = None,
        cancelable: bool = True,
        detached: bool = False,
        facts: dict[str, str] | None = None,
    ) -> Job:
        """A new job that runs ``body`` from the loop's next turn on.  Raises LimitsExceeded."""
        self.check_limit(owner)
        self._last += 1
        job = Job(
            self._last,
            operation,
            objects,
            owner,
            session=session,
            transfer=transfer,
            cancelable=cancelable,
            detached=detached,
            clock=self._clock,
        )
        job.facts.update(facts or {})
        loop = asyncio.get_running_loop()
        TaskLog(job, loop.time)
        job.completed.connect(self._ended)
        self._jobs[job.id] = job
        task = loop.create_task(self._run(job, body), name=str(job))
        self._tasks.add(task)
        task.add_done_callback(lambda task: self._settle(job, task))
        self.added.emit(job)
        return job

    def get(self, number: int) -> Job | None:
        """Job ``number``, or None when there is none any more."""
        return self._jobs.get(number)

    def all(self) -> list[Job]:
        """Every job that can still be asked, oldest first."""
        return list(self._jobs.values())

    def live(self) -> list[Job]:
        """The jobs that have not ended."""
        return [job for job in self._jobs.values() if not job.finished]

    @property
    def running(self) -> int:
        """How many jobs have not ended."""
        return len(self.live())

    def close(self) -> None:
        """Forget the timers; for the end of the daemon."""
        for timer in self._farewells.values():
            timer.cancel()
        self._farewells.clear()

    async def _run(self, job: Job, body: Body) -> None:
        try:
            data = await body(job)
        except TapeError as exc:
            job.end(exc.data, exc)
        else:
            job.end(data)

    def _settle(self, job: Job, task: asyncio.Task[None]) -> None:
        """End a job whose body broke off; whoever waits for it must hear of that."""
        self._tasks.discard(task)
        fault = None if task.cancelled() else task.exception()
        if fault is not None:
            log.error("a fault in %s", job, exc_info=fault, extra=fields(job))
        if not job.finished:
            reason = f"{type(fault).__name__}: {fault}" if fault else "it was broken off"
            job.end({}, Internal(f"{job} ended by a fault in tapeds, see the journal: {reason}"))

    def _ended(self, job: Job) -> None:
        loop = asyncio.get_running_loop()
        self._farewells[job.id] = loop.call_later(self._linger_seconds, self._forget, job)
        for owner, most in ((job.owner.name, ENDED_PER_CONNECTION), (job.owner.uid, ENDED_PER_USER)):
            lingering = self._lingering.setdefault(owner, deque())
            lingering.append(job)
            if len(lingering) > most:
                self._forget(lingering[0])

    def _forget(self, job: Job) -> None:
        if (timer := self._farewells.pop(job.id, None)) is not None:
            timer.cancel()
        for owner in (job.owner.name, job.owner.uid):
            lingering = self._lingering.get(owner, deque())
            if job in lingering:
                lingering.remove(job)
            if not lingering:
                self._lingering.pop(owner, None)
        self._jobs.pop(job.id, None)
        self.removed.emit(job)
