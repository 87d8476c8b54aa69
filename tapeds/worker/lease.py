# SPDX-License-Identifier: LGPL-2.1-or-later
"""What one lease works on: the open device and everything known of it, from Open to Release."""

from __future__ import annotations

from collections.abc import Callable

from tapeds.changer.base import Changer
from tapeds.drive.base import Drive
from tapeds.errors import NoMedia, NotSupported
from tapeds.filesystem import FileSystem
from tapeds.media.pump import Ring
from tapeds.worker.devices import open_devices
from tapeds.worker.intent import Intent, IntentFile
from tapeds.worker.knowledge import Knowledge
from tapeds.worker.messages import DeviceSpec, Json


class Lease:
    """One open device, its write intent, and what is known of it."""

    def __init__(self, spec: DeviceSpec, fs: FileSystem) -> None:
        """Open the device of ``spec``.  Raises as `open_devices`."""
        self.spec = spec
        self.name = f"drive {spec.name}"
        devices = open_devices(spec, fs)
        self.drive: Drive = devices.drive
        self._changer = devices.changer
        self.knowledge = Knowledge(spec, self.drive)
        self.intents = IntentFile(fs, spec.intent_path)
        self.deserted: Callable[[], bool] = lambda: False
        """Whether nobody is there any more who could be told what becomes of a file."""
        self._ring: Ring | None = None

    @property
    def tape(self) -> str:
        """The tape, as texts name it."""
        label = self.knowledge.cartridge
        return f"tape {label} in {self.name}" if label else f"the tape in {self.name}"

    @property
    def ring(self) -> Ring:
        """The buffer of the transfers, made for the first one."""
        if self._ring is None:
            self._ring = Ring(self.spec.buffer_bytes)
        return self._ring

    @property
    def changer(self) -> Changer:
        """The changer.  Raises NotSupported where there is none."""
        if self._changer is None:
            raise NotSupported(f"{self.name} has no changer; load the tape by hand")
        return self._changer

    def require_media(self) -> None:
        """Raises NoMedia for an empty drive."""
        if not self.knowledge.look().loaded:
            raise NoMedia(f"{self.name} is empty; load a tape first")

    def where(self) -> Json:
        """Where the head stands, which is known from now on."""
        position = self.knowledge.arrive()
        return {"file": position.file, "block": position.block, "position-known": True}

    def begin_file(self, file: int) -> None:
        """Make the intent to write ``file`` durable."""
        knowledge = self.knowledge
        self.intents.begin(Intent(self.spec.name, knowledge.cartridge, knowledge.media_uuid, file))
        knowledge.begin_file(file)

    def end_file(self, file: int, *, durable: bool) -> None:
        """``file`` is closed; the intent goes once everything is durable."""
        self.knowledge.end_file(file, durable=durable)
        if durable:
            self.let_intent_go()

    def let_intent_go(self) -> None:
        """Everything is durable.  The intent stays where nobody can be told: the next start tells then."""
        if not self.deserted():
            self.intents.clear()

    def drop_file(self, file: int) -> None:
        """``file`` was not begun after all: nothing of it is on tape."""
        self.knowledge.in_file = False
        pending = self.intents.pending
        if pending is not None and pending.file == file:
            self.intents.clear()

    def forget_intent(self) -> None:
        """Nothing is left on the tape in the drive that an intent could speak of."""
        pending = self.intents.pending
        here = self.intents.begun_here
        if pending is not None and (here or pending.label_text == self.knowledge.cartridge):
            self.intents.clear()

    def drop_ring(self) -> None:
        """Give the buffer's memory back."""
        self._ring = None
