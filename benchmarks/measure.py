# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rows of figures: medians with their spread, ratios to a reference, CPU and memory of processes."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
PAIRS = 5


@dataclass
class Row:
    """One line of the table; ``goal`` says what is wanted, "" where nothing is."""

    name: str
    value: float
    unit: str
    low: float | None = None
    high: float | None = None
    reference: str = ""
    reference_value: float | None = None
    ratio: float | None = None
    goal: str = ""
    met: bool | None = None


@dataclass
class Table:
    """All rows of a run."""

    rows: list[Row] = field(default_factory=list)

    def add(self, row: Row) -> None:
        """Add a row and show it at once: a run takes minutes."""
        self.rows.append(row)
        spread = (
            f" [{row.low:,.4g} … {row.high:,.4g}]" if row.low is not None and row.high is not None else ""
        )
        ratio = (
            f"  = {row.ratio:.2f} of {row.reference} ({row.reference_value:,.4g})"
            if row.ratio is not None
            else ""
        )
        goal = f"  goal {row.goal}: {'met' if row.met else 'MISSED'}" if row.goal else ""
        print(f"{row.name:<58}{row.value:>12,.4g} {row.unit}{spread}{ratio}{goal}", flush=True)

    def as_json(self) -> list[dict[str, object]]:
        """Rows for the JSON file."""
        return [asdict(row) for row in self.rows]


def at_most(name: str, value: float, unit: str, goal: float | None, **more: float) -> Row:
    """A row whose value may not be above ``goal``."""
    return Row(
        name,
        value,
        unit,
        goal="" if goal is None else f"at most {goal:g}",
        met=None if goal is None else value <= goal,
        **more,
    )  # type: ignore[arg-type]


def pairs(
    table: Table,
    name: str,
    unit: str,
    ours: Callable[[], float],
    references: dict[str, Callable[[], float]],
    goals: dict[str, float],
) -> list[float]:
    """Run ``ours`` and every reference `PAIRS` times in turn; a row for each.  More is better."""
    mine: list[float] = []
    theirs: dict[str, list[float]] = {key: [] for key in references}
    for number in range(PAIRS):
        runs: list[tuple[list[float], Callable[[], float]]] = [(mine, ours)]
        runs += [(theirs[key], run) for key, run in references.items()]
        for values, run in runs if number % 2 == 0 else reversed(runs):
            values.append(run())
    value = statistics.median(mine)
    for key, values in theirs.items():
        reference = statistics.median(values)
        goal = goals.get(key)
        table.add(
            Row(
                name,
                value,
                unit,
                min(mine),
                max(mine),
                key,
                reference,
                value / reference,
                "" if goal is None else f"at least {goal:g}",
                None if goal is None else value / reference >= goal,
            )
        )
    return mine


def cpu_seconds(*pids: int) -> float:
    """User and system time that the processes have used so far."""
    total = 0
    for pid in pids:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(words[11]) + int(words[12])
    return total / TICK


def memory(pid: int, key: str = "VmRSS") -> float:
    """Resident memory in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) / 1024
    return 0.0


def voluntary_switches(pid: int) -> int:
    """How often the process has waited for something, over all its threads."""
    total = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        for line in status.read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches:"):
                total += int(line.split()[1])
    return total


def children(pid: int) -> list[int]:
    """The processes that ``pid`` has started and that still run."""
    text = "".join(path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children"))
    return [int(word) for word in text.split()]
