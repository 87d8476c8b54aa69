# SPDX-License-Identifier: LGPL-2.1-or-later
"""Throughput of one and two drives against dd and a bare pump, and what it costs."""

from __future__ import annotations

import statistics
import time

from benchmarks.measure import Row, Table, at_most, pairs
from benchmarks.world import BARE, World

DD = ["dd", "bs=256k", "iflag=fullblock", "status=none"]
GOALS = {"dd": 1.5, "bare pump": 0.8}
GB = 1e9


def run(world: World, table: Table) -> None:
    """Write and read, alone and two at once, with and without digest, undisturbed and under load."""
    costs: dict[str, list[float]] = {"write": [], "read": []}

    def counted(kind: str, *words: str) -> float:
        before = world.cpu()
        measured = world.client(*words)
        costs[kind].append((world.cpu() - before) / (world.count / GB))
        return world.count / float(measured["seconds"]) / GB

    def write() -> float:
        world.fresh("one")
        return counted("write", "write", "one", str(world.count))

    def read() -> float:
        return counted("read", "read", "one", "2")

    bare: dict[bool, list[float]] = {False: [], True: []}

    def reference(command: list[str], *, reading: bool) -> float:
        rate = world.by_reference(command, reading=reading) / GB
        if command is BARE:
            bare[reading].append(world.reference_cpu[-1])
        return rate

    pairs(
        table,
        "WriteFile, one drive",
        "GB/s",
        write,
        {"dd": lambda: reference(DD, reading=False), "bare pump": lambda: reference(BARE, reading=False)},
        GOALS,
    )
    pairs(
        table,
        "ReadFile, one drive",
        "GB/s",
        read,
        {"dd": lambda: reference(DD, reading=True), "bare pump": lambda: reference(BARE, reading=True)},
        GOALS,
    )
    for kind, reading in (("write", False), ("read", True)):
        values, theirs = costs[kind], bare[reading]
        table.add(
            Row(f"CPU of the bare pump, {kind}", statistics.median(theirs), "s/GB", min(theirs), max(theirs))
        )
        table.add(
            at_most(
                f"CPU of daemon and worker, {kind}",
                statistics.median(values),
                "s/GB",
                0.5,
                low=min(values),
                high=max(values),
            )
        )
    _with_digest(world, table)
    _two_drives(world, table)
    _under_load(world, table)


def _with_digest(world: World, table: Table) -> None:
    world.fresh("one")
    before = world.cpu()
    measured = world.client("write", "one", str(world.count), "sha256")
    table.add(Row("WriteFile with digest=sha256", world.count / measured["seconds"] / GB, "GB/s"))
    table.add(
        Row(
            "CPU of daemon and worker, write with digest", (world.cpu() - before) / (world.count / GB), "s/GB"
        )
    )


def _two_drives(world: World, table: Table) -> None:
    def write() -> float:
        for drive in ("one", "two"):
            world.fresh(drive)
        begin = time.monotonic()
        both = [world.start("write", drive, str(world.count)) for drive in ("one", "two")]
        for process in both:
            world.result(process)
        return 2 * world.count / (time.monotonic() - begin) / GB

    def read() -> float:
        begin = time.monotonic()
        both = [world.start("read", drive, "2") for drive in ("one", "two")]
        for process in both:
            world.result(process)
        return 2 * world.count / (time.monotonic() - begin) / GB

    def twice(command: list[str], *, reading: bool) -> float:
        begin = time.monotonic()
        running = [
            world.begin_reference(command, reading=reading, name=name) for name in ("reference", "other")
        ]
        for processes in running:
            world.end_reference(command, *processes)
        return 2 * world.count / (time.monotonic() - begin) / GB

    pairs(
        table,
        "WriteFile, two drives at once",
        "GB/s",
        write,
        {"dd": lambda: twice(DD, reading=False), "bare pump": lambda: twice(BARE, reading=False)},
        GOALS,
    )
    pairs(
        table,
        "ReadFile, two drives at once",
        "GB/s",
        read,
        {"dd": lambda: twice(DD, reading=True), "bare pump": lambda: twice(BARE, reading=True)},
        GOALS,
    )


def _under_load(world: World, table: Table) -> None:
    """The same write with a flooding client, reloads and a long listing beside it."""
    world.many_files()
    rates, gaps = [], []
    alone: list[float] = []
    for _ in range(5):
        world.fresh("one")
        alone.append(world.count / float(world.client("write", "one", str(world.count))["seconds"]) / GB)
        world.fresh("one")
        load = [world.start("flood", "4"), world.start("disturb", "many")]
        time.sleep(0.5)
        try:
            measured = world.client("write", "one", str(world.count))
        finally:
            for process in load:
                process.kill()
                process.wait()
        rates.append(world.count / float(measured["seconds"]) / GB)
        gaps.append(float(measured["longest-gap"]) / 1e3)
    ratio = statistics.median(rates) / statistics.median(alone)
    table.add(
        Row(
            "WriteFile with flood, reloads and a long ls beside it",
            statistics.median(rates),
            "GB/s",
            min(rates),
            max(rates),
            "undisturbed",
            statistics.median(alone),
            ratio,
            "at least 0.8",
            ratio >= 0.8,
        )
    )
    table.add(Row("longest gap between two blocks while data waited", max(gaps), "ms", min(gaps), max(gaps)))
