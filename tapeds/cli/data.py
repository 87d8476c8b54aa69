# SPDX-License-Identifier: LGPL-2.1-or-later
"""What stands on a tape, and whether it is in order: ls verify."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tapeds.cli import render
from tapeds.cli.failure import Exit
from tapeds.cli.remote import find_drive
from tapeds.cli.stake import PAGE, list_files
from tapeds.cli.verb import Number, drive_argument, verb

if TYPE_CHECKING:
    from tapeds.cli.client import Client, Json


@verb("ls", short_help="List the files on the tape.")
@drive_argument
@click.option("--first", type=Number(0), default=0, metavar="N", help="From file N on, counted from 0.")
@click.option("--count", type=Number(1), metavar="N", help="At most N files.")
async def ls(client: Client, drive: str | None, first: int, count: int | None) -> None:
    """List the files on the tape in DRIVE, labels included.

    A file that is not complete was cut off: what is there can be read, but it is not all.
    """
    device = await find_drive(client, drive)
    if count is not None and count <= PAGE:
        files = list((await device.run("ListFiles", first=first, count=count))["files"])
    else:
        files = (await list_files(device, first))[:count]
    if client.settings.json:
        render.document(files)
        return
    rows = [
        (
            str(entry["number"]),
            str(entry["kind"]),
            f"{entry['bytes']:,}",
            "yes" if entry["complete"] else "NO",
            str(entry.get("name", "")),
        )
        for entry in files
    ]
    render.table(("FILE", "KIND", "BYTES", "COMPLETE", "NAME"), rows, right=("FILE", "BYTES"))


@verb("verify", short_help="Read the tape and check every rule of its format.")
@drive_argument
@click.option("--file", type=Number(0), metavar="N", help="Only file N, counted from 0.")
async def verify(client: Client, drive: str | None, file: int | None) -> Exit:
    """Read the whole tape in DRIVE, or one file, and check every rule of the format.

    The first error is printed, with its file and block, and makes the exit status 1.
    Files that are marked incomplete break no rule; they make the exit status 6.
    """
    device = await find_drive(client, drive)
    result = await (device.run("VerifyTape") if file is None else device.run("VerifyFile", file))
    error: dict[str, Any] = result.get("first-error") or {}
    if client.settings.json:
        render.document(result)
    else:
        _verified(client, device.name, result)
    if error:
        where = f"file {error.get('file', '?')}, block {error.get('block', '?')}"
        render.say(f"tapectl: {where}: {render.printable(error['text'])}")
        return Exit.FAILED
    return Exit.INCOMPLETE if result.get("incomplete") else Exit.DONE


def _verified(client: Client, drive: str, result: Json) -> None:
    if client.settings.quiet:
        return
    checked = f"{render.plural(result.get('files', 0), 'file')}, {render.exact(result.get('bytes', 0))}"
    render.tell(
        f"{drive}: "
        + (f"{checked} read before the first error" if result.get("first-error") else f"{checked}, no error")
    )
    if incomplete := result.get("incomplete"):
        render.tell(f"{drive}: {render.plural(incomplete, 'file')} marked incomplete, see tapectl ls {drive}")
