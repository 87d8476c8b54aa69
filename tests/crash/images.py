# SPDX-License-Identifier: LGPL-2.1-or-later
"""What must be true of the files that a loss of power leaves, before anything has been started on them.

Thousands of images are looked at, so everything here works on the pages of the record and touches
no file.  What is wrong is returned, in words; `checks` says the same of real directories, and more.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Set
from pathlib import Path
from typing import Any

from crash.story import BLOCK, DRIVE, SPARE, TAPE, TapeFile, Truth, Wanted, blocks_of, set_uuid
from support.powerloss import PAGE, Content, Image
from support.powerloss import _pages as as_pages

_PAGES_OF_BLOCK = BLOCK // PAGE
_MAGIC = bytes.fromhex("dcbdafcaeba0a528")
_END, _INCOMPLETE = 1, 2


class Blocks:
    """A tape file in an image, block by block."""

    def __init__(self, content: Content) -> None:
        self._pages = content.pages
        self.count = content.size // BLOCK
        """Of the whole ones; a torn one behind them is cut off when the tape is loaded."""
        self.flags = 0
        head = self._pages[(self.count - 1) * _PAGES_OF_BLOCK] if self.count else None
        if head is not None and head.startswith(_MAGIC):
            self.flags = head[8]

    @property
    def overrun(self) -> bool:
        """Whether a block stands behind one with an end marker."""
        heads = self._pages[: (self.count - 1) * _PAGES_OF_BLOCK : _PAGES_OF_BLOCK]
        return any(head is not None and head.startswith(_MAGIC) and head[8] & _END for head in heads)

    @property
    def ended(self) -> bool:
        """Whether the last block carries an end marker."""
        return bool(self.flags & _END)

    @property
    def complete(self) -> bool:
        """Whether the file reads as complete, as far as its end tells."""
        return self.ended and not self.flags & _INCOMPLETE

    def is_whole(self, number: int, wanted: Wanted | None) -> bool:
        """Whether this is the ``wanted`` file, whole."""
        if not self.complete or wanted is None:
            return False
        if isinstance(wanted, TapeFile):
            there = self._pages[: wanted.blocks * _PAGES_OF_BLOCK]
            return self.count == wanted.blocks and there == _pages_of(wanted)
        uuid = wanted if number == 0 else set_uuid(wanted)
        return self.count == 1 and uuid.encode() in (self._pages[0] or b"")


@functools.cache
def _pages_of(file: TapeFile) -> list[bytes | None]:
    """The pages of the whole ``file``, as they have to be on tape."""
    return as_pages(b"".join(blocks_of(file.data)))


def wrong_image(
    image: Image, base: Path, truth: Truth, *, marked: bool | None = None, admitted: Set[int] = frozenset()
) -> Iterator[str]:
    """What is wrong with the files below ``base``.

    ``marked``: the open marker must be there (True) or must be gone (False).  ``admitted``: files of
    which the journal has said that they stay without an end marker.
    """
    files = image.files
    yield from _wrong_tape(files, base, truth, admitted)
    if "spare" in truth.done and str(base / "tapes" / f"tape-{SPARE}.json") not in files:
        yield "a cartridge was made and is not there"
    marker = files.get(str(base / "run" / "open" / DRIVE))
    if marker is not None and (_value(marker) or {}).get("name") != DRIVE:
        yield "the open marker is torn"
    if marked and marker is None:
        yield "the device is open, and there is no open marker"
    if marked is False and marker is not None:
        yield "the device was released, and the open marker is there again"
    if marked is False and _text(files.get(str(base / "run" / "drives" / DRIVE))):
        yield "the drive is idle, and its state text is there again"
    label = files.get(str(base / "state" / "labels" / f"{DRIVE}.json"))
    if label is not None and _value(label) is None:
        yield "the record of the last label is torn"


def _wrong_tape(
    files: dict[str, Content], base: Path, truth: Truth, admitted: Set[int]
) -> Iterator[str]:
    tapes = base / "tapes"
    intent = files.get(str(base / "state" / "drives" / f"{DRIVE}.json"))
    said = _value(intent) if intent is not None else None
    if intent is not None and (said is None or said.get("label-text") != TAPE):
        yield "the write intent is torn"
    status = _value(files.get(str(tapes / "drive-status.json")))
    if status is None or "current_tape" not in status:
        yield "the status of the drive is torn or gone"
        return
    loaded = status["current_tape"]["name"] if status["current_tape"] else None
    if loaded is not None and str(tapes / f"tape-{loaded}.json") not in files:
        yield f"tape {loaded} is in the drive and has no index"
    if "load" in truth.done and "spare" not in truth.begun and loaded != TAPE:
        yield f"tape {TAPE} was loaded, and {loaded} is in the drive"
    index = _value(files.get(str(tapes / f"tape-{TAPE}.json")))
    if index is None:
        yield "the index of the tape is torn or gone"
        return
    old, new = set[int](), set[int]()
    for number in range(index["files"]):
        content = files.get(str(tapes / f"tapefile-{number}-{TAPE}.json"))
        if content is None or content.size < BLOCK:
            yield f"file {number} is counted and has no block"
            continue
        blocks = Blocks(content)
        if blocks.is_whole(number, truth.old.get(number)):
            old.add(number)
        elif any(blocks.is_whole(number, wanted) for wanted in truth.new.get(number, ())):
            new.add(number)
        elif blocks.complete:
            yield f"file {number} reads as complete and is not what was written"
        elif blocks.overrun:
            yield f"file {number} has a block behind its end marker"
        elif blocks.ended or number in admitted:
            continue
        elif said is None or said["file"] > number:
            yield f"file {number} is open, and no intent says so"
    if missing := truth.must.keys() - (old | new):
        yield f"files {sorted(missing)} were durable and are not there whole"
    if 0 in new and old - new:
        yield f"files {sorted(old - new)} of the old tape are there behind the new label"


def _text(content: Content | None) -> str:
    return content.bytes().decode(errors="replace").strip() if content is not None else ""


def _value(content: Content | None) -> dict[str, Any] | None:
    """The JSON object in ``content``; None if it is none."""
    try:
        value = json.loads(_text(content))
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
