# SPDX-License-Identifier: LGPL-2.1-or-later
"""The virtual drive: Proxmox's directory in both directions, and what a tape drive does."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.vtapes import GOLDEN, Station, open_station, tape_block, tape_file
from tapeds.drive.base import Drive, Mark, Position
from tapeds.errors import (
    BlockTooLarge,
    DeviceGone,
    EndOfData,
    EndOfMedia,
    InvalidState,
    Io,
    MediumError,
    NoMedia,
    NotSupported,
)
from tapeds.vtape import BLOCK

OpenAt = Callable[..., Station]
EOM = json.loads((GOLDEN / "golden.json").read_text())["emulated_eom"]


def room() -> memoryview:
    return memoryview(bytearray(BLOCK))


class CallingOs:
    """The module ``os``, with a list of the calls; a call in ``failing`` fails with that errno."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.failing: dict[str, int] = {}

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> Any:
            self.calls.append(name)
            if name in self.failing:
                raise OSError(self.failing[name], os.strerror(self.failing[name]))
            return getattr(os, name)(*arguments)

        return call


# --- Proxmox's directory ------------------------------------------------------------------------


@pytest.fixture
def golden(tmp_path: Path) -> Path:
    return shutil.copytree(GOLDEN / "vdrive", tmp_path / "vdrive")


def test_a_directory_written_by_proxmox_is_read_whole(golden: Path, open_at: OpenAt) -> None:
    station = open_at(golden)
    assert station.drive.status().label_text == "TEST01L8"
    assert station.drive.position() == Position(0, 0)
    for number in range(5):
        data = (GOLDEN / "vdrive" / f"tapefile-{number}-TEST01L8.json").read_bytes()
        assert b"".join(station.read()) == data
    assert station.drive.read_block(room()) is Mark.END_OF_DATA


def test_looking_at_a_directory_of_proxmox_changes_none_of_its_files(golden: Path) -> None:
    station = open_station(golden)
    station.changer.inventory()
    station.read()
    station.drive.rewind()
    station.close()
    for path in (GOLDEN / "vdrive").iterdir():
        assert (golden / path.name).read_bytes() == path.read_bytes()


def test_what_is_written_is_proxmox_s_directory_byte_for_byte(folder: Path) -> None:
    station = open_station(folder)
    station.load_new("TEST02L8")
    station.load_new("TEST01L8")
    for number in range(5):
        data = memoryview((GOLDEN / "vdrive" / f"tapefile-{number}-TEST01L8.json").read_bytes())
        station.write([data[at : at + BLOCK] for at in range(0, len(data), BLOCK)])
    station.drive.rewind()
    station.close()
    ours = {path.name: path.read_bytes() for path in folder.iterdir()}
    del ours[".drive.lck"], ours[".tapeds-slots.json"]
    assert ours == {path.name: path.read_bytes() for path in (GOLDEN / "vdrive").iterdir()}


def test_an_index_without_content_counts_no_files(folder: Path, open_at: OpenAt) -> None:
    (folder / "tape-AAA.json").touch()
    station = open_at(folder)
    station.changer.load("AAA", 0)
    station.drive.locate_end()
    assert station.drive.position() == Position(0, 0)
    station.write(tape_file("first", 1))
    assert station.json("tape-AAA.json") == {"files": 1}


def test_a_directory_without_status_has_an_empty_drive(folder: Path, open_at: OpenAt) -> None:
    drive = open_at(folder).drive
    assert not drive.status().loaded
    actions = (drive.position, drive.rewind, drive.load, drive.locate_end, lambda: drive.read_block(room()))
    for action in actions:
        with pytest.raises(NoMedia, match="drive vt0 is empty; load a tape"):
            action()


def test_an_empty_file_of_proxmox_reads_as_a_filemark(folder: Path, open_at: OpenAt) -> None:
    (folder / "tape-AAA.json").write_text('{"files": 1}')
    (folder / "tapefile-0-AAA.json").touch()
    station = open_at(folder)
    station.changer.load("AAA", 0)
    assert station.drive.read_last_block(0, room()) == (0, 0)
    station.drive.rewind()
    assert station.read() == []
    assert station.drive.position() == Position(1, 0)


def test_the_identity_is_the_directory_s_whatever_the_path(folder: Path) -> None:
    found = folder.stat()
    link = folder.parent / "link"
    link.symlink_to(folder)
    station = open_station(link)
    station.close()
    assert station.drive.serial == f"{found.st_dev}:{found.st_ino}"
    assert (station.drive.vendor, station.drive.model) == ("tapeds", "virtual")


def test_it_is_a_drive(station: Station) -> None:
    drive: Drive = station.drive
    assert drive.early_warning_reserve == 0


# --- damage -------------------------------------------------------------------------------------


@pytest.mark.damaged_tape("the index is garbage")
@pytest.mark.parametrize(
    "text", ["{", "null", "[]", "{}", '{"files": -1}', '{"files": true}', '{"files": 1.0}']
)
def test_a_damaged_index_is_named_with_its_remedy(folder: Path, open_at: OpenAt, text: str) -> None:
    (folder / "tape-AAA.json").write_text(text)
    for number in (0, 1, 3):
        (folder / f"tapefile-{number}-AAA.json").write_bytes(tape_block(0, "x", end=True))
    station = open_at(folder)
    station.changer.load("AAA", 0)
    with pytest.raises(MediumError) as caught:
        station.drive.position()
    assert str(caught.value) == (
        f'the index {folder}/tape-AAA.json of tape AAA is damaged; write {{"files": 2}} into it'
        " to keep its 2 files, or format the tape"
    )
    assert station.drive.status().label_text == "AAA"
    assert station.drive.status().position is None


@pytest.mark.parametrize("text", [None, "garbage"])
def test_formatting_mends_an_index_that_is_missing_or_damaged(
    folder: Path, open_at: OpenAt, text: str | None
) -> None:
    (folder / "drive-status.json").write_text('{"current_tape": {"name": "AAA", "pos": 3}}')
    (folder / "tapefile-0-AAA.json").write_bytes(b"x" * 99)
    if text is not None:
        (folder / "tape-AAA.json").write_text(text)
    station = open_at(folder)
    with pytest.raises(MediumError, match=r"tape-AAA\.json of tape AAA is (missing|damaged)"):
        station.drive.locate_end()
    station.drive.format(fast=True)
    assert station.drive.position() == Position(0, 0)
    assert station.json("tape-AAA.json") == {"files": 0}
    assert not list(folder.glob("tapefile-*"))


@pytest.mark.damaged_tape("the status file is garbage")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "null",
        '{"current_tape": 1}',
        '{"current_tape": {"name": "AAA"}}',
        '{"current_tape": {"name": "AAA", "pos": -1}}',
        '{"current_tape": {"name": "../AAA", "pos": 0}}',
        "[" * 100_000,
    ],
)
def test_a_damaged_status_file_is_named_with_its_remedy(folder: Path, open_at: OpenAt, text: str) -> None:
    (folder / "drive-status.json").write_text(text)
    station = open_at(folder)
    for action in (station.drive.status, station.drive.rewind, station.changer.inventory):
        with pytest.raises(InvalidState) as caught:
            action()
        assert str(caught.value) == (
            f"drive vt0: {folder}/drive-status.json is damaged;"
            " restore it, or remove it: the drive is then empty"
        )


@pytest.mark.damaged_tape("a file is missing")
def test_a_missing_file_is_named_and_the_others_are_read(
    station: Station, folder: Path, open_at: OpenAt
) -> None:
    for text in "abc":
        station.write(tape_file(text, 1))
    station.close()
    (folder / "tapefile-1-AAA.json").unlink()
    station = open_at(folder)
    station.drive.locate_file(1)
    with pytest.raises(MediumError, match=r"tapefile-1-AAA.json is missing; put it back, or write file 1"):
        station.drive.read_block(room())
    assert station.read_file(2) == tape_file("c", 1)
    station.drive.locate_file(1)
    station.write(tape_file("d", 1))
    assert station.read_file(1) == tape_file("d", 1)


def test_a_torn_last_block_is_cut_off(station: Station, folder: Path, open_at: OpenAt) -> None:
    station.write(tape_file("a", 3))
    station.close()
    path = folder / "tapefile-0-AAA.json"
    os.truncate(path, 3 * BLOCK - 1)
    station = open_at(folder)
    assert station.read_file(0) == tape_file("a", 3)[:2]
    assert path.stat().st_size == 2 * BLOCK
    station.drive.locate_end()
    assert station.drive.position() == Position(1, 0)


def test_a_position_behind_the_last_file_is_the_end_of_the_tape(folder: Path, open_at: OpenAt) -> None:
    (folder / "tape-AAA.json").write_text('{"files": 0}')
    (folder / "drive-status.json").write_text('{"current_tape": {"name": "AAA", "pos": 9}}')
    assert open_at(folder).drive.position() == Position(0, 0)


@pytest.mark.damaged_tape("the directory is moved away")
def test_a_directory_that_is_gone_is_noticed_at_the_next_access(station: Station, folder: Path) -> None:
    drive = station.drive
    station.write(tape_file("a", 2))
    drive.rewind()
    folder.rename(folder.parent / "elsewhere")
    actions = (drive.status, drive.position, drive.rewind, drive.unload, lambda: drive.read_block(room()))
    for action in actions:
        with pytest.raises(DeviceGone, match=f"drive vt0: directory {folder} is gone"):
            action()
    folder.mkdir()
    with pytest.raises(DeviceGone):
        drive.status()
    shutil.rmtree(folder)
    (folder.parent / "elsewhere").rename(folder)
    assert drive.status().label_text == "AAA"


@pytest.mark.damaged_tape("the directory is removed while a file is written")
def test_a_file_in_a_directory_that_is_gone_is_not_called_durable(station: Station, folder: Path) -> None:
    station.drive.write_block(memoryview(tape_block(0, "a")))
    shutil.move(folder, folder.parent / "elsewhere")
    station.drive.write_block(memoryview(tape_block(1, "b", end=True)))
    with pytest.raises(DeviceGone):
        station.drive.write_filemarks(1)
    (folder.parent / "elsewhere").rename(folder)


# --- position -----------------------------------------------------------------------------------


@pytest.fixture
def three(station: Station) -> Station:
    """Files of 1, 3 and 2 blocks; the head is behind them."""
    for text, blocks in (("a", 1), ("b", 3), ("c", 2)):
        station.write(tape_file(text, blocks))
    return station


def test_position_after_writing_is_behind_the_filemark(three: Station) -> None:
    assert three.drive.position() == Position(3, 0)
    assert three.drive.read_block(room()) is Mark.END_OF_DATA


def test_position_counts_blocks_within_a_file(three: Station) -> None:
    three.drive.locate_file(1)
    three.drive.read_block(room())
    assert three.drive.position() == Position(1, 1)
    three.drive.locate_end()
    three.drive.write_block(memoryview(tape_block(0, "x")))
    three.drive.write_block(memoryview(tape_block(1, "x")))
    assert three.drive.position() == Position(3, 2)


@pytest.mark.parametrize("file", [0, 1, 3])
def test_position_survives_a_restart(three: Station, open_at: OpenAt, file: int) -> None:
    three.drive.locate_file(file)
    three.close()
    assert open_at(three.path).drive.position() == Position(file, 0)


def test_a_file_that_was_begun_is_behind_the_head_after_a_restart(three: Station, open_at: OpenAt) -> None:
    three.drive.locate_file(1)
    three.drive.read_block(room())
    three.close()
    assert open_at(three.path).drive.position() == Position(2, 0)


def test_where_reading_came_to_survives_a_restart(three: Station, open_at: OpenAt) -> None:
    three.drive.rewind()
    three.read()
    three.close()
    assert open_at(three.path).drive.position() == Position(1, 0)


def test_locating_behind_the_last_file_is_end_of_data_and_moves_nothing(three: Station) -> None:
    three.drive.locate_file(1)
    with pytest.raises(EndOfData, match="tape AAA in drive vt0 has 3 files, no file 4"):
        three.drive.locate_file(4)
    with pytest.raises(EndOfData):
        three.drive.read_last_block(3, room())
    assert three.drive.position() == Position(1, 0)


@pytest.mark.parametrize(
    ("start", "count", "arrives"), [(0, 1, 1), (0, 3, 3), (3, -1, 2), (3, -3, 0), (1, 0, 1), (2, -1, 1)]
)
def test_spacing_over_filemarks(three: Station, start: int, count: int, arrives: int) -> None:
    three.drive.locate_file(start)
    three.drive.space_filemarks(count)
    assert three.drive.position() == Position(arrives, 0)


def test_spacing_stops_at_both_ends(three: Station) -> None:
    with pytest.raises(EndOfData, match="has 3 files, no file 4"):
        three.drive.space_filemarks(1)
    with pytest.raises(EndOfData, match="no file before file 0"):
        three.drive.space_filemarks(-4)
    assert three.drive.position() == Position(3, 0)


def test_the_last_block_of_a_file_is_read_with_its_index(three: Station) -> None:
    buffer = room()
    assert three.drive.read_last_block(1, buffer) == (BLOCK, 2)
    assert buffer == tape_file("b", 3)[2]
    assert three.drive.position() == Position(2, 0)


def test_only_motion_that_moves_is_written_down(three: Station, open_at: OpenAt) -> None:
    three.close()
    fs = CallingOs()
    drive = open_at(three.path, fs=fs).drive
    drive.rewind()
    fs.calls.clear()
    for file in range(3):
        drive.locate_file(file)
        drive.read_block(room())
        drive.read_last_block(file, room())
    assert "replace" not in fs.calls
    drive.space_filemarks(-1)
    assert fs.calls.count("replace") == 1


# --- reading ------------------------------------------------------------------------------------


def test_a_block_larger_than_the_buffer_is_refused_and_a_filemark_fits_any(three: Station) -> None:
    three.drive.rewind()
    small = memoryview(bytearray(512))
    with pytest.raises(BlockTooLarge, match="a block of drive vt0 has 262144 bytes, the buffer 512"):
        three.drive.read_block(small)
    three.drive.read_block(room())
    assert three.drive.read_block(small) is Mark.FILEMARK


def test_a_larger_buffer_is_filled_by_one_block(three: Station) -> None:
    buffer = memoryview(bytearray(BLOCK + 100))
    three.drive.rewind()
    assert three.drive.read_block(buffer) == BLOCK
    assert buffer[:BLOCK] == tape_file("a", 1)[0]
    assert not any(buffer[BLOCK:])


def test_a_file_that_shrinks_while_it_is_read_is_a_medium_error(three: Station) -> None:
    three.drive.locate_file(1)
    three.drive.read_block(room())
    os.truncate(three.path / "tapefile-1-AAA.json", BLOCK)
    with pytest.raises(MediumError, match=r"tapefile-1-AAA\.json ends inside block 1"):
        three.drive.read_block(room())


def test_each_block_is_one_system_call(folder: Path, open_at: OpenAt) -> None:
    fs = CallingOs()
    station = open_at(folder, fs=fs)
    station.load_new("AAA")
    blocks = tape_file("a", 5)
    station.drive.write_block(memoryview(blocks[0]))
    fs.calls.clear()
    for block in blocks[1:]:
        station.drive.write_block(memoryview(block))
    assert fs.calls == ["pwritev"] * 4
    station.drive.write_filemarks(1)
    station.drive.rewind()
    station.drive.read_block(room())
    fs.calls.clear()
    for _ in blocks[1:]:
        station.drive.read_block(room())
    assert fs.calls == ["preadv"] * 4


# --- writing ------------------------------------------------------------------------------------


def test_writing_at_a_file_destroys_it_and_all_behind(three: Station) -> None:
    three.drive.locate_file(1)
    three.write(tape_file("new", 1))
    assert three.read_file(1) == tape_file("new", 1)
    assert three.json("tape-AAA.json") == {"files": 2}
    assert not (three.path / "tapefile-2-AAA.json").exists()


def test_writing_in_a_file_cuts_it_there(three: Station) -> None:
    three.drive.locate_file(1)
    three.drive.read_block(room())
    three.write([tape_block(1, "b/1", end=True)])
    assert three.read_file(1) == [tape_file("b", 3)[0], tape_block(1, "b/1", end=True)]
    assert three.json("tape-AAA.json") == {"files": 2}


def test_a_filemark_in_a_file_cuts_it_there(three: Station) -> None:
    three.drive.locate_file(1)
    three.drive.read_block(room())
    three.drive.write_filemarks(1)
    assert three.drive.position() == Position(2, 0)
    assert three.drive.read_block(room()) is Mark.END_OF_DATA
    assert three.read_file(1) == tape_file("b", 3)[:1]


def test_a_filemark_behind_a_filemark_is_refused(three: Station) -> None:
    with pytest.raises(NotSupported, match="vt0 writes no empty files: write a block before the filemark"):
        three.drive.write_filemarks(1)
    three.drive.write_block(memoryview(tape_block(0, "x", end=True)))
    with pytest.raises(NotSupported):
        three.drive.write_filemarks(2)


def test_a_block_of_another_length_is_refused(three: Station) -> None:
    with pytest.raises(NotSupported, match="drive vt0 writes blocks of 262144 bytes, not of 100"):
        three.drive.write_block(memoryview(bytes(100)))
    assert three.drive.position() == Position(3, 0)


@pytest.mark.parametrize("leave", ["locate_end", "rewind", "close"])
def test_a_file_left_without_filemark_keeps_its_blocks(station: Station, open_at: OpenAt, leave: str) -> None:
    blocks = tape_file("a", 3)
    for block in blocks[:2]:
        station.drive.write_block(memoryview(block))
    getattr(station.drive, leave)()
    if leave == "close":
        station = open_at(station.path)
    assert station.read_file(0) == blocks[:2]


def test_reading_right_after_writing_meets_the_end_of_the_file(station: Station) -> None:
    for block in tape_file("a", 3)[:2]:
        station.drive.write_block(memoryview(block))
    assert station.drive.read_block(room()) is Mark.FILEMARK
    assert station.drive.read_last_block(0, room()) == (BLOCK, 1)


def test_synchronising_in_a_file_completes_it_on_disk_and_writing_goes_on(station: Station) -> None:
    blocks = tape_file("a", 5)
    for block in blocks[:3]:
        station.drive.write_block(memoryview(block))
    station.drive.write_filemarks(0)
    assert (station.path / "tapefile-0-AAA.json").stat().st_size == 3 * BLOCK
    station.write(blocks[3:])
    assert station.read_file(0) == blocks


def test_formatting_removes_all_files_and_keeps_the_cartridge(three: Station) -> None:
    three.drive.format(fast=False)
    assert three.drive.position() == Position(0, 0)
    assert three.drive.status().label_text == "AAA"
    assert not list(three.path.glob("tapefile-*"))
    assert three.json("tape-AAA.json") == {"files": 0}


def test_unloading_empties_the_drive_and_a_second_time_does_nothing(three: Station) -> None:
    three.drive.unload()
    three.drive.unload()
    assert three.json("drive-status.json") == {"current_tape": None}
    assert three.drive.status().loaded is False
    assert three.drive.status().label_text is None


def test_loading_goes_to_the_beginning(three: Station) -> None:
    three.drive.load()
    assert three.drive.position() == Position(0, 0)


def test_files_of_another_tape_are_left_alone(station: Station) -> None:
    station.write(tape_file("a", 2))
    station.load_new("AAA.json")
    station.write(tape_file("b", 1))
    station.drive.format(fast=True)
    station.load_new("0-AAA")
    station.write(tape_file("c", 1))
    station.changer.load("AAA", 0)
    assert station.read_file(0) == tape_file("a", 2)
    station.drive.format(fast=True)
    assert (station.path / "tapefile-0-0-AAA.json").exists()


# --- how much fits ------------------------------------------------------------------------------


@pytest.mark.parametrize("size", EOM)
def test_early_warning_and_end_of_medium_come_where_proxmox_has_them(
    folder: Path, open_at: OpenAt, size: str
) -> None:
    rule = EOM[size]
    station = open_at(folder, max_size=int(size.removesuffix("KiB")) << 10)
    station.load_new("AAA")
    for number in range(1, rule["enospc_at_block_write"]):
        mark = station.drive.write_block(memoryview(tape_block(number - 1, "x")))
        assert mark is (Mark.EARLY_WARNING if number >= rule["first_leom_block_write"] else None)
    with pytest.raises(EndOfMedia, match="tape AAA in drive vt0 is full; use another tape"):
        station.drive.write_block(memoryview(tape_block(number, "x")))
    assert station.drive.position() == Position(0, rule["last_accepted_block_write"])
    station.drive.write_filemarks(1)
    assert len(station.read_file(0)) == rule["last_accepted_block_write"]


def test_every_file_takes_two_blocks_and_two_more_on_a_full_tape(folder: Path, open_at: OpenAt) -> None:
    station = open_at(folder, max_size=4 * BLOCK)
    station.load_new("AAA")
    station.write(tape_file("a", 4))
    assert [station.drive.write_block(memoryview(tape_block(number, "x"))) for number in range(4)] == [
        None,
        None,
        Mark.EARLY_WARNING,
        Mark.EARLY_WARNING,
    ]


def test_what_is_overwritten_counts_as_free(folder: Path, open_at: OpenAt) -> None:
    station = open_at(folder, max_size=4 * BLOCK)
    station.load_new("AAA")
    station.write(tape_file("a", 1))
    station.write(tape_file("b", 5))
    station.drive.locate_file(1)
    assert [station.drive.write_block(memoryview(block)) for block in tape_file("c", 5)] == [
        None, None, None, Mark.EARLY_WARNING, Mark.EARLY_WARNING,
    ]
    with pytest.raises(EndOfMedia):
        station.drive.write_block(memoryview(tape_block(5, "c")))


def test_blocks_that_stay_in_a_file_count_when_it_is_continued(folder: Path, open_at: OpenAt) -> None:
    station = open_at(folder, max_size=4 * BLOCK)
    station.load_new("AAA")
    blocks = tape_file("a", 6)
    station.write(blocks[:3])
    station.drive.rewind()
    for _ in range(3):
        station.drive.read_block(room())
    assert [station.drive.write_block(memoryview(block)) for block in blocks[3:]] == [
        None, Mark.EARLY_WARNING, Mark.EARLY_WARNING,
    ]
    with pytest.raises(EndOfMedia):
        station.drive.write_block(memoryview(tape_block(6, "a")))


def test_remaining_bytes_are_never_below_zero(folder: Path, open_at: OpenAt) -> None:
    station = open_at(folder, max_size=3 * BLOCK + 5)
    station.load_new("AAA")
    drive = station.drive
    assert (drive.status().capacity_bytes, drive.status().remaining_bytes) == (3 * BLOCK + 5, 3 * BLOCK + 5)
    station.write(tape_file("a", 2))
    assert drive.status().remaining_bytes == BLOCK + 5
    for block in tape_file("b", 3):
        drive.write_block(memoryview(block))
    assert drive.status().remaining_bytes == 0


# --- trouble ------------------------------------------------------------------------------------


def test_a_failed_write_ends_the_file_with_the_blocks_it_has(folder: Path, open_at: OpenAt) -> None:
    fs = CallingOs()
    station = open_at(folder, fs=fs)
    station.load_new("AAA")
    blocks = tape_file("a", 4)
    for block in blocks[:2]:
        station.drive.write_block(memoryview(block))

    def writes_a_part(fd: int, buffers: Any, at: int) -> int:
        fs.pwritev = has_no_room
        return os.pwritev(fd, (b"".join(buffers)[:5000],), at)

    def has_no_room(fd: int, buffers: Any, at: int) -> int:
        fs.pwritev = os.pwritev
        raise OSError(errno.ENOSPC, "No space left on device")

    fs.pwritev = writes_a_part
    with pytest.raises(Io, match=f"drive vt0: {folder}/tapefile-0-AAA.json: No space left on device"):
        station.drive.write_block(memoryview(blocks[2]))
    assert station.drive.position() == Position(0, 2)
    with pytest.raises(Io):
        station.drive.write_block(memoryview(blocks[2]))
    for immediate in (True, False):
        with pytest.raises(Io):
            station.drive.write_filemarks(1, immediate=immediate)
    assert station.read_file(0) == blocks[:2]


def test_a_filemark_without_waiting_waits_for_the_order_of_blocks_only(folder: Path, open_at: OpenAt) -> None:
    fs = CallingOs()
    station = open_at(folder, fs=fs)
    station.load_new("AAA")
    station.drive.write_block(memoryview(tape_block(0, "a", end=True)))
    fs.calls.clear()
    station.drive.write_filemarks(1, immediate=True)
    assert "fdatasync" not in fs.calls
    assert "fsync" not in fs.calls
    for block in tape_file("b", 3):
        station.drive.write_block(memoryview(block))
    fs.calls.clear()
    station.drive.write_filemarks(1, immediate=True)
    assert [call for call in fs.calls if call != "stat"] == ["fdatasync", "pwritev", "close"]


def test_a_short_write_is_completed(folder: Path, open_at: OpenAt) -> None:
    fs = CallingOs()
    station = open_at(folder, fs=fs)
    station.load_new("AAA")
    fs.pwritev = lambda fd, buffers, at: os.pwritev(fd, (b"".join(buffers)[:100_000],), at)
    station.write(tape_file("a", 3))
    assert station.read_file(0) == tape_file("a", 3)


def test_a_short_read_is_completed(three: Station, open_at: OpenAt) -> None:
    three.close()
    fs = CallingOs()
    station = open_at(three.path, fs=fs)
    fs.preadv = lambda fd, buffers, at: os.preadv(fd, (buffers[0][:100_000],), at)
    assert station.read_file(1) == tape_file("b", 3)


def test_a_disk_without_room_for_the_newest_block_says_so_in_the_position(
    folder: Path, open_at: OpenAt
) -> None:
    fs = CallingOs()
    station = open_at(folder, fs=fs)
    station.load_new("AAA")
    blocks = tape_file("a", 4)
    for block in blocks[:3]:
        station.drive.write_block(memoryview(block))
    fs.failing = {"pwritev": errno.ENOSPC}
    with pytest.raises(Io):
        station.drive.write_block(memoryview(blocks[3]))
    assert station.drive.position() == Position(0, 2)
    fs.failing = {}
    assert station.read_file(0) == blocks[:2]


def test_a_file_that_could_not_be_synchronised_is_never_called_durable(folder: Path, open_at: OpenAt) -> None:
    fs = CallingOs()
    station = open_at(folder, fs=fs)
    station.load_new("AAA")
    blocks = tape_file("a", 3)
    for block in blocks:
        station.drive.write_block(memoryview(block))
    fs.failing = {"fdatasync": errno.EIO}
    with pytest.raises(Io, match="Input/output error"):
        station.drive.write_filemarks(1)
    fs.failing = {}
    with pytest.raises(Io):
        station.drive.write_filemarks(1)
    assert station.read_file(0) == blocks[:2]       # the end did not become visible


def test_a_first_block_that_fails_leaves_no_file(folder: Path, open_at: OpenAt) -> None:
    fs = CallingOs()
    station = open_at(folder, fs=fs)
    station.load_new("AAA")
    fs.failing = {"pwritev": errno.ENOSPC}
    with pytest.raises(Io):
        station.drive.write_block(memoryview(tape_block(0, "a")))
    fs.failing = {}
    assert station.drive.position() == Position(0, 0)
    assert station.drive.read_block(room()) is Mark.END_OF_DATA
    station.write(tape_file("b", 2))
    assert station.read_file(0) == tape_file("b", 2)
