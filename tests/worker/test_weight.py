# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a worker costs: what it imports, what it keeps in memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import tapeds
from support.workers import MIB, Bench

HEAVY = {
    "argparse",
    "asyncio",
    "concurrent",
    "ctypes",
    "dbus_fast",
    "dbus_next",
    "email",
    "pydantic",
    "pyudev",
    "subprocess",
    "systemd",
    "tomllib",
    "unittest",
    "urllib",
}


def resident_kib(bench: Bench) -> int:
    with open(f"/proc/{bench.processes[-1].pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def test_a_worker_imports_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys, tapeds.worker.main; print(*sys.modules)"],
        env=os.environ | {"PYTHONPATH": str(Path(tapeds.__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stdout.split())
    assert loaded & HEAVY == set()
    rooms = {name.split(".")[1] for name in loaded if name.startswith("tapeds.")}
    assert rooms <= {"changer", "drive", "errors", "filesystem", "media", "names", "vtape", "worker"}


def test_a_worker_is_small_and_gives_its_ring_back(bench: Bench) -> None:
    bench.process().greet()                       # compiles what was not compiled yet
    peer = bench.labelled(buffer_bytes=64 * MIB)
    before = resident_kib(bench)
    assert before < 24 * 1024
    peer.write(b"x")
    assert resident_kib(bench) < before + 4 * 1024
    peer.write(os.urandom(32 * MIB))
    peer.release()
    assert resident_kib(bench) < before + 4 * 1024
