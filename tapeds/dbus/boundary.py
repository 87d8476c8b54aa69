# SPDX-License-Identifier: LGPL-2.1-or-later
"""One call of one method: syntax, then authorization, then the face; errors out.

The order is the same for every member: what is wrong with the request itself, then polkit, and
only then the lease, the device and its job (`tapeds.service`), so that nothing leaks to a caller who
may not ask.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from tapeds import names
from tapeds.buslib import CallError, Error, Incoming, unwrap
from tapeds.buslib.schema import Method, Property
from tapeds.dbus import authorization, convert, options
from tapeds.dbus.authorization import Question, Rule, Who
from tapeds.dbus.callers import Callers
from tapeds.dbus.face import Call, Face
from tapeds.dbus.polkit import Polkit
from tapeds.errors import AccessDenied, NotOwner, TapeError
from tapeds.jobs.caller import Caller
from tapeds.names import Field

log = logging.getLogger(__name__)


@dataclass
class _Request:
    """The arguments as plain values, the standard options taken out."""

    arguments: list[Any]
    options: options.Options
    session: str
    interactive: bool


class Boundary:
    """What stands between bus and faces.  ``exists`` tells whether a face is still exported."""

    def __init__(self, callers: Callers, polkit: Polkit, exists: Callable[[Face], bool]) -> None:
        self._callers = callers
        self._polkit = polkit
        self._exists = exists

    async def call(self, incoming: Incoming, face: Face, method: Method) -> tuple[Any, ...]:
        """The out arguments, a descriptor as a number.  Raises TapeError, CallError, anything."""
        request = _parse(incoming, face, method)
        caller = await self._callers.get(incoming.sender)
        rule = authorization.METHODS[face.interface, method.name]
        await self._authorize(caller, face, method.name, rule, request)
        call = Call(caller, request.session, incoming.take_fd)
        try:
            result = await getattr(face, method.name)(call, *request.arguments, request.options)
        finally:
            if not self._callers.alive(caller.name):
                self._callers.vanished.emit(caller.name)  # what was just begun for it ends, too
        if not method.outputs:
            return ()
        return result if isinstance(result, tuple) else (result,)

    async def set(self, incoming: Incoming, face: Face, about: Property, value: Any) -> None:
        """Set a property to a value whose type was checked.  Raises TapeError, CallError, anything."""
        caller = await self._callers.get(incoming.sender)
        rule = authorization.WRITABLE[face.interface, about.name]
        request = _Request([], {}, "", incoming.interactive)
        await self._authorize(caller, face, f"Set {about.name}", rule, request)
        face.setters()[about.name](value)

    async def _authorize(
        self, caller: Caller, face: Face, member: str, rule: Rule, request: _Request
    ) -> None:
        question = Question(tuple(request.arguments), request.options, face.relation(caller))
        wanted = authorization.decide(rule, question)
        if wanted is None:
            return
        if wanted is Who.ROOT:
            if caller.uid != 0:
                raise AccessDenied(f"{member} is for root only, not for uid {caller.uid}")
            return
        if wanted is Who.OWNER:
            if question.relation is not authorization.Relation.OWNER:
                raise NotOwner(f"{member} is for the owner of {face.path} only, not for uid {caller.uid}")
            return
        await self._polkit.require(
            caller,
            wanted,
            face.details(question.arguments),
            interactive=request.interactive,
            lease=partial(face.lease, caller, request.session),
        )
        if not self._exists(face):
            text = f"{face.path} went away while polkit was asked about {member}"
            raise CallError(Error.UNKNOWN_OBJECT, text)


def explain(exc: Exception, incoming: Incoming) -> tuple[str, str]:
    """The D-Bus error name and text for ``exc``; of what nobody planned the details go to the journal."""
    if isinstance(exc, TapeError):
        return convert.error_name(exc.name), convert.text(str(exc))
    if isinstance(exc, CallError):
        return exc.name, convert.text(exc.text)
    log.error(
        "%s of %s failed in a way nobody planned",
        incoming.member,
        incoming.path,
        exc_info=exc,
        extra={Field.CALLER: incoming.sender},
    )
    return convert.error_name(
        "Internal"
    ), f"{incoming.member} met a fault in tapeds; the journal has the details"


def _parse(incoming: Incoming, face: Face, method: Method) -> _Request:
    """Raises CallError InvalidArgs, errors.InvalidOption."""
    if incoming.signature != method.in_signature:
        usage = ", ".join(f"{arg.name} {arg.type}" for arg in method.inputs)
        raise CallError(Error.INVALID_ARGS, f"{method.name} takes ({usage}), not {incoming.signature!r}")
    arguments: list[Any] = []
    given: options.Options = {}
    for arg, value in zip(method.inputs, incoming.body, strict=True):
        if arg.type != "a{sv}":
            arguments.append(unwrap(value))
        elif arg.name == "options":
            given = options.parse(face.interface, method.name, arg.name, value)
        else:
            arguments.append(options.parse(face.interface, method.name, arg.name, value))
    session = given.pop(options.SESSION, names.NO_PATH)
    silent = given.pop(options.NO_INTERACTION, False)
    return _Request(
        arguments, given, "" if session == names.NO_PATH else session, incoming.interactive and not silent
    )
