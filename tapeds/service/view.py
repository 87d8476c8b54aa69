# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is shown of a drive: the last knowledge, put together from its worker, its job and its lease."""

from __future__ import annotations

import logging
from typing import Any

from tapeds import names
from tapeds.events import Signal
from tapeds.jobs.job import Job
from tapeds.names import Field, MessageId
from tapeds.service.leases import Lease
from tapeds.service.sessions import Session
from tapeds.worker.messages import DeviceState

log = logging.getLogger(__name__)


class DriveView:
    """The properties of a drive; ``changed`` tells that some of them may have other values.

    ``fault`` says what is wrong with the device itself, "" for nothing.
    """

    def __init__(self, name: str, kind: str, configured_path: str) -> None:
        self.name = name
        self.path = names.drive_path(name)
        self.type = kind
        self.configured_path = configured_path
        self.changer = names.changer_path(name)
        self.changer_drive_number = 0
        self.present = False
        self.device = ""
        self.vendor = ""
        self.model = ""
        self.revision = ""
        self.serial = ""
        self.media_state = "unknown"
        self.media: dict[str, Any] = {}
        self.position_known = False
        self.file_number = 0
        self.block_number = 0
        self.durable_file = 0
        self.durable_block = 0
        self.capacity_bytes = 0
        self.remaining_bytes = 0
        self.block_size = 0
        self.job: Job | None = None
        self.fault = ""
        self.changed: Signal[Any] = Signal()
        self.lease = Lease(name, lambda: self.changed.emit(self))
        self.durability_lost: Signal[tuple[int, int]] = Signal()
        self._claimed = False               # the worker says that it knows the position
        self._doubt = False                 # a worker died: the position is to be proved again
        self._undurable: tuple[int, int] | None = None   # files that were answered with durable=false

    @property
    def session(self) -> Session | None:
        """The lease on the drive, if there is one."""
        return self.lease.hold.session if self.lease.hold is not None else None

    @property
    def state(self) -> str:
        """absent, idle, busy, waiting-for-media or error."""
        if self.fault:
            return "error"
        if self.job is not None:
            return "waiting-for-media" if self.job.state == "waiting" else "busy"
        return "idle" if self.present else "absent"

    @property
    def status_text(self) -> str:
        """What is wrong, or what the drive is used for."""
        return self.fault or self.text()

    @property
    def waiters(self) -> int:
        """How many wait for the drive."""
        return self.lease.waiting

    def text(self) -> str:
        """What other programs are told while the drive is locked."""
        session = self.session
        if session is not None and session.status_text:
            return session.status_text
        if self.job is not None:
            job = self.job
            what = f"job {job.id} {job.operation} by uid {job.owner.uid} since {job.since()}"
            return f"{what}: {job.message}" if job.state == "waiting" else what
        return session.text() if session is not None else ""

    def fields(self) -> dict[str, str]:
        """Journal fields of an entry about this drive."""
        return {
            Field.DRIVE: self.name,
            Field.LABEL: str(self.media.get("label-text", "")),
            Field.MEDIA_UUID: str(self.media.get("uuid", "")),
        }

    def learn(self, state: DeviceState) -> None:
        """Show what the worker knows."""
        self.vendor, self.model, self.revision = state.vendor, state.model, state.revision
        self.serial, self.device = state.serial, state.device
        self.media_state, self.media = state.media_state, dict(state.media)
        self._claimed = state.position_known
        self.position_known = self._claimed and not self._doubt
        self.file_number, self.block_number = state.file, state.block
        self.durable_file, self.durable_block = state.durable_file, state.durable_block
        self.capacity_bytes, self.remaining_bytes = state.capacity_bytes, state.remaining_bytes
        self.block_size = state.block_size
        if self._undurable is not None:
            first, last = self._undurable
            first = max(first, state.durable_file)
            self._undurable = (first, last) if first <= last else None
        self.changed.emit(self)

    def doubt_position(self) -> None:
        """Nothing proves any more where the head stands, nor that the last writes are on the medium."""
        self._doubt = True
        self.position_known = False
        self.doubt_durability()
        self.changed.emit(self)

    def doubt_durability(self) -> None:
        """What was answered before it was durable may not be on the medium, and never get there."""
        if self._undurable is not None:
            lost, self._undurable = self._undurable, None
            self.durability_lost.emit(lost)

    def prove_position(self) -> None:
        """An operation has gone well that knows where it went."""
        self._doubt = False
        self.position_known = self._claimed

    def answered_undurable(self, file: int) -> None:
        """The caller was told that ``file`` is written, and it is not known to be on the medium."""
        first, last = self._undurable or (file, file)
        self._undurable = (min(first, file), max(last, file))

    def synchronized(self) -> None:
        """Everything written is on the medium."""
        self._undurable = None

    def set_present(self, present: bool) -> None:
        """The device is there, or is not."""
        if present == self.present:
            return
        self.present = present
        self.device = self.configured_path if present else ""
        if not present:
            self.media_state, self.media, self.position_known = "unknown", {}, False
            self.capacity_bytes = self.remaining_bytes = 0
        message = MessageId.DRIVE_PRESENT if present else MessageId.DRIVE_ABSENT
        log.log(
            logging.INFO if present else logging.WARNING,
            "drive %s is %s",
            self.name,
            "present" if present else f"absent: {self.configured_path} is not there",
            extra={**self.fields(), Field.PATH: self.configured_path, Field.MESSAGE_ID: message},
        )
        self.changed.emit(self)
