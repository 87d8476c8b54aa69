# SPDX-License-Identifier: LGPL-2.1-or-later
"""Is everything as it should be, and what helps if not: doctor."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import click

from tapeds import __version__, names
from tapeds.cli import render
from tapeds.cli.failure import Exit, Failure
from tapeds.cli.settings import Settings
from tapeds.cli.verb import Verb

if TYPE_CHECKING:
    from tapeds.cli.client import Client, Json

_INDENT = 19
WELL, NOTE, BAD = "well", "note", "bad"
_LEAST_FREE = 0.05  # of a file system that holds virtual drives


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: how it is, and what helps."""

    check: str
    state: str
    text: str
    remedy: str = ""


@click.command("doctor", cls=Verb, short_help="Check that everything works, and say what helps if not.")
@click.pass_context
def doctor(context: click.Context) -> Exit:
    """Look at the bus, the service, its drives and what you may do; say what helps.

    The exit status is 1 where something is bad; a note is only worth knowing.
    """
    settings = context.ensure_object(Settings)
    findings = _examine(settings)
    if settings.json:
        render.document([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            if finding.state == WELL and settings.quiet:
                continue
            text = render.paragraph(render.printable(finding.text), _INDENT)
            render.tell(f"{finding.state:4}  {finding.check:11}  {text}")
            if finding.remedy:
                render.tell(f"{'':{_INDENT}}try: {render.paragraph(finding.remedy, _INDENT + 5)}")
    return Exit.FAILED if any(finding.state == BAD for finding in findings) else Exit.DONE


def _examine(settings: Settings) -> list[Finding]:
    from tapeds.cli.client import run

    findings: list[Finding] = []

    async def body(client: Client) -> None:
        findings.append(Finding("bus", WELL, f"connected as {(await client.bus()).name}"))
        managed = await client.objects()
        manager = managed[names.MANAGER_PATH][names.MANAGER]
        findings.extend(_service(manager))
        findings.extend(_drives(managed))
        findings.extend(_free_space(managed))
        (permissions,) = await client.call(names.MANAGER_PATH, names.MANAGER, "GetPermissions")
        findings.append(_permissions(permissions))

    try:
        run(settings, body, {})
    except Failure as failure:
        findings.append(_stopped_at(failure, connected=bool(findings)))
    return findings


def _stopped_at(failure: Failure, *, connected: bool) -> Finding:
    """The finding behind which nothing can be looked at."""
    if failure.exit_status is Exit.CANCELLED:
        raise failure
    if not connected:
        address = os.environ.get("DBUS_SYSTEM_BUS_ADDRESS")
        remedy = f"unset DBUS_SYSTEM_BUS_ADDRESS ({address})" if address else "systemctl start dbus"
        return Finding("bus", BAD, failure.text, remedy)
    if failure.name in {"ServiceUnknown", "NameHasNoOwner"} or failure.name.startswith("Spawn"):
        text = f"{failure.text}, and the bus cannot start it"
        return Finding("service", BAD, text, "systemctl status tapeds, then systemctl start tapeds")
    return Finding("service", BAD, failure.text, "journalctl -u tapeds")


def _service(manager: Mapping[str, Any]) -> Iterator[Finding]:
    version, revision = manager["Version"], manager["ApiRevision"]
    if version == __version__:
        yield Finding("service", WELL, f"tapedsd {version}, API revision {revision}")
    else:
        text = (
            f"tapedsd is {version}, tapectl {__version__}; API revision {revision} and {names.API_REVISION}"
        )
        older = revision < names.API_REVISION
        yield Finding("service", BAD if older else NOTE, text, "systemctl restart tapeds" if older else "")
    for error in manager["ConfigErrors"]:
        yield Finding("settings", BAD, error, "mend it, then tapectl reload")
    if not manager["ConfigErrors"]:
        yield Finding("settings", WELL, f"generation {manager['ConfigGeneration']}, no errors")


def _drives(managed: Mapping[str, Mapping[str, Json]]) -> Iterator[Finding]:
    drives = [entry[names.DRIVE] for _, entry in sorted(managed.items()) if names.DRIVE in entry]
    if not drives:
        yield Finding("drives", NOTE, "no drive is configured", "tapectl scan, then man tapeds.toml")
    for drive in drives:
        name, holder = f"drive {drive['Name']}", ""
        session = managed.get(drive["Session"], {}).get(names.SESSION)
        if session:
            holder = f", held by uid {session['OwnerUID']} (process {session['OwnerPID']})"
        elif drive.get("LockHolder") == "external":
            holder = ", held by another program on this host"
        if not drive["Present"]:
            remedy = (
                "make the directory"
                if drive["Type"] == "virtual"
                else "tapectl scan, and look at cables and power"
            )
            yield Finding("drives", BAD, f"{name} is not there ({drive['ConfiguredPath']})", remedy)
        elif drive["State"] == "error":
            yield Finding("drives", BAD, f"{name}: {drive['StatusText']}", "journalctl -u tapeds")
        else:
            yield Finding("drives", NOTE if holder else WELL, f"{name} is {drive['State']}{holder}")


def _free_space(managed: Mapping[str, Mapping[str, Json]]) -> Iterator[Finding]:
    """How full the file systems are on which virtual drives live; each once."""
    seen: set[int] = set()
    for _, entry in sorted(managed.items()):
        drive = entry.get(names.DRIVE, {})
        if drive.get("Type") != "virtual" or not drive.get("Present"):
            continue
        path = drive["ConfiguredPath"]
        try:
            device, space = os.stat(path).st_dev, os.statvfs(path)
        except OSError as error:
            yield Finding("space", NOTE, f"{path} cannot be looked at: {error.strerror}")
            continue
        if device in seen:
            continue
        seen.add(device)
        free, whole = space.f_bavail * space.f_frsize, space.f_blocks * space.f_frsize
        text = f"{render.amount(free)} of {render.amount(whole)} are free where {path} is"
        if free < whole * _LEAST_FREE:
            yield Finding(
                "space", BAD, text, "make room, or give the drive a smaller max-size (man tapeds.toml)"
            )
        else:
            yield Finding("space", WELL, text)


def _permissions(permissions: Mapping[str, str]) -> Finding:
    """What the caller may do."""
    prefix = f"{names.BUS_NAME}."
    refused = sorted(action.removeprefix(prefix) for action, answer in permissions.items() if answer == "no")
    asked = sorted(action.removeprefix(prefix) for action, answer in permissions.items() if answer == "auth")
    if not refused and not asked:
        return Finding("permissions", WELL, "you may do everything")
    if len(refused) == len(permissions):
        return Finding("permissions", NOTE, "you may only look", "become a member of the group tape, or root")
    text = "; ".join(
        part
        for part in (
            f"a password is asked for {', '.join(asked)}" if asked else "",
            f"refused are {', '.join(refused)}" if refused else "",
        )
        if part
    )
    remedy = (
        "become a member of the group tape, or root" if "data.read" in refused or "data.read" in asked else ""
    )
    return Finding("permissions", NOTE, text, remedy)
