# SPDX-License-Identifier: LGPL-2.1-or-later
"""How fast the tape runs, and how often it has to stop."""

from __future__ import annotations

from typing import Any

import pytest

from tapeds.simulator.generation import GENERATIONS, MEGABYTE
from tapeds.simulator.speed import START, STOP, Matcher
from tapeds.simulator.state import Motion

LTO9 = GENERATIONS["LTO-9"].speeds
GIGABYTE = 1000 * MEGABYTE


def an_hour_at(rate: float, buffer: int = GIGABYTE) -> tuple[int, int]:
    """Stops, and bytes on tape, in an hour of a host that delivers ``rate`` MB/s evenly."""
    matcher, motion = Matcher(LTO9, buffer), Motion()
    step, now, fill, written = 0.1, 0.0, 0, 0
    while now < 3600:
        now += step
        if fill < buffer:
            data = int(rate * MEGABYTE * step)
            fill += data
            matcher.accept(motion, data)
        took = matcher.advance(motion, now, fill)
        matcher.took(motion, took)
        fill -= took
        written += took
    return motion.stops, written


@pytest.mark.parametrize("rate", [180, 250, 320, 400])
def test_a_host_that_keeps_up_with_a_step_makes_no_stops(rate: float) -> None:
    stops, written = an_hour_at(rate)
    assert stops <= 2
    assert written >= 0.99 * rate * MEGABYTE * 3590


@pytest.mark.parametrize("rate", [20, 60, 100, 140])
def test_a_slow_host_makes_the_tape_stop_as_often_as_the_buffer_runs_empty(rate: float) -> None:
    """A cycle: the buffer fills to F at s, then empties at v - s, v the lowest step.

    F is half the buffer and what comes while the tape gets up to speed.
    """
    lowest, fill = LTO9[0], GIGABYTE / MEGABYTE / 2 + rate * START
    expected = 3600 * rate * (lowest - rate) / (fill * lowest)
    stops, _ = an_hour_at(rate)
    assert stops == pytest.approx(expected, rel=0.03)


def test_a_larger_buffer_stops_less_often() -> None:
    assert an_hour_at(100, GIGABYTE)[0] > 3 * an_hour_at(100, 4 * GIGABYTE)[0]


def test_a_host_faster_than_the_tape_waits_for_its_highest_step(make: Any, at: Any) -> None:
    device = make(buffer_bytes=1 << 24, capacity=1 << 33)
    device.create_cartridge("A")
    host = at(device)
    host.settle()
    host.load("A")
    before = device._memory.state.time
    for _ in range(100):
        host.good("0a 00 10 00 00 00", bytes(1 << 20))
    passed = device._memory.state.time - before
    assert passed == pytest.approx(START + (84 << 20) / 408e6, rel=0.05)
    assert device.stops() == 0


def test_every_synchronisation_stops_the_tape(host: Any) -> None:
    for n in range(1, 6):
        host.write(bytes(1 << 20))
        host.filemark()
        assert host.device.stops() == n


def test_a_synchronisation_soon_after_a_stop_waits_for_the_tape_to_stand_ready(host: Any) -> None:
    host.write(b"abc")
    host.filemark()
    before = host.device._memory.state.time
    host.write(b"abc")
    host.filemark()
    assert host.device._memory.state.time - before >= STOP


def test_reading_is_as_fast_as_the_tape(make: Any, at: Any) -> None:
    device = make(capacity=1 << 33)
    device.create_cartridge("A")
    host = at(device)
    host.settle()
    host.load("A")
    for _ in range(100):
        host.good("0a 00 10 00 00 00", bytes(1 << 20))
    host.good("01 00 00 00 00 00")
    before = device._memory.state.time
    for _ in range(100):
        host.good("08 02 10 00 00 00")
    assert device._memory.state.time - before == pytest.approx(1 + (100 << 20) / 408e6, rel=0.05)


def test_a_scaled_clock_makes_the_caller_wait_and_a_standing_one_does_not(make: Any, at: Any) -> None:
    with pytest.raises(ValueError, match="negative"):
        make(clock_factor=-1)
    device = make(clock_factor=1000)
    device.create_cartridge("A")
    device.insert("A")
    host = at(device)
    host.settle()
    before = device._memory.state.time
    host.good("1b 00 00 00 00 00")
    assert device._memory.state.time - before >= 30
