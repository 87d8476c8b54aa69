# SPDX-License-Identifier: LGPL-2.1-or-later
"""A bench for workers, on a directory of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.workers import Bench


@pytest.fixture
def bench(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    bench = Bench(tmp_path, tmp_path_factory.getbasetemp() / "compiled")
    yield bench
    bench.close()
