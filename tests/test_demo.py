# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the README promises first: the demonstration runs, and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.system
@pytest.mark.requires("busctl", "gdbus", "dbus-daemon")
def test_the_demonstration_ends_well_and_leaves_nothing(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}",
        "TMPDIR": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, str(ROOT / "demo/demo.py")],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "All values as they have to be" in done.stdout
    assert list(tmp_path.iterdir()) == []
