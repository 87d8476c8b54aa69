# SPDX-License-Identifier: LGPL-2.1-or-later
"""The object tree as a client meets it: the standard interfaces, and the right error for everything else."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest
from dbus_next.aio import MessageBus
from dbus_next.constants import MessageFlag, MessageType
from dbus_next.message import Message

from tapeds import errors, names
from tapeds.buslib import Bus, CallError, Incoming, Variant, unwrap
from tapeds.buslib.schema import api
from tapeds.buslib.wire import CALL, Frame
from tapeds.dbus.callers import Callers
from tapeds.dbus.polkit import Polkit
from tapeds.dbus.server import MAXIMUM_PENDING, Server

LTO0 = names.drive_path("lto0")
PROPERTIES = "org.freedesktop.DBus.Properties"
INTROSPECTABLE = "org.freedesktop.DBus.Introspectable"
PEER = "org.freedesktop.DBus.Peer"
OBJECT_MANAGER = "org.freedesktop.DBus.ObjectManager"
BUS_ERROR = "org.freedesktop.DBus.Error."

Play = Callable[[Any], None]


async def refused(call: Any) -> CallError:
    with pytest.raises(CallError) as caught:
        await call
    return caught.value


# --- introspection ------------------------------------------------------------------------------


async def tree(scene: Any, path: str) -> ElementTree.Element:
    reply = await scene.call(path, INTROSPECTABLE, "Introspect")
    return ElementTree.fromstring(reply.body[0])


def test_introspection_shows_argument_names_and_annotations(play: Play) -> None:
    async def story(scene: Any) -> None:
        node = await tree(scene, LTO0)
        (drive,) = [i for i in node.iter("interface") if i.get("name") == names.DRIVE]
        (method,) = [m for m in drive.iter("method") if m.get("name") == "MoveToFile"]
        assert [(a.get("name"), a.get("type"), a.get("direction")) for a in method.iter("arg")] == [
            ("file", "t", "in"),
            ("options", "a{sv}", "in"),
            ("job", "o", "out"),
        ]
        (lock,) = [p for p in drive.iter("property") if p.get("name") == "LockHolder"]
        assert [(a.get("name"), a.get("value")) for a in lock.iter("annotation")] == [
            ("org.freedesktop.DBus.Property.EmitsChangedSignal", "false"),
            ("org.tapeds1.Since", "1.0"),
        ]

    play(story)


def test_introspection_is_the_shipped_xml_member_by_member(play: Play) -> None:
    def members(interface: ElementTree.Element) -> set[tuple[str, ...]]:
        return {
            (
                kind,
                str(member.get("name")),
                str(member.get("access")),
                *(f"{a.get('name')} {a.get('type')}" for a in member.iter("arg")),
            )
            for kind in ("method", "property", "signal")
            for member in interface.iter(kind)
        }

    async def story(scene: Any) -> None:
        from tapeds.buslib.schema import api_xml

        shipped = {i.get("name"): members(i) for i in ElementTree.fromstring(api_xml()).iter("interface")}
        await scene.drive("Acquire")
        await scene.drive("WriteFile")
        seen: dict[Any, Any] = {}
        for path in (
            names.MANAGER_PATH,
            LTO0,
            names.changer_path("lto0"),
            names.session_path(1),
            names.job_path(1),
            names.LOG_CONTROL_PATH,
        ):
            seen |= {i.get("name"): members(i) for i in (await tree(scene, path)).iter("interface")}
        assert {name: seen.get(name) for name in shipped} == shipped

    play(story)


def test_every_node_on_the_way_lists_its_children(play: Play) -> None:
    async def story(scene: Any) -> None:
        async def children(path: str) -> list[str | None]:
            return [node.get("name") for node in (await tree(scene, path)).findall("node")]

        assert await children("/") == ["org"]
        assert await children("/org") == ["freedesktop", "tapeds1"]
        assert await children(names.ROOT_PATH) == ["Manager", "changers", "drives"]
        assert await children(f"{names.ROOT_PATH}/drives") == ["lto0", "lto1"]
        assert await children(LTO0) == []

    play(story)


def test_a_path_that_leads_nowhere_has_nothing_to_introspect(play: Play) -> None:
    async def story(scene: Any) -> None:
        for path in (f"{names.ROOT_PATH}/dri", f"{LTO0}/inner", "/nowhere"):
            error = await refused(scene.call(path, INTROSPECTABLE, "Introspect"))
            assert error.name == BUS_ERROR + "UnknownObject", path

    play(story)


# --- properties ---------------------------------------------------------------------------------


def test_a_property_is_read_with_its_interface_or_without(play: Play) -> None:
    async def story(scene: Any) -> None:
        assert await scene.get(LTO0, names.DRIVE, "Name") == "lto0"
        assert await scene.get(LTO0, "", "Name") == "lto0"
        everything = (await scene.call(LTO0, PROPERTIES, "GetAll", "s", names.DRIVE)).body[0]
        assert set(everything) == set(api()[names.DRIVE].properties)
        assert (await scene.call(LTO0, PROPERTIES, "GetAll", "s", "")).body[0] == everything

    play(story)


def test_an_object_with_two_interfaces_shows_the_properties_of_both_to_an_empty_name(play: Play) -> None:
    async def story(scene: Any) -> None:
        await scene.drive("WriteFile")
        found = (await scene.call(names.job_path(1), PROPERTIES, "GetAll", "s", "")).body[0]
        assert {"Operation", "Direction"} <= set(found)
        assert await scene.get(names.job_path(1), "", "Direction") == "write"

    play(story)


@pytest.mark.parametrize(
    ("path", "interface", "name", "error"),
    [
        (LTO0, names.DRIVE, "Colour", "UnknownProperty"),
        (LTO0, "", "Colour", "UnknownProperty"),
        (LTO0, "org.tapeds1.Drive.Health", "Name", "UnknownInterface"),
        ("/org/tapeds1/drives/lto9", names.DRIVE, "Name", "UnknownObject"),
        ("/org/tapeds1/drives/lto9", "", "Name", "UnknownObject"),
        (names.ROOT_PATH, names.DRIVE, "Name", "UnknownInterface"),
    ],
)
def test_a_property_that_is_not_there(play: Play, path: str, interface: str, name: str, error: str) -> None:
    async def story(scene: Any) -> None:
        assert (await refused(scene.get(path, interface, name))).name == BUS_ERROR + error

    play(story)


def test_a_property_that_cannot_be_set(play: Play) -> None:
    async def story(scene: Any) -> None:
        for interface in (names.DRIVE, ""):
            error = await refused(
                scene.call(LTO0, PROPERTIES, "Set", "ssv", interface, "State", Variant("s", "idle"))
            )
            assert error.name == BUS_ERROR + "PropertyReadOnly"

    play(story)


def test_one_getter_that_fails_is_left_out_and_the_rest_is_there(
    play: Play, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(scene: Any) -> None:
        del scene.service.drives["lto0"].serial
        everything = (await scene.call(LTO0, PROPERTIES, "GetAll", "s", names.DRIVE)).body[0]
        assert set(api()[names.DRIVE].properties) - set(everything) == {"Serial"}
        await scene.call(LTO0, PROPERTIES, "GetAll", "s", names.DRIVE)
        assert LTO0 in await scene.managed()
        error = await refused(scene.get(LTO0, names.DRIVE, "Serial"))
        assert error.name == "org.tapeds1.Error.Internal"

    play(story)
    told = [record for record in caplog.records if "property Serial" in record.getMessage()]
    assert len(told) == 1


def test_a_property_of_another_type_than_the_api_says_spoils_nothing_else(
    play: Play, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(scene: Any) -> None:
        await scene.listen()
        scene.service.drives["lto0"].change(capacity_bytes=-1, state="busy")
        await scene.settle()
        assert [unwrap(signal.body[1]) for signal in scene.signals] == [{"State": "busy"}]
        assert "CapacityBytes" not in (await scene.managed())[LTO0][names.DRIVE]
        error = await refused(scene.get(LTO0, names.DRIVE, "CapacityBytes"))
        assert error.name == "org.tapeds1.Error.Internal"

    play(story)
    assert "property CapacityBytes" in caplog.text


def test_a_signal_that_cannot_be_sent_harms_nothing_else(
    play: Play, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(scene: Any) -> None:
        await scene.listen()
        scene.service.drives["lto0"].durability_lost.emit((-1, 5))
        scene.service.drives["lto0"].durability_lost.emit((1, 5))
        await scene.settle()
        assert [signal.body for signal in scene.signals] == [[1, 5]]

    play(story)
    assert "DurabilityLost" in caplog.text


def test_log_level_is_set_by_root_and_told_by_its_getter(play: Play) -> None:
    async def story(scene: Any) -> None:
        path, face = names.LOG_CONTROL_PATH, names.LOG_CONTROL
        assert await scene.get(path, face, "SyslogIdentifier") == "tapedsd"
        before = await scene.get(path, face, "LogLevel")
        await scene.call(path, PROPERTIES, "Set", "ssv", face, "LogLevel", Variant("s", "warning"))
        assert await scene.get(path, face, "LogLevel") == "warning"
        error = await refused(
            scene.call(path, PROPERTIES, "Set", "ssv", face, "LogLevel", Variant("s", "loud"))
        )
        assert error.name == "org.tapeds1.Error.InvalidOption"
        error = await refused(scene.call(path, PROPERTIES, "Set", "ssv", face, "LogLevel", Variant("u", 3)))
        assert error.name == BUS_ERROR + "InvalidArgs"
        scene.callers.uid = 1000
        error = await refused(
            scene.call(path, PROPERTIES, "Set", "ssv", face, "LogLevel", Variant("s", "debug"))
        )
        assert error.name == BUS_ERROR + "AccessDenied"
        scene.callers.uid = 0
        await scene.call(path, PROPERTIES, "Set", "ssv", face, "LogLevel", Variant("s", before))

    play(story)


# --- object manager, peer -----------------------------------------------------------------------


def test_managed_objects_are_told_at_the_root_path_only(play: Play) -> None:
    async def story(scene: Any) -> None:
        managed = await scene.managed()
        assert set(managed) == {
            names.MANAGER_PATH,
            LTO0,
            names.drive_path("lto1"),
            names.changer_path("lto0"),
            names.changer_path("lto1"),
        }
        assert set(managed[LTO0]) == {names.DRIVE}
        error = await refused(scene.call(LTO0, OBJECT_MANAGER, "GetManagedObjects"))
        assert error.name == BUS_ERROR + "UnknownInterface"
        error = await refused(scene.call("/nowhere", OBJECT_MANAGER, "GetManagedObjects"))
        assert error.name == BUS_ERROR + "UnknownObject"

    play(story)


def test_a_new_object_is_told_once_with_all_its_interfaces_from_the_root_path(play: Play) -> None:
    async def story(scene: Any) -> None:
        await scene.listen()
        await scene.drive("WriteFile")
        scene.service.forget(scene.service.jobs.jobs[1])
        await scene.settle()
        told = [s for s in scene.signals if s.interface == OBJECT_MANAGER]
        assert [(s.path, s.member, s.body[0]) for s in told] == [
            (names.ROOT_PATH, "InterfacesAdded", names.job_path(1)),
            (names.ROOT_PATH, "InterfacesRemoved", names.job_path(1)),
        ]
        assert set(told[0].body[1]) == set(told[1].body[1]) == {names.JOB, names.TRANSFER}
        assert unwrap(told[0].body[1][names.JOB]["Operation"]) == "write-file"

    play(story)


def test_peer_answers_at_any_path(play: Play) -> None:
    async def story(scene: Any) -> None:
        assert (await scene.call("/any/where", PEER, "Ping")).body == []
        with open("/etc/machine-id", encoding="ascii") as file:
            assert (await scene.call("/", PEER, "GetMachineId")).body == [file.read().strip()]

    play(story)


# --- calls that are wrong ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "interface", "member", "signature", "error"),
    [
        ("/org/tapeds1/drives/lto9", names.DRIVE, "Rewind", "a{sv}", "UnknownObject"),
        (LTO0, "org.tapeds1.Drive.Health", "Rewind", "a{sv}", "UnknownInterface"),
        (LTO0, names.DRIVE, "Fly", "a{sv}", "UnknownMethod"),
        (LTO0, PROPERTIES, "Fly", "", "UnknownMethod"),
        (LTO0, None, "Fly", "a{sv}", "UnknownMethod"),
        (LTO0, names.DRIVE, "Rewind", "", "InvalidArgs"),
        (LTO0, PROPERTIES, "GetAll", "", "InvalidArgs"),
    ],
)
def test_a_wrong_call_is_answered_by_the_standard_error(
    play: Play, path: str, interface: str | None, member: str, signature: str, error: str
) -> None:
    async def story(scene: Any) -> None:
        call = scene.call(path, interface, member, signature, *([{}] if signature else []))
        assert (await refused(call)).name == BUS_ERROR + error

    play(story)


def test_a_call_without_an_interface_finds_its_method(play: Play) -> None:
    async def story(scene: Any) -> None:
        assert unwrap((await scene.call(LTO0, None, "CurrentFileNumber", "a{sv}", {})).body) == [4]
        assert (await scene.call(LTO0, None, "Ping")).body == []

    play(story)


def test_a_wrong_option_is_refused_before_anybody_is_asked(play: Play, options: Any) -> None:
    async def story(scene: Any) -> None:
        scene.callers.uid = 1000
        error = await refused(scene.drive("Rewind", "a{sv}", options(fast=("b", True))))
        assert error.name == "org.tapeds1.Error.InvalidOption"

    play(story)


# --- errors out ---------------------------------------------------------------------------------


def test_an_error_of_the_service_goes_out_under_its_own_name(play: Play) -> None:
    async def story(scene: Any) -> None:
        scene.service.drives["lto0"].trouble = errors.Busy("drive lto0 is rewinding; wait for job 3")
        error = await refused(scene.drive("Rewind"))
        assert (error.name, error.text) == (
            "org.tapeds1.Error.Busy",
            "drive lto0 is rewinding; wait for job 3",
        )

    play(story)


def test_what_nobody_planned_is_internal_and_its_details_stay_in_the_journal(
    play: Play, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(scene: Any) -> None:
        scene.service.drives["lto0"].trouble = ZeroDivisionError("the secret of line 7")
        error = await refused(scene.drive("Rewind"))
        assert error.name == "org.tapeds1.Error.Internal"
        assert "secret" not in error.text
        assert "Traceback" not in error.text

    play(story)
    (record,) = [r for r in caplog.records if r.levelname == "ERROR"]
    assert record.exc_info is not None
    assert "the secret of line 7" in str(record.exc_info[1])


def test_an_error_text_with_what_no_string_of_dbus_can_hold_is_mended(play: Play) -> None:
    async def story(scene: Any) -> None:
        scene.service.drives["lto0"].trouble = errors.WrongLabel("found \0\udc80")
        assert (await refused(scene.drive("Rewind"))).text == "found " + "\N{REPLACEMENT CHARACTER}" * 2

    play(story)


def test_a_call_that_wants_no_reply_gets_none(play: Play) -> None:
    async def story(scene: Any) -> None:
        client = await MessageBus(bus_address=scene.address, negotiate_unix_fd=True).connect()
        heard: list[Message] = []
        client.add_message_handler(heard.append)
        for member in ("WriteFile", "Fly"):
            await client.send(
                Message(
                    destination=names.BUS_NAME,
                    path=LTO0,
                    interface=names.DRIVE,
                    member=member,
                    signature="a{sv}",
                    body=[{}],
                    flags=MessageFlag.NO_REPLY_EXPECTED,
                )
            )
        await client.call(Message(destination=names.BUS_NAME, path="/", interface=PEER, member="Ping"))
        while not scene.service.adopted:
            await scene.settle()
        await scene.settle()
        assert os.read(scene.service.adopted[0], 1) == b""       # the end that nobody wanted is closed
        os.close(scene.service.adopted[0])
        kinds = [message.message_type for message in heard]
        assert kinds.count(MessageType.METHOD_RETURN) == 1       # of Ping
        assert MessageType.ERROR not in kinds
        client.disconnect()

    play(story)


def test_a_waiting_call_is_answered_when_the_daemon_stops(play: Play) -> None:
    async def story(scene: Any) -> None:
        await scene.drive("Rewind")
        waiting = asyncio.create_task(scene.call(names.job_path(1), names.JOB, "Wait", "a{sv}", {}))
        await scene.settle()
        await scene.server.close()
        error = await refused(waiting)
        assert error.name == "org.tapeds1.Error.Cancelled"
        assert "stopping" in error.text
        assert (await refused(scene.drive("Rewind"))).name == "org.tapeds1.Error.Cancelled"

    play(story)


class Overheard:
    """A bus on which nobody is: ``deliver`` brings a call, ``said`` are the answers."""

    def __init__(self) -> None:
        self.said: list[Any] = []

    def serve(self, handler: Any) -> None:
        self.deliver = handler

    def reply(self, call: Incoming, signature: str, body: list[Any], *, fds: list[int]) -> None:
        self.said.append(body)

    def fail(self, call: Incoming, name: str, text: str) -> None:
        self.said.append(text)


def test_a_question_whose_caller_has_left_is_not_answered() -> None:
    bus = Overheard()
    server = Server(bus, api(), Callers(bus), Polkit(bus))  # type: ignore[arg-type]
    server.serve()
    for deserted, answers in ((True, 0), (False, 1)):
        frame = Frame(CALL, 0, 1, "/", "org.freedesktop.DBus.Peer", "Ping", sender=":1.7", deserted=deserted)
        bus.deliver(Incoming(frame))
        assert len(bus.said) == answers


def test_waits_end_with_their_caller(play: Play) -> None:
    async def story(scene: Any) -> None:
        await scene.drive("Rewind")
        before = len(asyncio.all_tasks())
        other = await Bus.connect(scene.address)
        for interface in (names.JOB, None):
            for _ in range(5):
                asyncio.create_task(
                    scene.call(names.job_path(1), interface, "Wait", "a{sv}", {}, client=other)
                ).add_done_callback(asyncio.Task.exception)
        await scene.call(names.MANAGER_PATH, names.MANAGER, "GetJobs", "a{sv}", {}, client=other)
        assert len(asyncio.all_tasks()) == before + 20
        await other.close()
        while len(asyncio.all_tasks()) > before:
            await asyncio.sleep(0.005)
        waiting = asyncio.create_task(scene.call(names.job_path(1), names.JOB, "Wait", "a{sv}", {}))
        scene.service.jobs.jobs[1].end({"file": 0, "block": 0, "position-known": True})
        await waiting                                    # others still hear of the end

    play(story)


def test_one_connection_cannot_let_calls_wait_without_limit(play: Play) -> None:
    async def story(scene: Any) -> None:
        await scene.drive("Rewind")

        def wait() -> asyncio.Task[Any]:
            return asyncio.create_task(scene.call(names.job_path(1), names.JOB, "Wait", "a{sv}", {}))

        waiting = [wait() for _ in range(MAXIMUM_PENDING)]
        await scene.settle()
        assert (await refused(wait())).name == BUS_ERROR + "LimitsExceeded"
        other = await Bus.connect(scene.address)
        assert unwrap(
            (await scene.call(LTO0, names.DRIVE, "CurrentFileNumber", "a{sv}", {}, client=other)).body
        )
        scene.service.jobs.jobs[1].end({"file": 0, "block": 0, "position-known": True})
        answers = await asyncio.gather(*waiting)
        assert {unwrap(answer.body[0])["file"] for answer in answers} == {0}
        await other.close()
        assert unwrap(await scene.drive("CurrentFileNumber")) == [4]

    play(story)


def test_a_member_without_a_row_does_not_start_the_server(play: Play) -> None:
    async def story(scene: Any) -> None:
        from tapeds.buslib.schema import parse

        grown = parse('<node><interface name="org.tapeds1.Drive"><method name="Fly"/></interface></node>')
        with pytest.raises(LookupError, match=r"org\.tapeds1\.Drive\.Fly"):
            Server(scene.bus, {**api(), **grown}, scene.callers, scene.polkit)

    play(story)


# --- descriptors --------------------------------------------------------------------------------


def test_the_callers_end_of_a_pipe_goes_out_and_our_copy_is_closed(play: Play) -> None:
    async def story(scene: Any) -> None:
        before = set(os.listdir("/proc/self/fd"))
        reply = await scene.call(LTO0, names.DRIVE, "WriteFile", "a{sv}", {})
        (fd,) = reply.fds
        os.write(fd, b"data")
        os.close(fd)
        (ours,) = scene.service.adopted
        assert os.read(ours, 10) == b"data"
        assert os.read(ours, 10) == b""  # nobody else holds the writing end
        os.close(ours)
        await scene.settle()
        assert set(os.listdir("/proc/self/fd")) == before

    play(story)


def test_a_callers_descriptor_arrives_and_belongs_to_the_service(play: Play) -> None:
    async def story(scene: Any) -> None:
        reading, writing = os.pipe()
        await scene.call(LTO0, names.DRIVE, "ReadFileInto", "ha{sv}", 0, {}, fds=[writing])
        os.close(writing)
        (adopted,) = scene.service.adopted
        assert not os.get_inheritable(adopted)
        os.write(adopted, b"data")
        os.close(adopted)
        assert os.read(reading, 10) == b"data"
        assert os.read(reading, 10) == b""
        os.close(reading)

    play(story)


def test_a_descriptor_of_a_refused_call_is_closed(play: Play, options: Any) -> None:
    async def story(scene: Any) -> None:
        reading, writing = os.pipe()
        wrong = options(fast=("b", True))
        await refused(scene.call(LTO0, names.DRIVE, "ReadFileInto", "ha{sv}", 0, wrong, fds=[writing]))
        os.close(writing)
        assert os.read(reading, 10) == b""
        os.close(reading)

    play(story)


def test_a_descriptor_that_did_not_come_is_no_number_of_ours(play: Play) -> None:
    async def story(scene: Any) -> None:
        error = await refused(scene.call(LTO0, names.DRIVE, "ReadFileInto", "ha{sv}", 0, {}))
        assert error.name == BUS_ERROR + "InvalidArgs"
        assert scene.service.adopted == []

    play(story)
