# SPDX-License-Identifier: LGPL-2.1-or-later
"""All jobs: numbers, limits, what becomes of one that has ended or whose body broke."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tapeds import errors
from tapeds.jobs.caller import Caller
from tapeds.jobs.registry import ENDED_PER_CONNECTION, ENDED_PER_USER, JOBS_PER_CONNECTION, Registry


async def test_jobs_are_numbered_from_1_and_a_number_comes_once(work) -> None:
    first = work.start()
    work.end.set_result({})
    await first.ended()
    await asyncio.sleep(0.1)
    second = work.start()
    assert (first.id, second.id) == (1, 2)
    assert work.registry.get(1) is None
    work.end.set_result({})


async def test_a_job_can_be_asked_for_a_while_after_its_end(work) -> None:
    removed = []
    work.registry.removed.connect(removed.append)
    job = work.start()
    assert work.registry.running == 1
    work.end.set_result({"file": 1})
    await job.ended()
    assert work.registry.running == 0
    assert work.registry.get(1) is job
    assert work.registry.all() == [job]
    await asyncio.sleep(0.1)
    assert removed == [job]
    assert work.registry.all() == []


async def test_of_each_connection_the_last_ended_jobs_are_kept(work) -> None:
    work.registry = Registry(linger_seconds=3600)
    removed = []
    work.registry.removed.connect(removed.append)
    jobs = []
    other = work.start(owner=work.bert)
    work.end.set_result({})
    for _ in range(ENDED_PER_CONNECTION + 3):
        jobs.append(work.start())
        work.end.set_result({})
        await jobs[-1].ended()
    assert work.registry.all() == [other, *jobs[3:]]
    assert removed == jobs[:3]
    work.registry.close()


async def test_of_each_user_the_last_ended_jobs_are_kept_however_many_connections_there_were(work) -> None:
    work.registry = Registry(linger_seconds=3600)
    jobs = []
    other = work.start(owner=work.bert)
    work.end.set_result({})
    await other.ended()
    for number in range(ENDED_PER_USER + 3):
        jobs.append(work.start(owner=Caller(f":2.{number}", work.anna.uid)))
        work.end.set_result({})
        await jobs[-1].ended()
    assert work.registry.all() == [other, *jobs[3:]]
    work.registry.close()


async def test_a_job_is_there_before_whoever_started_it_hears_of_it(work) -> None:
    added = []
    work.registry.added.connect(added.append)
    job = work.start()
    assert added == [job]
    work.end.set_result({})


async def test_a_connection_has_at_most_16_live_jobs(work) -> None:
    ends = []
    for _ in range(JOBS_PER_CONNECTION):
        work.start()
        ends.append(work.end)
    with pytest.raises(errors.LimitsExceeded, match=r"uid 1000 \(pid 100\) has 16 jobs on this connection"):
        work.start()
    work.start(owner=work.bert)
    ends[0].set_result({})
    await asyncio.sleep(0.01)
    assert work.start().state == "running"


async def test_a_fault_in_a_body_ends_the_job_as_internal_and_goes_to_the_journal(work, caplog) -> None:
    job = work.start()
    work.end.set_exception(KeyError("files"))
    with pytest.raises(errors.Internal, match="ended by a fault in tapeds"):
        await job.wait()
    assert "a fault in job 1 (rewind)" in caplog.text
    assert job.result == "failed"


async def test_a_body_that_is_broken_off_still_ends_its_job(work) -> None:
    job = work.start()
    await asyncio.sleep(0)
    for task in asyncio.all_tasks():
        if task.get_name() == str(job):
            task.cancel()
    with pytest.raises(errors.Internal, match="it was broken off"):
        await job.wait()


async def test_the_journal_of_a_job_has_its_start_its_steps_and_its_end(work, caplog) -> None:
    caplog.set_level(logging.INFO, logger="tapeds")
    job = work.start("write-file", facts={"TAPEDS_DRIVE": "vt0", "TAPEDS_LABEL": "A1"})
    for done in range(0, 1001, 10):
        job.advance(done, 1000)
    work.end.set_result({})
    await job.ended()
    records = [record for record in caplog.records if record.TAPEDS_JOB == "1"]
    first, *steps, last = records
    assert first.getMessage() == "job 1 (write-file) began on vt0 for uid 1000 (pid 100)"
    assert first.MESSAGE_ID == "5d1e2c9c6f6a4a0d9a5b0c2b8f0e7a11"
    assert (first.TAPEDS_OPERATION, first.TAPEDS_LABEL, first.TAPEDS_CALLER) == ("write-file", "A1", ":1.10")
    assert len(steps) == 20
    assert steps[0].getMessage().startswith("job 1 (write-file): 5%, 50 bytes done")
    assert {step.MESSAGE_ID for step in steps} == {"e2a4c6d8b0f14d5e9a7c3b5d7f9e1a88"}
    assert last.getMessage() == "job 1 (write-file) is done on vt0"
    assert (last.MESSAGE_ID, last.TAPEDS_RESULT) == ("0a8b5c8e3f424d6c8f3f4f6f2e5d7b22", "done")
    assert (last.TAPEDS_BYTES, last.TAPEDS_MEDIA_UUID) == ("1000", "")


async def test_progress_without_a_total_is_written_once_a_minute(work, caplog) -> None:
    caplog.set_level(logging.INFO, logger="tapeds")
    job = work.start()
    for done in range(100):
        job.advance(done)
    assert len(caplog.records) == 1
    work.end.set_result({})


async def test_a_failure_is_an_error_in_the_journal_and_a_cancel_is_not(work, caplog) -> None:
    caplog.set_level(logging.INFO, logger="tapeds")
    failed = work.start()
    work.end.set_exception(errors.NoMedia("drive vt0 is empty"))
    await failed.ended()
    canceled = work.start()
    work.end.set_exception(errors.Cancelled("cancelled by uid 0"))
    await canceled.ended()
    ends = [record for record in caplog.records if getattr(record, "TAPEDS_RESULT", "")]
    assert [record.levelname for record in ends] == ["ERROR", "INFO"]
    assert ends[0].getMessage() == "job 1 (rewind) failed: drive vt0 is empty"
    assert (ends[0].TAPEDS_ERROR, ends[0].MESSAGE_ID) == ("NoMedia", "b7d0f6a1c6e94a6a8f2d9d8c1a3e5c33")
    assert ends[1].getMessage() == "job 2 (rewind) was cancelled: cancelled by uid 0"
    assert (ends[1].TAPEDS_RESULT, ends[1].MESSAGE_ID) == ("canceled", "0a8b5c8e3f424d6c8f3f4f6f2e5d7b22")
