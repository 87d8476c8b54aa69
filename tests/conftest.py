# SPDX-License-Identifier: LGPL-2.1-or-later
"""What every test may ask of the machine, and what is said when the machine cannot give it.

A test that needs more than Python says so: ``@pytest.mark.requires("root", "dbus-broker")``.
Where something is missing the test *fails* and names it.  The only way round is the environment
variable ``TAPEDS_TEST_WITHOUT=root,dbus-broker``: such tests are skipped, and the last line of
the summary says so.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from independent import reader

PROGRAMS = (
    "busctl",
    "gdbus",
    "dbus-daemon",
    "dbus-broker",
    "dbus-broker-launch",
    "setpriv",
    "systemd-escape",
    "systemd-socket-activate",
    "bash",
    "zsh",
    "man",
    "journalctl",
    "sg_inq",
)
FACILITIES: dict[str, Callable[[], bool]] = {
    "root": lambda: os.geteuid() == 0,
    **{name: (lambda name=name: shutil.which(name) is not None) for name in PROGRAMS},
}
_without = {name for name in os.environ.get("TAPEDS_TEST_WITHOUT", "").split(",") if name}
_left_out: dict[str, int] = {}
_missing: dict[str, int] = {}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "requires(*names): what the machine must give; missing is a failure")
    config.addinivalue_line(
        "markers", "damaged_tape(why): the tapes this test leaves behind break the format's rules"
    )
    unknown = _without - set(FACILITIES)
    if unknown:
        raise pytest.UsageError(
            f"TAPEDS_TEST_WITHOUT names unknown facilities: {', '.join(sorted(unknown))}; "
            f"known: {', '.join(sorted(FACILITIES))}"
        )


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Name bytes by their length: what is in them may be random, and the name has to stay the same."""
    return f"{argname}-of-{len(val)}-bytes" if isinstance(val, bytes | bytearray) and len(val) > 16 else None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    names = [name for mark in item.iter_markers("requires") for name in mark.args]
    for name in names:
        if name in _without:
            _left_out[name] = _left_out.get(name, 0) + 1
            pytest.skip(f"left out by TAPEDS_TEST_WITHOUT: {name}")
    for name in names:
        if not FACILITIES[name]():
            _missing[name] = _missing.get(name, 0) + 1
            pytest.fail(
                f"could not run: this machine lacks {name} (TAPEDS_TEST_WITHOUT={name} leaves it out)",
                pytrace=False,
            )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for name, count in sorted(_missing.items()):
        terminalreporter.write_line(f"could not run {count} tests: this machine lacks {name}", red=True)
    for name, count in sorted(_left_out.items()):
        terminalreporter.write_line(f"left out by TAPEDS_TEST_WITHOUT: {name} ({count} tests)", yellow=True)


@pytest.fixture(autouse=True)
def _every_tape_reads(request: pytest.FixtureRequest) -> Iterator[None]:
    """At the end of every test an independent reader reads every tape the test left behind.

    No block may break a rule of the format and no counted file may be missing; a file may be
    incomplete.  A test that damages tapes on purpose is marked ``damaged_tape`` with the reason.
    """
    folder: Path | None = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    yield
    if folder is None or request.node.get_closest_marker("damaged_tape"):
        return
    for directory in {index.parent for index in folder.rglob("tape-*.json")}:
        tapes = reader.read_directory(str(directory), os.listdir(directory))
        faults = [
            f"{directory.name}/{label}: {fault}" for label, tape in tapes.items() for fault in tape.faults()
        ]
        assert faults == [], "the independent reader found broken rules"
