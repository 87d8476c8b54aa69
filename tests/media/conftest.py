# SPDX-License-Identifier: LGPL-2.1-or-later
"""A drive in memory, a caller who keeps to a script, and pipes that are really there."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tapeds.drive.base import DriveStatus, Mark, Position
from tapeds.errors import BlockTooLarge, EndOfData, EndOfMedia, WriteProtected
from tapeds.media.header import BLOCK, HEADER, PAYLOAD, BlockHeader
from tapeds.media.pump import Ring, Thresholds

# How long an example takes says something of the machine only.
settings.register_profile("no clock", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("no clock")

GOLDEN = Path(__file__).parent.parent / "golden"


@dataclass
class TapeFile:
    blocks: list[bytes]
    marked: bool = True                     # a filemark stands behind it


class FakeDrive:
    """A `Drive` that keeps its tape in a list, and refuses when it is told to.

    ``warn_from`` and ``room`` count the blocks of a file from 1: the first that meets early
    warning, and the last that is taken.  ``faults`` maps the number of a call of `write_block`
    (from 1) to what it raises.
    """

    vendor, model, revision, serial = "TEST", "FAKE", "1", "0001"

    def __init__(self, files: list[list[bytes]] | None = None) -> None:
        self.tape = [TapeFile(list(blocks)) for blocks in files or []]
        self.early_warning_reserve = 0
        self.write_protected = False
        self.warn_from: int | None = None
        self.room: int | None = None
        self.faults: dict[int, Exception] = {}
        self.read_faults: dict[tuple[int, int], Exception] = {}
        self.filemark_fault: Exception | None = None
        self.on_write: Callable[[], None] = lambda: None
        self.writes = 0
        self.synchronised = True
        self.calls: list[str] = []
        self._at = Position(0, 0)

    def status(self) -> DriveStatus:
        return DriveStatus(True, position=self._at, write_protected=self.write_protected)

    def position(self) -> Position:
        return self._at

    def rewind(self) -> None:
        self.calls.append("rewind")
        self._at = Position(0, 0)

    def locate_file(self, file: int) -> None:
        self.calls.append(f"locate_file {file}")
        if file > len(self.tape):
            raise EndOfData(f"there is no file {file}")
        self._at = Position(file, 0)

    def locate_end(self) -> None:
        self._at = Position(len(self.tape), 0)

    def space_filemarks(self, count: int) -> None:
        self.locate_file(self._at.file + count)

    def read_block(self, buffer: memoryview) -> int | Mark:
        file, block = self._at.file, self._at.block
        if fault := self.read_faults.get((file, block)):
            raise fault
        if file >= len(self.tape):
            return Mark.END_OF_DATA
        here = self.tape[file]
        if block >= len(here.blocks):
            if not here.marked:
                return Mark.END_OF_DATA
            self._at = Position(file + 1, 0)
            return Mark.FILEMARK
        data = here.blocks[block]
        self._at = Position(file, block + 1)
        if len(data) > len(buffer):
            raise BlockTooLarge(f"a block of {len(data)} bytes")
        buffer[: len(data)] = data
        return len(data)

    def read_last_block(self, file: int, buffer: memoryview) -> tuple[int, int]:
        if file >= len(self.tape):
            raise EndOfData(f"there is no file {file}")
        self._at = Position(file + 1, 0)
        blocks = self.tape[file].blocks
        if not blocks:
            return 0, 0
        if len(blocks[-1]) > len(buffer):
            self._at = Position(file, len(blocks))
            raise BlockTooLarge(f"a block of {len(blocks[-1])} bytes")
        buffer[: len(blocks[-1])] = blocks[-1]
        return len(blocks[-1]), len(blocks) - 1

    def write_block(self, block: memoryview) -> Mark | None:
        assert len(block) == BLOCK
        self.on_write()
        self.writes += 1
        if self.write_protected:
            raise WriteProtected("the tape is write-protected")
        if fault := self.faults.get(self.writes):
            raise fault
        file, index = self._at.file, self._at.block
        if self.room is not None and index >= self.room:
            raise EndOfMedia("no space left")
        del self.tape[file + (index > 0) :]
        if index == 0:
            self.tape.append(TapeFile([], marked=False))
        self.tape[file].blocks[index:] = [bytes(block)]
        self.tape[file].marked = False
        self._at = Position(file, index + 1)
        self.synchronised = False
        warned = self.warn_from is not None and index + 1 >= self.warn_from
        return Mark.EARLY_WARNING if warned else None

    def write_filemarks(self, count: int, *, immediate: bool = False) -> None:
        self.calls.append(f"write_filemarks {count}{' immediate' if immediate else ''}")
        if self.filemark_fault is not None:
            raise self.filemark_fault
        if count:
            assert count == 1
            assert self._at.block > 0, "an empty file"
            self.tape[self._at.file].marked = True
            self._at = Position(self._at.file + 1, 0)
        self.synchronised = self.synchronised or not immediate

    def format(self, *, fast: bool) -> None:
        self.calls.append("format")
        self.tape.clear()
        self._at = Position(0, 0)

    def load(self) -> None:
        self.rewind()

    def unload(self) -> None:
        self.rewind()

    def close(self) -> None:
        self.calls.append("close")

    # --- for the tests ------------------------------------------------------------------------

    def payload(self, file: int) -> bytes:
        """The payload of ``file``, joined without looking at the rules."""
        return b"".join(
            block[HEADER : HEADER + int.from_bytes(block[9:12], "little")] for block in self.tape[file].blocks
        )

    def flags(self, file: int) -> list[int]:
        return [block[8] for block in self.tape[file].blocks]


Action = Callable[["ScriptedControl"], None]


@dataclass
class ScriptedControl:
    """A `Control`.

    ``waits``: what happens instead of the next waits; behind them a descriptor is really waited for.
    ``at`` maps a number of bytes done to what happens at the first poll behind it.
    """

    commit: Any = None
    waits: deque[Action] = field(default_factory=deque)
    at: dict[int, Action] = field(default_factory=dict)
    reports: list[tuple[int, int, int | None, bool]] = field(default_factory=list)
    waited_for: list[tuple[int, bool]] = field(default_factory=list)

    def poll(self) -> None:
        done = self.reports[-1][0] if self.reports else 0
        for key in [key for key in self.at if key <= done]:
            self.at.pop(key)(self)

    def wait(self, fd: int, *, writing: bool) -> None:
        self.waited_for.append((fd, writing))
        if self.waits:
            self.waits.popleft()(self)
            return
        assert fd >= 0, "nobody would ever wake this transfer"
        poll = select.poll()
        poll.register(fd, select.POLLOUT if writing else select.POLLIN)
        assert poll.poll(60_000), "nothing came for a minute"

    def report(
        self,
        done: int,
        total: int = 0,
        *,
        file: int | None = None,
        early_warning: bool = False,
        message: str = "",
    ) -> None:
        self.reports.append((done, total, file, early_warning))


class Pipe:
    """A pipe of 1 MiB and what a test does with its ends."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        fcntl.fcntl(self.writer, fcntl.F_SETPIPE_SZ, 1 << 20)
        self._open = {self.reader, self.writer}
        self._givers: list[threading.Thread] = []
        self._takers: list[threading.Thread] = []
        self.got = bytearray()

    def close(self, fd: int) -> None:
        if fd in self._open:
            self._open.remove(fd)
            os.close(fd)

    def give(self, data: bytes) -> None:
        """Put ``data`` into the pipe, which has room for it."""
        assert os.write(self.writer, data) == len(data)

    def give_all(self, data: bytes, *, piece: int = 1 << 20, close: bool = True) -> None:
        """Put ``data`` into the pipe from a thread, ``piece`` by piece, then close it."""

        def run() -> None:
            with contextlib.suppress(BrokenPipeError):
                for start in range(0, len(data), piece):
                    view = memoryview(data)[start : start + piece]
                    while view:
                        view = view[os.write(self.writer, view) :]
            if close:
                self.close(self.writer)

        self._givers.append(_started(run))

    def take_all(self, *, piece: int = 1 << 20) -> None:
        """Take everything out of the pipe from a thread; it is in `got` after `join`."""

        def run() -> None:
            while data := os.read(self.reader, piece):
                self.got += data

        self._takers.append(_started(run))

    def join(self) -> None:
        """Wait until everything has been taken."""
        _join(self._takers)

    def end(self) -> None:
        """Close both ends, but none under a thread that still uses it: its number would be another pipe's."""
        if self._takers:
            self.close(self.writer)
            _join(self._takers)
        self.close(self.reader)
        _join(self._givers)
        self.close(self.writer)


def _started(run: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def _join(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.end()


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def control() -> ScriptedControl:
    return ScriptedControl()


@pytest.fixture(scope="session")
def make_control() -> type[ScriptedControl]:
    return ScriptedControl


@pytest.fixture
def ring() -> Ring:
    return Ring(16 * BLOCK)


@pytest.fixture(scope="session")
def make_ring() -> Callable[..., Ring]:
    def make(blocks: int, **thresholds: int) -> Ring:
        return Ring(blocks * BLOCK, Thresholds(**thresholds))

    return make


@pytest.fixture
def drive() -> FakeDrive:
    return FakeDrive()


@pytest.fixture(scope="session")
def make_drive() -> type[FakeDrive]:
    return FakeDrive


def _blocks_of(payload: bytes, *, incomplete: bool = False) -> list[bytes]:
    """``payload`` as the blocks of one file, made the slow and plain way."""
    blocks = []
    for sequence in range(len(payload) // PAYLOAD + 1):
        part = payload[sequence * PAYLOAD : (sequence + 1) * PAYLOAD]
        last = len(part) < PAYLOAD
        flags = (1 | 2 * incomplete) if last else 0
        header = bytes.fromhex("dcbdafcaeba0a528") + bytes([flags])
        header += len(part).to_bytes(3, "little") + sequence.to_bytes(4, "little")
        blocks.append(header + part + bytes(PAYLOAD - len(part)))
    return blocks


@pytest.fixture(scope="session")
def blocks_of() -> Callable[..., list[bytes]]:
    return _blocks_of


@pytest.fixture(scope="session")
def block() -> Callable[..., bytes]:
    """One block, with a header that a test chooses."""

    def make(payload: bytes, sequence: int = 0, *, flags: int = 1, size: int | None = None) -> bytes:
        made = bytearray(BLOCK)
        made[HEADER : HEADER + len(payload)] = payload
        BlockHeader(len(payload) if size is None else size, sequence).pack_into(made)
        made[8] = flags
        return bytes(made)

    return make


@pytest.fixture(scope="session")
def any_tape(block: Callable[..., bytes], make_drive: type[FakeDrive]) -> Callable[[list[Any]], FakeDrive]:
    """A tape of any blocks: per file, per block (payload, sequence or None for the right one, flags, cut)."""

    def make(rows: list[Any]) -> FakeDrive:
        files = []
        for row in rows:
            blocks = []
            for index, (payload, sequence, flags, cut) in enumerate(row):
                made = block(payload, index if sequence is None else sequence, flags=flags)
                blocks.append(made[:cut] if cut is not None else made)
            files.append(blocks)
        return make_drive(files)

    return make


@pytest.fixture(scope="session")
def golden() -> dict[str, Any]:
    value: dict[str, Any] = json.loads((GOLDEN / "golden.json").read_text())
    return value


@pytest.fixture(scope="session")
def golden_file() -> Callable[[str], bytes]:
    return lambda name: (GOLDEN / name).read_bytes()


@pytest.fixture
def golden_tape() -> FakeDrive:
    """The tape of the golden virtual drive."""
    files = []
    for number in range(5):
        data = (GOLDEN / "vdrive" / f"tapefile-{number}-TEST01L8.json").read_bytes()
        files.append([data[start : start + BLOCK] for start in range(0, len(data), BLOCK)])
    return FakeDrive(files)


def _noise(size: int) -> bytes:
    return (os.urandom(min(size, 1 << 16)) * (size // (1 << 16) + 1))[:size]


@pytest.fixture(scope="session")
def noise() -> Callable[[int], bytes]:
    return _noise
