# SPDX-License-Identifier: LGPL-2.1-or-later
"""The logical unit: what is in the drive, where the head stands, and what is going on.

Commands work on a `Unit`.  An operation that takes time has its effect when it begins; until it
ends the drive is busy with it.  Nothing here lives longer than the command but ``state``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from . import attention, sense, state
from .buffer import Buffer
from .cartridge import Cartridge, Chip
from .clock import POLLS, Clock
from .generation import Generation
from .sense import Refusal, Sense
from .state import Motion, Mount, State, UnderWay
from .tape import OBJECT_OVERHEAD

CLEANING_SECONDS = 150.0
_SETTLING = 2.0
"""Seconds that any movement of the tape takes at least."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What does not change while the drive lives: how it presents itself, and its limits in bytes."""

    vendor: str = "TAPEDS"
    product: str = ""
    revision: str = "SIM1"
    file_numbering: str = "ibm"
    """``ibm``: LOCATE to file N stands behind N filemarks; ``hp``: behind N - 1."""
    queue_depth: int = 1
    """Set by `Device`."""
    early_warning: int | None = None
    """How far before the end of the medium early warning is; by default 1/20 of it, at most 256 MB."""
    largest_block: int = 8 << 20


class Unit:
    """One drive, during one command."""

    def __init__(
        self, directory: Path, generation: Generation, settings: Settings, buffer: Buffer, clock: Clock
    ) -> None:
        self.directory, self.generation, self.settings = directory, generation, settings
        self.buffer, self.clock = buffer, clock
        self.state: State
        self._cartridge: Cartridge | None = None
        self._reading = 0

    def close(self) -> None:
        """Close the files of the cartridge."""
        if self._cartridge is not None:
            self._cartridge.close()
            self._cartridge = None

    def begin(self, current: State, reading: int) -> None:
        """Work on ``current`` and bring it up to the time; another ``reading`` is another process's work."""
        self.state = current
        if self._cartridge is not None and reading != self._reading:
            if self._cartridge.chip.name == current.cartridge:
                self._cartridge.reload()
            else:
                self.close()
        self._reading = reading
        self.clock.tick(current)
        self.settle()

    def settle(self) -> None:
        """What time has brought: the end of an operation, data on the medium."""
        now = self.state.time
        while self.state.under_way is not None and self.state.under_way.ends <= now:
            self._ended(self.state.under_way)
        if self.state.ring.objects:
            self.buffer.settle(self.state, self.cartridge)

    def poll(self) -> None:
        """With a standing clock, a look at what is under way lets a part of it pass."""
        going = self.state.under_way
        if self.clock.stands and going is not None and going.immediate:
            self.state.time += (going.ends - going.started) / POLLS
            self.settle()

    # what is inside

    @property
    def cartridge(self) -> Cartridge:
        """The cartridge in the drive.  Raises Refusal if there is none."""
        if not self.state.cartridge or self.state.place == state.MOUTH:
            raise sense.no_medium()
        if self._cartridge is None:
            self._cartridge = Cartridge(self.directory, self.state.cartridge)
        return self._cartridge

    def chip(self) -> Chip | None:
        """The chip of a loaded data cartridge that this drive can use."""
        if self.state.place != state.THREADED or self.state.under_way_loads():
            return None
        chip = self.cartridge.chip
        usable = chip.cleanings is None and chip.density in self.generation.densities
        return chip if usable else None

    def ready(self) -> Cartridge:
        """The loaded medium.  Raises Refusal with the reason if it cannot be used now."""
        self.idle()
        cartridge = self.present()
        if self.state.place == state.HOLD:
            raise sense.memory_only()
        return cartridge

    def present(self) -> Cartridge:
        """The cartridge, if its memory can be read and the drive takes it."""
        cartridge = self.cartridge
        if cartridge.chip.cleanings is not None:
            raise sense.cleaning_expired() if not cartridge.chip.cleanings else sense.cleaning_rejected()
        if cartridge.chip.density not in self.generation.densities:
            raise sense.incompatible_medium()
        return cartridge

    def idle(self) -> None:
        """Raises Refusal while an operation runs whose command was answered at once."""
        if (going := self.state.under_way) is not None:
            raise Refusal(not_ready(going, self.state.time))

    def writable(self) -> Cartridge:
        """The loaded medium, if it may be written.  Raises Refusal."""
        cartridge = self.ready()
        if cartridge.chip.write_protected:
            self.alert(state.WRITE_PROTECT)
            raise sense.write_protected()
        return cartridge

    # movement

    @property
    def used(self) -> int:
        """Bytes of tape before the position."""
        return self.state.offset + OBJECT_OVERHEAD * self.state.position

    def stand(self, at: int) -> float:
        """Stand before object ``at`` of the medium, with an empty buffer; the seconds to get there."""
        before = self.used
        self.state.position = at
        self.state.file, self.state.offset = self.cartridge.tape.place(at)
        self.buffer.matcher.halt(self.state.motion, self.state.time)
        share = abs(self.used - before) / max(1, self.cartridge.chip.capacity)
        return 0.0 if self.used == before else _SETTLING + self.generation.whole_tape * min(1.0, share)

    def leave(self) -> float:
        """Before the tape goes elsewhere: empty the buffer and mark the end of data; seconds.

        After a write error that was told, the buffer is given up.  Raises Refusal, deferred, for
        one that was not.
        """
        if self.state.failing is not None and self.state.failing.told:
            self.give_up()
        seconds = self.buffer.flush(self.state, self.cartridge)
        self.end_data()
        return seconds

    def give_up(self) -> None:
        """Forget what could not be written: the head stands behind what was."""
        first = self.state.ring.first
        had = self.state.ring.objects
        self.buffer.lose(self.state)
        if had:
            self.stand(min(first, self.cartridge.tape.count))

    def end_data(self) -> None:
        """Mark the end of what was written."""
        if self.state.mount.dirty:
            self.state.mount.dirty = False
            self.cartridge.chip.end_known = True
            self.cartridge.save()

    def under_way(self, activity: int, seconds: float, *, immediate: bool = True) -> None:
        """The drive is busy for ``seconds``."""
        now = self.state.time
        self.state.under_way = UnderWay(activity, now, now + seconds, immediate)

    def overdue(self) -> Sense | None:
        """The deferred error that is told next, if one is due; it is told once."""
        drive = self.state
        if drive.late and drive.under_way is None:
            key, asc, ascq = drive.late
            drive.late = []
            return Sense(key, asc, ascq, deferred=True)
        failing = drive.failing
        if failing is not None and not failing.told and drive.commands >= failing.command:
            return self.buffer.failure(drive, self.cartridge).sense
        return None

    # cartridges come and go

    def load(self, *, immediate: bool = True) -> float:
        """Thread the cartridge; the seconds until it is done."""
        self.state.place = state.THREADED
        self.state.loads += 1
        self.under_way(state.LOADING, self.generation.load, immediate=immediate)
        self.state.mount = Mount(began=self.state.time)
        self.state.position = self.state.file = self.state.offset = 0
        chip = self.cartridge.chip
        serial = f"{self.settings.vendor:<8}{self.state.serial:<32}"
        chip.loaded_in(serial)
        self.cartridge.save()
        if not chip.end_known:
            self.alert(state.DIRECTORY_CORRUPTED)
        if chip.cleanings is not None:
            self.alert(state.CLEANING_MEDIUM if chip.cleanings else state.CLEANER_EXPIRED)
        elif chip.density not in self.generation.densities:
            self.alert(state.UNSUPPORTED_FORMAT)
        return self.generation.load

    def _ended(self, done: UnderWay) -> None:
        self.state.under_way = None
        if done.activity == state.CLEANING:
            self._cleaned()
        if done.activity not in (state.LOADING, state.CALIBRATING):
            return
        chip = self.cartridge.chip
        if chip.cleanings:
            self.state.under_way = UnderWay(state.CLEANING, done.ends, done.ends + CLEANING_SECONDS, True)
            return
        if self.generation.optimisation and chip.density is self.generation.density and not chip.initialized:
            if done.activity == state.LOADING:
                ends = done.ends + self.generation.optimisation
                self.state.under_way = UnderWay(state.CALIBRATING, done.ends, ends, done.immediate)
                return
            chip.initialized = True
            self.cartridge.save()
        self.state.mount.ready = done.ends
        attention.raise_for_all(self.state, attention.MEDIUM_CHANGED)

    def _cleaned(self) -> None:
        chip = self.cartridge.chip
        chip.cleanings = (chip.cleanings or 1) - 1
        self.cartridge.save()
        self.state.cleanings += 1
        self.state.cleaning = 0
        for flag in (state.CLEAN_NOW, state.CLEAN_PERIODIC, state.CLEANING_MEDIUM):
            self.clear_alert(flag)
        self.close()
        self.state.place = state.MOUTH

    def unload(self, place: str) -> float:
        """Unthread the cartridge and leave it at ``place``; seconds.  Raises Refusal for a write error."""
        seconds = self.leave()
        if self.state.place == state.THREADED:
            seconds += self.stand(0) + self.generation.unload
            self.settle_life()
        for flag in (
            state.WRITE_PROTECT,
            state.NO_REMOVAL,
            state.CLEANER_EXPIRED,
            state.CLEANING_MEDIUM,
            state.UNSUPPORTED_FORMAT,
        ):
            self.clear_alert(flag)
        self.close()
        self.state.place = place
        self.state.position = self.state.file = self.state.offset = 0
        return seconds

    def settle_life(self) -> None:
        """Add what this mount has done to the life of the cartridge."""
        mount, chip = self.state.mount, self.cartridge.chip
        chip.written += mount.written
        chip.read += mount.read
        chip.written_last, chip.read_last = mount.written, mount.read
        chip.write_mounts += mount.written > 0
        self.cartridge.save()
        self.state.mount = Mount()

    # resets

    def power_on(self) -> None:
        """The power was away: the buffer is lost; a cartridge inside is loaded anew."""
        drive = self.state
        self.buffer.lose(drive)
        drive.under_way = None
        drive.motion = Motion(stops=drive.motion.stops)
        drive.alerts.clear()
        drive.unread.clear()
        self.reset(attention.POWER_ON)
        if drive.cartridge and drive.place != state.MOUTH:
            if drive.place == state.THREADED:
                self.settle_life()
            self.load()
        drive.position = drive.file = drive.offset = 0

    def reset(self, code: attention.Code) -> None:
        """Commands are lost and settings go back; buffer and place stay, and so does what runs by itself."""
        drive = self.state
        drive.resets += 1
        drive.prevented.clear()
        drive.pages.clear()
        drive.late = []
        drive.block_length, drive.buffered = 0, 1
        if drive.under_way is not None and not drive.under_way.immediate:
            drive.under_way = None
        attention.raise_for_all(drive, code)

    # TapeAlert

    def want_cleaning(self, *, required: bool) -> None:
        """From now on the drive asks to be cleaned, or cannot do without."""
        self.state.cleaning = 2 if required else 1
        self.alert(state.CLEAN_NOW if required else state.CLEAN_PERIODIC)

    def alert(self, flag: int) -> None:
        """A TapeAlert flag goes up."""
        self.state.raise_alert(flag)

    def clear_alert(self, flag: int) -> None:
        """Its reason is gone."""
        for flags in (self.state.alerts, self.state.unread):
            if flag in flags:
                flags.remove(flag)


def not_ready(going: UnderWay, now: float) -> Sense:
    """What a command hears that needs the medium while something is going on."""
    progress = going.progress(now)
    if going.activity == state.CLEANING:
        return Sense(sense.NOT_READY, 0x30, 0x03, progress=progress)
    if going.activity in (state.LOADING, state.CALIBRATING):
        return Sense(sense.NOT_READY, 0x04, 0x01, progress=progress)
    return Sense(
        sense.NOT_READY, 0x04, 0x04 if going.activity == state.FORMATTING else 0x07, progress=progress
    )
