# SPDX-License-Identifier: LGPL-2.1-or-later
"""One connection to a bus: what arrives is sorted and handled in fair turns, what leaves is bounded.

Reading, which is cheap, goes ahead of handling; the calls of a sender that pile up are refused
unread (`turns` says what becomes of the rest).  While the bus takes nothing from us, nothing more
is taken from it, so that replies cannot pile up either: dbus-daemon stops reading from a service
once 127 MiB of its messages wait for clients that do not read, until such a client is gone.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tapeds.buslib import wire
from tapeds.buslib.calls import CallError, Error
from tapeds.buslib.compose import compose
from tapeds.buslib.descriptors import Budget
from tapeds.buslib.inbox import Inbox
from tapeds.buslib.outbox import Letter, Outbox
from tapeds.buslib.reader import Reader
from tapeds.buslib.turns import Turns
from tapeds.buslib.wire import Frame

log = logging.getLogger(__name__)

_SECONDS_OF_READING = 0.01                 # in one turn, at most

CALL_BYTES = 192 * 1024                    # of a call's body; the longest of the API has 64 KiB twice
OTHER_BYTES = 16 * 1024 * 1024             # of the body of a reply or a signal

_HEADER_BYTES = 256                        # what a header counts for while it waits
_INBOX_BYTES = 8 * 1024 * 1024             # beyond these nothing is read
_OUTBOX_BYTES = 1024 * 1024
_SIGNAL_BYTES = 4 * 1024 * 1024            # waiting in the outbox: beyond, broadcasts are left out
_ANY_BYTES = 64 * 1024 * 1024              # and beyond this, everything is
_COMPLAIN_EVERY = 10.0                     # seconds between two log lines about the same thing


class BusIsFull(CallError):
    """The bus takes nothing from us at the moment, and enough waits for it already."""


@dataclass(frozen=True)
class Gone:
    """A connection has left the bus; waits behind the last call that it made."""

    name: str


class Listener(Protocol):
    """What a `Connection` asks of the one who uses it."""

    def wants(self, frame: Frame) -> bool:
        """Whether anybody wants this signal; only its header is there."""

    def arrived(self, frame: Frame) -> str:
        """A signal is there; the sender in whose queue it is to wait, "" for none."""

    def handle(self, item: Frame | Gone) -> None:
        """A call, a signal or a departure is due.  Must not raise."""


class Connection:
    """Messages in and out of ``sock``, which is connected and authenticated."""

    def __init__(self, sock: socket.socket, listener: Listener) -> None:
        self.loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[BaseException | None] = self.loop.create_future()
        self.outbox = Outbox(self.loop, sock, self.lose, self._relieved)
        self.left_out = 0
        """How many messages were given up because the bus did not take them."""
        self._sock = sock
        self._listener = listener
        self._budget = Budget()
        self._inbox: Inbox[Frame | Gone] = Inbox()
        self._reader = Reader(sock, self._wants, self._drops)
        self._reading = False
        self._turns = Turns(self.loop, self._inbox, self._handle, self._after_turn)
        self._ended: BaseException | None = None       # the bus hung up; what had arrived is still handled
        self._serial = 0
        self._pending: dict[int, asyncio.Future[Frame]] = {}
        self._drained: list[asyncio.Future[None]] = []
        self._refused = 0
        self._complained = float("-inf")
        self._throttle()

    # --- out ------------------------------------------------------------------------------------

    def request(self, flags: int, destination: str, path: str, interface: str, member: str, signature: str,
                body: Sequence[Any], fds: Sequence[int] = ()) -> tuple[int, asyncio.Future[Frame]]:
        """Call a method; serial and reply.  Takes the descriptors over, also when it raises CallError."""
        serial = self.next_serial()
        future: asyncio.Future[Frame] = self.loop.create_future()

        def left(error: OSError | None) -> None:
            if error is not None and not future.done():
                name = Error.DISCONNECTED if isinstance(error, ConnectionError) else Error.FAILED
                future.set_exception(CallError(name, f"{member} was not sent: {error}"))

        self.post(wire.CALL, serial, signature, body, fds, left, flags=flags, destination=destination,
                  path=path, interface=interface, member=member)
        if not future.done():
            self._pending[serial] = future
        return serial, future

    def forget(self, serial: int) -> None:
        """Nobody waits for the reply to ``serial`` any more."""
        self._pending.pop(serial, None)

    def post(self, kind: int, serial: int, signature: str, body: Sequence[Any], fds: Sequence[int] = (),
             done: Callable[[OSError | None], None] | None = None, **header: Any) -> None:
        """Send one message.  Takes ``fds`` over, also when it raises.

        Raises CallError: InvalidArgs for what is no valid message, LimitsExceeded for one that no bus
        takes or when too much waits already.
        """
        letter = Letter(memoryview(b""), tuple(fds))
        try:
            if asyncio.get_running_loop() is not self.loop:
                raise RuntimeError("a bus may be used only in the thread of its event loop")
            letter.data = memoryview(compose(kind, serial, signature, body, len(letter.fds), header))
            self._check_space(kind, len(letter.data))
        except BaseException:
            letter.finish()
            raise
        letter.done = done
        self.outbox.send(letter)
        self._throttle()

    def next_serial(self) -> int:
        """The number of the next message."""
        self._serial = self._serial % 0xFFFF_FFFF + 1
        return self._serial

    def _check_space(self, kind: int, size: int) -> None:
        if self.outbox.bytes + size > (_SIGNAL_BYTES if kind == wire.SIGNAL else _ANY_BYTES):
            self.left_out += 1
            self._complain("the bus takes nothing, %d messages were left out", self.left_out)
            raise BusIsFull(Error.LIMITS_EXCEEDED, "the bus takes no more messages now")

    async def drain(self) -> None:
        """Return when nothing waits in the outbox, or the connection is lost."""
        if self.outbox and not self.closed.done():
            future = self.loop.create_future()
            self._drained.append(future)
            await future

    def _relieved(self) -> None:
        self._throttle()
        waiting, self._drained = self._drained, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    # --- in -------------------------------------------------------------------------------------

    def desert(self, name: str) -> None:
        """``name`` has left the bus: nobody would hear the answers to what waits of it."""
        for item in self._inbox.of(name):
            if isinstance(item, Frame):
                item.deserted = True

    def expect(self, name: str) -> None:
        """``name`` has left the bus; say so after everything that it had sent."""
        self._inbox.put(name, Gone(name), 0)
        self._turns.schedule()

    def _wants(self, frame: Frame, body_length: int) -> bool:
        match frame.kind:
            case wire.CALL:
                frame.refusal = frame.refusal or self._objection(frame, body_length)
                return not frame.refusal
            case wire.RETURN | wire.ERROR:
                if body_length > OTHER_BYTES:
                    frame.refusal = f"the reply has {body_length} bytes, more than {OTHER_BYTES}"
                return frame.reply_serial in self._pending and not frame.refusal
            case wire.SIGNAL:
                frame.received.close()
                frame.refusal = ""
                return body_length <= OTHER_BYTES and self._listener.wants(frame)
        return False                       # of a kind to come: the specification says, ignore it

    def _drops(self, sender: str) -> bool:
        full = self._inbox.is_full(sender)
        if full:
            self._turns.blame(sender)
            self._count_refusal(sender)
        return full

    def _objection(self, frame: Frame, body_length: int) -> str:
        if body_length > CALL_BYTES:
            return f"the arguments have {body_length} bytes, more than {CALL_BYTES}"
        if not self._inbox.has_room(frame.sender, body_length):
            self._turns.blame(frame.sender)
            return "too many calls of this connection wait already"
        if not frame.received.charge(self._budget, frame.sender):
            return "too many file descriptors of this connection wait already"
        return ""

    def _readable(self) -> None:
        until = self.loop.time() + _SECONDS_OF_READING
        try:
            while self._reading and (frames := self._reader.read()) is not None:
                for frame in frames:
                    self._sort(frame)
                if self._inbox.bytes > _INBOX_BYTES or self.loop.time() >= until:
                    break
        except (OSError, wire.BrokenFrame) as exc:
            self.end(exc)
            return
        self._turns.go()

    def _sort(self, frame: Frame) -> None:
        if frame.kind == wire.CALL and frame.refusal:
            self._refuse(frame)
            return
        sender = self._listener.arrived(frame) if frame.kind == wire.SIGNAL else frame.sender
        if sender:
            self._inbox.put(sender, frame, _HEADER_BYTES + len(frame.body))

    def _refuse(self, frame: Frame) -> None:
        frame.received.close()
        self._count_refusal(frame.sender)
        if not frame.flags & wire.NO_REPLY and not self._inbox.overflows(frame.sender):
            self._inbox.put(frame.sender, frame, 0)    # answered in its turn, like everything else

    def _handle(self, item: Frame | Gone) -> None:
        if isinstance(item, Frame) and item.kind in (wire.RETURN, wire.ERROR):
            self._settle(item)
        else:
            self._listener.handle(item)

    def _settle(self, frame: Frame) -> None:
        future = self._pending.pop(frame.reply_serial, None)
        if future is None or future.done():
            frame.received.close()
        else:
            future.set_result(frame)

    def _throttle(self) -> None:
        """Read, or do not, as the queues allow."""
        full = self._inbox.bytes > _INBOX_BYTES or self.outbox.bytes > _OUTBOX_BYTES
        wanted = not full and self._ended is None and not self.closed.done()
        if wanted and not self._reading:
            self.loop.add_reader(self._sock, self._readable)
        elif self._reading and not wanted:
            self.loop.remove_reader(self._sock)
        self._reading = wanted

    def _count_refusal(self, sender: str) -> None:
        self._refused += 1
        self._complain("refused %d calls so far, the last one by %s", self._refused, sender)

    def _complain(self, text: str, *values: object) -> None:
        now = self.loop.time()
        if now - self._complained >= _COMPLAIN_EVERY:
            self._complained = now
            log.warning(text, *values)

    # --- the end --------------------------------------------------------------------------------

    def end(self, cause: BaseException) -> None:
        """Read nothing more, and lose the connection when everything that has arrived is handled."""
        self._ended = cause
        self._throttle()
        self.loop.call_soon(self._after_turn)

    def _after_turn(self) -> None:
        self._throttle()
        if self._ended is not None and not self._inbox:
            self.lose(self._ended)

    def lose(self, cause: BaseException | None) -> None:
        """The connection is over; everything that waits is given up, every descriptor closed."""
        if self.closed.done():
            return
        self.closed.set_result(cause)
        self._turns.stop()
        self._relieved()
        self.outbox.close()
        for item in self._inbox.take_all():
            if isinstance(item, Frame):
                item.received.close()
        self._reader.close()
        self._sock.close()
        pending, self._pending = self._pending, {}
        text = "the connection to the bus is " + (f"lost: {cause}" if cause else "closed")
        for future in pending.values():
            if not future.done():
                future.set_exception(CallError(Error.DISCONNECTED, text))
