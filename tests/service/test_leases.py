# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may use a drive: sessions, the order of those who wait, and what everybody else is told."""

from __future__ import annotations

import asyncio

import pytest

from tapeds import errors, names
from tapeds.jobs.caller import Caller
from tapeds.names import Operation
from tapeds.service.leases import Hold, Lease


async def test_a_lease_is_shown_and_given_back(house) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        added, released, removed = [], [], []
        service.session_added.connect(added.append)
        service.session_removed.connect(removed.append)
        session = await drive.acquire(house.anna, reason="nightly")
        session.released.connect(released.append)
        assert added == [session]
        assert service.sessions == {session.id: session}
        assert drive.session is session
        assert (session.path, session.owner, session.owner_uid) == (names.session_path(1), ":1.10", 1000)
        assert (session.owner_pid, session.binding, session.expires) == (100, "client", 0)
        assert (drive.state, drive.status_text, drive.lock_holder()) == ("idle", "nightly", "session")
        await session.release(house.anna)
        assert released == [(session, "released")]
        assert removed == [session]
        assert service.sessions == {}
        assert (drive.session, drive.status_text, drive.lock_holder()) == (None, "", "")


async def test_the_holder_of_a_lease_uses_the_drive_and_others_are_told_who_has_it(house) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        session = await drive.acquire(house.anna)
        with pytest.raises(errors.Locked) as caught:
            await drive.start(house.bert, Operation.REWIND, {})
        assert str(caught.value) == (
            "drive vt0 is leased by uid 1000 (pid 100); wait until it is released"
        )
        assert caught.value.data == {"uid": 1000, "pid": 100}
        with pytest.raises(errors.Locked, match=f"pass the option session {session.path}"):
            await drive.start(house.anna2, Operation.REWIND, {})
        with pytest.raises(errors.Locked, match="wait until it is released"):
            await drive.start(house.bert, Operation.REWIND, {}, session=session.path)
        for options in ({"caller": house.anna}, {"caller": house.anna2, "session": session.path}):
            job = await drive.start(options.pop("caller"), Operation.REWIND, {}, **options)
            assert job.session == session.path
            with pytest.raises(errors.NoMedia):
                await job.wait()


async def test_a_lease_that_belongs_to_no_connection_must_be_named_by_everybody(house) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        session = await drive.acquire(house.anna, bind="none", ttl=60)
        with pytest.raises(errors.Locked, match="pass the option session"):
            await drive.start(house.anna, Operation.SYNC, {})
        job = await drive.start(house.anna, Operation.SYNC, {}, session=session.path)
        with pytest.raises(errors.NoMedia):
            await job.wait()
        service.caller_vanished(house.anna.name)
        await asyncio.sleep(0.1)
        assert drive.session is session


async def test_a_lease_that_has_ended_or_is_of_another_drive_opens_no_door(house) -> None:
    house.drive("vt1")
    async with house.running() as service:
        session = await service.drives["vt0"].acquire(house.anna)
        other = "/org/tapeds1/sessions/1 is no lease on drive vt1, or it has ended; acquire the drive again"
        with pytest.raises(errors.InvalidState, match=other):
            await service.drives["vt1"].start(house.anna, Operation.SYNC, {}, session=session.path)
        await session.release(house.anna)
        with pytest.raises(errors.InvalidState, match="is no lease on drive vt0, or it has ended"):
            await service.drives["vt0"].start(house.anna, Operation.SYNC, {}, session=session.path)


async def test_those_who_wait_come_in_the_order_of_their_arrival(house) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        first = await drive.acquire(house.anna)
        order = []

        async def come(number: int) -> None:
            session = await drive.acquire(Caller(f":1.{number}", 2000 + number, number))
            order.append(number)
            await session.release(Caller("", 2000 + number))

        callers = [asyncio.create_task(come(number)) for number in (1, 2, 3)]
        await house.until(lambda: drive.waiters == 3)
        await first.release(house.anna)
        await asyncio.gather(*callers)
        assert order == [1, 2, 3]
        assert drive.waiters == 0


async def test_a_job_does_not_slip_in_before_somebody_who_waits(house) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        first = await drive.acquire(house.anna)
        waiting = asyncio.create_task(drive.acquire(house.bert))
        await house.until(lambda: drive.waiters == 1)
        releasing = asyncio.create_task(first.release(house.anna))
        while not releasing.done():
            with pytest.raises((errors.Locked, errors.Busy)):
                await drive.start(house.anna2, Operation.SYNC, {})
            await asyncio.sleep(0)
        session = await waiting
        assert drive.session is session


async def test_who_waited_in_vain_is_told_who_has_the_drive(house) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        await drive.acquire(house.anna)
        for timeout in (0, 1):
            with pytest.raises(errors.Locked, match=r"by uid 1000 \(pid 100\); .* or wait longer") as caught:
                await drive.acquire(house.bert, timeout=timeout)
            assert caught.value.data == {"uid": 1000, "pid": 100}
        assert drive.waiters == 0


async def test_one_who_waits_and_goes_away_is_out_of_the_queue(house) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        first = await drive.acquire(house.anna)
        gone = asyncio.create_task(drive.acquire(house.bert, timeout=names.FOR_EVER))
        stays = asyncio.create_task(drive.acquire(house.anna2, timeout=names.FOR_EVER))
        await house.until(lambda: drive.waiters == 2)
        service.caller_vanished(house.bert.name)
        with pytest.raises(errors.ClientGone, match="before its request was admitted; ask again"):
            await gone
        assert drive.waiters == 1
        await first.release(house.anna)
        assert (await stays).owner == house.anna2.name


async def test_one_who_goes_away_just_when_the_drive_comes_free_is_passed_over(house) -> None:
    lease = Lease("vt0", lambda: None)
    first, gone, stays = (Hold(caller, "acquire") for caller in (house.anna, house.bert, house.anna2))
    lease.take(first)
    waiting = [asyncio.create_task(lease.wait(hold, None)) for hold in (gone, stays)]
    await house.until(lambda: lease.waiting == 2)
    waiting[0].cancel()
    lease.drop(first)
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError, type(None)]
    assert (lease.hold, lease.waiting) == (stays, 0)


async def test_a_connection_acquires_a_drive_once(house) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        session = await drive.acquire(house.anna)
        with pytest.raises(errors.AlreadyAcquired, match=f"has drive vt0 already, by {session.path}"):
            await drive.acquire(house.anna)


async def test_a_user_holds_at_most_8_leases(house) -> None:
    for number in range(1, 10):
        house.drive(f"vt{number}")
    async with house.running(worker_command=house.scripted()) as service:
        drives = list(service.drives.values())
        for drive in drives[:8]:
            await drive.acquire(house.anna)
        with pytest.raises(errors.LimitsExceeded, match="uid 1000 holds 8 leases; release one first"):
            await drives[8].acquire(house.anna2)
        with pytest.raises(errors.LimitsExceeded):
            await drives[8].request_media(house.anna, {"label-text": "A1"})
        await drives[8].acquire(house.bert)
        assert drives[9].lock_holder() == ""


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"bind": "uid"}, "bind is client or none, not 'uid'"),
        ({"bind": "none"}, "bind=none needs a ttl in seconds"),
        ({"ttl": 1 << 40}, "ttl 1099511627776 is too long; the longest is 31622400 seconds"),
    ],
)
async def test_options_of_acquire_that_make_no_sense_are_named(house, options, text) -> None:
    async with house.running() as service:
        with pytest.raises(errors.InvalidOption, match=text):
            await service.drives["vt0"].acquire(house.anna, **options)
        assert service.drives["vt0"].lock_holder() == ""


async def test_a_lease_expires_and_what_it_was_doing_ends(house) -> None:
    command = house.scripted(verify_tape=[{"wait": True}])
    async with house.running(worker_command=command) as service:
        drive = service.drives["vt0"]
        session = await drive.acquire(house.anna, ttl=1)
        released = []
        session.released.connect(released.append)
        job = await drive.start(house.anna, Operation.VERIFY_TAPE, {})
        with pytest.raises(errors.Cancelled, match=r"job 1 \(verify-tape\): the lease has expired"):
            await job.wait()
        await house.until(lambda: released)
        assert released == [(session, "expired")]
        assert drive.lock_holder() == ""


async def test_a_renewed_lease_lives_on_and_one_without_time_for_ever(house) -> None:
    async with house.running(clock=lambda: 1000.0) as service:
        session = await service.drives["vt0"].acquire(house.anna, ttl=1)
        changed = []
        session.changed.connect(changed.append)
        assert session.expires == 1001 * 1_000_000
        assert session.renew(house.anna2, 60) == 1060 * 1_000_000
        await asyncio.sleep(1.1)
        assert not session.ending
        assert session.renew(house.anna, 0) == 0
        assert changed == [session, session]
        with pytest.raises(errors.NotOwner, match=r"lease 1 belongs to uid 1000 \(pid 100\); ask its owner"):
            session.renew(house.bert, 60)


async def test_an_unbound_lease_cannot_be_made_endless(house) -> None:
    async with house.running() as service:
        session = await service.drives["vt0"].acquire(house.anna, bind="none", ttl=60)
        with pytest.raises(errors.InvalidOption, match="belongs to no connection and must expire"):
            session.renew(house.anna, 0)
        assert session.expires > 0


async def test_a_lease_is_released_by_its_user_and_not_by_others(house) -> None:
    async with house.running() as service:
        session = await service.drives["vt0"].acquire(house.anna)
        with pytest.raises(errors.NotOwner, match="ask its owner"):
            await session.release(house.bert)
        await session.release(house.anna2)
        with pytest.raises(errors.InvalidState, match="lease 1 has ended; acquire the drive again"):
            await session.release(house.anna)
        with pytest.raises(errors.InvalidState):
            session.renew(house.anna, 5)
        with pytest.raises(errors.InvalidState):
            session.set_status_text(house.anna, "x")


async def test_a_release_cancels_what_the_lease_is_doing(house) -> None:
    command = house.scripted(verify_tape=[{"wait": True}])
    async with house.running(worker_command=command) as service:
        drive = service.drives["vt0"]
        session = await drive.acquire(house.anna)
        released = []
        session.released.connect(released.append)
        job = await drive.start(house.anna, Operation.VERIFY_TAPE, {})
        await session.release(house.anna)
        assert released == [(session, "released")]
        with pytest.raises(errors.Cancelled, match="the lease was released"):
            await job.wait()


async def test_an_administrator_breaks_a_lease_and_the_journal_says_who(house, caplog) -> None:
    command = house.scripted(verify_tape=[{"wait": True}])
    async with house.running(worker_command=command) as service:
        drive = service.drives["vt0"]
        session = await drive.acquire(house.anna)
        released = []
        session.released.connect(released.append)
        job = await drive.start(house.anna, Operation.VERIFY_TAPE, {})
        await session.release(Caller(":1.99", 0, 5), force=True)
        assert released == [(session, "broken")]
        with pytest.raises(errors.Cancelled, match=r"the lease was broken by uid 0 \(pid 5\)"):
            await job.wait()
        (record,) = [r for r in caplog.records if getattr(r, "MESSAGE_ID", "").startswith("2b4d6f8a")]
        assert record.getMessage() == "lease 1 of uid 1000 (pid 100) on vt0 was broken by uid 0 (pid 5)"
        assert (record.TAPEDS_CALLER_UID, record.TAPEDS_CALLER, record.TAPEDS_DRIVE) == ("0", ":1.99", "vt0")


async def test_a_status_text_is_one_short_line_of_the_owner(house) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        session = await drive.acquire(house.anna, reason="nightly")
        session.set_status_text(house.anna, "backup of home, file 7")
        assert drive.status_text == "backup of home, file 7"
        await house.until(lambda: house.state_text() == "backup of home, file 7")
        session.set_status_text(house.anna, "ä" * 128)
        for text in ("ä" * 129, "two\nlines", "\x1b[31mred"):
            with pytest.raises(errors.InvalidOption):
                session.set_status_text(house.anna, text)
        with pytest.raises(errors.NotOwner):
            session.set_status_text(house.bert, "mine")
        session.set_status_text(house.anna, "")
        await house.until(lambda: house.state_text() == "nightly")


async def test_whoever_acts_under_a_lease_does_not_wait_for_itself(house) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        session = await drive.acquire(house.anna)
        with pytest.raises(errors.AlreadyAcquired, match="has drive vt0 already, by /org/tapeds1/sessions/1"):
            await drive.acquire(house.anna2, session=session.path)
        with pytest.raises(errors.Locked):
            await drive.acquire(house.bert, session=session.path)
        with pytest.raises(errors.InvalidState, match="is no lease on drive vt0"):
            await drive.acquire(house.anna2, session="/org/tapeds1/sessions/9")
        await session.release(house.anna)
