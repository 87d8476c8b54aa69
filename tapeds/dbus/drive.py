# SPDX-License-Identifier: LGPL-2.1-or-later
"""``org.tapeds1.Drive``: what every drive has."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from tapeds import names
from tapeds.dbus import convert
from tapeds.dbus.convert import Wire
from tapeds.dbus.face import Call, Face, Getter
from tapeds.dbus.options import Options
from tapeds.jobs.caller import Caller
from tapeds.jobs.job import Job
from tapeds.names import Operation
from tapeds.service.drives import DriveUnit

Start = Callable[..., Awaitable[tuple[Job, int | None]]]
"""`DriveUnit.start_read` or `DriveUnit.start_write`."""


class DriveFace(Face):
    interface = names.DRIVE

    def __init__(self, unit: DriveUnit) -> None:
        self._unit = unit
        super().__init__(names.drive_path(unit.name))

    def properties(self) -> Mapping[str, Getter]:
        unit = self._unit
        return {
            "Name": lambda: unit.name,
            "Type": lambda: unit.type,
            "ConfiguredPath": lambda: unit.configured_path,
            "Present": lambda: unit.present,
            "Device": lambda: unit.device,
            "Vendor": lambda: unit.vendor,
            "Model": lambda: unit.model,
            "Revision": lambda: unit.revision,
            "Serial": lambda: unit.serial,
            "State": lambda: unit.state,
            "StatusText": lambda: unit.status_text,
            "Job": lambda: names.job_path(unit.job.id) if unit.job else names.NO_PATH,
            "Session": lambda: unit.session.path if unit.session else names.NO_PATH,
            "LockHolder": unit.lock_holder,
            "MediaState": lambda: unit.media_state,
            "Media": lambda: unit.media,
            "PositionKnown": lambda: unit.position_known,
            "FileNumber": lambda: unit.file_number,
            "BlockNumber": lambda: unit.block_number,
            "DurableFile": lambda: unit.durable_file,
            "DurableBlock": lambda: unit.durable_block,
            "CapacityBytes": lambda: unit.capacity_bytes,
            "RemainingBytes": lambda: unit.remaining_bytes,
            "Waiters": lambda: unit.waiters,
            "Changer": lambda: unit.changer,
            "ChangerDriveNumber": lambda: unit.changer_drive_number,
        }

    def details(self, arguments: tuple[Any, ...]) -> Mapping[str, str]:
        return {"drive": self._unit.name, "label": str(self._unit.media.get("label-text", ""))}

    def lease(self, caller: Caller, session: str) -> str:
        held = self._unit.session
        if held is None:
            return ""
        return held.path if held.allows(caller, named=session == held.path) else ""

    # --- leases and status ----------------------------------------------------------------------

    async def Acquire(self, call: Call, options: Options) -> str:
        """Take a lease of the drive, waiting in order of arrival."""
        return (await self._unit.acquire(call.caller, session=call.session, **options)).path

    async def GetStatus(self, call: Call, options: Options) -> Wire:
        """What is known of drive and medium; never waits."""
        return convert.to_wire(await self._unit.status(call.caller, call.session))

    async def CurrentFileNumber(self, call: Call, options: Options) -> int:
        """Ask the drive where the head stands."""
        return await self._unit.current_file_number(call.caller, call.session)

    # --- moving ---------------------------------------------------------------------------------

    async def Sync(self, call: Call, options: Options) -> str:
        """Make durable what has been written."""
        return await self._start(call, Operation.SYNC)

    async def Rewind(self, call: Call, options: Options) -> str:
        """Go to the beginning of the tape."""
        return await self._start(call, Operation.REWIND)

    async def MoveToEom(self, call: Call, write_missing_eof: bool, options: Options) -> str:
        """Go to end of data, closing an open file there if wanted."""
        return await self._start(call, Operation.MOVE_TO_EOM, {"write-missing-eof": write_missing_eof})

    async def MoveToLastFile(self, call: Call, options: Options) -> str:
        """Go to the first block of the last file."""
        return await self._start(call, Operation.MOVE_TO_LAST_FILE)

    async def MoveToFile(self, call: Call, file: int, options: Options) -> str:
        """Go to the first block of ``file``, counted from 0."""
        return await self._start(call, Operation.MOVE_TO_FILE, {"file": file})

    async def EjectMedia(self, call: Call, options: Options) -> str:
        """Put out the cartridge."""
        return await self._start(call, Operation.EJECT_MEDIA)

    async def RequestMedia(self, call: Call, media: Options, options: Options) -> str:
        """Load a medium by label, or ask a person for it and wait."""
        job = await self._unit.request_media(call.caller, media, session=call.session, **options)
        return names.job_path(job.id)

    # --- labels ---------------------------------------------------------------------------------

    async def ReadLabel(self, call: Call, options: Options) -> str:
        """Rewind and read the labels."""
        return await self._start(call, Operation.READ_LABEL)

    async def LabelTape(self, call: Call, label: Options, options: Options) -> str:
        """Write a media label; everything else on the tape goes."""
        return await self._start(call, Operation.LABEL_TAPE, {**options, **label})

    async def WriteMediaSetLabel(self, call: Call, label: Options, options: Options) -> str:
        """Write a media-set label; everything behind it goes."""
        return await self._start(call, Operation.WRITE_MEDIA_SET_LABEL, {**options, **label})

    async def FormatMedia(self, call: Call, fast: bool, options: Options) -> str:
        """Make the tape empty."""
        return await self._start(call, Operation.FORMAT_MEDIA, {**options, "fast": fast})

    # --- files ----------------------------------------------------------------------------------

    async def ReadFile(self, call: Call, options: Options) -> tuple[str, int | None]:
        """Read the file at the head into a pipe made here."""
        return await self._transfer(self._unit.start_read, call, options)

    async def ReadFileInto(self, call: Call, fd: int, options: Options) -> str:
        """Read the file at the head into the caller's descriptor."""
        job, _ = await self._transfer(self._unit.start_read, call, options, call.take_fd(fd))
        return job

    async def WriteFile(self, call: Call, options: Options) -> tuple[str, int | None]:
        """Append a file whose data come through a pipe made here."""
        return await self._transfer(self._unit.start_write, call, options)

    async def WriteFileFrom(self, call: Call, fd: int, options: Options) -> str:
        """Append a file whose data come from the caller's descriptor."""
        job, _ = await self._transfer(self._unit.start_write, call, options, call.take_fd(fd))
        return job

    async def ListFiles(self, call: Call, options: Options) -> str:
        """List the files on the tape, a page at a time."""
        return await self._start(call, Operation.LIST_FILES, options)

    async def VerifyFile(self, call: Call, file: int, options: Options) -> str:
        """Read one file and check every rule of the format."""
        return await self._start(call, Operation.VERIFY_FILE, {"file": file})

    async def VerifyTape(self, call: Call, options: Options) -> str:
        """Read the whole tape and check every rule of the format."""
        return await self._start(call, Operation.VERIFY_TAPE)

    async def _transfer(
        self, start: Start, call: Call, options: Options, fd: int | None = None
    ) -> tuple[str, int | None]:
        detach = options.pop("detach")
        arguments = convert.to_json(options)
        job, end = await start(call.caller, arguments, session=call.session, fd=fd, detach=detach)
        return names.job_path(job.id), end

    async def _start(self, call: Call, operation: str, arguments: Mapping[str, Any] | None = None) -> str:
        job = await self._unit.start(
            call.caller, operation, convert.to_json(arguments or {}), session=call.session
        )
        return names.job_path(job.id)
