# SPDX-License-Identifier: LGPL-2.1-or-later
"""Leases and their numbers from one run of the service to the next, where that does not go well."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager

import pytest

from tapeds import errors
from tapeds.service.core import Service
from tapeds.service.numbers import PUT_BY
from tapeds.service.restart import Legacy


class Store:
    """Keeps descriptors, up to ``room`` of them."""

    def __init__(self, room: int = 64) -> None:
        self.kept: dict[str, list[int]] = {}
        self.room = room

    def keep(self, name: str, fd: int) -> None:
        if len(self.kept) >= self.room:
            raise errors.Io(f"systemd does not take descriptor {name}: no room")
        self.kept.setdefault(name, []).append(os.dup(fd))

    def forget(self, name: str) -> None:
        for fd in self.kept.pop(name):
            os.close(fd)

    async def settle(self) -> None:
        assert self.kept == {}

    def legacy(self, there: bool = True) -> Legacy:
        async def is_there(caller) -> bool:
            return there

        passed = {name: [os.dup(fd) for fd in fds] for name, fds in self.kept.items()}
        return Legacy(passed, self, is_there)


def let_go(service: Service) -> None:
    """What the end of the process does."""
    for unit in service.drives.values():
        unit.handle.unlock()


@asynccontextmanager
async def run(house, store: Store, *, restarts: bool):
    service = Service(house.config(), house.dirs)
    await service.start(store.legacy())
    service.tell_losses()
    try:
        yield service
    finally:
        await service.stop(store=store if restarts else None)
        let_go(service)


async def test_a_lease_that_the_store_does_not_take_ends_with_the_run(house, caplog) -> None:
    house.drive("vt1")
    store, told = Store(room=3), []
    async with run(house, store, restarts=True) as service:
        for name in ("vt0", "vt1"):
            session = await service.drives[name].acquire(house.anna, bind="none", ttl=60)
            session.released.connect(lambda news: told.append((news[0].id, news[1])))
    assert told == [(2, "shutdown")]
    assert "lease 2 ends with this run: systemd does not take descriptor session-2-1: no room" in caplog.text
    async with run(house, store, restarts=False) as service:
        assert list(service.sessions) == [1]
        assert store.kept == {}
        assert [unit.lock_holder() for unit in service.drives.values()] == ["session", ""]


async def test_a_lease_that_waits_for_the_restart_cannot_be_ended_any_more(house) -> None:
    store = Store()
    async with run(house, store, restarts=True) as service:
        session = await service.drives["vt0"].acquire(house.anna, ttl=60)
    for ending in (session.release(house.anna), session.release(house.bert, force=True)):
        with pytest.raises(errors.Busy, match="is kept, the daemon is restarting; try again in a moment"):
            await ending
    with pytest.raises(errors.Busy, match="is kept"):
        session.renew(house.anna, 0)
    service.caller_vanished(house.anna.name)
    await service.shared.settle()
    assert list(service.sessions) == [session.id]
    async with run(house, store, restarts=False):
        pass


async def test_numbers_go_on_after_a_stop_and_skip_what_a_killed_run_had_put_by(house) -> None:
    store = Store()
    async with run(house, store, restarts=False) as service:
        assert (await service.drives["vt0"].acquire(house.anna)).id == 1
    async with run(house, store, restarts=False) as service:
        assert (await service.drives["vt0"].acquire(house.anna)).id == 2
        killed = (house.dirs.runtime / "last-session.json").read_text()
    (house.dirs.runtime / "last-session.json").write_text(killed)
    async with run(house, store, restarts=False) as service:
        assert (await service.drives["vt0"].acquire(house.anna)).id == 1 + PUT_BY + 1


async def test_numbers_are_put_by_in_time(house) -> None:
    async with run(house, Store(), restarts=False) as service:
        drive = service.drives["vt0"]
        for number in range(1, PUT_BY // 2 + 2):
            session = service.shared.sessions.open(drive, house.anna, binding="client", ttl=0, reason="")
            assert session.id == number
            service.shared.sessions.strike(session, "released")
        await service.shared.settle()
        assert str(PUT_BY // 2 + 1 + PUT_BY) in (house.dirs.runtime / "last-session.json").read_text()


async def test_a_file_of_numbers_that_is_damaged_is_told(house, caplog) -> None:
    house.dirs.runtime.mkdir()
    (house.dirs.runtime / "last-session.json").write_text("no number")
    async with run(house, Store(), restarts=False) as service:
        assert "the numbers of leases begin anew: " in caplog.text
        assert (await service.drives["vt0"].acquire(house.anna)).id == 1
