# SPDX-License-Identifier: LGPL-2.1-or-later
"""The device of one drive, as the service holds it: its locks, its open marker, its worker.

Order: lock of the path, open marker, open by the worker, lock of the identity; given back in
reverse.  A worker that lost its device lives on for a while, ready for the next open.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from typing import Any

from tapeds import errors
from tapeds.events import Signal
from tapeds.names import Field
from tapeds.service.shared import Shared
from tapeds.service.workers import Call, WorkerHandle
from tapeds.state.locks import Lock, LockSet
from tapeds.state.records import OpenMarker
from tapeds.worker.messages import DeviceSpec, DeviceState, Progress

ASK_SECONDS = 0.5

log = logging.getLogger(__name__)


class Device:
    """Locks, opens, closes; one caller at a time, which its drive sees to."""

    def __init__(self, spec: DeviceSpec, shared: Shared) -> None:
        self.spec = spec
        self.opened = False
        self.fields: Callable[[], dict[str, str]] = dict
        self.state_known: Signal[DeviceState] = Signal()
        self.lost: Signal[str] = Signal()       # the worker died while the device was open
        self.stuck: Signal[str] = Signal()      # the worker does not answer, or ("") is gone at last
        self.before: DeviceState | None = None  # of an interrupted lease: to be proved by the next open
        self._shared = shared
        self._known = DeviceState()             # the worker's last word
        self._locks = LockSet()
        self._identity = ""                     # the lock file of what was found there last
        self._marked = False
        self._worker: WorkerHandle | None = None
        self._stuck: WorkerHandle | None = None
        self._unlock_due = False
        self._asked = -ASK_SECONDS
        self._epitaph = ""                      # how the last worker with this device ended
        self._idle: asyncio.TimerHandle | None = None

    @property
    def locked(self) -> bool:
        """Whether this drive's locks are held here."""
        return bool(self._locks.locks)

    @property
    def locks(self) -> tuple[Lock, ...]:
        """The locks of this drive that are held here."""
        return self._locks.locks

    @property
    def worker_pid(self) -> int:
        """The process that has the device, 0 for none."""
        return self._worker.pid if self._worker is not None else 0

    def mark_left_over(self) -> None:
        """A marker of a former run is there: it goes with the next release."""
        self._marked = True

    def resume(self, held: Sequence[Lock], before: DeviceState) -> None:
        """Go on with the locks of a lease that was interrupted; ``before`` is what it knew."""
        for lock in held:
            self._shared.locks.adopt(lock, self.spec.name)
            self._locks.add(lock)
        self.before = before

    def remembered(self) -> DeviceState:
        """What a lease has to find again after an interruption."""
        return self.before or self._known

    def locked_elsewhere(self) -> str | None:
        """Which other drive has a lock of this device, "" for another program, or None.  Raises Io."""
        table = self._shared.locks
        for path in (table.path_lock(self.spec.path), self._identity):
            other = table.held_elsewhere(path, self.spec.name)
            if other is not None:
                return other
        return None

    async def lock(self, seconds: float | None) -> None:
        """Take the locks, waiting at most ``seconds``, None for ever.  Raises Locked, Io."""
        self._check_stuck()
        loop = asyncio.get_running_loop()
        deadline = None if seconds is None else loop.time() + seconds
        table = self._shared.locks
        for path in filter(None, (table.path_lock(self.spec.path), self._identity)):
            self._locks.add(await table.take(path, self.spec.name, deadline))

    async def open(self) -> str:
        """Have the device opened, if it is not; what the worker found left over and mended, "" for nothing.

        Raises DeviceGone, OpenFailed, Locked, Io, DeviceFailed, Internal; InvalidState while a
        former worker still hangs.
        """
        self._check_stuck()
        if self.opened:
            return ""
        opening = asyncio.create_task(self._open())
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            await asyncio.wait({opening})       # it must be known whether there is something to close
            raise

    async def _open(self) -> str:
        worker = await self._ready_worker()
        left_over = self._marked
        try:
            await self._mark(worker)
        except errors.TapeError:
            self._rest()
            raise
        try:
            answer = await worker.open(self.spec, self.before)
        except errors.TapeError:
            self._rest()
            if not left_over and self._worker is worker:
                await self._unmark()
            raise
        self.opened = True
        try:
            await self._lock_identity(worker.state)
        except errors.TapeError:
            await self.close()
            raise
        return str(answer.get("recovered") or "")

    def request(
        self,
        operation: str,
        arguments: dict[str, Any],
        *,
        fd: int | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> Call:
        """Have the open device do ``operation``; ``fd`` is closed here."""
        if self._worker is None or not self.opened:
            if fd is not None:
                os.close(fd)
            raise errors.DeviceFailed(self._epitaph or f"drive {self.spec.name} is not open")
        return self._worker.request(operation, arguments, fd=fd, progress=progress)

    def ask(self) -> None:
        """Have the worker tell its last knowledge some time soon; however often it is asked for."""
        now = asyncio.get_running_loop().time()
        if self._worker is not None and self.opened and now - self._asked >= ASK_SECONDS:
            self._asked = now
            self._worker.ask()

    async def close(self) -> list[str]:
        """Have the device closed, whatever state it is in; the steps that did not work."""
        worker = self._worker
        if not self.opened or worker is None:
            self.opened = False
            return []
        try:
            failed = await worker.release()
        except errors.TapeError as exc:
            failed = [str(exc)]
        self.opened = False
        if self._worker is worker:
            await self._unmark()
            self._rest()
        return failed

    def unlock(self) -> None:
        """Give the locks back; while a worker that hangs still has the device, as soon as it is gone."""
        self.before = None
        self._unlock_due = self._stuck is not None
        if not self._unlock_due:
            self._shared.locks.give_back(self._locks)

    async def shutdown(self, seconds: float) -> None:
        """End the worker; one that hangs is left behind after ``seconds``."""
        self._stop_idling()
        worker, self._worker = self._worker, None
        if worker is not None:
            await worker.end()
        if self._stuck is not None:
            await asyncio.wait({self._stuck.lost}, timeout=seconds)

    def _check_stuck(self) -> None:
        if self._stuck is not None:
            raise errors.InvalidState(
                f"drive {self.spec.name}: {self._stuck.stuck}; wait until worker {self._stuck.pid} has ended"
            )

    # --- the worker -----------------------------------------------------------------------------

    async def _ready_worker(self) -> WorkerHandle:
        self._stop_idling()
        if self._worker is None:
            name = self.spec.name
            worker = await WorkerHandle.start(name, self._shared.worker_command, self._shared.timings)
            worker.fields = self.fields
            worker.on_state = self._learn
            worker.on_stuck = lambda text: self._hangs(worker, text)
            worker.lost.add_done_callback(lambda lost: self._lost(worker, lost.result()))
            self._worker = worker
        return self._worker

    def _learn(self, state: DeviceState) -> None:
        self._known = state
        if self.opened and not state.to_prove:
            self.before = None
        self.state_known.emit(state)

    def _lost(self, worker: WorkerHandle, text: str) -> None:
        if worker is self._stuck:
            self._stuck = None
            if self._unlock_due:
                self.unlock()
            self.stuck.emit("")
        if worker is self._worker:
            self._worker = None
            self._stop_idling()
            if self.opened:
                self.opened = False
                self._epitaph = f"the worker of {self.spec.name} {text}"
                log.error("%s", self._epitaph, extra=self.fields())
                self.lost.emit(self._epitaph)

    def _hangs(self, worker: WorkerHandle, text: str) -> None:
        if worker is self._worker:
            self._worker = None
            self._stuck = worker
            was_open, self.opened = self.opened, False
            self._epitaph = f"drive {self.spec.name}: {text}"
            log.error("%s", self._epitaph, extra=self.fields())
            self.stuck.emit(text)
            if was_open:
                self.lost.emit(self._epitaph)

    def _rest(self) -> None:
        """The worker has no device any more: it may stay for a while."""
        self._stop_idling()
        loop = asyncio.get_running_loop()
        self._idle = loop.call_later(self._shared.timings.idle, self._dismiss)

    def _stop_idling(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _dismiss(self) -> None:
        self._idle = None
        worker, self._worker = self._worker, None
        if worker is not None:
            self._shared.errand(worker.end())

    # --- locks and marker -----------------------------------------------------------------------

    async def _lock_identity(self, state: DeviceState) -> None:
        table = self._shared.locks
        found = table.identity_lock(state.vendor, state.serial)
        if found in (lock.path for lock in self._locks.locks):
            return
        if found:
            deadline = asyncio.get_running_loop().time() + self._shared.timings.lock
            self._locks.add(await table.take(found, self.spec.name, deadline))
        self._identity = found

    async def _mark(self, worker: WorkerHandle) -> None:
        spec = self.spec
        since = int(self._shared.clock() * 1_000_000)
        marker = OpenMarker(name=spec.name, type=spec.kind, path=spec.path, since=since, pid=worker.pid)
        await asyncio.to_thread(self._shared.markers.put, spec.name, marker)
        self._marked = True

    async def _unmark(self) -> None:
        try:
            await asyncio.to_thread(self._shared.markers.remove, self.spec.name)
            self._marked = False
        except errors.Io as exc:
            log.warning("%s", exc, extra={Field.DRIVE: self.spec.name})
