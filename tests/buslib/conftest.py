# SPDX-License-Identifier: LGPL-2.1-or-later
"""The bus room on both libraries and both buses."""

from __future__ import annotations

import importlib
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from support.privatebus import PrivateBus

_loaded: dict[str, ModuleType] = {}


def _load(library: str) -> ModuleType:
    """``tapeds.buslib`` on ``library``, apart from the one that everybody else has imported."""
    mine = {name: module for name, module in sys.modules.items() if name.startswith("tapeds.buslib")}
    before = os.environ.get("TAPEDS_DBUS")
    for name in mine:
        del sys.modules[name]
    os.environ["TAPEDS_DBUS"] = library
    try:
        room = importlib.import_module("tapeds.buslib")
        importlib.import_module("tapeds.buslib.schema")
    finally:
        for name in [name for name in sys.modules if name.startswith("tapeds.buslib")]:
            del sys.modules[name]
        sys.modules.update(mine)
        if "tapeds.buslib" in mine:
            sys.modules["tapeds"].buslib = mine["tapeds.buslib"]  # type: ignore[attr-defined]
        if before is None:
            del os.environ["TAPEDS_DBUS"]
        else:
            os.environ["TAPEDS_DBUS"] = before
    return room


@pytest.fixture(params=["dbus_next", "dbus_fast"])
def room(request: pytest.FixtureRequest) -> ModuleType:
    """``tapeds.buslib``, once with each library."""
    if request.param not in _loaded:
        _loaded[request.param] = _load(request.param)
        assert request.param == _loaded[request.param].LIBRARY
    return _loaded[request.param]


@pytest.fixture(params=[
    pytest.param(False, id="dbus-daemon", marks=pytest.mark.requires("dbus-daemon")),
    pytest.param(True, id="dbus-broker", marks=pytest.mark.requires("dbus-broker", "root")),
])
def bus(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PrivateBus]:
    """A private bus, once of each kind."""
    with PrivateBus(tmp_path, broker=request.param) as private:
        yield private


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[PrivateBus]:
    """A private dbus-daemon, for what does not depend on the bus."""
    with PrivateBus(tmp_path) as private:
        yield private


@pytest.fixture
def wire_pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Our end of a connection, and the bus's end in the hands of the test."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.settimeout(20)
    yield ours, theirs
    ours.close()
    theirs.close()
