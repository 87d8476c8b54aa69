# SPDX-License-Identifier: LGPL-2.1-or-later
"""A tape drive service that does what a test says: slow, refusing, lying, or gone.

It has the drives vt0 and lto0 and stands on a private bus.  A `Plan` says what each member of
``org.tapeds1.Drive`` does; without one its job ends at once with an empty result.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import threading
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from tapeds import __version__, names
from tapeds.buslib import Bus, Incoming, Variant, unwrap
from tapeds.buslib.schema import api

V = Variant
PROPERTIES = "org.freedesktop.DBus.Properties"
_DEFAULTS = {
    "s": "",
    "o": "/",
    "b": False,
    "u": 0,
    "t": 0,
    "d": 0.0,
    "as": [],
    "ao": [],
    "a{sv}": {},
    "a{uo}": {},
}


@dataclass
class Plan:
    """What one member does."""

    result: dict[str, Variant] = field(default_factory=dict)
    refused: tuple[str, str] | None = None  # the call itself ends in this error: name, text
    error: tuple[str, str] | None = None  # the job ends in this error
    seconds: float = 0.0  # how long the job takes
    steps: list[dict[str, Variant]] = field(default_factory=list)  # properties it shows on the way
    gives: bytes = b""  # what ReadFile sends
    takes: int | None = None  # WriteFile fails after so many bytes
    cancelable: bool = True


@dataclass
class Call:
    """A call that arrived."""

    path: str
    member: str
    arguments: list[Any]
    interactive: bool


class Job:
    """A job of the fake."""

    def __init__(self, number: int, operation: str, drive: str) -> None:
        self.path = names.job_path(number)
        self.ended = asyncio.Event()
        self.committed = asyncio.Event()
        self.commit: tuple[int, bytes] | None = None
        self.error: tuple[str, str] | None = None
        self.result: dict[str, Variant] = {}
        self.properties: dict[str, Variant] = {
            "Id": V("t", number),
            "Operation": V("s", operation),
            "Objects": V("ao", [drive]),
            "State": V("s", "running"),
            "StartTime": V("t", int(time.time() * 1_000_000)),
        }


class FakeService:
    """The service, in a thread with an event loop of its own."""

    def __init__(self, address: str) -> None:
        self.plans: dict[str, Plan] = {}
        self.calls: list[Call] = []
        self.version = __version__
        self.permissions = {"org.tapeds1.data.read": "yes", "org.tapeds1.media.erase": "yes"}
        self.config_errors: list[str] = []
        self.devices: list[dict[str, Variant]] = []
        self.drives: dict[str, dict[str, Variant]] = {
            "vt0": {
                "Type": V("s", "virtual"),
                "ConfiguredPath": V("s", "/"),
                "Changer": V("o", names.changer_path("vt0")),
            },
            "lto0": {"Type": V("s", "lto"), "ConfiguredPath": V("s", "/dev/sg0")},
        }
        self.received = b""  # what the last WriteFile took
        self.address = address
        self._jobs: dict[str, Job] = {}
        self._sessions: dict[str, dict[str, Variant]] = {}
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(
            target=self._loop.run_until_complete, args=(self._run(),), daemon=True
        )
        self._thread.start()
        assert self._ready.wait(30)

    def plan(self, member: str, **plan: Any) -> Plan:
        """Say what ``member`` does from now on."""
        self.plans[member] = Plan(**plan)
        return self.plans[member]

    def lease(self, drive: str) -> str:
        """A lease of ``drive`` that somebody has."""
        path = names.session_path(len(self._sessions) + 1)
        self._sessions[path] = {"Drive": V("o", drive)}
        return path

    def called(self, member: str) -> list[Call]:
        return [call for call in self.calls if call.member == member]

    def stop(self) -> None:
        """Leave the bus; pending calls are never answered by us."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._over.set)
            self._thread.join(30)

    async def _run(self) -> None:
        self._over = asyncio.Event()
        self.bus = await Bus.connect(self.address)
        self.bus.serve(self._handle)
        await self.bus.request_name(names.BUS_NAME)
        self._ready.set()
        await self._over.wait()
        for task in self._tasks:
            task.cancel()
        await self.bus.close()

    # --- calls ------------------------------------------------------------------------------------

    def _handle(self, call: Incoming) -> None:
        arguments = [unwrap(value) for value in call.body]
        self.calls.append(Call(call.path, call.member, arguments, call.interactive))
        plan = self.plans.get(call.member, Plan())
        if plan.refused:
            self.bus.fail(call, *plan.refused)
            return
        match call.member:
            case "GetAll" if arguments[0] == names.SESSION and call.path not in self._sessions:
                self.bus.fail(call, "org.freedesktop.DBus.Error.UnknownObject", f"no object {call.path}")
            case "GetAll" if arguments[0] == names.TRANSFER and not self._moves_data(call.path):
                self.bus.fail(call, "org.freedesktop.DBus.Error.UnknownInterface", "this job carries no data")
            case "GetAll":
                self._reply(call, "a{sv}", [self._properties(call.path, arguments[0])])
            case "GetManagedObjects":
                self._reply(call, "a{oa{sa{sv}}}", [self._managed()])
            case "GetDrives":
                self._reply(call, "ao", [[names.drive_path(name) for name in self.drives]])
            case "GetDriveByName" if arguments[0] in self.drives:
                self._reply(call, "o", [names.drive_path(arguments[0])])
            case "GetDriveByName":
                self.bus.fail(call, names.ERROR_PREFIX + "NoSuchDrive", f"no drive is called {arguments[0]}")
            case "GetPermissions":
                self._reply(call, "a{ss}", [self.permissions])
            case "ScanDevices":
                self._reply(call, "aa{sv}", [self.devices])
            case "Reload":
                self._reply(call, "t", [7])
            case "GetStatus":
                self._reply(call, "a{sv}", [plan.result])
            case "Acquire":
                self._acquire(call, arguments[0])
            case "Release":
                self._sessions.pop(call.path, None)
                self._reply(call)
            case "Wait":
                self._spawn(self._wait(call))
            case "Cancel":
                self._cancel(call)
            case "Commit":
                self._jobs[call.path].commit = (arguments[0], arguments[1].get("sha256", b""))
                self._jobs[call.path].committed.set()
                self._reply(call)
            case "Abort":
                self._jobs[call.path].committed.set()
                self._reply(call)
            case "WriteFile":
                self._write(call, plan)
            case "ReadFile":
                self._read(call, plan)
            case _:
                job = self._begin(call)
                self._spawn(self._work(job, plan))
                self._reply(call, "o", [job.path])

    def _reply(
        self, call: Incoming, signature: str = "", body: list[Any] | None = None, fds: tuple[int, ...] = ()
    ) -> None:
        self.bus.reply(call, signature, body or [], fds=fds)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- properties -------------------------------------------------------------------------------

    def _properties(self, path: str, interface: str) -> dict[str, Variant]:
        given: dict[str, Variant] = {}
        if path in self._jobs:
            given = self._jobs[path].properties
        elif path in self._sessions:
            given = self._sessions[path]
        elif path == names.MANAGER_PATH:
            given = {
                "Version": V("s", self.version),
                "ApiRevision": V("u", names.API_REVISION),
                "ConfigErrors": V("as", self.config_errors),
            }
        for name, own in self.drives.items():
            if path == names.drive_path(name):
                given = {"Name": V("s", name), "State": V("s", "idle"), "Present": V("b", True), **own}
        known = api()[interface].properties
        whole = {name: V(p.type, _DEFAULTS[p.type]) for name, p in known.items()}
        return whole | {name: value for name, value in given.items() if name in known}

    def _moves_data(self, path: str) -> bool:
        return path in self._jobs and self._jobs[path].properties["Operation"].value in {
            "read-file",
            "write-file",
        }

    def _managed(self) -> dict[str, dict[str, dict[str, Variant]]]:
        there = {names.MANAGER_PATH: names.MANAGER}
        there |= {names.drive_path(name): names.DRIVE for name in self.drives}
        there |= dict.fromkeys(self._jobs, names.JOB) | dict.fromkeys(self._sessions, names.SESSION)
        return {path: {interface: self._properties(path, interface)} for path, interface in there.items()}

    def _change(self, job: Job, changed: dict[str, Variant], interface: str = names.JOB) -> None:
        job.properties |= changed
        self.bus.emit(job.path, PROPERTIES, "PropertiesChanged", "sa{sv}as", [interface, changed, []])

    # --- sessions ---------------------------------------------------------------------------------

    def _acquire(self, call: Incoming, options: dict[str, Any]) -> None:
        path = names.session_path(len(self._sessions) + 1)
        self._sessions[path] = {"Drive": V("o", call.path), "Reason": V("s", options.get("reason", ""))}
        self._reply(call, "o", [path])

    # --- jobs -------------------------------------------------------------------------------------

    def _begin(self, call: Incoming) -> Job:
        operation = "".join(("-" if c.isupper() and i else "") + c.lower() for i, c in enumerate(call.member))
        job = Job(len(self._jobs) + 1, operation, call.path)
        self._jobs[job.path] = job
        return job

    async def _work(self, job: Job, plan: Plan) -> None:
        pause = plan.seconds / (len(plan.steps) + 1)
        for step in [*plan.steps, {}]:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(job.ended.wait(), pause)
                return
            if step:
                self._change(job, step)
        self._end(job, plan.error, plan.result)

    def _end(self, job: Job, error: tuple[str, str] | None, result: dict[str, Variant]) -> None:
        if job.ended.is_set():
            return
        job.error, job.result = error, result
        self._change(job, {"State": V("s", "finished"), "ResultData": V("a{sv}", result)})
        job.ended.set()

    async def _wait(self, call: Incoming) -> None:
        job = self._jobs.get(call.path)
        if job is None:
            self.bus.fail(call, "org.freedesktop.DBus.Error.UnknownObject", f"no object {call.path}")
            return
        await job.ended.wait()
        if job.error:
            self.bus.fail(call, *job.error)
        else:
            self._reply(call, "a{sv}", [job.result])

    def _cancel(self, call: Incoming) -> None:
        job = self._jobs[call.path]
        if job.ended.is_set():
            self.bus.fail(call, names.ERROR_PREFIX + "JobFinished", "it has ended")
            return
        self._reply(call)
        written = {"file": V("t", 2), "bytes-on-tape": V("t", len(self.received)), "complete": V("b", False)}
        is_write = job.properties["Operation"].value == "write-file"
        self._end(
            job, (names.ERROR_PREFIX + "Cancelled", "cancelled by its caller"), written if is_write else {}
        )

    def _write(self, call: Incoming, plan: Plan) -> None:
        job = self._begin(call)
        ours, theirs = os.pipe()
        self._spawn(self._take(job, plan, ours))
        self._reply(call, "oh", [job.path, 0], (theirs,))

    async def _take(self, job: Job, plan: Plan, pipe: int) -> None:
        self.received = b""
        while not job.ended.is_set() and not (job.commit and len(self.received) >= job.commit[0]):
            if job.committed.is_set() and job.commit is None:
                break
            ready = await asyncio.to_thread(_ready, pipe)
            piece = os.read(pipe, 1 << 20) if ready else b""
            self.received += piece
            if plan.takes is not None and len(self.received) >= plan.takes:
                break
            if ready and not piece:
                break
            for step in plan.steps:
                self._change(job, step)
        os.close(pipe)
        count = len(self.received)
        written = {"file": V("t", 2), "bytes": V("t", count), "bytes-on-tape": V("t", count)}
        good = job.commit == (count, hashlib.sha256(self.received).digest())
        error = plan.error or (
            None if good else (names.ERROR_PREFIX + "Incomplete", "the file was not committed")
        )
        self._end(job, error, {**written, "complete": V("b", error is None), **plan.result})

    def _read(self, call: Incoming, plan: Plan) -> None:
        job = self._begin(call)
        theirs, ours = os.pipe()
        self._spawn(self._give(job, plan, ours))
        self._reply(call, "oh", [job.path, 0], (theirs,))

    async def _give(self, job: Job, plan: Plan, pipe: int) -> None:
        try:
            await asyncio.to_thread(_write_all, pipe, plan.gives)
        except BrokenPipeError:
            self._end(job, (names.ERROR_PREFIX + "ClientGone", "the reader closed its end"), {})
            return
        finally:
            os.close(pipe)
        if plan.seconds:
            await asyncio.sleep(plan.seconds)
        read = {"file": V("t", 2), "bytes": V("t", len(plan.gives)), "complete": V("b", plan.error is None)}
        read["sha256"] = V("ay", hashlib.sha256(plan.gives).digest())
        self._end(job, plan.error, {**read, **plan.result})


def _ready(pipe: int) -> bool:
    import select

    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    return bool(poll.poll(50))


def _write_all(pipe: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(pipe, view) :]
