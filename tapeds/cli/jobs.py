# SPDX-License-Identifier: LGPL-2.1-or-later
"""Work in progress: jobs wait cancel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tapeds import names
from tapeds.cli import render
from tapeds.cli.failure import Exit, Failure
from tapeds.cli.job import Job, on_tape
from tapeds.cli.verb import TextType, mute_flag, verb

if TYPE_CHECKING:
    from tapeds.cli.client import Client


class JobNumber(TextType):
    """The number of a job, or its object path; the value is the path."""

    name = "job"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        number = value.removeprefix(f"{names.ROOT_PATH}/jobs/")
        if not number.isdecimal():
            self.fail(f"{value} is no number of a job; tapectl jobs lists them", param, ctx)
        return names.job_path(int(number))


@verb("jobs", short_help="List the jobs that run, and those that ended in the last minute.")
@mute_flag("--ids", "ids", "Only the numbers of those that run; silent if there is no service.")
async def jobs(client: Client, ids: bool) -> None:
    """List the jobs that run, and those that ended within the last minute."""
    managed = await client.objects()
    found = [Job(path, entry[names.JOB]) for path, entry in managed.items() if names.JOB in entry]
    found.sort(key=lambda job: int(job.number))
    if ids:
        for job in found:
            if job.properties["State"] != "finished":
                render.tell(job.number)
        return
    if client.settings.json:
        render.document([render.properties(job.properties) for job in found])
        return
    rows = [
        (
            job.number,
            ", ".join(job.objects()),
            str(job.properties["Operation"]),
            str(job.properties["Result"] or job.properties["State"]),
            str(job.properties["OwnerUID"]),
            _so_far(job),
        )
        for job in found
    ]
    render.table(("JOB", "DRIVE", "OPERATION", "STATE", "UID", "PROGRESS"), rows, right=("JOB", "UID"))


def _so_far(job: Job) -> str:
    """How far it is, or how it ended."""
    if job.properties["State"] == "finished":
        return str(job.properties["ErrorMessage"])
    return job.request() or job.summary()


@verb("wait", short_help="Wait for the end of a job.")
@click.argument("job", type=JobNumber(), metavar="JOB")
async def wait(client: Client, job: str) -> None:
    """Wait for the end of JOB and show how far it is; the exit status is that of the job.

    Ctrl-C ends the waiting, not the job.
    """
    client.parting = f"not waiting any longer; job {Job(job).number} goes on"
    try:
        result = await client.finish(job, ours=False)
    except Failure as failure:
        raise _known(failure, job) from failure
    if client.settings.json:
        render.document(result)
    elif not client.settings.quiet:
        render.tell(f"job {Job(job).number}: done")


@verb("cancel", short_help="Cancel a job.")
@click.argument("job", type=JobNumber(), metavar="JOB")
@click.option("--no-wait", is_flag=True, help="Do not wait until it has ended.")
async def cancel(client: Client, job: str, no_wait: bool) -> Exit:
    """Cancel JOB, wait for its end, and tell what it left on the tape.

    A file that is being written is marked incomplete.
    """
    number = Job(job).number
    try:
        await client.call(job, names.JOB, "Cancel")
    except Failure as failure:
        if failure.name != "AlreadyCancelled":
            raise _known(failure, job) from failure
    if no_wait:
        return _cancelled(client, f"job {number} is being cancelled", {})
    try:
        await client.finish(job, ours=False)
    except Failure as failure:
        if failure.name != "Cancelled":
            raise
        left = on_tape(failure.data)
        return _cancelled(client, f"job {number}: cancelled" + (f"; {left}" if left else ""), failure.data)
    render.say(f"tapectl: job {number} was done before it could be cancelled")
    return Exit.FAILED


def _cancelled(client: Client, text: str, data: dict[str, object]) -> Exit:
    if client.settings.json:
        render.document(data)
    elif not client.settings.quiet:
        render.tell(text)
    return Exit.DONE


def _known(failure: Failure, job: str) -> Failure:
    """An unknown object is a wrong number of a job."""
    if failure.name in {"UnknownObject", "UnknownMethod"}:
        failure.text = f"there is no job {Job(job).number}; it may have ended more than a minute ago"
        failure.exit_status, failure.remedy = Exit.USAGE, "tapectl jobs"
    return failure
