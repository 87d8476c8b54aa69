# SPDX-License-Identifier: LGPL-2.1-or-later
"""The rules of the house, checked: lint, types, doors between rooms, and a plan that is true."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from support import plan

ROOT = Path(__file__).parent.parent
SOURCES = sorted(
    path
    for folder in ("tapeds", "tests", "benchmarks", "demo")
    for path in (ROOT / folder).rglob("*.py")
    if "__pycache__" not in path.parts
)
TABLES_OF_DATA = {"tapeds/scsi/asc.py"}
LONGEST = 400


def run(*command: str) -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / command[0]), *command[1:]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"


def test_ruff_has_nothing_to_say() -> None:
    run("ruff", "check", "--no-cache", ".")


def test_types_are_strict() -> None:
    run("mypy")


def test_doors_between_rooms_open_one_way() -> None:
    run("lint-imports", "--no-cache")


@pytest.mark.parametrize(
    "path",
    [p for p in SOURCES if "tapeds" in p.relative_to(ROOT).parts[:1]],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_a_file_of_the_program_has_one_subject(path: Path) -> None:
    if str(path.relative_to(ROOT)) in TABLES_OF_DATA:
        return
    lines = path.read_text().count("\n")
    assert lines <= LONGEST, f"{path.relative_to(ROOT)} has {lines} lines; split it by subject"


def test_every_source_file_names_its_licence() -> None:
    scripts = [ROOT / "dev", ROOT / ".ci/run"]
    without = [
        str(path.relative_to(ROOT))
        for path in (*SOURCES, *scripts)
        if "SPDX-License-Identifier: LGPL-2.1-or-later" not in path.read_text()[:200]
    ]
    assert without == []


def test_the_plan_names_every_room_and_file_as_they_are() -> None:
    assert plan.parts()[1] == plan.tree(), "./dev plan writes the list in docs/architecture.md anew"


def test_the_layers_of_the_plan_are_the_layers_that_are_checked() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    layers = next(c["layers"] for c in settings["tool"]["importlinter"]["contracts"] if c["type"] == "layers")
    drawn = re.search(r"```\n(daemon \| cli.*?)```", plan.PAGE.read_text(), re.DOTALL)
    assert drawn is not None, "docs/architecture.md does not list the layers"
    assert [line.strip() for line in drawn.group(1).strip().splitlines()] == layers


def test_every_run_time_dependency_says_why_it_is_there() -> None:
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    start = lines.index("dependencies = [")
    for before, line in zip(lines[start:], lines[start + 1 :], strict=False):
        if line == "]":
            break
        if line.strip().startswith('"'):
            assert before.strip().startswith("#"), f"no reason above {line.strip()}"


def test_references_in_docstrings_are_listed() -> None:
    listed = set(
        re.findall(r"^\*\*\[([A-Za-z0-9-]+)\]\*\*", (ROOT / "docs/references.md").read_text(), re.MULTILINE)
    )
    used = {
        key
        for path in SOURCES
        if path.is_relative_to(ROOT / "tapeds")
        for key in re.findall(r"Ref: \[([A-Za-z0-9-]+)\]", path.read_text())
    }
    assert used <= listed, f"not in docs/references.md: {sorted(used - listed)}"
