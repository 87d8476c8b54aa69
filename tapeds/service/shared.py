# SPDX-License-Identifier: LGPL-2.1-or-later
"""What every drive of the service works with: directories, files, clocks, jobs and leases."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tapeds import errors
from tapeds.events import Signal
from tapeds.filesystem import REAL, FileSystem
from tapeds.jobs.registry import Registry
from tapeds.service.descriptors import Inspections
from tapeds.service.leases import Admissions
from tapeds.service.locking import LockTable
from tapeds.service.process import WORKER_COMMAND
from tapeds.service.sessions import SessionBook
from tapeds.service.timings import Timings
from tapeds.state import records
from tapeds.state.files import StateText

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Directories:
    """Where files are: volatile ones, lock files, lasting ones, and what the kernel shows of devices."""

    runtime: Path
    lock: Path
    state: Path
    sysfs: Path = Path("/sys")


class Shared:
    """One of these for all drives of a `Service`."""

    def __init__(
        self,
        dirs: Directories,
        *,
        worker_command: Sequence[str] = WORKER_COMMAND,
        timings: Timings | None = None,
        clock: Callable[[], float] = time.time,
        fs: FileSystem = REAL,
    ) -> None:
        self.dirs = dirs
        self.fs = fs
        self.worker_command = tuple(worker_command)
        self.timings = timings or Timings()
        self.clock = clock
        self.jobs = Registry(linger_seconds=self.timings.linger, clock=clock)
        self.sessions = SessionBook(clock)
        self.admissions = Admissions()
        self.inspections = Inspections()
        self.locks = LockTable(dirs.lock, self.timings)
        self.texts = StateText(fs, str(dirs.runtime / "drives"))
        self.markers = records.open_markers(fs, str(dirs.runtime))
        self.session_records = records.sessions(fs, str(dirs.runtime))
        self.intents = records.intents(fs, str(dirs.state))
        self.last_labels = records.last_labels(fs, str(dirs.state))
        self.labels: dict[str, str] = {}    # media uuid -> label text, of every label seen
        self.media_requested: Signal[Any] = Signal()
        self.media_request_resolved: Signal[Any] = Signal()
        self._errands: set[asyncio.Task[Any]] = set()

    def errand(self, work: Coroutine[Any, Any, Any], *, watched: bool = False) -> asyncio.Task[Any]:
        """Do ``work`` in the background; unless it is ``watched``, what it raises goes to the journal."""
        task = asyncio.get_running_loop().create_task(work)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard if watched else self._done)
        return task

    async def settle(self) -> None:
        """Wait until every errand is done."""
        while self._errands:
            await asyncio.wait(self._errands)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._errands.discard(task)
        if task.cancelled():
            return
        fault = task.exception()
        if isinstance(fault, errors.TapeError):
            log.warning("%s", fault)
        elif fault is not None:
            log.error("a fault in the background", exc_info=fault)
