# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who gets what has arrived: the one handler of calls, the subscribers of signals, the watchers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from tapeds.buslib import library, wire
from tapeds.buslib.calls import ANY_VALUES, CallError, Error, Incoming, SignalMessage
from tapeds.buslib.connection import Connection, Gone
from tapeds.buslib.rules import BUS, Wishes
from tapeds.buslib.watches import Watches
from tapeds.buslib.wire import Frame

log = logging.getLogger(__name__)

Handler = Callable[[Incoming], None]


class Dispatcher:
    """Knows who wants what on one connection.

    ``fail`` answers a call with an error; ``departed`` is called when somebody who was watched has left.
    """

    connection: Connection

    def __init__(self, fail: Callable[[Incoming, str, str], None], departed: Callable[[], None]) -> None:
        self.handler: Handler = self._no_handler
        self.wishes = Wishes()
        self.watches = Watches()
        self.names: set[str] = set()
        """The well-known names that we own."""
        self._fail = fail
        self._departed = departed

    def wants(self, frame: Frame) -> bool:
        """Whether anybody may want the signal ``frame``; news of names before it may not be heard yet."""
        return self.wishes.possible(frame) or _is_about_names(frame)

    def arrived(self, frame: Frame) -> str:
        """The sender in whose queue the signal is to wait, "" for none.

        That a name has changed hands is noted at once, and told in the queue of the one who loses it.
        """
        frame.wishes = self.wishes.matching(frame)
        if not _is_about_names(frame):
            return frame.sender if frame.wishes else ""
        try:
            name, *owners = library.decode(frame.order, frame.signature, frame.body, ANY_VALUES)
        except ValueError:
            log.exception("the bus sent a signal that cannot be read")
            return ""
        if frame.member == "NameLost":
            if name in self.names:
                text = f"the bus has taken the name {name} from us"
                self.connection.end(CallError(Error.NAME_HAS_NO_OWNER, text))
            return ""
        old, new = owners
        self.wishes.change_owner(name, new)
        if not new:
            self.connection.desert(name)
        if not new and name in self.watches:
            self.connection.expect(name)
        return str(old or new) if frame.wishes else ""

    def handle(self, item: Frame | Gone) -> None:
        """Give a call, a signal or a departure to whom it concerns; what they raise ends here."""
        if isinstance(item, Gone):
            for callback in self.watches.take(item.name):
                _tell(callback)
            self._departed()
        elif item.kind == wire.SIGNAL:
            self._signal(item)
        else:
            self._call(Incoming(item), item.refusal)

    def fail_with(self, call: Incoming, error: BaseException) -> None:
        """Answer ``call`` with ``error``: only a CallError tells the caller more than that it failed."""
        if isinstance(error, CallError):
            self._fail(call, error.name, error.text)
        else:
            log.error("%r failed", call, exc_info=error)
            self._fail(call, Error.FAILED, f"{call.member} failed; the journal says more")

    def _call(self, call: Incoming, refusal: str) -> None:
        if refusal:
            self._fail(call, Error.LIMITS_EXCEEDED, f"{call.member} is refused: {refusal}")
            return
        try:
            self.handler(call)
        except Exception as exc:       # a caller must get an answer, and all others must be served
            self.fail_with(call, exc)

    def _signal(self, frame: Frame) -> None:
        try:
            body = library.decode(frame.order, frame.signature, frame.body, ANY_VALUES)
        except ValueError as exc:
            log.warning("a signal %s of %s is left out: %s", frame.member, frame.sender, exc)
            return
        message = SignalMessage(
            frame.sender, frame.path, frame.interface or "", frame.member, frame.signature, body
        )
        for wish in frame.wishes:
            if wish.open and (wish.rule.arg0 is None or body[:1] == [wish.rule.arg0]):
                _tell(partial(wish.callback, message))

    def _no_handler(self, call: Incoming) -> None:
        self._fail(call, Error.UNKNOWN_OBJECT, f"there is no object {call.path}: nothing is served here")


def _is_about_names(frame: Frame) -> bool:
    return frame.sender == BUS and frame.interface == BUS and frame.member in ("NameOwnerChanged", "NameLost")


def _tell(callback: Callable[[], None]) -> None:
    try:
        callback()
    except Exception:                  # one listener's fault must not silence the others
        log.exception("a listener on the bus failed")
