# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests of tapectl share."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def root() -> Path:
    return ROOT
