# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a destructive verb would destroy, and the question that comes before."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tapeds.cli import render
from tapeds.cli.failure import Exit, Failure

if TYPE_CHECKING:
    from tapeds.cli.client import Client, Json
    from tapeds.cli.remote import Drive

PAGE = 1000  # files in one call of ListFiles
_SHOWN = 12  # files named in a question; the others are counted

_UNREADABLE = {"UnknownFormat", "MalformedData", "ReadFailed", "MediumError", "UnexpectedFilemark"}


@dataclass(frozen=True)
class Stake:
    """The tape in a drive and the files on it that would go."""

    label_text: str = ""
    uuid: str = ""
    files: Sequence[Json] = field(default_factory=tuple)
    unreadable: str = ""  # why the tape could not be read

    @property
    def empty(self) -> bool:
        return not (self.label_text or self.files or self.unreadable)


async def list_files(drive: Drive, first: int = 0) -> list[Json]:
    """All files of the tape from ``first`` on, page by page.  Raises Failure."""
    found: list[Json] = []
    while True:
        page = await drive.run("ListFiles", first=first + len(found), count=PAGE)
        found += page["files"]
        if not page.get("more") or not page["files"]:
            return found


async def at_stake(drive: Drive, first: int = 0) -> Stake:
    """What stands on the tape from file ``first`` on; an unreadable tape is no failure."""
    try:
        labels = await drive.run("ReadLabel")
    except Failure as failure:
        if failure.name not in _UNREADABLE:
            raise
        return Stake(files=await _listable(drive, first), unreadable=failure.text)
    label: dict[str, Any] = labels.get("label", {})
    return Stake(str(label.get("label-text", "")), str(label.get("uuid", "")), await _listable(drive, first))


async def _listable(drive: Drive, first: int) -> list[Json]:
    try:
        return await list_files(drive, first)
    except Failure as failure:
        if failure.name not in _UNREADABLE | {"EmptyMedia", "EndOfData"}:
            raise
        return []


def must_be_able_to_ask(what: str, *, keyboard: bool = True) -> None:
    """End with a usage error where nobody can be asked.

    ``keyboard``: standard input is a person's; else it is data, and the terminal itself is asked.
    """
    if keyboard and sys.stdin.isatty() and sys.stderr.isatty():
        return
    if not keyboard and _has_terminal():
        return
    raise Failure(
        f"{what} destroys data, and there is no terminal to ask on",
        exit_status=Exit.USAGE,
        remedy="the same with --yes, if that is what you want",
    )


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


async def confirm(client: Client, drive: Drive, stake: Stake, question: str) -> None:
    """Name label and files that will go, and ask.  Raises Failure (cancelled) unless the answer is yes."""
    for line in describe(drive.name, stake):
        render.say(line)
    terminal = sys.stdin.fileno() if sys.stdin.isatty() else os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    answer = ""
    try:
        sys.stderr.write(f"{question} [y/N] ")
        sys.stderr.flush()
        answer = await client.line_from(terminal)
    finally:
        if not answer.endswith("\n"):
            render.say("")
        if not sys.stdin.isatty():
            os.close(terminal)
    if answer.strip().lower() not in {"y", "yes"}:
        raise Failure("nothing was changed", exit_status=Exit.CANCELLED)


def describe(drive: str, stake: Stake) -> list[str]:
    """What would go, in lines."""
    if stake.label_text:
        lines = [f"{drive} holds the tape {render.printable(stake.label_text)} (uuid {stake.uuid})."]
    elif stake.unreadable:
        lines = [f"{drive} holds a tape that cannot be read: {render.printable(stake.unreadable)}."]
    else:
        lines = [f"{drive} holds a tape without a label."]
    if not stake.files:
        return [*lines, "No file is known to be on it." if not stake.label_text else "No file will go."]
    whole = sum(int(entry.get("bytes", 0)) for entry in stake.files)
    lines.append(f"{render.plural(len(stake.files), 'file')} will go, {render.amount(whole)}:")
    lines += [_file(entry) for entry in stake.files[:_SHOWN]]
    if len(stake.files) > _SHOWN:
        lines.append(f"  and {render.plural(len(stake.files) - _SHOWN, 'file')} more")
    return lines


def _file(entry: Json) -> str:
    """One file of a question."""
    number, kind, size = entry["number"], entry["kind"], render.amount(entry["bytes"])
    name = render.printable(entry.get("name", "")) + ("" if entry["complete"] else "  (incomplete)")
    return f"  {number:>5}  {kind:<16}  {size:>8}  {name}".rstrip()
