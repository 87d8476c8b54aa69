# SPDX-License-Identifier: LGPL-2.1-or-later
"""Coming into a drive and going out again: lease, locks, open device, and the end of a session.

Whoever has ``turn`` talks to the device.  A job has it from its admission to its end, a question
for as long as it takes, a session only while one of these runs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from tapeds import errors
from tapeds.events import Signal
from tapeds.jobs import tasklog
from tapeds.jobs.caller import Caller
from tapeds.jobs.job import Job
from tapeds.names import Field, MessageId
from tapeds.service.device import Device
from tapeds.service.devices import is_there
from tapeds.service.leases import Hold
from tapeds.service.sessions import Session
from tapeds.service.shared import Shared
from tapeds.service.view import DriveView
from tapeds.state.locks import Lock
from tapeds.worker.messages import DeviceSpec, DeviceState

TELL_SECONDS = 0.02

log = logging.getLogger(__name__)

_ABSENT = (errors.DeviceGone, errors.NotPresent)
_CAUSES = {
    "client-vanished": ("ClientGone", "the owner of the lease went away; stay on the bus or use bind=none"),
    "released": ("Cancelled", "the lease was released"),
    "expired": ("Cancelled", "the lease has expired"),
    "shutdown": ("Cancelled", "the daemon is shutting down"),
    "device-gone": ("DeviceGone", "the device is gone"),
}


class Tenure(DriveView):
    """A drive with its doors; `DriveUnit` adds what is done behind them."""

    def __init__(self, spec: DeviceSpec, shared: Shared) -> None:
        super().__init__(spec.name, spec.kind, spec.path)
        self.shared = shared
        self.released: Signal[Any] = Signal()  # nobody has the drive any more, unless somebody waited for it
        self.turn = asyncio.Lock()
        self.handle: Device
        self.removed = False                 # not configured any more: whoever was on the way finds nothing
        self._starting = ""                  # the operation being admitted
        self._told: str | None = None        # the state file
        self._telling = asyncio.Lock()
        self._retelling: asyncio.Task[None] | None = None
        self.configure(spec)

    def configure(self, spec: DeviceSpec) -> None:
        """Be the drive of ``spec``."""
        self.type, self.configured_path = spec.kind, spec.path
        self.handle = Device(spec, self.shared)
        self.handle.fields = self.log_fields
        self.handle.state_known.connect(self.learn)
        self.handle.lost.connect(lambda text: self.doubt_position())
        self.handle.stuck.connect(self._hangs)

    def reconfigure(self, spec: DeviceSpec) -> None:
        """Be the drive of ``spec`` from now on, of which nothing is known yet; only while idle."""
        self.shared.errand(self.handle.shutdown(0.0))
        self.configure(spec)
        self.learn(DeviceState())
        self.fault = ""
        self.set_present(False)
        self.changed.emit(self)

    def remove(self) -> None:
        """Be no drive any more; only while idle."""
        self.removed = True
        self.shared.errand(self.shut(self.shared.timings.grace))

    def check_configured(self) -> None:
        """Raises NoSuchDrive for a drive that was removed after it had been looked up."""
        if self.removed:
            raise errors.NoSuchDrive(f"drive {self.name} is not configured any more; choose another one")

    async def shut(self, seconds: float) -> None:
        """End the worker; one that hangs is left behind after ``seconds``."""
        async with self.turn:
            await self.handle.shutdown(seconds)

    @property
    def idle(self) -> bool:
        """Whether nobody has the drive and nobody is about to."""
        return self.lease.hold is None and not self.lease.waiting and not self.turn.locked()

    @property
    def busy(self) -> bool:
        """Whether a job runs, or is being admitted."""
        return self.job is not None or bool(self._starting)

    def refusal(self) -> errors.Busy:
        """The error for whoever comes while the drive is busy."""
        what = self.job or self._starting or "another request"
        return errors.Busy(f"drive {self.name} is busy with {what}; wait for its end")

    def lock_holder(self) -> str:
        """session, job, external or "", found out now; a lock that cannot be looked at counts as free."""
        if self.session is not None:
            return "session"
        if self.handle.locked:
            return "job"
        try:
            other = self.handle.locked_elsewhere()
        except errors.Io as exc:
            log.warning("%s", exc, extra=self.log_fields())
            return ""
        if not other:
            return "" if other is None else "external"
        leases = self.shared.sessions.all.values()      # the same device under another name of ours
        return "session" if any(lease.drive.name == other for lease in leases) else "job"

    def log_fields(self) -> dict[str, str]:
        """Journal fields of what happens on this drive now."""
        job = self.job
        return self.fields() if job is None else {**tasklog.fields(job), **self.fields()}

    @asynccontextmanager
    async def _entering(self, caller: Caller, hold: Hold, seconds: float | None) -> AsyncIterator[None]:
        """Wait for the drive, lock and open it for a lease; undone if the block fails."""
        loop = asyncio.get_running_loop()
        deadline = None if seconds is None else loop.time() + seconds
        with self.shared.admissions.enter(caller) as admission:
            self.shared.sessions.check_limit(caller)
            await admission.wait(self.lease.wait(hold, seconds))
            try:
                async with self.turn:
                    self.check_configured()
                    left = None if deadline is None else max(0.0, deadline - loop.time())
                    await admission.wait(self.handle.lock(left))
                    await self.open()
                    admission.check()
                    yield
            except BaseException:
                async with self.turn:
                    await self._give_back(hold)
                raise

    async def enter(self, caller: Caller, operation: str, session: str) -> Hold:
        """Admit a job: on return its drive is locked, open, and `turn` is taken for it."""
        with self.shared.admissions.enter(caller) as admission:
            self.shared.jobs.check_limit(caller)
            tenant = self.lease.tenant(caller, session)
            if self.busy:
                raise self.refusal()
            hold = self.lease.hold if tenant is not None else None
            if hold is None:
                hold = Hold(caller, operation)
                self.lease.take(hold)
            self._starting = operation
            try:
                await self.turn.acquire()
                try:
                    self.check_configured()
                    if tenant is None:
                        await admission.wait(self.handle.lock(self.shared.timings.lock))
                    await self.open()
                    admission.check()
                    if tenant is not None and tenant.ending:
                        raise errors.InvalidState(f"{tenant} has ended; acquire drive {self.name} again")
                except BaseException:
                    await self.leave(hold)
                    raise
            except BaseException as exc:
                if tenant is None:
                    self.lease.drop(hold)
                elif isinstance(exc, errors.NotPresent):
                    self.shared.errand(self.end_session(tenant, "device-gone"))
                raise
            finally:
                self._starting = ""
            return hold

    async def visit(self) -> None:
        """Open and release the device, if nobody has it open: whatever was left over is mended by that.

        Raises Locked, and what opening finds.
        """
        async with self.turn:
            kept = self.handle.before is not None
            if self.lease.hold is not None and not kept:
                return                       # whoever has it has opened it, or is about to
            try:
                if not kept:
                    await self.handle.lock(0.0)
                await self.open()
            finally:
                await self.close()
                if not kept:
                    self.handle.unlock()
                    self.rested()

    async def leave(self, hold: Hold) -> None:
        """Undo `enter`: what was taken for this job alone is given back; a lease keeps its own."""
        if hold.session is None:
            await self._give_back(hold)
        self.turn.release()

    async def open(self) -> None:
        """Have the device open, and note whether it is there.

        Raises NotPresent, NoSuchDrive and what opening finds.
        """
        self.check_configured()
        try:
            recovered = await self.handle.open()
        except _ABSENT as exc:
            self.set_present(False)
            raise errors.NotPresent(f"drive {self.name} is not present: {exc}") from exc
        self.set_present(True)
        self.fault = ""
        if recovered:
            extra = {**self.log_fields(), Field.MESSAGE_ID: MessageId.RECOVERED}
            log.warning("drive %s: %s", self.name, recovered, extra=extra)

    async def close(self) -> None:
        """Have the device closed; what did not work becomes the drive's fault, if it is there at all."""
        was_open = self.handle.opened
        failed = await self.handle.close()
        if failed:
            fault = f"release of {self.name} failed: {'; '.join(failed)}"
            log.error("%s", fault, extra=self.log_fields())
            self.set_present(await asyncio.to_thread(is_there, self.handle.spec))
            self.fault = fault if self.present else ""
            self.doubt_position()
        elif was_open:
            self.synchronized()

    async def _give_back(self, hold: Hold) -> None:
        await self.close()
        await self.tell("")
        self.handle.unlock()
        self._drop(hold)

    def _drop(self, hold: Hold) -> None:
        self.lease.drop(hold)
        self.changed.emit(self)
        self.rested()

    def rested(self) -> None:
        """Nobody talks to the device any more, once this turn of the loop is over."""
        asyncio.get_running_loop().call_soon(self.released.emit, self)

    def failed(self, error: errors.TapeError) -> None:
        """A request has failed."""
        if isinstance(error, _ABSENT):
            self.set_present(False)

    async def hush(self) -> None:
        """Empty the state text of an earlier run, unless somebody has the drive."""
        async with self.turn:
            if self.lease.hold is not None:
                return                       # whoever has it says what for
            try:
                await self.handle.lock(0.0)
                await self.tell("")
            except errors.TapeError as exc:
                log.info("the state text stays: %s", exc, extra=self.log_fields())
            finally:
                self.handle.unlock()

    # --- the end of a lease ---------------------------------------------------------------------

    async def end_session(self, session: Session, cause: str, *, breaker: Caller | None = None) -> None:
        """End ``session`` and what it does; returns when the drive is released and the next one's."""
        session.check_not_kept()
        if session.ending:
            await asyncio.shield(session.gone)
            return
        session.ending = True
        if breaker is not None:
            extra = {
                **self.log_fields(),
                Field.MESSAGE_ID: MessageId.LEASE_BROKEN,
                Field.CALLER: breaker.name,
                Field.CALLER_UID: str(breaker.uid),
            }
            owner = session.holder()
            log.warning("%s of %s on %s was broken by %s", session, owner, self.name, breaker, extra=extra)
        job = self.job
        if job is not None:
            by = f" by {breaker}" if breaker is not None else ""
            self.stop_job(job, *_CAUSES.get(cause, ("Cancelled", f"the lease was {cause}{by}")))
            await job.ended()
        async with self.turn:
            hold = self.lease.hold
            if hold is None or hold.session is not session:
                self.shared.sessions.strike(session, cause)
                return
            await self.close()
            await self.tell("")
            self.handle.unlock()
            self.shared.sessions.strike(session, cause)
            self._drop(hold)

    async def suspend(self, session: Session) -> None:
        """Release the device of ``session``, which keeps drive and locks."""
        async with self.turn:
            hold = self.lease.hold
            if hold is not None and hold.session is session:
                await self.close()
                await self.tell(session.text())

    def resume(self, session: Session, held: Sequence[Lock], before: DeviceState) -> None:
        """Be leased by ``session``, which a restart has kept; its first use opens the device again."""
        owner = Caller(session.owner, session.owner_uid, session.owner_pid)
        self.lease.take(Hold(owner, "acquire", session))
        self.handle.resume(held, before)
        self.retell()

    def stop_job(self, job: Job, error: str, text: str) -> None:
        """Let ``job`` end early if it can; one that cannot be stopped, or is being, just ends."""
        if job.cancelable:
            job.stop(error, f"{job}: {text}")

    # --- what others are told -------------------------------------------------------------------

    async def tell(self, text: str | None = None) -> bool:
        """Write the state file: ``text``, by default what the drive is used for now; whether it is there."""
        async with self._telling:
            shown = self.text() if text is None else text
            if shown == self._told:
                return True
            self._told = None                # of a write that fails or is broken off nobody knows
            try:
                await asyncio.to_thread(self.shared.texts.set, self.name, shown)
            except errors.Io as exc:
                log.warning("%s", exc, extra=self.log_fields())
                return False
            self._told = shown
            return True

    def retell(self) -> None:
        """Write the state file soon: the text has changed.  A job does not wait for that."""
        self.changed.emit(self)
        if self._retelling is None or self._retelling.done():
            self._retelling = self.shared.errand(self._tell_soon())

    async def _tell_soon(self) -> None:
        await asyncio.sleep(TELL_SECONDS)
        while self.handle.locked and self.text() != self._told:     # it may change while it is written
            if not await self.tell():
                return                       # the next news tries again

    def _hangs(self, text: str) -> None:
        self.fault = text
        self.changed.emit(self)
