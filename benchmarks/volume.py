# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many small files, memory, rest and the way to the first reply."""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.measure import Row, Table, at_most, children, memory, voluntary_switches
from benchmarks.world import RING, World
from support.daemon import Daemon

MIB = 1 << 20


def run(world: World, table: Table) -> None:
    """Rest first, while nothing has been allocated for a transfer."""
    _rest(world, table)
    _first_reply(world, table)
    _transfer_memory(world, table)
    seconds = world.many_files()
    table.add(Row("files of 4 KiB written, durable=false", world.files / seconds, "files/s"))


def _rest(world: World, table: Table) -> None:
    pid = world.daemon.pid
    world.client("properties", "one", "0.2")
    time.sleep(2 if world.quick else 35)  # an idle worker ends after 30 seconds
    table.add(at_most("memory of the idle daemon", memory(pid), "MiB", 40))
    seconds = 6 if world.quick else 60
    before = voluntary_switches(pid)
    time.sleep(seconds)
    table.add(
        at_most(
            f"voluntary switches of the idle daemon in {seconds} s", voluntary_switches(pid) - before, "", 0
        )
    )


def _first_reply(world: World, table: Table) -> None:
    times = []
    for _ in range(5):
        with tempfile.TemporaryDirectory(dir=world.folder) as name:
            begin = time.monotonic()
            daemon = Daemon(Path(name), world.config)
            times.append(time.monotonic() - begin)
            daemon.stop()
    table.add(
        Row(
            "start of bus and daemon to the first reply",
            statistics.median(times),
            "s",
            min(times),
            max(times),
        )
    )


def _transfer_memory(world: World, table: Table) -> None:
    world.fresh("one")
    writer = world.start("write", "one", str(world.count))
    peaks: dict[int, float] = {}
    daemon = 0.0
    while writer.poll() is None:
        daemon = max(daemon, memory(world.daemon.pid))
        for pid in children(world.daemon.pid):
            try:
                peaks[pid] = max(peaks.get(pid, 0), memory(pid))
            except FileNotFoundError:
                continue
        time.sleep(0.02)
    if writer.returncode:
        raise subprocess.CalledProcessError(writer.returncode, "the writing client")
    table.add(Row("memory of the daemon in a transfer", daemon, "MiB"))
    table.add(Row("memory of the worker in a transfer, ring included", max(peaks.values()), "MiB"))
    table.add(at_most("memory of the worker beyond its ring", _beyond_ring(world), "MiB", 20))


def _beyond_ring(world: World) -> float:
    """Resident memory without shared anonymous pages and without what the ring has mapped."""
    world.fresh("one")
    writer = world.start("write", "one", str(world.count))
    worst = 0.0
    while writer.poll() is None:
        for pid in children(world.daemon.pid):
            worst = max(worst, _without_ring(pid))
        time.sleep(0.02)
    return worst


def _without_ring(pid: int) -> float:
    """MiB of resident memory outside the one mapping that is as large as the ring."""
    total = ring = 0
    size = 0
    try:
        lines = Path(f"/proc/{pid}/smaps").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    for line in lines:
        key, _, rest = line.partition(":")
        if key == "Size":
            size = int(rest.split()[0]) * 1024
        elif key == "Rss":
            resident = int(rest.split()[0])
            total += resident
            if size >= RING:
                ring = max(ring, resident)
    return (total - ring) / 1024
