# SPDX-License-Identifier: LGPL-2.1-or-later
"""How long a caller waits for a reply: alone, beside a transfer, and beside a hostile client."""

from __future__ import annotations

import subprocess
import sys
import time

from benchmarks.measure import Row, Table, at_most
from benchmarks.world import ROOT, World


def run(world: World, table: Table) -> None:
    """Property calls in every company."""
    seconds = "1" if world.quick else "5"
    _calls(table, "alone", world.client("properties", "two", seconds))

    world.many_files()
    world.fresh("one")
    load = [
        world.start("flood", "4"),
        world.start("disturb", "many"),
        world.start("write", "one", str(4 * world.count)),
    ]
    time.sleep(0.5)
    _calls(table, "beside a transfer, a flood and a long ls", world.client("properties", "two", seconds))
    for process in load:
        process.kill()
        process.wait()

    hostile = subprocess.Popen(
        [sys.executable, str(ROOT / "tests/support/hostile.py"), world.daemon.address, "6"],
        env=world.env,
        stdout=subprocess.DEVNULL,
    )
    time.sleep(0.5)
    measured = world.client("properties", "two", seconds)
    hostile.wait()
    _calls(table, "beside a hostile client", measured, goal=50)


def _calls(table: Table, company: str, measured: dict[str, float], goal: float | None = None) -> None:
    table.add(Row(f"property calls, {company}", measured["calls"] / measured["seconds"], "calls/s"))
    table.add(Row(f"  half of them within, {company}", measured["p50"] * 1e3, "ms"))
    table.add(Row(f"  99 of 100 within, {company}", measured["p99"] * 1e3, "ms"))
    table.add(at_most(f"  the longest, {company}", measured["longest"] * 1e3, "ms", goal))
