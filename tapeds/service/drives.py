# SPDX-License-Identifier: LGPL-2.1-or-later
"""One drive: who may use it, the job it does, and what becomes of it when either ends.

Checks come in the order lease, present, busy, device; whatever they find is raised before there
is a job.  A job that was accepted has the drive's locks and its device open.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from tapeds import errors, names
from tapeds.events import Signal
from tapeds.jobs.caller import Caller
from tapeds.jobs.job import Job, Result, TransferView
from tapeds.names import Field
from tapeds.service import operations, queries, requests, transfers
from tapeds.service.descriptors import Owned
from tapeds.service.leases import Hold
from tapeds.service.operations import Row
from tapeds.service.sessions import LONGEST_TTL_SECONDS, Session
from tapeds.service.shared import Shared
from tapeds.service.tenure import Tenure
from tapeds.worker.messages import DeviceSpec, DeviceState, Progress

log = logging.getLogger(__name__)

Finish = Callable[[Result], Result]


class DriveUnit(Tenure):
    """A configured drive, present or not."""

    def __init__(self, spec: DeviceSpec, shared: Shared) -> None:
        super().__init__(spec, shared)
        self.request: requests.MediaRequest | None = None
        self.answer = queries.Answer()       # the last status
        self.questions: queries.Questions = {}
        self.elements_seen: Signal[list[dict[str, Any]]] = Signal()

    def learn(self, state: DeviceState) -> None:
        """Show what the worker knows."""
        self.answer.hear(state)
        super().learn(state)

    def reconfigure(self, spec: DeviceSpec) -> None:
        """Be the drive of ``spec`` from now on, of which nothing is known yet; only while idle."""
        super().reconfigure(spec)
        self.answer = queries.Answer()
        self.elements_seen.emit([])

    # --- what callers ask -----------------------------------------------------------------------

    async def start(
        self,
        caller: Caller,
        operation: str,
        arguments: Mapping[str, Any],
        *,
        session: str = "",
        detach: bool = False,
    ) -> Job:
        """A job that does ``operation``.  Raises what the checks find."""
        return await self.launch(caller, operation, dict(arguments), session=session, detach=detach)

    async def start_read(
        self,
        caller: Caller,
        arguments: Mapping[str, Any],
        *,
        session: str = "",
        fd: int | None = None,
        detach: bool = False,
    ) -> tuple[Job, int | None]:
        """Read the next file into ``fd``, which is closed here, or into a pipe, whose end is returned."""
        return await transfers.start(self, "read", caller, arguments, session=session, fd=fd, detach=detach)

    async def start_write(
        self,
        caller: Caller,
        arguments: Mapping[str, Any],
        *,
        session: str = "",
        fd: int | None = None,
        detach: bool = False,
    ) -> tuple[Job, int | None]:
        """Write a file from ``fd``, which is closed here, or from a pipe whose end is returned."""
        return await transfers.start(self, "write", caller, arguments, session=session, fd=fd, detach=detach)

    async def request_media(
        self,
        caller: Caller,
        media: Mapping[str, Any],
        *,
        session: str = "",
        detach: bool = False,
        timeout: int = 0,
        interval: int = 5,
    ) -> Job:
        """Load a medium or wait until somebody does.  The job ends with the drive leased."""
        wanted = requests.Wanted.of(media)
        return await requests.start(
            self, caller, wanted, session=session, detach=detach, timeout=timeout, interval=interval
        )

    async def status(self, caller: Caller, session: str = "") -> dict[str, Any]:
        """What is known of drive and medium; asked anew only where that needs no waiting."""
        return await queries.status(self, caller, session)

    async def current_file_number(self, caller: Caller, session: str = "") -> int:
        """The file in which the head stands, asked of the drive.  Raises Busy while a job runs."""
        return await queries.current_file_number(self, caller, session)

    async def acquire(
        self,
        caller: Caller,
        *,
        bind: str = "client",
        ttl: int = 0,
        timeout: int = 10,
        reason: str = "",
        session: str = "",
    ) -> Session:
        """A lease of the drive, as soon as everybody before has had it.

        ``ttl`` and ``timeout`` are seconds, ``ttl`` 0 is for ever.  ``bind`` "none" binds it to the
        user alone and needs a ``ttl``.  Whoever acts under ``session`` has the drive already and
        would wait for itself.  Raises Locked, AlreadyAcquired, LimitsExceeded, InvalidState for a
        ``session`` that is none, InvalidOption, ClientGone, and what opening the device finds.
        """
        if bind not in ("client", "none"):
            raise errors.InvalidOption(f"bind is client or none, not {bind!r}")
        if ttl > LONGEST_TTL_SECONDS:
            raise errors.InvalidOption(f"ttl {ttl} is too long; the longest is {LONGEST_TTL_SECONDS} seconds")
        if bind == "none" and not ttl:
            raise errors.InvalidOption("bind=none needs a ttl in seconds: no connection ends such a lease")
        held = self.lease.tenant(caller, session) if session else self.session
        if held is not None and (session or held.owner == caller.name) and not held.ending:
            who = "whoever passes it" if session else "this connection"
            raise errors.AlreadyAcquired(f"{who} has drive {self.name} already, by {held.path}; use that")
        hold = Hold(caller, "acquire")
        seconds = None if timeout == names.FOR_EVER else float(timeout)
        async with self._entering(caller, hold, seconds):
            lease = self.shared.sessions.open(self, caller, binding=bind, ttl=ttl, reason=reason)
            hold.session = lease
            try:
                await self.tell()
            except asyncio.CancelledError:
                self.shared.sessions.strike(lease, "client-vanished")
                raise
        self.changed.emit(self)
        return lease

    # --- the job --------------------------------------------------------------------------------

    async def launch(
        self,
        caller: Caller,
        operation: str,
        arguments: dict[str, Any],
        *,
        session: str = "",
        detach: bool = False,
        fd: int | None = None,
        transfer: TransferView | None = None,
        objects: tuple[str, ...] = (),
        finish: Finish | None = None,
    ) -> Job:
        """Admit and start a job; ``fd`` is closed here in any case, ``finish`` shapes the result."""
        with Owned(fd) as mine:
            row = operations.row(operation)
            hold = await self.enter(caller, operation, session)
            body = partial(self._run, hold=hold, row=row, arguments=arguments, fd=fd, finish=finish)
            job = await self.begin(
                caller, operation, hold, body, detach=detach, transfer=transfer, objects=objects
            )
            mine.take()
        return job

    async def begin(
        self,
        caller: Caller,
        operation: str,
        hold: Hold,
        body: Callable[[Job], Any],
        *,
        detach: bool,
        transfer: TransferView | None = None,
        objects: tuple[str, ...] = (),
    ) -> Job:
        """Start the job of an admitted caller.  Raises LimitsExceeded, having left."""
        row = operations.row(operation)
        session = hold.session
        try:
            self.job = self.shared.jobs.start(
                operation,
                (self.path, *objects),
                caller,
                body,
                session=session.path if session is not None else names.NO_PATH,
                transfer=transfer,
                cancelable=row.cancelable,
                detached=detach or not row.attended,
                facts={**self.fields(), Field.CHANGER: self.name if objects else ""},
            )
        except errors.LimitsExceeded:
            await self.leave(hold)
            raise
        self.changed.emit(self)
        return self.job

    async def _run(
        self,
        job: Job,
        *,
        hold: Hold,
        row: Row,
        arguments: dict[str, Any],
        fd: int | None,
        finish: Finish | None,
    ) -> Result:
        try:
            call = self.handle.request(row.request, arguments, fd=fd, progress=partial(self.progress, job))
            job.attach(call)
            self.retell()
            data = await self.whole(await call.result(), needed=row.request == "inventory")
            self.done(row, arguments, data)
            if row.stales_inventory:
                await self._look_at_elements()
            return finish(data) if finish is not None else data
        except errors.TapeError as exc:
            transfers.tell_the_rest(job, exc)
            self.failed(exc)
            if row.synchronizes and isinstance(exc, errors.DeviceError):
                self.doubt_durability()
            raise
        finally:
            if hold.session is None:
                job.enter("finishing", f"releasing {self.name}")
            await self.over(job, hold)

    def progress(self, job: Job, news: Progress) -> None:
        """The worker tells how far it is."""
        if job.transfer is not None:
            if news.file is not None:
                job.transfer.file_number = news.file
            job.transfer.early_warning = job.transfer.early_warning or news.early_warning
        job.facts.update(self.fields())
        job.advance(news.done, news.total, news.message)

    def done(self, row: Row, arguments: Mapping[str, Any], data: Result) -> None:
        """A request has gone well."""
        if row.proves_position:
            self.prove_position()
        if arguments.get("durable") is False and isinstance(data.get("file"), int):
            self.answered_undurable(data["file"])
        if "elements" in data:
            self.elements_seen.emit(data["elements"])
        uuid, text = self.media.get("uuid"), self.media.get("label-text")
        if uuid and text and self.shared.labels.get(uuid) != text:
            self.shared.errand(queries.remember_label(self))

    async def whole(self, data: Result, *, needed: bool = False) -> Result:
        """``data`` with the whole inventory, of which a worker sends as much as a packet holds.

        Unless it is ``needed``, without any when it cannot be had: the cartridge has been moved all the same.
        """
        if "elements" not in data:
            return data
        elements, more = list(data["elements"]), data.get("more", False)
        told = {key: value for key, value in data.items() if key not in ("elements", "more")}
        try:
            while more:
                page = await self.handle.request("inventory", {"first": len(elements)}).result()
                elements += page["elements"]
                more = page.get("more", False) and page["elements"]
        except errors.TapeError as exc:
            if needed:
                raise
            self._inventory_is_stale(exc)
            return told
        return {**told, "elements": elements}

    async def _look_at_elements(self) -> None:
        try:
            data = await self.whole(await self.handle.request("inventory", {}).result(), needed=True)
        except errors.TapeError as exc:
            self._inventory_is_stale(exc)
        else:
            self.elements_seen.emit(data.get("elements", []))

    def _inventory_is_stale(self, why: errors.TapeError) -> None:
        log.warning("drive %s: the inventory is out of date: %s", self.name, why, extra=self.log_fields())

    async def over(self, job: Job, hold: Hold) -> None:
        """The job's work has ended: the drive is free again, or its lease's."""
        absent = not self.present
        job.facts.update(self.fields())
        await self.leave(hold)
        self.job = None
        if hold.session is not None:
            self.retell()
            if absent:
                self.shared.errand(self.end_session(hold.session, "device-gone"))
        self.changed.emit(self)
