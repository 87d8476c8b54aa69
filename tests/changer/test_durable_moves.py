# SPDX-License-Identifier: LGPL-2.1-or-later
"""A cartridge that was moved is where it was moved to, also after a loss of power."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.powerloss import Disk, Recorder
from support.vtapes import Station, open_station


def left(recorder: Recorder, name: str) -> Any:
    """The value in the file ``name`` when nothing survives that was not synchronised."""
    disk = Disk(recorder.initial)
    for change in recorder.log:
        disk.advance(change)
    files = next(disk.images()).files
    return next(json.loads(content.bytes()) for path, content in files.items() if path.endswith(name))


@pytest.mark.parametrize(
    ("move", "name", "value"),
    [
        (
            lambda station: station.changer.load("BBB", 0),
            "drive-status.json",
            {"current_tape": {"name": "BBB", "pos": 0}},
        ),
        (lambda station: station.changer.unload(0, 5), "drive-status.json", {"current_tape": None}),
        (lambda station: station.changer.unload(0, 5), "slots.json", {"slots": {"BBB": 2, "AAA": 5}}),
        (lambda station: station.drive.unload(), "drive-status.json", {"current_tape": None}),
        (lambda station: station.changer.transfer(2, 7), "slots.json", {"slots": {"AAA": 1, "BBB": 7}}),
    ],
    ids=["load", "unload", "unload to another slot", "eject", "transfer"],
)
def test_a_move_is_durable(
    folder: Path, move: Callable[[Station], None], name: str, value: dict[str, Any]
) -> None:
    for label in ("AAA", "BBB"):
        (folder / f"tape-{label}.json").write_text('{"files": 0}')
    station = open_station(folder)
    station.changer.load("AAA", 0)
    station.close()
    recorder = Recorder(folder)
    station = open_station(folder, fs=recorder)
    move(station)
    assert left(recorder, name) == value
    station.close()
