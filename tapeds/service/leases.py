# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who has a drive, who waits for it, and how a wait is broken off.

One drive has one holder: a session, or a job that was started without one.  Those who want to
acquire it wait in the order in which they came; jobs never wait for each other.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from tapeds import errors
from tapeds.jobs.caller import Caller

if TYPE_CHECKING:
    from tapeds.service.sessions import Session

REQUESTS_PER_CONNECTION = 16           # that wait for a drive

T = TypeVar("T")


@dataclass(eq=False)
class Hold:
    """A holder: ``session`` is None for a job without one, and while the session is being made."""

    caller: Caller
    what: str                              # "rewind", "acquire"
    session: Session | None = None

    def holder(self) -> str:
        """Who holds, for a text."""
        if self.session is not None:
            return f"leased by {self.session.holder()}"
        if self.what == "acquire":
            return f"being acquired by {self.caller}"
        return f"busy with {self.what} for {self.caller}"


class Lease:
    """The holder of one drive and the queue behind it."""

    def __init__(self, drive: str, changed: Callable[[], None]) -> None:
        self.hold: Hold | None = None
        self._drive = drive
        self._changed = changed
        self._queue: deque[tuple[Hold, asyncio.Future[None]]] = deque()

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._queue)

    def tenant(self, caller: Caller, session: str) -> Session | None:
        """The session under which ``caller`` may use the drive; None when it is free.

        Raises Locked, InvalidState for a session that has ended, Busy for a job without session.
        """
        held = self.hold.session if self.hold is not None else None
        if session and (held is None or held.path != session):
            raise errors.InvalidState(
                f"{session} is no lease on drive {self._drive}, or it has ended; acquire the drive again"
            )
        if self.hold is None:
            return None
        if held is None:
            refusal = errors.Locked if self.hold.what == "acquire" else errors.Busy
            raise refusal(f"drive {self._drive} is {self.hold.holder()}; wait until it is done")
        if held.ending:
            raise errors.Locked(f"drive {self._drive}: its lease is ending; wait a moment")
        if not held.allows(caller, named=bool(session)):
            same = held.owner_uid == caller.uid
            remedy = f"pass the option session {held.path}" if same else "wait until it is released"
            raise errors.Locked(
                f"drive {self._drive} is {self.hold.holder()}; {remedy}",
                {"uid": held.owner_uid, "pid": held.owner_pid},
            )
        return held

    def take(self, hold: Hold) -> None:
        """Become the holder of a free drive.  Raises Busy for one that is not free."""
        if self.hold is not None:
            raise errors.Busy(f"drive {self._drive} is {self.hold.holder()}; wait until it is done")
        self.hold = hold

    async def wait(self, hold: Hold, seconds: float | None) -> None:
        """Become the holder as soon as those before have had it.  Raises Locked after ``seconds``."""
        if self.hold is None:
            self.hold = hold
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (hold, turn)
        self._queue.append(entry)
        self._changed()
        try:
            async with asyncio.timeout(seconds):
                await turn
        except BaseException as exc:
            if self.hold is hold:
                self.drop(hold)            # it came while the wait was being broken off
            elif entry in self._queue:     # else it was passed over in the same turn of the loop
                self._queue.remove(entry)
            if isinstance(exc, TimeoutError):
                raise self._refusal() from None
            raise
        finally:
            self._changed()

    def replace(self, hold: Hold, successor: Hold) -> None:
        """Hand the drive on without letting anybody in between."""
        if self.hold is hold:
            self.hold = successor

    def drop(self, hold: Hold) -> None:
        """``hold`` has ended: the first in the queue is next."""
        if self.hold is not hold:
            return
        self.hold = None
        while self._queue:
            successor, turn = self._queue.popleft()
            if not turn.done():
                self.hold = successor
                turn.set_result(None)
                return

    def _refusal(self) -> errors.Locked:
        if self.hold is None:
            return errors.Locked(f"drive {self._drive} was not released in time; try again")
        session = self.hold.session
        caller = self.hold.caller
        uid, pid = (session.owner_uid, session.owner_pid) if session else (caller.uid, caller.pid)
        return errors.Locked(
            f"drive {self._drive} is {self.hold.holder()}; wait until it is released, or wait longer",
            {"uid": uid, "pid": pid},
        )


@dataclass(eq=False)
class Admission:
    """A request on its way to a drive; `interrupt` breaks off its waits."""

    caller: Caller
    _cause: errors.TapeError | None = None
    _task: asyncio.Task[Any] | None = field(default=None, repr=False)

    def interrupt(self, cause: errors.TapeError) -> None:
        """Let the wait in hand, and every later one, end in ``cause``."""
        self._cause = self._cause or cause
        if self._task is not None:
            self._task.cancel()

    def check(self) -> None:
        """Raise what the request was interrupted with."""
        if self._cause is not None:
            raise self._cause

    async def wait(self, waiting: Coroutine[Any, Any, T]) -> T:
        """The result of ``waiting``, unless it is interrupted."""
        if self._cause is not None:
            waiting.close()
            raise self._cause
        self._task = task = asyncio.create_task(waiting)
        try:
            return await task
        except asyncio.CancelledError:
            task.cancel()
            self.check()
            raise
        finally:
            self._task = None


class Admissions:
    """Every request on its way to a drive."""

    def __init__(self) -> None:
        self._all: set[Admission] = set()
        self._closed: errors.TapeError | None = None

    @contextmanager
    def enter(self, caller: Caller) -> Iterator[Admission]:
        """A request of ``caller``.  Raises Busy while the daemon shuts down, LimitsExceeded."""
        if self._closed is not None:
            raise self._closed
        waiting = sum(1 for other in self._all if other.caller.name == caller.name)
        if waiting >= REQUESTS_PER_CONNECTION:
            raise errors.LimitsExceeded(f"{caller} waits for {waiting} drives already; wait for one")
        admission = Admission(caller)
        self._all.add(admission)
        try:
            yield admission
        finally:
            self._all.discard(admission)

    def vanished(self, name: str) -> None:
        """The connection ``name`` is gone: nothing is admitted for it any more."""
        for admission in [a for a in self._all if a.caller.name == name]:
            cause = "the caller went away before its request was admitted; ask again and wait for the answer"
            admission.interrupt(errors.ClientGone(cause))

    def close(self, cause: errors.TapeError) -> None:
        """Admit nobody any more."""
        self._closed = cause
        for admission in list(self._all):
            admission.interrupt(cause)
