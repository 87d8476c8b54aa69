# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a tape is called, and making it blank: label read-label erase."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

import click

from tapeds.cli import render
from tapeds.cli.failure import Failure
from tapeds.cli.remote import Drive, find_drive, pick
from tapeds.cli.stake import at_stake, confirm, must_be_able_to_ask
from tapeds.cli.verb import drive_argument, verb, words, yes_option

if TYPE_CHECKING:
    from tapeds.cli.client import Client, Json


@verb("label", short_help="Give a tape its labels.")
@words("[DRIVE] TEXT")
@click.option("--pool", default="default", show_default=True, help="The media pool of the new media set.")
@click.option("--overwrite", is_flag=True, help="Also a tape that is not blank: everything on it goes.")
@yes_option
async def label(client: Client, words: tuple[str, ...], pool: str, overwrite: bool, yes: bool) -> None:
    """Write both labels to the tape in DRIVE: its own, TEXT, and that of a fresh media set.

    TEXT is what stands on the cartridge, 2 to 32 characters. A tape that is not blank is refused
    unless --overwrite is given; then its label and files are named and you are asked.
    """
    device, (text,) = await pick(client, words, "TEXT")
    async with device.lease(f"tapectl label {text}"):
        expected = None
        if overwrite:
            stake = await at_stake(device)
            expected = stake.uuid or None
            if not stake.empty and not yes:
                must_be_able_to_ask("label --overwrite")
                await confirm(client, device, stake, f"Label it {text} and lose all this?")
        result = await _write_labels(device, text, pool, overwrite=overwrite, expect_uuid=expected)
    if client.settings.json:
        render.document(result)
    elif not client.settings.quiet:
        render.tell(f"{device.name}: labelled {result['label-text']}, pool {pool}")
        render.facts([("uuid", str(result["uuid"])), ("media set", str(result["media-set-uuid"]))])


async def _write_labels(
    drive: Drive, text: str, pool: str, *, overwrite: bool, expect_uuid: str | None
) -> Json:
    now = int(time.time())
    force = True if overwrite else None
    mine = {"label-text": text, "uuid": str(uuid.uuid4()), "ctime": now}
    written = await drive.run("LabelTape", mine, overwrite=force, expect_uuid=expect_uuid)
    mediaset = {"uuid": str(uuid.uuid4()), "pool": pool, "seq-nr": 0, "ctime": now}
    try:
        return await drive.run("WriteMediaSetLabel", mediaset, expect_uuid=str(written["uuid"]))
    except Failure as failure:
        failure.text = f"the tape has its label {text}, but no media-set label: {failure.text}"
        failure.remedy = f"tapectl label --overwrite {drive.name} {text}"
        raise


@verb("read-label", short_help="Read the labels of the tape.")
@drive_argument
async def read_label(client: Client, drive: str | None) -> None:
    """Read both labels of the tape; the tape is rewound for it."""
    device = await find_drive(client, drive)
    result = await device.run("ReadLabel")
    if client.settings.json:
        render.document(result)
        return
    own: dict[str, Any] = result.get("label", {})
    media_set: dict[str, Any] = result.get("media-set-label", {})
    if not own:
        render.tell(f"{device.name}: the tape is empty, it has no label")
        return
    render.tell(f"{device.name}: {render.printable(own['label-text'])}")
    render.facts(
        [
            ("uuid", str(own["uuid"])),
            ("labelled", render.moment(own["ctime"])),
            ("pool", str(media_set.get("pool") or own.get("pool") or "")),
            ("media set", str(media_set.get("uuid", "none"))),
            ("number", str(media_set.get("seq-nr", ""))),
            ("in the set since", render.moment(media_set["ctime"]) if "ctime" in media_set else ""),
            ("key", str(result.get("key-fingerprint", ""))),
        ]
    )


@verb("erase", short_help="Make a tape blank.")
@drive_argument
@click.option("--full", is_flag=True, help="Overwrite the whole tape: takes hours on a real drive.")
@yes_option
async def erase(client: Client, drive: str | None, full: bool, yes: bool) -> None:
    """Make the tape in DRIVE blank: its labels and all its files go.

    They are named, and you are asked. Without --full only the beginning is overwritten, which
    is enough to make the rest unreachable.
    """
    if not yes:
        must_be_able_to_ask("erase")
    device = await find_drive(client, drive)
    async with device.lease("tapectl erase"):
        expected = None
        if not yes:
            stake = await at_stake(device)
            expected = stake.uuid or None
            await confirm(client, device, stake, "Erase it?")
        result = await device.run("FormatMedia", not full, expect_uuid=expected)
    if client.settings.json:
        render.document(result)
    elif not client.settings.quiet:
        removed = result.get("files-removed")
        render.tell(
            f"{device.name}: erased" + (f", {render.plural(removed, 'file')} removed" if removed else "")
        )
