# SPDX-License-Identifier: LGPL-2.1-or-later
"""JSON as it stands on tape: UTF-8, sorted keys, two spaces, no newline at the end.

The decoders take anything a damaged tape may hold and raise `BadJson` (a ValueError), nothing else.
"""

from __future__ import annotations

import json
import re
import uuid
from typing import Any, cast

Object = dict[str, Any]

DEPTH = 16                               # levels; a D-Bus message has room for 64 in all


class BadJson(ValueError):
    """The text is not JSON, or not what should stand there."""


def dump(value: Object) -> bytes:
    """``value`` as its bytes on tape.  Raises BadJson for what JSON cannot say."""
    try:
        text = json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
        data = text.encode()
    except (TypeError, ValueError, RecursionError) as exc:
        raise BadJson(str(exc)) from exc
    if _deeper(value, DEPTH):
        raise BadJson(f"more than {DEPTH} levels deep")
    return data


def load(data: bytes) -> Object:
    """The object in ``data``.  Raises BadJson."""
    try:
        value = json.loads(data.decode())
    except (ValueError, RecursionError) as exc:
        raise BadJson(str(exc)) from exc
    if not isinstance(value, dict):
        raise BadJson("not an object")
    dump(value)                          # refuses NaN, lone surrogates and depth, as the readers of others do
    return cast(Object, value)


def _deeper(value: object, levels: int) -> bool:
    """Whether containers in ``value`` are nested more than ``levels`` deep."""
    if isinstance(value, dict):
        children = list(value.values())
    elif isinstance(value, list):
        children = value
    else:
        return False
    return levels == 0 or any(_deeper(child, levels - 1) for child in children)


def text(value: Object, key: str) -> str:
    """The string under ``key``.  Raises BadJson."""
    found = value.get(key)
    if not isinstance(found, str):
        raise BadJson(f"{key} is missing or not a string")
    return found


def optional_text(value: Object, key: str) -> str | None:
    """The string under ``key``; ``None`` when it is absent or null.  Raises BadJson."""
    return None if value.get(key) is None else text(value, key)


def integer(value: Object, key: str, lowest: int, highest: int) -> int:
    """The whole number under ``key``, ``lowest`` to ``highest``.  Raises BadJson."""
    found = value.get(key)
    if not isinstance(found, int) or isinstance(found, bool) or not lowest <= found <= highest:
        raise BadJson(f"{key} is missing or not a whole number from {lowest} to {highest}")
    return found


def optional_object(value: Object, key: str) -> Object | None:
    """The object under ``key``; ``None`` when it is absent or null.  Raises BadJson."""
    found = value.get(key)
    if found is not None and not isinstance(found, dict):
        raise BadJson(f"{key} is not an object")
    return found


_UUID = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def uuid_text(value: Object, key: str) -> str:
    """The UUID under ``key``, with or without hyphens, in lower case with hyphens.  Raises BadJson."""
    found = text(value, key)
    if not _UUID.fullmatch(found):
        raise BadJson(f"{key} is not a UUID")
    return str(uuid.UUID(found))


_FINGERPRINT = re.compile(r"(?:[0-9a-fA-F]{2}:?){31}[0-9a-fA-F]{2}")


def fingerprint(value: Object, key: str) -> str | None:
    """The fingerprint (32 bytes) under ``key`` as ``aa:bb:…``; ``None`` when absent.  Raises BadJson."""
    found = optional_text(value, key)
    if found is None:
        return None
    if not _FINGERPRINT.fullmatch(found):
        raise BadJson(f"{key} is not a fingerprint of 32 bytes")
    return bytes.fromhex(found.replace(":", "")).hex(":")
