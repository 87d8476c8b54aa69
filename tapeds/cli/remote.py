# SPDX-License-Identifier: LGPL-2.1-or-later
"""Drives and changers as objects of tapectl, and the lease on a drive."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from tapeds import names
from tapeds.cli.failure import Failure, from_error

if TYPE_CHECKING:
    from tapeds.cli.client import Client, Json

SESSION_VARIABLE = "TAPEDS_SESSION"
DRIVE_VARIABLE = "TAPEDS_DRIVE"


class Device:
    """What drives and changers have in common: a name, properties, and jobs."""

    interface = ""

    def __init__(self, client: Client, path: str, session: str = "") -> None:
        self.client = client
        self.path = path
        self.session = session

    @property
    def name(self) -> str:
        return names.name_of(self.path)

    async def properties(self) -> Json:
        return await self.client.properties(self.path, self.interface)

    async def call(self, member: str, *arguments: Any, **options: Any) -> list[Any]:
        """Call a member with ``options`` (``expect_uuid`` is ``expect-uuid``; None is left out).

        Raises Failure, also where the person has asked to stop.
        """
        if self.client.interrupted:
            raise from_error(names.ERROR_PREFIX + "Cancelled", "cancelled")
        given = {key.replace("_", "-"): value for key, value in options.items() if value is not None}
        if self.session:
            given["session"] = self.session
        return await self.client.call(self.path, self.interface, member, *arguments, options=given)

    async def run(self, member: str, *arguments: Any, **options: Any) -> Json:
        """Start a job and see it through; its result.  Raises Failure."""
        (job,) = await self.call(member, *arguments, **options)
        return await self.client.finish(job, drive=self.name)


class Changer(Device):
    """A media changer; every virtual drive has one of its own name."""

    interface = names.CHANGER


class Drive(Device):
    """A configured drive."""

    interface = names.DRIVE

    @contextlib.asynccontextmanager
    async def lease(self, reason: str) -> AsyncIterator[None]:
        """Keep the drive while several steps belong together, by the lease given to us if there is one."""
        if self.session:
            yield
            return
        (self.session,) = await self.call("Acquire", bind="client", reason=reason)
        try:
            yield
        finally:
            session, self.session = self.session, ""
            with contextlib.suppress(Failure):  # gone already: the failure that ended it is on its way
                await self.client.call(session, names.SESSION, "Release")

    async def changer(self) -> tuple[Changer, int]:
        """Its changer, and the number of the drive in it.  Raises Failure."""
        properties = await self.properties()
        path = str(properties.get("Changer", names.NO_PATH))
        if path == names.NO_PATH:
            raise from_error(names.ERROR_PREFIX + "NoChanger", f"{self.name} has no changer")
        return Changer(self.client, path, self.session), int(properties["ChangerDriveNumber"])


async def drive_names(client: Client) -> list[str]:
    """The configured drives.  Raises Failure."""
    (paths,) = await client.call(names.MANAGER_PATH, names.MANAGER, "GetDrives")
    return sorted(names.name_of(path) for path in paths)


async def find_drive(client: Client, name: str | None) -> Drive:
    """The drive called ``name``; without one that of TAPEDS_DRIVE, else the only one configured.

    Raises Failure, and click.UsageError where it is not clear which drive is meant.
    """
    name = name or os.environ.get(DRIVE_VARIABLE)
    if not name:
        configured = await drive_names(client)
        if not configured:
            raise Failure("no drive is configured", remedy="man tapeds.toml, then tapectl reload")
        if len(configured) > 1:
            raise click.UsageError(
                f"which drive? Configured are {', '.join(configured)}; name one, or set {DRIVE_VARIABLE}",
                click.get_current_context(silent=True),
            )
        (name,) = configured
    (path,) = await client.call(names.MANAGER_PATH, names.MANAGER, "GetDriveByName", name)
    return Drive(client, path, await _session_on(client, path))


async def _session_on(client: Client, drive: str) -> str:
    """The lease passed on by TAPEDS_SESSION, unless it is one on another drive.

    A lease that is gone is passed on all the same: its user has to learn that it is.
    """
    session = os.environ.get(SESSION_VARIABLE, "")
    if not session:
        return ""
    try:
        other = (await client.properties(session, names.SESSION)).get("Drive", drive)
    except Failure:
        return session
    return session if other == drive else ""


async def pick(client: Client, words: Sequence[str], *wanted: str) -> tuple[Drive, list[str]]:
    """The words of a verb ``[DRIVE] WANTED…``: the drive, and the words that are wanted.

    Raises click.UsageError, also where the one word that is there names a drive.
    """
    context = click.get_current_context(silent=True)
    rest = list(words)
    name = rest.pop(0) if len(rest) == len(wanted) + 1 else None
    if len(rest) != len(wanted):
        counted = " ".join(("[DRIVE]", *wanted))
        raise click.UsageError(f"wanted are {counted}; {len(words) or 'none'} given", context)
    if name is None and rest and rest[0] in await drive_names(client):
        raise click.UsageError(f"{rest[0]} is a drive; {wanted[0]} is missing behind it", context)
    return await find_drive(client, name), rest
