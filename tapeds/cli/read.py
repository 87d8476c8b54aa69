# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reading one file from tape, and giving it its name only when all of it came: read."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from tapeds.cli import render
from tapeds.cli.copying import Copied, Ending, Stop, copy
from tapeds.cli.failure import Exit, Failure
from tapeds.cli.remote import Drive, find_drive
from tapeds.cli.sink import Sink, StandardOutput, sink
from tapeds.cli.verb import Number, drive_argument, verb

if TYPE_CHECKING:
    from tapeds.cli.client import Client, Json


@verb("read", short_help="Read a file from the tape.")
@drive_argument
@click.option("--file", type=Number(0), metavar="N", help="File N, counted from 0; else the next one.")
@click.option(
    "-o", "--output", default="-", metavar="FILE", help="Write to FILE; - is standard output (default)."
)
async def read(client: Client, drive: str | None, file: int | None, output: str) -> None:
    """Read one file from the tape in DRIVE: file N, or the one at the head.

    FILE gets its name only when it is complete and its SHA-256 is that of the service; what came
    of an incomplete one is kept as FILE.incomplete, and the exit status is 6. Standard output
    cannot be taken back: believe it only when the exit status is 0.
    """
    target = sink(output)
    if isinstance(target, StandardOutput):
        if sys.stdout.isatty():
            raise click.UsageError("a tape file is not for a terminal; use -o FILE, or a pipe")
        if client.settings.json:
            raise click.UsageError("--json and the data both want standard output; use -o FILE")
    device = await find_drive(client, drive)
    if file is None:
        result = await _transfer(client, device, target)
    else:
        async with device.lease(f"tapectl read --file {file}"):
            await device.run("MoveToFile", file)
            result = await _transfer(client, device, target)
    _was_read(client, device.name, target, result)


async def _transfer(client: Client, drive: Drive, target: Sink) -> Json:
    """Copy the pipe of a read job into ``target``; the job's result, with our own digest compared."""
    job, pipe = await drive.call("ReadFile", digest="sha256")
    begun = time.monotonic()
    stop = Stop()
    try:
        ended = client.spawn(client.finish(job, drive=drive.name))
        copied, trouble = None, ""
        try:
            opened = await client.in_thread(target.open)
            copied = await client.in_thread(copy, pipe, opened, stop)
            if copied.ending is Ending.SINK:
                trouble = f"{target.described} was closed"
        except OSError as error:
            trouble = f"{target.described}: {error.strerror}"
        os.close(pipe)  # where nobody wants the rest, the job ends by that
        pipe = -1
        try:
            result = await ended
        except Failure as failure:
            raise _told(client, failure, target, trouble) from failure
    finally:
        if pipe >= 0:
            os.close(pipe)
        stop.close()
    _believe(copied, result, target, trouble)
    return {**result, "seconds": round(time.monotonic() - begun, 3)}


def _believe(copied: Copied | None, result: Json, target: Sink, trouble: str) -> None:
    """Give the target its name if everything agrees.  Raises Failure."""
    if not trouble and copied is not None:
        theirs = render.plain(result.get("sha256", ""))
        if copied.bytes != result["bytes"]:
            trouble = f"the service read {result['bytes']} bytes, but {copied.bytes} came"
        elif theirs and theirs != copied.sha256:
            trouble = f"the service read data of SHA-256 {theirs}, but {copied.sha256} came"
    if trouble:
        raise Failure(trouble, exit_status=Exit.INCOMPLETE, left=target.incomplete(), data=result)
    try:
        target.complete()
    except OSError as error:
        text, left = f"{target.described}: {error.strerror}", target.incomplete()
        raise Failure(text, exit_status=Exit.INCOMPLETE, left=left, data=result) from error


def _told(client: Client, failure: Failure, target: Sink, trouble: str) -> Failure:
    """The failure with what is to be said about what came."""
    if trouble and failure.name in {"ClientGone", "Cancelled"} and not client.interrupted:
        failure.text, failure.exit_status = trouble, Exit.FAILED
    elif client.interrupted and failure.name == "ClientGone":
        failure.text, failure.exit_status = "cancelled", Exit.CANCELLED
    failure.left = target.incomplete()
    return failure


def _was_read(client: Client, drive: str, target: Sink, result: Json) -> None:
    if client.settings.json:
        render.document({**result, "output": target.described})
        return
    if client.settings.quiet:
        return
    out = render.say if isinstance(target, StandardOutput) else render.tell
    rate = result["bytes"] / result["seconds"] if result["seconds"] else 0
    out(
        f"{drive}: file {result['file']}, {render.exact(result['bytes'])}, complete, to {target.described} "
        f"({render.duration(result['seconds'])}, {render.amount(rate)}/s)"
    )
    values: list[tuple[str, Any]] = [
        ("name", result.get("name", "")),
        ("sha256", render.plain(result.get("sha256", b""))),
    ]
    for name, value in values:
        if value:
            out(f"  {name:6}  {render.printable(value)}")
