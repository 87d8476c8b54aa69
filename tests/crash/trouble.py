# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a disk can do to a program that is not killed: single failures, a full disk, a directory gone."""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

from crash.checks import examine, leftovers, scene, silence
from crash.lab import Lab, LabStage, fresh
from crash.points import MAKES_ROOM, NOT_REACHED, Call, Point, Short
from crash.story import BLOCK, FILES, TAPE, Refused


class Trouble:
    """A hook that makes trouble at one point, or from there on until `over`."""

    lasting = False

    def __init__(self, point: Point) -> None:
        self.point = point
        self.met = False
        self.is_over = False

    def __call__(self, call: Call) -> None:
        if self.is_over:
            return
        first = not self.met and call.point == self.point
        self.met = self.met or first
        if self.met:
            self.strike(call, first)

    def strike(self, call: Call, first: bool) -> None:
        """Make the trouble, at ``call``, which is the ``first`` or a later one."""
        raise NotImplementedError

    def over(self) -> None:
        """What lasts has been mended."""
        self.is_over = self.lasting


class Fails(Trouble):
    """One call fails, and no other."""

    number = errno.EIO

    def strike(self, call: Call, first: bool) -> None:
        if first:
            raise OSError(self.number, os.strerror(self.number))


class FailsForRoom(Fails):
    """One call finds no room on the disk, and the next one does."""

    number = errno.ENOSPC


class FullDisk(Trouble):
    """The disk is full from here on: of the first write half still fits."""

    lasting = True
    _fitted = False

    def strike(self, call: Call, first: bool) -> None:
        if call.name not in MAKES_ROOM or (call.name == "open" and not call.creates):
            return
        if call.name in ("write", "pwritev") and not self._fitted:
            self._fitted = True
            raise Short
        self._fitted = True
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class DirectoryGone(Trouble):
    """Somebody moves the directory of the tapes away."""

    lasting = True
    tapes: Path

    def strike(self, call: Call, first: bool) -> None:
        if first:
            self.tapes.rename(self.tapes.with_name("away"))

    def over(self) -> None:
        super().over()
        away = self.tapes.with_name("away")
        if away.exists():
            away.rename(self.tapes)


_TRIES = 5
EXPECTED = {"Io", "OpenFailed", "MediumError", "DeviceGone", "NotPresent"}
"""The errors that tell of it."""


def faults(
    base: Path, template: Path, kind: type[Trouble], point: Point, *, restart: bool
) -> Iterator[str]:
    """Play the script with trouble at ``point`` in a new lab in ``base``, and look; what is wrong.

    The next user of the drive comes after a ``restart`` of the service, or to the same service.
    """
    for _ in range(_TRIES):
        trouble = kind(point)
        found = [*_faults(base, template, trouble, restart=restart)]
        if trouble.met:
            yield from found
            return
    yield NOT_REACHED


def _faults(base: Path, template: Path, trouble: Trouble, *, restart: bool) -> Iterator[str]:
    lab = Lab(fresh(base, template), hook=trouble)
    if isinstance(trouble, DirectoryGone):
        trouble.tapes = lab.tapes
    found: list[str] = []
    lost: list[str] = []

    async def next_user(stage: LabStage) -> None:
        trouble.over()
        lost.extend(lab.faults(since=len(lab.ledger.log), of_service=False))
        found.extend(await examine(stage, lab.tapes, lab.run.truth, lambda: str(lab.log), note=lab.run.note))

    run = lab.run
    try:
        lab.play(then=None if restart else next_user)
    except Refused as refused:
        if run.truth.begun:
            yield f"the next user is refused: {refused}\n{lab.log}"
            return
        run.failure, restart = refused, True          # the service did not start
    if run.failure is not None and run.failure.name not in EXPECTED:
        yield f"the failure is told as {run.failure}"
    if restart:
        trouble.over()
        before = scene(base)
        began = len(str(lab.log))
        try:
            lab.again(next_user)
        except Refused as refused:
            yield f"the next user is refused: {refused}\n{lab.log}"
            return
        yield from silence(str(lab.log), began, before)
    yield from found
    yield from lost[:1]
    if run.truth.lost < 3 and "write b" in run.truth.done and not _is_there(lab):
        yield "file 3, which was answered before it was durable, is lost, and nobody tells that"
    if "Traceback" in str(lab.log) or "a fault" in str(lab.log):
        yield f"a fault in the program: {lab.log}"
    yield from leftovers(base)
    yield from itertools.islice(lab.faults(since=len(lab.ledger.log), of_service=False), 1)


def _is_there(lab: Lab) -> bool:
    """Whether all blocks of file 3 of the script are on tape."""
    file = FILES["write b"]
    path = lab.tapes / f"tapefile-{file.number}-{TAPE}.json"
    return path.exists() and path.stat().st_size == file.blocks * BLOCK
