# SPDX-License-Identifier: LGPL-2.1-or-later
"""Bytes from one descriptor to another: all of them, their digest, and why it ended."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tapeds.cli.copying import CHUNK, Copied, Ending, Stop, copy


@pytest.fixture
def stop() -> Iterator[Stop]:
    flag = Stop()
    yield flag
    flag.close()


class Reader(threading.Thread):
    """Somebody who reads a pipe to its end."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self.data = b""

    def run(self) -> None:
        while piece := os.read(self._descriptor, 1 << 20):
            self.data += piece
        os.close(self._descriptor)


def through_a_pipe(
    source: int, stop: Stop, limit: int | None = None, *, blocking: bool = False
) -> tuple[Copied, bytes]:
    reading, writing = os.pipe()
    os.set_blocking(writing, blocking)
    reader = Reader(reading)
    reader.start()
    copied = copy(source, writing, stop, limit)
    os.close(writing)
    reader.join()
    return copied, reader.data


@pytest.mark.parametrize("blocking", [False, True])
@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 77])
def test_every_byte_arrives_with_its_digest(tmp_path: Path, stop: Stop, size: int, blocking: bool) -> None:
    data = os.urandom(size)
    (tmp_path / "data").write_bytes(data)
    with (tmp_path / "data").open("rb") as file:
        copied, arrived = through_a_pipe(file.fileno(), stop, blocking=blocking)
    assert arrived == data
    assert copied == Copied(size, hashlib.sha256(data).hexdigest(), Ending.SOURCE)


def test_a_source_of_exactly_the_limit_ends_well(tmp_path: Path, stop: Stop) -> None:
    (tmp_path / "data").write_bytes(b"abc")
    with (tmp_path / "data").open("rb") as file:
        copied, arrived = through_a_pipe(file.fileno(), stop, 3)
    assert (copied.ending, arrived) == (Ending.SOURCE, b"abc")


def test_a_source_longer_than_the_limit_is_told(tmp_path: Path, stop: Stop) -> None:
    (tmp_path / "data").write_bytes(b"abcd")
    with (tmp_path / "data").open("rb") as file:
        copied, arrived = through_a_pipe(file.fileno(), stop, 3)
    assert (copied.ending, copied.bytes, arrived) == (Ending.LONGER, 3, b"abc")


def test_a_source_that_says_nothing_can_be_left(stop: Stop) -> None:
    silent, kept_open = os.pipe()
    sink = os.open(os.devnull, os.O_WRONLY)
    timer = threading.Timer(0.1, stop.set)
    timer.start()
    copied = copy(silent, sink, stop)
    timer.join()
    assert copied.ending is Ending.STOPPED
    for descriptor in (silent, kept_open, sink):
        os.close(descriptor)


def test_a_sink_that_takes_nothing_can_be_left(tmp_path: Path, stop: Stop) -> None:
    (tmp_path / "data").write_bytes(bytes(3 * CHUNK))
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    timer = threading.Timer(0.1, stop.set)
    timer.start()
    with (tmp_path / "data").open("rb") as file:
        copied = copy(file.fileno(), writing, stop)
    timer.join()
    assert copied.ending is Ending.STOPPED
    assert 0 < copied.bytes < 3 * CHUNK
    os.close(writing)
    os.close(reading)


def test_a_sink_that_was_closed_ends_it(tmp_path: Path, stop: Stop) -> None:
    (tmp_path / "data").write_bytes(bytes(3 * CHUNK))
    reading, writing = os.pipe()
    os.close(reading)
    with (tmp_path / "data").open("rb") as file:
        assert copy(file.fileno(), writing, stop).ending is Ending.SINK
    os.close(writing)


def test_a_full_disk_is_an_error(tmp_path: Path, stop: Stop) -> None:
    (tmp_path / "data").write_bytes(bytes(10))
    full = os.open("/dev/full", os.O_WRONLY)
    with (tmp_path / "data").open("rb") as file, pytest.raises(OSError, match="No space left"):
        copy(file.fileno(), full, stop)
    os.close(full)
