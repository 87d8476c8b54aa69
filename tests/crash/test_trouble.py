# SPDX-License-Identifier: LGPL-2.1-or-later
"""A disk that fails or is full, and a directory that vanishes, at every call: once per call and kind."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from crash.checks import tape_of
from crash.lab import Lab, fresh
from crash.points import MAKES_ROOM, WORKER, Call, Point, without_texts_that_were_not_written
from crash.power import calls_of
from crash.spread import quick_folder, spread, tell
from crash.story import STEPS
from crash.trouble import DirectoryGone, Fails, FailsForRoom, FullDisk, Trouble
from crash.trouble import faults as faults_of

PROCESSES = 4

pytestmark = [pytest.mark.system, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def calls(used_tape: Path) -> list[Call]:
    """Every call of the undisturbed script, of workers and of the bus process."""
    with quick_folder() as folder:
        return calls_of(folder / "lab", used_tape)


def make_trouble(
    folder: Path, calls: Sequence[Call], *, kind: type[Trouble], template: Path, restart: bool
) -> Iterator[str]:
    for call in calls:
        for fault in faults_of(folder / "lab", template, kind, call.point, restart=restart):
            yield f"{kind.__name__} at {call}: {fault}"


def asks_for_room(call: Call) -> bool:
    return call.name in MAKES_ROOM and (call.name != "open" or call.creates)


KINDS = [
    pytest.param(Fails, lambda call: True, True, id="EIO, then a restart"),
    pytest.param(FailsForRoom, lambda call: True, False, id="ENOSPC, then the next client"),
    pytest.param(FullDisk, asks_for_room, True, id="a disk that stays full, then a restart"),
    pytest.param(DirectoryGone, lambda call: call.point.stream == WORKER, False, id="the directory vanishes"),
]


@pytest.mark.parametrize(("kind", "where", "restart"), KINDS)
def test_trouble_at_any_call_loses_nothing(
    calls: list[Call], used_tape: Path, kind: type[Trouble], where: object, restart: bool
) -> None:
    assert callable(where)
    chosen = [call for call in calls if where(call)]
    found = spread(
        chosen, partial(make_trouble, kind=kind, template=used_tape, restart=restart), PROCESSES
    )
    faults = without_texts_that_were_not_written(found)
    print(f"\n{len(chosen) - len(found) + len(faults)} of {len(calls)} calls with {kind.__name__}")
    assert not faults, tell(faults)
    assert len(calls) > 300


# --- some of them, with what is told ------------------------------------------------------------


def at(calls: list[Call], name: str, path: str, number: int = 0) -> Point:
    """The ``number``-th call ``name`` of a file whose path contains ``path``."""
    return [call.point for call in calls if call.name == name and path in call.path][number]


def played(folder: Path, template: Path, trouble: Trouble) -> Lab:
    shutil.rmtree(folder / "lab", ignore_errors=True)
    lab = Lab(fresh(folder / "lab", template), hook=trouble)
    if isinstance(trouble, DirectoryGone):
        trouble.tapes = lab.tapes
    lab.play()
    trouble.over()
    return lab


def test_without_room_for_the_intent_nothing_is_written(
    calls: list[Call], used_tape: Path, folder: Path
) -> None:
    lab = played(folder, used_tape, FullDisk(at(calls, "write", "state/drives/vt0.json", 2)))
    assert lab.run.failure is not None
    assert lab.run.failure.name == "Io"
    assert "cannot write the write intent" in lab.run.failure.text
    assert "No space left on device; nothing is written without it" in lab.run.failure.text
    assert lab.run.truth.done == {"load", "label", "set label"}
    assert tape_of(lab.tapes).count == 2


def test_without_room_for_the_state_text_the_job_goes_on(
    calls: list[Call], used_tape: Path, folder: Path
) -> None:
    lab = played(folder, used_tape, FailsForRoom(at(calls, "write", "run/drives/.vt0.new", 1)))
    assert lab.run.failure is None
    assert lab.run.truth.done == set(STEPS)
    assert "run/drives/vt0: No space left on device" in str(lab.log)


def test_without_room_for_the_index_the_file_is_not_counted(
    calls: list[Call], used_tape: Path, folder: Path
) -> None:
    lab = played(folder, used_tape, FailsForRoom(at(calls, "write", "tape-TAPE01.tmp_", -1)))
    assert lab.run.failure is not None
    assert lab.run.failure.name == "Io"
    assert "No space left on device" in lab.run.failure.text
    assert "write b" in lab.run.truth.done
    assert tape_of(lab.tapes).complete() == [0, 1, 2, 3]


def test_a_synchronisation_that_failed_is_not_tried_again_as_if_nothing_had_happened(
    calls: list[Call], used_tape: Path, folder: Path
) -> None:
    """Of file 3, which was answered before it was durable: it loses its end, and the caller is told."""
    lab = played(folder, used_tape, Fails(at(calls, "fdatasync", "tapefile-3-TAPE01", -1)))
    assert lab.run.failure is not None
    assert lab.run.failure.name == "Io"
    assert "tapefile-3-TAPE01.json: Input/output error" in lab.run.failure.text
    assert lab.run.truth.lost == 3
    assert tape_of(lab.tapes).complete() == [0, 1, 2, 4]
    assert "without an end marker, and so not complete, stay files before it: 3" in str(lab.log)


def test_a_directory_that_vanishes_in_the_middle_of_a_write_is_noticed(
    calls: list[Call], used_tape: Path, folder: Path
) -> None:
    lab = played(folder, used_tape, DirectoryGone(at(calls, "pwritev", "tapefile-4-TAPE01", 10)))
    assert lab.run.failure is not None
    assert lab.run.failure.name == "DeviceGone"
    assert "is gone; bring it back and try again" in lab.run.failure.text
    assert f"drive vt0 is absent: {lab.tapes} is not there" in str(lab.log)
