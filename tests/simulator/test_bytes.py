# SPDX-License-Identifier: LGPL-2.1-or-later
"""Answers byte for byte as the standards and recorded conversations have them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


def hexed(data: bytes) -> str:
    return data.hex(" ")


def test_read_position_long_counts_from_byte_8_and_16(host: Any) -> None:
    host.write(b"abc")
    host.filemark(2)
    data = host.good("34 06 00 00 00 00 00 00 00 00")
    assert hexed(
        data
    ) == "00 00 00 00 00 00 00 00 " + "00 00 00 00 00 00 00 03 " + "00 00 00 00 00 00 00 02 " + " ".join(
        ["00"] * 8
    )


def test_read_position_short_tells_what_is_in_the_buffer(host: Any) -> None:
    host.filemark()
    host.write(b"abcd")
    host.write(b"efgh")
    assert hexed(host.good("34 00 00 00 00 00 00 00 00 00")) == (
        "00 00 00 00 00 00 00 03 00 00 00 01 00 00 00 02 00 00 00 08"
    )


def test_read_position_extended_tells_what_is_in_the_buffer(host: Any) -> None:
    host.write(b"abcd")
    assert hexed(host.good("34 08 00 00 00 00 00 00 20 00")) == (
        "00 00 00 1c 00 00 00 01 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 04"
    )


def test_read_position_at_the_beginning_says_so(host: Any) -> None:
    assert host.good("34 00 00 00 00 00 00 00 00 00")[0] == 0x80
    assert host.good("34 06 00 00 00 00 00 00 00 00")[0] == 0x80


def test_read_block_limits(host: Any) -> None:
    assert hexed(host.good("05 00 00 00 00 00")) == "00 80 00 00 00 01"


@pytest.mark.parametrize(("generation", "density", "kind"), [("LTO-8", "5e", "88"), ("LTO-9", "60", "98")])
def test_mode_sense_of_data_compression(make: Any, at: Any, generation: str, density: str, kind: str) -> None:
    device = make(generation=generation)
    device.create_cartridge("A")
    host = at(device)
    host.settle()
    host.load("A")
    page = "0f 0e c0 80 00 00 00 01 00 00 00 01 00 00 00 00"
    body = f"00 08 {density} 00 00 00 00 00 00 00 {page}"
    assert hexed(host.good("5a 00 0f 00 00 00 00 10 00 00")) == f"00 1e {kind} 10 00 00 {body}"
    assert hexed(host.good("1a 00 0f 00 ff 00")) == f"1b {kind} 10 {body[3:]}"
    assert hexed(host.good("1a 08 0f 00 ff 00")) == f"13 {kind} 10 00 {page}"
    assert hexed(host.good("1a 08 4f 00 ff 00"))[12:] == "0f 0e 80" + " 00" * 13


def test_a_worm_cartridge_shows_in_the_mode_header_and_in_page_1d(host: Any) -> None:
    host.device.remove()
    host.device.create_cartridge("W", worm=True, write_protected=True)
    host.load("W")
    data = host.good("5a 00 1d 00 00 00 00 10 00 00")
    assert hexed(data[:8]) == "00 2e 9c 90 00 00 00 08"
    assert hexed(data[16:19]) == "1d 1e 01"
    assert len(data) == 16 + 2 + 0x1E


def test_all_mode_pages_in_order(host: Any) -> None:
    data = host.good("5a 08 3f ff 00 00 00 ff ff 00")[8:]
    found = []
    while data:
        long_format = bool(data[0] & 0x40)
        found.append((data[0] & 0x3F, data[1] if long_format else 0))
        data = data[4 + int.from_bytes(data[2:4], "big") if long_format else 2 + data[1] :]
    assert found == [(1, 0), (2, 0), (10, 0), (15, 0), (16, 0), (16, 1), (17, 0), (28, 0), (29, 0)]


def test_report_density_support(host: Any) -> None:
    data = host.good("44 00 00 00 00 00 00 20 00 00")
    assert hexed(data[:4]) == "00 6a 00 00"
    assert hexed(data[4 + 52 : 4 + 68]) == "60 60 a0 00 00 00 53 c5 00 7f 23 00 01 12 a8 80"
    assert data[4 + 68 : 4 + 104] == b"LTO-CVE " + b"U-932   " + b"Ultrium 9/32T       "
    assert [data[4], data[56]] == [0x5E, 0x60]
    assert hexed(host.good("44 01 00 00 00 00 00 20 00 00")[:6]) == "00 36 00 00 60 60"


def test_report_supported_operation_codes_has_timeouts(host: Any) -> None:
    one = host.good("a3 0c 81 92 00 00 00 00 10 00 00 00")
    assert hexed(one[:4]) == "00 83 00 10"
    assert hexed(one[4:20]) == "92 3b 00 ff ff ff ff ff ff ff ff ff 00 00 00 00"
    assert hexed(one[20:]) == "00 0a 00 00 00 00 02 df 00 00 0b 7c"  # 2,940 s are recommended
    assert hexed(host.good("a3 0c 01 c1 00 00 00 00 10 00 00 00")) == "00 01 00 00"


def test_all_operation_codes_with_their_service_actions(host: Any) -> None:
    data = host.good("a3 0c 80 00 00 00 00 00 ff ff 00 00")
    assert int.from_bytes(data[:4], "big") == len(data) - 4
    rows = [data[at : at + 20] for at in range(4, len(data), 20)]
    long_position = next(row for row in rows if row[0] == 0x34 and row[3] == 0x06)
    assert hexed(long_position[:12]) == "34 00 00 06 00 03 00 0a 00 0a 00 00"
    erase = next(row for row in rows if row[0] == 0x19)
    assert int.from_bytes(erase[16:20], "big") == 74341
    keys = [(row[0], int.from_bytes(row[2:4], "big")) for row in rows]
    assert len(set(keys)) == len(keys)
    assert {0x00, 0x01, 0x03, 0x04, 0x05, 0x08, 0x0A, 0x10, 0x11, 0x12, 0x15, 0x19, 0x1A, 0x1B, 0x1E} < {
        k for k, _ in keys
    }
    assert {0x2B, 0x34, 0x44, 0x4D, 0x55, 0x5A, 0x8C, 0x8D, 0x91, 0x92, 0xA0, 0xA3} < {k for k, _ in keys}


def lengths(data: bytes, head: int, size_at: int, size: int) -> dict[int, int]:
    """How long the value of each log parameter or attribute is."""
    found, at = {}, 4
    while at < len(data):
        length = int.from_bytes(data[at + size_at : at + size_at + size], "big")
        found[int.from_bytes(data[at : at + 2], "big")] = length
        at += head + length
    assert at == len(data)
    return found


def test_every_parameter_of_log_page_17_has_its_length(host: Any) -> None:
    data = host.good("4d 00 57 00 00 00 00 ff ff 00")
    assert lengths(data, 4, 3, 1) == {
        **{0x00: 1, 0x01: 4, 0x02: 8, 0x03: 4, 0x04: 2, 0x05: 2, 0x06: 2, 0x07: 8, 0x08: 4, 0x09: 2},
        **{0x0C: 2, 0x0D: 2, 0x0E: 4, 0x0F: 4, 0x10: 8, 0x11: 8, 0x12: 2, 0x13: 2, 0x14: 8, 0x15: 8},
        **{0x16: 4, 0x17: 4, 0x40: 32, 0x41: 8, 0x42: 32, 0x43: 8, 0x44: 4, 0x45: 9},
        **{0x80: 1, 0x81: 1, 0x82: 1, 0x101: 4, 0x102: 4, 0x202: 8, 0x203: 8, 0x204: 8},
    }


def test_log_pages_of_an_empty_drive(host: Any) -> None:
    host.device.remove()
    assert hexed(host.good("4d 00 57 00 00 00 00 ff ff 00")) == "17 00 00 05 00 00 03 01 00"
    for page in ("42", "43", "71"):
        data = host.good(f"4d 00 {page} 00 00 00 00 ff ff 00")
        values = [data[at + 4 : at + 4 + data[at + 3]] for at in starts(data)]
        assert {int.from_bytes(value, "big") for value in values} == {0}
    data = host.good("4d 00 4c 00 00 00 00 ff ff 00")
    found = {data[at + 1]: int.from_bytes(data[at + 4 : at + 4 + data[at + 3]], "big") for at in starts(data)}
    assert found == {0: 0, 1: 0, 2: 0, 3: 0, 4: 0, 5: 0, 6: 0, 7: 0, 8: 16}
    assert (
        hexed(host.good("4d 00 51 00 00 00 00 ff ff 00"))
        == "11 00 00 0e 00 00 03 04 11 00 00 00 00 01 03 02 07 d0"
    )


def starts(data: bytes) -> list[int]:
    """Where each log parameter begins."""
    found, at = [], 4
    while at < len(data):
        found.append(at)
        at += 4 + data[at + 3]
    return found


def test_every_attribute_has_its_length(host: Any) -> None:
    data = host.good("8c 00 00 00 00 00 00 00 00 00 00 00 80 00 00 00")
    assert lengths(data, 5, 3, 2) == {
        **{0x0000: 8, 0x0001: 8, 0x0002: 8, 0x0003: 8, 0x0004: 8, 0x0005: 8, 0x0006: 1, 0x0007: 2, 0x0009: 4},
        **{0x020A: 40, 0x020B: 40, 0x020C: 40, 0x020D: 40},
        **{0x0220: 8, 0x0221: 8, 0x0222: 8, 0x0223: 8, 0x0224: 8, 0x0225: 8},
        **{0x0400: 8, 0x0401: 32, 0x0402: 4, 0x0403: 4, 0x0404: 8, 0x0405: 1, 0x0406: 8, 0x0407: 8},
        **{0x0408: 1, 0x0409: 2},
    }


def test_every_host_attribute_takes_its_length_and_format(host: Any) -> None:
    formats = {
        **{
            0x0800: (8, 1),
            0x0801: (32, 1),
            0x0802: (8, 1),
            0x0803: (160, 2),
            0x0804: (12, 1),
            0x0805: (1, 0),
        },
        **{
            0x0806: (32, 1),
            0x0807: (80, 2),
            0x0808: (160, 2),
            0x0809: (16, 1),
            0x080A: (16, 1),
            0x080B: (16, 1),
        },
        **{0x080C: (70, 0), 0x0820: (36, 0), 0x0821: (36, 0)},
    }
    for identifier, (length, form) in formats.items():
        record = identifier.to_bytes(2, "big") + bytes([form]) + length.to_bytes(2, "big") + b"A" * length
        data = len(record).to_bytes(4, "big") + record
        host.good(f"8d 01 00 00 00 00 00 00 00 00 {len(data):08x} 00 00", data)
        back = host.good(f"8c 00 00 00 00 00 00 00 {identifier:04x} 00 00 10 00 00 00")
        assert back[4 : 4 + len(record)] == record
    assert host.code("8d 01 00 00 00 00 00 00 00 00 00 00 04 09 00 00", COHERENCY_TOO_LONG) == "5/26/00"


COHERENCY_TOO_LONG = bytes.fromhex("00000405 080c 00 0400") + bytes(1024)


def test_report_luns(host: Any) -> None:
    assert hexed(host.good("a0 00 00 00 00 00 00 00 00 10 00 00")) == "00 00 00 08" + " 00" * 12
    assert hexed(host.good("a0 00 01 00 00 00 00 00 00 10 00 00")) == "00 00 00 00" + " 00" * 4


def test_request_sense_of_an_idle_drive(host: Any) -> None:
    assert hexed(host.good("03 00 00 00 fc 00")) == "70 00 00 00 00 00 00 0a 00 00 00 00 00 00 00 00 00 00"
    assert hexed(host.good("03 01 00 00 fc 00")) == "72 00 00 00 00 00 00 00"


def test_sense_data_at_a_filemark(host: Any) -> None:
    host.filemark()
    host.good("01 00 00 00 00 00")
    done = host.read(0x40000)
    assert hexed(done.sense) == "f0 00 80 00 04 00 00 0a 00 00 00 00 00 01 00 00 00 00"
    assert (done.data, done.residual) == (b"", 0x40000)


def test_an_answer_is_cut_at_either_length(host: Any) -> None:
    assert len(host.good("12 00 00 00 24 00")) == 36
    done = host("12 00 00 00 60 00", size=20)
    assert (len(done.data), done.residual) == (20, 0)
    done = host("12 00 00 01 00 00", size=256)
    assert (len(done.data), done.residual) == (96, 160)


GOLDEN = Path(__file__).parent.parent / "golden/golden.json"
NOT_FOR_TAPE_DRIVES = ("changer_", "spin_", "spout_")


def test_every_command_that_proxmox_sends_is_understood(host: Any) -> None:
    sent = 0
    for name, cdb in json.loads(GOLDEN.read_text())["cdb"].items():
        if name.startswith(NOT_FOR_TAPE_DRIVES):
            continue
        data = {"0a": bytes(0x40000), "55": PAGE_10, "15": PAGE_6}.get(cdb[:2], b"")
        # Positions that are not on tape, and reads of a blank tape, have their own words.
        assert host.code(cdb, data)[:4] in ("good", "0/00", "8/00"), name
        sent += 1
        host.good("1e 00 00 00 00 00")
        host.code("1b 00 00 00 01 00")
        host.settle()
    assert sent == 38


PAGE = "60 00 00 00 00 00 00 00 0f 0e c0 80 00 00 00 01 00 00 00 01 00 00 00 00"
PAGE_10 = bytes.fromhex("00 00 00 10 00 00 00 08" + PAGE)
PAGE_6 = bytes.fromhex("00 00 10 08" + PAGE)
