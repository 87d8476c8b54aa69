# SPDX-License-Identifier: LGPL-2.1-or-later
"""What may go onto the bus: names, signatures and bodies are checked before a library sees them.

A bus drops a connection that sends one invalid message.  dbus-next lets embedded zeros, line feeds
and impossible signatures through, dbus-fast checks next to nothing; so both get what is right.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tapeds.buslib import library
from tapeds.buslib.library import Variant

if TYPE_CHECKING:
    from dbus_next.signature import SignatureType

DEEPEST = 32               # containers within containers; a bus takes 64

_PATH = re.compile(r"/|(/[A-Za-z0-9_]+)+")
_INTERFACE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+")
_MEMBER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BUS_NAME = re.compile(
    r":[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+"
    r"|[A-Za-z_-][A-Za-z0-9_-]*(\.[A-Za-z_-][A-Za-z0-9_-]*)+"
)

_LIMITS = {
    "y": (0, 2**8 - 1), "n": (-(2**15), 2**15 - 1), "q": (0, 2**16 - 1), "i": (-(2**31), 2**31 - 1),
    "u": (0, 2**32 - 1), "x": (-(2**63), 2**63 - 1), "t": (0, 2**64 - 1),
}  # fmt: skip
_BASIC = frozenset("ybnqiuxtdsogh")


class Mismatch(ValueError):
    """A value does not fit its type; the text says where and why."""

    def within(self, where: str) -> Mismatch:
        """The same, seen from the container; ``where`` is the place of the value in it."""
        return Mismatch(f"{where}{self}" if str(self).startswith("[") else f"{where}: {self}")


def is_path(text: str) -> bool:
    """Whether ``text`` is an object path."""
    return _PATH.fullmatch(text) is not None


def is_bus_name(text: str) -> bool:
    """Whether ``text`` is a unique or a well-known bus name."""
    return len(text) <= 255 and _BUS_NAME.fullmatch(text) is not None


def is_interface(text: str) -> bool:
    """Whether ``text`` is the name of an interface; error names have the same form."""
    return len(text) <= 255 and _INTERFACE.fullmatch(text) is not None


def is_member(text: str) -> bool:
    """Whether ``text`` is the name of a method or signal."""
    return len(text) <= 255 and _MEMBER.fullmatch(text) is not None


def _complete_type(signature: str, at: int, arrays: int, structs: int) -> int:
    """Where the complete type that begins at ``at`` ends.  Raises Mismatch, IndexError.

    Ref: D-Bus Specification, "Signature Strings"
    """
    code = signature[at]
    if code in _BASIC or code == "v":
        return at + 1
    if arrays >= DEEPEST or structs >= DEEPEST:
        raise Mismatch("containers within too many containers")
    if code == "a" and signature[at + 1] == "{":
        if signature[at + 2] not in _BASIC:
            raise Mismatch("the key of a dictionary must be a basic type")
        end = _complete_type(signature, at + 3, arrays + 1, structs + 1)
        if signature[end] != "}":
            raise Mismatch("a dictionary has one key and one value")
        return end + 1
    if code == "a":
        return _complete_type(signature, at + 1, arrays + 1, structs)
    if code == "(":
        at = _complete_type(signature, at + 1, arrays, structs + 1)
        while signature[at] != ")":
            at = _complete_type(signature, at, arrays, structs + 1)
        return at + 1
    raise Mismatch(f"{code!r} is no type")


@lru_cache(maxsize=256)
def count_types(signature: str) -> int:
    """How many complete types ``signature`` has.  Raises Mismatch for one that no bus would take."""
    if len(signature) > 255:
        raise Mismatch("a signature has at most 255 characters")
    at = count = 0
    try:
        while at < len(signature):
            at = _complete_type(signature, at, 0, 0)
            count += 1
    except (IndexError, Mismatch) as exc:
        why = exc if isinstance(exc, Mismatch) else "it ends too early"
        raise Mismatch(f"signature {signature[:40]!r}: {why}") from None
    return count


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Mismatch(f"needs a bool, not {type(value).__name__}")
    return value


def _integer(code: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise Mismatch(f"needs an int, not {type(value).__name__}")
    low, high = _LIMITS[code]
    if not low <= value <= high:
        raise Mismatch(f"{value} does not fit type {code!r}")
    return int(value)


def _double(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise Mismatch(f"needs a float, not {type(value).__name__}")
    return float(value)


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise Mismatch(f"needs a str, not {type(value).__name__}")
    if "\0" in value:
        raise Mismatch("a string must not contain a zero")
    if not value.isascii() and not _encodable(value):
        raise Mismatch("a string must be valid Unicode")
    return value


def _encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _path(value: Any) -> str:
    if not is_path(_string(value)):
        raise Mismatch(f"{value[:80]!r} is no object path")
    return str(value)


def _signature(value: Any) -> str:
    count_types(_string(value))
    return str(value)


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "b": _boolean, "d": _double, "s": _string, "o": _path, "g": _signature,
}  # fmt: skip


class _Body:
    """Checks one body; ``fds`` descriptors go with it."""

    def __init__(self, fds: int) -> None:
        self._fds = fds

    def value(self, kind: SignatureType, value: Any, depth: int) -> Any:
        """``value`` as the libraries want it.  Raises Mismatch."""
        code = kind.token
        if code in _LIMITS:
            return _integer(code, value)
        if code in _CHECKS:
            return _CHECKS[code](value)
        if code == "h":
            return self._handle(value)
        if depth >= DEEPEST:
            raise Mismatch("values within too many containers")
        if code == "v":
            return self._variant(value, depth + 1)
        if code == "(":
            return self._structure(kind, value, depth + 1)
        return self._array(kind.children[0], value, depth + 1)

    def _handle(self, value: Any) -> int:
        index = _integer("u", value)
        if index >= self._fds:
            raise Mismatch(f"descriptor {index} is not among the {self._fds} that go with the message")
        return index

    def _variant(self, value: Any, depth: int) -> Variant:
        if not isinstance(value, Variant):
            raise Mismatch(f"needs a Variant, not {type(value).__name__}")
        if count_types(value.signature) != 1:
            raise Mismatch(f"a Variant has one complete type, not {value.signature!r}")
        checked = self.value(library.tree(value.signature)[0], value.value, depth)
        return value if checked is value.value else Variant(value.signature, checked)

    def _structure(self, kind: SignatureType, value: Any, depth: int) -> list[Any]:
        if not isinstance(value, list | tuple):
            raise Mismatch(f"needs a list, not {type(value).__name__}")
        if len(value) != len(kind.children):
            raise Mismatch(f"needs {len(kind.children)} values, not {len(value)}")
        return [self._at(number, child, item, depth)
                for number, (child, item) in enumerate(zip(kind.children, value, strict=True))]

    def _array(self, kind: SignatureType, value: Any, depth: int) -> Any:
        code = kind.token
        if code == "{":
            if not isinstance(value, Mapping):
                raise Mismatch(f"needs a dict, not {type(value).__name__}")
            key_type, value_type = kind.children
            return {self._at(key, key_type, key, depth): self._at(key, value_type, item, depth)
                    for key, item in value.items()}
        if code == "y":
            if not isinstance(value, bytes | bytearray | memoryview):
                raise Mismatch(f"needs bytes, not {type(value).__name__}")
            return bytes(value)
        if not isinstance(value, list | tuple):
            raise Mismatch(f"needs a list, not {type(value).__name__}")
        return [self._at(number, kind, item, depth) for number, item in enumerate(value)]

    def _at(self, where: object, kind: SignatureType, value: Any, depth: int) -> Any:
        try:
            return self.value(kind, value, depth)
        except Mismatch as exc:
            raise exc.within(f"[{where!r}]") from None


def check(signature: str, body: Sequence[Any], fds: int = 0) -> list[Any]:
    """``body`` as the libraries want it; tuples may stand for lists.  Raises Mismatch if it does not fit."""
    count = count_types(signature)
    if len(body) != count:
        raise Mismatch(f"signature {signature!r} needs {count} values, not {len(body)}")
    checker = _Body(fds)
    checked = []
    for number, (kind, value) in enumerate(zip(library.tree(signature), body, strict=True)):
        try:
            checked.append(checker.value(kind, value, 0))
        except Mismatch as exc:
            raise exc.within(f"value {number} ({kind.signature})") from None
    return checked


def unwrap(value: Any) -> Any:
    """``value`` without any Variant in it: plain dicts, lists, bytes, numbers and text."""
    if isinstance(value, Variant):
        return unwrap(value.value)
    if isinstance(value, dict):
        return {key: unwrap(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [unwrap(item) for item in value]
    return value
