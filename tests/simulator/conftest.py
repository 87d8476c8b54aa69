# SPDX-License-Identifier: LGPL-2.1-or-later
"""A drive without waiting, and how commands are sent to it: as bytes, as a host adapter would."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tapeds.simulator import Device, Response


class Host:
    """One nexus at a device.  ``cdb`` is hexadecimal text."""

    def __init__(self, device: Device, nexus: str = "host0") -> None:
        self.device, self.nexus = device, nexus

    def __call__(self, cdb: str, data: bytes = b"", size: int = 0x1000000) -> Response:
        return self.device.execute(self.nexus, bytes.fromhex(cdb), data, 0 if data else size)

    def good(self, cdb: str, data: bytes = b"", size: int = 0x1000000) -> bytes:
        """The data of a command that must end well."""
        done = self(cdb, data, size)
        assert done.status == 0, f"{cdb}: {done.status:02x}h {done.sense.hex(' ')}"
        return done.data

    def code(self, cdb: str, data: bytes = b"") -> str:
        """Key, ASC and ASCQ of a command; ``good`` for GOOD."""
        done = self(cdb, data)
        if done.status == 0:
            return "good"
        assert done.status == 2
        return code(done.sense)

    def settle(self) -> None:
        """Take the attentions, and wait until the drive is ready or says why it is not for long."""
        while (found := self.code("00 00 00 00 00 00")) != "good":
            if found[0] != "6" and not found.startswith("2/04"):
                return

    def write(self, data: bytes) -> Response:
        return self(f"0a 00 {len(data):06x} 00", data)

    def filemark(self, count: int = 1) -> None:
        self.good(f"10 00 {count:06x} 00")

    def read(self, size: int = 0x40000) -> Response:
        return self(f"08 00 {size:06x} 00", size=size)

    def position(self) -> tuple[int, int]:
        """Object and file, by the long form."""
        data = self.good("34 06 00 00 00 00 00 00 00 00")
        return int.from_bytes(data[8:16], "big"), int.from_bytes(data[16:24], "big")

    def load(self, name: str) -> None:
        self.device.insert(name)
        self.settle()


def code(sense: bytes) -> str:
    """``key/asc/ascq`` of fixed format sense data, with ``deferred `` before it where that is so."""
    assert sense[0] & 0x7F in (0x70, 0x71), sense.hex(" ")
    late = "deferred " if sense[0] & 0x7F == 0x71 else ""
    return f"{late}{sense[2] & 15:X}/{sense[12]:02X}/{sense[13]:02X}"


def information(sense: bytes) -> int | None:
    """The information field of fixed format sense data, signed; None where it is not valid."""
    return int.from_bytes(sense[3:7], "big", signed=True) if sense[0] & 0x80 else None


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Device]]:
    """Open the drive in the test's folder; a second call opens the same drive again."""
    opened: list[Device] = []

    def factory(**options: Any) -> Device:
        defaults: dict[str, Any] = {"clock_factor": 0, "serial": "SIM0000042", "buffer_bytes": 1 << 24}
        device = Device(tmp_path, **{**defaults, **options})
        opened.append(device)
        return device

    yield factory
    for device in opened:
        device.close()
    # The buffer's place on disk, which nobody needs to look at after a failure.
    (tmp_path / "drive").unlink(missing_ok=True)


@pytest.fixture
def device(make: Callable[..., Device]) -> Device:
    device = make()
    device.create_cartridge("A00001L9")
    return device


@pytest.fixture
def host(device: Device) -> Host:
    """A host that has heard every attention, at a drive with a blank cartridge."""
    host = Host(device)
    host.settle()
    host.load("A00001L9")
    return host


@pytest.fixture
def second(device: Device) -> Host:
    """Another host, which has said nothing yet."""
    return Host(device, "host1")


@pytest.fixture
def said() -> Callable[[bytes], str]:
    return code


@pytest.fixture
def info() -> Callable[[bytes], int | None]:
    return information


@pytest.fixture
def at() -> type[Host]:
    """``at(device, nexus)``: another host."""
    return Host
