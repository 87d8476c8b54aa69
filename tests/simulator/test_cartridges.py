# SPDX-License-Identifier: LGPL-2.1-or-later
"""Cartridges come and go: loading, unloading, the hand, optimising, cleaning, erasing, the chip."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tapeds.simulator import NotPossible

TUR = "00 00 00 00 00 00"


def attribute(host: Any, identifier: int) -> bytes:
    data = host.good(f"8c 00 00 00 00 00 00 00 {identifier:04x} 00 00 10 00 00 00")
    assert data[4:6] == identifier.to_bytes(2, "big")
    return data[9 : 9 + int.from_bytes(data[7:9], "big")]


def activity(host: Any) -> int:
    return host.good("4d 00 51 00 00 00 00 00 20 00")[4 + 4 + 2]


def activities(host: Any) -> set[int]:
    """What the drive does until it says that the medium has changed."""
    seen = set()
    while (done := host("4d 00 51 00 00 00 00 00 20 00")).status == 0:
        seen.add(done.data[10])
    assert done.sense[12] == 0x28
    return seen


def test_a_loading_drive_becomes_ready_and_says_that_the_medium_has_changed(device: Any, at: Any) -> None:
    host = at(device)
    assert [host.code(TUR), host.code(TUR)] == ["6/29/00", "2/3A/00"]
    device.insert("A00001L9")
    assert activity(host) == 0x02
    answers = []
    while (code := host.code(TUR)) != "good":
        answers.append(code)
    assert answers == ["2/04/01", "2/04/01", "6/28/00"]


def test_every_nexus_is_told_that_the_medium_has_changed(host: Any, second: Any) -> None:
    second.settle()
    host.good("1b 00 00 00 00 00")
    assert [host.code(TUR), second.code(TUR)] == ["2/3A/00", "2/3A/00"]
    host.good("1b 00 00 00 01 00")
    assert [host.code(TUR), second.code(TUR)] == ["6/28/00", "6/28/00"]
    assert [host.code(TUR), second.code(TUR)] == ["good", "good"]


def test_inquiry_report_luns_and_request_sense_leave_or_carry_attentions(device: Any, at: Any) -> None:
    host = at(device)
    host.good("12 00 00 00 60 00")
    host.good("a0 00 00 00 00 00 00 00 00 10 00 00")
    sense = host.good("03 00 00 00 12 00")
    assert (sense[2], sense[12], sense[13]) == (6, 0x29, 0x00)
    assert host.code(TUR) == "2/3A/00"


def test_attentions_come_one_after_the_other_and_a_reset_takes_the_place_of_all(
    host: Any, second: Any
) -> None:
    second.settle()
    host.good("15 10 00 00 0c 00", bytes.fromhex("00 00 10 08 00 00 00 00 00 00 04 00"))
    host.good("1b 00 00 00 01 00")
    host.good("1b 00 00 00 00 00")
    host.good("1b 00 00 00 01 00")
    host.settle()
    assert [second.code(TUR) for _ in range(3)] == ["6/2A/01", "6/28/00", "good"]
    host.device.reset()
    assert [second.code(TUR) for _ in range(2)] == ["6/29/03", "good"]
    assert host.code(TUR) == "6/29/03"


def test_who_changes_the_mode_hears_nothing_of_it(host: Any, second: Any) -> None:
    second.settle()
    host.good("15 10 00 00 0c 00", bytes.fromhex("00 00 10 08 00 00 00 00 00 00 02 00"))
    assert host.code(TUR) == "good"
    assert second.code(TUR) == "6/2A/01"
    assert second.good("1a 00 0f 00 ff 00")[9:12] == b"\x00\x02\x00"


def test_an_unload_rewinds_writes_everything_and_lets_go(host: Any) -> None:
    host.write(b"abc")
    host.good("1b 00 00 00 00 00")
    assert host.code(TUR) == "2/3A/00"
    host.device.power_loss()
    assert host.device.remove() == "A00001L9"
    host.load("A00001L9")
    assert host.position() == (0, 0)
    assert host.good("08 02 00 01 00 00") == b"abc"


def test_a_held_cartridge_shows_its_memory_only(host: Any) -> None:
    host.good("1b 00 00 00 08 00")
    assert host.code(TUR) == "2/3A/04"
    assert attribute(host, 0x0003) == (1).to_bytes(8, "big")
    host.good("1b 00 00 00 01 00")
    host.settle()
    assert attribute(host, 0x0003) == (2).to_bytes(8, "big")


def test_a_cartridge_can_be_taken_in_and_held(host: Any) -> None:
    host.good("1b 00 00 00 00 00")
    host.good("1b 00 00 00 09 00")
    assert host.code(TUR) == "2/3A/04"
    assert len(attribute(host, 0x0401)) == 32
    host.good("1b 00 00 00 01 00")
    assert host.code(TUR) == "6/28/00"


def test_loading_a_loaded_cartridge_rewinds_it_and_retensioning_takes_longer(host: Any) -> None:
    host.write(b"abc")
    times = []
    for cdb in ("1b 00 00 00 01 00", "1b 00 00 00 03 00"):
        before = host.device._memory.state.time
        host.good(cdb)
        times.append(host.device._memory.state.time - before)
        assert host.position() == (0, 0)
    assert times[1] - times[0] > 200
    host.good("1b 01 00 00 03 00")
    assert host.code(TUR) == "2/04/07"


def test_prevention_belongs_to_each_nexus_and_holds_the_hand(host: Any, second: Any) -> None:
    second.settle()
    host.good("1e 00 00 00 01 00")
    second.good("1e 00 00 00 01 00")
    host.good("1e 00 00 00 00 00")
    assert host.code("1b 00 00 00 00 00") == "5/53/02"
    with pytest.raises(NotPossible, match="prevents"):
        host.device.remove()
    second.good("1e 00 00 00 00 00")
    host.good("1b 00 00 00 00 00")
    assert host.device.remove() == "A00001L9"


def test_a_reset_ends_prevention(host: Any) -> None:
    host.good("1e 00 00 00 01 00")
    host.device.reset()
    host.settle()
    host.good("1b 00 00 00 00 00")


def test_the_hand_finds_a_full_drive_and_an_empty_one(host: Any) -> None:
    host.device.create_cartridge("OTHER")
    with pytest.raises(NotPossible, match="A00001L9"):
        host.device.insert("OTHER")
    host.device.remove()
    with pytest.raises(NotPossible, match="empty"):
        host.device.remove()
    with pytest.raises(FileNotFoundError):
        host.device.insert("NONE")
    with pytest.raises(FileExistsError):
        host.device.create_cartridge("OTHER")
    with pytest.raises(ValueError, match="name"):
        host.device.create_cartridge("../x")


def test_a_new_cartridge_is_optimised_at_its_first_load_in_an_lto_9_drive(host: Any) -> None:
    host.device.remove()
    host.device.create_cartridge("NEW", initialized=False)
    host.device.insert("NEW")
    seen = activities(host)
    assert seen == {0x02, 0x0B}
    host.settle()
    host.device.remove()
    host.device.insert("NEW")
    seen = activities(host)
    assert seen == {0x02}


def test_optimising_begins_anew_after_a_power_loss(host: Any) -> None:
    host.device.remove()
    host.device.create_cartridge("NEW", initialized=False)
    host.device.insert("NEW")
    host.device.pass_time(17 + 2999)
    host.device.power_loss()
    assert host.code(TUR) == "6/29/00"
    assert activities(host) == {0x02, 0x0B}


def test_a_load_command_is_refused_while_the_cartridge_is_optimised(host: Any) -> None:
    host.device.remove()
    host.device.create_cartridge("NEW", initialized=False)
    host.device.insert("NEW")
    assert host.code("1b 00 00 00 01 00") == "2/04/01"
    host.device.pass_time(17)
    assert host.code("1b 00 00 00 00 00") == "2/04/01"


def test_an_lto_8_drive_optimises_nothing_and_takes_no_lto_9_cartridge(make: Any, at: Any) -> None:
    device = make(generation="LTO-8")
    device.create_cartridge("L8", initialized=False)
    device.create_cartridge("L9", generation="LTO-9")
    host = at(device)
    host.settle()
    device.insert("L8")
    seen = activities(host)
    assert seen == {0x02}
    host.device.remove()
    host.load("L9")
    assert host.code(TUR) == "3/30/00"
    assert host.good("4d 00 52 00 00 00 00 00 40 00")[8:].hex() == f"{1 << (64 - 12):016x}"


def test_a_cleaning_cartridge_cleans_and_comes_out(host: Any) -> None:
    host.device.remove()
    host.device.want_cleaning(required=True)
    host.device.create_cartridge("CLN01", cleanings=1)
    host.device.insert("CLN01")
    answers = []
    while (code := host.code(TUR)) != "2/3A/00":
        answers.append((code, activity(host)))
    assert ("2/30/03", 0x01) in answers
    assert host.good("4d 00 52 00 00 00 00 00 40 00")[8:] == bytes(8)
    assert host.device.remove() == "CLN01"
    host.device.insert("CLN01")
    host.settle()
    assert host.code(TUR) == "2/30/13"
    assert host.good("4d 00 52 00 00 00 00 00 40 00")[8:].hex() == f"{1 << (64 - 22):016x}"
    host.good("1b 00 00 00 00 00")
    assert host.device.remove() == "CLN01"


def test_a_drive_that_wants_to_be_cleaned_says_so_in_request_sense(host: Any) -> None:
    host.device.want_cleaning(required=False)
    assert host.good("03 00 00 00 12 00")[12:14] == b"\x00\x17"
    assert host.code(TUR) == "good"


@pytest.mark.parametrize(
    ("cdb", "sense", "tur"),
    [
        ("19 03 00 00 00 00", (0, 0x00, 0x18), "2/04/07"),
        ("04 01 00 00 00 00", (2, 0x04, 0x04), "2/04/04"),
    ],
)
def test_a_long_work_tells_its_progress(host: Any, cdb: str, sense: tuple[int, int, int], tur: str) -> None:
    host.write(b"gone")
    host.good("01 00 00 00 00 00")
    host.good(cdb)
    answers = []
    while True:
        data = host.good("03 00 00 00 12 00")
        if (data[2], data[12], data[13]) != sense:
            break
        answers.append(int.from_bytes(data[16:18], "big"))
        host.device.pass_time(1)
    assert len(answers) == 3
    assert answers == sorted(set(answers))
    host.settle()
    assert host.code("08 02 00 01 00 00") == "8/00/05"
    host.good(cdb)
    assert host.code(TUR) == tur


def test_a_long_erase_takes_more_than_ten_hours(host: Any) -> None:
    before = host.device._memory.state.time
    host.good("19 01 00 00 00 00")
    assert host.device._memory.state.time - before > 36_000


def test_a_format_changes_the_reference_and_counts(host: Any) -> None:
    assert attribute(host, 0x0007) == b"\x00\x01"
    before = attribute(host, 0x0009)
    host.good("04 00 00 00 00 00")
    assert attribute(host, 0x0007) == b"\x00\x02"
    assert attribute(host, 0x0009) != before


def test_the_volume_change_reference_changes_with_every_writing(host: Any) -> None:
    seen = [attribute(host, 0x0009)]
    for _ in range(3):
        host.write(b"abc")
        host.filemark()
        host.good("01 00 00 00 00 00")
        seen.append(attribute(host, 0x0009))
    assert len(set(seen)) == 4
    host.good("08 02 00 01 00 00")
    assert attribute(host, 0x0009) == seen[-1]


def test_attributes_are_written_read_and_deleted(host: Any) -> None:
    host.good(
        "8d 01 00 00 00 00 00 00 00 00 00 00 00 11 00 00",
        bytes.fromhex("0000000d 0800 01 0008") + b"Proxmox ",
    )
    assert attribute(host, 0x0800) == b"Proxmox "
    listed = host.good("8c 01 00 00 00 00 00 00 00 00 00 00 10 00 00 00")
    assert b"\x08\x00" in [listed[at : at + 2] for at in range(4, len(listed), 2)]
    host.device.power_loss()
    host.settle()
    assert attribute(host, 0x0800) == b"Proxmox "
    host.good("8d 01 00 00 00 00 00 00 00 00 00 00 00 09 00 00", bytes.fromhex("00000005 0800 01 0000"))
    assert host.code("8c 00 00 00 00 00 00 00 08 00 00 00 10 00 00 00") == "5/24/00"


def test_a_list_of_attributes_is_written_whole_or_not_at_all(host: Any) -> None:
    good, bad = bytes.fromhex("0800 01 0008") + b"Proxmox ", bytes.fromhex("0006 00 0001 60")
    data = (len(good) + len(bad)).to_bytes(4, "big") + good + bad
    assert host.code(f"8d 01 00 00 00 00 00 00 00 00 {len(data):08x} 00 00", data) == "5/26/00"
    assert host.code("8c 00 00 00 00 00 00 00 08 00 00 00 10 00 00 00") == "5/24/00"


def test_lists_of_volumes_partitions_and_supported_attributes(host: Any) -> None:
    assert host.good("8c 02 00 00 00 00 00 00 00 00 00 00 10 00 00 00").hex() == "00020001"
    assert host.good("8c 03 00 00 00 00 00 00 00 00 00 00 10 00 00 00").hex() == "00020001"
    supported = host.good("8c 05 00 00 00 00 00 00 08 00 00 00 10 00 00 00")
    assert supported[4:10].hex(" ") == "08 00 08 01 08 02"


def test_the_chip_keeps_the_life_of_the_cartridge(host: Any) -> None:
    for _ in range(3):
        host.write(bytes(1 << 20))
    host.device.remove()
    host.load("A00001L9")
    assert int.from_bytes(attribute(host, 0x0003), "big") == 2
    assert int.from_bytes(attribute(host, 0x0220), "big") == 3
    assert int.from_bytes(attribute(host, 0x0222), "big") == 0
    assert attribute(host, 0x020A).split() == attribute(host, 0x020B).split() == [b"TAPEDS", b"SIM0000042"]


def test_the_switch_is_moved_outside_the_drive(host: Any) -> None:
    host.device.create_cartridge("OTHER")
    assert host.device.cartridges() == ["A00001L9", "OTHER"]
    with pytest.raises(NotPossible, match="in the drive"):
        host.device.protect("A00001L9", on=True)
    with pytest.raises(FileNotFoundError):
        host.device.protect("NONE", on=True)
    host.device.protect("OTHER", on=True)
    host.device.remove()
    host.load("OTHER")
    assert host.code("10 00 00 00 01 00") == "7/27/00"
    assert host.good("1a 00 0f 00 ff 00")[2] == 0x90
    host.device.remove()
    host.device.protect("OTHER", on=False)
    host.load("OTHER")
    host.filemark()


def test_a_cartridge_that_has_lost_its_files_is_a_failure_of_the_drive(host: Any) -> None:
    host.device.close()
    (host.device.directory / "A00001L9.cartridge").unlink()
    other = type(host)(type(host.device)(host.device.directory, clock_factor=0))
    assert other.code("8c 00 00 00 00 00 00 00 00 00 00 00 10 00 00 00") == "4/44/00"
    other.device.close()


def test_the_last_four_drives_of_a_cartridge_in_their_order(host: Any) -> None:
    host.device.create_cartridge("OLD")
    path = host.device.directory / "OLD.cartridge"
    drives = [f"OTHER   {letter * 32}" for letter in "ABCD"]
    path.write_text(json.dumps({**json.loads(path.read_text()), "drives": drives}))
    host.device.remove()
    host.load("OLD")
    found = [attribute(host, identifier) for identifier in (0x020A, 0x020B, 0x020C, 0x020D)]
    assert found == [b"TAPEDS  " + b"SIM0000042".ljust(32), *(drive.encode() for drive in drives[:3])]
