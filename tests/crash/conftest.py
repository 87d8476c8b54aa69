# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the crash tests share: a folder in memory, and the tape as every play of the script finds it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from crash.lab import template
from crash.spread import quick_folder


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in memory."""
    with quick_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def used_tape() -> Iterator[Path]:
    """A directory with the tape as it was used before the script."""
    with quick_folder() as folder:
        yield template(folder)
