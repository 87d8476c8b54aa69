# SPDX-License-Identifier: LGPL-2.1-or-later
"""`Bus`: everything that the rest of tapeds says to a message bus, and hears from it."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Self

from tapeds.buslib import handshake, values, wire
from tapeds.buslib.calls import CallError, Credentials, Error, Incoming, Reply, SignalMessage, read_reply
from tapeds.buslib.connection import BusIsFull, Connection
from tapeds.buslib.descriptors import close_all
from tapeds.buslib.dispatch import Dispatcher, Handler
from tapeds.buslib.rules import BUS, BUS_PATH, Rule, Wish, is_well_known
from tapeds.buslib.wire import Frame

log = logging.getLogger(__name__)

_CREDENTIALS_KEPT = 256
_DO_NOT_QUEUE = 4
_OWNERS = (1, 4)                   # RequestName: primary owner now, or already
_SOMEBODY_LEFT = Rule(sender=BUS, path=BUS_PATH, interface=BUS, member="NameOwnerChanged").text() + ",arg2=''"


class Subscription:
    """Signals that are being listened to, until `close`."""

    def __init__(self, bus: Bus, wish: Wish) -> None:
        self._bus = bus
        self._wish = wish

    async def close(self) -> None:
        """Listen no more; nothing is delivered from now on."""
        await self._bus.unsubscribe(self._wish)


class Bus:
    """A connection to a message bus.  For one event loop and its thread only."""

    def __init__(self, sock: socket.socket) -> None:
        self._dispatcher = Dispatcher(self.fail, self._match_departures)
        self._wishes = self._dispatcher.wishes
        self._connection = Connection(sock, self._dispatcher)
        self._dispatcher.connection = self._connection
        self._departures_matched = False
        self._tasks: set[asyncio.Task[None]] = set()       # a loop keeps only weak references to them
        self._credentials: dict[str, Credentials] = {}
        self.name = ""
        """Our unique name."""

    # --- the connection -------------------------------------------------------------------------

    @classmethod
    async def connect(cls, address: str | None = None, *, timeout: float = 10) -> Self:
        """Connect to the bus at ``address``, by default the system bus.

        Raises CallError NoServer, AuthFailed, Timeout.
        """
        where = address or handshake.system_address()
        try:
            async with asyncio.timeout(timeout):
                bus = cls(await handshake.connect(where))
                try:
                    bus.name = (await bus._ask_bus("Hello")).body[0]
                except BaseException:
                    await bus.close()
                    raise
        except TimeoutError as exc:
            raise CallError(Error.TIMEOUT, f"the bus at {where} does not answer") from exc
        return bus

    @property
    def closed(self) -> asyncio.Future[BaseException | None]:
        """Done when the connection is lost, with the cause; None after `close`."""
        return self._connection.closed

    async def drain(self) -> None:
        """Return when everything said so far is with the bus, or the connection is lost."""
        await self._connection.drain()

    async def close(self) -> None:
        """Leave the bus.  What was not sent is given up (see `drain`), what `run` still runs is cancelled."""
        self._connection.lose(None)
        tasks = self._tasks - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- calling --------------------------------------------------------------------------------

    async def call(self, destination: str, path: str, interface: str, member: str, signature: str = "",
                   body: Sequence[Any] = (), *, fds: Sequence[int] = (), timeout: float | None = 25.0,
                   interactive: bool = False) -> Reply:
        """Call a method and wait ``timeout`` seconds for its reply; None: as long as it takes.

        ``fds`` stay the caller's.  ``interactive`` allows an authentication dialogue.
        Raises CallError: what the other side answered, or Timeout, Disconnected; InvalidArgs and
        LimitsExceeded also for what was not even sent.
        """
        flags = wire.INTERACTIVE if interactive else 0
        serial, future = self._connection.request(
            flags, destination, path, interface, member, signature, body, _duplicate(fds)
        )
        text = f"{destination} did not answer {member} within {timeout} seconds"
        timer = None if timeout is None else self._connection.loop.call_later(timeout, _expire, future, text)
        try:
            return read_reply(await future)
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                future.result().received.close()       # it came when nobody wanted it any more
            raise
        finally:
            self._connection.forget(serial)
            if timer is not None:
                timer.cancel()

    async def _ask_bus(self, member: str, signature: str = "", body: Sequence[Any] = ()) -> Reply:
        return await self.call(BUS, BUS_PATH, BUS, member, signature, body)

    def emit(self, path: str, interface: str, member: str, signature: str = "", body: Sequence[Any] = (), *,
             destination: str | None = None) -> None:
        """Send a signal, to all who listen or to ``destination``.  Left out while the bus takes nothing.

        Raises CallError InvalidArgs.
        """
        try:
            self._connection.post(wire.SIGNAL, self._connection.next_serial(), signature, body, path=path,
                                  interface=interface, member=member, destination=destination)
        except BusIsFull:
            pass                       # whoever asks later gets the newest state; the log says it once

    # --- being called ---------------------------------------------------------------------------

    def serve(self, handler: Handler) -> None:
        """Give every method call to ``handler`` from now on.

        It must answer each call, now or later, with `reply`, `fail` or `run`.  What it raises becomes the
        answer: a CallError as it is, anything else as a bare Failed.
        """
        self._dispatcher.handler = handler

    def run(self, call: Incoming, answer: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Let ``answer`` answer ``call``; however it ends, the caller gets a reply."""
        task = self._connection.loop.create_task(answer)
        self._tasks.add(task)
        task.add_done_callback(partial(self._has_run, call))
        return task

    def reply(self, call: Incoming, signature: str = "", body: Sequence[Any] = (), *, fds: Sequence[int] = (),
              done: Callable[[bool], None] | None = None) -> None:
        """Answer ``call``.  ``fds`` are taken over and closed when they have been sent, or never will be.

        ``done`` is called with True when the reply has left, with False when it never will, for
        instance because nobody wants one.  A call that was answered before is not answered again.
        Raises CallError InvalidArgs, LimitsExceeded: nothing was sent, and `fail` is still possible.
        """
        if call.answered or call.no_reply or self.closed.done():
            call.settle()
            close_all(fds)
            if done is not None:
                done(False)
            return

        def left(error: OSError | None) -> None:
            if error is not None and not self.closed.done():
                log.error("the reply to %r could not be sent: %s", call, error)
                self._send_error(call, Error.FAILED, f"the reply could not be sent: {error}")
            if done is not None:
                done(error is None)

        self._connection.post(wire.RETURN, self._connection.next_serial(), signature, body, fds, left,
                              destination=call.sender, reply_serial=call.serial)
        call.settle()

    def fail(self, call: Incoming, name: str, text: str) -> None:
        """Answer ``call`` with an error, unless it was answered before.  Never raises."""
        if call.settle() and not call.no_reply and not self.closed.done():
            self._send_error(call, name, text)

    def _send_error(self, call: Incoming, name: str, text: str) -> None:
        clean = text.replace("\0", "\ufffd").encode(errors="replace").decode()
        try:
            self._connection.post(wire.ERROR, self._connection.next_serial(), "s", [clean],
                                  error_name=name if values.is_interface(name) else Error.FAILED,
                                  destination=call.sender, reply_serial=call.serial)
        except CallError as exc:
            log.warning("the error %s could not be sent to %s: %s", name, call.sender, exc.text)

    def _has_run(self, call: Incoming, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            self.fail(call, Error.NO_REPLY, f"{call.member} was stopped before it had an answer")
        elif (error := task.exception()) is not None:
            self._dispatcher.fail_with(call, error)
        elif not call.answered:
            log.error("%r was left without an answer", call)
            self.fail(call, Error.FAILED, f"{call.member} has no answer; the journal says more")

    # --- names ----------------------------------------------------------------------------------

    async def request_name(self, name: str) -> None:
        """Own ``name``; nobody may replace us.  Losing it later closes the connection.

        Raises CallError AddressInUse if somebody else owns it, AccessDenied if the bus does not let us.
        """
        answer = (await self._ask_bus("RequestName", "su", [name, _DO_NOT_QUEUE])).body[0]
        if answer not in _OWNERS:
            raise CallError(Error.ADDRESS_IN_USE, f"{name} already has an owner; is the service running?")
        self._dispatcher.names.add(name)

    async def release_name(self, name: str) -> None:
        """Own ``name`` no more."""
        self._dispatcher.names.discard(name)
        await self._ask_bus("ReleaseName", "s", [name])

    async def credentials(self, unique_name: str) -> Credentials:
        """Whose connection ``unique_name`` is.  Raises CallError NameHasNoOwner when it is gone."""
        known = self._credentials.get(unique_name)
        if known is None:
            reply = await self._ask_bus("GetConnectionCredentials", "s", [unique_name])
            answer = values.unwrap(reply.body[0])
            if "UnixUserID" not in answer:
                raise CallError(Error.ACCESS_DENIED, f"the bus does not know the user of {unique_name}")
            known = Credentials(answer["UnixUserID"], answer.get("ProcessID", 0))
            if len(self._credentials) >= _CREDENTIALS_KEPT:
                self._credentials.clear()
            self._credentials[unique_name] = known     # unique names are never used twice
        return known

    # --- signals and departures -----------------------------------------------------------------

    async def subscribe(self, callback: Callable[[SignalMessage], None], *, sender: str | None = None,
                        path: str | None = None, path_namespace: str | None = None,
                        interface: str | None = None, member: str | None = None,
                        arg0: str | None = None) -> Subscription:
        """Call ``callback`` with every signal that fits all that is given, in the order of sending.

        Raises CallError.
        """
        wish = Wish(Rule(sender, path, path_namespace, interface, member, arg0), callback)
        if is_well_known(sender):
            await self._follow(wish.rule.sender or "")
        self._wishes.add(wish)
        try:
            await self._ask_bus("AddMatch", "s", [wish.rule.text()])
        except BaseException:
            self._forget(wish)
            raise
        return Subscription(self, wish)

    async def unsubscribe(self, wish: Wish) -> None:
        """What `Subscription.close` does."""
        if wish.open:
            self._forget(wish)
            self._tell_bus("RemoveMatch", wish.rule.text())

    def _forget(self, wish: Wish) -> None:
        self._wishes.remove(wish)
        if is_well_known(wish.rule.sender):
            self._unfollow(wish.rule.sender or "")

    async def _follow(self, name: str) -> None:
        if self._wishes.follow(name):
            self._tell_bus("AddMatch", _owner_rule(name))
        try:
            owner = (await self._ask_bus("GetNameOwner", "s", [name])).body[0]
        except CallError as exc:
            if exc.name != Error.NAME_HAS_NO_OWNER:
                self._unfollow(name)
                raise
            owner = ""
        except BaseException:
            self._unfollow(name)
            raise
        self._wishes.learn_owner(name, owner)

    def _unfollow(self, name: str) -> None:
        if self._wishes.unfollow(name):
            self._tell_bus("RemoveMatch", _owner_rule(name))

    def watch(self, unique_name: str, callback: Callable[[], None]) -> None:
        """Call ``callback`` once when the connection ``unique_name`` leaves the bus, or has left it."""
        self._dispatcher.watches.add(unique_name, callback)
        self._match_departures()
        _, future = self._connection.request(0, BUS, BUS_PATH, BUS, "NameHasOwner", "s", [unique_name])
        future.add_done_callback(partial(self._was_there, unique_name))

    def unwatch(self, unique_name: str, callback: Callable[[], None]) -> None:
        """Do not call ``callback`` after all."""
        self._dispatcher.watches.remove(unique_name, callback)
        self._match_departures()

    def _match_departures(self) -> None:
        """Hear of connections that leave, but only while somebody watches: an idle service sleeps."""
        wanted = bool(self._dispatcher.watches)
        if wanted != self._departures_matched:
            self._departures_matched = wanted
            self._tell_bus("AddMatch" if wanted else "RemoveMatch", _SOMEBODY_LEFT)

    def _was_there(self, name: str, future: asyncio.Future[Frame]) -> None:
        try:
            there = read_reply(future.result()).body[0]
        except CallError:
            return                     # the bus is gone; everybody learns that from `closed`
        if not there:
            self._connection.expect(name)

    def _tell_bus(self, member: str, rule: str) -> None:
        if self.closed.done():
            return
        _, future = self._connection.request(0, BUS, BUS_PATH, BUS, member, "s", [rule])
        future.add_done_callback(partial(_was_told, member, rule))


def _was_told(member: str, rule: str, future: asyncio.Future[Frame]) -> None:
    try:
        read_reply(future.result())
    except CallError as exc:
        if exc.name != Error.DISCONNECTED:
            log.warning("the bus refuses %s(%s): %s", member, rule, exc.text)


def _owner_rule(name: str) -> str:
    return Rule(sender=BUS, path=BUS_PATH, interface=BUS, member="NameOwnerChanged", arg0=name).text()


def _duplicate(fds: Sequence[int]) -> list[int]:
    copies: list[int] = []
    try:
        for fd in fds:
            copies.append(os.dup(fd))
    except OSError as exc:
        close_all(copies)
        raise CallError(Error.INVALID_ARGS, f"descriptor {fd} cannot be sent: {exc.strerror}") from exc
    return copies


def _expire(future: asyncio.Future[Frame], text: str) -> None:
    if not future.done():
        future.set_exception(CallError(Error.TIMEOUT, text))
