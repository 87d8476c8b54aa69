# SPDX-License-Identifier: LGPL-2.1-or-later
"""A disk that fails to synchronise, or to close: what cannot be proved to be there is not called whole."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.vtapes import Station, open_station, tape_file
from tapeds.errors import Io
from tapeds.vtape import BLOCK


class Disk:
    """The real one; calls fail, by name, as long as it is told to.  One that fails to close has closed."""

    def __init__(self) -> None:
        self.failing: set[str] = set()
        self.skip = 0                          # so many of them work before

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)

        def call(*arguments: Any, **options: Any) -> Any:
            if name in self.failing:
                self.skip -= 1
                if self.skip < 0:
                    if name == "close":
                        real(*arguments)
                    raise OSError(errno.EIO, os.strerror(errno.EIO))
            return real(*arguments, **options)

        return call


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def station(tmp_path: Path, disk: Disk) -> Iterator[Station]:
    """A station with tape AAA in its drive, over a disk that can fail."""
    station = open_station(tmp_path, fs=disk)
    station.load_new("AAA")
    yield station
    disk.failing = set()
    station.close()


def blocks_on_disk(station: Station, file: int) -> float:
    return (station.path / f"tapefile-{file}-AAA.json").stat().st_size / BLOCK


def test_a_file_whose_end_could_not_be_synchronised_loses_its_end(station: Station, disk: Disk) -> None:
    station.write(tape_file("a", 3), immediate=True)          # the end is on its way
    disk.failing = {"fdatasync"}
    with pytest.raises(Io, match="Input/output error"):
        station.drive.write_filemarks(0)
    disk.failing = set()
    assert blocks_on_disk(station, 0) == 2
    station.drive.write_filemarks(0)
    assert station.read_file(0) == tape_file("a", 3)[:2]


def test_a_synchronisation_that_failed_is_not_believed_the_second_time(station: Station, disk: Disk) -> None:
    station.write(tape_file("a", 3), immediate=True)
    disk.failing = {"fdatasync", "ftruncate"}
    with pytest.raises(Io):
        station.drive.write_filemarks(0)
    disk.failing = set()
    with pytest.raises(Io, match=r"tapefile-0-AAA\.json: could not be synchronised"):
        station.drive.write_filemarks(0)
    station.drive.locate_file(0)
    station.write(tape_file("b", 2))                           # anew: nothing of the old one is left
    assert station.read_file(0) == tape_file("b", 2)


def test_the_last_block_goes_when_the_last_synchronisation_of_a_file_fails(
    station: Station, disk: Disk
) -> None:
    """The one before is behind all blocks but for the last page, and the very first behind block 0."""
    disk.failing, disk.skip = {"fdatasync"}, 2
    with pytest.raises(Io):
        station.write(tape_file("a", 3))
    disk.failing = set()
    assert blocks_on_disk(station, 0) == 2
    assert station.drive.position().block == 2


@pytest.mark.parametrize(
    "action",
    [
        lambda station: station.write(tape_file("a", 2)),
        lambda station: station.changer.load("AAA", 0),
        lambda station: station.drive.close(),
    ],
    ids=["write", "load", "close"],
)
def test_a_close_that_fails_is_told_and_leaves_nothing_open(
    station: Station, disk: Disk, action: Callable[[Station], None]
) -> None:
    opened = len(os.listdir("/proc/self/fd")) - 2              # without the directory and its lock
    disk.failing = {"close"}
    with pytest.raises(Io, match="Input/output error"):
        action(station)
    disk.failing = set()
    station.drive.close()
    assert len(os.listdir("/proc/self/fd")) == opened


def test_a_block_that_could_not_be_taken_back_is_taken_back_by_the_next_write(
    station: Station, disk: Disk
) -> None:
    for block in tape_file("a", 4)[:3]:
        station.drive.write_block(memoryview(block))
    disk.failing = {"fdatasync", "ftruncate"}
    with pytest.raises(Io):
        station.drive.write_filemarks(1)
    disk.failing = set()
    station.drive.locate_file(0)
    buffer = memoryview(bytearray(BLOCK))
    station.drive.read_block(buffer)
    station.write(tape_file("a", 3)[1:])
    assert station.read_file(0) == tape_file("a", 3)
