# SPDX-License-Identifier: LGPL-2.1-or-later
"""The journal of a job: its start, every 5 % or 60 s, its end.  ``journalctl TAPEDS_JOB=7`` shows it."""

from __future__ import annotations

import logging
from collections.abc import Callable

from tapeds.jobs.job import Job
from tapeds.names import Field, MessageId

STEPS = 20                           # in all: one every 5 %
STEP_SECONDS = 60.0

log = logging.getLogger(__name__)


def fields(job: Job, **more: str) -> dict[str, str]:
    """The journal fields of an entry about ``job``; a field that is not known is empty, never missing."""
    label = {Field.LABEL: "", Field.MEDIA_UUID: "", Field.DRIVE: "", Field.CHANGER: ""}
    return {
        **label,
        **job.facts,
        Field.JOB: str(job.id),
        Field.OPERATION: job.operation,
        Field.CALLER: job.owner.name,
        Field.CALLER_UID: str(job.owner.uid),
        Field.BYTES: str(job.bytes_done),
        **more,
    }


class TaskLog:
    """Writes the journal of one job."""

    def __init__(self, job: Job, monotonic: Callable[[], float]) -> None:
        self._job = job
        self._monotonic = monotonic
        self._written_at = monotonic()
        self._step = 0
        where = self._where()
        log.info(
            "%s began%s for %s", job, where, job.owner, extra=fields(job, MESSAGE_ID=MessageId.JOB_STARTED)
        )
        job.advanced.connect(self._advanced)
        job.completed.connect(self._ended)

    def _where(self) -> str:
        device = self._job.facts.get(Field.DRIVE) or self._job.facts.get(Field.CHANGER)
        return f" on {device}" if device else ""

    def _advanced(self, job: Job) -> None:
        now = self._monotonic()
        step = int(job.progress * STEPS) if job.progress_valid else 0
        if step <= self._step and now - self._written_at < STEP_SECONDS:
            return
        self._written_at, self._step = now, step
        share = f"{job.progress:.0%}, " if job.progress_valid else ""
        log.info(
            "%s: %s%d bytes done, %d bytes/s",
            job,
            share,
            job.bytes_done,
            job.rate,
            extra=fields(job, MESSAGE_ID=MessageId.JOB_PROGRESS),
        )

    def _ended(self, job: Job) -> None:
        failed = job.result == "failed"
        more = fields(
            job,
            MESSAGE_ID=MessageId.JOB_FAILED if failed else MessageId.JOB_FINISHED,
            TAPEDS_RESULT=job.result,
            TAPEDS_ERROR=job.error_name,
        )
        if job.error is None:
            log.info("%s is done%s", job, self._where(), extra=more)
        else:
            log.log(
                logging.ERROR if failed else logging.INFO,
                "%s %s%s: %s",
                job,
                "failed" if failed else "was cancelled",
                self._where(),
                job.error,
                extra=more,
            )
