# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whenever the power fails: what was durable is there, and nothing incomplete looks complete.

One script uses everything that changes a directory.  It runs once over a file system that records
(`support.powerloss`); then every directory that a loss of power at any moment of it may leave is
looked at, before and after a drive has opened it.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import tapeds.drive.virtual
import tapeds.vtape
from independent import reader
from support.powerloss import Disk, NeverSynchronised, PowerCut, Recorder, images
from support.vtapes import Station, open_station, tape_block, tape_file
from tapeds.errors import TapeError
from tapeds.vtape import BLOCK

pytestmark = [
    pytest.mark.damaged_tape("every directory was left by a crash; the test itself looks at it"),
    pytest.mark.system,
]

Files = list[list[bytes]]


@dataclass
class Story:
    """What the script has written, and from which change of the record on it was durable."""

    recorder: Recorder
    promises: list[tuple[int, str, Files]] = field(default_factory=list)
    complete: list[list[bytes]] = field(default_factory=list)
    moves: list[tuple[int, str | None]] = field(default_factory=list)

    def moved(self, label: str | None) -> None:
        """From now on this tape is in the drive, whatever happens; None: that may change."""
        self.moves.append((len(self.recorder.log), label))

    def in_drive(self, position: int) -> str | None:
        """The tape that was in the drive when ``position`` changes had been made, None if any may be."""
        return ([None] + [label for since, label in self.moves if since <= position])[-1]

    def promise(self, label: str, files: Files) -> None:
        """From now on these are the first files of the tape, whatever happens."""
        self.promises.append((len(self.recorder.log), label, [list(blocks) for blocks in files]))

    def promised(self, position: int) -> dict[str, Files]:
        """What was promised when ``position`` changes had been made."""
        return {label: files for since, label, files in self.promises if since <= position}

    def new_file(self, text: str, blocks: int, start: list[bytes] | None = None) -> list[bytes]:
        """A complete file, perhaps with blocks of another at its beginning."""
        kept = start or []
        file = kept + tape_file(text, blocks)[len(kept) :]
        self.complete.append(file)
        return file


def script(station: Station, story: Story) -> None:
    """Write, append, overwrite, continue in a file, leave one, change tapes, format."""
    drive = station.drive
    station.load_new("AAA")
    story.moved("AAA")
    story.promise("AAA", [])
    files: Files = [story.new_file("a", 1), story.new_file("b", 5)]
    station.write(files[0])
    story.promise("AAA", files[:1])
    for block in files[1][:3]:
        drive.write_block(memoryview(block))
    drive.write_filemarks(0)
    story.promise("AAA", [files[0], files[1][:3]])
    for block in files[1][3:]:
        drive.write_block(memoryview(block))
    drive.write_filemarks(1)
    story.promise("AAA", files)

    # Without waiting, then all at once.
    for text, blocks in (("c", 4), ("d", 1), ("e", 2)):
        files.append(story.new_file(text, blocks))
        station.write(files[-1], immediate=True)
    drive.write_filemarks(0)
    story.promise("AAA", files)

    # From the middle of a file on, over what is there.
    buffer = memoryview(bytearray(BLOCK))
    drive.locate_file(1)
    drive.read_block(buffer)
    drive.read_block(buffer)
    files = [files[0], story.new_file("f", 4, start=files[1][:2])]
    story.promise("AAA", [files[0], files[1][:2]])
    for block in files[1][2:]:
        drive.write_block(memoryview(block))
    drive.write_filemarks(1)
    story.promise("AAA", files)

    # Over a whole file, then one behind it.
    drive.locate_end()
    drive.read_last_block(0, buffer)
    story.promise("AAA", files[:1])
    files = [files[0], story.new_file("g", 2), story.new_file("h", 3)]
    station.write(files[1])
    story.promise("AAA", files[:2])
    station.write(files[2], immediate=True)

    # Another tape: what was on this one is durable.
    story.moved(None)
    station.load_new("BBB")
    story.moved("BBB")
    story.promise("AAA", files)
    story.promise("BBB", [])
    for block in tape_file("i", 3)[:2]:
        drive.write_block(memoryview(block))
    story.moved(None)
    station.changer.load("AAA", 0)
    story.moved("AAA")
    story.promise("BBB", [tape_file("i", 3)[:2]])
    story.promise("AAA", [])
    drive.format(fast=True)
    station.write(story.new_file("j", 3), immediate=True)
    station.close()
    story.promise("AAA", [story.complete[-1]])


def play(folder: Path, **options: Callable[..., object]) -> Story:
    """Run the script in ``folder`` as far as it goes."""
    story = Story(Recorder(folder, **options))
    try:
        station = open_station(folder, fs=story.recorder)
        try:
            script(station, story)
        finally:
            station.close()
    finally:
        story.recorder.release()
    return story


# --- what must be true of a directory -----------------------------------------------------------


def stored(path: Path) -> list[bytes]:
    data = path.read_bytes()
    return [data[at : at + BLOCK] for at in range(0, len(data), BLOCK)]


def faults_on_disk(
    folder: Path, promised: dict[str, Files], complete: list[list[bytes]], in_drive: str | None = None
) -> Iterator[str]:
    """What breaks the promise of `tapeds.vtape`, before anything has been repaired."""
    try:
        tapes = reader.read_directory(str(folder), os.listdir(folder))
    except (ValueError, OSError, TypeError, KeyError) as exc:
        yield f"the independent reader refuses the directory: {exc}"
        return
    if in_drive is not None:
        status = folder / "drive-status.json"
        current = json.loads(status.read_bytes())["current_tape"] if status.exists() else None
        if current is None or current["name"] != in_drive:
            yield f"tape {in_drive} was in the drive, and now {current} is"
    for label, tape in tapes.items():
        for number in range(tape.count):
            blocks = stored(folder / f"tapefile-{number}-{label}.json")
            whole = [block for block in blocks if len(block) == BLOCK]
            if not whole:
                yield f"tape {label} counts file {number}, which has no block"
            elif whole[-1][8] & 1 and whole not in complete:
                yield f"file {number} of tape {label} has an end, but not what belongs in front of it"
    for label, files in promised.items():
        for number, file in enumerate(files):
            path = folder / f"tapefile-{number}-{label}.json"
            if label not in tapes or number >= tapes[label].count:
                yield f"file {number} of tape {label} was durable and is not counted"
            elif stored(path)[: len(file)] != file:
                yield f"file {number} of tape {label} was durable and has lost blocks"


def wrong_position(folder: Path) -> Iterator[str]:
    """Proxmox cannot write from a position behind the last file; no kill may leave one."""
    status = folder / "drive-status.json"
    current = json.loads(status.read_text())["current_tape"] if status.exists() else None
    if current is not None:
        files = json.loads((folder / f"tape-{current['name']}.json").read_text())["files"]
        if current["pos"] > files:
            yield f"the position is {current['pos']}, and there are {files} files"


def faults_after_opening(folder: Path, promised: dict[str, Files]) -> Iterator[str]:
    """What a drive makes of the directory: it must open, keep what was durable, and be usable."""
    new = tape_file("written after the crash", 3)
    station = open_station(folder, fs=NeverSynchronised())
    for label, files in promised.items():
        station.changer.load(label, 0)
        for number, file in enumerate(files):
            if station.read_file(number)[: len(file)] != file:
                yield f"file {number} of tape {label} was durable and reads otherwise"
        station.drive.locate_end()
        end = station.drive.position().file
        station.write(new)
        if station.read_file(end) != new:
            yield f"tape {label} cannot be used: the new file {end} reads otherwise"
    station.close()
    leftovers = [name for name in os.listdir(folder) if ".tmp_" in name]
    if leftovers:
        yield f"left over: {leftovers}"
    for path in folder.glob("tapefile-*"):
        if path.stat().st_size % BLOCK:
            yield f"{path.name} still ends in a torn block"


def first_fault(story: Story, folder: Path, scratch: Path, *, also_open: bool) -> tuple[str, int]:
    """The first fault of all directories that a loss of power may leave ("": none), and their number."""
    count = 0
    expectations = {since for since, *_ in (*story.promises, *story.moves)}
    for image in images(story.recorder.log, story.recorder.initial, more_expected=expectations):
        count += 1
        scratch.mkdir()
        image.write_to(scratch, folder)
        promised = story.promised(image.position)
        in_drive = story.in_drive(image.position)
        faults = [*faults_on_disk(scratch, promised, story.complete, in_drive)]
        if image.lost == "nothing" and not faults:
            faults = [*wrong_position(scratch)]
        if also_open and not faults:
            faults = [*faults_after_opening(scratch, promised)]
        shutil.rmtree(scratch)
        if faults:
            return f"after {image.position} changes, without {image.lost}: {faults[0]}", count
    return "", count


def first_fault_after_a_kill(tmp_path: Path, **options: Callable[..., object]) -> str:
    """The script is cut off at a call, the next program appends a file, and the power fails."""
    calls: list[str] = []
    undisturbed = tmp_path / "undisturbed"
    undisturbed.mkdir()
    play(undisturbed, before=lambda call, name: calls.append(name))
    new = tape_file("after the kill", 2)
    for killed in [number for number, name in enumerate(calls) if name in ("unlink", "fsync")]:

        def before(call: int, name: str, killed: int = killed) -> None:
            if call == killed:
                raise PowerCut

        victim, scratch = tmp_path / "victim", tmp_path / "scratch"
        victim.mkdir()
        story = Story(Recorder(victim, before=before, **options))
        with pytest.raises(PowerCut):
            script(open_station(victim, fs=story.recorder), story)
        story.recorder.release()
        begin = len(story.recorder.log)
        station = open_station(victim, fs=story.recorder)
        station.load_new("AAA")
        station.drive.locate_end()
        story.complete.append(new)
        station.write(new)
        station.close()
        for image in images(story.recorder.log, story.recorder.initial, since=begin):
            scratch.mkdir()
            image.write_to(scratch, victim)
            faults = [*faults_on_disk(scratch, story.promised(begin), story.complete)]
            shutil.rmtree(scratch)
            if faults:
                return f"killed at call {killed}, then without {image.lost}: {faults[0]}"
        shutil.rmtree(victim)
    return ""


# --- the tests ----------------------------------------------------------------------------------


def test_no_loss_of_power_breaks_the_promise(folder: Path, tmp_path: Path) -> None:
    story = play(folder)
    fault, count = first_fault(story, folder, tmp_path / "scratch", also_open=True)
    print(f"{len(story.recorder.log)} changes, {count} directories after a loss of power")
    assert fault == ""
    assert count > 300


def wanted_syncs() -> set[str]:
    """Every line of the virtual drive that synchronises something, as ``file.py:line``.

    ``Folder.sync`` counts where it is called.
    """
    package = Path(tapeds.vtape.__file__).parent
    sources = [*package.glob("*.py"), Path(tapeds.drive.virtual.__file__)]
    found = set()
    for source in sources:
        for number, line in enumerate(source.read_text().splitlines(), start=1):
            pattern = r"self\.sync\(\)" if source.name == "folder.py" else r"\.fdatasync\(|folder\.sync\(\)"
            if re.search(pattern, line):
                found.add(f"{source.name}:{number}")
    return found


def test_every_single_synchronisation_is_needed(folder: Path, tmp_path: Path) -> None:
    """Without any one of them some loss of power breaks the promise."""
    sites = set(play(folder).recorder.sync_sites)
    assert wanted_syncs() <= sites, "the script does not come there"
    for site in sorted(sites):
        again = tmp_path / "again"
        again.mkdir()
        story = play(again, ignore_sync=lambda here, site=site: here == site)
        fault, _ = first_fault(story, again, tmp_path / "scratch", also_open=False)
        if not fault:
            fault = first_fault_after_a_kill(tmp_path, ignore_sync=lambda here, site=site: here == site)
        assert fault, f"nothing is lost without the synchronisation in {site}"
        print(f"{site}: {fault}")
        shutil.rmtree(again)


READING = {"pread", "preadv", "stat", "fstat", "listdir"}
WRITING = {"open", "write", "pwritev", "ftruncate", "fsync", "fdatasync", "replace", "unlink"}


@pytest.mark.parametrize(("number", "where"), [(errno.ENOSPC, WRITING), (errno.EIO, READING | WRITING)])
def test_no_failing_call_breaks_the_promise(
    folder: Path, tmp_path: Path, number: int, where: set[str]
) -> None:
    """One call fails, whichever: the script ends in one of our errors, and the power fails after that."""
    calls: list[str] = []
    play(folder, before=lambda call, name: calls.append(name))
    assert set(calls) <= READING | WRITING | {"close"}
    for failing, name in enumerate(calls):
        if name not in where:
            continue

        def before(call: int, name: str, failing: int = failing) -> None:
            if call == failing:
                raise OSError(number, os.strerror(number))

        again, scratch = tmp_path / "again", tmp_path / "scratch"
        again.mkdir()
        story = Story(Recorder(again, before=before))
        try:
            station = open_station(again, fs=story.recorder)
        except TapeError:
            pass  # the failing call belonged to opening
        else:
            try:
                script(station, story)
            except TapeError:
                close(station)
        story.recorder.release()
        disk = Disk(story.recorder.initial)
        for change in story.recorder.log:
            disk.advance(change)
        last = next(disk.images())
        scratch.mkdir()
        last.write_to(scratch, again)
        for directory in (scratch, again):
            faults = [*faults_on_disk(directory, story.promised(last.position), story.complete)]
            faults += faults_after_opening(directory, story.promised(last.position))
            assert faults == [], f"call {failing} of {len(calls)}, {name}"
            shutil.rmtree(directory)


def close(station: Station) -> None:
    try:
        station.close()
    except TapeError:
        pass  # it may fail again


def test_a_killed_program_and_a_loss_of_power_in_the_next_one(tmp_path: Path) -> None:
    """What a killed program had not synchronised is not relied upon by the next."""
    assert first_fault_after_a_kill(tmp_path) == ""


def test_two_crashes_in_a_row_are_as_harmless_as_one(folder: Path, tmp_path: Path) -> None:
    """The first start after a loss of power is itself cut off at any moment."""
    story = play(folder)
    middle = len(story.recorder.log) // 2
    first = next(image for image in images(story.recorder.log, {}) if image.position >= middle)
    second, scratch = tmp_path / "second", tmp_path / "scratch"
    second.mkdir()
    first.write_to(second, folder)
    promised = story.promised(first.position)
    again = Recorder(second)
    station = open_station(second, fs=again)
    station.changer.load("AAA", 0)
    station.drive.locate_end()
    new = tape_file("after the first crash", 2)
    station.write(new)
    station.close()
    for image in images(again.log, again.initial):
        scratch.mkdir()
        image.write_to(scratch, second)
        assert [*faults_on_disk(scratch, promised, [*story.complete, new])] == []
        shutil.rmtree(scratch)


def test_blocks_of_a_file_are_torn_only_at_its_end(station: Station) -> None:
    """While a file is written its newest block lacks a page on disk, and only that one."""
    for number in range(3):
        station.drive.write_block(memoryview(tape_block(number, "x")))
    assert (station.path / "tapefile-0-AAA.json").stat().st_size == 3 * BLOCK - 4096
