# SPDX-License-Identifier: LGPL-2.1-or-later
"""Signals, names, and who is there."""

from __future__ import annotations

import asyncio
import os
import socket
from types import ModuleType
from typing import Any

import pytest

from support import rawbus
from support.privatebus import PrivateBus
from support.rawbus import RawClient
from support.stories import INTERFACE, PATH, SERVICE, pair, play, until, until_left

BUS = "org.freedesktop.DBus"


def test_a_signal_comes_with_all_that_it_carries(room: ModuleType, bus: PrivateBus) -> None:
    async def story() -> None:
        signals: list[Any] = []
        service, client = await pair(room, bus, lambda call: None)
        await client.subscribe(signals.append, sender=SERVICE)
        service.emit(PATH, INTERFACE, "Changed", "sa{sv}", ["x", {"n": room.Variant("t", 1)}])
        await until(lambda: bool(signals))
        assert signals == [room.SignalMessage(service.name, PATH, INTERFACE, "Changed", "sa{sv}",
                                              ["x", {"n": room.Variant("t", 1)}])]

    play(story())


@pytest.mark.parametrize(("rule", "expected"), [
    ({}, [1, 2, 3, 4, 5]),
    ({"path": "/a/b"}, [1, 4]),
    ({"path_namespace": "/a"}, [1, 2, 4]),
    ({"path_namespace": "/"}, [1, 2, 3, 4, 5]),
    ({"interface": "org.example.Other"}, [4]),
    ({"member": "Beta"}, [2]),
    ({"arg0": "it's"}, [5]),
    ({"sender": SERVICE, "path": "/a/b", "interface": INTERFACE, "member": "Alpha", "arg0": "x"}, [1]),
    ({"sender": "org.example.Nobody"}, []),
])
def test_a_subscription_gets_what_fits_all_that_it_names(
    room: ModuleType, daemon: PrivateBus, rule: dict[str, str], expected: list[int]
) -> None:
    async def story() -> None:
        numbers: list[int] = []
        others: list[int] = []
        service, client = await pair(room, daemon, lambda call: service.reply(call))
        await client.subscribe(lambda signal: others.append(signal.body[1]), interface=INTERFACE)
        subscription = await client.subscribe(
            lambda signal: numbers.append(signal.body[1]) if len(signal.body) == 2 else None, **rule
        )
        for number, (path, interface, member, text) in enumerate((
            ("/a/b", INTERFACE, "Alpha", "x"), ("/a", INTERFACE, "Beta", "x"),
            ("/ab", INTERFACE, "Alpha", "x"), ("/a/b", "org.example.Other", "Alpha", "y"),
            ("/c", INTERFACE, "Gamma", "it's"),
        ), 1):
            service.emit(path, interface, member, "su", [text, number])
        await client.call(SERVICE, PATH, INTERFACE, "Do")        # comes behind them
        assert numbers == expected
        assert others == [1, 2, 3, 5]
        await subscription.close()
        await subscription.close()
        service.emit("/a/b", INTERFACE, "Alpha", "su", ["x", 9])
        await client.call(SERVICE, PATH, INTERFACE, "Do")
        assert numbers == expected
        assert others == [1, 2, 3, 5, 9]

    play(story())


def test_signals_come_before_the_reply_that_was_sent_after_them(room: ModuleType, bus: PrivateBus) -> None:
    async def story() -> None:
        def handler(call: Any) -> None:
            for number in range(500):
                service.emit(PATH, INTERFACE, "Progress", "u", [number])
            service.reply(call)

        seen: list[int] = []
        service, client = await pair(room, bus, handler)
        await client.subscribe(lambda signal: seen.append(signal.body[0]), sender=SERVICE, member="Progress")
        for _ in range(3):
            seen.clear()
            await client.call(SERVICE, PATH, INTERFACE, "Do")
            assert seen == list(range(500))

    play(story())


def test_a_signal_to_one_reaches_only_that_one(room: ModuleType, bus: PrivateBus) -> None:
    async def story() -> None:
        mine: list[Any] = []
        theirs: list[Any] = []
        service, client = await pair(room, bus, lambda call: service.reply(call))
        other = await room.Bus.connect(bus.address)
        await client.subscribe(mine.append, interface=INTERFACE)
        await other.subscribe(theirs.append, interface=INTERFACE)
        service.emit(PATH, INTERFACE, "Private", "s", ["for you"], destination=client.name)
        await client.call(SERVICE, PATH, INTERFACE, "Do")
        await other.call(SERVICE, PATH, INTERFACE, "Do")
        assert [signal.body for signal in mine] == [["for you"]]
        assert theirs == []

    play(story())


def test_a_subscription_by_name_follows_the_name_to_its_next_owner(room: ModuleType, bus: PrivateBus) -> None:
    async def story() -> None:
        texts: list[str] = []
        first, client = await pair(room, bus, lambda call: None)
        second = await room.Bus.connect(bus.address)
        await client.subscribe(lambda signal: texts.append(signal.body[0]), sender=SERVICE, member="Said")
        second.emit(PATH, INTERFACE, "Said", "s", ["by somebody else"])
        first.emit(PATH, INTERFACE, "Said", "s", ["by the first"])
        await first.close()
        await until_left(second, SERVICE)
        await second.request_name(SERVICE)
        second.emit(PATH, INTERFACE, "Said", "s", ["by the second"])
        await until(lambda: "by the second" in texts)
        assert texts == ["by the first", "by the second"]

    play(story())


def test_a_name_and_the_first_signal_under_it_may_come_in_one_read(
    room: ModuleType, bus: PrivateBus
) -> None:
    async def story() -> None:
        texts: list[str] = []
        client = await room.Bus.connect(bus.address)
        await client.subscribe(lambda signal: texts.append(signal.body[0]), sender=SERVICE, member="Said")
        with RawClient(bus.address) as service:            # it blocks: meanwhile the client reads nothing
            wanted = rawbus.align(rawbus.strings(SERVICE), 4) + (4).to_bytes(4, "little")
            service.ask(BUS, "/org/freedesktop/DBus", BUS, "RequestName", "su", wanted)
            fields = rawbus.call_fields(None, PATH, INTERFACE, "Said", "s")
            service.send(rawbus.frame(rawbus.SIGNAL, service.serial(), fields, rawbus.strings("at once")))
            service.ask(BUS, "/org/freedesktop/DBus", BUS, "GetId")
            await until(lambda: bool(texts))
        assert texts == ["at once"]

    play(story())


def test_one_listener_that_fails_does_not_silence_the_others(
    room: ModuleType, daemon: PrivateBus, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        def fail(signal: Any) -> None:
            raise ValueError("I cannot hear")

        heard: list[Any] = []
        service, client = await pair(room, daemon, lambda call: None)
        await client.subscribe(fail, interface=INTERFACE)
        await client.subscribe(heard.append, interface=INTERFACE)
        service.emit(PATH, INTERFACE, "Said")
        service.emit(PATH, INTERFACE, "Said")
        await until(lambda: len(heard) == 2)

    play(story())
    assert caplog.text.count("ValueError: I cannot hear\n") == 2


def test_a_rule_that_the_bus_refuses_leaves_nothing_behind(room: ModuleType, bus: PrivateBus) -> None:
    async def story() -> None:
        heard: list[Any] = []
        service, client = await pair(room, bus, lambda call: service.reply(call))
        with pytest.raises(room.CallError) as caught:
            await client.subscribe(heard.append, path="not a path")
        assert caught.value.name == "org.freedesktop.DBus.Error.MatchRuleInvalid"
        service.emit(PATH, INTERFACE, "Said")
        await client.call(SERVICE, PATH, INTERFACE, "Do")
        assert heard == []

    play(story())


def test_a_departure_is_told_once(room: ModuleType, bus: PrivateBus) -> None:
    async def story() -> None:
        gone: list[str] = []
        service, client = await pair(room, bus, lambda call: None)
        other = await room.Bus.connect(bus.address)
        service.watch(client.name, lambda: gone.append("client"))
        service.watch(client.name, lambda: gone.append("client again"))
        service.watch(other.name, lambda: gone.append("other"))
        await service.call(BUS, "/", BUS, "GetId")
        assert gone == []
        await client.close()
        await until(lambda: len(gone) == 2)
        await service.call(BUS, "/", BUS, "GetId")
        assert gone == ["client", "client again"]
        await other.close()
        await until(lambda: len(gone) == 3)

    play(story())


def test_a_connection_that_left_before_it_was_watched_is_told_too(room: ModuleType, bus: PrivateBus) -> None:
    async def story() -> None:
        gone: list[int] = []
        service, client = await pair(room, bus, lambda call: None)
        name = client.name
        await client.close()
        await until_left(service, name)
        service.watch(name, lambda: gone.append(1))
        await until(lambda: gone == [1])

    play(story())


def test_a_client_killed_in_the_moment_of_watching_is_never_missed(room: ModuleType, bus: PrivateBus) -> None:
    async def story() -> None:
        gone: list[str] = []
        service, _ = await pair(room, bus, lambda call: None)
        clients = [await asyncio.to_thread(RawClient, bus.address) for _ in range(40)]
        for number, client in enumerate(clients):
            if number % 2:
                client.close()
            service.watch(client.name, lambda name=client.name: gone.append(name))
            if not number % 2:
                client.close()
        await until(lambda: len(gone) == 40)
        assert sorted(gone) == sorted(client.name for client in clients)

    play(story())


def test_who_is_not_watched_any_more_is_not_told_of(room: ModuleType, bus: PrivateBus) -> None:
    async def story() -> None:
        gone: list[str] = []
        service, client = await pair(room, bus, lambda call: None)
        other = await room.Bus.connect(bus.address)

        def on_client() -> None:
            gone.append("client")

        service.watch(client.name, on_client)
        service.watch(other.name, lambda: gone.append("other"))
        service.unwatch(client.name, on_client)
        service.unwatch(client.name, on_client)
        await client.close()
        await other.close()
        await until(lambda: bool(gone))
        assert gone == ["other"]

    play(story())


def test_an_idle_service_does_not_hear_of_strangers_who_leave(
    room: ModuleType, wire_pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = wire_pair

    async def story() -> None:
        bus = room.Bus(ours)

        def nothing() -> None:
            raise AssertionError("nobody has left")

        bus.watch(":1.7", nothing)
        bus.watch(":1.8", nothing)
        bus.unwatch(":1.7", nothing)
        assert theirs.recv(65536).count(b"AddMatch") == 1
        bus.unwatch(":1.8", nothing)
        assert b"RemoveMatch" in theirs.recv(65536)
        await bus.close()

    play(story())


def test_a_departure_is_told_after_the_last_call(
    room: ModuleType, wire_pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = wire_pair

    async def story() -> None:
        bus = room.Bus(ours)
        events: list[Any] = []
        bus.serve(lambda call: events.append(call.serial))
        bus.watch(":1.7", lambda: events.append("gone"))
        calls = b"".join(_from(":1.7", rawbus.CALL, "Do", serial) for serial in range(1, 101))
        theirs.sendall(calls + _from(BUS, rawbus.SIGNAL, "NameOwnerChanged", 1, ":1.7", ":1.7", ""))
        await until(lambda: "gone" in events)
        assert events == [*range(1, 101), "gone"]
        await bus.close()

    play(story())


def test_only_the_bus_itself_can_say_that_somebody_left(room: ModuleType, bus: PrivateBus) -> None:
    async def story() -> None:
        gone: list[int] = []
        service, client = await pair(room, bus, lambda call: service.reply(call))
        service.watch(client.name, lambda: gone.append(1))
        with RawClient(bus.address) as liar:
            fields = rawbus.call_fields(service.name, "/org/freedesktop/DBus", BUS, "NameOwnerChanged", "sss")
            body = rawbus.strings(client.name, client.name, "")
            liar.send(rawbus.frame(rawbus.SIGNAL, liar.serial(), fields, body))
            await asyncio.to_thread(liar.ask, SERVICE, PATH, INTERFACE, "Do")
        assert gone == []

    play(story())


def test_a_name_has_one_owner(room: ModuleType, bus: PrivateBus) -> None:
    async def story() -> None:
        service, other = await pair(room, bus, lambda call: None)
        await service.request_name(SERVICE)                      # it has it already
        with pytest.raises(room.CallError) as caught:
            await other.request_name(SERVICE)
        assert caught.value.name == "org.freedesktop.DBus.Error.AddressInUse"
        await service.release_name(SERVICE)
        await other.request_name(SERVICE)
        assert not service.closed.done()

    play(story())


@pytest.mark.requires("dbus-daemon")
def test_a_name_that_policy_denies_is_an_error(room: ModuleType, tmp_path: Any) -> None:
    policy = "<busconfig><policy context='default'><allow own='org.example.Other'/></policy></busconfig>"

    async def story(address: str) -> None:
        service = await room.Bus.connect(address)
        await service.request_name("org.example.Other")
        with pytest.raises(room.CallError) as caught:
            await service.request_name(SERVICE)
        assert caught.value.name == "org.freedesktop.DBus.Error.AccessDenied"

    with PrivateBus(tmp_path, policy_xml=policy) as bus:
        play(story(bus.address))


def test_losing_the_name_ends_the_connection(
    room: ModuleType, wire_pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = wire_pair

    async def story() -> None:
        bus = room.Bus(ours)
        bus._dispatcher.names.add(SERVICE)
        theirs.sendall(_from(BUS, rawbus.SIGNAL, "NameLost", 1, "org.example.Other"))
        theirs.sendall(_from(":1.9", rawbus.SIGNAL, "NameLost", 2, SERVICE))
        theirs.sendall(_from(BUS, rawbus.SIGNAL, "NameLost", 3, SERVICE))
        cause = await bus.closed
        assert isinstance(cause, room.CallError)
        assert SERVICE in cause.text

    play(story())


def test_the_bus_says_whose_connection_it_is(room: ModuleType, bus: PrivateBus) -> None:
    async def story() -> None:
        service, client = await pair(room, bus, lambda call: None)
        assert await service.credentials(client.name) == room.Credentials(os.geteuid(), os.getpid())
        name = client.name
        await client.close()
        assert await service.credentials(name) == room.Credentials(os.geteuid(), os.getpid())
        with pytest.raises(room.CallError) as caught:
            await service.credentials(":1.99999")
        assert caught.value.name == "org.freedesktop.DBus.Error.NameHasNoOwner"

    play(story())


def _from(sender: str, kind: int, member: str, serial: int, *texts: str) -> bytes:
    interface = BUS if kind == rawbus.SIGNAL else INTERFACE
    fields = rawbus.call_fields(None, "/org/freedesktop/DBus", interface, member, "s" * len(texts))
    fields.append(rawbus.header_field(rawbus.SENDER, "s", rawbus.string(sender)))
    return rawbus.frame(kind, serial, fields, rawbus.strings(*texts), rawbus.NO_REPLY)
