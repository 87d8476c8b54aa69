# SPDX-License-Identifier: LGPL-2.1-or-later
"""Everything that a drive knows and that must outlive the process that holds it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from operator import attrgetter
from typing import Any

NOWHERE = ""
MOUTH = "mouth"
"""Ejected, or not taken in: the hand can take it."""
HOLD = "hold"
"""Inside, not threaded: only the cartridge memory can be read."""
THREADED = "threaded"

NONE, CLEANING, LOADING, UNLOADING, OTHER, READING, WRITING = range(7)
LOCATING, REWINDING, ERASING, FORMATTING, CALIBRATING = range(7, 12)
"""What a drive is doing, as log page 11h says it.  Ref: [ADC-4]."""

HARD_ERROR, READ_FAILURE, WRITE_FAILURE, WRITE_PROTECT, NO_REMOVAL = 3, 5, 6, 9, 10
CLEANING_MEDIUM, UNSUPPORTED_FORMAT, FORCED_EJECT, DIRECTORY_CORRUPTED = 11, 12, 16, 18
CLEAN_NOW, CLEAN_PERIODIC, CLEANER_EXPIRED, WORM_OVERWRITE = 20, 21, 22, 60
"""TapeAlert flags.  Ref: [SSC-5] TapeAlert."""


@dataclass(slots=True)
class UnderWay:
    """An operation that takes time: since when, until when, and whether its command was answered at once."""

    activity: int
    started: float
    ends: float
    immediate: bool

    def progress(self, now: float) -> int:
        """How far it is, from 0 to 65,535."""
        whole = self.ends - self.started
        return 0xFFFF if whole <= 0 else max(0, min(0xFFFF, int(0x10000 * (now - self.started) / whole)))


@dataclass(slots=True)
class Ring:
    """The drive's buffer: where it begins and ends, and what is in it."""

    head: int = 0
    tail: int = 0
    objects: int = 0
    bytes: int = 0
    space: int = 0
    """What they occupy, with their heads and the waste at the end of the ring."""
    first: int = 0
    """The object that is written to the medium next."""


@dataclass(slots=True)
class Motion:
    """How the tape moves while data are written: see ``speed.py``.  Seconds, and bytes/s."""

    moving: bool = False
    speed: float = 0.0
    at: float = 0.0
    ready: float = 0.0
    carry: float = 0.0
    accepted: int = 0
    since: float = 0.0
    stops: int = 0
    read_until: float = 0.0


@dataclass(slots=True)
class Failing:
    """An object that cannot be written, and the number of the command at which that is told."""

    object: int
    command: int
    key: int
    asc: int
    ascq: int
    told: bool = False


@dataclass(slots=True)
class Mount:
    """What has happened since the cartridge was loaded; added to its life at the end."""

    written: int = 0
    read: int = 0
    write_errors: int = 0
    read_errors: int = 0
    began: float = 0.0
    ready: float = 0.0
    dirty: bool = False
    """Whether data were written without a mark of their end behind them."""
    warned: bool = False
    """Whether the programmable early warning was told."""


@dataclass(slots=True)
class State:
    """The drive."""

    serial: str
    generation: str
    time: float = 0.0
    mark: float = 0.0
    commands: int = 0
    nexuses: dict[str, list[list[int]]] = field(default_factory=dict)
    prevented: list[str] = field(default_factory=list)
    pages: dict[str, str] = field(default_factory=dict)
    block_length: int = 0
    buffered: int = 1
    cartridge: str = ""
    place: str = NOWHERE
    position: int = 0
    """The logical object before which the head stands; objects in the buffer count."""
    file: int = 0
    """Filemarks before the position."""
    offset: int = 0
    """Bytes of user data before the position."""
    ring: Ring = field(default_factory=Ring)
    motion: Motion = field(default_factory=Motion)
    mount: Mount = field(default_factory=Mount)
    under_way: UnderWay | None = None
    failing: Failing | None = None
    late: list[int] = field(default_factory=list)
    """Key, ASC and ASCQ of what went wrong behind a command that was answered at once."""
    faults: list[dict[str, Any]] = field(default_factory=list)
    alerts: list[int] = field(default_factory=list)
    """TapeAlert flags that are up."""
    unread: list[int] = field(default_factory=list)
    """Of these, the ones that log page 2Eh has not told."""
    cleaning: int = 0
    """0 none wanted, 1 requested, 2 required."""
    vanished: bool = False
    plugged: int = 0
    """How often it has come back; a node from before stays dead."""
    resets: int = 0
    """How often all commands in the drive were lost, by a reset or without power."""
    loads: int = 0
    cleanings: int = 0
    total_written: int = 0
    total_read: int = 0

    def raise_alert(self, flag: int) -> None:
        """A TapeAlert flag goes up."""
        if flag not in self.alerts:
            self.alerts.append(flag)
            self.unread.append(flag)

    def under_way_loads(self) -> bool:
        """Whether a cartridge is still being loaded, optimised or used to clean."""
        return self.under_way is not None and self.under_way.activity in (LOADING, CALIBRATING, CLEANING)

    def dump(self) -> bytes:
        """As it stands in the mapped file."""
        parts: tuple[State | Ring | Motion | Mount, ...] = (self, self.ring, self.motion, self.mount)
        whole, ring, motion, mount = (
            dict(zip(_NAMES[type(p)], _VALUES[type(p)](p), strict=True)) for p in parts
        )
        whole.update(ring=ring, motion=motion, mount=mount)
        if self.under_way is not None:
            whole["under_way"] = asdict(self.under_way)
        if self.failing is not None:
            whole["failing"] = asdict(self.failing)
        return json.dumps(whole, separators=(",", ":")).encode()

    @classmethod
    def load(cls, data: bytes) -> State:
        """What ``dump`` gave."""
        values = json.loads(data)
        values["ring"] = Ring(**values["ring"])
        values["motion"] = Motion(**values["motion"])
        values["mount"] = Mount(**values["mount"])
        if values["under_way"]:
            values["under_way"] = UnderWay(**values["under_way"])
        if values["failing"]:
            values["failing"] = Failing(**values["failing"])
        return cls(**values)


# The state is stored after every command: no field is looked up by name.
_NAMES = {part: tuple(each.name for each in fields(part)) for part in (State, Ring, Motion, Mount)}
_VALUES = {part: attrgetter(*names) for part, names in _NAMES.items()}
