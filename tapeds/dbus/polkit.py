# SPDX-License-Identifier: LGPL-2.1-or-later
"""Asking polkit, without GObject, whether a connection may do an action.

uid 0 is never asked about: polkit refuses even root an action whose policy file is missing.  Where
no polkit is on the bus, uid 0 and the daemon's own uid may do everything; after any other failure
of polkit, uid 0 only.  A dialogue may stay open for minutes, so nothing is locked while it does.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tapeds.buslib import Bus, CallError, Error, Variant, unwrap
from tapeds.dbus.authorization import NEVER_REMEMBERED
from tapeds.errors import AccessDenied, InteractiveAuthorizationRequired
from tapeds.jobs.caller import Caller
from tapeds.names import Field

log = logging.getLogger(__name__)

POLKIT = "org.freedesktop.PolicyKit1"
AUTHORITY_PATH = "/org/freedesktop/PolicyKit1/Authority"
AUTHORITY = "org.freedesktop.PolicyKit1.Authority"

_ALLOW_USER_INTERACTION = 1

TIMEOUT_SECONDS = 120.0


@dataclass(frozen=True)
class _Answer:
    authorized: bool
    challenge: bool
    why: str = ""


class Polkit:
    """The authority behind ``bus``."""

    def __init__(
        self, bus: Bus, *, own_uid: int | None = None, timeout_seconds: float = TIMEOUT_SECONDS
    ) -> None:
        self._bus = bus
        self._own_uid = os.geteuid() if own_uid is None else own_uid
        self._timeout_seconds = timeout_seconds
        self._numbers = itertools.count(1)
        self._asking: dict[str, set[asyncio.Task[_Answer]]] = {}
        self._cancelling: set[asyncio.Task[None]] = set()
        self._remembered: dict[str, set[tuple[str, str, str]]] = {}

    async def require(
        self,
        caller: Caller,
        action: str,
        details: Mapping[str, str],
        *,
        interactive: bool,
        lease: Callable[[], str] = str,
    ) -> None:
        """Return when ``caller`` may do ``action``.

        ``interactive``: polkit may ask a person.  ``lease`` tells the path of the caller's lease of
        the drive in ``details``, "" for none; a yes is remembered as long as it lives.
        Raises AccessDenied, InteractiveAuthorizationRequired.
        """
        if caller.uid == 0:
            return
        known = (caller.name, action, details.get("drive", ""))
        held = lease()
        if held and known in self._remembered.get(held, ()):
            return
        answer = await self._cancellable(caller, action, details, interactive)
        if answer.authorized:
            if held and held == lease() and action not in NEVER_REMEMBERED:   # it may have ended meanwhile
                self._remembered.setdefault(held, set()).add(known)
            return
        log.info(
            "%s (uid %d) is not authorized for %s%s",
            caller.name,
            caller.uid,
            action,
            answer.why,
            extra={Field.CALLER: caller.name, Field.CALLER_UID: caller.uid},
        )
        if answer.challenge:
            raise InteractiveAuthorizationRequired(
                f"{action} needs an authentication; allow interaction in the call, with an agent running"
            )
        raise AccessDenied(
            f"uid {caller.uid} is not authorized for {action}{answer.why};"
            " an administrator can allow it by a polkit rule, the group tape has most actions"
        )

    async def permission(self, caller: Caller, action: str) -> str:
        """Whether ``caller`` may do ``action``: yes, no, or auth, which is after an authentication."""
        if caller.uid == 0:
            return "yes"
        answer = await self._cancellable(caller, action, {}, interactive=False)
        return "yes" if answer.authorized else "auth" if answer.challenge else "no"

    def forget_caller(self, name: str) -> None:
        """Connection ``name`` is gone: its open questions end, its remembered answers go."""
        for task in tuple(self._asking.get(name, ())):
            task.cancel()
        for answers in self._remembered.values():
            answers -= {known for known in answers if known[0] == name}

    def forget_lease(self, lease: str) -> None:
        """The lease at path ``lease`` has ended, and with it what was remembered for it."""
        self._remembered.pop(lease, None)

    async def _cancellable(
        self, caller: Caller, action: str, details: Mapping[str, str], interactive: bool
    ) -> _Answer:
        """Ask, as a task that `forget_caller` can end.  Raises CancelledError then."""
        task = asyncio.create_task(self._ask(caller, action, details, interactive))
        asking = self._asking.setdefault(caller.name, set())
        asking.add(task)
        try:
            return await task
        finally:
            task.cancel()
            asking.discard(task)
            if not asking and self._asking.get(caller.name) is asking:
                del self._asking[caller.name]

    async def _ask(
        self, caller: Caller, action: str, details: Mapping[str, str], interactive: bool
    ) -> _Answer:
        cancellation = f"tapeds-{os.getpid()}-{next(self._numbers)}"
        subject = ["system-bus-name", {"name": Variant("s", caller.name)}]
        flags = _ALLOW_USER_INTERACTION if interactive else 0
        try:
            reply = await self._bus.call(
                POLKIT,
                AUTHORITY_PATH,
                AUTHORITY,
                "CheckAuthorization",
                "(sa{sv})sa{ss}us",
                [subject, action, dict(details), flags, cancellation],
                timeout=self._timeout_seconds,
            )
        except CallError as exc:
            if exc.name == Error.TIMEOUT:
                self._cancel(cancellation)
            return self._without_polkit(caller, exc)
        except asyncio.CancelledError:
            self._cancel(cancellation)
            raise
        authorized, challenge, _details = unwrap(reply.body[0])
        return _Answer(bool(authorized), bool(challenge))

    def _without_polkit(self, caller: Caller, exc: CallError) -> _Answer:
        if exc.name == Error.SERVICE_UNKNOWN:
            allowed = caller.uid == self._own_uid
            return _Answer(allowed, False, "" if allowed else " (polkit is not on the bus: root only)")
        log.warning("polkit does not answer: %s: %s", exc.name, exc.text)
        return _Answer(False, False, f" (polkit does not answer: {exc.text})")

    def _cancel(self, cancellation: str) -> None:
        """Take a question back, so that no dialogue stays open; nobody waits for the answer."""
        task = asyncio.create_task(self._send_cancel(cancellation))
        self._cancelling.add(task)
        task.add_done_callback(self._cancelling.discard)

    async def _send_cancel(self, cancellation: str) -> None:
        try:
            await self._bus.call(
                POLKIT, AUTHORITY_PATH, AUTHORITY, "CancelCheckAuthorization", "s", [cancellation]
            )
        except CallError as exc:
            log.debug("polkit would not take question %s back: %s", cancellation, exc.text)
