# SPDX-License-Identifier: LGPL-2.1-or-later
"""One job: its state, its progress, its end, and the few things that can be asked of it.

The states are ``running``, ``waiting`` (for a person), ``finishing``, ``canceling``, ``finished``;
the results ``done``, ``failed``, ``canceled``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from tapeds import errors, names
from tapeds.events import Signal
from tapeds.jobs.caller import Caller
from tapeds.jobs.meter import Meter

ANNOUNCE_SECONDS = 0.5

Result = dict[str, Any]
"""What a job found out, by kebab-case key."""


class Control(Protocol):
    """What stands behind a running job: the request in its worker, or a wait for a person."""

    def cancel(self, error: str, text: str) -> None:
        """Stop as soon as possible; the body then ends in the error of that name."""

    async def commit(self, size: int, sha256: str) -> None:
        """The caller has given ``size`` bytes.  Raises what the worker refuses it with."""

    async def abort(self) -> None:
        """Close the file as incomplete now."""


@dataclass
class TransferView:
    """What a transfer shows beside its job."""

    direction: str                          # "read" | "write"
    file_number: int = names.UNKNOWN
    early_warning: bool = False
    uncommitted: bool = False               # only a commit, which did not come yet, makes the file whole


class Job:
    """A job, from its acceptance until it is forgotten.  Times are microseconds since the epoch."""

    def __init__(
        self,
        number: int,
        operation: str,
        objects: tuple[str, ...],
        owner: Caller,
        *,
        session: str = names.NO_PATH,
        transfer: TransferView | None = None,
        cancelable: bool = True,
        detached: bool = False,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        self.id = number
        self.operation = operation
        self.objects = objects
        self.owner = owner
        self.session = session
        self.transfer = transfer
        self._cancelable = cancelable
        self.detached = detached
        self.facts: dict[str, str] = {}     # journal fields beside the job's own
        self.start_time = int(clock() * 1_000_000)
        self.end_time = 0
        self.expected_end_time = 0
        self.state = "running"
        self.progress_valid = False
        self.progress = 0.0
        self.bytes_done = 0
        self.bytes_total = 0
        self.rate = 0
        self.message = ""
        self.prompt: Result = {}
        self.result = ""
        self.error: errors.TapeError | None = None
        self.result_data: Result = {}
        self.changed: Signal[Job] = Signal()
        self.advanced: Signal[Job] = Signal()
        self.completed: Signal[Job] = Signal()
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._meter = Meter(monotonic or self._loop.time)
        self._announced = self._loop.time()
        self._announcement: asyncio.TimerHandle | None = None
        self._done: asyncio.Future[None] = self._loop.create_future()
        self._control: asyncio.Future[Control] = self._loop.create_future()

    def __str__(self) -> str:
        return f"job {self.id} ({self.operation})"

    @property
    def error_name(self) -> str:
        """The class name of the job's error, or ""."""
        return self.error.name if self.error else ""

    @property
    def error_message(self) -> str:
        """The text of the job's error, or ""."""
        return str(self.error) if self.error else ""

    @property
    def cancelable(self) -> bool:
        """Whether a cancel would be accepted now."""
        return self._cancelable and self.state not in ("canceling", "finished")

    @property
    def finished(self) -> bool:
        """Whether the job has ended."""
        return self.state == "finished"

    @property
    def needs_owner(self) -> bool:
        """Whether the job is pointless once its owner has left the bus: nobody else may commit a file."""
        return not self.detached or (self.transfer is not None and self.transfer.uncommitted)

    def since(self) -> str:
        """When the job began, for a text."""
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.start_time / 1_000_000))

    async def ended(self) -> None:
        """Wait for the end, whatever it is."""
        await asyncio.shield(self._done)

    # --- for the holder of the job --------------------------------------------------------------

    async def wait(self) -> Result:
        """The job's result, once it has ended.  Raises the job's own error."""
        await self.ended()
        if self.error is not None:
            raise type(self.error)(str(self.error), self.error.data)
        return self.result_data

    def cancel(self, caller_text: str = "") -> None:
        """Ask the job to stop; ``caller_text`` says who asks.

        Raises JobFinished, AlreadyCancelled, InvalidState for a job that cannot be stopped.
        """
        if not self.finished and not self._cancelable:
            raise errors.InvalidState(f"{self} cannot be cancelled; it ends by itself, wait for it")
        self.stop("Cancelled", f"{self} was cancelled" + (f" by {caller_text}" if caller_text else ""))

    def stop(self, error: str, text: str) -> None:
        """Let the job end in the error of that name.  Raises JobFinished, AlreadyCancelled."""
        if self.finished:
            raise errors.JobFinished(f"{self} has ended already")
        if self.state == "canceling":
            raise errors.AlreadyCancelled(f"{self} is being cancelled already; wait for its end")
        self.state = "canceling"
        self.message = f"stopping {self.operation} at the next point where it can be stopped"
        self._control.add_done_callback(lambda control: control.result().cancel(error, text))
        self.announce()

    async def commit(self, size: int, sha256: str = "") -> None:
        """Tell that the caller has given ``size`` bytes; ``sha256`` is their digest in hex, or "".

        Raises JobFinished, InvalidOption, InvalidState for a job that takes no data.
        """
        if self.transfer is None or self.transfer.direction != "write":
            raise errors.InvalidState(f"{self} takes no data; only a write can be committed")
        control = await self._controlled()
        try:
            await control.commit(size, sha256)
        except errors.TapeError as exc:
            raise self._of_this_job(exc) from exc
        self.transfer.uncommitted = False

    async def abort(self) -> None:
        """Close the file as incomplete now; a read is cancelled.  Raises JobFinished, InvalidState."""
        if self.transfer is None:
            raise errors.InvalidState(f"{self} is no transfer; cancel it instead")
        if self.transfer.direction == "read":
            self.stop("Cancelled", f"{self} was given up by its caller")
            return
        control = await self._controlled()
        try:
            await control.abort()
        except errors.TapeError as exc:
            raise self._of_this_job(exc) from exc

    def _of_this_job(self, refusal: errors.TapeError) -> errors.TapeError:
        """``refusal`` of a worker, which knows no jobs, in the words of whoever knows them."""
        return type(refusal)(f"{self}: {refusal}", refusal.data)

    async def _controlled(self) -> Control:
        if not self.finished:
            either: set[asyncio.Future[Any]] = {self._control, self._done}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if self.finished:
            raise errors.JobFinished(f"{self} has ended already")
        return self._control.result()

    # --- for the body of the job ----------------------------------------------------------------

    def attach(self, control: Control) -> None:
        """Give the job, once, what its cancel, commit and abort go to; what was asked before arrives now."""
        self._control.set_result(control)

    def advance(self, done: int, total: int = 0, message: str = "") -> None:
        """Tell how far the job is; ``total`` 0 when not known."""
        self.bytes_done, self.bytes_total = done, total
        self._meter.update(done)
        self.rate = self._meter.rate
        self.progress_valid = total > 0
        self.progress = min(1.0, done / total) if total else 0.0
        left = self._meter.seconds_left(total) if total else None
        self.expected_end_time = 0 if left is None else int((self._clock() + left) * 1_000_000)
        if message and self.state == "running":
            self.message = message
        self.advanced.emit(self)
        self.announce(soon=True)

    def enter(self, state: str, message: str = "", prompt: Result | None = None) -> None:
        """Go to ``state``; a job that is being cancelled stays so."""
        if self.state != "canceling":
            self.state, self.message = state, message
        self.prompt = dict(prompt or {})
        self.announce()

    def end(self, data: Result, error: errors.TapeError | None = None) -> None:
        """Finish: ``data`` is the result, or what is known of a failure."""
        self.error = error
        self.result_data = dict(data)
        self._take_last_numbers(data)
        if error is None:
            self.result = "done"
        else:
            self.result = "canceled" if isinstance(error, errors.Cancelled) else "failed"
        self.state, self.message, self.prompt = "finished", "", {}
        self.end_time = int(self._clock() * 1_000_000)
        self.expected_end_time = self.end_time
        if error is None and self.progress_valid:
            self.progress = 1.0
        self.announce()
        self._done.set_result(None)
        self.completed.emit(self)

    def _take_last_numbers(self, data: Result) -> None:
        """What was told last on the way is half a second old; the result is not."""
        done = data.get("bytes")
        if not isinstance(done, int):
            return
        self.bytes_done = done
        if self.progress_valid:
            self.progress = min(1.0, done / self.bytes_total)
        if self.transfer is not None:
            self.transfer.file_number = data.get("file", self.transfer.file_number)
            self.transfer.early_warning = data.get("early-warning", self.transfer.early_warning)

    def announce(self, *, soon: bool = False) -> None:
        """Emit `changed`, now, or ``soon``: at most once in `ANNOUNCE_SECONDS`."""
        wait = self._announced + ANNOUNCE_SECONDS - self._loop.time()
        if soon and wait > 0:
            if self._announcement is None:
                self._announcement = self._loop.call_later(wait, self.announce)
            return
        if self._announcement is not None:
            self._announcement.cancel()
            self._announcement = None
        self._announced = self._loop.time()
        self.changed.emit(self)
