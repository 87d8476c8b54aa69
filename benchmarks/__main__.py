# SPDX-License-Identifier: LGPL-2.1-or-later
"""``./dev bench [NAME…] [--json FILE] [--gib N]``: one table and one JSON file."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from benchmarks import bus, stream, volume
from benchmarks.measure import Table
from benchmarks.world import World

SUITES = {"stream": stream.run, "volume": volume.run, "bus": bus.run}


def main() -> int:
    """0 when every goal was met, else 1; the table says which was not."""
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("suites", nargs="*", choices=[*SUITES, []], help="which to run; all by default")
    parser.add_argument("--json", type=Path, default=Path(".cache/bench.json"), help="where the figures go")
    parser.add_argument("--gib", type=float, default=2.0, help="how much a transfer moves")
    parser.add_argument(
        "--quick", action="store_true", help="a tenth of everything: a try, not a measurement"
    )
    options = parser.parse_args()
    table = Table()
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(
        prefix="tapeds-bench-", dir=memory if os.access(memory, os.W_OK) else None
    ) as name:
        world = World(
            Path(name), int(options.gib * (1 << 30) / (10 if options.quick else 1)), quick=options.quick
        )
        try:
            for suite in options.suites or SUITES:
                print(f"\n--- {suite}", flush=True)
                SUITES[suite](world, table)
        finally:
            world.close()
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps({"rows": table.as_json(), "bytes": world.count}, indent=1) + "\n")
    missed = [row.name for row in table.rows if row.met is False]
    print(f"\n{len(table.rows)} figures in {options.json}; goals missed: {', '.join(missed) or 'none'}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
