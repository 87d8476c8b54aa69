# SPDX-License-Identifier: LGPL-2.1-or-later
"""File descriptors on the bus: each has one owner, and none is left behind."""

from __future__ import annotations

import asyncio
import fcntl
import os
import resource
import socket
import struct
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from support import rawbus
from support.privatebus import PrivateBus
from support.rawbus import RawClient
from support.stories import INTERFACE, PATH, SERVICE, open_fds, pair, play, until

INDEX_0 = struct.pack("<I", 0)
IN_OPTIONS = struct.pack("<I", 16) + b"\0" * 4 + rawbus.string("x") + b"\1h\0" + b"\0" * 3 + INDEX_0


def test_descriptors_travel_both_ways(room: ModuleType, bus: PrivateBus, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("from the client")

    async def story() -> None:
        def handler(call: Any) -> None:
            assert call.fd_count == 1
            with open(call.take_fd(call.body[0])) as given, os.fdopen(os.dup(write), "w") as back:
                back.write(given.read().upper())
            os.close(write)
            service.reply(call, "hs", [0, "x"], fds=[read])

        read, write = os.pipe()
        service, client = await pair(room, bus, handler)
        with open(tmp_path / "in") as source:
            reply = await client.call(SERVICE, PATH, INTERFACE, "Copy", "h", [0], fds=[source.fileno()])
            assert os.fstat(source.fileno())           # a caller keeps what it lends
        with open(reply.fds[reply.body[0]]) as answer:
            assert answer.read() == "FROM THE CLIENT"
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(read)                             # a service gives what it sends away

    play(story())


def test_received_descriptors_are_not_inherited(room: ModuleType, bus: PrivateBus) -> None:
    async def story() -> None:
        def handler(call: Any) -> None:
            taken.append(call.take_fd(0))
            service.reply(call, "h", [0], fds=[os.dup(1)])

        taken: list[int] = []
        service, client = await pair(room, bus, handler)
        reply = await client.call(SERVICE, PATH, INTERFACE, "Do", "h", [0], fds=[1])
        for fd in (*taken, *reply.fds):
            assert fcntl.fcntl(fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
            os.close(fd)

    play(story())


@pytest.mark.parametrize(("kind", "body"), [("h", INDEX_0), ("", b""), ("a{sv}", IN_OPTIONS)],
                         ids=["wanted", "unannounced", "in options"])
@pytest.mark.parametrize("answer", ["reply", "fail", "raise", "run"])
def test_descriptors_that_nobody_takes_are_closed(
    room: ModuleType, daemon: PrivateBus, kind: str, body: bytes, answer: str
) -> None:
    async def story() -> None:
        def handler(call: Any) -> None:
            counts.append(call.fd_count)
            match answer:
                case "reply":
                    service.reply(call)
                case "fail":
                    service.fail(call, room.Error.UNKNOWN_METHOD, "there is no such method")
                case "raise":
                    raise room.CallError(room.Error.INVALID_ARGS, "no")
                case "run":
                    service.run(call, asyncio.sleep(0))

        counts: list[int] = []
        service, _ = await pair(room, daemon, handler)
        with RawClient(daemon.address) as raw:
            before = open_fds()
            for _ in range(20):
                await asyncio.to_thread(raw.ask, SERVICE, PATH, INTERFACE, "Do", kind, body, fds=[1, 1, 1])
            assert open_fds() == before
        assert counts == [3] * 20

    play(story())


def test_descriptors_of_calls_without_a_reply_are_closed(room: ModuleType, bus: PrivateBus) -> None:
    async def story() -> None:
        seen: list[str] = []

        def handler(call: Any) -> None:
            seen.append(call.member)
            service.fail(call, room.Error.UNKNOWN_METHOD, "there is no such method")

        service, _ = await pair(room, bus, handler)
        with RawClient(bus.address) as raw:
            before = open_fds()
            for _ in range(20):
                raw.call(SERVICE, PATH, INTERFACE, "Do", fds=[1, 1], flags=rawbus.NO_REPLY)
            await until(lambda: len(seen) == 20)
            assert open_fds() == before

    play(story())


def test_descriptors_of_signals_and_of_unexpected_replies_are_closed(
    room: ModuleType, wire_pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = wire_pair

    async def story() -> None:
        wanted: list[Any] = []
        bus = room.Bus(ours)
        bus._wishes.add(room.rules.Wish(room.rules.Rule(member="Wanted"), wanted.append))
        before = open_fds()
        fds = rawbus.header_field(rawbus.UNIX_FDS, "u", struct.pack("<I", 2))
        sender = rawbus.header_field(rawbus.SENDER, "s", rawbus.string(":1.7"))
        reply_to = rawbus.header_field(rawbus.REPLY_SERIAL, "u", struct.pack("<I", 77))
        for member in ("Unwanted", "Wanted"):
            fields = rawbus.call_fields(None, PATH, INTERFACE, member)
            socket.send_fds(theirs, [rawbus.frame(rawbus.SIGNAL, 1, [*fields, fds, sender])], [1, 1])
        socket.send_fds(theirs, [rawbus.frame(rawbus.RETURN, 2, [reply_to, fds, sender])], [1, 1])
        fields = rawbus.call_fields(None, PATH, INTERFACE, "Wanted")
        theirs.sendall(rawbus.frame(rawbus.SIGNAL, 3, [*fields, sender]))
        await until(lambda: len(wanted) == 2)
        assert open_fds() == before
        await bus.close()

    play(story())


def test_an_index_without_a_descriptor_is_no_descriptor(room: ModuleType, bus: PrivateBus) -> None:
    async def story() -> None:
        taken: list[int] = []

        def handler(call: Any) -> None:
            taken.append(call.take_fd(call.body[0]))   # dbus-fast alone would hand out our own stdin here
            service.reply(call)

        service, client = await pair(room, bus, handler)
        with RawClient(bus.address) as raw:
            for index, fds in ((0, []), (1, [1]), (2**32 - 1, [1])):
                answer = await asyncio.to_thread(
                    raw.ask, SERVICE, PATH, INTERFACE, "Do", "h", struct.pack("<I", index), fds=fds
                )
                assert answer.error_name == "org.freedesktop.DBus.Error.InvalidArgs"
                assert f"file descriptor {index}" in answer.text
        assert taken == []
        await client.call(SERVICE, PATH, INTERFACE, "Do", "h", [0], fds=[1])
        assert len(taken) == 1
        os.close(taken[0])

    play(story())


def test_a_descriptor_is_given_out_once(room: ModuleType, daemon: PrivateBus) -> None:
    async def story() -> None:
        def handler(call: Any) -> None:
            taken.append(call.take_fd(0))
            call.take_fd(0)

        taken: list[int] = []
        _, client = await pair(room, daemon, handler)
        with pytest.raises(room.CallError) as caught:
            await client.call(SERVICE, PATH, INTERFACE, "Do", "hh", [0, 0], fds=[1])
        assert caught.value.name == "org.freedesktop.DBus.Error.InvalidArgs"
        os.close(taken[0])

    play(story())


def test_a_reply_keeps_its_descriptor_open_until_it_has_left(
    room: ModuleType, wire_pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = wire_pair

    async def story() -> None:
        bus = room.Bus(ours)
        told: list[bool] = []
        calls: list[Any] = []
        bus.serve(calls.append)
        theirs.sendall(_call_frame(1) + _call_frame(2))
        await until(lambda: len(calls) == 2)
        bus.reply(calls[0], "ay", [bytes(900_000)])    # more than the socket takes
        read, write = os.pipe()
        os.close(write)
        pipe = os.readlink(f"/proc/self/fd/{read}")
        bus.reply(calls[1], "h", [0], fds=[read], done=told.append)
        assert len([entry for entry in open_fds() if entry.endswith(pipe)]) == 1
        assert told == []
        received: list[int] = []
        while not received:
            await asyncio.sleep(0)
            _, received, _, _ = socket.recv_fds(theirs, 65536, 10)
        await until(lambda: told == [True])
        os.close(received[0])
        assert [entry for entry in open_fds() if entry.endswith(pipe)] == []
        await bus.close()

    play(story())


@pytest.mark.parametrize("end", ["the bus dies", "we leave"])
def test_descriptors_of_replies_that_never_leave_are_closed(
    room: ModuleType, wire_pair: tuple[socket.socket, socket.socket], end: str
) -> None:
    ours, theirs = wire_pair

    async def story() -> None:
        bus = room.Bus(ours)
        told: list[bool] = []
        calls: list[Any] = []
        bus.serve(calls.append)
        theirs.sendall(_call_frame(1) + _call_frame(2) + _call_frame(3))
        await until(lambda: len(calls) == 3)
        bus.reply(calls[0], "ay", [bytes(900_000)])
        before = open_fds()
        bus.reply(calls[1], "h", [0], fds=[os.dup(1)], done=told.append)
        assert open_fds() != before
        if end == "the bus dies":
            theirs.close()
            await bus.closed
        else:
            await bus.close()
        assert told == [False]
        bus.reply(calls[2], "h", [0], fds=[os.dup(1)], done=told.append)
        assert told == [False, False]
        assert len(open_fds()) < len(before)           # the sockets are gone as well

    play(story())


def test_a_descriptor_that_a_service_closed_too_early_ends_only_that_reply(
    room: ModuleType, bus: PrivateBus, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        def handler(call: Any) -> None:
            if call.member == "Wrong":
                fd = os.dup(1)
                os.close(fd)
                service.reply(call, "h", [0], fds=[fd])
            else:
                service.reply(call)

        service, client = await pair(room, bus, handler)
        with pytest.raises(room.CallError) as caught:
            await client.call(SERVICE, PATH, INTERFACE, "Wrong")
        assert caught.value.name == "org.freedesktop.DBus.Error.Failed"
        assert (await client.call(SERVICE, PATH, INTERFACE, "Right")).body == []

    play(story())
    assert "could not be sent" in caplog.text


def test_a_reply_that_is_refused_closes_its_descriptors(room: ModuleType, daemon: PrivateBus) -> None:
    async def story() -> None:
        def handler(call: Any) -> None:
            service.reply(call, "hu", [0, "not a number"], fds=[os.dup(1)])

        service, client = await pair(room, daemon, handler)
        before = open_fds()
        with pytest.raises(room.CallError):
            await client.call(SERVICE, PATH, INTERFACE, "Do")
        assert open_fds() == before

    play(story())


def test_a_call_cannot_lend_what_is_not_open(room: ModuleType, daemon: PrivateBus) -> None:
    async def story() -> None:
        _, client = await pair(room, daemon, lambda call: None)
        before = open_fds()
        with pytest.raises(room.CallError) as caught:
            await client.call(SERVICE, PATH, INTERFACE, "Do", "hh", [0, 1], fds=[1, 999])
        assert caught.value.name == "org.freedesktop.DBus.Error.InvalidArgs"
        assert open_fds() == before

    play(story())


@pytest.mark.system
def test_an_answer_that_comes_in_the_moment_of_cancelling_leaves_no_descriptor(
    room: ModuleType, daemon: PrivateBus
) -> None:
    async def story() -> None:
        service, client = await pair(
            room, daemon, lambda call: service.reply(call, "h", [0], fds=[os.dup(1)])
        )
        for turns in range(40):
            before = open_fds()
            task = asyncio.ensure_future(client.call(SERVICE, PATH, INTERFACE, "Do"))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            result = (await asyncio.gather(task, return_exceptions=True))[0]
            if not isinstance(result, BaseException):
                os.close(result.fds[0])
            await client.call("org.freedesktop.DBus", "/", "org.freedesktop.DBus", "GetId")
            await service.call("org.freedesktop.DBus", "/", "org.freedesktop.DBus", "GetId")
            await client.call("org.freedesktop.DBus", "/", "org.freedesktop.DBus", "GetId")
            assert open_fds() == before

    play(story())


def test_a_connection_that_is_over_leaves_no_socket(room: ModuleType, bus: PrivateBus) -> None:
    async def story() -> None:
        before = open_fds()
        one, other = await room.Bus.connect(bus.address), await room.Bus.connect(bus.address)
        await one.close()
        await asyncio.to_thread(bus.stop)
        await other.closed
        assert open_fds() == before

    play(story())


def test_one_client_may_hold_only_so_many_descriptors(room: ModuleType, bus: PrivateBus) -> None:
    async def story() -> None:
        calls: list[Any] = []
        service, client = await pair(room, bus, calls.append)
        before = open_fds()
        with RawClient(bus.address) as raw:
            serials = [raw.call(SERVICE, PATH, INTERFACE, "Hold", fds=[1] * 16) for _ in range(5)]
            answer = await asyncio.to_thread(raw.reply_to, serials[-1])
            assert answer.error_name == "org.freedesktop.DBus.Error.LimitsExceeded"
            assert len(calls) == 4
            waiting = asyncio.ensure_future(client.call(SERVICE, PATH, INTERFACE, "Other", "h", [0], fds=[1]))
            await until(lambda: len(calls) == 5)
            for call in calls:
                service.reply(call)
            await waiting
            assert len(open_fds() - before) == 1       # the client's own socket
            await asyncio.to_thread(raw.reply_to, serials[0])
            again = raw.call(SERVICE, PATH, INTERFACE, "Hold", fds=[1] * 16)
            await until(lambda: len(calls) == 6)
            service.reply(calls[-1])
            assert (await asyncio.to_thread(raw.reply_to, again)).kind == rawbus.RETURN

    play(story())


def test_a_full_table_of_descriptors_refuses_the_call_and_nothing_else(
    room: ModuleType, bus: PrivateBus
) -> None:
    async def story() -> None:
        members: list[str] = []

        def handler(call: Any) -> None:
            members.append(call.member)
            service.reply(call)

        service, client = await pair(room, bus, handler)
        with RawClient(bus.address) as raw:
            await client.call(SERVICE, PATH, INTERFACE, "Before", "h", [0], fds=[1])
            before = open_fds()
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            highest = max(int(entry.split()[0]) for entry in before)
            fillers = [os.dup(1) for _ in range(highest)]      # no gap is left below the limit
            limit = max(fillers) + 3
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
            try:
                full = raw.call(SERVICE, PATH, INTERFACE, "TooMany", fds=[1] * 10)
                plain = raw.call(SERVICE, PATH, INTERFACE, "Plain")
                await until(lambda: "Plain" in members)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            answer = await asyncio.to_thread(raw.reply_to, full)
            assert answer.error_name == "org.freedesktop.DBus.Error.LimitsExceeded"
            assert (await asyncio.to_thread(raw.reply_to, plain)).kind == rawbus.RETURN
            for fd in fillers:
                os.close(fd)
            assert open_fds() == before
        await client.call(SERVICE, PATH, INTERFACE, "After", "h", [0], fds=[1])
        assert members == ["Before", "Plain", "After"]

    play(story())


def _call_frame(serial: int) -> bytes:
    sender = rawbus.header_field(rawbus.SENDER, "s", rawbus.string(":1.7"))
    return rawbus.frame(rawbus.CALL, serial, [*rawbus.call_fields(None, PATH, INTERFACE, "Do"), sender])
