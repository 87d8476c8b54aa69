# SPDX-License-Identifier: LGPL-2.1-or-later
"""Finding the bus, and what happens where there is none."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from support.privatebus import PrivateBus
from support.stories import open_fds, play


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    """A socket that is no bus."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "socket"))
        sock.listen()
        yield sock


@pytest.mark.parametrize(("address", "names"), [
    ("unix:path=/run/bus", ["/run/bus"]),
    ("unix:path=/run/bus,guid=0123", ["/run/bus"]),
    ("unix:guid=0123,abstract=/tmp/x", ["\0/tmp/x"]),
    ("unix:path=/with%20space%2cand%C3%A4", ["/with space,andä"]),
    ("tcp:host=localhost;unix:path=/a;unix:path=/b", ["/a", "/b"]),
])
def test_addresses_name_sockets(room: ModuleType, address: str, names: list[str]) -> None:
    assert room.handshake.socket_names(address) == names


@pytest.mark.parametrize("address", ["", "unix:", "tcp:host=x", "nonsense", "unix:runtime=yes"])
def test_an_address_without_a_socket_is_an_error(room: ModuleType, address: str) -> None:
    with pytest.raises(room.CallError) as caught:
        room.handshake.socket_names(address)
    assert caught.value.name == "org.freedesktop.DBus.Error.NoServer"
    assert repr(address) in caught.value.text


def test_the_environment_says_where_the_system_bus_is(
    room: ModuleType, daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        bus = await room.Bus.connect()
        assert bus.name.startswith(":1.")
        await bus.close()

    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", daemon.address)
    play(story())
    monkeypatch.delenv("DBUS_SYSTEM_BUS_ADDRESS")
    assert room.handshake.system_address() == "unix:path=/var/run/dbus/system_bus_socket"


def test_the_next_address_is_tried(room: ModuleType, daemon: PrivateBus, tmp_path: Path) -> None:
    async def story() -> None:
        bus = await room.Bus.connect(f"unix:path={tmp_path}/nobody;{daemon.address}")
        await bus.close()

    play(story())


def test_no_bus_is_an_error_that_names_the_address(room: ModuleType, tmp_path: Path) -> None:
    async def story() -> None:
        before = open_fds()
        with pytest.raises(room.CallError) as caught:
            await room.Bus.connect(f"unix:path={tmp_path}/nobody")
        assert caught.value.name == "org.freedesktop.DBus.Error.NoServer"
        assert f"{tmp_path}/nobody" in caught.value.text
        assert open_fds() == before

    play(story())


def test_a_bus_that_is_silent_is_given_up(room: ModuleType, listener: socket.socket) -> None:
    async def story() -> None:
        before = open_fds()
        with pytest.raises(room.CallError) as caught:
            await room.Bus.connect(f"unix:path={listener.getsockname()}", timeout=0.1)
        assert caught.value.name == "org.freedesktop.DBus.Error.Timeout"
        assert open_fds() == before

    play(story())


@pytest.mark.parametrize(("answers", "text"), [
    ([b"REJECTED EXTERNAL\r\n"], "REJECTED"),
    ([b"OK 0123\r\n", b"ERROR no descriptors here\r\n"], "no descriptors here"),
    ([b"x" * 20_000], "ended the conversation"),
    ([b""], "ended the conversation"),
])
def test_a_bus_that_does_not_want_us_is_an_error(
    room: ModuleType, listener: socket.socket, answers: list[bytes], text: str
) -> None:
    async def story() -> None:
        def refuse() -> None:
            theirs, _ = listener.accept()
            with theirs:
                for answer in answers:
                    theirs.recv(1024)
                    theirs.sendall(answer)
                theirs.shutdown(socket.SHUT_WR)

        refusing = asyncio.create_task(asyncio.to_thread(refuse))
        with pytest.raises(room.CallError, match=text) as caught:
            await room.Bus.connect(f"unix:path={listener.getsockname()}")
        assert caught.value.name == "org.freedesktop.DBus.Error.AuthFailed"
        await refusing

    play(story())


def test_we_say_who_we_are_by_effective_uid(room: ModuleType, listener: socket.socket) -> None:
    async def story() -> None:
        def listen() -> bytes:
            theirs, _ = listener.accept()
            with theirs:
                return theirs.recv(1024)

        listening = asyncio.create_task(asyncio.to_thread(listen))
        with pytest.raises(room.CallError):
            await room.Bus.connect(f"unix:path={listener.getsockname()}")
        uid = str(os.geteuid()).encode().hex().encode()
        assert await listening == b"\0AUTH EXTERNAL " + uid + b"\r\n"

    play(story())
