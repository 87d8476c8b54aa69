# SPDX-License-Identifier: LGPL-2.1-or-later
"""The power fails: whatever it leaves is looked at as it is, and then a service is started on it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from crash.checks import admitted, examine, leftovers, scene, silence, tape_of
from crash.images import wrong_image
from crash.lab import Lab, LabStage, fresh
from crash.points import WORKER, Call, Point
from crash.story import AFTERWARDS, DRIVE, STEPS, WITH_SPARE, Truth, make_a_spare
from support.powerloss import Image, PowerCut

_PLAYS = 5
_NOTES = frozenset({"labels"})
CHANGES = frozenset({"open", "write", "pwritev", "ftruncate", "replace", "unlink", "fsync", "fdatasync"})


@dataclass
class Loss:
    """What one loss of power leaves, and what was known then."""

    image: Image
    truth: Truth
    marked: bool | None

    def __str__(self) -> str:
        return f"power lost after {self.image.position} changes, without {self.image.lost}"

    def seen_by_a_start(self) -> object:
        """Equal for losses of which a start makes the same: the service's own notes do not count."""
        files = self.image.files.items()
        seen = {path: content.key() for path, content in files if _NOTES.isdisjoint(Path(path).parts)}
        return (self.truth, *sorted(seen.items()))


def recorded(base: Path, template: Path, *, without: str = "") -> Lab:
    """A lab in which the script has been played; the synchronisation ``without`` did nothing."""
    lab = Lab(fresh(base, template), ignore_sync=lambda site: site == without)
    run = lab.play()
    assert run.failure is None, run.failure
    return lab


def losses(lab: Lab, *, since: int = 0) -> Iterator[Loss]:
    """Every loss of power from change ``since`` of the lab's record on."""
    for image in lab.images(since=since):
        yield Loss(image, lab.run.at(image.position), lab.run.marked(image.position))


def to_start_on(lab: Lab) -> list[Loss]:
    """Of all losses of power those that differ for whoever starts on them."""
    found: dict[object, Loss] = {}
    for loss in losses(lab):
        found.setdefault(loss.seen_by_a_start(), loss)
    return list(found.values())


def start_again(lab: Lab, loss: Loss, scratch: Path) -> Iterator[str]:
    """Start a service on what is left, in ``scratch``, and use the drive; what is wrong."""
    shutil.rmtree(scratch, ignore_errors=True)
    again = Lab(scratch, recorded=False)
    loss.image.write_to(scratch, lab.base)
    before = scene(scratch)
    found: list[str] = []

    async def use(stage: LabStage) -> None:
        found.extend(await examine(stage, again.tapes, loss.truth, lambda: str(again.log), torn=True))

    again.again(use)
    yield from found
    yield from silence(str(again.log), 0, before)
    yield from leftovers(scratch)
    if "Traceback" in str(again.log):
        yield f"a fault in the program: {again.log}"


def lost_again(lab: Lab, loss: Loss, scratch: Path, *, without: str = "") -> Lab:
    """A lab in which a service was started on what one loss of power has left, for the next one."""
    shutil.rmtree(scratch, ignore_errors=True)
    loss.image.write_to(scratch, lab.base)
    again = Lab(scratch, ignore_sync=lambda site: site == without)
    again.run.truths = [(0, loss.truth)]

    async def open_and_close(stage: LabStage) -> None:
        await stage.acquire()
        await stage.release()

    again.again(open_and_close)
    return again


def holes(lab: Lab) -> list[Loss]:
    """For every write behind the first block of a file a late loss of power of it alone."""
    intent = str(lab.state / "drives" / f"{DRIVE}.json")
    found: dict[str, Loss] = {}
    for loss in losses(lab):
        lost = loss.image.lost
        if lost.startswith("only Write(") and not lost.endswith("offset=0)") and intent in loss.image.files:
            found[lost] = loss
    return list(found.values())


def killed(base: Path, template: Path, point: Point, *, without: str = "") -> tuple[Lab, int]:
    """A lab in which the worker is killed at ``point``, the next one goes on, and appends a file.

    And after how many changes that was.
    """

    def hook(call: Call) -> None:
        if call.point == point:
            raise PowerCut

    lab = Lab(fresh(base, template), hook=hook, ignore_sync=lambda site: site == without)
    since: list[int] = []

    async def go_on(stage: LabStage) -> None:
        since.append(len(lab.ledger.log))
        await stage.acquire()
        if "spare" in lab.run.truth.begun:
            await make_a_spare(stage)
            lab.run.note("done", "spare")
        elif "set label" in lab.run.truth.done:
            lab.run.note("appending", str(tape_of(lab.tapes).count))
            await stage.write(AFTERWARDS)
            lab.run.note("done", "appended")
        await stage.release()

    lab.play(WITH_SPARE, go_on)
    return lab, since[0]


def first_fault(lab: Lab, *, since: int = 0) -> str:
    """The first thing wrong with any loss of power, as it is; "" for nothing."""
    known = admitted(str(lab.log))
    for loss in losses(lab, since=since):
        for fault in wrong_image(loss.image, lab.base, loss.truth, marked=loss.marked, admitted=known):
            return f"{loss}: {fault}"
    return ""


def calls_of(base: Path, template: Path, steps: Sequence[str] = STEPS) -> list[Call]:
    """Every call of the undisturbed script.

    A job that takes its time has a state text that a quick one has not: the shortest of some plays.
    """
    found: list[list[Call]] = []
    for _ in range(_PLAYS):
        calls: list[Call] = []
        run = Lab(fresh(base, template), hook=calls.append).play(steps)
        assert run.failure is None, run.failure
        found.append(calls)
    return min(found, key=len)


def changing(calls: list[Call]) -> list[Point]:
    """The points of a worker at which a kill leaves something half done."""
    return [call.point for call in calls if call.point.stream == WORKER and call.name in CHANGES]
