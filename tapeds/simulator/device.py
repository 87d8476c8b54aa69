# SPDX-License-Identifier: LGPL-2.1-or-later
"""The drive as the bus sees it: openers, commands, and the hand that puts cartridges in.

A `Device` is one process's way to the drive in a directory; the drive itself is the mapped file
there, and goes on whatever becomes of the process.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from . import attention, cartridge, faults, sense, state
from .buffer import Buffer
from .clock import Clock
from .generation import GENERATIONS, MEGABYTE
from .memory import Memory
from .pages import mode_pages
from .queue import Queue, Response, present
from .request import Access, Request, Row
from .sense import Answer, Refusal
from .state import State
from .table import find
from .unit import Settings, Unit

GOOD, CHECK_CONDITION = 0x00, 0x02
DEFAULT_BUFFER = 64 << 20


class NotPossible(Exception):
    """What a hand wants to do with the drive cannot be done now."""


class Device:
    """The drive in ``directory``, made there if there is none; the directory must exist.

    ``capacity`` is what cartridges made by ``create_cartridge`` hold, in bytes.  ``queue_depth``:
    1 is a way to the drive that takes one command at a time, as some host adapters do.  ``clock_factor``
    is how many seconds of the drive pass in one real second; 0 lets its time stand but for what
    its commands take.  A drive keeps the ``serial`` it was made with.

    Raises ValueError if another kind of drive lives in the directory.
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        generation: str = "LTO-9",
        capacity: int = 1024 * MEGABYTE,
        queue_depth: int = 1,
        clock_factor: float = 1.0,
        serial: str = "",
        buffer_bytes: int = DEFAULT_BUFFER,
        settings: Settings | None = None,
    ) -> None:
        if generation not in GENERATIONS:
            raise ValueError(f"generation must be one of {', '.join(GENERATIONS)}, not {generation!r}")
        self.directory = Path(directory)
        self.capacity = capacity
        chosen = replace(settings or Settings(), queue_depth=queue_depth)
        serial = serial or _serial(self.directory)
        least = 2 * chosen.largest_block
        self._memory = Memory(self.directory, State(serial, generation), max(buffer_bytes, least))
        lives = self._memory.state.generation
        if lives != generation:
            self._memory.close()
            raise ValueError(f"the drive in {self.directory} is {lives}, not {generation}")
        clock = Clock(clock_factor)
        row = GENERATIONS[generation]
        self._unit = Unit(self.directory, row, chosen, Buffer(self._memory, row), clock)
        self._queue = Queue(self._memory, self._unit)
        self._node: int | None = None
        self._closed = False

    # openers

    def open(self, *, exclusive: bool = True) -> None:
        """Open the node, as sg does with or without O_EXCL, and without waiting.

        Raises BlockingIOError if another opener stands against it, OSError (ENODEV) if the
        device has vanished.
        """
        if self._node is not None:
            raise ValueError("the node is open already")
        node = os.open(self.directory / "drive.node", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
        try:
            fcntl.flock(node, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
            with self._memory.locked() as drive:
                present(drive, self._queue.plugged)
        except OSError:
            os.close(node)
            raise
        self._node = node

    def close(self) -> None:
        """Close the node and let go of the drive, which lives on."""
        if self._node is not None:
            os.close(self._node)
            self._node = None
        if not self._closed:
            self._closed = True
            self._unit.close()
            self._memory.close()

    # commands

    def execute(
        self, nexus: str, cdb: bytes, data_out: bytes | bytearray | memoryview = b"", allocation: int = 0
    ) -> Response:
        """Carry out one command of a nexus and wait for its end.

        ``data_out`` is what the command may take, ``allocation`` how many bytes it may return.
        Raises OSError (ENODEV) when the device has vanished, ValueError for a CDB of no bytes.
        """
        if not cdb:
            raise ValueError("a CDB has at least one byte")
        request = Request(nexus, bytes(cdb), memoryview(data_out).cast("B"), allocation)
        row: Row | None
        try:
            row, unknown = find(request.cdb), None
        except Refusal as refused:
            row, unknown = None, refused
        with self._queue.turn(request, row) as arrived:
            if arrived.response is not None:
                return arrived.response
            answer = self._answer(request, row, unknown, arrived.met)
            arrived.seconds = answer.seconds
            response = self._response(request, answer, arrived.met)
        return arrived.response or response

    def _answer(
        self, request: Request, row: Row | None, unknown: Refusal | None, met: list[faults.Fault]
    ) -> Answer:
        unit, drive = self._unit, self._unit.state
        unit.poll()
        try:
            for fault in met:
                if fault["kind"] == "sense":
                    return Answer(sense=faults.sense_of(fault))
            if row is None or row.access is not Access.ALWAYS:
                found = attention.take(drive, request.nexus) or unit.overdue()
                if found is not None:
                    return Answer(sense=found)
            if row is None:
                raise unknown or sense.invalid_opcode()
            row.check(request.cdb)
            if row.access is Access.MEDIUM:
                unit.ready()
            elif row.access is Access.MEMORY:
                unit.idle()
                unit.present()
            return row.handler(unit, request)
        except Refusal as refused:
            return refused.after(0.0)
        except OSError:
            # The disk behind the cartridge does not do what it should.
            return Answer(sense=sense.TARGET_FAILURE)

    def _response(self, request: Request, answer: Answer, met: list[faults.Fault]) -> Response:
        data, code = answer.data[: request.allocation], b""
        if answer.sense is not None:
            found = answer.sense
            code = found.descriptor() if mode_pages.descriptor_sense(self._unit) else found.fixed()
        wrong = 0
        for fault in met:
            if fault["kind"] == "short":
                data = data[: fault["bytes"]]
            elif fault["kind"] == "residual":
                wrong = fault["bytes"]
        size = len(request.data) or request.allocation
        used = answer.taken if len(request.data) else len(data)
        return Response(CHECK_CONDITION if code else GOOD, data, code, size - used + wrong)

    # the hand, the plug, and the script

    def create_cartridge(
        self,
        name: str,
        *,
        generation: str = "",
        capacity: int = 0,
        worm: bool = False,
        write_protected: bool = False,
        cleanings: int | None = None,
        initialized: bool = True,
    ) -> None:
        """Make a blank cartridge, of the drive's own generation and capacity unless it is said otherwise.

        ``cleanings`` makes it a cleaning cartridge for so many times; ``initialized`` says that an
        LTO-9 drive has optimised it.  Raises ValueError or FileExistsError for its name.
        """
        cartridge.create(
            self.directory,
            name,
            generation=generation or self._unit.generation.name,
            capacity=capacity or self.capacity,
            worm=worm,
            write_protected=write_protected,
            cleanings=cleanings,
            initialized=initialized,
        )

    def cartridges(self) -> list[str]:
        """The cartridges that there are, the one in the drive among them."""
        return cartridge.names(self.directory)

    def protect(self, name: str, *, on: bool) -> None:
        """Move the write-protect switch of a cartridge.

        Raises NotPossible if it is in the drive, FileNotFoundError if there is none of that name.
        """
        with self._begun() as drive:
            if drive.cartridge == name:
                raise NotPossible(f"{name} is in the drive")
            cartridge.protect(self.directory, name, on=on)

    def insert(self, name: str) -> None:
        """Put a cartridge into the drive, which loads it.

        Raises NotPossible if there is one inside, FileNotFoundError if there is none of that name.
        """
        if name not in cartridge.names(self.directory):
            raise FileNotFoundError(f"no cartridge {name} in {self.directory}")
        with self._begun() as drive:
            if drive.cartridge:
                raise NotPossible(f"there is a cartridge in the drive: {drive.cartridge}")
            drive.cartridge = name
            self._unit.load()

    def remove(self) -> str:
        """Press the button and take the cartridge; its name.

        Raises NotPossible if there is none, if an operation runs, or if a host prevents it.
        """
        with self._begun() as drive:
            if not drive.cartridge:
                raise NotPossible("the drive is empty")
            if drive.place != state.MOUTH:
                if drive.prevented:
                    self._unit.alert(state.NO_REMOVAL)
                    self._memory.checkpoint()
                    raise NotPossible("a host prevents that the cartridge is taken out")
                if drive.under_way is not None:
                    raise NotPossible("the drive is busy with the cartridge")
                self._eject(drive)
            name, drive.cartridge, drive.place = drive.cartridge, "", state.NOWHERE
        return name

    def _eject(self, drive: State) -> None:
        try:
            self._unit.unload(state.MOUTH)
        except Refusal:
            # What could not be written is lost; the flag tells it.
            self._unit.alert(state.FORCED_EJECT)
            self._unit.give_up()
            self._unit.unload(state.MOUTH)
        drive.time += self._unit.generation.unload if self._unit.clock.stands else 0.0

    def loaded(self) -> str:
        """The name of the cartridge in the drive; empty if there is none."""
        with self._begun() as drive:
            return drive.cartridge

    def set_faults(self, text: str) -> None:
        """Replace the fault script; see ``faults``.  Raises faults.BadScript."""
        script = faults.parse(text)
        with self._begun() as drive:
            drive.faults = script
            going = drive.under_way
            if going is not None and going.ends == float("inf"):
                drive.under_way = None

    def want_cleaning(self, *, required: bool) -> None:
        """From now on the drive asks to be cleaned, or cannot do without."""
        with self._begun():
            self._unit.want_cleaning(required=required)

    def plug_in(self) -> None:
        """A device that has vanished is there again, after a power on; whoever had it must look for it anew.

        A `Device` that was made before goes on being the hand, and answers no command.
        """
        with self._begun() as drive:
            if drive.vanished:
                drive.vanished = False
                drive.plugged += 1
        self.power_loss()

    def reset(self) -> None:
        """Reset the logical unit: reservations of removal and settings go, the buffer and the place stay."""
        with self._begun():
            self._unit.reset(attention.UNIT_RESET)

    def power_loss(self) -> None:
        """Take the power away and give it back: what was in the buffer only is lost."""
        with self._begun():
            self._unit.power_on()

    def pass_time(self, seconds: float) -> None:
        """Let simulated time pass at once."""
        with self._begun() as drive:
            drive.time += seconds
            self._unit.settle()

    def stops(self) -> int:
        """How often the tape has stopped while it was written, since the drive was made."""
        with self._begun() as drive:
            return drive.motion.stops

    @contextmanager
    def _begun(self) -> Iterator[State]:
        """The drive's state for this process alone, brought up to the time."""
        with self._memory.locked() as drive:
            self._unit.begin(drive, self._memory.readings)
            yield drive


def _serial(directory: Path) -> str:
    """The serial number of a drive that was given none."""
    return "SIM" + hashlib.sha256(os.fsencode(directory.resolve())).hexdigest()[:9].upper()
