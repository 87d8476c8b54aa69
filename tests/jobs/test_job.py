# SPDX-License-Identifier: LGPL-2.1-or-later
"""What can be asked of a job and what it tells."""

from __future__ import annotations

import asyncio

import pytest

from tapeds import errors
from tapeds.jobs import job as job_module
from tapeds.jobs.job import Job


async def turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_job_tells_everybody_who_waits_its_result(work) -> None:
    job = work.start()
    waiters = [asyncio.create_task(job.wait()) for _ in range(3)]
    await turns()
    work.end.set_result({"file": 2})
    assert await asyncio.gather(*waiters) == [{"file": 2}] * 3
    assert (job.state, job.result, job.error_name, job.error_message) == ("finished", "done", "", "")
    assert await job.wait() == {"file": 2}


async def test_a_failed_job_raises_its_own_error_with_its_facts_in_every_waiter(work) -> None:
    job = work.start()
    work.end.set_exception(errors.EndOfMedia("tape A1 is full", {"bytes-on-tape": 12}))
    raised = []
    for _ in range(2):
        with pytest.raises(errors.EndOfMedia, match="tape A1 is full") as caught:
            await job.wait()
        raised.append(caught.value)
    assert raised[0] is not raised[1]
    assert raised[1].data == {"bytes-on-tape": 12}
    assert (job.result, job.error_name, job.result_data) == ("failed", "EndOfMedia", {"bytes-on-tape": 12})


async def test_a_waiter_that_gives_up_does_not_end_the_job(work) -> None:
    job = work.start()
    waiter = asyncio.create_task(job.wait())
    await turns()
    waiter.cancel()
    await turns()
    assert job.state == "running"
    work.end.set_result({})
    assert await job.wait() == {}


async def test_cancel_asks_the_body_once_and_says_who_asked(work) -> None:
    job = work.start()
    await turns()
    assert job.cancelable is True
    job.cancel("uid 0 (pid 7)")
    assert job.cancelable is False
    await turns()
    assert work.asked == [("cancel", "Cancelled", "job 1 (rewind) was cancelled by uid 0 (pid 7)")]
    assert job.state == "canceling"
    with pytest.raises(errors.AlreadyCancelled, match="is being cancelled already"):
        job.cancel()
    work.end.set_exception(errors.Cancelled("stopped"))
    with pytest.raises(errors.Cancelled):
        await job.wait()
    assert job.result == "canceled"
    with pytest.raises(errors.JobFinished, match=r"job 1 \(rewind\) has ended already"):
        job.cancel()


async def test_a_cancel_before_the_body_has_begun_reaches_it_all_the_same(work) -> None:
    job = work.start()
    job.cancel()
    assert work.asked == []
    await turns()
    assert work.asked == [("cancel", "Cancelled", "job 1 (rewind) was cancelled")]
    work.end.set_result({})


async def test_a_job_that_cannot_be_stopped_says_so_and_goes_on(work) -> None:
    job = work.start("eject-media", cancelable=False)
    with pytest.raises(errors.InvalidState, match=r"job 1 \(eject-media\) cannot be cancelled"):
        job.cancel()
    assert job.state == "running"
    work.end.set_result({})
    await job.wait()
    with pytest.raises(errors.JobFinished):
        job.cancel()


async def test_another_cause_than_a_cancel_keeps_its_name(work) -> None:
    job = work.start("write-file", direction="write")
    await turns()
    job.stop("ClientGone", "the caller went away")
    await turns()
    assert work.asked == [("cancel", "ClientGone", "the caller went away")]
    work.end.set_exception(errors.ClientGone("the caller went away"))
    await job.ended()
    assert job.result == "failed"


async def test_commit_and_abort_wait_for_the_body_and_go_to_it(work) -> None:
    job = work.start("write-file", direction="write")
    await job.commit(5, "ab" * 32)
    await job.abort()
    assert work.asked == [("commit", 5, "ab" * 32), ("abort",)]
    work.end.set_result({})
    await job.ended()
    with pytest.raises(errors.JobFinished):
        await job.commit(5)
    with pytest.raises(errors.JobFinished):
        await job.abort()


async def test_only_a_write_can_be_committed_and_only_a_transfer_aborted(work) -> None:
    read = work.start("read-file", direction="read")
    with pytest.raises(errors.InvalidState, match="takes no data"):
        await read.commit(1)
    await read.abort()
    await turns()
    assert work.asked == [("cancel", "Cancelled", "job 1 (read-file) was given up by its caller")]
    work.end.set_result({})
    rewind = work.start()
    with pytest.raises(errors.InvalidState, match="is no transfer"):
        await rewind.abort()
    work.end.set_result({})


async def test_progress_knows_its_share_and_when_it_will_end(work) -> None:
    now = [1000.0]
    job = Job(1, "verify-tape", (), work.anna, clock=lambda: now[0], monotonic=lambda: now[0])
    now[0] += 2
    job.advance(100, 400, "reading file 3")
    assert (job.progress_valid, job.progress, job.rate, job.message) == (True, 0.25, 50, "reading file 3")
    assert job.expected_end_time == (1002 + 6) * 1_000_000
    job.advance(200)
    assert (job.progress_valid, job.progress, job.expected_end_time) == (False, 0.0, 0)


async def test_progress_is_announced_at_most_twice_a_second_and_a_state_at_once(work, monkeypatch) -> None:
    monkeypatch.setattr(job_module, "ANNOUNCE_SECONDS", 0.2)
    job = work.start()
    told: list[tuple[str, int]] = []
    job.changed.connect(lambda job: told.append((job.state, job.bytes_done)))
    for done in range(1, 50):
        job.advance(done)
    assert told == []
    job.enter("waiting", "please insert")
    assert told == [("waiting", 49)]
    job.advance(60)
    job.advance(70)
    assert len(told) == 1
    await asyncio.sleep(0.3)
    assert told == [("waiting", 49), ("waiting", 70)]
    work.end.set_result({})
    await job.ended()
    assert told[-1] == ("finished", 70)


async def test_a_job_that_is_being_cancelled_does_not_look_as_if_it_went_on(work) -> None:
    job = work.start()
    job.cancel()
    job.enter("waiting", "please insert", {"reason": "no-medium"})
    job.advance(10, 20, "reading")
    assert job.state == "canceling"
    assert job.message.startswith("stopping rewind")
    work.end.set_result({})


async def test_the_end_clears_prompt_and_message_and_fills_the_progress(work) -> None:
    job = work.start()
    ended: list[Job] = []
    job.completed.connect(ended.append)
    job.enter("waiting", "please insert", {"reason": "no-medium"})
    assert job.prompt == {"reason": "no-medium"}
    job.advance(1, 4)
    work.end.set_result({})
    await job.wait()
    assert ended == [job]
    assert (job.prompt, job.message, job.progress, job.cancelable) == ({}, "", 1.0, False)
    assert job.end_time >= job.start_time


async def test_the_last_numbers_are_those_of_the_result(work) -> None:
    job = work.start("write-file", direction="write")
    await turns()
    job.advance(0, 2000)
    work.end.set_result({"file": 2, "bytes": 2000, "early-warning": True})
    await job.wait()
    assert (job.bytes_done, job.progress) == (2000, 1.0)
    assert (job.transfer.file_number, job.transfer.early_warning) == (2, True)


async def test_the_last_numbers_of_a_failure_are_those_it_tells(work) -> None:
    job = work.start("write-file", direction="write")
    await turns()
    job.advance(0, 2000)
    facts = {"file": 3, "bytes": 500, "early-warning": False}
    work.end.set_exception(errors.Incomplete("half of it", facts))
    with pytest.raises(errors.Incomplete):
        await job.wait()
    assert (job.bytes_done, job.progress) == (500, 0.25)
    assert job.transfer.file_number == 3


async def test_a_transfer_that_never_began_is_at_no_file(work) -> None:
    job = work.start("write-file", direction="write")
    work.end.set_exception(errors.InvalidState("this would be file 7", {"file": 7}))
    with pytest.raises(errors.InvalidState):
        await job.wait()
    assert job.transfer.file_number == 0xFFFF_FFFF_FFFF_FFFF
