# SPDX-License-Identifier: LGPL-2.1-or-later
"""The way of a command through the drive: arrival, waiting for its turn, and the time it takes.

The drive does one thing at a time.  What a killed process has begun goes on; the next command
waits for its end, whoever sends it.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from . import attention, faults, state
from .memory import Memory
from .request import Access, Request, Row
from .state import State, UnderWay
from .unit import Unit

BUSY, RESERVATION_CONFLICT = 0x08, 0x18
HOST_RESET = 0x08
"""The host adapter's word for a command that a reset has ended."""
_LOOK = 0.005
"""Seconds between two looks at an operation whose end is not known."""

_ACTIVITIES = {
    0x01: state.REWINDING,
    0x04: state.FORMATTING,
    0x08: state.READING,
    0x0A: state.WRITING,
    0x10: state.WRITING,
    0x11: state.LOCATING,
    0x19: state.ERASING,
    0x1B: state.UNLOADING,
    0x2B: state.LOCATING,
    0x91: state.LOCATING,
    0x92: state.LOCATING,
}


@dataclass(frozen=True, slots=True)
class Response:
    """How a command ended.  ``residual`` is what of the data buffer was not used.

    ``host`` is 0 unless the way to the drive failed; then there is no status.
    """

    status: int
    data: bytes = b""
    sense: bytes = b""
    residual: int = 0
    host: int = 0


@dataclass
class Arrived:
    """A command in the drive: the faults that met it, and its end where it does not come to its turn."""

    resets: int = 0
    met: list[faults.Fault] = field(default_factory=list)
    stuck: bool = False
    response: Response | None = None
    seconds: float = 0.0


def present(drive: State, plugged: int) -> None:
    """Raises OSError if the device has vanished, or if it has come back as another node."""
    if drive.vanished or drive.plugged != plugged:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))


class Queue:
    """The commands of one process at the drive in ``memory``."""

    def __init__(self, memory: Memory, unit: Unit) -> None:
        self._memory, self._unit = memory, unit
        self.plugged = memory.state.plugged
        """Which node the commands go to: the one that came with so many returns of the device."""

    @contextmanager
    def turn(self, request: Request, row: Row | None) -> Iterator[Arrived]:
        """The turn of one command: inside, the drive is its own.  Set ``seconds`` there.

        Raises OSError (ENODEV) when the device has vanished.
        """
        arrived = Arrived()
        with self._its_turn(arrived, request, row) as drive:
            if arrived.response is None and drive.resets != arrived.resets:
                arrived.response = _lost(request)
            yield arrived
            if arrived.response is None:
                self._occupy(drive, request.opcode, arrived.seconds)
        if arrived.response is None:
            self._last(request, arrived)

    def _arrive(self, drive: State, request: Request, arrived: Arrived) -> None:
        attention.greet(drive, request.nexus)
        drive.commands += 1
        arrived.resets = drive.resets
        for fault in faults.arriving(drive, request.nexus, request.opcode):
            self._meet(drive, request, arrived, fault)

    def _meet(self, drive: State, request: Request, arrived: Arrived, fault: faults.Fault) -> None:
        """What a fault does when the command arrives; the rest is done where the command is."""
        arrived.met.append(fault)
        match fault["kind"]:
            case "vanish":
                # Stored before it is told: what is raised inside forgets what was not.
                drive.vanished = True
                self._memory.checkpoint()
                present(drive, self.plugged)
            case "swallow":
                drive.nexuses[request.nexus].clear()
            case "conflict":
                arrived.response = Response(RESERVATION_CONFLICT, residual=_size(request))
            case "busy":
                arrived.response = Response(BUSY, residual=_size(request))
            case "reset":
                self._unit.reset(attention.BUS_RESET)
                arrived.response = _lost(request)
            case "clean":
                self._unit.want_cleaning(required=fault.get("required", False))
            case "alert":
                self._unit.alert(fault["flag"])
            case "stuck":
                self._stick(drive, arrived, float(fault.get("seconds", float("inf"))))

    def _stick(self, drive: State, arrived: Arrived, seconds: float) -> None:
        if self._unit.clock.stands and seconds < float("inf"):
            drive.time += seconds
            return
        arrived.stuck = True
        drive.under_way = UnderWay(state.OTHER, drive.time, drive.time + seconds, immediate=False)

    @contextmanager
    def _its_turn(self, arrived: Arrived, request: Request, row: Row | None) -> Iterator[State]:
        """The command arrives; the drive, when it is its turn or it has met its end."""
        new = True
        while True:
            with self._memory.locked() as drive:
                self._unit.begin(drive, self._memory.readings)
                present(drive, self.plugged)
                if new:
                    self._arrive(drive, request, arrived)
                    new = False
                wait = None if arrived.response is not None else self._blocked(drive, arrived, row)
                if wait is None:
                    yield drive
                    return
            self._sleep(wait)

    def _blocked(self, drive: State, arrived: Arrived, row: Row | None) -> float | None:
        """How long the command must wait at least; None if it is its turn."""
        asks = row is not None and row.access in (Access.ALWAYS, Access.QUESTION)
        beside = asks and self._unit.settings.queue_depth > 1 and not arrived.stuck
        while (going := drive.under_way) is not None and not going.immediate and not beside:
            if going.ends == float("inf") or not self._unit.clock.stands:
                return going.ends - drive.time
            # Begun where time passed, and waited for where it stands.
            drive.time = going.ends
            self._unit.settle()
        return None

    def _sleep(self, seconds: float) -> None:
        # What goes on may be ended from outside, by a reset or a new script.
        factor = self._unit.clock.factor
        time.sleep(max(0.0, min(_LOOK, seconds / factor)) if factor else _LOOK)

    def _occupy(self, drive: State, opcode: int, seconds: float) -> None:
        """The command takes its time, in which the drive does nothing else."""
        unit = self._unit
        if unit.clock.stands:
            drive.time += seconds
            unit.settle()
            while (
                (going := drive.under_way) is not None and not going.immediate and going.ends < float("inf")
            ):
                drive.time = max(drive.time, going.ends)
                unit.settle()
        elif seconds > 0 and drive.under_way is None:
            activity = _ACTIVITIES.get(opcode, state.OTHER)
            unit.under_way(activity, seconds, immediate=False)

    def _last(self, request: Request, arrived: Arrived) -> None:
        """Wait for the end of what the command does."""
        while arrived.seconds > 0 and not self._unit.clock.stands:
            with self._memory.locked() as drive:
                self._unit.begin(drive, self._memory.readings)
                if drive.resets != arrived.resets:
                    arrived.response = _lost(request)
                    return
                going = drive.under_way
                if going is None or going.immediate:
                    return
                left = going.ends - drive.time
            self._sleep(left)


def _size(request: Request) -> int:
    return len(request.data) or request.allocation


def _lost(request: Request) -> Response:
    return Response(0, residual=_size(request), host=HOST_RESET)
