# SPDX-License-Identifier: LGPL-2.1-or-later
"""Drives and where their heads stand: drives status rewind seek eod sync eject."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from tapeds import names
from tapeds.cli import render
from tapeds.cli.failure import Exit, Failure
from tapeds.cli.job import Job
from tapeds.cli.remote import drive_names, find_drive, pick
from tapeds.cli.verb import drive_argument, mute_flag, verb, words

if TYPE_CHECKING:
    from tapeds.cli.client import Client, Json


@verb("drives", short_help="List the drives.")
@mute_flag("--names", "only_names", "Only the names, one a line; silent if there is no service.")
async def drives(client: Client, only_names: bool) -> Exit | None:
    """List the configured drives: what they hold and what they do."""
    if only_names:
        for name in await drive_names(client):
            render.tell(name)
        return None
    managed = await client.objects()
    found = {path: entry[names.DRIVE] for path, entry in sorted(managed.items()) if names.DRIVE in entry}
    if client.settings.json:
        render.document([render.properties(properties) for properties in found.values()])
        return None
    rows = [
        (
            str(properties["Name"]),
            str(properties["Type"]),
            str(properties["State"]),
            _tape(properties),
            render.position(properties) if properties["MediaState"] != "empty" else "",
            _activity(properties, managed),
        )
        for properties in found.values()
    ]
    render.table(("NAME", "TYPE", "STATE", "TAPE", "POSITION", "IN USE BY"), rows)
    if not rows:
        render.say("tapectl: no drive is configured (man tapeds.toml)")
    return None


def _tape(properties: Mapping[str, Any]) -> str:
    """The label of what is in the drive, in a word."""
    label = properties.get("Media", {}).get("label-text")
    return str(label or {"empty": "-", "unlabeled": "unlabelled"}.get(properties["MediaState"], "?"))


def _whole_tape(properties: Mapping[str, Any]) -> str:
    """The label of what is in the drive, in a sentence."""
    label = properties.get("Media", {}).get("label-text")
    states = {"empty": "none, the drive is empty", "unlabeled": "without a label"}
    return str(label or states.get(properties["MediaState"], "not known yet"))


def _activity(properties: Mapping[str, Any], managed: Mapping[str, Mapping[str, Json]]) -> str:
    """Who uses the drive and for what, in a few words."""
    job = managed.get(properties["Job"], {}).get(names.JOB)
    if job is not None:
        return f"job {job['Id']}, {job['Operation']}"
    session = managed.get(properties["Session"], {}).get(names.SESSION)
    if session is not None:
        return f"uid {session['OwnerUID']}" + (f", {session['Reason']}" if session["Reason"] else "")
    return "another program" if properties.get("LockHolder") == "external" else ""


@verb("status", short_help="Show a drive, its tape and what it does.")
@drive_argument
async def status(client: Client, drive: str | None) -> None:
    """Show a drive: its tape, its position, who holds it and what it does.

    The drive itself is asked where you may do that; else the last known values are shown.
    """
    device = await find_drive(client, drive)
    refusal = ""
    try:
        # A look at the drive is not worth a password.
        options = {"session": device.session} if device.session else {}
        (asked,) = await client.call(
            device.path, names.DRIVE, "GetStatus", options=options, interactive=False
        )
    except Failure as failure:
        if failure.exit_status is not Exit.REFUSED:
            raise
        asked, refusal = {}, failure.text
    properties = await device.properties()  # the answer has brought them up to date
    job = await _object(client, properties["Job"], names.JOB)
    session = await _object(client, properties["Session"], names.SESSION)
    if client.settings.json:
        render.document(
            {
                **render.properties(properties),
                "job-properties": render.properties(job) if job else None,
                "session-properties": render.properties(session) if session else None,
                "status": asked,
            }
        )
        return
    media = properties.get("Media", {})
    render.tell(f"{device.name} ({properties['Type']}): {properties['State']}")
    render.facts(
        [
            ("tape", _whole_tape(properties)),
            ("uuid", str(media.get("uuid", ""))),
            ("pool", str(media.get("pool") or media.get("media-set-pool") or "")),
            ("media set", _media_set(media)),
            ("protected", "yes" if media.get("write-protected") else ""),
            ("position", render.position(properties)),
            ("durable", _durable(properties)),
            ("capacity", _capacity(properties)),
            ("in use by", _holder(properties, session)),
            ("waiting", f"{properties['Waiters']} for a lease" if properties["Waiters"] else ""),
            (
                "job",
                f"{job['Id']}, {Job(properties['Job'], job).title()}, {Job('', job).summary()}"
                if job
                else "",
            ),
            ("note", _note(properties, session)),
            ("device", str(properties["Device"]) if properties["Present"] else "not there"),
            ("configured", str(properties["ConfiguredPath"])),
            ("made by", " ".join(str(properties[key]) for key in ("Vendor", "Model", "Revision")).strip()),
            ("serial", str(properties["Serial"])),
            ("changer", _changer(properties)),
            ("as of", _age(asked)),
            *((key, str(value)) for key, value in sorted(asked.items()) if key not in _SHOWN_ALREADY),
        ]
    )
    if refusal:
        render.say(f"tapectl: the drive was not asked: {refusal}")


_SHOWN_ALREADY = {
    "vendor", "product", "model", "revision", "serial", "file-number", "block-number", "state", "job",
    "label-text", "uuid", "media-state", "position-known", "capacity-bytes", "remaining-bytes",
    "write-protect", "age-ms",
}  # fmt: skip


def _age(asked: Mapping[str, Any]) -> str:
    """How old the answers of the drive are, where it matters."""
    seconds = asked.get("age-ms", 0) / 1000
    return f"{render.duration(seconds)} ago" if seconds >= 2 else ""


async def _object(client: Client, path: str, interface: str) -> Json | None:
    """The properties of an object that may vanish at any time."""
    if path == names.NO_PATH:
        return None
    try:
        return await client.properties(path, interface)
    except Failure:
        return None


def _media_set(media: Mapping[str, Any]) -> str:
    if "media-set-uuid" not in media:
        return ""
    return f"{media['media-set-uuid']}, tape {media.get('seq-nr', 0)} of it"


def _durable(properties: Mapping[str, Any]) -> str:
    if properties["MediaState"] == "empty" or not properties["DurableFile"]:
        return ""
    blocks = properties["DurableBlock"]
    return f"all before file {properties['DurableFile']}" + (f" and {blocks} blocks of it" if blocks else "")


def _capacity(properties: Mapping[str, Any]) -> str:
    if not properties["CapacityBytes"]:
        return ""
    return f"{render.amount(properties['CapacityBytes'])}, {render.amount(properties['RemainingBytes'])} left"


def _holder(properties: Mapping[str, Any], session: Mapping[str, Any] | None) -> str:
    if session:
        who = f"uid {session['OwnerUID']}, process {session['OwnerPID']}"
        who += f", since {render.moment(session['Created'] / 1e6)}"
        return who + (f": {session['Reason']}" if session["Reason"] else "")
    others = {
        "external": "another program on this host",
        "job": "a job",
        "session": "a lease of another drive that is the same device",
    }
    return others.get(properties["LockHolder"], "nobody")


def _note(properties: Mapping[str, Any], session: Mapping[str, Any] | None) -> str:
    """What the holder says, where it is more than the reason of the lease and the job."""
    text = str(properties["StatusText"])
    told = properties["Job"] != names.NO_PATH or (session and session["Reason"] == text)
    return "" if told else text


def _changer(properties: Mapping[str, Any]) -> str:
    if properties["Changer"] == names.NO_PATH:
        return ""
    return f"{names.name_of(properties['Changer'])}, drive {properties['ChangerDriveNumber']} of it"


# --- moving the tape ----------------------------------------------------------------------------


@verb("rewind", short_help="Go to the beginning of the tape.")
@drive_argument
async def rewind(client: Client, drive: str | None) -> None:
    """Go to the beginning of the tape."""
    device = await find_drive(client, drive)
    _arrived(client, device.name, await device.run("Rewind"))


@verb("seek", short_help="Go to a file on the tape.")
@words("[DRIVE] FILE|last")
async def seek(client: Client, words: tuple[str, ...]) -> None:
    """Go to the first block of FILE, counted from 0, or of the last file."""
    device, (file,) = await pick(client, words, "FILE")
    if file == "last":
        _arrived(client, device.name, await device.run("MoveToLastFile"))
        return
    if not file.isdecimal():
        raise click.UsageError(f"FILE is a number, counted from 0, or the word last; not {file}")
    _arrived(client, device.name, await device.run("MoveToFile", int(file)))


@verb("eod", short_help="Go to the end of the data.")
@click.option("--repair", is_flag=True, help="Close an open last file, as the next write would do.")
@drive_argument
async def eod(client: Client, drive: str | None, repair: bool) -> None:
    """Go to the end of the data, where the next file would be written."""
    device = await find_drive(client, drive)
    _arrived(client, device.name, await device.run("MoveToEom", repair))


@verb("sync", short_help="Make durable what was written.")
@drive_argument
async def sync(client: Client, drive: str | None) -> None:
    """Make durable what was written with --no-durable."""
    device = await find_drive(client, drive)
    result = await device.run("Sync")
    if client.settings.json:
        render.document(result)
    elif not client.settings.quiet:
        render.tell(f"{device.name}: everything written is durable")


def _arrived(client: Client, drive: str, result: Json) -> None:
    """Tell where the head stands."""
    if client.settings.json:
        render.document(result)
    elif not client.settings.quiet:
        where = {
            "PositionKnown": result.get("position-known"),
            "FileNumber": result.get("file"),
            "BlockNumber": result.get("block"),
        }
        render.tell(
            f"{drive}: at {render.position(where)}"
            if where["PositionKnown"]
            else f"{drive}: position unknown"
        )


@verb("eject", short_help="Put the tape out of the drive.")
@drive_argument
async def eject(client: Client, drive: str | None) -> None:
    """Put the tape out of the drive; `unload` brings it back into its slot."""
    device = await find_drive(client, drive)
    result = await device.run("EjectMedia")
    if client.settings.json:
        render.document(result)
    elif not client.settings.quiet:
        render.tell(f"{device.name}: ejected")
