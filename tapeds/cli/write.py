# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writing one file to tape, and calling it complete only where that is proved: write."""

from __future__ import annotations

import contextlib
import os
import time
from typing import IO, TYPE_CHECKING, Any

import click

from tapeds import names
from tapeds.cli import render
from tapeds.cli.copying import Copied, Ending, Stop, copy
from tapeds.cli.failure import Exit, Failure
from tapeds.cli.job import on_tape
from tapeds.cli.remote import Drive, pick
from tapeds.cli.source import Producer, RegularFile, Source, StandardInput
from tapeds.cli.stake import at_stake, confirm, must_be_able_to_ask
from tapeds.cli.verb import Number, command_words, verb, words, yes_option

if TYPE_CHECKING:
    from tapeds.cli.client import Client, Json


_OVER = {"JobFinished", "UnknownObject", "AlreadyCancelled"}


_HELP = """Write one file to the tape in DRIVE, behind the last one that is there.

\b
FILE           a regular file: complete when all of it was read and it did
               not change meanwhile.
-- COMMAND...  what COMMAND prints: complete only when it exits 0.
-              standard input: complete only as far as --size,
               --sha256-file or --trust-eof says so; a pipe cannot tell
               whether its writer was done or died.

In any other case the file on tape is marked incomplete and the exit status is 6. The SHA-256
of the data is checked before the file is closed, and printed.
"""


@verb("write", takes_command=True, help=_HELP, short_help="Write a file to the tape, behind its last one.")
@words("[DRIVE] FILE|-  |  [DRIVE] -- COMMAND...")
@click.option("--name", metavar="NAME", help="Name on tape. Of a FILE its own name, unless NAME is empty.")
@click.option("--size", type=Number(0), metavar="BYTES", help="With -: so many bytes are all.")
@click.option(
    "--sha256-file", metavar="SUMS", help="With -: the SHA-256 in SUMS, read at the end, proves it is all."
)
@click.option(
    "--trust-eof", is_flag=True, help="With -: the end of standard input is taken for the end of the data."
)
@click.option("--file", type=Number(0), metavar="N", help="Write file N instead: it and all behind it go.")
@click.option("--expect-uuid", metavar="UUID", help="Only to the tape whose label has this UUID.")
@click.option("--unlabelled", is_flag=True, help="Also to a tape without labels.")
@click.option(
    "--no-durable", is_flag=True, help="Do not wait until the file is durable: for many small files."
)
@yes_option
async def write(
    client: Client,
    words: tuple[str, ...],
    name: str | None,
    size: int | None,
    sha256_file: str | None,
    trust_eof: bool,
    file: int | None,
    expect_uuid: str | None,
    unlabelled: bool,
    no_durable: bool,
    yes: bool,
) -> None:
    """Write one file to the tape in DRIVE, behind the last one that is there."""
    command = command_words()
    if command is not None and not command:
        raise click.UsageError("which COMMAND? It is missing behind --")
    device, given = await pick(client, words, *(() if command else ("FILE",)))
    if (size is not None or sha256_file or trust_eof) and given != ["-"]:
        raise click.UsageError("--size, --sha256-file and --trust-eof are for standard input (-)")
    if file is not None and not yes:
        must_be_able_to_ask("write --file", keyboard=given != ["-"])
    source: Source
    if command:
        source = Producer(command, name or "")
    elif given == ["-"]:
        source = StandardInput(name or "", size, sha256_file, trust_eof)
        if not source.proved:
            render.say("tapectl: nothing will prove the end of the data: the file will be marked incomplete")
            render.say("  try: --size, --sha256-file or --trust-eof, or -- COMMAND")
    else:
        source = RegularFile(given[0], name)
    options: dict[str, Any] = {
        "name": source.name or None,
        "size": source.size,
        "digest": "sha256",
        "expect_uuid": expect_uuid,
        "unlabelled": unlabelled or None,
        "durable": False if no_durable else None,
    }
    try:
        if file is None:
            result = await _transfer(client, device, source, options)
        else:
            result = await _replace(client, device, source, file, options, yes=yes)
    finally:
        await client.in_thread(source.close)
    _written(client, device.name, result)


async def _replace(
    client: Client, drive: Drive, source: Source, file: int, options: dict[str, Any], *, yes: bool
) -> Json:
    """Write ``file`` after the person has seen what goes, under one lease."""
    async with drive.lease(f"tapectl write --file {file}"):
        if not yes:
            stake = await at_stake(drive, file)
            await confirm(client, drive, stake, f"Write file {file} in their place?")
            options["expect_uuid"] = options["expect_uuid"] or stake.uuid or None
        return await _transfer(client, drive, source, {**options, "file": file})


async def _transfer(client: Client, drive: Drive, source: Source, options: dict[str, Any]) -> Json:
    """Copy ``source`` into the pipe of a write job, and commit it where its end is proved."""
    try:
        job, descriptor = await drive.call("WriteFile", **options)
    except Failure as failure:
        raise _told(client, failure, "") from failure
    begun = time.monotonic()
    with contextlib.closing(Stop()) as stop, open(descriptor, "wb", buffering=0) as pipe:
        os.set_blocking(descriptor, False)
        ended = client.spawn(client.finish(job, drive=drive.name))
        ended.add_done_callback(lambda _: stop.set())  # a job that fails needs no more bytes
        why = await _give(client, source, job, pipe, stop)
        pipe.close()
        try:
            result = await ended
        except Failure as failure:
            raise _told(client, failure, why) from failure
    return {**result, "seconds": round(time.monotonic() - begun, 3)}


async def _give(client: Client, source: Source, job: str, pipe: IO[bytes], stop: Stop) -> str:
    """Copy everything and commit it; why that could not be done, or ""."""
    copied, why = None, ""
    try:
        copied = await client.in_thread(copy, source.open(), pipe.fileno(), stop, source.size)
        if copied.ending in {Ending.STOPPED, Ending.SINK}:
            return ""  # the job has ended, and tells why
        why = await client.in_thread(source.objection, copied, stop)
    except Failure as failure:
        why = failure.text
    except OSError as error:
        why = f"{source.described}: {error.strerror}"
    await client.settle()  # a Ctrl-C that came with the end comes before it
    if stop.is_set() or client.interrupted:
        return why
    if why or copied is None:
        await _give_up(client, job, pipe, source, copied)
    elif refusal := await _tell(client, job, "Commit", copied.bytes, sha256=bytes.fromhex(copied.sha256)):
        client.note(f"tapectl: {refusal}")
        await _tell(client, job, "Abort")  # the file must not wait for another Commit
    return why


async def _give_up(client: Client, job: str, pipe: IO[bytes], source: Source, copied: Copied | None) -> None:
    """Have the file closed as incomplete, with everything that came where that is possible.

    Abort drops what is still in the pipe.  So the pipe is closed first, and where the service does
    not know that more was to come, it is told so: it then writes all it gets before it finds out.
    """
    if copied is None or (source.size is not None and copied.bytes >= source.size):
        await _tell(client, job, "Abort")
        return
    pipe.close()
    if source.size is None:
        await _tell(client, job, "Commit", copied.bytes + 1)


async def _tell(client: Client, job: str, member: str, *arguments: Any, **options: Any) -> str:
    """Call a member of the transfer; the text of its refusal.  A job that is over tells why by itself."""
    try:
        await client.call(job, names.TRANSFER, member, *arguments, options=options)
    except Failure as failure:
        return "" if failure.name in _OVER else failure.text
    return ""


def _told(client: Client, failure: Failure, why: str) -> Failure:
    """The failure with what we know of its cause, and with what is on the tape."""
    if client.interrupted and failure.name == "Incomplete":
        failure.text, failure.exit_status = "cancelled", Exit.CANCELLED
    elif why and failure.name == "Incomplete":
        failure.text = why
    elif failure.name == "EndOfMedia" and "bytes-on-tape" in failure.data:
        failure.remedy = f"load the next tape, and write from byte {failure.data['bytes-on-tape']:,} on"
    elif failure.name == "InvalidState":
        failure.remedy = _label_first(failure.text)
    failure.left = on_tape(failure.data)
    return failure


def _label_first(text: str) -> str:
    """What helps on a tape without labels, in the words of tapectl."""
    if "WriteMediaSetLabel" in text:
        return "tapectl label --overwrite (everything on the tape goes)"
    return "tapectl label, or the same with --unlabelled" if "LabelTape" in text else ""


def _written(client: Client, drive: str, result: Json) -> None:
    if client.settings.json:
        render.document(result)
        return
    if client.settings.quiet:
        return
    rate = result["bytes"] / result["seconds"] if result["seconds"] else 0
    render.tell(
        f"{drive}: file {result['file']}, {render.exact(result['bytes'])}, complete "
        f"({render.duration(result['seconds'])}, {render.amount(rate)}/s)"
    )
    digest = render.plain(result.get("sha256", b""))
    removed = result.get("files-removed", 0)
    render.facts(
        [
            ("sha256", digest),
            ("removed", render.plural(removed, "file") if removed else ""),
            ("note", "the end of the tape is near" if result.get("early-warning") else ""),
        ]
    )
