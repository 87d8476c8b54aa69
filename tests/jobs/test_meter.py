# SPDX-License-Identifier: LGPL-2.1-or-later
"""The rate of a job over the last seconds."""

from __future__ import annotations

from tapeds.jobs.meter import Meter


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_rate_is_bytes_per_second_since_the_beginning() -> None:
    clock = Clock()
    meter = Meter(clock)
    assert meter.rate == 0
    clock.now += 4
    meter.update(400)
    assert meter.rate == 100


def test_what_was_longer_ago_than_the_window_does_not_count() -> None:
    clock = Clock()
    meter = Meter(clock)
    for _ in range(60):
        clock.now += 1
        meter.update(0)
    for second in range(1, 21):
        clock.now += 1
        meter.update(second * 1000)
    assert meter.rate == 1000


def test_a_job_that_begins_again_has_no_negative_rate() -> None:
    clock = Clock()
    meter = Meter(clock)
    clock.now += 1
    meter.update(500)
    clock.now += 1
    meter.update(0)
    clock.now += 1
    meter.update(0)
    assert meter.rate == 0


def test_time_left_is_unknown_until_something_moves() -> None:
    clock = Clock()
    meter = Meter(clock)
    assert meter.seconds_left(100) is None
    clock.now += 1
    meter.update(10)
    assert meter.seconds_left(110) == 10.0
    assert meter.seconds_left(5) is None
