# SPDX-License-Identifier: LGPL-2.1-or-later
"""Plain dictionaries with kebab-case keys <-> ``a{sv}``, by one table of key -> D-Bus type.

A worker sends JSON: bytes are hex strings there.  On the bus they are ``ay``.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any

from tapeds import names
from tapeds.buslib import Variant

log = logging.getLogger(__name__)

Wire = dict[str, Variant]
"""An ``a{sv}`` ready to be sent."""

_ERRORS_OF_DBUS = {
    "AccessDenied": "org.freedesktop.DBus.Error.AccessDenied",
    "InteractiveAuthorizationRequired": "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired",
    "LimitsExceeded": "org.freedesktop.DBus.Error.LimitsExceeded",
}

TYPES: Mapping[str, str] = {
    # positions, files
    "file": "t",
    "block": "t",
    "position-known": "b",
    "bytes": "t",
    "blocks": "t",
    "complete": "b",
    "early-warning": "b",
    "files-removed": "t",
    "bytes-on-tape": "t",
    "sha256": "ay",
    "waits": "t",
    "stops": "t",
    "longest-gap": "t",
    "durable-file": "t",
    "durable-block": "t",
    "name": "s",
    "attributes": "a{sv}",
    "content-kind": "s",
    "kind": "s",
    "files": "aa{sv}",  # the list of ListFiles; VerifyTape counts files: t
    "number": "t",
    "more": "b",
    "first-error": "a{sv}",
    "incomplete": "t",
    "text": "s",
    # labels
    "label": "a{sv}",
    "media-set-label": "a{sv}",
    "label-text": "s",
    "uuid": "s",
    "ctime": "x",
    "pool": "s",
    "seq-nr": "t",
    "media-set-uuid": "s",
    "media-set-pool": "s",
    "media-set-ctime": "x",
    "key-fingerprint": "s",
    "write-protected": "b",
    "worm": "b",
    "found-uuid": "s",
    "found-label-text": "s",
    # requests for a medium
    "session": "o",
    "reason": "s",
    "last-error": "s",
    "since": "t",
    # inventory, devices
    "elements": "aa{sv}",
    "elements/number": "u",
    "address": "q",
    "state": "s",
    "source-slot": "u",
    "accessible": "b",
    "drive": "o",
    "slot": "u",
    "vendor": "s",
    "model": "s",
    "serial": "s",
    "device": "s",
    "tape-device": "s",
    "by-id": "s",
    "configured-as": "s",
    "path": "s",
    # status
    "product": "s",
    "revision": "s",
    "blocksize": "u",
    "compression": "b",
    "buffer-mode": "y",
    "density": "s",
    "alert-flags": "s",
    "write-protect": "b",
    "file-number": "t",
    "block-number": "t",
    "manufactured": "x",
    "bytes-written": "t",
    "bytes-read": "t",
    "medium-passes": "t",
    "medium-wearout": "d",
    "volume-mounts": "t",
    "drive-activity": "s",
    "capacity-bytes": "t",
    "remaining-bytes": "t",
    "age-ms": "t",
    "job": "o",
    "operation": "s",
    "bytes-done": "t",
    "bytes-total": "t",
    "progress": "d",
    "rate": "t",
    "message": "s",
    # failures
    "sense-key": "y",
    "asc": "y",
    "ascq": "y",
    "uid": "u",
    "pid": "u",
}

DEEPEST = 8  # levels of lists and dictionaries in what a caller may choose

_FREE = frozenset({"attributes"})  # the caller's own keys inside
_UNSENDABLE = re.compile("[\0\ud800-\udfff]")


def error_name(name: str) -> str:
    """The D-Bus name of the error class ``name``; "" for ""."""
    if not name:
        return ""
    return _ERRORS_OF_DBUS.get(name, names.ERROR_PREFIX + name)


def text(value: str) -> str:
    """``value`` without what a D-Bus string cannot hold (a tape may bring anything): NUL, lone surrogates.

    The bus drops a connection that sends them.
    """
    return _UNSENDABLE.sub("\N{REPLACEMENT CHARACTER}", value)


def to_wire(data: Mapping[str, Any], within: str = "") -> Wire:
    """``data`` as ``a{sv}``; None is left out, a key without a row goes by the type of its value.

    ``within``: the key that ``data`` stands under, for keys that mean different things.
    """
    return {text(key): _variant(within, key, value) for key, value in data.items() if value is not None}


def to_wires(rows: Iterable[Mapping[str, Any]], within: str = "") -> list[Wire]:
    """``rows`` as ``aa{sv}``."""
    return [to_wire(row, within) for row in rows]


def to_json(options: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    """``options`` (only ``keys``, where given) as a worker takes them: bytes as hex."""
    return {
        key: value.hex() if isinstance(value, bytes) else value
        for key, value in options.items()
        if not keys or key in keys
    }


def free_variant(value: Any, depth: int = 0) -> Variant:
    """A JSON value by its own type: booleans, 64-bit integers, doubles, strings, arrays and dictionaries.

    What lies below `DEEPEST` levels comes as JSON text: the bus takes no deeper message.
    """
    match value:
        case list() | tuple() | dict() if depth >= DEEPEST:
            return Variant("s", text(json.dumps(value)))
        case bool():
            return Variant("b", value)
        case int() if -(1 << 63) <= value < 1 << 63:
            return Variant("x", value)
        case int() if 0 <= value < 1 << 64:
            return Variant("t", value)
        case float():
            return Variant("d", value)
        case bytes():
            return Variant("ay", value)
        case list() | tuple():
            return Variant("av", [free_variant(item, depth + 1) for item in value])
        case dict():
            inner = {text(str(key)): free_variant(item, depth + 1) for key, item in value.items()}
            return Variant("a{sv}", inner)
        case None:
            return Variant("s", "")
    return Variant("s", text(str(value)))


def _variant(within: str, key: str, value: Any) -> Variant:
    if isinstance(value, Variant):
        return value
    signature = _signature(within, key, value)
    match signature:
        case None:
            log.error("no D-Bus type is known for the key %r", key)
            return free_variant(value)
        case "s":
            return Variant("s", text(value))
        case "a{sv}" if key in _FREE:
            return free_variant(value)
        case "a{sv}":
            return Variant("a{sv}", to_wire(value, key))
        case "aa{sv}":
            return Variant("aa{sv}", to_wires(value, key))
        case "ay":
            return Variant("ay", bytes.fromhex(value) if isinstance(value, str) else bytes(value))
    return Variant(signature, value)


def _signature(within: str, key: str, value: Any) -> str | None:
    if key == "files":
        return "aa{sv}" if isinstance(value, list) else "t"
    return TYPES.get(f"{within}/{key}") or TYPES.get(key)
