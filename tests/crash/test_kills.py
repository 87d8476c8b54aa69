# SPDX-License-Identifier: LGPL-2.1-or-later
"""SIGKILL of client, worker or daemon at every call: once per call and victim, never a sample.

Daemon, workers and clients are processes, with a bus between them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from crash.kills import VICTIMS, Kills, StartAndStop
from crash.points import TEXTS, WORKER, Point, without_texts_that_were_not_written
from crash.spread import quick_folder, spread, tell
from crash.story import BLOCKS, FILES

PROCESSES = 6                          # more than there are cores: most of the time each waits for an event

pytestmark = [pytest.mark.system, pytest.mark.requires("dbus-daemon"), pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def points() -> list[Point]:
    """Every call of the undisturbed script."""
    with quick_folder() as folder, closing(Kills(folder / "trace")) as kills:
        return [point for point, _ in kills.points()]


def kill(folder: Path, points: Sequence[Point], *, victim: str) -> Iterator[str]:
    with closing(Kills(folder / "rig")) as kills:
        for point in points:
            yield from kills.run(point, victim)


def test_the_script_has_enough_calls(points: list[Point]) -> None:
    assert (len(FILES), BLOCKS) == (3, 40)
    streams = Counter(point.stream for point in points)
    print(f"\n{len(points)} points: {dict(streams)}")
    assert len(points) > 300
    assert streams[WORKER] > 300
    assert set(streams) > {WORKER, TEXTS, "run/open"}


@pytest.mark.parametrize("victim", VICTIMS)
def test_a_kill_at_any_call_loses_nothing(points: list[Point], victim: str) -> None:
    found = spread(points, partial(kill, victim=victim), PROCESSES)
    faults = without_texts_that_were_not_written(found)
    print(f"\n{len(points) - len(found) + len(faults)} kills of the {victim}")
    assert not faults, tell(faults)


def kill_at_start(folder: Path, points: Sequence[Point]) -> Iterator[str]:
    for number, point in enumerate(points):
        with closing(StartAndStop(folder / str(number))) as daemon:
            yield from daemon.run(point)


def test_a_kill_of_the_daemon_at_any_call_of_its_start_and_its_end_is_mended_by_the_next_start() -> None:
    with quick_folder() as folder, closing(StartAndStop(folder / "trace")) as daemon:
        points = daemon.points()
    faults = spread(points, kill_at_start, PROCESSES)
    print(f"\n{len(points)} kills of the daemon in its start and its end")
    assert not faults, tell(faults)
    assert len(points) > 40
