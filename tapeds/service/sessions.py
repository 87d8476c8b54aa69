# SPDX-License-Identifier: LGPL-2.1-or-later
"""A lease as its owner sees it, and the book of all leases."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from tapeds import errors, names
from tapeds.events import Signal
from tapeds.jobs.caller import Caller

if TYPE_CHECKING:
    from tapeds.service.drives import DriveUnit

SESSIONS_PER_USER = 8
STATUS_TEXT_BYTES = 256
LONGEST_TTL_SECONDS = 366 * 24 * 3600


class Session:
    """A lease on one drive.  Times are microseconds since the epoch; ``expires`` 0 is never."""

    def __init__(
        self,
        number: int,
        drive: DriveUnit,
        owner: Caller,
        *,
        binding: str,
        reason: str,
        clock: Callable[[], float],
    ) -> None:
        self.id = number
        self.path = names.session_path(number)
        self.drive = drive
        self.owner = owner.name
        self.owner_uid = owner.uid
        self.owner_pid = owner.pid
        self.binding = binding
        self.reason = reason
        self.created = int(clock() * 1_000_000)
        self.expires = 0
        self.status_text = ""
        self.ending = False
        self.kept = False                   # a restart keeps it: nothing can end it before
        self.changed: Signal[Session] = Signal()
        self.released: Signal[tuple[Session, str]] = Signal()
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None
        self._expiry: asyncio.Task[None] | None = None

    def __str__(self) -> str:
        return f"lease {self.id}"

    def holder(self) -> str:
        """Who has it, for a text."""
        return str(Caller(self.owner, self.owner_uid, self.owner_pid))

    def text(self) -> str:
        """What other programs are told about the drive meanwhile."""
        return self.status_text or _one_line(self.reason) or f"{self} of {self.holder()}"

    def allows(self, caller: Caller, *, named: bool) -> bool:
        """Whether ``caller`` acts under this lease; ``named``: it passed the lease's path."""
        if named:
            return caller.uid == self.owner_uid
        return self.binding == "client" and caller.name == self.owner

    def renew(self, caller: Caller, ttl: int) -> int:
        """Let the lease end in ``ttl`` seconds from now, 0 for never; returns when, as in ``expires``.

        Raises NotOwner, InvalidState for a lease that has ended, InvalidOption.
        """
        self._check_owner(caller)
        if ttl == 0 and self.binding == "none":
            raise errors.InvalidOption(f"{self} belongs to no connection and must expire; give a ttl")
        if ttl > LONGEST_TTL_SECONDS:
            raise errors.InvalidOption(f"ttl {ttl} is too long; the longest is {LONGEST_TTL_SECONDS} seconds")
        self.stop_clock()
        if ttl:
            self._timer = asyncio.get_running_loop().call_later(ttl, self._expired)
        self.expires = int((self._clock() + ttl) * 1_000_000) if ttl else 0
        self.changed.emit(self)
        return self.expires

    async def release(self, caller: Caller, *, force: bool = False) -> None:
        """End the lease, and what it does; returns when the drive is released.

        ``force`` breaks the lease of somebody else.  Raises NotOwner, InvalidState for a lease that
        has ended.
        """
        if force and caller.uid != self.owner_uid:
            self._check_alive()
            await self.drive.end_session(self, "broken", breaker=caller)
            return
        self._check_owner(caller)
        await self.drive.end_session(self, "released")

    def set_status_text(self, caller: Caller, text: str) -> None:
        """Tell other programs ``text``, one line, until the lease ends.  Raises NotOwner, InvalidOption."""
        self._check_owner(caller)
        if len(text.encode(errors="surrogatepass")) > STATUS_TEXT_BYTES:
            raise errors.InvalidOption(f"a status text has at most {STATUS_TEXT_BYTES} bytes; shorten it")
        if text and not text.isprintable():
            raise errors.InvalidOption("a status text is one line without control characters; remove them")
        self.status_text = text
        self.drive.retell()

    def stop_clock(self) -> None:
        """Let time not end it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def go_on(self, created: int, expires: int, status_text: str) -> None:
        """Be the lease that was made at ``created``, with what is left of its time."""
        self.created, self.expires, self.status_text = created, expires, status_text
        if expires:
            left = max(0.0, expires / 1_000_000 - self._clock())
            self._timer = asyncio.get_running_loop().call_later(left, self._expired)

    def close(self) -> None:
        """Stop the clock of a lease that has ended."""
        self.stop_clock()
        if not self.gone.done():
            self.gone.set_result(None)

    def _expired(self) -> None:
        self._expiry = asyncio.get_running_loop().create_task(self.drive.end_session(self, "expired"))

    def check_not_kept(self) -> None:
        """Raises Busy while a restart keeps it."""
        if self.kept:
            raise errors.Busy(f"{self} is kept, the daemon is restarting; try again in a moment")

    def _check_alive(self) -> None:
        self.check_not_kept()
        if self.ending:
            raise errors.InvalidState(f"{self} has ended; acquire the drive again")

    def _check_owner(self, caller: Caller) -> None:
        if caller.uid != self.owner_uid:
            raise errors.NotOwner(f"{self} belongs to {self.holder()}; ask its owner")
        self._check_alive()


class SessionBook:
    """All leases, numbered from 1 and never twice."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.all: dict[int, Session] = {}
        self.added: Signal[Session] = Signal()
        self.removed: Signal[Session] = Signal()
        self.last = 0                       # no lease has had a number above this one
        self._clock = clock

    def check_limit(self, owner: Caller) -> None:
        """Raise LimitsExceeded when the user of ``owner`` has as many leases as a user may have."""
        count = sum(1 for session in self.all.values() if session.owner_uid == owner.uid)
        if count >= SESSIONS_PER_USER:
            raise errors.LimitsExceeded(f"uid {owner.uid} holds {count} leases; release one first")

    def open(self, drive: DriveUnit, owner: Caller, *, binding: str, ttl: int, reason: str) -> Session:
        """A new lease of ``owner`` on ``drive``.  Raises LimitsExceeded, InvalidOption."""
        self.check_limit(owner)
        self.last += 1
        session = Session(self.last, drive, owner, binding=binding, reason=reason, clock=self._clock)
        if ttl:
            session.renew(owner, ttl)
        self.enter(session)
        return session

    def enter(self, session: Session) -> None:
        """Have ``session`` in the book."""
        self.last = max(self.last, session.id)
        self.all[session.id] = session
        self.added.emit(session)

    def strike(self, session: Session, cause: str) -> None:
        """``session`` has ended by ``cause``: tell it and forget it."""
        session.ending = True
        session.close()
        if self.all.pop(session.id, None) is not None:
            session.released.emit((session, cause))
            self.removed.emit(session)


def _one_line(text: str) -> str:
    shown = "".join(char if char.isprintable() else " " for char in text).encode(errors="replace")
    return shown[:STATUS_TEXT_BYTES].decode(errors="ignore")
