# SPDX-License-Identifier: LGPL-2.1-or-later
"""The bus, the jobs and the signals of the keyboard: the one place of tapectl with an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from tapeds import names
from tapeds.buslib import Bus, CallError, SignalMessage, Subscription, Variant, unwrap
from tapeds.buslib.schema import api
from tapeds.cli import progress, render
from tapeds.cli.failure import Exit, Failure, from_error
from tapeds.cli.job import Job
from tapeds.cli.settings import Settings

T = TypeVar("T")
Json = dict[str, Any]

PROPERTIES = "org.freedesktop.DBus.Properties"
OBJECT_MANAGER = "org.freedesktop.DBus.ObjectManager"

# The types of everything that goes into an a{sv}; the XML cannot say them.
_OPTIONS = {
    "session": "o", "bind": "s", "ttl": "t", "timeout": "u", "reason": "s", "detach": "b", "interval": "u",
    "file": "t", "first": "t", "count": "t", "size": "t", "name": "s", "digest": "s", "sha256": "ay",
    "durable": "b", "unlabelled": "b", "overwrite": "b", "create": "b", "initialize": "b",
    "expect-uuid": "s", "expect-file": "t",
    "label-text": "s", "uuid": "s", "pool": "s", "ctime": "x", "seq-nr": "t",
}  # fmt: skip
_OTHERWISE = {("RequestMedia", "timeout"): "t"}

_PROMPT_SECONDS = 150.0  # polkit's dialogue may stay open for two minutes
_SHORT_SECONDS = 0.3  # a job that ends within this shows no progress


@dataclass(frozen=True)
class News:
    """A signal, its values plain."""

    path: str
    interface: str
    member: str
    body: list[Any]


class Client:
    """A connection to the service, made by the first call, and what is running on it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.on_signal: Callable[[int], None] | None = None  # takes the place of cancelling
        self.interrupted = False
        self.parting = "cancelled"  # said where a signal ends a verb
        self._bus: Bus | None = None
        self._job: Job | None = None  # what a signal cancels
        self._watch: progress.Watch | None = None
        self._stopped = asyncio.Event()
        self._broken: OSError | None = None
        self._main = asyncio.current_task()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def bus(self) -> Bus:
        """The connection.  Raises Failure."""
        if self._bus is None:
            self._bus = await _connect(self.settings.address)
        return self._bus

    async def close(self) -> None:
        if self._bus is not None:
            await self._bus.close()

    # --- calls ------------------------------------------------------------------------------------

    async def call(
        self,
        path: str,
        interface: str,
        member: str,
        *arguments: Any,
        options: Mapping[str, Any] | None = None,
        timeout: float | None = _PROMPT_SECONDS,
        interactive: bool = True,
    ) -> list[Any]:
        """Call a member by the signature in the XML; the out arguments, descriptors already taken.

        Without ``interactive`` nobody is asked for a password.  Raises Failure.
        """
        method = api()[interface].methods[member]
        values = zip(method.inputs, (*arguments, options or {}), strict=True)
        body = [variants(value, member) if arg.type == "a{sv}" else value for arg, value in values]
        return await self._send(path, interface, member, method.in_signature, body, timeout, interactive)

    async def properties(self, path: str, interface: str) -> Json:
        """All properties of one interface.  Raises Failure."""
        (values,) = await self._send(path, PROPERTIES, "GetAll", "s", [interface], 25.0)
        return dict(values)

    async def objects(self) -> dict[str, dict[str, Json]]:
        """Everything there is: interfaces and their properties by object path.  Raises Failure."""
        (managed,) = await self._send(names.ROOT_PATH, OBJECT_MANAGER, "GetManagedObjects", "", [], 25.0)
        return dict(managed)

    async def _send(
        self,
        path: str,
        interface: str,
        member: str,
        signature: str,
        body: list[Any],
        timeout: float | None,
        interactive: bool = True,
    ) -> list[Any]:
        bus = await self.bus()
        try:
            reply = await bus.call(
                names.BUS_NAME,
                path,
                interface,
                member,
                signature,
                body,
                timeout=timeout,
                interactive=interactive and self.settings.interactive,
            )
        except CallError as error:
            raise from_error(error.name, error.text, drive=_drive_of(path)) from error
        values = [unwrap(value) for value in reply.body]
        return [*values[: len(values) - len(reply.fds)], *reply.fds] if reply.fds else values

    # --- jobs -------------------------------------------------------------------------------------

    async def finish(self, path: str, *, drive: str = "", ours: bool = True) -> Json:
        """Wait for the end of the job at ``path`` and show how far it is; its result.

        A signal cancels the job where it is ``ours``.  Raises Failure with the job's error and its
        further facts.
        """
        job = Job(path)
        waiting = asyncio.ensure_future(self.call(path, names.JOB, "Wait", timeout=None))
        self._job = job if ours else None
        try:
            await asyncio.wait({waiting}, timeout=_SHORT_SECONDS)
            if not waiting.done():
                await self._show(job, waiting)
            (result,) = await waiting
        except Failure as failure:
            text = "cancelled" if self.interrupted and failure.name == "Cancelled" else failure.text
            data = await self._facts(path)
            raise from_error(failure.full_name, text, drive=drive, data=data) from failure
        finally:
            self._job = None
            waiting.cancel()
        return dict(result)

    async def _show(self, job: Job, waiting: asyncio.Future[Any]) -> None:
        """Show ``job`` until ``waiting`` is done."""
        self._watch = watch = progress.watch(self.settings)
        subscription = await self.subscribe(
            lambda news: job.take(news.body[0], news.body[1]),
            sender=names.BUS_NAME,
            path=job.path,
            interface=PROPERTIES,
            member="PropertiesChanged",
        )
        try:
            with contextlib.suppress(Failure):  # a job that has just ended tells it by Wait
                job.properties = {**await self.properties(job.path, names.JOB), **job.properties}
                job.transfer = {**await self.properties(job.path, names.TRANSFER), **job.transfer}
            while not waiting.done():
                watch.show(job)
                await asyncio.wait({waiting}, timeout=watch.interval)
        finally:
            watch.close()
            self._watch = None
            await subscription.close()

    async def _facts(self, path: str) -> Json:
        """What a failed job left behind, as long as it is there to be asked."""
        try:
            return dict((await self.properties(path, names.JOB)).get("ResultData") or {})
        except Failure:
            return {}

    def note(self, line: str) -> None:
        """A line to the person, above the progress bar if there is one."""
        if self._watch is not None:
            self._watch.note(line)
        else:
            render.say(line)

    # --- news ------------------------------------------------------------------------------------

    async def subscribe(self, callback: Callable[[News], None], **match: str) -> Subscription:
        """Have ``callback`` told every signal that fits ``match``."""

        def tell(message: SignalMessage) -> None:
            body = [unwrap(value) for value in message.body]
            try:
                callback(News(message.path, message.interface, message.member, body))
            except OSError as error:  # nobody reads what is printed
                self._broken = error
                self._stopped.set()

        return await (await self.bus()).subscribe(tell, **match)

    async def until_stopped(self) -> None:
        """Return at the next signal of the keyboard.

        Raises Failure when the bus is lost first, OSError when a listener can print no more.
        """
        self.on_signal = lambda _: self._stopped.set()
        closed = (await self.bus()).closed
        waiting: asyncio.Future[Any] = self.spawn(self._stopped.wait())
        await asyncio.wait({waiting, closed}, return_when=asyncio.FIRST_COMPLETED)
        self.on_signal = None
        waiting.cancel()
        if self._broken is not None:
            raise self._broken
        if closed.done():
            raise Failure("the connection to the bus is lost", remedy="tapectl doctor")

    # --- the event loop, for verbs that must not know it ------------------------------------------

    async def in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run blocking code beside the loop."""
        return await asyncio.to_thread(function, *arguments)

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Let ``work`` go on beside the caller."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def settle(self) -> None:
        """Let signals that have arrived be handled first: they may be behind the caller in the loop."""
        for _ in range(3):
            await asyncio.sleep(0)

    async def line_from(self, descriptor: int) -> str:
        """One line typed on the terminal ``descriptor``; "" at its end."""
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        loop.add_reader(descriptor, _arrived, ready)
        try:
            await ready
        finally:
            loop.remove_reader(descriptor)
        return os.read(descriptor, 4096).decode(errors="replace")

    # --- signals ----------------------------------------------------------------------------------

    def catch_signals(self) -> None:
        """From now on Ctrl-C cancels in good order, and a second one leaves at once."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._signalled, number)

    def _signalled(self, number: int) -> None:
        if self.on_signal is not None:
            self.on_signal(number)
        elif self.interrupted:
            self._leave_at_once()
        else:
            self.interrupted = True
            if self._job is not None:
                self.note(f"tapectl: cancelling job {self._job.number}; Ctrl-C again leaves at once")
                self.spawn(self._cancel(self._job.path))
            elif self._main is not None:
                self._main.cancel()

    async def _cancel(self, path: str) -> None:
        try:
            await self.call(path, names.JOB, "Cancel")
        except Failure as failure:
            if failure.name not in {"JobFinished", "AlreadyCancelled"}:
                self.note(f"tapectl: {failure.text}")

    def _leave_at_once(self) -> None:
        if self._watch is not None:
            self._watch.close()
        if self._job is not None:
            render.say(f"tapectl: left; job {self._job.number} is still being cancelled")
        sys.stdout.flush()
        os._exit(Exit.CANCELLED)


def variants(values: Mapping[str, Any], member: str = "") -> dict[str, Variant]:
    """An ``a{sv}`` of ``member``: each value with the type its key has in this API."""
    return {
        key: Variant(_OTHERWISE.get((member, key), _OPTIONS[key]), value) for key, value in values.items()
    }


def _drive_of(path: str) -> str:
    return names.name_of(path) if path.startswith(f"{names.ROOT_PATH}/drives/") else ""


def _arrived(event: asyncio.Future[None]) -> None:
    if not event.done():
        event.set_result(None)


async def _connect(address: str | None) -> Bus:
    try:
        return await Bus.connect(address)
    except CallError as error:
        raise from_error(error.name, error.text) from error


def run(
    settings: Settings, body: Callable[..., Coroutine[Any, Any, int | None]], arguments: Mapping[str, Any]
) -> int:
    """Run a verb to its end; its exit status.  Raises Failure."""

    async def whole() -> int:
        if not settings.verbose:
            logging.getLogger("tapeds").addHandler(logging.NullHandler())  # not to standard error by default
        client = Client(settings)
        client.catch_signals()
        try:
            return await body(client, **arguments) or Exit.DONE
        except asyncio.CancelledError:
            raise Failure(client.parting, exit_status=Exit.CANCELLED) from None
        finally:
            await client.close()

    return asyncio.run(whole())
