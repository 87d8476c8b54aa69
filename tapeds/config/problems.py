# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is wrong with a configuration, said so that the operator can mend it: key path, fault, remedy."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic_core import ErrorDetails

from tapeds.config import models

Location = tuple[str, ...]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_KEY_OF_TABLE = "[key]"


def key_path(location: Location) -> str:
    """``location`` as one would write it in TOML: ``drive.vt0.max-size``."""
    return ".".join(part if _BARE_KEY.fullmatch(part) else json.dumps(part) for part in location)


def location_of(error: ErrorDetails) -> Location:
    """Where ``error`` is, as keys of the file."""
    return tuple(str(part) for part in error["loc"] if part != _KEY_OF_TABLE)


def sentence(error: ErrorDetails) -> str:
    """``error`` as fault and remedy."""
    match error["type"]:
        case "missing":
            return f"is missing; add {error['loc'][-1]} = ..."
        case "value_error":
            return f"{shown(error['input'])} {error['ctx']['error']}"
        case "literal_error":
            expected = str(error["ctx"]["expected"]).replace("'", '"')
            return f"{shown(error['input'])} is not known; write {expected}"
        case "dict_type" | "model_type":
            name = key_path(location_of(error)[1:]) or "NAME"
            return f"{shown(error['input'])} is no table; write [drive.{name}]"
        case "string_type":
            return f"{shown(error['input'])} is not text; put it in quotes"
        case _:
            return f"{shown(error['input'])}: {error['msg']}"


def unknown_key(key: str, known: Iterable[str]) -> str:
    """Fault and remedy for a key that nobody knows: the nearest of ``known``."""
    from difflib import get_close_matches  # only a faulty configuration needs it

    choice = list(known)
    near = get_close_matches(key.replace("_", "-").lower(), choice, n=1, cutoff=0.6)
    if near:
        return f"is not known; write {near[0]}"
    return f"is not known; known here: {', '.join(choice)}"


def shown(value: object) -> str:
    """``value`` as TOML would show it, cut where it is long."""
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list):
        return "a list"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


def unknown_keys(data: Mapping[str, Any], location: Location = ()) -> list[Location]:
    """Where ``data`` has keys that no model knows, in the order of the file."""
    known = models.known_keys(location)
    found: list[Location] = []
    for key, value in data.items():
        here = (*location, key)
        if known and key not in known:
            found.append(here)
        elif isinstance(value, Mapping):
            found.extend(unknown_keys(value, here))
    return found
