# SPDX-License-Identifier: LGPL-2.1-or-later
"""The handle of one worker process: what it is asked, what it answers, how it dies.

Nothing here blocks the event loop, and nothing here kills a worker that has a device: a command
that hangs in the kernel is left there, and the drive says so.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import tapeds
from tapeds import errors, journal
from tapeds.names import Field
from tapeds.service.channel import Channel
from tapeds.service.process import Process
from tapeds.service.timings import Timings
from tapeds.worker import messages as m

log = logging.getLogger(__name__)

Json = dict[str, Any]
OPEN = 0                                    # the id of the answer to `Open`
RELEASE = -1                                # stands for the one answer without an id


class Call:
    """One thing asked of a worker, until it is answered."""

    def __init__(
        self, worker: WorkerHandle, number: int, operation: str, progress: Callable[[m.Progress], None] | None
    ) -> None:
        self.id = number
        self.operation = operation
        self.began = worker.now()
        self.progress = progress
        self.answer: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._worker = worker
        self._replies: deque[asyncio.Future[None]] = deque()

    async def result(self) -> Json:
        """The data of the answer.  Raises the failure that the worker tells, DeviceFailed when it dies."""
        return await self.answer

    def cancel(self, error: str, text: str) -> None:
        """Ask the worker to stop at the next block; the call then fails with ``error``."""
        if not self.answer.done():
            self._worker.send(m.Cancel(self.id, error, text))

    async def commit(self, size: int, sha256: str) -> None:
        """Tell that ``size`` bytes are all.  Raises JobFinished, and what the worker refuses it with."""
        await self._ask(m.Commit(self.id, size, sha256))

    async def abort(self) -> None:
        """Have the file closed as incomplete now.  Raises JobFinished."""
        await self._ask(m.Abort(self.id))

    async def _ask(self, message: m.Commit | m.Abort) -> None:
        if self.answer.done():
            raise errors.JobFinished(f"{self.operation} has ended already")
        reply: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._replies.append(reply)
        self._worker.send(message)
        await reply

    def replied(self, refusal: errors.TapeError | None) -> None:
        """The worker took the oldest commit or abort, or refuses it."""
        if self._replies:
            reply = self._replies.popleft()
            if not reply.done():
                if refusal is None:
                    reply.set_result(None)
                else:
                    reply.set_exception(refusal)

    def settle(self, data: Json | None, error: errors.TapeError | None = None) -> None:
        """The worker has answered, or never will."""
        if self.answer.done():
            return
        if error is None:
            self.answer.set_result(data or {})
        else:
            self.answer.set_exception(error)
            self.answer.exception()         # whoever asked may have gone
        while self._replies:
            self.replied(errors.JobFinished(f"{self.operation} ended before that was taken"))


class WorkerHandle:
    """A running worker.  ``lost`` is done, with a text, once the process is gone."""

    def __init__(self, name: str, timings: Timings) -> None:
        self.name = name
        self.pid = 0
        self.state = m.DeviceState()
        self.heard = 0.0
        self.stuck = ""                     # "rewind has not answered since 12:00:00", while it does not
        self.fields: Callable[[], dict[str, str]] = dict
        self.on_state: Callable[[m.DeviceState], None] = lambda state: None
        self.on_stuck: Callable[[str], None] = lambda text: None
        loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[str] = loop.create_future()
        self._loop = loop
        self._timings = timings
        self._calls: dict[int, Call] = {}
        self._last = OPEN
        self._greeted: asyncio.Future[m.Hello] = loop.create_future()
        self._watch: asyncio.TimerHandle | None = None
        self._channel: Channel
        self._process: Process
        self._ending: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, name: str, command: Sequence[str], timings: Timings) -> WorkerHandle:
        """Start a worker and greet it.  Raises Internal when it does not become one."""
        worker = cls(name, timings)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        worker._channel = Channel(ours, worker._receive, worker._hung_up)
        try:
            worker._process = await Process.start(command, theirs)
        except OSError as exc:
            worker._channel.close()
            raise errors.Internal(f"cannot start a worker for {name}: {exc}") from exc
        finally:
            theirs.close()
        worker.pid = worker._process.pid
        worker.send(m.Hello(tapeds.__version__))
        await worker._greet()
        return worker

    def now(self) -> float:
        """Seconds of a clock that only goes forward."""
        return self._loop.time()

    def send(self, message: m.Message, fds: Sequence[int] = ()) -> None:
        """Send ``message``; ``fds`` are closed here.  Raises InvalidOption for one that is too long."""
        try:
            self._channel.send(message, fds)
        except ValueError as exc:
            raise errors.InvalidOption(f"what is asked of {self.name} is too long: {exc}") from exc

    async def open(self, spec: m.DeviceSpec, before: m.DeviceState | None = None) -> Json:
        """Have the device opened; ``recovered`` in the answer says what was left over and mended.

        ``before``: what an interrupted lease knew of it, which is to be proved.
        """
        return await self._call(OPEN, "open", m.Open(spec, before)).result()

    def request(
        self,
        operation: str,
        arguments: Json,
        *,
        fd: int | None = None,
        progress: Callable[[m.Progress], None] | None = None,
    ) -> Call:
        """Begin ``operation``; ``fd`` goes to the worker and is closed here, whatever happens."""
        self._last += 1
        message = m.Request(self._last, operation, arguments)
        return self._call(self._last, operation, message, [] if fd is None else [fd], progress)

    async def release(self) -> list[str]:
        """Have the device closed; the steps of it that did not work."""
        call = self._call(RELEASE, "release", m.Release())
        return [str(step) for step in (await call.result())["failed"]]

    def ask(self) -> None:
        """Have a `State` sent, some time soon."""
        self.send(m.Ask())

    async def end(self) -> None:
        """End a worker that has no device; returns when the process is gone."""
        await self._process.end(self._timings.grace)
        await asyncio.wait({self.lost})

    def retire(self) -> None:
        """Close the socket: the worker releases what it has and exits when it can."""
        self._channel.close()
        self._hung_up()

    def _call(
        self,
        number: int,
        operation: str,
        message: m.Message,
        fds: Sequence[int] = (),
        progress: Callable[[m.Progress], None] | None = None,
    ) -> Call:
        call = Call(self, number, operation, progress)
        if self.lost.done():
            for fd in fds:
                os.close(fd)
            call.settle(None, self._death(self.lost.result()))
            return call
        self.send(message, fds)
        self._calls[number] = call
        if self._watch is None:
            self._watch = self._loop.call_later(self._timings.ping, self._look)
        return call

    async def _greet(self) -> None:
        await asyncio.wait({self._greeted}, timeout=self._timings.hello)
        if not self._greeted.done():
            await self.end()
            raise errors.Internal(f"the worker of {self.name} did not answer for {self._timings.hello:.0f} s")
        hello = self._greeted.result()
        if (hello.version, hello.protocol) != (tapeds.__version__, m.PROTOCOL):
            await self.end()
            raise errors.Internal(
                f"the worker of {self.name} is tapeds {hello.version} (protocol {hello.protocol}), "
                f"the daemon {tapeds.__version__} (protocol {m.PROTOCOL}): restart the daemon"
            )

    def _death(self, text: str) -> errors.TapeError:
        return errors.DeviceFailed(
            f"the worker of {self.name} {text}; try again: an unfinished file is closed as incomplete"
        )

    def _hung_up(self) -> None:
        if self._ending is None:
            self._ending = self._loop.create_task(self._bury())

    async def _bury(self) -> None:
        text = await self._process.ended()
        self.lost.set_result(text)          # first: who hears of a failed call finds the worker gone
        self._settle_all(self._death(text))
        if not self._greeted.done():
            self._greeted.set_exception(errors.Internal(f"the worker of {self.name} {text} before it began"))
            self._greeted.exception()

    def _settle_all(self, error: errors.TapeError) -> None:
        calls, self._calls = self._calls, {}
        for call in calls.values():
            call.settle(None, error)
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _look(self) -> None:
        """Whether the worker still answers; only while something is asked of it."""
        self._watch = None
        if not self._calls or self.stuck:
            return
        call = min(self._calls.values(), key=lambda call: call.began)
        silent = self.now() - max(self.heard, call.began)
        if silent >= self._timings.patience:
            since = time.strftime("%H:%M:%S", time.localtime(time.time() - silent))
            self.stuck = f"{call.operation} has not answered since {since}"
            error = errors.DeviceFailed(f"{self.name}: {self.stuck}; worker {self.pid} is left to the kernel")
            self._settle_all(error)
            self.on_stuck(self.stuck)
            return
        if silent >= self._timings.ping:
            self.ask()
        self._watch = self._loop.call_later(self._timings.ping, self._look)

    def _receive(self, message: m.Message) -> None:
        self.heard = self.now()
        match message:
            case m.Hello():
                if not self._greeted.done():
                    self._greeted.set_result(message)
            case m.Log():
                journal.relay(replace(message, fields={**self.fields(), **message.fields}))
            case m.Progress():
                self._learn(message.state)
                call = self._calls.get(message.id)
                if call is not None and call.progress is not None:
                    call.progress(message)
            case m.State():
                self._learn(message.state)
            case m.Taken() | m.Refused():
                call = self._calls.get(message.id)
                if call is not None:
                    call.replied(_error(message) if isinstance(message, m.Refused) else None)
            case m.Result() | m.Failure():
                self._learn(message.state)
                failure = _error(message) if isinstance(message, m.Failure) else None
                self._answered(message.id, message.data, failure)
            case m.Released():
                self._answered(RELEASE, {"failed": message.failed}, None)
            case _:
                log.warning("the worker of %s sent a %s", self.name, type(message).__name__)

    def _learn(self, state: m.DeviceState | None) -> None:
        if state is not None:
            self.state = state
            self.on_state(state)

    def _answered(self, number: int, data: Json, error: errors.TapeError | None) -> None:
        if self.stuck:
            log.warning("%s answers again; its worker is replaced", self.name, extra={Field.DRIVE: self.name})
            self.retire()
            return
        call = self._calls.pop(number, None)
        if call is not None:
            call.settle(data, error)


def _error(message: m.Failure | m.Refused) -> errors.TapeError:
    data = message.data if isinstance(message, m.Failure) else {}
    return errors.by_name(message.name)(message.message, data)
