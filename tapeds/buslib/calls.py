# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is said over the bus: calls that came in, replies, signals, and errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tapeds.buslib import library, wire
from tapeds.buslib.wire import Frame

CALL_VALUES = 5_000                # what the body of a call may be made of
ANY_VALUES = 10_000_000            # replies and signals: their length is bounded, that is enough


class Error:
    """Error names that every D-Bus program knows.  Ref: ``dbus-protocol.h``."""

    FAILED = "org.freedesktop.DBus.Error.Failed"
    NO_REPLY = "org.freedesktop.DBus.Error.NoReply"
    ADDRESS_IN_USE = "org.freedesktop.DBus.Error.AddressInUse"
    NO_SERVER = "org.freedesktop.DBus.Error.NoServer"
    AUTH_FAILED = "org.freedesktop.DBus.Error.AuthFailed"
    TIMEOUT = "org.freedesktop.DBus.Error.Timeout"
    DISCONNECTED = "org.freedesktop.DBus.Error.Disconnected"
    LIMITS_EXCEEDED = "org.freedesktop.DBus.Error.LimitsExceeded"
    ACCESS_DENIED = "org.freedesktop.DBus.Error.AccessDenied"
    INTERACTIVE_AUTHORIZATION_REQUIRED = "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"
    INVALID_ARGS = "org.freedesktop.DBus.Error.InvalidArgs"
    INCONSISTENT_MESSAGE = "org.freedesktop.DBus.Error.InconsistentMessage"
    UNKNOWN_OBJECT = "org.freedesktop.DBus.Error.UnknownObject"
    UNKNOWN_INTERFACE = "org.freedesktop.DBus.Error.UnknownInterface"
    UNKNOWN_METHOD = "org.freedesktop.DBus.Error.UnknownMethod"
    UNKNOWN_PROPERTY = "org.freedesktop.DBus.Error.UnknownProperty"
    PROPERTY_READ_ONLY = "org.freedesktop.DBus.Error.PropertyReadOnly"
    NAME_HAS_NO_OWNER = "org.freedesktop.DBus.Error.NameHasNoOwner"
    SERVICE_UNKNOWN = "org.freedesktop.DBus.Error.ServiceUnknown"
    NOT_SUPPORTED = "org.freedesktop.DBus.Error.NotSupported"


class CallError(Exception):
    """A call failed, or must fail: ``name`` is the full D-Bus error name."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"{name}: {text}")
        self.name = name
        self.text = text


@dataclass(frozen=True)
class Credentials:
    """Whose connection it is, as the bus knows it; ``pid`` is 0 where it is not known."""

    uid: int
    pid: int


@dataclass(frozen=True)
class Reply:
    """A method returned; ``fds`` are the caller's to close, values of type ``h`` are places in this list."""

    body: list[Any]
    fds: list[int]


@dataclass(frozen=True)
class SignalMessage:
    """A signal that a subscription asked for."""

    sender: str
    path: str
    interface: str
    member: str
    signature: str
    body: list[Any]


class Incoming:
    """A method call from somebody else.  It must be answered: `Bus.reply`, `Bus.fail` or `Bus.run`.

    The body is read when it is first asked for.  Descriptors that came with the call are closed
    when it is answered, unless they were taken.
    """

    __slots__ = ("_body", "_frame", "answered", "fd_count", "interactive", "interface", "member", "no_reply",
                 "path", "sender", "serial", "signature")

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._body: list[Any] | None = None
        self.sender = frame.sender
        self.serial = frame.serial
        self.path = frame.path
        self.interface = frame.interface
        """None where the caller left it out, which is legal."""
        self.member = frame.member
        self.signature = frame.signature
        self.interactive = bool(frame.flags & wire.INTERACTIVE)
        """Whether the caller is ready for an authentication dialogue."""
        self.no_reply = bool(frame.flags & wire.NO_REPLY)
        self.fd_count = len(frame.received)
        self.answered = False

    @property
    def deserted(self) -> bool:
        """Whether its caller has left the bus: what is only a question need not be answered."""
        return self._frame.deserted

    def __repr__(self) -> str:
        return f"<call of {self.interface}.{self.member}({self.signature}) at {self.path} by {self.sender}>"

    @property
    def body(self) -> list[Any]:
        """The arguments.  Raises CallError InvalidArgs where they cannot be read."""
        if self._body is None:
            try:
                frame = self._frame
                self._body = library.decode(frame.order, frame.signature, frame.body, CALL_VALUES)
            except ValueError as exc:
                text = f"the arguments of {self.member} are refused: {exc}"
                raise CallError(Error.INVALID_ARGS, text) from exc
            self._frame.body = b""
        return self._body

    def take_fd(self, index: int) -> int:
        """Descriptor ``index`` of this call, close-on-exec, now the caller's to close.

        Raises CallError InvalidArgs if there is none of this index, or if it was taken before.
        """
        fd = self._frame.received.take(index)
        if fd is None:
            text = f"{self.member} names file descriptor {index}, which did not come with the call"
            raise CallError(Error.INVALID_ARGS, text)
        return fd

    def settle(self) -> bool:
        """Count the call as answered and close what nobody took; False if it was answered before."""
        first, self.answered = not self.answered, True
        self._frame.received.close()
        return first


def read_reply(frame: Frame) -> Reply:
    """What ``frame`` says to the one who called.  Raises CallError when it is an error, or cannot be read."""
    if frame.refusal:
        raise CallError(Error.LIMITS_EXCEEDED, frame.refusal)
    try:
        body = library.decode(frame.order, frame.signature, frame.body, ANY_VALUES)
    except ValueError as exc:
        frame.received.close()
        raise CallError(Error.INCONSISTENT_MESSAGE, f"the reply of {frame.sender} is refused: {exc}") from exc
    if frame.kind == wire.ERROR:
        frame.received.close()
        raise CallError(frame.error_name, body[0] if body and isinstance(body[0], str) else "")
    return Reply(body, frame.received.take_all())
