# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the drive refuses: it is never kinder than a real one.

Each row: a name, what is done before, the command, its data, and key/ASC/ASCQ.  Whatever is
refused leaves tape, position and settings as they were.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

BLOCK = b"0123456789abcdef" * 64


def blank(_: Any) -> None:
    """Nothing: a blank cartridge is loaded."""


def three_blocks(host: Any) -> None:
    for _ in range(3):
        assert host.write(BLOCK).status == 0
    host.filemark()


def at_the_beginning(host: Any) -> None:
    three_blocks(host)
    host.good("01 00 00 00 00 00")


def another(**kind: Any) -> Callable[[Any], None]:
    def load(host: Any) -> None:
        host.device.remove()
        host.device.create_cartridge("B00001", **kind)
        host.load("B00001")

    return load


def worm_with_data(host: Any) -> None:
    another(worm=True)(host)
    at_the_beginning(host)


def small(host: Any) -> None:
    another(capacity=64 * 1024)(host)
    while host.write(BLOCK).sense[12:14] != b"\x00\x02" or host.write(BLOCK).sense[2] & 15 != 0xD:
        pass


def empty(host: Any) -> None:
    host.device.remove()


def prevented(host: Any) -> None:
    host.good("1e 00 00 00 01 00")


def unloaded(host: Any) -> None:
    host.good("1b 00 00 00 00 00")


def unloaded_to_hold(host: Any) -> None:
    host.good("1b 00 00 00 08 00")


def rewinding(host: Any) -> None:
    three_blocks(host)
    host.good("01 01 00 00 00 00")


def unbuffered(host: Any) -> None:
    host.good("15 10 00 00 04 00", bytes.fromhex("00 00 00 00"))


def software_protected(host: Any) -> None:
    host.good(
        "15 10 00 00 14 00", bytes.fromhex("00 00 10 00 10 0e 00 00 00 00 00 c8 40 00 1c 00 00 00 01 00")
    )


def fixed_blocks(host: Any) -> None:
    host.good("15 10 00 00 0c 00", bytes.fromhex("00 00 10 08 00 00 00 00 00 00 04 00"))


def expired_cleaner(host: Any) -> None:
    another(cleanings=0)(host)


class Refusal(NamedTuple):
    name: str
    before: Callable[[Any], None]
    cdb: str
    data: str
    code: str


MAM = "00 00 00 0d 08 00 01 00 08 54 41 50 45 44 53 20 20"
TABLE = (
    Refusal("write over WORM data", worm_with_data, "0a 00 00 00 04 00", "00 01 02 03", "7/30/0C"),
    Refusal("filemark over WORM data", worm_with_data, "10 00 00 00 01 00", "", "7/30/0C"),
    Refusal("erase a WORM cartridge", worm_with_data, "19 00 00 00 00 00", "", "7/30/0C"),
    Refusal("format a WORM cartridge", worm_with_data, "04 00 00 00 00 00", "", "7/30/0C"),
    Refusal("write with the switch on", another(write_protected=True), "0a 00 00 00 01 00", "00", "7/27/00"),
    Refusal("filemark with the switch on", another(write_protected=True), "10 00 00 00 01 00", "", "7/27/00"),
    Refusal("erase with the switch on", another(write_protected=True), "19 01 00 00 00 00", "", "7/27/00"),
    Refusal("write under software protection", software_protected, "0a 00 00 00 01 00", "00", "7/27/02"),
    Refusal("write after the end of medium", small, "0a 00 00 04 00 00", BLOCK.hex(), "D/00/02"),
    Refusal(
        "locate past end of data",
        at_the_beginning,
        "92 00 00 00 00 00 00 00 00 00 00 09 00 00 00 00",
        "",
        "8/00/05",
    ),
    Refusal(
        "locate past the last file",
        at_the_beginning,
        "92 08 00 00 00 00 00 00 00 00 00 05 00 00 00 00",
        "",
        "8/00/05",
    ),
    Refusal("locate (10) past end of data", at_the_beginning, "2b 00 00 00 00 00 63 00 00 00", "", "8/00/05"),
    Refusal("space past end of data", at_the_beginning, "11 01 00 00 02 00", "", "8/00/05"),
    Refusal("space back past the beginning", three_blocks, "11 01 ff ff fe 00", "", "0/00/04"),
    Refusal("space over setmarks", at_the_beginning, "11 04 00 00 01 00", "", "5/24/00"),
    Refusal(
        "locate to an unknown kind of place",
        blank,
        "92 10 00 00 00 00 00 00 00 00 00 00 00 00 00 00",
        "",
        "5/24/00",
    ),
    Refusal(
        "change to a partition there is not",
        blank,
        "92 02 00 01 00 00 00 00 00 00 00 00 00 00 00 00",
        "",
        "5/24/00",
    ),
    Refusal("locate a device-specific address", blank, "2b 04 00 00 00 00 00 00 00 00", "", "5/24/00"),
    Refusal("read at end of data", three_blocks, "08 00 00 04 00 00", "", "8/00/05"),
    Refusal("overlength block", at_the_beginning, "08 00 00 00 10 00", "", "0/00/00"),
    Refusal("underlength block", at_the_beginning, "08 00 00 10 00 00", "", "0/00/00"),
    Refusal("fixed blocks without a block length", at_the_beginning, "08 01 00 00 01 00", "", "5/24/00"),
    Refusal("fixed blocks with SILI", fixed_blocks, "08 03 00 00 01 00", "", "5/24/00"),
    Refusal("a block longer than the limit", blank, "0a 00 80 00 01 00", "00", "5/24/00"),
    Refusal("a read longer than the limit", at_the_beginning, "08 00 ff ff ff 00", "", "5/24/00"),
    Refusal("fewer data than announced", blank, "0a 00 00 00 10 00", "00 01", "B/4B/00"),
    Refusal("erase not at the beginning", three_blocks, "19 00 00 00 00 00", "", "5/3B/0C"),
    Refusal("format not at the beginning", three_blocks, "04 00 00 00 00 00", "", "5/3B/0C"),
    Refusal("format with partitions", blank, "04 00 01 00 00 00", "", "5/24/00"),
    Refusal("format with a parameter list", blank, "04 00 00 00 08 00", "", "5/1A/00"),
    Refusal("unload while prevented", prevented, "1b 00 00 00 00 00", "", "5/53/02"),
    Refusal("prevent in an obsolete way", blank, "1e 00 00 00 03 00", "", "5/24/00"),
    Refusal("unload at the end of tape", blank, "1b 00 00 00 04 00", "", "5/24/00"),
    Refusal("load an empty drive", empty, "1b 00 00 00 01 00", "", "2/3A/00"),
    Refusal("write without a medium", empty, "0a 00 00 00 01 00", "00", "2/3A/00"),
    Refusal(
        "memory of no cartridge", empty, "8c 00 00 00 00 00 00 00 00 00 00 00 10 00 00 00", "", "2/3A/00"
    ),
    Refusal("read after an unload", unloaded, "08 00 00 04 00 00", "", "2/3A/00"),
    Refusal("read an unthreaded medium", unloaded_to_hold, "08 00 00 04 00 00", "", "2/3A/04"),
    Refusal("move while rewinding", rewinding, "11 01 00 00 01 00", "", "2/04/07"),
    Refusal("an older cartridge", another(generation="LTO-7"), "00 00 00 00 00 00", "", "3/30/00"),
    Refusal("an expired cleaning cartridge", expired_cleaner, "00 00 00 00 00 00", "", "2/30/13"),
    Refusal("a filemark at once without a buffer", unbuffered, "10 01 00 00 01 00", "", "5/24/00"),
    Refusal("an unknown operation code", blank, "c0 00 00 00 00 00", "", "5/20/00"),
    Refusal("an unknown service action", blank, "34 05 00 00 00 00 00 00 00 00", "", "5/24/00"),
    Refusal("a reserved bit in REWIND", blank, "01 02 00 00 00 00", "", "5/24/00"),
    Refusal("a reserved byte in TEST UNIT READY", blank, "00 00 00 01 00 00", "", "5/24/00"),
    Refusal("a control byte", blank, "01 00 00 00 00 04", "", "5/24/00"),
    Refusal("a CDB that is too short", blank, "92 08 00 00 00 00", "", "5/24/00"),
    Refusal(
        "an allocation length where there is none", blank, "34 06 00 00 00 00 00 00 20 00", "", "5/24/00"
    ),
    Refusal("an unknown VPD page", blank, "12 01 c0 00 ff 00", "", "5/24/00"),
    Refusal("a page code without EVPD", blank, "12 00 80 00 ff 00", "", "5/24/00"),
    Refusal("logical units in too little room", blank, "a0 00 00 00 00 00 00 00 00 08 00 00", "", "5/24/00"),
    Refusal("an unknown log page", blank, "4d 00 7e 00 00 00 00 10 00 00", "", "5/24/00"),
    Refusal("thresholds of a log page", blank, "4d 00 12 00 00 00 00 10 00 00", "", "5/24/00"),
    Refusal("a log parameter behind the last", blank, "4d 00 52 00 00 00 01 10 00 00", "", "5/24/00"),
    Refusal("save log parameters", blank, "4d 01 52 00 00 00 00 10 00 00", "", "5/24/00"),
    Refusal("an unknown mode page", blank, "1a 00 08 00 ff 00", "", "5/24/00"),
    Refusal("saved mode pages", blank, "1a 00 cf 00 ff 00", "", "5/39/00"),
    Refusal("save mode pages", blank, "15 11 00 00 04 00", "00 00 10 00", "5/24/00"),
    Refusal("mode pages of no format", blank, "15 00 00 00 04 00", "00 00 10 00", "5/24/00"),
    Refusal(
        "a reserved bit in a mode page",
        blank,
        "15 10 00 00 14 00",
        "00 00 10 00 0f 0e c1 80 00000001 00000001 00000000",
        "5/26/00",
    ),
    Refusal("a mode data length", blank, "15 10 00 00 04 00", "03 00 10 00", "5/26/00"),
    Refusal("an unknown buffered mode", blank, "15 10 00 00 04 00", "00 00 20 00", "5/26/00"),
    Refusal("another density", blank, "15 10 00 00 0c 00", "00 00 10 08 5e000000 00 000000", "5/26/00"),
    Refusal("a block descriptor of another length", blank, "15 10 00 00 04 00", "00 00 10 07", "5/26/00"),
    Refusal(
        "a mode page of another length",
        blank,
        "15 10 00 00 10 00",
        "00 00 10 00 0f 0a c0 80 00000001 00000001",
        "5/26/00",
    ),
    Refusal(
        "a mode page that is cut off",
        blank,
        "15 10 00 00 10 00",
        "00 00 10 00 0f 0e c0 80 00000001 00000001",
        "5/1A/00",
    ),
    Refusal("half a mode header", blank, "55 10 00 00 00 00 00 00 04 00", "00 00 00 10", "5/1A/00"),
    Refusal(
        "an attribute of the device",
        blank,
        "8d 01 00 00 00 00 00 00 00 00 00 00 00 0d 00 00",
        "00 00 00 09 00 06 00 00 01 60" + " 00" * 3,
        "5/26/00",
    ),
    Refusal(
        "an attribute of the wrong length",
        blank,
        "8d 01 00 00 00 00 00 00 00 00 00 00 00 0a 00 00",
        "00 00 00 06 08 00 01 00 01 54",
        "5/26/00",
    ),
    Refusal(
        "an attribute in the wrong format",
        blank,
        "8d 01 00 00 00 00 00 00 00 00 00 00 00 11 00 00",
        MAM.replace("08 00 01", "08 00 02"),
        "5/26/00",
    ),
    Refusal(
        "an attribute list of another length",
        blank,
        "8d 01 00 00 00 00 00 00 00 00 00 00 00 11 00 00",
        MAM.replace("00 0d", "00 0c"),
        "5/1A/00",
    ),
    Refusal(
        "an attribute that is cut off",
        blank,
        "8d 01 00 00 00 00 00 00 00 00 00 00 00 10 00 00",
        "00 00 00 0c" + MAM[11:-3],
        "5/1A/00",
    ),
    Refusal(
        "attributes of another partition",
        blank,
        "8c 00 00 00 00 00 00 01 00 00 00 00 10 00 00 00",
        "",
        "5/24/00",
    ),
    Refusal(
        "attributes behind the last", blank, "8c 00 00 00 00 00 00 00 0f ff 00 00 10 00 00 00", "", "5/24/00"
    ),
    Refusal("medium types of densities", blank, "44 02 00 00 00 00 00 10 00 00", "", "5/24/00"),
    Refusal("an unknown reporting option", blank, "a3 0c 04 00 00 00 00 00 10 00 00 00", "", "5/24/00"),
    Refusal(
        "an opcode that needs its service action", blank, "a3 0c 01 34 00 00 00 00 10 00 00 00", "", "5/24/00"
    ),
)


@pytest.mark.parametrize("refusal", TABLE, ids=lambda refusal: refusal.name)
def test_the_drive_refuses(host: Any, refusal: Refusal) -> None:
    refusal.before(host)
    assert host.code(refusal.cdb, bytes.fromhex(refusal.data)) == refusal.code


MOVES = {
    "locate past end of data",
    "locate past the last file",
    "locate (10) past end of data",
    "space past end of data",
    "space back past the beginning",
    "overlength block",
    "underlength block",
}
"""They stop short of where they were sent, which is their answer."""


@pytest.mark.parametrize(
    "refusal", [r for r in TABLE if r.name not in MOVES], ids=lambda refusal: refusal.name
)
def test_what_is_refused_changes_nothing(host: Any, refusal: Refusal) -> None:
    refusal.before(host)
    before = snapshot(host)
    host.code(refusal.cdb, bytes.fromhex(refusal.data))
    assert snapshot(host) == before


def snapshot(host: Any) -> tuple[Any, ...]:
    """Position, settings, the tape and its chip, as the files have them."""
    host.device.loaded()
    state = host.device._memory.state
    folder = host.device.directory
    files = {
        path.name: path.read_bytes()
        for path in sorted(folder.iterdir())
        if path.suffix in (".tape", ".index")
    }
    return (state.position, state.file, state.pages, state.block_length, state.buffered, state.place, files)


def test_no_two_refusals_have_one_name() -> None:
    assert len({refusal.name for refusal in TABLE}) == len(TABLE) >= 25


def test_after_a_locate_past_end_of_data_the_head_is_at_end_of_data(host: Any) -> None:
    at_the_beginning(host)
    host("92 00 00 00 00 00 00 00 00 00 00 09 00 00 00 00")
    assert host.position() == (4, 1)


def test_a_refused_field_is_pointed_at(host: Any) -> None:
    sense = host("01 02 00 00 00 00").sense
    assert sense[15:18].hex(" ") == "c9 00 01"  # in the CDB, bit 1 of byte 1


def test_a_refused_parameter_is_pointed_at(host: Any) -> None:
    sense = host(
        "15 10 00 00 14 00", bytes.fromhex("00 00 10 00 0f 0e c1 80 00000001 00000001 00000000")
    ).sense
    assert sense[15:18].hex(" ") == "88 00 06"  # in the parameter list, bit 0 of byte 6


def test_each_nexus_hears_of_the_power_on_before_its_first_command(device: Any, at: Any) -> None:
    for nexus in ("host0", "host1", "host2"):
        assert at(device, nexus).code("01 00 00 00 00 00") == "6/29/00"
        assert at(device, nexus).code("01 00 00 00 00 00") == "2/3A/00"


def test_a_write_in_fixed_blocks_tells_how_many_did_not_fit(host: Any, info: Any) -> None:
    another(capacity=4096, generation="LTO-9")(host)
    fixed_blocks(host)
    done = host("0a 01 00 00 06 00", BLOCK * 6)
    assert (done.sense[2] & 15, info(done.sense), done.residual) == (0xD, 3, 3 * len(BLOCK))
    assert host.position() == (3, 0)


def test_no_bit_outside_the_usage_map_is_let_through(host: Any) -> None:
    let = []
    listed = host.good("a3 0c 00 00 00 00 00 00 ff ff 00 00")
    for at in range(4, len(listed), 8):
        opcode, action, flags, size = listed[at], listed[at + 3], listed[at + 5], listed[at + 7]
        option = 2 if flags & 1 else 1
        map_ = host.good(f"a3 0c {option:02x} {opcode:02x} 00 {action:02x} 00 00 ff ff 00 00")[4:]
        assert len(map_) == size
        for byte in range(2, size):
            for bit in range(8):
                cdb = bytearray(size)
                cdb[0], cdb[1], cdb[byte] = opcode, action if flags & 1 else 0, 1 << bit
                if not map_[byte] >> bit & 1 and host.code(cdb.hex()) != "5/24/00":
                    let.append((cdb.hex(" "), host.code(cdb.hex())))
                    host.settle()
    assert let == []


@pytest.mark.parametrize(
    ("cdb", "pointer"),
    [
        ("00 00 00 01 00 00", "c8 00 03"),
        ("01 00 00 00 00 04", "ca 00 05"),
        ("04 00 02 00 00 00", "cb 00 02"),
        ("08 01 00 00 01 00", "c8 00 01"),
        ("08 ff 00 00 01 00", "cf 00 01"),
        ("0a 00 ff ff ff 00", "c0 00 02"),
        ("11 04 00 00 01 00", "cb 00 01"),
        ("12 00 80 00 ff 00", "c0 00 02"),
        ("12 01 c0 00 ff 00", "c0 00 02"),
        ("15 00 00 00 04 00", "cc 00 01"),
        ("1a 00 08 00 ff 00", "c0 00 02"),
        ("1a 00 0f 05 ff 00", "c0 00 03"),
        ("1b 00 00 00 04 00", "ca 00 04"),
        ("1b 00 00 00 02 00", "c9 00 04"),
        ("1e 00 00 00 02 00", "c9 00 04"),
        ("2b 02 00 00 00 00 00 00 01 00", "c0 00 08"),
        ("34 06 00 00 00 00 00 00 20 00", "c0 00 07"),
        ("34 01 00 00 00 00 00 00 00 00", "cc 00 01"),
        ("44 02 00 00 00 00 00 10 00 00", "c9 00 01"),
        ("4d 00 12 00 00 00 00 10 00 00", "cf 00 02"),
        ("4d 00 7e 00 00 00 00 10 00 00", "cd 00 02"),
        ("4d 00 52 01 00 00 00 10 00 00", "c0 00 03"),
        ("4d 00 52 00 00 00 01 10 00 00", "c0 00 05"),
        ("4d 00 40 00 00 00 01 10 00 00", "c0 00 05"),
        ("8c 00 00 00 00 01 00 00 00 00 00 00 10 00 00 00", "c0 00 05"),
        ("8c 00 00 00 00 00 00 01 00 00 00 00 10 00 00 00", "c0 00 07"),
        ("8c 00 00 00 00 00 00 00 0f ff 00 00 10 00 00 00", "c0 00 08"),
        ("92 02 00 01 00 00 00 00 00 00 00 00 00 00 00 00", "c0 00 03"),
        ("92 10 00 00 00 00 00 00 00 00 00 00 00 00 00 00", "cd 00 01"),
        ("a0 00 03 00 00 00 00 00 00 10 00 00", "c0 00 02"),
        ("a0 00 00 00 00 00 00 00 00 08 00 00", "c0 00 06"),
        ("a3 0c 04 00 00 00 00 00 10 00 00 00", "ca 00 02"),
        ("a3 0c 01 34 00 00 00 00 10 00 00 00", "ca 00 02"),
        ("a3 0c 02 00 00 00 00 00 10 00 00 00", "ca 00 02"),
        ("92 08 00 00 00 00", "c0 00 05"),
    ],
)
def test_the_field_that_is_wrong_in_a_cdb_is_named(host: Any, cdb: str, pointer: str) -> None:
    data = bytes(0x100) if cdb[:2] in ("0a", "15") else b""
    sense = host(cdb, data).sense
    assert (sense[2] & 15, sense[12], sense[13]) == (5, 0x24, 0)
    assert sense[15:18].hex(" ") == pointer


@pytest.mark.parametrize(
    ("data", "pointer"),
    [
        ("01 00 10 00", "80 00 00"),
        ("00 00 11 00", "8b 00 02"),
        ("00 00 20 00", "8e 00 02"),
        ("00 00 10 07", "80 00 03"),
        ("00 00 10 08 5c000000 00 000000", "80 00 04"),
        ("00 00 10 08 00000001 00 000000", "80 00 05"),
        ("00 00 10 08 00000000 01 000000", "80 00 08"),
        ("00 00 10 08 00000000 00 800001", "80 00 09"),
        ("00 00 10 00 8f 0e c0 80 00000001 00000001 00000000", "8f 00 04"),
        ("00 00 10 00 3e 0e c0 80 00000001 00000001 00000000", "80 00 04"),
        ("00 00 10 00 0f 0d c0 80 00000001 00000001 00000000", "80 00 05"),
        ("00 00 10 00 0f 0e c0 00 00000001 00000001 00000000", "8f 00 07"),
    ],
)
def test_the_field_that_is_wrong_in_a_parameter_list_is_named(host: Any, data: str, pointer: str) -> None:
    sent = bytes.fromhex(data)
    sense = host(f"15 10 00 00 {len(sent):02x} 00", sent).sense
    assert (sense[2] & 15, sense[12], sense[13]) == (5, 0x26, 0)
    assert sense[15:18].hex(" ") == pointer


@pytest.mark.parametrize(
    ("data", "pointer"),
    [
        ("01 00 00 10 00 00 00 00", "80 00 00"),
        ("00 01 00 10 00 00 00 00", "80 00 01"),
        ("00 00 00 20 00 00 00 00", "8e 00 03"),
        ("00 00 00 10 01 00 00 00", "80 00 04"),
        ("00 00 00 10 00 01 00 00", "80 00 05"),
        ("00 00 00 10 00 00 00 07", "80 00 06"),
        ("00 00 00 10 00 00 00 08 5c000000 00 000000", "80 00 08"),
    ],
)
def test_the_field_that_is_wrong_in_a_list_of_mode_select_10_is_named(
    host: Any, data: str, pointer: str
) -> None:
    sent = bytes.fromhex(data)
    sense = host(f"55 10 00 00 00 00 00 00 {len(sent):02x} 00", sent).sense
    assert (sense[2] & 15, sense[12], sense[13]) == (5, 0x26, 0)
    assert sense[15:18].hex(" ") == pointer
