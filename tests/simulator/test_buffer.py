# SPDX-License-Identifier: LGPL-2.1-or-later
"""The drive's buffer: what a power loss takes, and what is said late of what could not be written."""

from __future__ import annotations

from typing import Any

import pytest

TUR = "00 00 00 00 00 00"


def buffered(host: Any) -> tuple[int, int, int]:
    """The next object, the first one in the buffer, how many are in it."""
    data = host.good("34 00 00 00 00 00 00 00 00 00")
    return (
        int.from_bytes(data[4:8], "big"),
        int.from_bytes(data[8:12], "big"),
        int.from_bytes(data[13:16], "big"),
    )


def end(host: Any) -> int:
    host.settle()
    host.good("11 03 00 00 00 00")
    return host.position()[0]


def test_a_power_loss_takes_what_is_in_the_buffer_only(host: Any) -> None:
    for n in range(5):
        host.write(f"safe {n}".encode())
    host.filemark()
    for n in range(4):
        host.write(f"lost {n}".encode())
    assert buffered(host) == (10, 6, 4)
    host.device.power_loss()
    assert host.code(TUR) == "6/29/00"
    assert end(host) == 6


def test_a_filemark_that_is_answered_at_once_is_in_the_buffer_too(host: Any) -> None:
    host.write(b"abc")
    host.good("10 01 00 00 01 00")
    assert buffered(host) == (2, 0, 2)
    host.good("10 00 00 00 00 00")
    assert buffered(host) == (2, 2, 0)


@pytest.mark.parametrize(
    "cdb",
    [
        "10 00 00 00 00 00",
        "10 00 00 00 01 00",
        "01 00 00 00 00 00",
        "11 03 00 00 00 00",
        "92 00 00 00 00 00 00 00 00 00 00 01 00 00 00 00",
        "1b 00 00 00 00 00",
    ],
)
def test_what_synchronises_the_buffer(host: Any, cdb: str) -> None:
    for _ in range(3):
        host.write(b"abc")
    host.good(cdb)
    host.device.power_loss()
    host.settle()
    host.device.remove()
    host.settle()
    host.load("A00001L9")
    assert end(host) >= 3


def test_a_power_loss_before_anything_is_written_leaves_the_old_data(host: Any) -> None:
    for n in range(4):
        host.write(f"old {n}".encode())
    host.good("01 00 00 00 00 00")
    host.write(b"new")
    host.device.power_loss()
    assert end(host) == 4
    host.good("01 00 00 00 00 00")
    assert host.good("08 02 00 01 00 00") == b"old 0"


def test_a_power_loss_while_writing_is_told_by_an_alert(host: Any) -> None:
    host.write(b"abc")
    host.good("10 00 00 00 00 00")
    host.device.power_loss()
    host.settle()
    assert host.good("4d 00 52 00 00 00 00 00 40 00")[8:].hex() == f"{1 << (64 - 18):016x}"


def test_a_full_buffer_writes_the_oldest_first(make: Any, at: Any) -> None:
    device = make(buffer_bytes=1 << 24)
    device.create_cartridge("A")
    host = at(device)
    host.settle()
    host.load("A")
    for _ in range(40):
        host.good("0a 00 10 00 00 00", bytes(1 << 20))
    next_object, first, count = buffered(host)
    assert next_object == 40
    assert first + count == 40
    assert count == 15  # as late as it may: 16 with their heads do not fit
    device.power_loss()
    assert end(host) == first


def failing(host: Any, block: int, after: int) -> None:
    host.device.set_faults(f'[[fault]]\nkind = "write-error"\nblock = {block}\nafter = {after}\n')


def test_a_write_error_is_told_late_and_nothing_behind_it_is_on_the_medium(host: Any) -> None:
    failing(host, 40, 30)
    codes = [host.code("0a 00 00 00 04 00", f"{n:4}".encode()) for n in range(100)]
    assert codes[:70] == ["good"] * 70
    assert codes[70] == "deferred 3/0C/00"
    assert set(codes[71:]) == {"3/0C/00"}
    assert buffered(host) == (70, 40, 30)
    host.good("01 00 00 00 00 00")
    assert end(host) == 40


def test_a_synchronisation_tells_a_write_error_at_once(host: Any) -> None:
    failing(host, 3, 1000)
    for _ in range(6):
        host.write(b"abc")
    assert host.code("10 00 00 00 00 00") == "deferred 3/0C/00"
    assert host.code("10 00 00 00 00 00") == "3/0C/00"
    assert host.code("10 00 00 00 01 00") == "3/0C/00"
    assert end(host) == 3


def test_a_movement_tells_a_write_error_before_it_begins(host: Any) -> None:
    failing(host, 1, 1000)
    for _ in range(3):
        host.write(b"abc")
    assert host.code("01 00 00 00 00 00") == "deferred 3/0C/00"
    assert host.position()[0] == 3
    host.good("01 00 00 00 00 00")
    assert end(host) == 1
    assert host.write(b"again").status == 0
    host.filemark()


def test_a_write_error_raises_its_alerts_and_counts(host: Any) -> None:
    failing(host, 0, 1000)
    host.write(b"abc")
    assert host.good("4d 00 52 00 00 00 00 00 40 00")[8:] == bytes(8)  # nobody knows yet
    assert host.code("10 00 00 00 00 00") == "deferred 3/0C/00"
    assert host.good("4d 00 42 00 00 00 06 00 40 00")[4:].hex(" ") == "00 06 03 04 00 00 00 01"
    flags = int.from_bytes(host.good("4d 00 52 00 00 00 00 00 40 00")[8:], "big")
    assert flags == 1 << (64 - 3) | 1 << (64 - 6)


def test_the_hand_gets_the_cartridge_though_it_could_not_be_written(host: Any) -> None:
    failing(host, 2, 1000)
    for _ in range(5):
        host.write(b"abc")
    host.device.remove()
    host.load("A00001L9")
    assert end(host) == 2


def test_request_sense_tells_a_deferred_error_that_is_due(host: Any) -> None:
    failing(host, 0, 1)
    host.write(b"abc")
    sense = host.good("03 00 00 00 12 00")
    assert (sense[0], sense[2], sense[12]) == (0x71, 3, 0x0C)
    assert host.write(b"more").sense[0] == 0x70


def test_without_a_buffer_a_write_error_belongs_to_its_command(host: Any) -> None:
    host.good("15 10 00 00 04 00", bytes(4))
    failing(host, 1, 1000)
    assert [host.code("0a 00 00 00 03 00", b"abc") for _ in range(2)] == ["good", "3/0C/00"]
    assert host.position() == (1, 0)
    assert host.code("0a 00 00 00 03 00", b"abc") == "good"
    assert end(host) == 2
