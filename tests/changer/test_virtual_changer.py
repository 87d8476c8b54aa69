# SPDX-License-Identifier: LGPL-2.1-or-later
"""The shelf beside a virtual drive: slots that are kept, one drive, no robot arm to break."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from support.vtapes import GOLDEN, Station, tape_block, tape_file
from tapeds.changer.base import Changer, Element, ElementKind
from tapeds.drive.base import Position
from tapeds.errors import DeviceGone, InvalidOption, InvalidState, NoMedia, NotSupported

OpenAt = Callable[..., Station]


def shelf(station: Station) -> dict[int, str]:
    """Number and label of every full slot."""
    return {
        element.number: element.label_text
        for element in station.changer.inventory()
        if element.kind is ElementKind.SLOT and element.full
    }


def drive_of(station: Station) -> Element:
    (drive,) = (element for element in station.changer.inventory() if element.kind is ElementKind.DRIVE)
    return drive


def slot_count(station: Station) -> int:
    return sum(element.kind is ElementKind.SLOT for element in station.changer.inventory())


@pytest.fixture
def tapes(folder: Path, open_at: OpenAt) -> Station:
    """Tapes AAA, BBB and CCC in slots 1 to 3, the drive empty."""
    for label in ("AAA", "BBB", "CCC"):
        (folder / f"tape-{label}.json").write_text('{"files": 0}')
    return open_at(folder)


def test_it_is_a_changer(tapes: Station) -> None:
    changer: Changer = tapes.changer
    assert changer.inventory()


def test_an_empty_directory_has_one_drive_and_eight_slots(folder: Path, open_at: OpenAt) -> None:
    station = open_at(folder)
    assert slot_count(station) == 8
    assert shelf(station) == {}
    drive = drive_of(station)
    assert (drive.number, drive.address, drive.full, drive.source_slot) == (0, 0, False, None)
    assert drive.serial == station.drive.serial


def test_a_directory_of_proxmox_gets_slots_and_proxmox_sees_none_of_it(
    tmp_path: Path, open_at: OpenAt
) -> None:
    folder = shutil.copytree(GOLDEN / "vdrive", tmp_path / "vdrive")
    station = open_at(folder)
    assert shelf(station) == {2: "TEST02L8"}
    assert drive_of(station).label_text == "TEST01L8"
    assert drive_of(station).source_slot == 1
    new = {path.name for path in folder.iterdir()} - {path.name for path in (GOLDEN / "vdrive").iterdir()}
    assert not [name for name in new if name.endswith(".json") and name.startswith(("tape", "drive"))]


def test_tapes_that_appear_take_the_lowest_free_slots_and_the_others_keep_theirs(tapes: Station) -> None:
    assert shelf(tapes) == {1: "AAA", 2: "BBB", 3: "CCC"}
    (tapes.path / "tape-BBB.json").unlink()
    assert shelf(tapes) == {1: "AAA", 3: "CCC"}
    (tapes.path / "tape-A00.json").touch()
    (tapes.path / "tape-ZZZ.json").touch()
    assert shelf(tapes) == {1: "AAA", 2: "A00", 3: "CCC", 4: "ZZZ"}


def test_slots_survive_a_restart(tapes: Station, open_at: OpenAt) -> None:
    tapes.changer.inventory()
    tapes.changer.transfer(1, 7)
    tapes.close()
    assert shelf(open_at(tapes.path)) == {7: "AAA", 2: "BBB", 3: "CCC"}


def test_names_that_are_no_labels_are_no_tapes(tapes: Station) -> None:
    for name in ("tape-x.json", "tape-.json", "tape-a b.json", "tape-AAA.tmp_123abc", "tape-AAA.json.bak"):
        (tapes.path / name).touch()
    assert shelf(tapes) == {1: "AAA", 2: "BBB", 3: "CCC"}


def test_slots_come_in_rows_of_eight(folder: Path, open_at: OpenAt) -> None:
    for number in range(9):
        (folder / f"tape-A{number}.json").touch()
    station = open_at(folder)
    assert slot_count(station) == 16
    for number in range(9):
        (folder / f"tape-A{number}.json").unlink()
    assert slot_count(station) == 8


def test_a_loaded_tape_leaves_its_slot_empty(tapes: Station) -> None:
    tapes.changer.load("BBB", 0)
    assert shelf(tapes) == {1: "AAA", 3: "CCC"}
    assert (drive_of(tapes).label_text, drive_of(tapes).source_slot) == ("BBB", 2)
    assert tapes.drive.status().label_text == "BBB"


def test_loading_puts_back_what_is_in_the_drive(tapes: Station) -> None:
    tapes.changer.load("BBB", 0)
    tapes.changer.load("AAA", 0)
    assert shelf(tapes) == {2: "BBB", 3: "CCC"}
    assert tapes.drive.status().label_text == "AAA"


def test_loading_stands_at_the_beginning_of_the_tape(tapes: Station) -> None:
    tapes.changer.load("AAA", 0)
    tapes.write(tape_file("a", 2))
    tapes.changer.load("BBB", 0)
    tapes.changer.load("AAA", 0)
    assert tapes.drive.position() == Position(0, 0)
    tapes.drive.locate_end()
    tapes.changer.load("AAA", 0)
    assert tapes.drive.position() == Position(0, 0)
    assert tapes.read() == tape_file("a", 2)


def test_a_file_that_is_being_written_keeps_its_blocks_when_the_tape_is_put_back(tapes: Station) -> None:
    tapes.changer.load("AAA", 0)
    for number in range(2):
        tapes.drive.write_block(memoryview(tape_block(number, "x")))
    tapes.changer.load("BBB", 0)
    tapes.changer.load("AAA", 0)
    assert tapes.read_file(0) == [tape_block(0, "x"), tape_block(1, "x")]


@pytest.mark.parametrize("label", ["DDD", "AA", "aaa", "../AAA", ""])
def test_an_unknown_label_is_no_media_and_moves_nothing(tapes: Station, label: str) -> None:
    tapes.changer.load("AAA", 0)
    with pytest.raises(NoMedia) as caught:
        tapes.changer.load(label, 0)
    assert str(caught.value) == (
        f"there is no tape {label} in {tapes.path}; name one that is there, or make it with the option create"
    )
    assert tapes.drive.status().label_text == "AAA"


def test_create_makes_the_cartridge_in_the_lowest_free_slot(tapes: Station) -> None:
    tapes.changer.load("DDD", 0, create=True)
    assert (tapes.path / "tape-DDD.json").read_bytes() == b'{\n  "files": 0\n}'
    assert drive_of(tapes).source_slot == 4
    tapes.changer.unload(0)
    assert shelf(tapes)[4] == "DDD"


def test_create_loads_a_cartridge_that_is_there_as_it_is(tapes: Station) -> None:
    tapes.changer.load("AAA", 0)
    tapes.write(tape_file("a", 1))
    tapes.changer.load("AAA", 0, create=True)
    assert tapes.read_file(0) == tape_file("a", 1)


@pytest.mark.parametrize("label", ["A", "a/b", "-AA", ".AA", "A" * 33, "", "ÄÄ", "A\n", "A B"])
def test_create_refuses_what_cannot_be_a_label(tapes: Station, label: str) -> None:
    with pytest.raises(InvalidOption, match="cannot be the label of a tape"):
        tapes.changer.load(label, 0, create=True)
    assert len(list(tapes.path.glob("tape-*"))) == 3


@pytest.mark.parametrize("create", [False, True])
def test_a_cleaning_cartridge_is_refused(tapes: Station, create: bool) -> None:
    (tapes.path / "tape-CLN001L8.json").touch()
    with pytest.raises(NotSupported, match="CLN001L8 is a cleaning cartridge, and drive vt0 needs none"):
        tapes.changer.load("CLN001L8", 0, create=create)
    with pytest.raises(NotSupported):
        tapes.changer.load_slot(4, 0)


def test_loading_from_a_slot(tapes: Station) -> None:
    tapes.changer.load_slot(3, 0)
    assert tapes.drive.status().label_text == "CCC"
    tapes.changer.load_slot(1, 0)
    assert tapes.drive.status().label_text == "AAA"


def test_an_empty_slot_is_no_media(tapes: Station) -> None:
    tapes.changer.load_slot(3, 0)
    for slot in (3, 8):
        with pytest.raises(NoMedia, match=f"slot {slot} of changer vt0 is empty"):
            tapes.changer.load_slot(slot, 0)
    with pytest.raises(NoMedia):
        tapes.changer.transfer(3, 4)


@pytest.mark.parametrize("slot", [0, 9, -1])
def test_a_slot_that_is_not_there_is_an_invalid_option(tapes: Station, slot: int) -> None:
    tapes.changer.load("AAA", 0)
    for action in (
        lambda: tapes.changer.load_slot(slot, 0),
        lambda: tapes.changer.unload(0, slot),
        lambda: tapes.changer.transfer(slot, 5),
        lambda: tapes.changer.transfer(2, slot),
    ):
        with pytest.raises(InvalidOption, match=f"no slot {slot}; its slots are 1 to 8"):
            action()


def test_another_drive_is_an_invalid_option(tapes: Station) -> None:
    for action in (
        lambda: tapes.changer.load("AAA", 1),
        lambda: tapes.changer.load_slot(1, 1),
        lambda: tapes.changer.unload(1),
    ):
        with pytest.raises(InvalidOption, match="changer vt0 has no drive 1, only drive 0"):
            action()


def test_unloading_goes_back_to_where_the_tape_came_from_or_to_the_slot_named(tapes: Station) -> None:
    tapes.changer.load("BBB", 0)
    tapes.changer.unload(0)
    assert shelf(tapes)[2] == "BBB"
    tapes.changer.load("BBB", 0)
    tapes.changer.unload(0, 6)
    assert shelf(tapes) == {1: "AAA", 6: "BBB", 3: "CCC"}
    with pytest.raises(NoMedia, match="drive vt0 is empty; there is nothing to unload"):
        tapes.changer.unload(0)


def test_unloading_into_a_full_slot_is_refused(tapes: Station) -> None:
    tapes.changer.load("BBB", 0)
    with pytest.raises(InvalidState, match="slot 3 of changer vt0 holds CCC; name an empty slot"):
        tapes.changer.unload(0, 3)
    assert tapes.drive.status().label_text == "BBB"


def test_transfer_moves_slot_numbers(tapes: Station) -> None:
    tapes.changer.transfer(1, 8)
    assert shelf(tapes) == {8: "AAA", 2: "BBB", 3: "CCC"}
    with pytest.raises(InvalidState, match="holds CCC"):
        tapes.changer.transfer(2, 3)


def test_a_tape_whose_slot_was_taken_goes_back_to_a_free_one(tapes: Station) -> None:
    tapes.changer.load("BBB", 0)
    tapes.changer.transfer(3, 2)
    assert drive_of(tapes).source_slot == 3
    tapes.changer.unload(0)
    assert shelf(tapes) == {1: "AAA", 2: "CCC", 3: "BBB"}


def test_export_is_not_supported(tapes: Station) -> None:
    with pytest.raises(NotSupported, match="changer vt0 has no import/export slots"):
        tapes.changer.export("AAA")


def test_ejecting_by_the_drive_puts_the_tape_back_into_its_slot(tapes: Station) -> None:
    tapes.changer.load("CCC", 0)
    tapes.drive.unload()
    assert shelf(tapes) == {1: "AAA", 2: "BBB", 3: "CCC"}


@pytest.mark.damaged_tape("the loaded tape has been taken away")
def test_a_loaded_tape_that_vanishes_stays_in_the_drive_until_it_is_unloaded(tapes: Station) -> None:
    tapes.changer.load("CCC", 0)
    (tapes.path / "tape-CCC.json").unlink()
    assert (drive_of(tapes).label_text, drive_of(tapes).source_slot) == ("CCC", None)
    tapes.changer.unload(0)
    assert shelf(tapes) == {1: "AAA", 2: "BBB"}


@pytest.mark.parametrize(
    "text", ["x", "[]", "{}", '{"slots": [1]}', '{"slots": {"AAA": 0}}', '{"slots": {"AAA": 1, "BBB": 1}}']
)
def test_a_damaged_slots_file_is_named_with_its_remedy(tapes: Station, text: str) -> None:
    (tapes.path / ".tapeds-slots.json").write_text(text)
    with pytest.raises(InvalidState) as caught:
        tapes.changer.inventory()
    assert str(caught.value) == (
        f"drive vt0: {tapes.path}/.tapeds-slots.json is damaged;"
        " restore it, or remove it: tapes are then given slots anew"
    )


@pytest.mark.damaged_tape("the directory is moved away")
def test_a_directory_that_is_gone_is_noticed(tapes: Station) -> None:
    tapes.path.rename(tapes.path.parent / "elsewhere")
    for action in (
        tapes.changer.inventory,
        lambda: tapes.changer.load("AAA", 0),
        lambda: tapes.changer.unload(0),
        lambda: tapes.changer.transfer(1, 5),
    ):
        with pytest.raises(DeviceGone):
            action()
