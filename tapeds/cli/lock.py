# SPDX-License-Identifier: LGPL-2.1-or-later
"""Keeping a drive while a command runs: lock."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING

import click

from tapeds import names
from tapeds.cli import render
from tapeds.cli.failure import Exit, Failure
from tapeds.cli.remote import DRIVE_VARIABLE, SESSION_VARIABLE, Drive, pick
from tapeds.cli.verb import Number, command_words, verb, words

if TYPE_CHECKING:
    from tapeds.cli.client import Client

TTL_SECONDS = 60
RENEW_SECONDS = 20
_AGAIN_SECONDS = 2

# The lease may still be there: the service restarts, or is slow.
# Cancelled and Busy: the service is being started anew, which a lease survives.
_PASSING = {"NoReply", "Timeout", "TimedOut", "ServiceUnknown", "NameHasNoOwner", "Cancelled", "Busy"}


@verb("lock", takes_command=True, short_help="Keep a drive while a command or a shell runs.")
@words("[DRIVE] [-- COMMAND...]")
@click.option("--reason", default="", metavar="TEXT", help="Shown to others who want the drive.")
@click.option(
    "--wait",
    type=Number(0),
    default=10,
    show_default=True,
    metavar="SECONDS",
    help="Wait so long for the drive.",
)
@click.option("--for-ever", is_flag=True, help="Wait for the drive without limit.")
async def lock(client: Client, words: tuple[str, ...], reason: str, wait: int, for_ever: bool) -> int:
    """Hold DRIVE while COMMAND runs, or an interactive shell; nobody else gets it.

    The lease is passed on in TAPEDS_SESSION, the drive in TAPEDS_DRIVE; tapectl uses both. The
    exit status is that of COMMAND, or 4 when the lease was lost meanwhile.
    """
    given = command_words()
    if given is not None and not given:
        raise click.UsageError("which COMMAND? It is missing behind --")
    command = given or [os.environ.get("SHELL") or "/bin/sh"]
    if shutil.which(command[0]) is None:
        raise click.UsageError(f"{command[0]}: no such command")
    device, _ = await pick(client, words)
    if device.session:
        raise Failure(f"{device.name} is held by this lock already", exit_status=Exit.BUSY)
    (session,) = await device.call(
        "Acquire",
        bind="none",
        ttl=TTL_SECONDS,
        timeout=names.FOR_EVER if for_ever else wait,
        reason=reason or f"tapectl lock -- {' '.join(command)}"[:200],
    )
    if given is None and not client.settings.quiet:
        render.say(f"tapectl: {device.name} is yours until this shell ends")
    return await _held(client, device, session, command)


async def _held(client: Client, drive: Drive, session: str, command: list[str]) -> int:
    """Run ``command`` under the lease, and give it back."""
    keeper = Keeper(client, session)
    renewing = client.spawn(keeper.renew())
    try:
        environment = {**os.environ, SESSION_VARIABLE: session, DRIVE_VARIABLE: drive.name}
        try:
            process = subprocess.Popen(command, env=environment)
        except OSError as error:
            raise Failure(
                f"{command[0]} cannot be started: {error.strerror}", exit_status=Exit.USAGE
            ) from error
        client.on_signal = lambda number: _pass_on(process, number)
        status = await client.in_thread(process.wait)
        await client.settle()  # a Ctrl-C that ended the command was for the command
    finally:
        renewing.cancel()
        client.on_signal = None
        if not keeper.lost:
            try:
                await client.call(session, names.SESSION, "Release")
            except Failure as failure:
                keeper.lost = _why(failure)
    if keeper.lost:
        render.say(f"tapectl: {drive.name} was not held all the time: {keeper.lost}")
        return status or Exit.BUSY
    return status if status >= 0 else 128 - status


def _pass_on(process: subprocess.Popen[bytes], number: int) -> None:
    """The keyboard's signals reach the command by itself; others it gets from us."""
    if number != signal.SIGINT:
        process.send_signal(number)


def _why(failure: Failure) -> str:
    """Why a lease is gone."""
    if failure.name == "UnknownObject":
        return "the lease has ended; somebody broke it, or the service was started anew"
    return failure.text


class Keeper:
    """Renews a lease for as long as it runs."""

    def __init__(self, client: Client, session: str) -> None:
        self._client = client
        self._session = session
        self.lost = ""  # why the lease is gone

    async def renew(self) -> None:
        pause = RENEW_SECONDS
        while not self.lost:
            await self._client.sleep(pause)
            try:
                await self._client.call(self._session, names.SESSION, "Renew", TTL_SECONDS)
                pause = RENEW_SECONDS
            except Failure as failure:
                if failure.name in _PASSING:
                    pause = _AGAIN_SECONDS
                    continue
                self.lost = _why(failure)
                render.say(f"tapectl: the drive is not held any longer: {self.lost}")
