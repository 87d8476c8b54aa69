# SPDX-License-Identifier: LGPL-2.1-or-later
"""Going to places: LOCATE, SPACE and REWIND on a tape of known files."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tapeds.simulator import Settings

# Objects 0-2 blocks, 3 filemark, 4 filemark, 5-6 blocks, 7 filemark, 8 block; the end of data is 9.
FILES = (3, 0, 2, 1)


@pytest.fixture
def tape(host: Any) -> Any:
    for n, blocks in enumerate(FILES):
        for block in range(blocks):
            host.write(f"{n}.{block}".encode())
        if n < len(FILES) - 1:
            host.good("10 01 00 00 01 00")
    host.good("01 00 00 00 00 00")
    return host


def go(host: Any, at: int) -> None:
    host.good(f"92 00 00 00 {at:016x} 00 00 00 00")


def space(host: Any, code: int, count: int) -> tuple[str, int | None, int]:
    """The answer of SPACE(6), its information, and the object where the head stands then."""
    cdb = bytes((0x11, code)) + count.to_bytes(3, "big", signed=True) + b"\0"
    done = host(cdb.hex())
    left = (
        int.from_bytes(done.sense[3:7], "big", signed=True) if done.sense and done.sense[0] & 0x80 else None
    )
    text = f"{done.sense[2]:02x}/{done.sense[12]:02X}/{done.sense[13]:02X}" if done.status else "good"
    return text, left, host.position()[0]


@pytest.mark.parametrize("at", range(10))
def test_locate_by_object(tape: Any, at: int) -> None:
    go(tape, at)
    assert tape.position() == (at, (at > 3) + (at > 4) + (at > 7))


@pytest.mark.parametrize("at", range(10))
def test_locate_10_by_object(tape: Any, at: int) -> None:
    tape.good(f"2b 00 00 {at:08x} 00 00 00")
    assert tape.position()[0] == at


@pytest.mark.parametrize(("file", "at"), [(0, 0), (1, 4), (2, 5), (3, 8)])
def test_locate_by_file(tape: Any, file: int, at: int) -> None:
    tape.good(f"92 08 00 00 {file:016x} 00 00 00 00")
    assert tape.position() == (at, file)


@pytest.mark.parametrize(("file", "stands"), [(0, 0), (1, 0), (2, 4), (3, 5), (4, 8)])
def test_locate_by_file_where_files_count_from_1(
    make: Any, at: Any, tape: Any, file: int, stands: int
) -> None:
    other = at(make(settings=Settings(file_numbering="hp")))
    other.good(f"92 08 00 00 {file:016x} 00 00 00 00")
    assert other.position()[0] == stands


def test_locate_to_the_end_of_data(tape: Any) -> None:
    tape.good("92 18 00 00 00 00 00 00 00 00 00 00 00 00 00 00")
    assert tape.position() == (9, 3)
    tape.filemark()
    tape.good("01 00 00 00 00 00")
    tape.good("92 18 00 00 00 00 00 00 00 00 00 00 00 00 00 00")
    assert tape.position() == (10, 4)


@pytest.mark.parametrize(
    ("start", "code", "count", "answer"),
    [
        (0, 0, 2, ("good", None, 2)),
        (0, 0, 3, ("good", None, 3)),
        (0, 0, 5, ("80/00/01", 2, 4)),
        (3, 0, 1, ("80/00/01", 1, 4)),
        (8, 0, 1, ("good", None, 9)),
        (8, 0, 4, ("08/00/05", 3, 9)),
        (9, 0, 1, ("08/00/05", 1, 9)),
        (3, 0, -2, ("good", None, 1)),
        (3, 0, -4, ("40/00/04", 1, 0)),
        (7, 0, -2, ("good", None, 5)),
        (7, 0, -3, ("80/00/01", 1, 4)),
        (5, 0, -1, ("80/00/01", 1, 4)),
        (0, 0, -1, ("40/00/04", 1, 0)),
        (0, 1, 1, ("good", None, 4)),
        (0, 1, 3, ("good", None, 8)),
        (0, 1, 4, ("08/00/05", 1, 9)),
        (8, 1, 1, ("08/00/05", 1, 9)),
        (9, 1, -1, ("good", None, 7)),
        (8, 1, -1, ("good", None, 7)),
        (8, 1, -3, ("good", None, 3)),
        (8, 1, -5, ("40/00/04", 2, 0)),
        (0, 2, 2, ("good", None, 5)),
        (9, 2, -2, ("good", None, 3)),
        (0, 2, 3, ("08/00/05", 3, 9)),
        (4, 3, 0, ("good", None, 9)),
        (4, 0, 0, ("good", None, 4)),
        (4, 1, 0, ("good", None, 4)),
    ],
)
def test_space(tape: Any, start: int, code: int, count: int, answer: tuple[str, int | None, int]) -> None:
    go(tape, start)
    assert space(tape, code, count) == answer


def test_space_16_takes_64_bits(tape: Any, info: Any) -> None:
    tape.good("91 01 00 00 00 00 00 00 00 00 00 02 00 00 00 00")
    assert tape.position() == (5, 2)
    tape.good("91 01 00 00 ff ff ff ff ff ff ff ff 00 00 00 00")
    assert tape.position() == (4, 1)
    done = tape("91 01 00 00 00 00 00 02 00 00 00 00 00 00 00 00")
    assert done.sense[2] == 8
    assert info(done.sense) is None  # 32 bits do not hold what is left


def test_spacing_agrees_with_walking(tape: Any) -> None:
    """Random tapes: SPACE over blocks and filemarks is what a walk over all objects gives."""
    some = random.Random(11)
    for _ in range(25):
        tape.good("01 00 00 00 00 00")
        kinds = [some.random() < 0.4 for _ in range(some.randrange(1, 14))]
        for mark in kinds:
            tape.good("10 01 00 00 01 00") if mark else tape.good("0a 00 00 00 01 00", b"x")
        for _ in range(12):
            start, count = some.randrange(len(kinds) + 1), some.choice((-4, -3, -2, -1, 1, 2, 3, 4))
            code = some.randrange(2)
            go(tape, start)
            assert space(tape, code, count) == walk(kinds, start, code, count)


def walk(kinds: list[bool], at: int, code: int, count: int) -> tuple[str, int | None, int]:
    step, left = (1, count) if count > 0 else (-1, -count)
    while left:
        if at == (len(kinds) if step > 0 else 0):
            return ("08/00/05" if step > 0 else "40/00/04"), left, at
        mark = kinds[at if step > 0 else at - 1]
        at += step
        if code == 0 and mark:
            return "80/00/01", left, at
        left -= mark if code == 1 else 1
    return "good", None, at


def test_a_movement_that_is_answered_at_once_is_told_by_its_progress(tape: Any) -> None:
    go(tape, 9)
    tape.good("01 01 00 00 00 00")
    progress = []
    while (sense := tape.good("03 00 00 00 fc 00"))[12:14] == b"\x00\x1a":
        assert (sense[2], sense[15]) == (0, 0x80)
        progress.append(int.from_bytes(sense[16:18], "big"))
    assert progress == sorted(progress)
    assert len(progress) == 3
    assert tape.position() == (0, 0)


def test_a_medium_command_waits_for_nobody_while_the_tape_moves(tape: Any) -> None:
    tape.good("92 01 00 00 00 00 00 00 00 00 00 05 00 00 00 00")
    done = tape("00 00 00 00 00 00")
    assert (done.sense[2], done.sense[12], done.sense[13], done.sense[15]) == (2, 0x04, 0x07, 0x80)
    tape.settle()
    assert tape.position() == (5, 2)


def test_a_movement_answered_at_once_that_cannot_end_is_told_later(tape: Any, said: Any) -> None:
    tape.good("92 01 00 00 00 00 00 00 00 00 00 63 00 00 00 00")
    assert tape.code("34 06 00 00 00 00 00 00 00 00") == "2/04/07"
    tape.device.pass_time(600)
    assert tape.code("00 00 00 00 00 00") == "deferred 8/00/05"
    assert tape.code("00 00 00 00 00 00") == "good"
    assert tape.position() == (9, 3)
    tape.good("92 09 00 00 00 00 00 00 00 00 00 63 00 00 00 00")
    tape.device.pass_time(600)
    sense = tape.good("03 00 00 00 12 00")
    assert (sense[0], said(sense)) == (0x71, "deferred 8/00/05")
