# SPDX-License-Identifier: LGPL-2.1-or-later
"""The conversation of a worker with the bus process, from Hello to the end of the socket."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys

import tapeds
from tapeds.errors import Failed, Internal, InvalidState, TapeError
from tapeds.filesystem import REAL, FileSystem
from tapeds.names import Field
from tapeds.worker import messages, operations, proof, recovery
from tapeds.worker.arguments import Arguments
from tapeds.worker.control import Control, refusal_of
from tapeds.worker.lease import Lease
from tapeds.worker.link import Link, Packet
from tapeds.worker.logs import sent_to
from tapeds.worker.messages import (
    Ask,
    DeviceSpec,
    DeviceState,
    Failure,
    Hello,
    Json,
    Message,
    Open,
    Release,
    Released,
    Request,
    Result,
    State,
)
from tapeds.worker.release import release

_USAGE = 2                            # exit status: started in another way
_STRANGER = 3                         # exit status: the peer is no bus process of this version
_FAULT = 70                           # exit status: a fault in the worker itself (EX_SOFTWARE)
_LONGEST_TEXT = 2000                  # characters of an error text

log = logging.getLogger(__name__)


def run(sock: socket.socket, fs: FileSystem = REAL, *, stop_fd: int = -1) -> int:
    """Serve ``sock`` until its end, or until ``stop_fd`` has something to read; the exit status."""
    link = Link(sock, stop_fd)
    with sent_to(link):
        worker = Worker(link, fs)
        try:
            return worker.serve()
        except Exception:
            # A fault of ours: the journal gets the traceback, the device is given back all the same.
            log.exception("a fault in the worker")
            worker.give_up()
            return _FAULT


class Worker:
    """Answers one request at a time; ``lease`` is what it works on, None while no device is open."""

    def __init__(self, link: Link, fs: FileSystem) -> None:
        self.lease: Lease | None = None
        self._link = link
        self._fs = fs
        self._running: int | None = None

    def serve(self) -> int:
        """The whole conversation; the exit status."""
        self._link.send(Hello(tapeds.__version__))
        if not self._greeted():
            return 0 if self._link.ended else _STRANGER
        while (packet := self._next()) is not None:
            self._answer(packet)
        self._release()
        return 0

    def give_up(self) -> None:
        """After a fault: answer the request in hand, give the device back as far as that goes."""
        if self._running is not None:
            error = Internal("a fault in the worker; the journal has the details")
            self._link.send(_failure(self._running, error, self._state()))
        self._release()

    # --- packets --------------------------------------------------------------------------------

    def _next(self) -> Packet | None:
        """The next packet, or None when it is time to end."""
        while not self._link.ended:
            packet = self._link.receive()
            if packet is not None:
                return packet
            if not self._link.ended:
                self._link.wait()
        return None

    def _greeted(self) -> bool:
        packet = self._next()
        if packet is None:
            return False
        packet.close_descriptors()
        match packet.message:
            case Hello(version=tapeds.__version__, protocol=messages.PROTOCOL):
                return True
            case Hello(version=version, protocol=protocol):
                log.error(
                    "the service is tapeds %s (protocol %d), the worker %s (%d): restart the service",
                    version,
                    protocol,
                    tapeds.__version__,
                    messages.PROTOCOL,
                )
            case other:
                log.error("the conversation began with %s instead of Hello", type(other).__name__)
        return False

    def _answer(self, packet: Packet) -> None:
        match packet.message:
            case Request() as request:
                self._do(request, packet)
                return
            case Open(device=spec, before=before) if self.lease is None:
                self._open(spec, before)
            case Release():
                self._link.send(Released(self._release()))
            case Ask():
                self._link.send(State(self._state()))
            case other:
                if answer := refusal_of(other, self._state):
                    self._link.send(answer)
        packet.close_descriptors()

    def _open(self, spec: DeviceSpec, before: DeviceState | None) -> None:
        control = Control(self._link, 0)
        self._running = 0
        try:
            lease = Lease(spec, self._fs)
            try:
                proof.same_device(lease, before)
                lease.knowledge.look()
            except TapeError:
                lease.drive.close()
                raise
        except TapeError as error:
            self._reply(_failure(0, error, DeviceState()))
            return
        self.lease = lease
        lease.deserted = lambda: self._link.gone
        control.knowledge = lease.knowledge
        recovered = _recover(lease, control)
        proof.ask_for(lease, before)
        self._reply(Result(0, {"recovered": recovered} if recovered else {}, self._state()))
        self._release_if_asked(control)

    def _do(self, request: Request, packet: Packet) -> None:
        lease = self.lease
        if lease is None:
            packet.close_descriptors()
            error = InvalidState("no device is open; open one first")
            self._reply(_failure(request.id, error, DeviceState()))
            return
        control = Control(self._link, request.id)
        control.knowledge = lease.knowledge
        self._running = request.id
        reply: Message
        try:
            arguments = Arguments(request.arguments, packet.descriptors)
            proof.demand(lease, request.operation)
            data = operations.perform(request.operation, lease, arguments, control)
            reply = Result(request.id, data, lease.knowledge.state())
        except TapeError as error:
            reply = _failure(request.id, error, lease.knowledge.state())
        finally:
            packet.close_descriptors()            # before the answer: a reader's end of file comes first
        self._reply(reply)
        self._release_if_asked(control)

    # --- pieces ---------------------------------------------------------------------------------

    def _reply(self, message: Result | Failure) -> None:
        """Send the end of the request in hand, whatever its length."""
        self._running = None
        try:
            self._link.send(message)
        except ValueError as exc:
            error = Failed(f"the request has ended, but its result cannot be told: {exc}")
            self._link.send(_failure(message.id, error, message.state))

    def _release_if_asked(self, control: Control) -> None:
        if control.release_asked:
            self._link.send(Released(self._release()))

    def _release(self) -> list[str]:
        lease, self.lease = self.lease, None
        return release(lease) if lease is not None else []

    def _state(self) -> DeviceState:
        return self.lease.knowledge.state() if self.lease is not None else DeviceState()


def _recover(lease: Lease, control: Control) -> str:
    """Close what a crash has left open; what was done, or why not.  The device can be used in any case."""
    knowledge = lease.knowledge
    text = ""
    try:
        lease.intents.load()
        text = recovery.recover(lease, control.poll)
    except TapeError as error:
        knowledge.fail(error)
        intent = lease.intents.pending
        text = f"{recovery.interrupted(intent)} and is not closed: {error}" if intent else str(error)
        log.warning("%s: %s", lease.name, text, extra={Field.DRIVE: lease.spec.name})
        if intent is not None:
            return text                           # where the tape stands after that is not proved
    try:
        if knowledge.loaded:
            knowledge.arrive()
    except TapeError as error:
        knowledge.fail(error)                     # whoever wants something of the tape will hear it
    return text


def _failure(number: int, error: TapeError, state: DeviceState) -> Failure:
    data: Json = {
        key: value.hex() if isinstance(value, bytes) else value for key, value in error.data.items()
    }
    return Failure(number, error.name, str(error)[:_LONGEST_TEXT], data, state)


def main() -> int:
    """``python -m tapeds.worker --fd N``: serve the socket that was inherited as descriptor N."""
    match sys.argv[1:]:
        case ["--fd", number] if number.isdecimal():
            try:
                sock = socket.socket(fileno=int(number))
            except OSError as exc:
                print(f"descriptor {number} is no socket: {exc.strerror}", file=sys.stderr)
                return _USAGE
        case _:
            print("usage: python -m tapeds.worker --fd NUMBER", file=sys.stderr)
            return _USAGE
    stop, woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGTERM, lambda _number, _frame: None)      # the byte in the pipe is what counts
    for terminal in (signal.SIGINT, signal.SIGHUP):
        signal.signal(terminal, signal.SIG_IGN)                      # the service hears them and decides
    with sock:
        return run(sock, stop_fd=stop)
