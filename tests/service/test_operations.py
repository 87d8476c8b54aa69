# SPDX-License-Identifier: LGPL-2.1-or-later
"""The table of cancelling in the plan of the house is the one that the service goes by."""

from __future__ import annotations

import re
from pathlib import Path

from tapeds.service.operations import ROWS

PAGE = Path(__file__).parents[2] / "docs" / "architecture.md"


def test_the_plan_says_of_every_operation_what_a_cancel_does() -> None:
    section = PAGE.read_text().partition("## Cancelling")[2].partition("\n## ")[0]
    told: dict[str, tuple[str, ...]] = {}
    for line in section.splitlines():
        operations, *rest = (cell.strip() for cell in line.strip("|").split("|"))
        for operation in re.findall(r"`([a-z-]+)`", operations):
            assert operation not in told, operation
            told[operation] = tuple(rest)
    assert told == {
        operation: ("yes" if row.cancelable else "no", row.stops, row.head, row.tape)
        for operation, row in ROWS.items()
    }
