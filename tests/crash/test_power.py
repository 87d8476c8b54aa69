# SPDX-License-Identifier: LGPL-2.1-or-later
"""The power fails at every call, and what was not synchronised is lost: all of it, and each change alone.

The directory of the tapes, the write intents and the state files are rebuilt from one record of
all calls of the service and its worker.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from crash import syncs
from crash.images import wrong_image
from crash.lab import Lab
from crash.points import Point
from crash.power import (
    Loss,
    calls_of,
    changing,
    first_fault,
    holes,
    killed,
    losses,
    lost_again,
    recorded,
    start_again,
    to_start_on,
)
from crash.spread import quick_folder, spread, tell
from crash.story import WITH_SPARE

PROCESSES = 4

pytestmark = [pytest.mark.system, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def kill_points(used_tape: Path) -> list[Point]:
    """Every call of the worker that changes something."""
    with quick_folder() as folder:
        return changing(calls_of(folder / "lab", used_tape, WITH_SPARE))


@pytest.fixture(scope="module")
def record(used_tape: Path) -> Iterator[Lab]:
    """The undisturbed script, recorded."""
    with quick_folder() as folder:
        yield recorded(folder / "lab", used_tape)


def test_a_loss_of_power_at_any_call_loses_nothing_durable(record: Lab) -> None:
    count = 0
    for loss in losses(record):
        count += 1
        faults = [*wrong_image(loss.image, record.base, loss.truth, marked=loss.marked)]
        assert faults == [], str(loss)
    calls = record.ledger.calls
    print(f"\n{calls} calls, {len(record.ledger.log)} changes, {count} losses of power")
    assert calls > 300
    assert count > 300


def start_on(folder: Path, chosen: Sequence[Loss], *, record: Lab) -> Iterator[str]:
    for loss in chosen:
        for fault in start_again(record, loss, folder / "scratch"):
            yield f"{loss}: {fault}"


def test_a_start_after_any_loss_of_power_finds_all_that_was_durable(record: Lab) -> None:
    chosen = to_start_on(record)
    faults = spread(chosen, functools.partial(start_on, record=record), PROCESSES)
    print(f"\n{len(chosen)} starts after a loss of power")
    assert not faults, tell(faults)


def lose_again(folder: Path, chosen: Sequence[Loss], *, record: Lab) -> Iterator[str]:
    for loss in chosen:
        if fault := first_fault(lost_again(record, loss, folder / "scratch")):
            yield f"{loss}, and again: {fault}"


def test_a_second_loss_of_power_in_the_start_after_the_first_loses_no_more(record: Lab) -> None:
    chosen = holes(record)
    faults = spread(chosen, functools.partial(lose_again, record=record), PROCESSES)
    print(f"\n{len(chosen)} starts after a loss of power, each with every loss of power in it")
    assert not faults, tell(faults)
    assert len(chosen) > 20


def kill_then_lose(folder: Path, points: Sequence[Point], *, template: Path) -> Iterator[str]:
    for point in points:
        lab, since = killed(folder / "lab", template, point)
        if fault := first_fault(lab, since=since):
            yield f"worker killed at {point}, then {fault}"


def test_a_loss_of_power_after_a_kill_loses_nothing_that_the_next_worker_relied_on(
    kill_points: list[Point], used_tape: Path
) -> None:
    found = spread(kill_points, functools.partial(kill_then_lose, template=used_tape), PROCESSES)
    print(f"\n{len(kill_points)} kills, each with every loss of power afterwards")
    assert not found, tell(found)


# --- every synchronisation is needed ------------------------------------------------------------


def first_without(folder: Path, template: Path, place: str, kill_points: Sequence[Point]) -> str:
    """The first fault when the synchronisation at ``place`` does nothing; "" for none."""
    lab = recorded(folder / "lab", template, without=place)
    if fault := first_fault(lab):
        return fault
    for loss in holes(lab):
        if fault := first_fault(lost_again(lab, loss, folder / "scratch", without=place)):
            return f"{loss}, and again: {fault}"
    for point in reversed(kill_points):
        lab, since = killed(folder / "lab", template, point, without=place)
        if fault := first_fault(lab, since=since):
            return f"worker killed at {point}, then {fault}"
    return ""


def leave_out(
    folder: Path, places: Sequence[str], *, template: Path, kill_points: Sequence[Point]
) -> Iterator[str]:
    for place in places:
        fault = first_without(folder, template, place, kill_points)
        if not fault:
            yield f"nothing is lost without the synchronisation at {place}"


def test_without_any_one_synchronisation_a_loss_of_power_breaks_a_promise(
    kill_points: list[Point], used_tape: Path
) -> None:
    places = syncs.places()
    print(f"\n{len(places)} synchronisations left out, one at a time: {', '.join(places)}")
    assert len(places) > 15
    work = functools.partial(leave_out, template=used_tape, kill_points=kill_points)
    found = spread(places, work, PROCESSES)
    assert not found, tell(found)


def test_every_synchronisation_that_is_made_was_found_in_the_source(record: Lab) -> None:
    assert set(record.ledger.sync_sites) <= set(syncs.places())
