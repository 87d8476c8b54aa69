# SPDX-License-Identifier: LGPL-2.1-or-later
"""The service as a whole: its drives and changers, its start, its configuration, its end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from tapeds import errors
from tapeds.config.load import load
from tapeds.config.models import Config
from tapeds.events import Signal
from tapeds.filesystem import REAL, FileSystem
from tapeds.jobs.job import Job
from tapeds.names import Field, MessageId
from tapeds.service import restart, startup
from tapeds.service.changers import ChangerUnit
from tapeds.service.devices import spec_of
from tapeds.service.drives import DriveUnit
from tapeds.service.numbers import Numbers
from tapeds.service.process import WORKER_COMMAND
from tapeds.service.scan import scan
from tapeds.service.sessions import Session
from tapeds.service.shared import Directories, Shared
from tapeds.service.timings import Timings

__all__ = ["Directories", "Service"]

log = logging.getLogger(__name__)

_SCANNED = ("kind", "device", "tape_device", "by_id", "path", "vendor", "model", "serial", "configured_as")


class Service:
    """Everything that can be done with tapes on this machine.

    ``config_file`` is read again by `reload`.  ``clock`` tells seconds since the epoch.
    """

    def __init__(
        self,
        config: Config,
        dirs: Directories,
        *,
        worker_command: Sequence[str] = WORKER_COMMAND,
        config_file: str | None = None,
        timings: Timings | None = None,
        clock: Callable[[], float] = time.time,
        fs: FileSystem = REAL,
    ) -> None:
        self.shared = Shared(dirs, worker_command=worker_command, timings=timings, clock=clock, fs=fs)
        self.jobs = self.shared.jobs
        self.drives: dict[str, DriveUnit] = {}
        self.changers: dict[str, ChangerUnit] = {}
        self.drive_added: Signal[DriveUnit] = Signal()
        self.drive_removed: Signal[DriveUnit] = Signal()
        self.changer_added: Signal[ChangerUnit] = Signal()
        self.changer_removed: Signal[ChangerUnit] = Signal()
        self.session_added: Signal[Session] = self.shared.sessions.added
        self.session_removed: Signal[Session] = self.shared.sessions.removed
        self.media_requested: Signal[tuple[DriveUnit, Job, dict[str, Any]]] = self.shared.media_requested
        self.media_request_resolved: Signal[tuple[DriveUnit, Job, str]] = self.shared.media_request_resolved
        self.config_generation = 1
        self.config_errors: list[str] = []
        self.config_changed: Signal[Service] = Signal()
        self._config = config
        self._config_file = config_file
        self._numbers = Numbers(self.shared)
        self._lost: list[tuple[Session, str]] = []      # leases that a restart has ended, and why
        self._reading = asyncio.Lock()
        self._stopping = False
        for name in config.drives:
            self._add(name)

    @property
    def sessions(self) -> dict[int, Session]:
        """All leases, by number."""
        return self.shared.sessions.all

    # --- start and end --------------------------------------------------------------------------

    async def start(self, legacy: restart.Legacy | None = None) -> None:
        """Make the directories, find out which drives are there, mend what the last run left behind.

        ``legacy`` brings the leases back that a restart has kept.  Raises Io.
        """
        await startup.make_directories(self.shared)
        await self._numbers.begin()
        await startup.remember(self.shared)
        if legacy is not None:
            self._lost = await restart.resume(self.shared, self.drives, legacy)
        units = list(self.drives.values())
        await startup.hush(self.shared, units)
        await startup.look(self.shared, units)

    def tell_losses(self) -> None:
        """Tell the end of the leases that a restart has ended, once the service can be heard."""
        lost, self._lost = self._lost, []
        for session, cause in lost:
            self.shared.sessions.strike(session, cause)

    async def stop(self, cause: str = "shutdown", *, store: restart.Store | None = None) -> None:
        """End every job at a block boundary, every lease with ``cause``, every worker.

        ``store``: this is a restart; leases do not end, their locks are kept there.
        """
        self._stopping = True
        self.tell_losses()
        what, later = ("shutting down", "later") if store is None else ("restarting", "in a moment")
        self.shared.admissions.close(errors.Busy(f"the daemon is {what}; try again {later}"))
        for job in self.jobs.live():
            unit = self._drive_of(job)
            if unit is not None:
                unit.stop_job(job, "Cancelled", f"the daemon is {what}")
        if store is None:
            await asyncio.gather(
                *(session.drive.end_session(session, cause) for session in list(self.sessions.values()))
            )
        await asyncio.gather(*(job.ended() for job in self.jobs.live()))
        await self.shared.settle()
        if store is not None:
            await restart.keep(self.shared, store)
        await self._numbers.end()
        grace = self.shared.timings.grace
        await asyncio.gather(*(unit.shut(grace) for unit in self.drives.values()))
        await self.shared.settle()
        self.jobs.close()

    def caller_vanished(self, name: str) -> None:
        """The connection ``name`` is gone: what was only for it ends."""
        self.shared.admissions.vanished(name)
        for job in self.jobs.live():
            unit = self._drive_of(job)
            if unit is not None and job.owner.name == name and job.needs_owner:
                unit.stop_job(job, "ClientGone", "the caller went away; stay on the bus until its end")
        for session in list(self.sessions.values()):
            if session.owner == name and session.binding == "client" and not session.ending:
                if session.kept:
                    continue                 # the next run looks for itself
                self.shared.errand(session.drive.end_session(session, "client-vanished"))

    # --- configuration --------------------------------------------------------------------------

    async def reload(self) -> int:
        """Read the configuration again; the new generation.

        Drives that are not idle keep their section until they are, and are listed in
        `config_errors`.  Raises InvalidConfig; then nothing has changed.
        """
        async with self._reading:
            config = await asyncio.to_thread(load, self._config_file)
            if self._stopping:
                raise errors.Busy("the daemon is shutting down; try again later")
            self._config = config
            self.config_generation += 1
            self._apply()
            log.info("configuration %d has %d drives", self.config_generation, len(config.drives))
            await self._look()
            return self.config_generation

    async def scan(self) -> list[dict[str, Any]]:
        """The drives and changers of this machine, and the configured directories."""
        nodes = await asyncio.to_thread(scan, self.shared.dirs.sysfs, self._config.drives)
        return [
            {key.replace("_", "-"): value for key in _SCANNED if (value := getattr(node, key))}
            for node in nodes
        ]

    async def _look(self) -> None:
        await startup.look(self.shared, [unit for unit in self.drives.values() if not unit.present])

    def _apply(self) -> None:
        """Make the drives what the configuration says, as far as they are idle."""
        wanted = self._config.drives
        waiting = []
        for name, unit in list(self.drives.items()):
            section = wanted.get(name)
            spec = spec_of(name, section, self.shared.dirs) if section is not None else None
            if spec == unit.handle.spec:
                continue
            if not unit.idle:
                what = "its new section" if spec is not None else "its removal"
                waiting.append(f"drive {name} is in use; {what} takes effect as soon as it is idle")
            elif spec is None:
                self._remove(name)
            else:
                unit.reconfigure(spec)
        for name in wanted:
            if name not in self.drives:
                self._add(name)
        for text in waiting:
            if text not in self.config_errors:
                log.warning("%s", text, extra={Field.MESSAGE_ID: MessageId.CONFIG_ERROR, Field.ERROR: text})
        self.config_errors = waiting
        self.config_changed.emit(self)

    def _idle(self, unit: DriveUnit) -> None:
        """A drive has become idle: its section may be waiting for that."""
        if self.config_errors and unit.idle and not self._stopping:
            self._apply()
            self.shared.errand(self._look())

    def _add(self, name: str) -> None:
        unit = DriveUnit(spec_of(name, self._config.drives[name], self.shared.dirs), self.shared)
        unit.released.connect(self._idle)
        self.drives[name] = unit
        self.drive_added.emit(unit)
        self.changers[name] = ChangerUnit(unit)
        self.changer_added.emit(self.changers[name])

    def _remove(self, name: str) -> None:
        self.changer_removed.emit(self.changers.pop(name))
        unit = self.drives.pop(name)
        self.drive_removed.emit(unit)
        unit.remove()

    def _drive_of(self, job: Job) -> DriveUnit | None:
        return next((unit for unit in self.drives.values() if unit.path in job.objects), None)
