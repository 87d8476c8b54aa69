# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests of tapectl share: a fake service, the real one, and tapectl in front of either."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.fake_service import FakeService
from cli.runner import Inside, Runner
from support.daemon import Daemon
from support.privatebus import PrivateBus

OF_THE_PERSON = {"TAPEDS_DRIVE", "TAPEDS_SESSION"}
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def root() -> Path:
    return ROOT


@pytest.fixture
def service(tmp_path: Path) -> Iterator[FakeService]:
    """A service that does what the test says, with the drives lto0 and vt0."""
    (tmp_path / "bus").mkdir()
    with PrivateBus(tmp_path / "bus") as bus:
        fake = FakeService(bus.address)
        yield fake
        fake.stop()


@pytest.fixture
def tapectl(service: FakeService, tmp_path: Path) -> Iterator[Runner]:
    """tapectl in front of the fake service; TAPEDS_DRIVE is vt0."""
    environment = {
        **{name: value for name, value in os.environ.items() if name not in OF_THE_PERSON},
        "PYTHONPATH": str(ROOT),
        "DBUS_SYSTEM_BUS_ADDRESS": service.address,
        "TAPEDS_DRIVE": "vt0",
    }
    runner = Runner(environment, tmp_path)
    yield runner
    runner.close()


@pytest.fixture
def inside(tapectl: Runner) -> Inside:
    """The same, without a process of its own."""
    return Inside(tapectl.environment, tapectl.folder)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """The real service with the virtual drives vt0 (1 GiB a tape) and small (2 MiB)."""
    config = ""
    for name, size in (("vt0", "1 GiB"), ("small", "2 MiB")):
        (tmp_path / name).mkdir()
        config += f'[drive.{name}]\ntype = "virtual"\npath = "{tmp_path / name}"\nmax-size = "{size}"\n'
    running = Daemon(tmp_path, config)
    yield running
    running.stop()
    assert "Traceback" not in running.log()


@pytest.fixture
def real(daemon: Daemon, tmp_path: Path) -> Iterator[Runner]:
    """tapectl in front of the real service, in an empty folder."""
    (tmp_path / "here").mkdir()
    kept = {name: value for name, value in daemon.environment.items() if name not in OF_THE_PERSON}
    runner = Runner(kept, tmp_path / "here")
    yield runner
    runner.close()
