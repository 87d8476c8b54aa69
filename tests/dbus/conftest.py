# SPDX-License-Identifier: LGPL-2.1-or-later
"""A private bus with the real server on it, a fake service behind it, and a client before it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from support.daemon import shipped_policy
from support.privatebus import PrivateBus
from tapeds import errors, names
from tapeds.buslib import Bus, Incoming, Reply, Variant, unwrap
from tapeds.buslib.schema import api
from tapeds.dbus.callers import Callers
from tapeds.dbus.exports import Exports
from tapeds.dbus.polkit import Polkit
from tapeds.dbus.server import Server
from tapeds.events import Signal
from tapeds.jobs.caller import Caller
from tapeds.jobs.job import Job, TransferView

PROPERTIES = "org.freedesktop.DBus.Properties"
MANAGER_OF_OBJECTS = "org.freedesktop.DBus.ObjectManager"
UNKNOWN_UUID = "11111111-2222-3333-4444-555555555555"


class FakeSession:
    def __init__(self, number: int, drive: FakeDrive, owner: Caller) -> None:
        self.path = names.session_path(number)
        self.drive = drive
        self.owner, self.owner_uid, self.owner_pid = owner.name, owner.uid, owner.pid
        self.binding = "client"
        self.reason = "a test"
        self.created = 1
        self.expires = 0
        self.calls: list[tuple[Any, ...]] = []
        self.changed: Signal[FakeSession] = Signal()
        self.released: Signal[tuple[FakeSession, str]] = Signal()

    def allows(self, caller: Caller, *, named: bool) -> bool:
        return caller.uid == self.owner_uid if named else caller.name == self.owner

    def renew(self, caller: Caller, ttl: int) -> int:
        self.expires = ttl * 1_000_000
        self.changed.emit(self)
        return self.expires

    async def release(self, caller: Caller, *, force: bool = False) -> None:
        self.calls.append(("release", caller.uid, force))

    def set_status_text(self, caller: Caller, text: str) -> None:
        self.calls.append(("set_status_text", text))


class FakeDrive:
    def __init__(self, service: FakeService, name: str) -> None:
        self._service = service
        self.name = name
        self.type = "virtual"
        self.configured_path = f"/tapes/{name}"
        self.present = True
        self.device = self.configured_path
        self.vendor = self.model = self.revision = self.serial = ""
        self.state = "idle"
        self.status_text = ""
        self.job: Job | None = None
        self.session: FakeSession | None = None
        self.media_state = "loaded"
        self.media: dict[str, Any] = {"label-text": "TAPE01", "uuid": UNKNOWN_UUID, "ctime": 7}
        self.position_known = True
        self.file_number = self.block_number = self.durable_file = self.durable_block = 0
        self.capacity_bytes = self.remaining_bytes = 0
        self.waiters = 0
        self.changer = names.changer_path(name)
        self.changer_drive_number = 0
        self.changed: Signal[FakeDrive] = Signal()
        self.durability_lost: Signal[tuple[int, int]] = Signal()
        self.calls: list[tuple[Any, ...]] = []
        self.trouble: Exception | None = None
        self.lock_probes = 0
        self.hold: asyncio.Event | None = None  # while set and unset: calls wait for it

    def lock_holder(self) -> str:
        self.lock_probes += 1
        return ""

    def change(self, **values: Any) -> None:
        for name, value in values.items():
            setattr(self, name, value)
        self.changed.emit(self)

    async def acquire(self, caller: Caller, **options: Any) -> FakeSession:
        self.calls.append(("acquire", options))
        self._service.sessions_begun += 1
        self.session = FakeSession(self._service.sessions_begun, self, caller)
        self._service.sessions[self._service.sessions_begun] = self.session
        self._service.session_added.emit(self.session)
        self.change(state="busy")
        return self.session

    async def start(
        self,
        caller: Caller,
        operation: str,
        arguments: dict[str, Any],
        *,
        session: str = "",
        detach: bool = False,
    ) -> Job:
        self.calls.append((operation, arguments, session))
        if self.trouble is not None:
            raise self.trouble
        if self.hold is not None:
            await self.hold.wait()
        job = self._service.begin(operation, caller, names.drive_path(self.name))
        self.change(job=job, state="busy")
        return job

    async def start_read(
        self, caller: Caller, arguments: dict[str, Any], **how: Any
    ) -> tuple[Job, int | None]:
        return self._transfer("read", caller, arguments, how)

    async def start_write(
        self, caller: Caller, arguments: dict[str, Any], **how: Any
    ) -> tuple[Job, int | None]:
        return self._transfer("write", caller, arguments, how)

    def _transfer(
        self, direction: str, caller: Caller, arguments: dict[str, Any], how: dict[str, Any]
    ) -> tuple[Job, int | None]:
        fd = how.pop("fd", None)
        self.calls.append((f"{direction}-file", arguments, how))
        job = self._service.begin(
            f"{direction}-file", caller, names.drive_path(self.name), transfer=TransferView(direction)
        )
        if fd is not None:
            self._service.adopted.append(fd)
            return job, None
        ours, theirs = os.pipe()
        if direction == "read":
            ours, theirs = theirs, ours
        self._service.adopted.append(ours)
        return job, theirs

    async def request_media(self, caller: Caller, media: dict[str, Any], **how: Any) -> Job:
        self.calls.append(("request-media", media, how))
        return self._service.begin("request-media", caller, names.drive_path(self.name))

    async def status(self, caller: Caller, session: str = "") -> dict[str, Any]:
        return {"vendor": "tapeds", "write-protect": False, "age-ms": 3}

    async def current_file_number(self, caller: Caller, session: str = "") -> int:
        return 4


class FakeChanger:
    def __init__(self, service: FakeService, name: str) -> None:
        self._service = service
        self.name = name
        self.type = "virtual"
        self.configured_path = f"/tapes/{name}"
        self.present = True
        self.device = self.configured_path
        self.vendor = self.model = self.revision = self.serial = ""
        self.state = "idle"
        self.job: Job | None = None
        self.slot_count = 2
        self.import_export_count = self.transport_count = 0
        self.drive_count = 1
        self.drives = {0: names.drive_path(name)}
        self.inventory_generation = 1
        self.inventory_time = 5
        self.elements: list[dict[str, Any]] = [
            {
                "kind": "slot",
                "number": 1,
                "address": 1,
                "state": "full",
                "label-text": "TAPE02",
                "accessible": True,
            }
        ]
        self.changed: Signal[FakeChanger] = Signal()
        self.inventory_changed: Signal[tuple[int, list[dict[str, Any]]]] = Signal()
        self.calls: list[tuple[Any, ...]] = []

    def lock_holder(self) -> str:
        return ""

    def inventory(self) -> tuple[int, list[dict[str, Any]]]:
        return self.inventory_generation, self.elements

    async def start(
        self, caller: Caller, operation: str, arguments: dict[str, Any], *, session: str = ""
    ) -> Job:
        self.calls.append((operation, arguments, session))
        return self._service.begin(operation, caller, names.changer_path(self.name))


class FakeRegistry:
    def __init__(self) -> None:
        self.jobs: dict[int, Job] = {}
        self.begun = 0
        self.added: Signal[Job] = Signal()
        self.removed: Signal[Job] = Signal()

    @property
    def running(self) -> int:
        return sum(1 for job in self.jobs.values() if not job.finished)

    def all(self) -> list[Job]:
        return list(self.jobs.values())


@dataclass
class FakeService:
    """What `tapeds.service` shows to the faces, without any device."""

    drives: dict[str, FakeDrive] = field(default_factory=dict)
    changers: dict[str, FakeChanger] = field(default_factory=dict)
    sessions: dict[int, FakeSession] = field(default_factory=dict)
    jobs: FakeRegistry = field(default_factory=FakeRegistry)
    config_generation: int = 1
    config_errors: list[str] = field(default_factory=list)
    sessions_begun: int = 0
    adopted: list[int] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.drive_added: Signal[FakeDrive] = Signal()
        self.drive_removed: Signal[FakeDrive] = Signal()
        self.changer_added: Signal[FakeChanger] = Signal()
        self.changer_removed: Signal[FakeChanger] = Signal()
        self.session_added: Signal[FakeSession] = Signal()
        self.session_removed: Signal[FakeSession] = Signal()
        self.config_changed: Signal[None] = Signal()
        self.media_requested: Signal[tuple[FakeDrive, Job, dict[str, Any]]] = Signal()
        self.media_request_resolved: Signal[tuple[FakeDrive, Job, str]] = Signal()
        for name in ("lto0", "lto1"):
            self.drives[name] = FakeDrive(self, name)
            self.changers[name] = FakeChanger(self, name)

    def begin(self, operation: str, caller: Caller, path: str, transfer: TransferView | None = None) -> Job:
        self.jobs.begun += 1
        job = Job(self.jobs.begun, operation, (path,), caller, transfer=transfer)
        self.jobs.jobs[job.id] = job
        self.jobs.added.emit(job)
        return job

    def forget(self, job: Job) -> None:
        del self.jobs.jobs[job.id]
        self.jobs.removed.emit(job)

    async def scan(self) -> list[dict[str, Any]]:
        return [{"kind": "drive", "device": "/dev/sg7", "vendor": "ACME", "configured-as": ""}]

    async def reload(self) -> int:
        if self.config_errors:
            raise errors.InvalidConfig(self.config_errors[0])
        self.config_generation += 1
        self.config_changed.emit(None)
        return self.config_generation

    def caller_vanished(self, name: str) -> None:
        self.vanished.append(name)


class Pretended(Callers):
    """Callers whose uid the test chooses, root by default."""

    uid = 0

    async def get(self, name: str) -> Caller:
        caller = await super().get(name)
        return Caller(caller.name, self.uid, caller.pid)


class MockPolkit:
    """An authority that answers by action: yes, challenge or no.  Questions stand in ``asked``."""

    def __init__(self, bus: Bus) -> None:
        self.answers: dict[str, str] = {}
        self.default = "no"
        self.asked: list[list[Any]] = []
        self.cancelled: list[str] = []
        self.silent = False
        self.failure = ""  # an error name: every question ends in it
        self._bus = bus
        self._open: list[Incoming] = []

    @classmethod
    async def start(cls, address: str) -> MockPolkit:
        bus = await Bus.connect(address)
        mock = cls(bus)
        bus.serve(mock._handle)
        await bus.request_name("org.freedesktop.PolicyKit1")
        return mock

    def _handle(self, call: Incoming) -> None:
        if call.member == "CancelCheckAuthorization":
            self.cancelled.append(call.body[0])
            self._bus.reply(call)
            return
        self.asked.append(unwrap(call.body))
        if self.silent:
            self._open.append(call)
        elif self.failure:
            self._bus.fail(call, self.failure, "out of order")
        else:
            self._answer(call, self.answers.get(call.body[1], self.default))

    def _answer(self, call: Incoming, answer: str) -> None:
        self._bus.reply(call, "(bba{ss})", [[answer == "yes", answer == "challenge", {}]])

    def answer_all(self, answer: str) -> None:
        """Answer what was asked while ``silent``."""
        while self._open:
            self._answer(self._open.pop(), answer)

    async def stop(self) -> None:
        await self._bus.close()


class Scene:
    """Everything of one test.  Calls go out of ``client``; ``stranger`` is another connection."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.service = FakeService()
        self.signals: list[Any] = []

    async def begin(self) -> None:
        self.bus = await Bus.connect(self.address)
        self.client = await Bus.connect(self.address)
        self.stranger = await Bus.connect(self.address)
        self.caller = Caller(self.client.name, 0)
        self.callers = Pretended(self.bus)
        self.polkit = Polkit(self.bus, own_uid=12345, timeout_seconds=5)
        self.server = Server(self.bus, api(), self.callers, self.polkit)
        self.exports = Exports(self.server, self.service, self.polkit)  # type: ignore[arg-type]
        self.callers.vanished.connect(self.polkit.forget_caller)
        self.callers.vanished.connect(self.service.caller_vanished)
        self.server.serve()
        await self.bus.request_name(names.BUS_NAME)

    async def end(self) -> None:
        await self.server.close()
        await self.stranger.close()
        await self.client.close()
        await self.bus.close()

    async def call(
        self, path: str, interface: str | None, member: str, signature: str = "", *body: Any, **how: Any
    ) -> Reply:
        client: Bus = how.pop("client", self.client)
        return await client.call(names.BUS_NAME, path, interface, member, signature, list(body), **how)

    async def drive(self, member: str, signature: str = "a{sv}", *body: Any, **how: Any) -> list[Any]:
        """Call a member of drive lto0, by default without options."""
        reply = await self.call(
            names.drive_path("lto0"), names.DRIVE, member, signature, *(body or ({},)), **how
        )
        return unwrap(reply.body)

    async def get(self, path: str, interface: str, name: str) -> Any:
        return unwrap((await self.call(path, PROPERTIES, "Get", "ss", interface, name)).body[0])

    async def managed(self) -> dict[str, dict[str, dict[str, Variant]]]:
        return (await self.call(names.ROOT_PATH, MANAGER_OF_OBJECTS, "GetManagedObjects")).body[0]

    async def listen(self) -> None:
        """Collect every signal of the service in ``signals`` from now on."""
        await self.client.subscribe(self.signals.append, sender=names.BUS_NAME)

    async def settle(self) -> None:
        """Return when everything sent so far has arrived at the client."""
        await self.call(names.ROOT_PATH, "org.freedesktop.DBus.Peer", "Ping")


Story = Callable[[Scene], Awaitable[None]]


@pytest.fixture
def bus_address(tmp_path: Any) -> Iterator[str]:
    mock = (
        '<policy context="default"><allow own="org.freedesktop.PolicyKit1"/>'
        '<allow send_destination="org.freedesktop.PolicyKit1"/></policy>'
    )
    bus = PrivateBus(tmp_path, policy_xml=shipped_policy(mock))
    yield bus.address
    bus.stop()


@pytest.fixture
def mock_polkit() -> type[MockPolkit]:
    return MockPolkit


@pytest.fixture
def play(bus_address: str) -> Callable[[Story], None]:
    """Run a story on the bus."""

    async def run(story: Story) -> None:
        scene = Scene(bus_address)
        await scene.begin()
        try:
            async with asyncio.timeout(60):
                await story(scene)
        finally:
            await scene.end()

    def tell(story: Story) -> None:
        asyncio.run(run(story))

    return tell


@pytest.fixture
def options() -> Callable[..., dict[str, Variant]]:
    """``options(ttl=("t", 60), expect_uuid=("s", ...))`` as ``a{sv}``; ``_`` becomes ``-``."""

    def make(**given: tuple[str, Any]) -> dict[str, Variant]:
        return {key.replace("_", "-"): Variant(*value) for key, value in given.items()}

    return make
