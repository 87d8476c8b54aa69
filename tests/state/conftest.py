# SPDX-License-Identifier: LGPL-2.1-or-later
"""A file system that can lose power, and other processes that hold locks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


class PowerCut(BaseException):
    """The machine is off from here on."""


class LosingDisk:
    """One directory on a disk that keeps for sure only what was synchronised.

    Behind it is a real directory; `lost` and `named` say what a loss of power would leave of it.
    ``cut``: the call with that number (from 0) does not happen any more.  ``skip``: the fsync with
    that number does nothing, as if it were deleted from the program.
    """

    def __init__(self, directory: Path, *, cut: int | None = None, skip: int | None = None) -> None:
        self.directory = str(directory)
        self.calls: list[str] = []
        self.fsyncs = 0
        self._cut = cut
        self._skip = skip
        self._durable_data: dict[int, bytes] = {}                # by inode
        self._durable_names: dict[str, int] = self._names()
        for name, inode in self._durable_names.items():
            self._durable_data[inode] = self._data(name)

    def _names(self) -> dict[str, int]:
        return {name: os.stat(self._path(name)).st_ino for name in os.listdir(self.directory)}

    def _path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    def _data(self, name: str) -> bytes:
        path = Path(self._path(name))
        return b"" if path.is_dir() else path.read_bytes()

    def _call(self, name: str) -> None:
        if len(self.calls) == self._cut:
            raise PowerCut
        self.calls.append(name)

    def fsync(self, fd: int) -> None:
        self._call("fsync")
        self.fsyncs += 1
        if self.fsyncs - 1 == self._skip:
            return
        path = os.readlink(f"/proc/self/fd/{fd}")
        if path == self.directory:
            self._durable_names = self._names()
        elif os.path.isfile(path):
            self._durable_data[os.fstat(fd).st_ino] = Path(path).read_bytes()

    def lost(self) -> dict[str, bytes]:
        """The files when everything that was not synchronised is gone."""
        return {name: self._durable_data.get(inode, b"") for name, inode in self._durable_names.items()}

    def named(self) -> dict[str, bytes]:
        """The files when the names reached the disk and data that were not synchronised did not."""
        return {name: self._durable_data.get(inode, b"") for name, inode in self._names().items()}

    def outcomes(self) -> list[dict[str, bytes]]:
        """What a loss of power may leave: names and data reach the disk in any order."""
        return [self.lost(), self.named()]

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)

        def call(*arguments: Any) -> Any:
            self._call(name)
            return real(*arguments)

        return call


@pytest.fixture
def disk(tmp_path: Path) -> Callable[..., LosingDisk]:
    """Makes disks on a fresh copy of a directory with the given files."""
    count = 0

    def make(files: dict[str, bytes] | None = None, **how: Any) -> LosingDisk:
        nonlocal count
        count += 1
        directory = tmp_path / f"disk{count}"
        directory.mkdir()
        for name, data in (files or {}).items():
            (directory / name).write_bytes(data)
        return LosingDisk(directory, **how)

    return make


@pytest.fixture
def cut() -> type[PowerCut]:
    return PowerCut


_HOLDER = """
import fcntl, os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o660)
fcntl.flock(fd, fcntl.LOCK_SH if sys.argv[2] == "shared" else fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def elsewhere() -> Iterator[Callable[..., Callable[[], None]]]:
    """Lets another process hold a lock; returns what makes it let go."""
    running: list[subprocess.Popen[str]] = []

    def hold(path: Path, kind: str = "exclusive") -> Callable[[], None]:
        process = subprocess.Popen(
            [sys.executable, "-c", _HOLDER, str(path), kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return lambda: _end(process)

    yield hold
    for process in running:
        _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()
