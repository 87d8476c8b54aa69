# SPDX-License-Identifier: LGPL-2.1-or-later
"""Virtual drives to work with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.vtapes import Station, open_station


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty directory for tapes."""
    path = tmp_path / "tapes"
    path.mkdir()
    return path


@pytest.fixture
def open_at() -> Iterator[Callable[..., Station]]:
    """Opens a directory as a station; what is still open at the end is closed."""
    stations: list[Station] = []

    def opened(path: Path, **options: Any) -> Station:
        stations.append(open_station(path, **options))
        return stations[-1]

    yield opened
    for station in stations:
        station.close()


@pytest.fixture
def station(folder: Path, open_at: Callable[..., Station]) -> Station:
    """A station with an empty tape, AAA, in its drive."""
    opened = open_at(folder)
    opened.load_new("AAA")
    return opened
