# SPDX-License-Identifier: LGPL-2.1-or-later
"""The object tree on the bus: calls in, answers and signals out.

The XML is the one source of names and types.  Signals of the object manager come from the root
path, as the specification wants it.  Whatever is answered, changes that were made before are told
first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from tapeds import names
from tapeds.buslib import Bus, CallError, Error, Incoming, Variant
from tapeds.buslib.schema import Interface, Method, Property
from tapeds.dbus import authorization, boundary, convert, options
from tapeds.dbus.boundary import Boundary
from tapeds.dbus.callers import Callers
from tapeds.dbus.changes import Changes
from tapeds.dbus.face import Face
from tapeds.dbus.polkit import Polkit
from tapeds.dbus.standard import OBJECT_MANAGER, PROPERTIES, Standard
from tapeds.dbus.tree import Plain, Tree
from tapeds.errors import Cancelled, LimitsExceeded

log = logging.getLogger(__name__)

MAXIMUM_PENDING = 64
"""Method calls of one connection that may wait for their answer at the same time."""

Body = Callable[[], list[Any]]


class Misfit(Exception):
    """What we wanted to say does not fit the types of the API: a fault of ours, not of the caller."""


class Server:
    """Exports faces on ``bus``.  Raises LookupError where a member of the API has no row in a table."""

    def __init__(
        self, bus: Bus, interfaces: Mapping[str, Interface], callers: Callers, polkit: Polkit
    ) -> None:
        authorization.check(interfaces)
        options.check(interfaces)
        self._bus = bus
        self._tree = Tree(interfaces)
        self._standard = Standard(self._tree)
        self._changes = Changes(self._tree, self._announce)
        self._boundary = Boundary(callers, polkit, self._tree.has)
        self._tasks: set[asyncio.Task[None]] = set()
        self._waits: dict[str, set[asyncio.Task[None]]] = {}   # by caller; of no use to anybody else
        self._pending: dict[str, int] = {}
        self._closing = False
        callers.vanished.connect(self._give_up_waits)

    def serve(self) -> None:
        """Begin to answer."""
        self._bus.serve(self._handle)

    # --- objects and signals --------------------------------------------------------------------

    def export(self, *faces: Face) -> None:
        """Put an object with these interfaces at their path, and tell it."""
        path = faces[0].path
        self._tree.add(path, faces)
        for face in faces:
            self._changes.begin(face)
        if path.startswith(names.ROOT_PATH + "/"):
            self._emit(
                names.ROOT_PATH,
                OBJECT_MANAGER,
                "InterfacesAdded",
                "oa{sa{sv}}",
                lambda: [path, self._tree.described(path)],
            )

    def unexport(self, path: str) -> None:
        """Take the object at ``path`` away, and tell it."""
        self._changes.flush()
        faces = self._tree.remove(path)
        for face in faces.values():
            self._changes.end(face)
        if faces and path.startswith(names.ROOT_PATH + "/"):
            gone = [path, list(faces)]
            self._emit(names.ROOT_PATH, OBJECT_MANAGER, "InterfacesRemoved", "oas", lambda: gone)

    def touch(self, face: Face) -> None:
        """Properties of ``face`` may have changed; what has is told in this turn of the loop."""
        self._changes.touch(face)

    def signal(self, face: Face, member: str, *values: Any) -> None:
        """Send a signal of ``face``, behind the changes that led to it."""
        self._changes.flush()
        about = self._tree.interfaces[face.interface].signals[member]
        self._emit(face.path, face.interface, member, about.signature, lambda: list(values))

    def _announce(self, face: Face, changed: Plain, invalidated: list[str]) -> None:
        self._emit(
            face.path,
            PROPERTIES,
            "PropertiesChanged",
            "sa{sv}as",
            lambda: [face.interface, self._tree.wrap(face, changed), invalidated],
        )

    def _emit(self, path: str, interface: str, member: str, signature: str, body: Body) -> None:
        """Send a signal; one that cannot be sent is our own fault and harms nothing else."""
        try:
            self._carefully(lambda: _post(lambda: self._bus.emit(path, interface, member, signature, body())))
        except (CallError, Misfit):
            log.exception("signal %s of %s cannot be sent", member, path)

    def _carefully(self, send: Callable[[], None]) -> None:
        """Send something; if a value in it does not fit its type, once more without that value."""
        try:
            send()
        except Misfit:
            if self._tree.careful:
                raise
            self._tree.careful = True
            send()

    # --- calls ----------------------------------------------------------------------------------

    def _handle(self, call: Incoming) -> None:
        try:
            self._dispatch(call)
        except Exception as exc:
            self._fail(call, *boundary.explain(exc, call))

    def _dispatch(self, call: Incoming) -> None:
        own = self._own_method(call)
        if own is not None:
            face, method = own
            task = self._start(call, self._answer(call, face, method))
            if (face.interface, method.name) == (names.JOB, "Wait"):
                self._keep_wait(call.sender, task)
            return
        standard = self._standard.method(call)
        if standard is None:
            if call.interface in self._standard.interfaces:
                raise CallError(Error.UNKNOWN_METHOD, f"{call.interface} has no method {call.member}")
            if call.interface:
                self._tree.face(call.path, call.interface)  # says what is missing: object or interface
            raise CallError(Error.UNKNOWN_METHOD, f"{call.path} has no method {call.member}")
        interface, method = standard
        _check_signature(call, method)
        if call.deserted and (interface, call.member) != (PROPERTIES, "Set"):
            call.settle()
            return
        if (interface, call.member) == (PROPERTIES, "Set"):
            face, about, value = self._settable(call)
            self._start(call, self._set(call, face, about, value))
            return
        self._carefully(lambda: self._reply(call, method, self._standard.answer(call, interface)))

    def _own_method(self, call: Incoming) -> tuple[Face, Method] | None:
        faces = self._tree.faces(call.path)
        for name in (call.interface,) if call.interface else faces:
            if name in faces and (method := self._tree.interfaces[name].methods.get(call.member)):
                return faces[name], method
        return None

    def _settable(self, call: Incoming) -> tuple[Face, Property, Any]:
        interface, name, variant = call.body
        face, about = self._tree.find_property(call.path, interface, name)
        if "write" not in about.access:
            raise CallError(Error.PROPERTY_READ_ONLY, f"{name} of {call.path} cannot be set")
        if variant.signature != about.type:
            raise CallError(Error.INVALID_ARGS, f"{name} is of type {about.type}, not {variant.signature}")
        return face, about, variant.value

    async def _answer(self, call: Incoming, face: Face, method: Method) -> None:
        self._reply(call, method, await self._boundary.call(call, face, method))

    async def _set(self, call: Incoming, face: Face, about: Property, value: Variant) -> None:
        await self._boundary.set(call, face, about, value)
        self.touch(face)
        self._changes.flush()
        self._bus.reply(call)

    def _start(self, call: Incoming, answer: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Answer in a task of its own, which is kept until it is done."""
        if self._closing:
            answer.close()
            raise Cancelled(f"{call.member} comes too late: tapedsd is stopping")
        if self._pending.get(call.sender, 0) >= MAXIMUM_PENDING:
            answer.close()
            raise LimitsExceeded(
                f"{MAXIMUM_PENDING} calls of yours wait for an answer already; await some of them"
            )
        self._pending[call.sender] = self._pending.get(call.sender, 0) + 1
        task = asyncio.create_task(self._guarded(call, answer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _keep_wait(self, caller: str, task: asyncio.Task[None]) -> None:
        waits = self._waits.setdefault(caller, set())
        waits.add(task)
        task.add_done_callback(waits.discard)

    def _give_up_waits(self, name: str) -> None:
        """``name`` is gone: nobody would hear how the jobs end that it waits for."""
        for task in self._waits.pop(name, set()):
            task.cancel()

    async def _guarded(self, call: Incoming, answer: Coroutine[None, None, None]) -> None:
        try:
            await answer
        except asyncio.CancelledError:
            self._fail(
                call, convert.error_name("Cancelled"), f"{call.member} ended early: tapedsd is stopping"
            )
        except Exception as exc:
            self._fail(call, *boundary.explain(exc, call))
        finally:
            self._pending[call.sender] -= 1
            if not self._pending[call.sender]:
                del self._pending[call.sender]

    def _reply(self, call: Incoming, method: Method, values: tuple[Any, ...]) -> None:
        self._changes.flush()
        body = list(values)
        fds: list[int] = []
        for index, arg in enumerate(method.outputs):
            if arg.type == "h":
                body[index], fds = len(fds), [*fds, body[index]]
        _post(lambda: self._bus.reply(call, method.out_signature, body, fds=fds))

    def _fail(self, call: Incoming, name: str, text: str) -> None:
        self._changes.flush()
        self._bus.fail(call, name, text)

    async def close(self) -> None:
        """Answer every call that still waits with an error, and every later one."""
        self._closing = True
        await asyncio.sleep(0)  # a task that has not begun could not answer
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._changes.flush()


def _post(send: Callable[[], None]) -> None:
    """Hand something to the bus.  Raises Misfit, CallError."""
    try:
        send()
    except CallError as exc:
        if exc.name == Error.INVALID_ARGS:
            raise Misfit(exc.text) from exc
        raise


def _check_signature(call: Incoming, method: Method) -> None:
    if call.signature != method.in_signature:
        text = f"{method.name} takes {method.in_signature!r}, not {call.signature!r}"
        raise CallError(Error.INVALID_ARGS, text)
