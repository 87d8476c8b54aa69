# SPDX-License-Identifier: LGPL-2.1-or-later
"""Opening a directory of tapes: the lock, what is left over, and what cannot be opened."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.vtapes import Station
from tapeds.errors import DeviceGone, InvalidState, Io, Locked, OpenFailed
from tapeds.filesystem import REAL
from tapeds.vtape import TapeDirectory

OpenAt = Callable[..., Station]


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_second_one_is_locked_out_until_the_first_is_closed(folder: Path, open_at: OpenAt) -> None:
    first = open_at(folder)
    before = open_descriptors()
    with pytest.raises(Locked) as caught:
        TapeDirectory(REAL, str(folder), name="vt1", lock_timeout=0)
    assert str(caught.value) == (
        f"drive vt1: {folder}/.drive.lck is held by another program (external); wait for it or end it"
    )
    assert open_descriptors() == before
    first.close()
    TapeDirectory(REAL, str(folder), name="vt1", lock_timeout=0).close()


def test_it_waits_for_a_program_that_lets_go(folder: Path) -> None:
    code = (
        "import fcntl, sys; lock = open(sys.argv[1], 'a'); fcntl.flock(lock, fcntl.LOCK_EX);"
        " print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, folder / ".drive.lck"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(Locked):
            TapeDirectory(REAL, str(folder), name="vt0", lock_timeout=0.01)
        holder.stdin.close()
        TapeDirectory(REAL, str(folder), name="vt0", lock_timeout=60).close()


def test_proxmox_is_locked_out_while_it_is_open(station: Station) -> None:
    with open(station.path / ".drive.lck") as lock, pytest.raises(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    station.close()
    with open(station.path / ".drive.lck") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize("kind", ["missing", "file"])
def test_a_path_without_directory_is_a_device_that_is_gone(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "tapes"
    if kind == "file":
        path.touch()
    before = open_descriptors()
    with pytest.raises(DeviceGone) as caught:
        TapeDirectory(REAL, str(path), name="vt0")
    assert str(caught.value) == (
        f"drive vt0: there is no directory {path}; create it, or correct path in the configuration"
    )
    assert open_descriptors() == before


def test_a_lock_file_that_cannot_be_opened_is_named(folder: Path) -> None:
    (folder / ".drive.lck").mkdir()
    before = open_descriptors()
    with pytest.raises(OpenFailed, match=f"drive vt0: {folder}/.drive.lck cannot be used: Is a directory"):
        TapeDirectory(REAL, str(folder), name="vt0")
    assert open_descriptors() == before


def test_temporary_files_of_a_crash_are_removed_and_nothing_else(folder: Path, open_at: OpenAt) -> None:
    left_over = ("drive-status.tmp_a1B2c3", "tape-AAA.tmp_000000", ".tapeds-slots.tmp_ffffff")
    others = ("notes.tmp_a1B2c3", "tape-AAA.tmp_12345", "tapefile-0-AAA.json", "tape-AAA.json")
    for name in left_over + others:
        (folder / name).touch()
    open_at(folder)
    assert sorted(path.name for path in folder.iterdir()) == sorted((*others, ".drive.lck"))


def test_closing_gives_all_descriptors_back(folder: Path, open_at: OpenAt) -> None:
    before = open_descriptors()
    station = open_at(folder)
    station.load_new("AAA")
    station.drive.write_block(memoryview(bytes(262144)))
    (folder / "tape-AAA.json").write_text('{"files": 0}')      # a file of zeros is no stream of blocks
    station.close()
    station.close()
    assert open_descriptors() == before


def test_json_is_pretty_without_a_newline_at_the_end(station: Station) -> None:
    station.changer.inventory()
    assert (station.path / "drive-status.json").read_bytes() == (
        b'{\n  "current_tape": {\n    "name": "AAA",\n    "pos": 0\n  }\n}'
    )
    assert (station.path / ".tapeds-slots.json").read_bytes() == b'{\n  "slots": {\n    "AAA": 1\n  }\n}'
    station.drive.unload()
    assert (station.path / "drive-status.json").read_bytes() == b'{\n  "current_tape": null\n}'


def test_a_file_of_any_size_in_place_of_the_status_is_not_read_whole(folder: Path, open_at: OpenAt) -> None:
    with open(folder / "drive-status.json", "wb") as file:
        file.truncate(1 << 40)
    station = open_at(folder)
    with pytest.raises(InvalidState, match=r"drive-status\.json is damaged"):
        station.drive.status()
    (folder / "drive-status.json").unlink()


def test_an_entry_of_the_wrong_kind_is_named(folder: Path, open_at: OpenAt) -> None:
    (folder / "drive-status.json").mkdir()
    station = open_at(folder)
    with pytest.raises(Io, match=f"drive vt0: {folder}/drive-status.json: Is a directory"):
        station.drive.status()
    (folder / "drive-status.json").rmdir()
