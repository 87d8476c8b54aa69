# SPDX-License-Identifier: LGPL-2.1-or-later
"""Leases that a restart of the daemon keeps: their locks and what is known of them, from one run to the next.

A lease is on record only between the two runs: whatever ends a later one, no lease comes back that
was not kept for it.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from tapeds import errors
from tapeds.jobs.caller import Caller
from tapeds.names import Field
from tapeds.service.drives import DriveUnit
from tapeds.service.sessions import Session
from tapeds.service.shared import Shared
from tapeds.state import locks
from tapeds.state.records import SessionRecord
from tapeds.worker.messages import DeviceSpec, DeviceState

log = logging.getLogger(__name__)


class Store(Protocol):
    """Where descriptors stay open while no daemon runs."""

    def keep(self, name: str, fd: int) -> None:
        """Hold a copy of ``fd`` for the next run.  Raises Io."""

    def forget(self, name: str) -> None:
        """Close every descriptor of that name, some time soon."""

    async def settle(self) -> None:
        """Return when all that was to be forgotten is closed, or after a few seconds."""


@dataclass(frozen=True)
class Legacy:
    """What the former run has left: descriptors by name, also still in ``store``, each to be closed here."""

    descriptors: Mapping[str, list[int]]
    store: Store
    is_there: Callable[[Caller], Awaitable[bool]]
    """Whether this connection of this user is still on the bus."""


class Lost(Exception):
    """A lease has not come through the restart; ``cause`` is what `Released` tells."""

    def __init__(self, cause: str, text: str) -> None:
        super().__init__(text)
        self.cause = cause


# --- before -------------------------------------------------------------------------------------


async def keep(shared: Shared, store: Store) -> None:
    """Release the device of every lease, and have the lease kept; one that cannot be kept ends."""
    for session in list(shared.sessions.all.values()):
        unit = session.drive
        await unit.suspend(session)
        if session.ending:
            continue
        session.kept = True
        session.stop_clock()
        held = shared.session_records
        try:
            await asyncio.to_thread(held.put, str(session.id), _record(session))
            for number, lock in enumerate(unit.handle.locks):
                store.keep(_name(session.id, number), lock.fileno())
        except errors.Io as exc:
            log.warning("%s ends with this run: %s", session, exc, extra=unit.log_fields())
            session.kept = False
            await unit.end_session(session, "shutdown")
            await asyncio.to_thread(held.remove, str(session.id))
        else:
            log.info("%s of %s waits for the restart", session, session.holder(), extra=unit.log_fields())


def _name(session: int, lock: int) -> str:
    """What a lock of a lease is called in the store: ASCII, and no colon, which separates names."""
    return f"session-{session}-{lock}"


def _record(session: Session) -> SessionRecord:
    handle = session.drive.handle
    before = handle.remembered()
    return SessionRecord(
        id=session.id,
        drive=session.drive.name,
        path=handle.spec.path,
        locks=[lock.path for lock in handle.locks],
        serial=before.serial,
        loaded=before.loaded,
        label_known=before.label_known,
        label_text=str(before.media.get("label-text", "")),
        media_uuid=str(before.media.get("uuid", "")),
        owner=session.owner,
        owner_uid=session.owner_uid,
        owner_pid=session.owner_pid,
        binding=session.binding,
        reason=session.reason,
        created=session.created,
        expires=session.expires,
        status_text=session.status_text,
    )


# --- after --------------------------------------------------------------------------------------


async def resume(
    shared: Shared, drives: Mapping[str, DriveUnit], legacy: Legacy
) -> list[tuple[Session, str]]:
    """Go on with every lease that was kept; those that have not come through, each with its cause.

    They are in the book, too, so that their end can be told.  Of descriptors and records nothing
    is left in the store and on file before the first lease goes on.
    """
    found = await _records(shared)
    for name in legacy.descriptors:
        legacy.store.forget(name)
    stored = {name: list(fds) for name, fds in legacy.descriptors.items()}
    lost = []
    try:
        for record in found:
            unit = drives.get(record.drive)
            try:
                await _go_on(shared, unit, record, stored, legacy)
            except Lost as exc:
                lost.append((_lose(shared, unit, record, exc), exc.cause))
    finally:
        for fds in stored.values():
            for fd in fds:
                os.close(fd)
    if legacy.descriptors:
        await legacy.store.settle()         # until then a lock that nobody wants is held by the store
    return lost


async def _records(shared: Shared) -> list[SessionRecord]:
    """The leases on record, which are on record no more."""
    held = shared.session_records
    try:
        found, problems = await asyncio.to_thread(held.all)
        for name in await asyncio.to_thread(held.names):
            await asyncio.to_thread(held.remove, name)
    except errors.Io as exc:
        log.warning("no lease comes through the restart: %s", exc)
        return []
    for problem in problems:
        log.warning("a lease from before the restart is lost: %s", problem)
    return sorted(found.values(), key=lambda record: record.id)


async def _go_on(
    shared: Shared,
    unit: DriveUnit | None,
    record: SessionRecord,
    stored: dict[str, list[int]],
    legacy: Legacy,
) -> None:
    if unit is None:
        raise Lost("device-gone", "the drive is not configured any more")
    path = unit.handle.spec.path
    if path != record.path:
        raise Lost("device-gone", f"the drive is {path} now and was {record.path}")
    if record.expires and record.expires <= shared.clock() * 1_000_000:
        raise Lost("expired", "its time has run out")
    owner = Caller(record.owner, record.owner_uid, record.owner_pid)
    if record.binding != "none" and not await legacy.is_there(owner):
        raise Lost("client-vanished", "its owner has left the bus")
    # From here on without a pause: an owner that leaves now finds its lease in the book.
    wanted = [shared.locks.path_lock(path), *record.locks[1:]]
    held = [_lock(_name(record.id, number), name, stored) for number, name in enumerate(wanted)]
    session = _session(shared, unit, record)
    unit.resume(session, held, _before(record))
    shared.sessions.enter(session)
    unit.changed.emit(unit)
    log.info("%s of %s goes on after the restart", session, session.holder(), extra=unit.log_fields())


def _lock(name: str, path: str, stored: dict[str, list[int]]) -> locks.Lock:
    """The lock of ``path`` out of the store, or else taken anew.  Raises Lost."""
    try:
        while fds := stored.get(name):
            lock = locks.adopt(path, fds.pop())
            if lock is not None:
                return lock
        lock = locks.try_lock(path)
    except errors.Io as exc:
        raise Lost("lock-lost", str(exc)) from exc
    if lock is None:
        raise Lost("lock-lost", f"its lock did not come back, and another program has taken {path}")
    log.warning("lock %s did not come back from the restart and was taken anew", path)
    return lock


def _lose(shared: Shared, unit: DriveUnit | None, record: SessionRecord, why: Lost) -> Session:
    """The lease as it was, in the book only until its end is told."""
    if unit is None:
        unit = DriveUnit(DeviceSpec("", record.drive, record.path, 0, ""), shared)
    session = _session(shared, unit, record)
    session.stop_clock()
    session.ending = True
    shared.sessions.enter(session)
    log.warning(
        "%s of %s on drive %s has not come through the restart: %s",
        session,
        session.holder(),
        record.drive,
        why,
        extra={Field.DRIVE: record.drive, Field.CALLER_UID: str(record.owner_uid)},
    )
    return session


def _session(shared: Shared, unit: DriveUnit, record: SessionRecord) -> Session:
    owner = Caller(record.owner, record.owner_uid, record.owner_pid)
    session = Session(
        record.id, unit, owner, binding=record.binding, reason=record.reason, clock=shared.clock
    )
    session.go_on(record.created, record.expires, record.status_text)
    return session


def _before(record: SessionRecord) -> DeviceState:
    media = {"label-text": record.label_text, "uuid": record.media_uuid}
    return DeviceState(
        serial=record.serial,
        loaded=record.loaded,
        media={key: value for key, value in media.items() if value},
        label_known=record.label_known,
    )
