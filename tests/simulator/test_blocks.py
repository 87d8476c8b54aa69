# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reading and writing: variable and fixed blocks, filemarks, wrong lengths, the end of the medium."""

from __future__ import annotations

import random
from typing import Any

import pytest

FIXED_1K = bytes.fromhex("00 00 10 08 00 00 00 00 00 00 04 00")


def test_blocks_of_any_length_come_back(host: Any) -> None:
    sizes = random.Random(7)
    blocks = [sizes.randbytes(size) for size in (1, 2, 511, 512, 4096, 262144, 1 << 20, 8 << 20, 3)]
    for block in blocks:
        assert host.write(block).status == 0
    host.good("01 00 00 00 00 00")
    for block in blocks:
        done = host("08 00 " + f"{len(block):06x}" + " 00", size=len(block))
        assert (done.status, done.data, done.residual) == (0, block, 0)
    assert host.position() == (9, 0)


def test_blocks_that_wrap_around_the_buffer_come_back(make: Any, at: Any) -> None:
    device = make(buffer_bytes=1 << 24)
    device.create_cartridge("A")
    host = at(device)
    host.settle()
    host.load("A")
    some = random.Random(3)
    blocks = [some.randbytes(some.randrange(1, 3_000_000)) for _ in range(40)]
    for n, block in enumerate(blocks):
        assert host.write(block).status == 0
        if n % 7 == 0:
            host.good("10 01 00 00 01 00")
    host.good("01 00 00 00 00 00")
    for n, block in enumerate(blocks):
        assert host.good("08 02 80 00 00 00") == block
        if n % 7 == 0:
            assert host.code("08 02 80 00 00 00") == "0/00/01"
    assert host.code("08 02 80 00 00 00") == "8/00/05"


def test_a_shorter_block_is_told_unless_suppressed(host: Any, info: Any) -> None:
    host.write(b"x" * 1000)
    host.write(b"y" * 1000)
    host.good("01 00 00 00 00 00")
    done = host("08 00 00 10 00 00", size=4096)
    assert (done.sense[2], info(done.sense)) == (0x20, 3096)
    assert (done.data, done.residual) == (b"x" * 1000, 3096)
    done = host("08 02 00 10 00 00", size=4096)
    assert (done.status, done.data, done.residual) == (0, b"y" * 1000, 3096)


def test_a_longer_block_is_told_with_a_negative_number(host: Any, info: Any) -> None:
    host.write(b"x" * 1000)
    host.write(b"next")
    host.good("01 00 00 00 00 00")
    done = host("08 00 00 00 64 00", size=100)
    assert (done.sense[2], info(done.sense)) == (0x20, -900)
    assert done.data == b"x" * 100
    assert host.position() == (1, 0)
    assert host.good("08 00 00 00 04 00") == b"next"


def test_a_longer_block_is_cut_silently_with_sili_in_variable_mode_only(host: Any) -> None:
    host.write(b"x" * 1000)
    host.good("01 00 00 00 00 00")
    assert host.good("08 02 00 00 64 00") == b"x" * 100
    host.good("15 10 00 00 0c 00", FIXED_1K)
    host.good("01 00 00 00 00 00")
    assert host("08 02 00 00 64 00").sense[2] == 0x20


def test_fixed_blocks(host: Any, info: Any) -> None:
    host.good("15 10 00 00 0c 00", FIXED_1K)
    data = random.Random(1).randbytes(5 * 1024)
    host.good("0a 01 00 00 05 00", data)
    host.filemark()
    assert host.position() == (6, 1)
    host.good("01 00 00 00 00 00")
    assert host.good("08 01 00 00 02 00", size=2048) == data[:2048]
    done = host("08 01 00 00 08 00", size=8192)
    assert (done.data, done.sense[2], info(done.sense)) == (data[2048:], 0x80, 5)
    assert host.position() == (6, 1)


def test_fixed_blocks_stop_behind_a_block_of_another_length(host: Any, info: Any) -> None:
    host.write(b"a" * 1024)
    host.write(b"b" * 700)
    host.write(b"c" * 1024)
    host.good("01 00 00 00 00 00")
    host.good("15 10 00 00 0c 00", FIXED_1K)
    done = host("08 01 00 00 03 00", size=3072)
    assert (done.data, done.sense[2], info(done.sense)) == (b"a" * 1024, 0x20, 2)
    assert host.position() == (2, 0)


def test_no_data_is_no_movement(host: Any) -> None:
    host.good("0a 00 00 00 00 00")
    host.good("08 00 00 00 00 00")
    host.good("10 00 00 00 00 00")
    assert host.position() == (0, 0)


def test_writing_cuts_off_what_stood_behind(host: Any) -> None:
    for _ in range(5):
        host.write(b"old")
    host.good("92 00 00 00 00 00 00 00 00 00 00 02 00 00 00 00")
    host.write(b"new")
    host.good("01 00 00 00 00 00")
    assert [host.good("08 02 00 00 10 00") for _ in range(3)] == [b"old", b"old", b"new"]
    assert host.code("08 02 00 00 10 00") == "8/00/05"


def test_a_worm_cartridge_grows_at_its_end_only(host: Any) -> None:
    host.device.remove()
    host.device.create_cartridge("W", worm=True)
    host.load("W")
    assert host.write(b"one").status == 0
    assert host.write(b"two").status == 0
    host.good("01 00 00 00 00 00")
    assert host.code("0a 00 00 00 03 00", b"bad") == "7/30/0C"
    host.good("11 03 00 00 00 00")
    assert host.write(b"three").status == 0
    host.filemark()
    assert host.position() == (4, 1)


@pytest.fixture
def small(host: Any) -> Any:
    """A cartridge of 1,000,000 bytes: early warning is at 950,000."""
    host.device.remove()
    host.device.create_cartridge("S", capacity=1_000_000)
    host.load("S")
    return host


def test_early_warning_is_told_with_every_write_behind_it(small: Any, info: Any) -> None:
    warned = []
    for n in range(98):
        done = small.write(b"z" * 10_000)
        if done.status:
            assert done.sense[:3].hex() == "f00040"
            assert done.sense[12:14].hex() == "0002"
            assert (info(done.sense), done.residual) == (0, 0)
            warned.append(n)
    # 94 blocks and what they take beside their data are 940,376 bytes.
    assert warned == [94, 95, 96, 97]
    assert small.code("10 00 00 00 01 00") == "0/00/02"
    assert small.position() == (99, 1)
    assert small.good("34 00 00 00 00 00 00 00 00 00")[0] == 0x40  # EOP


def test_the_end_of_the_medium_takes_nothing(small: Any, info: Any) -> None:
    while (done := small.write(b"z" * 10_000)).sense[12:14] != b"\x00\x02" or done.sense[2] & 15 != 0xD:
        pass
    assert done.sense[2] == 0x4D
    assert (info(done.sense), done.residual) == (10_000, 10_000)
    at = small.position()
    assert at == (99, 0)
    assert small.write(b"z" * 10_000).sense[2] == 0x4D
    assert small.position() == at
    assert small.write(b"z" * 500).sense[2] == 0x40  # a shorter one still fits


def test_everything_is_on_the_medium_when_its_end_is_told(small: Any) -> None:
    while small.write(b"z" * 10_000).sense[2:3] != b"\x4d":
        pass
    assert small.good("34 00 00 00 00 00 00 00 00 00")[12:] == bytes(8)
    small.device.power_loss()
    small.settle()
    small.good("11 03 00 00 00 00")
    assert small.position() == (99, 0)


def test_programmable_early_warning_is_told_once(host: Any) -> None:
    host.device.remove()
    host.device.create_cartridge("P", capacity=20_000_000)
    host.load("P")
    page = bytes.fromhex("50 01 00 1c 00 00 00 05") + bytes(24)  # 5 MB before early warning
    host.good("15 10 00 00 24 00", bytes.fromhex("00 00 10 00") + page)
    codes = [host.code("0a 00 0f 42 40 00", bytes(1_000_000)) for _ in range(19)]
    assert [n for n, code in enumerate(codes) if code == "0/00/07"] == [13]
    assert codes[:13] == ["good"] * 13
    assert codes[18] == "0/00/02"
    assert host.good("34 06 00 00 00 00 00 00 00 00")[0] & 0x01 == 1  # BPEW


def test_without_buffered_mode_every_block_is_on_the_medium(host: Any) -> None:
    host.good("15 10 00 00 04 00", bytes(4))
    host.write(b"abc")
    assert host.good("34 00 00 00 00 00 00 00 00 00")[12:] == bytes(8)
    host.device.power_loss()
    host.settle()
    host.good("11 03 00 00 00 00")
    assert host.position() == (1, 0)
