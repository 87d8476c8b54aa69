# SPDX-License-Identifier: LGPL-2.1-or-later
"""Calling and being called: who asks, what comes back, and that something always does."""

from __future__ import annotations

import asyncio
import gc
import logging
import struct
import threading
import weakref
from types import ModuleType
from typing import Any

import pytest

from support import rawbus
from support.privatebus import PrivateBus
from support.rawbus import RawClient
from support.stories import INTERFACE, PATH, SERVICE, pair, play, until, until_left


def test_a_call_reaches_the_handler_and_its_answer_the_caller(room: ModuleType, bus: PrivateBus) -> None:
    async def story() -> None:
        seen: list[Any] = []

        def handler(call: Any) -> None:
            seen.append((call.sender, call.path, call.interface, call.member, call.signature))
            echo = {"echo": room.Variant("t", call.body[1]["size"].value)}
            service.reply(call, "a{sv}as", [echo, ["a", "b"]])

        service, client = await pair(room, bus, handler)
        options = {"size": room.Variant("t", 2**53)}
        reply = await client.call(SERVICE, PATH, INTERFACE, "Echo", "sa{sv}", ["x", options])
        assert room.unwrap(reply.body) == [{"echo": 2**53}, ["a", "b"]]
        assert reply.fds == []
        assert seen == [(client.name, PATH, INTERFACE, "Echo", "sa{sv}")]

    play(story())


def test_a_body_looks_the_same_whichever_library_reads_it(room: ModuleType, daemon: PrivateBus) -> None:
    async def story() -> None:
        def echo(call: Any) -> None:
            service.reply(call, call.signature, call.body)

        service, client = await pair(room, daemon, echo)
        kind = "ybnqiuxtdsogay(st)a(ub)a{s(ii)}av"
        body = [255, True, -32768, 65535, -1, 2**32 - 1, -(2**63), 2**64 - 1, 0.5, "ä", "/a/b", "a{sv}",
                b"\0\xff", ["x", 1], [[1, True], [2, False]], {"k": [1, -2]},
                [room.Variant("ay", b"raw"), room.Variant("(sv)", ["in", room.Variant("(y)", [3])])]]
        answer = (await client.call(SERVICE, PATH, INTERFACE, "Echo", kind, body)).body
        assert answer == body
        assert [type(value) for value in answer] == [type(value) for value in body]
        assert type(answer[-1][0].value) is bytes
        assert room.unwrap(answer[-1]) == [b"raw", ["in", [3]]]

    play(story())


@pytest.mark.parametrize("interactive", [True, False])
def test_the_handler_learns_whether_the_caller_can_answer_a_dialogue(
    room: ModuleType, bus: PrivateBus, interactive: bool
) -> None:
    async def story() -> None:
        service, client = await pair(room, bus, lambda call: service.reply(call, "b", [call.interactive]))
        reply = await client.call(SERVICE, PATH, INTERFACE, "Ask", interactive=interactive)
        assert reply.body == [interactive]

    play(story())


def test_a_call_without_an_interface_is_legal(room: ModuleType, bus: PrivateBus) -> None:
    async def story() -> None:
        service, _ = await pair(room, bus, lambda call: service.reply(call, "s", [str(call.interface)]))
        with RawClient(bus.address) as raw:
            answer = await asyncio.to_thread(raw.ask, SERVICE, PATH, None, "Anything")
        assert (answer.kind, answer.text) == (rawbus.RETURN, "None")

    play(story())


def test_nobody_who_wants_no_reply_gets_one(room: ModuleType, bus: PrivateBus) -> None:
    async def story() -> None:
        def handler(call: Any) -> None:
            handled.append(call.no_reply)
            if call.member == "Fail":
                service.fail(call, room.Error.FAILED, "no")
            else:
                service.reply(call, "s", ["yes"], done=told.append)

        handled: list[bool] = []
        told: list[bool] = []
        service, _ = await pair(room, bus, handler)
        with RawClient(bus.address) as raw:
            raw.call(SERVICE, PATH, INTERFACE, "Fail", flags=rawbus.NO_REPLY)
            raw.call(SERVICE, PATH, INTERFACE, "Do", flags=rawbus.NO_REPLY)
            last = raw.call(SERVICE, PATH, INTERFACE, "Do")
            await until(lambda: len(handled) == 3)
            answers = [await asyncio.to_thread(raw.receive)]
            while answers[-1].reply_serial != last:
                answers.append(await asyncio.to_thread(raw.receive))
        assert handled == [True, True, False]
        assert told == [False, True]
        assert [answer.reply_serial for answer in answers if answer.kind != rawbus.SIGNAL] == [last]

    play(story())


def test_what_a_handler_raises_is_not_told_to_the_caller(
    room: ModuleType, daemon: PrivateBus, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        def handler(call: Any) -> None:
            if call.member == "Async":
                service.run(call, secretly(call))
            else:
                raise ValueError("the secret is 42")

        async def secretly(call: Any) -> None:
            await asyncio.sleep(0)
            raise ValueError("the secret is 43")

        service, client = await pair(room, daemon, handler)
        for member in ("Sync", "Async"):
            with pytest.raises(room.CallError) as caught:
                await client.call(SERVICE, PATH, INTERFACE, member)
            assert caught.value.name == "org.freedesktop.DBus.Error.Failed"
            assert caught.value.text == f"{member} failed; the journal says more"

    play(story())
    assert "the secret is 42" in caplog.text
    assert "the secret is 43" in caplog.text


def test_an_error_meant_for_the_caller_is_told_as_it_is_and_not_logged(
    room: ModuleType, daemon: PrivateBus, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        def handler(call: Any) -> None:
            if call.member == "Async":
                service.run(call, refuse())
            else:
                raise room.CallError("org.example.Error.Busy", "drive a is busy")

        async def refuse() -> None:
            raise room.CallError("org.example.Error.Busy", "drive a is busy")

        service, client = await pair(room, daemon, handler)
        for member in ("Sync", "Async"):
            with pytest.raises(room.CallError) as caught:
                await client.call(SERVICE, PATH, INTERFACE, member)
            assert (caught.value.name, caught.value.text) == ("org.example.Error.Busy", "drive a is busy")

    with caplog.at_level(logging.INFO):
        play(story())
    assert caplog.records == []


def test_an_error_text_that_no_bus_would_take_is_cleaned(room: ModuleType, daemon: PrivateBus) -> None:
    async def story() -> None:
        service, client = await pair(room, daemon, lambda call: service.fail(call, "no name", "a\0b\udcffc"))
        with pytest.raises(room.CallError) as caught:
            await client.call(SERVICE, PATH, INTERFACE, "Do")
        assert (caught.value.name, caught.value.text) == (room.Error.FAILED, "a\ufffdb?c")

    play(story())


def test_a_cancelled_answer_is_still_an_answer(room: ModuleType, daemon: PrivateBus) -> None:
    async def story() -> None:
        tasks: list[asyncio.Task[None]] = []
        service, client = await pair(
            room, daemon, lambda call: tasks.append(service.run(call, asyncio.sleep(3600)))
        )
        waiting = asyncio.ensure_future(client.call(SERVICE, PATH, INTERFACE, "Wait"))
        await until(lambda: bool(tasks))
        tasks[0].cancel()
        with pytest.raises(room.CallError) as caught:
            await waiting
        assert caught.value.name == "org.freedesktop.DBus.Error.NoReply"

    play(story())


def test_a_handler_that_forgets_its_caller_is_answered_for(
    room: ModuleType, daemon: PrivateBus, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        service, client = await pair(room, daemon, lambda call: service.run(call, asyncio.sleep(0)))
        with pytest.raises(room.CallError, match="Do has no answer"):
            await client.call(SERVICE, PATH, INTERFACE, "Do")

    play(story())
    assert "left without an answer" in caplog.text


def test_a_running_answer_survives_the_garbage_collector(room: ModuleType, daemon: PrivateBus) -> None:
    async def story() -> None:
        waiting_for: list[weakref.ref[asyncio.Future[str]]] = []

        async def slowly(call: Any) -> None:
            future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            waiting_for.append(weakref.ref(future))    # nothing but the task itself keeps it alive
            service.reply(call, "s", [await future])

        def handler(call: Any) -> None:
            service.run(call, slowly(call))

        service, client = await pair(room, daemon, handler)
        reply = asyncio.ensure_future(client.call(SERVICE, PATH, INTERFACE, "Do"))
        await until(lambda: bool(waiting_for))
        gc.collect()
        future = waiting_for[0]()
        assert future is not None
        future.set_result("still here")
        assert (await reply).body == ["still here"]

    play(story())


def test_a_second_answer_is_not_sent(room: ModuleType, daemon: PrivateBus) -> None:
    async def story() -> None:
        def handler(call: Any) -> None:
            service.reply(call, "s", ["first"])
            service.reply(call, "s", ["second"])
            service.fail(call, room.Error.FAILED, "third")

        service, client = await pair(room, daemon, handler)
        assert (await client.call(SERVICE, PATH, INTERFACE, "Do")).body == ["first"]
        assert (await client.call(SERVICE, PATH, INTERFACE, "Do")).body == ["first"]

    play(story())


def test_a_call_that_nobody_answers_ends_in_time(room: ModuleType, bus: PrivateBus) -> None:
    async def story() -> None:
        _, client = await pair(room, bus, lambda call: None)
        with pytest.raises(room.CallError) as caught:
            await client.call(SERVICE, PATH, INTERFACE, "Wait", timeout=0.05)
        assert caught.value.name == "org.freedesktop.DBus.Error.Timeout"

    play(story())


def test_a_late_answer_and_its_descriptors_are_thrown_away(room: ModuleType, daemon: PrivateBus) -> None:
    async def story() -> None:
        calls: list[Any] = []
        service, client = await pair(room, daemon, calls.append)
        with pytest.raises(room.CallError):
            await client.call(SERVICE, PATH, INTERFACE, "Wait", timeout=0.01)
        service.reply(calls[0], "s", ["late"])
        service.serve(lambda call: service.reply(call, "s", ["in time"]))
        assert (await client.call(SERVICE, PATH, INTERFACE, "Do")).body == ["in time"]

    play(story())


@pytest.mark.parametrize("timeout", [25.0, None])
def test_a_call_ends_when_the_bus_dies(room: ModuleType, bus: PrivateBus, timeout: float | None) -> None:
    async def story() -> None:
        calls: list[Any] = []
        service, client = await pair(room, bus, calls.append)
        waiting = asyncio.ensure_future(client.call(SERVICE, PATH, INTERFACE, "Wait", timeout=timeout))
        await until(lambda: bool(calls))
        await asyncio.to_thread(bus.stop)
        with pytest.raises(room.CallError) as caught:
            await waiting
        assert caught.value.name == "org.freedesktop.DBus.Error.Disconnected"
        assert isinstance(await service.closed, OSError)
        with pytest.raises(room.CallError) as caught:
            await client.call(SERVICE, PATH, INTERFACE, "Again")
        assert caught.value.name == "org.freedesktop.DBus.Error.Disconnected"

    play(story())


def test_a_bus_that_was_closed_is_no_fault(room: ModuleType, daemon: PrivateBus) -> None:
    async def story() -> None:
        service, client = await pair(room, daemon, lambda call: None)
        waiting = asyncio.ensure_future(client.call(SERVICE, PATH, INTERFACE, "Wait"))
        await asyncio.sleep(0)
        await client.close()
        with pytest.raises(room.CallError, match="closed"):
            await waiting
        assert await client.closed is None
        client.emit(PATH, INTERFACE, "Unheard")
        await client.drain()
        await client.close()
        await until_left(service, client.name)

    play(story())


def test_closing_ends_the_answers_that_still_run(room: ModuleType, daemon: PrivateBus) -> None:
    async def story() -> None:
        tasks: list[asyncio.Task[None]] = []
        service, client = await pair(
            room, daemon, lambda call: tasks.append(service.run(call, asyncio.sleep(3600)))
        )
        waiting = asyncio.ensure_future(client.call(SERVICE, PATH, INTERFACE, "Wait"))
        await until(lambda: bool(tasks))
        await service.close()
        assert tasks[0].cancelled()
        with pytest.raises(room.CallError) as caught:
            await waiting
        assert caught.value.name == "org.freedesktop.DBus.Error.NoReply"

    play(story())


def test_a_handler_may_close_the_bus(room: ModuleType, daemon: PrivateBus) -> None:
    async def story() -> None:
        service, client = await pair(room, daemon, lambda call: service.run(call, service.close()))
        with pytest.raises(room.CallError) as caught:
            await client.call(SERVICE, PATH, INTERFACE, "Leave")
        assert caught.value.name == "org.freedesktop.DBus.Error.NoReply"
        assert await service.closed is None

    play(story())


def test_where_nothing_is_served_nothing_is_known(room: ModuleType, daemon: PrivateBus) -> None:
    async def story() -> None:
        one, other = await room.Bus.connect(daemon.address), await room.Bus.connect(daemon.address)
        with pytest.raises(room.CallError) as caught:
            await one.call(other.name, PATH, INTERFACE, "Do")
        assert caught.value.name == "org.freedesktop.DBus.Error.UnknownObject"

    play(story())


def test_the_wrong_thread_is_refused(room: ModuleType, daemon: PrivateBus) -> None:
    async def story() -> None:
        _, client = await pair(room, daemon, lambda call: None)
        caught: list[BaseException] = []

        def meddle() -> None:
            try:
                client.emit(PATH, INTERFACE, "FromElsewhere")
            except RuntimeError as exc:
                caught.append(exc)

        thread = threading.Thread(target=meddle)
        thread.start()
        thread.join()
        assert len(caught) == 1

    play(story())


def test_arguments_that_the_library_cannot_read_harm_only_their_sender(
    room: ModuleType, daemon: PrivateBus
) -> None:
    tiny = b"\1y\0\7" * 20_000                         # an array of twenty thousand variants

    async def story() -> None:
        def handler(call: Any) -> None:
            service.reply(call, "u", [len(call.body[0])])

        service, client = await pair(room, daemon, handler)
        with RawClient(daemon.address) as raw:
            answer = await asyncio.to_thread(
                raw.ask, SERVICE, PATH, INTERFACE, "Do", "av", struct.pack("<I", len(tiny)) + tiny
            )
        if room.LIBRARY == "dbus_next":
            assert answer.error_name == "org.freedesktop.DBus.Error.InvalidArgs"
            assert "too many values" in answer.text
        else:
            assert answer.kind == rawbus.RETURN          # read at once: no need to refuse it
        assert (await client.call(SERVICE, PATH, INTERFACE, "Do", "as", [["a"]])).body == [1]

    play(story())


def test_arguments_longer_than_any_of_ours_are_refused_unread(room: ModuleType, bus: PrivateBus) -> None:
    async def story() -> None:
        seen: list[Any] = []

        def handler(call: Any) -> None:
            seen.append(call.member)
            service.reply(call)

        service, client = await pair(room, bus, handler)
        with pytest.raises(room.CallError) as caught:
            await client.call(SERVICE, PATH, INTERFACE, "Long", "ay", [bytes(1024 * 1024)])
        assert caught.value.name == "org.freedesktop.DBus.Error.LimitsExceeded"
        await client.call(SERVICE, PATH, INTERFACE, "Short", "ay", [bytes(128 * 1024)])
        assert seen == ["Short"]

    play(story())


def test_a_long_reply_is_read(room: ModuleType, bus: PrivateBus) -> None:
    data = bytes(range(256)) * 16 * 1024

    async def story() -> None:
        service, client = await pair(room, bus, lambda call: service.reply(call, "ay", [data]))
        assert (await client.call(SERVICE, PATH, INTERFACE, "Get")).body == [data]

    play(story())
