# SPDX-License-Identifier: LGPL-2.1-or-later
"""A daemon on a private bus with drives in memory, and the processes that use it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.measure import children, cpu_seconds
from support.daemon import Daemon

ROOT = Path(__file__).parent.parent

DRIVES = ("one", "two", "many")
RING = 64 << 20
BARE = [sys.executable, "-S", "-E", str(Path(__file__).parent / "bare.py")]
Process = subprocess.Popen[bytes]
Processes = tuple[Process, Process]
ENDLESS = [sys.executable, "-S", "-E", str(Path(__file__).parent / "endless.py")]


class World:
    """``count`` is the number of bytes of one transfer."""

    def __init__(self, folder: Path, count: int, *, quick: bool) -> None:
        self.folder, self.count, self.quick = folder, count, quick
        self.files = 1000 if quick else 10_000
        self._many: float | None = None
        self.reference_cpu: list[float] = []  # CPU seconds per GB of every reference so far
        config = ""
        for name in DRIVES:
            (folder / name).mkdir()
            config += f'[drive.{name}]\ntype = "virtual"\npath = "{folder / name}"\nmax-size = "16 GiB"\n'
        self.config = config
        self.daemon = Daemon(folder, config)
        self.env = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self.daemon.address, "PYTHONPATH": str(ROOT)}

    def close(self) -> None:
        """Stop everything."""
        self.daemon.stop()

    def start(self, *words: str) -> subprocess.Popen[str]:
        """A client process that goes on by itself."""
        return subprocess.Popen(
            [sys.executable, "-m", "benchmarks.client", *words],
            env=self.env,
            text=True,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )

    def client(self, *words: str) -> dict[str, Any]:
        """What a client process measured."""
        return self.result(self.start(*words))

    @staticmethod
    def result(process: subprocess.Popen[str]) -> dict[str, Any]:
        """The measurement of a client process that was started."""
        out = process.communicate()[0]
        if process.returncode:
            raise SystemExit(f"a client failed with status {process.returncode}: {out}")
        measured: dict[str, Any] = json.loads(out.splitlines()[-1])
        return measured

    def fresh(self, drive: str, label: str = "BENCH1") -> None:
        """An empty labelled cartridge in ``drive``."""
        self.client("prepare", drive, label)

    def cpu(self) -> float:
        """CPU seconds of the daemon and its workers so far."""
        pid = self.daemon.pid
        return cpu_seconds(pid, *children(pid))

    def by_reference(self, command: list[str], *, reading: bool) -> float:
        """Bytes per second of ``command`` between a pipe and a file in memory."""
        begin = time.monotonic()
        self.end_reference(command, *self.begin_reference(command, reading=reading, name="reference"))
        return self.count / (time.monotonic() - begin)

    def begin_reference(self, command: list[str], *, reading: bool, name: str) -> Processes:
        """Start ``command`` and the process at the other end of its pipe."""
        file = self.folder / name
        pipe = os.pipe()
        if reading:
            if not file.exists():
                file.write_bytes(bytes(self.count))
            with file.open("rb") as source:
                ours = subprocess.Popen(command, stdin=source, stdout=pipe[1], stderr=subprocess.DEVNULL)
            other = subprocess.Popen([*ENDLESS, "consume"], stdin=pipe[0], stderr=subprocess.DEVNULL)
        else:
            file.unlink(missing_ok=True)
            with file.open("wb") as target:
                ours = subprocess.Popen(command, stdin=pipe[0], stdout=target, stderr=subprocess.DEVNULL)
            other = subprocess.Popen([*ENDLESS, "produce", str(self.count)], stdout=pipe[1])
        for fd in pipe:
            os.close(fd)
        return ours, other

    def end_reference(self, command: list[str], ours: Process, other: Process) -> None:
        """Wait for both, and note what ``command`` has cost."""
        _, status, usage = os.wait4(ours.pid, 0)
        ours.returncode = os.waitstatus_to_exitcode(status)
        if ours.returncode or other.wait():
            raise SystemExit(f"{command[0]} failed")
        self.reference_cpu.append((usage.ru_utime + usage.ru_stime) / (self.count / 1e9))

    def many_files(self) -> float:
        """Ten thousand small files on the drive ``many``; seconds they took."""
        if self._many is None:
            self.fresh("many", "MANY01")
            self._many = float(self.client("small", "many", str(self.files), "4096")["seconds"])
        return self._many
