# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every field of `tapeds/scsi/` moved by one bit and by one byte: do the tests with literal bytes notice?

``./dev mutate`` prints each move that no test noticed, and fails if there is one.  Nothing is written:
the table of fields of a class is changed in this process, the tests are called, the table is put back.
The tests are the functions ``test_…`` under tests/scsi/ that take no fixture and no generated input.
A field that reaches to the end has no last bit and is moved by bytes only; the numbers of log
parameters are moved by one, up and down.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import inspect
import itertools
import pkgutil
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import tapeds.scsi
from tapeds.layout import Field, Layout
from tapeds.scsi.log_pages.page import LogPage, Parameter

TESTS = Path(__file__).parents[1] / "scsi"
NOT_LITERAL = ("test_mutations.py", "test_hostile.py")
Table = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One field of one class in another place."""

    owner: type
    table: Table  # of the class: its fields or rows by name
    name: str
    moved: Field | Parameter
    what: str

    def __str__(self) -> str:
        return f"{self.owner.__module__}.{self.owner.__name__}.{self.name}: {self.what}"


@dataclasses.dataclass(frozen=True)
class Test:
    """One test with its arguments."""

    call: Callable[[], object]
    names: frozenset[str]  # what its source speaks of


def below(kind: type) -> Iterator[type]:
    """All classes that derive from ``kind``."""
    for child in kind.__subclasses__():
        yield child
        yield from below(child)


def load_everything() -> None:
    for module in pkgutil.walk_packages(tapeds.scsi.__path__, "tapeds.scsi."):
        importlib.import_module(module.name)


def mutants() -> list[Mutant]:
    load_everything()
    found = [
        one
        for kind in _of_scsi(Layout)
        for name, field in kind.fields.items()
        for one in _moves(kind, name, field)
    ]
    for page in _of_scsi(LogPage):
        for name, row in page.rows.items():
            for code in (row.code - 1, row.code + 1):
                if code >= 0:
                    moved = dataclasses.replace(row, code=code)
                    found.append(Mutant(page, page.rows, name, moved, f"parameter {code:04X}h"))
    return found


def _of_scsi(kind: Any) -> list[Any]:
    return [child for child in below(kind) if child.__module__.startswith("tapeds.scsi.")]


def _moves(kind: type[Layout], name: str, field: Field) -> Iterator[Mutant]:
    if field.shape.name == "UNNAMED":  # it has no place of its own
        return
    for by in (-8, 8) if field.width is None else (-8, -1, 1, 8):
        if field.start + by >= 0:
            what = f"{by:+d} bits"
            moved = dataclasses.replace(field, start=field.start + by)
            yield Mutant(kind, kind.fields, name, moved, what)


def _load(path: Path) -> ModuleType:
    name = "mutated_" + "_".join(path.relative_to(TESTS).with_suffix("").parts)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def tests() -> list[Test]:
    found = []
    for path in sorted(TESTS.rglob("test_*.py")):
        if path.name in NOT_LITERAL:
            continue
        module = _load(path)
        for name, function in vars(module).items():
            if (
                name.startswith("test_")
                and inspect.isfunction(function)
                and function.__module__ == module.__name__
            ):
                found += _cases(function)
    return found


def _cases(function: Any) -> Iterator[Test]:
    if hasattr(function, "hypothesis"):
        return
    marks = [mark for mark in getattr(function, "pytestmark", []) if mark.name == "parametrize"]
    axes = []
    for mark in marks:
        names = mark.args[0]
        keys = [key.strip() for key in names.split(",")] if isinstance(names, str) else list(names)
        axes.append([dict(zip(keys, row if len(keys) > 1 else (row,), strict=True)) for row in mark.args[1]])
    words = frozenset(
        inspect.getsource(function).replace("(", " ").replace(".", " ").replace(",", " ").split()
    )
    for rows in itertools.product(*axes):
        given = {key: value for row in rows for key, value in row.items()}
        if set(given) == set(inspect.signature(function).parameters):
            yield Test(lambda given=given: function(**given), words)  # type: ignore[misc]


def noticed(mutant: Mutant, all_tests: list[Test]) -> bool:
    """Whether a test fails while ``mutant`` is in place."""
    right = mutant.table[mutant.name]
    # The tests that speak of the class come first: they are the likely ones.
    ordered = sorted(all_tests, key=lambda test: mutant.owner.__name__ not in test.names)
    mutant.table[mutant.name] = mutant.moved
    try:
        return any(_fails(test) for test in ordered)
    finally:
        mutant.table[mutant.name] = right


def _fails(test: Test) -> bool:
    try:
        test.call()
    except (Exception, pytest.fail.Exception):  # the latter is no Exception
        return True
    return False


def survivors(sample: int | None = None, seed: int = 0) -> tuple[int, list[Mutant]]:
    """How many moves were made, and which of them no test noticed."""
    all_tests = tests()
    broken = [test for test in all_tests if _fails(test)]
    assert not broken, f"{len(broken)} tests fail before anything is moved"
    chosen = mutants()
    if sample is not None:
        chosen = random.Random(seed).sample(chosen, sample)
    return len(chosen), [mutant for mutant in chosen if not noticed(mutant, all_tests)]


def main() -> int:
    count, left = survivors()
    for mutant in left:
        print(mutant)
    print(f"{count} moves of fields, {len(left)} not noticed")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
