# SPDX-License-Identifier: LGPL-2.1-or-later
"""What has to be true after a crash, whatever it was.  Everything here returns what is wrong, in words."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crash.story import (
    AFTERWARDS,
    BLOCK,
    DRIVE,
    TAPE,
    Note,
    Refused,
    TapeFile,
    Truth,
    Wanted,
    label_anew,
    label_set,
    set_uuid,
)
from independent import reader


def tape_of(folder: Path) -> Any:
    """The tape as the independent reader finds it.  Raises ValueError, OSError."""
    return reader.read_directory(str(folder), os.listdir(folder))[TAPE]


# --- files --------------------------------------------------------------------------------------


def _is(file: Any, tape: Any, wanted: Wanted | None) -> bool:
    """Whether the whole ``file`` is the ``wanted`` one: a file of the caller, or the label with that uuid."""
    if file.state != reader.COMPLETE or wanted is None:
        return False
    if isinstance(wanted, TapeFile):
        digest = hashlib.sha256()
        for piece in file.data():
            digest.update(piece)
        return digest.hexdigest() == wanted.sha256
    if file.number == 0:
        return tape.media_label is not None and tape.media_label["uuid"] == wanted
    return tape.set_label is not None and tape.set_label["uuid"] == set_uuid(wanted)


def _is_beginning(file: Any, wanted: Wanted) -> bool:
    """Whether what is there of ``file`` is the beginning of the ``wanted`` one."""
    got = b"".join(file.payload())
    return not got or (isinstance(wanted, TapeFile) and wanted.data.startswith(got))


def wrong_files(tape: Any, truth: Truth, *, admitted: set[int], torn: bool) -> Iterator[str]:
    """What is on ``tape`` and may not be, or is not there and must be; a start has mended what was open.

    ``admitted`` are files of which the journal says that they stay without an end marker.  ``torn``:
    of blocks that were not synchronised parts may be missing; no block of an incomplete file proves
    that its payload is what it was.
    """
    old = {file.number for file in tape.files if _is(file, tape, truth.old.get(file.number))}
    new = {
        file.number
        for file in tape.files
        if any(_is(file, tape, wanted) for wanted in truth.new.get(file.number, ()))
    }
    for file in tape.files:
        number = file.number
        if file.state == reader.MALFORMED:
            yield f"broken rule: {file.fault}"
        elif file.state == reader.COMPLETE:
            if number not in old | new:
                yield f"file {number} reads as complete and is not what was written"
        elif file.state == reader.NO_END and number not in admitted:
            yield f"file {number} is still open"
        elif number not in truth.new:
            yield f"file {number} is {file.state} and nobody was writing it"
        elif not torn and not any(_is_beginning(file, wanted) for wanted in truth.new[number]):
            yield f"file {number} is {file.state} and not the beginning of what was written"
    if missing := truth.must.keys() - (old | new):
        yield f"files {sorted(missing)} were durable and are not there whole"
    if 0 in new and old - new:
        yield f"files {sorted(old - new)} of the old tape are there behind the new label"


@dataclass(frozen=True)
class Scene:
    """What a crash has left behind, before anything has been started again."""

    intent: bool
    marker: bool
    open_files: tuple[int, ...]


def scene(base: Path) -> Scene:
    """Look at the directories below ``base``; blocks may be torn."""
    open_files = []
    try:
        for file in tape_of(base / "tapes").files:
            torn = os.path.getsize(file.path) % BLOCK
            if file.state == reader.NO_END or torn:
                open_files.append(file.number)
    except (ValueError, OSError):
        pass  # whether a start can use it is what the checks after the start find out
    intent = base / "state" / "drives" / f"{DRIVE}.json"
    return Scene(intent.exists(), (base / "run" / "open" / DRIVE).exists(), tuple(open_files))


# --- the next user of the drive -----------------------------------------------------------------


def admitted(said: str) -> set[int]:
    """The files of which the journal says that they stay without an end marker."""
    found = re.findall(r"stay files before it: (\d+(?:, \d+)*)", said)
    return {int(number) for listed in found for number in listed.split(", ")}


async def examine(
    stage: Any,
    folder: Path,
    truth: Truth,
    log: Callable[[], str],
    *,
    torn: bool = False,
    note: Note = lambda kind, step: None,
) -> list[str]:
    """Use the drive after a crash, as the next client does; what is wrong with it.

    ``log`` gives what the journal has said so far, ``note`` is told what is written to the tape;
    ``torn`` as in `wrong_files`.
    """
    await stage.acquire()
    faults = [fault async for fault in _examine(stage, folder, truth, log, torn=torn, note=note)]
    await stage.release()
    return faults


async def _examine(
    stage: Any, folder: Path, truth: Truth, log: Callable[[], str], *, torn: bool, note: Note
) -> Any:
    label: dict[str, Any] = {}
    if "spare" in truth.begun:
        await stage.job("LoadMedia", {"label-text": TAPE}, {})
    try:
        label = await _read_label(stage)
    except Refused as refused:
        if refused.name == "NoMedia":
            if "load" in truth.done:
                yield "the drive is empty"
            await stage.job("LoadMedia", {"label-text": TAPE}, {})
            try:
                label = await _read_label(stage)
            except Refused as again:
                refused = again
        if refused.name not in ("NoMedia", "UnknownFormat", "MalformedData", "Incomplete"):
            yield f"the label cannot be read: {refused}"
    try:
        tape = tape_of(folder)
    except (ValueError, OSError, TypeError, KeyError) as exc:
        yield f"the independent reader refuses the directory: {exc!r}"
        return
    for fault in wrong_files(tape, truth, admitted=admitted(log()), torn=torn):
        yield fault
    for fault in [fault async for fault in _compare_readers(stage, tape)]:
        yield fault
    for number, wanted in truth.must.items():
        if isinstance(wanted, TapeFile):
            try:
                data, result = await stage.read(number)
            except Refused as refused:
                yield f"file {number} was durable and cannot be read: {refused}"
                continue
            if hashlib.sha256(data).hexdigest() != wanted.sha256 or not result["complete"]:
                yield f"file {number} was durable and reads otherwise"
            if bytes.fromhex(wanted.sha256) != _binary(result["sha256"]):
                yield f"file {number} was durable and the drive tells another digest"
    if "media-set-uuid" not in label or not label["media-set-uuid"]:
        if "set label" in truth.done:
            yield "the media-set label is gone"
        await label_anew(stage, truth.uuid)
        await label_set(stage, truth.uuid)
        note("relabelled", "")
        tape = tape_of(folder)
    for fault in [fault async for fault in _append(stage, tape, note)]:
        yield fault


def _binary(digest: str | bytes) -> bytes:
    return bytes.fromhex(digest) if isinstance(digest, str) else digest


async def _read_label(stage: Any) -> dict[str, Any]:
    """uuid and media-set-uuid of the labels, "" for what is not there."""
    told = await stage.job("ReadLabel", {}, {})
    if "label" in told:                              # as a worker says it
        group = told.get("media-set-label", {})
        return {"uuid": told["label"]["uuid"], "media-set-uuid": group.get("uuid", "")}
    return told


async def _append(stage: Any, tape: Any, note: Note) -> Any:
    """The drive is usable: a file can be appended to ``tape``, as it was before, and read."""
    number = tape.count
    note("appending", str(number))
    result = await stage.write(AFTERWARDS)
    note("done", "appended")
    if not result["complete"] or result["file"] != number:
        yield f"a file appended afterwards is number {result['file']}, not {number}"
    data, told = await stage.read(result["file"])
    if data != AFTERWARDS.data or not told["complete"]:
        yield "a file appended afterwards reads otherwise"
    index = json.loads(Path(tape.directory, f"tape-{TAPE}.json").read_text())
    path = Path(tape.directory, f"tapefile-{number}-{TAPE}.json")
    if index["files"] != number + 1 or not _is(reader.File(number, path), tape, AFTERWARDS):
        yield "the independent reader does not find the file appended afterwards"


async def _compare_readers(stage: Any, tape: Any) -> Any:
    """The drive's verification and list agree with the independent reader about every file."""
    verified = await stage.job("VerifyTape", {}, {})
    if verified["files"] != tape.count:
        yield f"VerifyTape finds {verified['files']} files, the independent reader {tape.count}"
    bad = [file.number for file in tape.files if file.state in (reader.MALFORMED, reader.NO_END)]
    first = (verified.get("first-error") or {}).get("file")
    if first != (bad[0] if bad else None):
        yield f"VerifyTape finds the first error in file {first}, the independent reader in {bad[:1]}"
    if not bad and verified["bytes"] != sum(file.payload_bytes for file in tape.files):
        yield f"VerifyTape counts {verified['bytes']} bytes, the independent reader others"
    for number in bad:
        if not (await stage.job("VerifyFile", {"file": number}, {})).get("first-error"):
            yield f"VerifyFile finds nothing wrong with file {number}, the independent reader does"
    listed = (await stage.job("ListFiles", {}, {}))["files"]
    complete = {entry["number"]: entry["complete"] for entry in listed}
    wanted = {file.number: file.state == reader.COMPLETE for file in tape.files if file.number not in bad}
    if {number: complete.get(number) for number in wanted} != wanted:
        yield f"ListFiles calls complete {complete}, the independent reader {wanted}"


# --- what is left over --------------------------------------------------------------------------


def leftovers(base: Path) -> Iterator[str]:
    """What nobody may find once the drive is idle again."""
    intents = os.listdir(base / "state" / "drives")
    if intents:
        yield f"left over in the directory of intents: {intents}"
    markers = os.listdir(base / "run" / "open")
    if markers:
        yield f"left over in the directory of open markers: {markers}"
    for text in (base / "run" / "drives").iterdir():
        if text.read_text().strip():
            yield f"the state text of an idle drive says {text.read_text()!r}"
    for path in (*base.rglob("*.new"), *base.rglob(".*.new"), *base.rglob("*.tmp_*")):
        yield f"left over: {path.name}"
    for lock in (*(base / "lock").iterdir(), base / "tapes" / ".drive.lck"):
        fd = os.open(lock, os.O_RDWR)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield f"still locked: {lock.name}"
        finally:
            os.close(fd)


def silence(log: str, since: int, before: Scene, *, orphan: Path | None = None) -> Iterator[str]:
    """What has not been told of what was found in flight ``before``: in ``log``, by the start at ``since``.

    ``orphan``: a worker outlived its daemon, and may have ended what was in flight in this directory;
    what it has left incomplete has to be told all the same.
    """
    said = log[since:]
    told = re.findall(rf"{DRIVE}: the write of file (\d+) on {TAPE} was interrupted", said)
    if set(before.open_files) - admitted(log) and not before.intent:
        yield f"files {before.open_files} are open, and no intent says so"
    ended = orphan is not None and all(file.state == reader.COMPLETE for file in tape_of(orphan).files)
    if before.intent and not told and not ended:
        yield f"something was in flight, and the next start says nothing of it: {said!r}"
    if orphan and before.marker and f"drive {DRIVE}, which was left open, is released" not in said:
        yield f"the drive was open, and the next start says nothing of it: {said!r}"
    for number in re.findall(r"file (\d+) is closed as incomplete", said):
        if before.open_files and int(number) not in before.open_files:
            yield f"the next start says that file {number} was open, not {before.open_files}"
