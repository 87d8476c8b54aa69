# SPDX-License-Identifier: LGPL-2.1-or-later
"""The fault script: what goes wrong, and when.

A TOML text with one table ``[[fault]]`` for each.  What it meets:

* ``command = N``: the Nth command that ``opcode`` (a number) and ``nexus`` do not rule out,
  counted from 1 when the script was set; without it and without ``block``, the next one;
* ``block = N``: the command that reads or writes logical object N.

What happens then (``kind``), once, or ``times`` times in a row (0: always):

* ``sense``: CHECK CONDITION with ``sense = [key, asc, ascq]``; ``deferred`` as from an earlier
  command; the command does nothing;
* ``write-error``: object ``block`` cannot be written; it is accepted, and told ``after`` commands
  later as a deferred error, or as soon as it has to be on the medium; ``sense`` as above;
* ``stuck``: the command ends ``seconds`` of simulated time later, or without them when the script
  no longer holds the fault;
* ``reset``: the logical unit is reset while the command is in the drive;
* ``short``: the answer ends after ``bytes`` bytes; ``residual``: the residual is wrong by ``bytes``;
* ``vanish``: the device is gone until it is plugged in again;
* ``swallow``: another opener has taken the attentions that were waiting;
* ``conflict``: RESERVATION CONFLICT; ``busy``: BUSY;
* ``clean``: from now on the drive wants to be cleaned; ``required`` at once;
* ``alert``: TapeAlert ``flag`` goes up.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

from .sense import Sense
from .state import State

_ALWAYS = {"kind", "command", "block", "opcode", "nexus", "times"}
_KEYS: dict[str, set[str]] = {
    "sense": {"sense", "deferred", "information", "eom", "filemark", "ili"},
    "write-error": {"sense", "after"},
    "stuck": {"seconds"},
    "reset": set(),
    "short": {"bytes"},
    "residual": {"bytes"},
    "vanish": set(),
    "swallow": set(),
    "conflict": set(),
    "busy": set(),
    "clean": {"required"},
    "alert": {"flag"},
}
_NEEDED = {"sense": "sense", "short": "bytes", "residual": "bytes", "write-error": "block", "alert": "flag"}
_TYPES: dict[str, type | tuple[type, ...]] = {
    "command": int,
    "block": int,
    "opcode": int,
    "nexus": str,
    "times": int,
    "deferred": bool,
    "eom": bool,
    "filemark": bool,
    "ili": bool,
    "information": int,
    "after": int,
    "seconds": (int, float),
    "bytes": int,
    "required": bool,
    "flag": int,
}

Fault = dict[str, Any]


class BadScript(ValueError):
    """A fault script that says something else than faults."""


def parse(text: str) -> list[Fault]:
    """The faults of a script.  Raises BadScript, which names the table and the key."""
    try:
        script = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise BadScript(f"not TOML: {exc}") from exc
    if extra := set(script) - {"fault"}:
        raise BadScript(f"only [[fault]] may stand here, not {', '.join(sorted(extra))}")
    tables = script.get("fault", [])
    if not isinstance(tables, list):
        raise BadScript("fault must be [[fault]], a list of tables")
    return [_checked(number, table) for number, table in enumerate(tables, 1)]


def _checked(number: int, table: Fault) -> Fault:
    where = f"fault {number}"
    kind = table.get("kind")
    if kind not in _KEYS:
        raise BadScript(f"{where}: kind must be one of {', '.join(_KEYS)}")
    if extra := set(table) - _ALWAYS - _KEYS[kind]:
        raise BadScript(f"{where}: {kind} knows no {', '.join(sorted(extra))}")
    if (needed := _NEEDED.get(kind)) and needed not in table:
        raise BadScript(f"{where}: {kind} needs {needed}")
    for key, value in table.items():
        wanted = _TYPES.get(key)
        # A bool is an int to Python, not to the person who writes a script.
        if wanted and (not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool)):
            raise BadScript(f"{where}: {key} has the wrong type")
    if "sense" in table and not _is_sense(table["sense"]):
        raise BadScript(f"{where}: sense must be three numbers: key, ASC, ASCQ")
    return {"times": 1, **table, "seen": 0}


def _is_sense(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 3
        and all(isinstance(n, int) and not isinstance(n, bool) and 0 <= n <= 255 for n in value)
        and value[0] <= 15
    )


def arriving(state: State, nexus: str, opcode: int) -> Iterator[Fault]:
    """The faults that meet the command which arrives now; each is counted."""
    for fault in list(state.faults):
        if "block" in fault or fault.get("opcode", opcode) != opcode or fault.get("nexus", nexus) != nexus:
            continue
        fault["seen"] += 1
        if fault["seen"] >= fault.get("command", 1):
            _used(state, fault)
            yield fault


def at_object(state: State, at: int) -> Iterator[Fault]:
    """The faults that meet the command which reads or writes object ``at``."""
    for fault in list(state.faults):
        if fault.get("block") == at:
            _used(state, fault)
            yield fault


def _used(state: State, fault: Fault) -> None:
    if fault["times"]:
        fault["times"] -= 1
        if not fault["times"]:
            state.faults.remove(fault)


def sense_of(fault: Fault, information: int | None = None) -> Sense:
    """The sense data of a fault of kind ``sense``; ``information`` where it names none."""
    key, asc, ascq = fault["sense"]
    return Sense(
        key,
        asc,
        ascq,
        information=fault.get("information", information),
        deferred=fault.get("deferred", False),
        filemark=fault.get("filemark", False),
        eom=fault.get("eom", False),
        ili=fault.get("ili", False),
    )
