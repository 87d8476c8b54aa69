# SPDX-License-Identifier: LGPL-2.1-or-later
"""Cartridges in a changer and on their way: load unload inventory transfer export request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tapeds import names
from tapeds.cli import render
from tapeds.cli.failure import Exit, Failure
from tapeds.cli.remote import Changer, drive_names, find_drive, pick
from tapeds.cli.verb import Number, drive_argument, verb, words

if TYPE_CHECKING:
    from tapeds.cli.client import Client, Json


@verb("load", short_help="Load a cartridge from the changer.")
@words("[DRIVE] LABEL  |  [DRIVE] --slot N")
@click.option("--slot", type=Number(1), metavar="N", help="The cartridge in slot N, counted from 1.")
@click.option("--new", is_flag=True, help="Make the cartridge where there is none: virtual drives only.")
async def load(client: Client, words: tuple[str, ...], slot: int | None, new: bool) -> None:
    """Load the cartridge LABEL, or the one in a slot, from the changer of DRIVE."""
    if slot is not None and new:
        raise click.UsageError("--new wants a LABEL")
    device, given = await pick(client, words, *(("LABEL",) if slot is None else ()))
    changer, number = await device.changer()
    if slot is None:
        result = await _load_label(changer, given[0], number, new=new)
    else:
        result = await changer.run("LoadSlot", slot, number)
    _moved(client, result, f"{device.name}: loaded {given[0] if given else f'slot {slot}'}")


async def _load_label(changer: Changer, label: str, number: int, *, new: bool) -> Json:
    try:
        return await changer.run("LoadMedia", label, number, create=True if new else None)
    except Failure as failure:
        if failure.name == "NoMedia":
            failure.remedy = f"tapectl inventory {changer.name}, or the same with --new to make the cartridge"
        raise


@verb("unload", short_help="Bring the tape back into a slot of the changer.")
@drive_argument
@click.option("--slot", type=Number(1), metavar="N", help="Into slot N, instead of where it came from.")
async def unload(client: Client, drive: str | None, slot: int | None) -> None:
    """Bring the cartridge in DRIVE back into its slot, or into the first free one."""
    device = await find_drive(client, drive)
    changer, number = await device.changer()
    result = await changer.run("UnloadMedia", number, names.SOURCE_SLOT if slot is None else slot)
    _moved(client, result, f"{device.name}: unloaded")


@verb("transfer", short_help="Move a cartridge from one slot to another.")
@words("[DRIVE|CHANGER] FROM TO")
async def transfer(client: Client, words: tuple[str, ...]) -> None:
    """Move the cartridge in slot FROM to slot TO; slots are counted from 1."""
    changer, (source, target) = await _pick_changer(client, words, "FROM", "TO")
    if not (source.isdecimal() and target.isdecimal()):
        raise click.UsageError("FROM and TO are numbers of slots")
    result = await changer.run("TransferMedia", int(source), int(target))
    _moved(client, result, f"{changer.name}: moved from slot {source} to slot {target}")


@verb("export", short_help="Move a cartridge to where it can be taken out.")
@words("[DRIVE|CHANGER] LABEL")
async def export(client: Client, words: tuple[str, ...]) -> None:
    """Move the cartridge LABEL into a slot of the mail door."""
    changer, (label,) = await _pick_changer(client, words, "LABEL")
    result = await changer.run("ExportMedia", label)
    _moved(client, result, f"{changer.name}: {label} is in slot {result.get('slot', '?')}")


@verb("inventory", short_help="List the slots of the changer.")
@words("[DRIVE|CHANGER]")
@click.option("--refresh", is_flag=True, help="Look again, instead of telling what is remembered.")
@click.option("--all", "everything", is_flag=True, help="Empty slots too.")
async def inventory(client: Client, words: tuple[str, ...], refresh: bool, everything: bool) -> None:
    """List what is in the changer of DRIVE, or in CHANGER."""
    changer, _ = await _pick_changer(client, words)
    if refresh:
        await changer.run("RefreshInventory")
    generation, elements = await changer.call("GetInventory")
    if client.settings.json:
        render.document({"changer": changer.name, "generation": generation, "elements": elements})
        return
    rows = [
        (
            str(entry["kind"]),
            str(entry["number"]),
            _filling(entry),
            _place(entry),
        )
        for entry in elements
        if everything or entry["kind"] == "drive" or entry.get("state") != "empty"
    ]
    render.table(("KIND", "NUMBER", "TAPE", "NOTE"), rows, right=("NUMBER",))


def _filling(entry: Json) -> str:
    if entry.get("state") == "empty":
        return "-"
    return str(entry.get("label-text") or "?")


def _place(entry: Json) -> str:
    notes = []
    if entry["kind"] == "drive" and entry.get("drive", names.NO_PATH) != names.NO_PATH:
        notes.append(names.name_of(entry["drive"]))
    if entry.get("source-slot"):
        notes.append(f"from slot {entry['source-slot']}")
    if entry.get("accessible") is False:
        notes.append("out of reach")
    return ", ".join(notes)


@verb("request", short_help="Wait until a certain tape is in the drive.")
@words("[DRIVE] LABEL")
@click.option("--uuid", metavar="UUID", help="The tape must have this UUID, whatever stands on it.")
@click.option(
    "--timeout", type=Number(0), default=0, metavar="SECONDS", help="Wait no longer; 0 is for ever."
)
async def request(client: Client, words: tuple[str, ...], uuid: str | None, timeout: int) -> None:
    """Have the tape LABEL loaded into DRIVE, by the changer or by a person, and prove that it is it.

    While it is not there, everybody who watches (`tapectl monitor`) is told what is wanted.
    """
    device, (label,) = await pick(client, words, "LABEL")
    media = {"label-text": label, **({"uuid": uuid} if uuid else {})}
    try:
        result = await device.run("RequestMedia", media, timeout=timeout or None)
    except Failure as failure:
        if failure.name == "Timeout":
            failure.exit_status = Exit.NO_MEDIUM
        raise
    _moved(client, result, f"{device.name}: {result.get('label-text', label)} is loaded")


async def _pick_changer(client: Client, words: tuple[str, ...], *wanted: str) -> tuple[Changer, list[str]]:
    """Like `remote.pick`, for a changer: the one called so, or the one of the drive called so."""
    if len(words) == len(wanted) + 1:
        try:
            (path,) = await client.call(names.MANAGER_PATH, names.MANAGER, "GetChangerByName", words[0])
        except Failure as failure:
            if failure.name != "NoSuchChanger" or words[0] not in await drive_names(client):
                raise
        else:
            if words[0] not in await drive_names(client):
                return Changer(client, path), list(words[1:])
    device, rest = await pick(client, words, *wanted)
    changer, _ = await device.changer()
    return changer, rest


def _moved(client: Client, result: Json, text: str) -> None:
    if client.settings.json:
        render.document(result)
    elif not client.settings.quiet:
        render.tell(text)
