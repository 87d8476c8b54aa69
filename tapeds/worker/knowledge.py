# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the worker knows of its device: the cartridge, its label, the position, what is durable."""

from __future__ import annotations

from tapeds.drive.base import Drive, DriveStatus, Position
from tapeds.errors import (
    DeviceFailed,
    DeviceGone,
    Internal,
    Io,
    MediumError,
    OpenFailed,
    ReadFailed,
    TapeError,
)
from tapeds.media.label import Labels
from tapeds.worker.messages import DeviceSpec, DeviceState, Json

_POSITION_LOST = (Io, DeviceGone, DeviceFailed, MediumError, ReadFailed, OpenFailed, Internal)
_LONGEST = 256                        # characters of a text that the state repeats in every packet
NO_LABELS = Labels(None, None)


class Knowledge:
    """The last knowledge of one open device; asking for it never touches the device.

    ``labels`` is None while no label has been read since the cartridge came or since an error.
    ``foreign`` says why the tape has no label although it holds data; "" otherwise.
    ``position`` is None while it is not proved.
    ``before`` is what was known in a lease that was interrupted, until the tape is proved to be that one.
    """

    def __init__(self, spec: DeviceSpec, drive: Drive) -> None:
        self.labels: Labels | None = None
        self.foreign = ""
        self.position: Position | None = None
        self.durable = Position(0, 0)
        self.in_file = False
        self.before: DeviceState | None = None  # what the tape has to be proved to be
        self._spec = spec
        self._drive = drive
        self._status: DriveStatus | None = None
        self.identity: str | None = None        # the media uuid read in this lease, "" for none
        self._written_to = 0                    # the file behind the last one written in this lease

    @property
    def loaded(self) -> bool:
        """Whether a cartridge is in the drive."""
        return self._status is not None and self._status.loaded

    @property
    def cartridge(self) -> str:
        """The label text of the cartridge, where the drive itself knows it; else ""."""
        return (self._status.label_text or "") if self._status is not None else ""

    @property
    def media_uuid(self) -> str:
        """The uuid of the media label, "" where there is none or it was not read."""
        return self.labels.label.uuid if self.labels is not None and self.labels.label is not None else ""

    @property
    def undurable(self) -> bool:
        """Whether something was written in this lease that is not durable yet."""
        return self.in_file or self._written_to > self.durable.file

    def look(self) -> DriveStatus:
        """Ask the drive what it knows without moving tape.  Raises DeviceGone, Io."""
        before, now = self._status, self._drive.status()
        if before is not None and (before.loaded, before.label_text) != (now.loaded, now.label_text):
            self.new_cartridge()
        self._status = now
        return now

    def arrive(self) -> Position:
        """Ask the drive where the head stands; from now on that is known."""
        self.position = self._drive.position()
        return self.position

    def settle(self) -> None:
        """After something has gone well: look, and ask for the position unless it is lost."""
        if self.look().loaded:
            if self.position is not None:
                self.arrive()
        else:
            self.position = None

    def fail(self, error: TapeError) -> None:
        """After ``error``: what it leaves in doubt is known no more."""
        if isinstance(error, _POSITION_LOST):
            self.position = None
            self.labels = None
            self.foreign = ""
            return
        try:
            self.settle()
        except TapeError:
            self.position = None                # the first error is the one to tell

    def new_cartridge(self) -> None:
        """Another cartridge, or none, is in the drive."""
        self.labels, self.foreign, self.identity, self.position = None, "", None, None
        self.before = None
        self.durable, self._written_to, self.in_file = Position(0, 0), 0, False

    def learn(self, labels: Labels, foreign: str = "") -> None:
        """The labels were read or written."""
        self.labels, self.foreign, self.before = labels, foreign, None
        self.identity = self.media_uuid

    def learn_foreign(self, reason: str) -> None:
        """The tape holds data and no label; ``reason`` says what was found."""
        self.learn(NO_LABELS, reason)

    def doubt(self, identity: str | None) -> None:
        """The labels are not those of ``identity``, which was in the drive: they count as not read."""
        self.labels, self.foreign, self.identity = None, "", identity

    def begin_file(self, file: int) -> None:
        """``file`` is being written; what was durable behind its beginning is gone."""
        self.in_file = True
        self.position = Position(file, 0)
        self._written_to = min(self._written_to, file)
        if self.durable.file >= file:
            self.durable = Position(file, 0)

    def end_file(self, file: int, *, durable: bool) -> None:
        """``file`` is closed; if ``durable``, so is everything before."""
        self.in_file = False
        self._written_to = file + 1
        if durable:
            self.synchronized()

    def erased(self) -> None:
        """The tape is empty, durably."""
        self.durable, self._written_to, self.in_file = Position(0, 0), 0, False

    def synchronized(self) -> None:
        """Everything written is durable."""
        if self._written_to:
            self.durable = Position(self._written_to, 0)

    def state(self) -> DeviceState:
        """The knowledge as a packet carries it."""
        status = self._status
        position = self.position or Position(0, 0)
        return DeviceState(
            vendor=self._drive.vendor,
            model=self._drive.model,
            revision=self._drive.revision,
            serial=self._drive.serial,
            device=self._spec.path,
            loaded=self.loaded,
            media_state=self._media_state(),
            media=self._media(),
            label_known=self.labels is not None,
            position_known=self.position is not None,
            file=position.file,
            block=position.block,
            durable_file=self.durable.file,
            durable_block=self.durable.block,
            capacity_bytes=(status.capacity_bytes or 0) if status else 0,
            remaining_bytes=(status.remaining_bytes or 0) if status else 0,
            block_size=status.block_size if status else 0,
            in_file=self.in_file,
            to_prove=self.before is not None,
        )

    def _media_state(self) -> str:
        if self._status is None:
            return "unknown"
        if not self._status.loaded:
            return "empty"
        return "unlabeled" if self.labels is not None and self.labels.label is None else "loaded"

    def _media(self) -> Json:
        status = self._status
        if status is None or not status.loaded:
            return {}
        media: Json = {"write-protected": status.write_protected, "worm": status.worm}
        if status.label_text:
            media["label-text"] = status.label_text
        label = self.labels.label if self.labels is not None else None
        if label is not None:
            media |= {"label-text": label.label_text[:_LONGEST], "uuid": label.uuid, "ctime": label.ctime}
            if label.pool:
                media["pool"] = label.pool[:_LONGEST]
        group = self.labels.set_label if self.labels is not None else None
        if group is not None:
            media |= {"media-set-uuid": group.uuid, "media-set-pool": group.pool[:_LONGEST]}
            media["seq-nr"] = group.seq_nr
        return media
