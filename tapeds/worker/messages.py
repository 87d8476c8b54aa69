# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the bus process and a worker say to each other, one JSON object per packet.

A SOCK_SEQPACKET pair carries the packets, at most `MAXIMUM` bytes each; descriptors travel beside
a `Request` by SCM_RIGHTS.  Both sides begin with a `Hello`.  A worker answers one `Request` at a
time; `Cancel`, `Commit`, `Abort` and `Ask` are taken at any time.  End of the socket, or SIGTERM,
means *release*.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

PROTOCOL = 1
MAXIMUM = 128 * 1024

Json = dict[str, Any]


@dataclass(frozen=True)
class DeviceSpec:
    """What the worker works on; ``options`` are the values of the kind (virtual: ``max-size``)."""

    kind: str                    # "virtual"
    name: str                    # the configured name
    path: str
    buffer_bytes: int
    intent_path: str             # where the write intent is kept
    options: Json = field(default_factory=dict)


@dataclass(frozen=True)
class DeviceState:
    """What the worker knows of its device, sent with every answer.  ``None``: not known."""

    vendor: str = ""
    model: str = ""
    revision: str = ""
    serial: str = ""
    device: str = ""
    loaded: bool = False
    media_state: str = "unknown"             # unknown | empty | loaded | unlabeled
    media: Json = field(default_factory=dict)
    """label-text uuid ctime pool media-set-uuid media-set-pool seq-nr write-protected worm, where known"""
    label_known: bool = False                # the label was read, and nothing has happened since
    position_known: bool = False
    file: int = 0
    block: int = 0
    durable_file: int = 0                    # the files before this one are durable
    durable_block: int = 0                   # and so are this many blocks of that file
    capacity_bytes: int = 0
    remaining_bytes: int = 0
    block_size: int = 0
    in_file: bool = False                    # a file is being written and is not closed
    to_prove: bool = False                   # not proved yet to be what `Open.before` says


# --- from the bus process -----------------------------------------------------------------------


@dataclass(frozen=True)
class Hello:
    """The first packet of either side; another version ends the conversation."""

    version: str
    protocol: int = PROTOCOL


@dataclass(frozen=True)
class Open:
    """Open the device.  Answered by `Result` or `Failure` with id 0.

    ``before`` is what was known of it in a lease that was interrupted: it has to be the same device
    with the same tape in it.
    """

    device: DeviceSpec
    before: DeviceState | None = None


@dataclass(frozen=True)
class Request:
    """Do ``operation`` with ``arguments``; see `tapeds.worker.operations`.  Answer: `Result` or `Failure`."""

    id: int
    operation: str
    arguments: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Cancel:
    """Stop the request in hand at the next block boundary; it ends in Cancelled.

    ``error`` and ``text`` replace Cancelled where something else is the cause (ClientGone, Incomplete).
    """

    id: int
    error: str = "Cancelled"
    text: str = ""


@dataclass(frozen=True)
class Commit:
    """The caller has given ``size`` bytes; close the file behind them.  ``sha256`` is hex or empty."""

    id: int
    size: int
    sha256: str = ""


@dataclass(frozen=True)
class Abort:
    """Close the file as incomplete now; the request ends in Incomplete."""

    id: int


@dataclass(frozen=True)
class Ask:
    """Send a `State` now."""


@dataclass(frozen=True)
class Release:
    """Close the device: mark an open file incomplete, sync, close.  Answer: `Released`; the process stays."""


# --- from the worker ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Progress:
    """How far request ``id`` is; ``total`` 0 when not known.  At most twice a second."""

    id: int
    done: int
    total: int = 0
    message: str = ""
    file: int | None = None          # the file being read or written, once the head is there
    early_warning: bool = False
    state: DeviceState | None = None


@dataclass(frozen=True)
class Result:
    """Request ``id`` is done."""

    id: int
    data: Json
    state: DeviceState


@dataclass(frozen=True)
class Failure:
    """Request ``id`` failed with error ``name``; ``data`` are its further facts."""

    id: int
    name: str
    message: str
    data: Json
    state: DeviceState


@dataclass(frozen=True)
class Refused:
    """A `Commit` or `Abort` that could not be taken."""

    id: int
    name: str
    message: str


@dataclass(frozen=True)
class Taken:
    """A `Commit` or `Abort` was taken."""

    id: int


@dataclass(frozen=True)
class State:
    """The last knowledge."""

    state: DeviceState


@dataclass(frozen=True)
class Released:
    """The device is closed; ``failed`` names the steps of the release that did not work."""

    failed: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Log:
    """A log record on its way to the journal; ``fields`` are journal fields."""

    level: int
    message: str
    fields: Json = field(default_factory=dict)


Message = (
    Hello | Open | Request | Cancel | Commit | Abort | Ask | Release
    | Progress | Result | Failure | Refused | Taken | State | Released | Log
)
_TYPES: dict[str, type[Any]] = {
    cls.__name__: cls
    for cls in (Hello, Open, Request, Cancel, Commit, Abort, Ask, Release,
                Progress, Result, Failure, Refused, Taken, State, Released, Log)
}


def _int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_FITS: dict[str, Callable[[object], bool]] = {
    "int": _int,
    "int | None": lambda value: value is None or _int(value),
    "str": lambda value: isinstance(value, str),
    "bool": lambda value: isinstance(value, bool),
    "Json": lambda value: isinstance(value, dict),
    "list[str]": lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value),
    "DeviceSpec": lambda value: isinstance(value, DeviceSpec),
    "DeviceState": lambda value: isinstance(value, DeviceState),
    "DeviceState | None": lambda value: value is None or isinstance(value, DeviceState),
}


def _build(cls: type[Any], values: Json) -> Any:
    """``cls`` from its fields.  Raises TypeError for unknown or missing ones and values of another type."""
    built = cls(**values)
    for item in fields(cls):
        if not _FITS[str(item.type)](getattr(built, item.name)):
            raise TypeError(f"{item.name} is no {item.type}")
    return built


def json_bytes(value: Json) -> bytes:
    """``value`` as it travels."""
    # Text as UTF-8, not as \u escapes, which are up to three times as long; half a surrogate pair (a tape
    # may hold anything) travels as it is.
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=vars)
    return text.encode("utf-8", "surrogatepass")


def encode(message: Message) -> bytes:
    """One packet.  Raises ValueError beyond `MAXIMUM` bytes."""
    data = json_bytes({"type": type(message).__name__, **vars(message)})
    if len(data) > MAXIMUM:
        raise ValueError(f"message {type(message).__name__} has {len(data)} bytes, more than {MAXIMUM}")
    return data


def decode(packet: bytes) -> Message:
    """The message in ``packet``.  Raises ValueError for anything that is none."""
    try:
        value = json.loads(packet)
        kind = value.pop("type")
        if isinstance(value.get("device"), dict):
            value["device"] = _build(DeviceSpec, value["device"])
        for key in ("state", "before"):
            if isinstance(value.get(key), dict):
                value[key] = _build(DeviceState, value[key])
        message: Message = _build(_TYPES[kind], value)
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as exc:
        raise ValueError(f"not a message: {packet[:80]!r}") from exc
    return message
