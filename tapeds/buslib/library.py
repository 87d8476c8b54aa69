# SPDX-License-Identifier: LGPL-2.1-or-later
"""The choice between dbus-next and dbus-fast, and all that is used of either: the codec.

``TAPEDS_DBUS`` names the library; dbus-next is the default.  Only its message, signature and
unmarshaller modules are loaded: the packages themselves would bring proxies, services and a
second event loop with them.  Connecting, reading, sending and dispatching are our own, because
that is where the faults of both libraries lie.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import io
import os
import struct
import sys
import types
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dbus_next.signature import SignatureType
    from dbus_next.signature import Variant as Variant

_CHOICES = ("dbus_next", "dbus_fast")
_TREES_KEPT = 256          # parsed signatures; the API has about 60
_HEADER_VALUES = 32        # what the header of `_envelope` is made of


def _choose() -> str:
    name = os.environ.get("TAPEDS_DBUS") or _CHOICES[0]
    if name not in _CHOICES:
        raise ImportError(f"TAPEDS_DBUS is {name!r}, but must be one of {', '.join(_CHOICES)}")
    return name


LIBRARY = _choose()


def _load(*names: str) -> list[types.ModuleType]:
    """Import modules of the library without running the ``__init__`` of its package."""
    bare: types.ModuleType | None = None
    if LIBRARY not in sys.modules:
        spec = importlib.machinery.PathFinder.find_spec(LIBRARY)
        if spec is None:
            raise ModuleNotFoundError(f"No module named {LIBRARY!r}", name=LIBRARY)
        bare = types.ModuleType(LIBRARY)
        bare.__path__ = list(spec.submodule_search_locations or [])
        sys.modules[LIBRARY] = bare
    try:
        return [importlib.import_module(f"{LIBRARY}.{name}") for name in names]
    finally:
        if bare is not None:
            del sys.modules[LIBRARY]       # whoever imports the package later gets the real one


# errors comes first: dbus-next's errors and message import each other, and only this way round works.
_, _message, _signature, _constants, _unmarshaller = _load(
    "errors", "message", "signature", "constants", "_private.unmarshaller"
)

if not TYPE_CHECKING:
    Variant = _signature.Variant


class TooManyValues(ValueError):
    """A body is made of more values than its reader is willing to take."""


class _Trees(dict[str, Any]):
    """Parsed signatures by text; forgets all when full.

    dbus-next keeps every signature that it ever saw: a client that sends ever new ones fills the memory.
    """

    def __setitem__(self, key: str, value: Any) -> None:
        if len(self) >= _TREES_KEPT:
            self.clear()
        super().__setitem__(key, value)


if LIBRARY == "dbus_next":
    _signature.SignatureTree._cache = _Trees()

    class _Reader(_unmarshaller.Unmarshaller):  # type: ignore[misc, name-defined]
        """Counts values: in pure Python, 100 KiB of tiny ones hold up the loop for a tenth of a second."""

        def __init__(self, stream: io.BytesIO, values: int) -> None:
            super().__init__(stream)
            self._left = values

        def _spend(self, count: int) -> None:
            self._left -= count
            if self._left < 0:
                raise TooManyValues("the message is made of too many values")

        def read_argument(self, type_: Any) -> Any:
            self._spend(1)
            return super().read_argument(type_)

        def read_signature(self, _: Any = None) -> str:
            signature: str = super().read_signature()
            self._spend(len(signature))    # a long one costs as much as it has types
            return signature

    def _parse(frame: bytes, values: int) -> Any:
        return _Reader(io.BytesIO(frame), values + _HEADER_VALUES).unmarshall()

    def tree(signature: str) -> list[SignatureType]:
        """The complete types of ``signature``."""
        found: list[SignatureType] = _signature.SignatureTree._get(signature).types
        return found

else:

    def _parse(frame: bytes, values: int) -> Any:
        message = _unmarshaller.Unmarshaller(io.BytesIO(frame)).unmarshall()
        trees = _signature.get_signature_tree
        if trees.cache_info().currsize > _TREES_KEPT:
            trees.cache_clear()
        return message

    def tree(signature: str) -> list[SignatureType]:
        """The complete types of ``signature``."""
        found: list[SignatureType] = _signature.get_signature_tree(signature).types
        return found


def _plain(value: Any) -> Any:
    """``value`` as dbus-next would give it: bytes for byte arrays, lists for structures."""
    if isinstance(value, bytearray):
        return bytes(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, Variant) and isinstance(value.value, bytearray | list | tuple | dict | Variant):
        value.value = _plain(value.value)
    return value


def _envelope(order: str, signature: bytes, body: bytes) -> bytes:
    """A message with this body and the shortest header that both libraries read: no part of a stranger's."""
    reply_serial = b"\5\1u\0" + struct.pack(order + "I", 1)
    fields = reply_serial + b"\10\1g\0" + bytes([len(signature)]) + signature + b"\0"
    mark = b"l" if order == "<" else b"B"
    head = mark + b"\2\0\1" + struct.pack(order + "III", len(body), 1, len(fields)) + fields
    return head + b"\0" * (-len(head) % 8) + body


def decode(order: str, signature: str, body: bytes, values: int) -> list[Any]:
    """The values in ``body``, at most ``values`` of them, containers and what is in them counted.

    ``order`` is "<" or ">", the order of the bytes of a number.
    Raises TooManyValues, ValueError for anything that cannot be read.
    """
    if not body:
        if signature:
            raise ValueError("the message has no body, but a signature")
        return []
    if not signature:
        raise ValueError("the message has a body, but no signature")
    try:
        message = _parse(_envelope(order, signature.encode(), body), values)
    except TooManyValues:
        raise
    except Exception as exc:   # what a decoder raises on bad input is nowhere written down
        raise ValueError(f"the message cannot be read: {exc}") from exc
    if message is None:
        raise ValueError("the message is shorter than it says")
    read: list[Any] = message.body
    return read if LIBRARY == "dbus_next" else [_plain(value) for value in read]


def encode(kind: int, serial: int, *, flags: int = 0, destination: str | None = None, path: str | None = None,
           interface: str | None = None, member: str | None = None, error_name: str | None = None,
           reply_serial: int = 0, signature: str = "", body: Iterable[Any] = (), fd_count: int = 0) -> bytes:
    """A whole message.  Names and body must have been checked before."""
    message = _message.Message(
        message_type=_constants.MessageType(kind),
        flags=_constants.MessageFlag(flags),
        serial=serial,
        destination=destination,
        path=path,
        interface=interface,
        member=member,
        error_name=error_name,
        reply_serial=reply_serial,
        signature=signature,
        body=list(body),
        unix_fds=[0] * fd_count,
    )
    return bytes(message._marshall(True))
