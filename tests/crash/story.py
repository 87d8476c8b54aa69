# SPDX-License-Identifier: LGPL-2.1-or-later
"""The script whose crashes are looked at, and what may and what must be on tape at any moment of it.

Tape TAPE01, which has been used before, is loaded, labelled anew (which destroys what it held) and
gets three files of 40 blocks: one by itself, two under a lease, of which the first is answered
before it is durable.

The same script is played on two stages: by a client on the bus (`client`), and on a service in
this process (`lab`).
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

TAPE = "TAPE01"
SPARE = "TAPE02"
DRIVE = "vt0"
OLD_UUID = "aaaaaaaa-0000-4000-8000-000000000001"
NEW_UUID = "bbbbbbbb-0000-4000-8000-{:012}"
"""Of the label that the script writes, by number of the play: to a daemon each is news."""
CTIME = 1_700_000_000

TOLD_SECONDS = 0.5

BLOCK = 262144
PAYLOAD = BLOCK - 16
FIRST_DATA_FILE = 2
_MAGIC = bytes.fromhex("dcbdafcaeba0a528")


def data_of(name: str, blocks: int) -> bytes:
    """Bytes that take ``blocks`` blocks on tape; each payload has a text at both ends, zeros between."""
    pieces = []
    for number in range(blocks):
        text = f"{name} block {number} ".encode().ljust(64, b"=")
        length = PAYLOAD if number < blocks - 1 else 70_000 + blocks
        pieces.append(text + bytes(length - 128) + text)
    return b"".join(pieces)


def blocks_of(data: bytes) -> list[bytes]:
    """The blocks of a whole file with ``data``, as they have to be on tape."""
    count = len(data) // PAYLOAD + 1
    blocks = []
    for number in range(count):
        payload = data[number * PAYLOAD : (number + 1) * PAYLOAD]
        size = len(payload)
        last = int(number == count - 1)
        header = struct.pack("<8sBHBI", _MAGIC, last, size & 0xFFFF, size >> 16, number)
        blocks.append((header + payload).ljust(BLOCK, b"\0"))
    return blocks


@dataclass(frozen=True)
class TapeFile:
    """A file of the caller."""

    number: int
    data: bytes = field(repr=False)
    durable: bool = True

    @functools.cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def blocks(self) -> int:
        return len(self.data) // PAYLOAD + 1


OLD = TapeFile(2, data_of("old", 2))
FILES = {
    "write a": TapeFile(2, data_of("a", 1)),
    "write b": TapeFile(3, data_of("b", 13), durable=False),
    "write c": TapeFile(4, data_of("c", 26)),
}
AFTERWARDS = TapeFile(-1, data_of("written after the crash", 2))
BLOCKS = sum(file.blocks for file in FILES.values())

WITH_SPARE = ("load", "label", "set label", "write a", "acquire", "write b", "write c", "release", "spare")
STEPS = WITH_SPARE[:-1]
ON_TAPE = {"label": 0, "set label": 1, "write a": 2, "write b": 3, "write c": 4}
"""Steps that write a file, and its number."""


class Stage(Protocol):
    """Where the script can be played.  Methods raise `Refused`, and ConnectionError when all is lost."""

    async def job(self, member: str, arguments: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
        """Do what the member of the drive (or the changer) does; the result of its job."""

    async def write(self, file: TapeFile, text: str = "") -> dict[str, Any]:
        """Append ``file``, wait for a state ``text``, commit with the digest; the result of the job."""

    async def acquire(self) -> None:
        """Take the drive."""

    async def release(self) -> None:
        """Give it back."""

    async def told(self, text: str) -> None:
        """Wait until the state text of the drive contains ``text``; "": until it is empty."""


class Refused(Exception):
    """Something failed; ``name`` is the class of the error."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"{name}: {text}")
        self.name = name
        self.text = text


async def until_told(path: Path, text: str) -> None:
    """Wait until the state file ``path`` says ``text``; not for ever: it may not have been written."""
    deadline = asyncio.get_running_loop().time() + TOLD_SECONDS
    while asyncio.get_running_loop().time() < deadline:
        said = path.read_text() if path.exists() else ""
        if text in said and bool(text) == bool(said):
            return
        await asyncio.sleep(0.002)


Note = Callable[[str, str], None]
"""Told of every step: "begun" and "done"."""


async def label_anew(stage: Stage, uuid: str) -> None:
    label = {"label-text": TAPE, "uuid": uuid, "ctime": CTIME}
    await stage.job("LabelTape", label, {"overwrite": True})


def set_uuid(uuid: str) -> str:
    """The uuid of the media set that goes with the label ``uuid``."""
    return uuid.replace("-4000-", "-4001-")


async def label_set(stage: Stage, uuid: str) -> None:
    label = {"pool": "default", "uuid": set_uuid(uuid), "seq-nr": 0, "ctime": CTIME}
    await stage.job("WriteMediaSetLabel", label, {})


async def make_a_spare(stage: Stage) -> None:
    """Make another cartridge, if it is not there, and load it."""
    await stage.job("LoadMedia", {"label-text": SPARE}, {"create": True})


async def play(stage: Stage, note: Note, uuid: str, steps: Sequence[str] = STEPS) -> None:
    """The ``steps`` of the script with a new label ``uuid``, up to the first failure.

    A job of a moment may end before its state text is written; the script waits for the texts of the
    others, so that every play makes the same calls.
    """
    for step in steps:
        note("begun", step)
        match step:
            case "load":
                await stage.job("LoadMedia", {"label-text": TAPE}, {})
            case "label":
                await label_anew(stage, uuid)
            case "set label":
                await label_set(stage, uuid)
            case "acquire":
                await stage.acquire()
                await stage.told("lease")
            case "release":
                await stage.release()
            case "spare":
                await make_a_spare(stage)
            case _:
                await stage.write(FILES[step], text="write-file")
                await stage.told("" if step == "write a" else "lease")
        note("done", step)


# --- what is true of the tape -------------------------------------------------------------------

Wanted = str | TapeFile
"""What a file on tape may be: one of the caller, or the label (or media-set label) of that uuid."""

OLD_FILES: dict[int, Wanted] = {0: OLD_UUID, 1: OLD_UUID, 2: OLD}


@dataclass(frozen=True)
class Truth:
    """How far the script had come, as its client knows.

    ``durable_file`` is the most that the client was told of the tape, as it is labelled now; ``uuid``
    is that of its new label.  ``appended`` is the number of a file that was written after a crash,
    ``lost`` the last that was told to have been lost before it was durable; -1 for none.
    """

    uuid: str
    begun: frozenset[str] = frozenset()
    done: frozenset[str] = frozenset()
    durable_file: int = 0
    appended: int = -1
    lost: int = -1

    def after(self, kind: str, step: str) -> Truth:
        """The truth when ``step`` was ``begun`` or ``done``, or a number of files ``durable``.

        ``appending`` says at which number a file will be written after a crash, ``relabelled`` that the
        tape had to be labelled once more before that.
        """
        if kind == "lost":
            return replace(self, lost=int(step))
        if kind == "appending":
            return replace(self, appended=int(step))
        if kind == "relabelled":
            labelled = frozenset(("load", "label", "set label"))
            return Truth(self.uuid, labelled, labelled, 2)
        if kind == "durable":
            return replace(self, durable_file=max(int(step), self.durable_file))
        if kind == "done":
            return replace(self, done=self.done | {step})
        durable = 0 if step == "label" else self.durable_file
        return replace(self, begun=self.begun | {step}, durable_file=durable)

    @property
    def files(self) -> dict[int, Wanted]:
        """What the script writes."""
        return {0: self.uuid, 1: self.uuid, **{file.number: file for file in FILES.values()}}

    @property
    def old(self) -> dict[int, Wanted]:
        """What the tape held before and may still hold."""
        return {} if "label" in self.done else OLD_FILES

    @property
    def new(self) -> dict[int, list[Wanted]]:
        """What may have been written to the tape."""
        numbers = [number for step, number in ON_TAPE.items() if step in self.begun]
        found: dict[int, list[Wanted]] = {number: [self.files[number]] for number in numbers}
        if self.appended >= 0:
            found.setdefault(self.appended, []).append(AFTERWARDS)
        return found

    @property
    def must(self) -> dict[int, Wanted]:
        """What must be on the tape, whole."""
        if "label" not in self.begun:
            return OLD_FILES
        found = {number: self.files[number] for step, number in ON_TAPE.items() if step in self.done}
        lasting = self.done & {"write c", "release"} or self.durable_file > ON_TAPE["write b"]
        if not lasting or self.lost >= ON_TAPE["write b"]:
            found.pop(ON_TAPE["write b"], None)
        if "appended" in self.done:
            found[self.appended] = AFTERWARDS
        return found

    @property
    def writing(self) -> str:
        """The step that was writing a file, "" for none."""
        return next((step for step in ON_TAPE if step in self.begun and step not in self.done), "")
