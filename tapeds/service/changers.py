# SPDX-License-Identifier: LGPL-2.1-or-later
"""A changer: its inventory, and moving cartridges.

The changer of a virtual drive is the drive's own shelf: the same worker, the same locks, the
same lease.  While the drive waits for a medium, anybody who may move cartridges can load one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tapeds import errors, names
from tapeds.events import Signal
from tapeds.jobs.caller import Caller
from tapeds.jobs.job import Job, Result
from tapeds.names import Field, Operation
from tapeds.service import operations
from tapeds.service.drives import DriveUnit
from tapeds.service.requests import MediaRequest

Element = dict[str, Any]

_INTO_THE_DRIVE = frozenset({Operation.LOAD_MEDIA, Operation.LOAD_SLOT, Operation.UNLOAD_MEDIA})
_OPERATIONS = _INTO_THE_DRIVE | {
    Operation.REFRESH_INVENTORY,
    Operation.TRANSFER_MEDIA,
    Operation.EXPORT_MEDIA,
}


class ChangerUnit:
    """The changer of one virtual drive, under the drive's name."""

    def __init__(self, drive: DriveUnit) -> None:
        self.name = drive.name
        self.path = names.changer_path(drive.name)
        self.changed: Signal[ChangerUnit] = Signal()
        self.inventory_changed: Signal[tuple[int, list[Element]]] = Signal()
        self.inventory_generation = 0
        self.inventory_time = 0
        self._drive = drive
        self._elements: list[Element] = []
        self._answering: Job | None = None      # a load that answers the drive's request for a medium
        drive.changed.connect(lambda _: self.changed.emit(self))
        drive.elements_seen.connect(self.learn)

    @property
    def type(self) -> str:
        """virtual: the shelf of a virtual drive."""
        return self._drive.type

    @property
    def configured_path(self) -> str:
        """The drive's directory."""
        return self._drive.configured_path

    @property
    def present(self) -> bool:
        """Whether the drive is there."""
        return self._drive.present

    @property
    def device(self) -> str:
        """The drive's directory, "" if it is not there."""
        return self._drive.device

    @property
    def vendor(self) -> str:
        """The drive's."""
        return self._drive.vendor

    @property
    def model(self) -> str:
        """The drive's."""
        return self._drive.model

    @property
    def revision(self) -> str:
        """The drive's."""
        return self._drive.revision

    @property
    def serial(self) -> str:
        """The drive's."""
        return self._drive.serial

    @property
    def job(self) -> Job | None:
        """The job that moves a cartridge, or looks through the shelf."""
        job = self._drive.job
        return self._answering or (job if job is not None and job.operation in _OPERATIONS else None)

    @property
    def state(self) -> str:
        """absent, idle, busy or error."""
        if self._drive.fault:
            return "error"
        if self.job is not None:
            return "busy"
        return "idle" if self.present else "absent"

    @property
    def drives(self) -> dict[int, str]:
        """The object paths of its drives, by number from 0."""
        return {0: self._drive.path}

    @property
    def slot_count(self) -> int:
        """How many storage slots there are; 0 until it was looked through."""
        return self._count("slot")

    @property
    def import_export_count(self) -> int:
        """How many import/export slots there are."""
        return self._count("import-export")

    @property
    def drive_count(self) -> int:
        """How many drives it serves."""
        return len(self.drives)

    @property
    def transport_count(self) -> int:
        """How many hands it has."""
        return self._count("transport")

    def lock_holder(self) -> str:
        """Who has the drive, which is the same device."""
        return self._drive.lock_holder()

    def inventory(self) -> tuple[int, list[Element]]:
        """The generation and the elements, as last seen; no device is asked."""
        return self.inventory_generation, [dict(element) for element in self._elements]

    async def start(
        self, caller: Caller, operation: str, arguments: Mapping[str, Any], *, session: str = ""
    ) -> Job:
        """A job that moves a cartridge or looks through the shelf.  Raises what the checks find."""
        if operation not in _OPERATIONS:
            raise errors.NotSupported(f"a changer does not do {operation}")
        request = self._request(operation, arguments)
        waiting, job = self._drive.request, self._drive.job
        asked = waiting is not None and job is not None and job.state == "waiting"
        if waiting is not None and asked and operation in _INTO_THE_DRIVE:
            return self._answer(caller, operation, request, waiting)
        return await self._drive.launch(
            caller, operation, request, session=session, objects=(self.path,), finish=_without_elements
        )

    def learn(self, elements: list[Element]) -> None:
        """The shelf was looked through."""
        seen = [self._shown(element) for element in elements]
        before = {(element["kind"], element["number"]): element for element in self._elements}
        after = {(element["kind"], element["number"]): element for element in seen}
        news = [element for key, element in after.items() if before.get(key) != element]
        gone = [{**element, "state": "unknown"} for key, element in before.items() if key not in after]
        self._elements = seen
        self.inventory_time = int(self._drive.shared.clock() * 1_000_000)
        if news or gone or not self.inventory_generation:
            self.inventory_generation += 1
            self.inventory_changed.emit((self.inventory_generation, [*news, *gone]))
        self.changed.emit(self)

    def _request(self, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments as the worker takes them: there is one drive, so its number is left out."""
        request = dict(arguments)
        number = request.pop("drive-number", 0)
        if number not in self.drives:
            raise errors.InvalidOption(f"changer {self.name} has no drive {number}; its drives are 0")
        if operation == Operation.REFRESH_INVENTORY:
            return {}                       # a shelf of files is always initialized
        return request

    def _answer(self, caller: Caller, operation: str, request: dict[str, Any], waiting: MediaRequest) -> Job:
        """Put a cartridge into a drive that waits for one, past the lease of whoever waits."""
        if self._answering is not None:
            raise errors.Busy(f"changer {self.name} is busy with {self._answering}; wait for its end")
        unit = self._drive
        with unit.shared.admissions.enter(caller):
            row = operations.row(operation)

            async def body(job: Job) -> Result:
                try:
                    async with unit.turn:
                        return await self._load(job, row.request, request, waiting)
                finally:
                    self._answering = None
                    waiting.poke()
                    self.changed.emit(self)

            self._answering = unit.shared.jobs.start(
                operation,
                (unit.path, self.path),
                caller,
                body,
                cancelable=False,
                detached=True,
                facts={Field.DRIVE: unit.name, Field.CHANGER: self.name},
            )
        self.changed.emit(self)
        return self._answering

    async def _load(self, job: Job, operation: str, request: dict[str, Any], waiting: MediaRequest) -> Result:
        unit = self._drive
        if unit.request is not waiting:
            raise errors.Locked(f"drive {unit.name} does not wait for a medium any more; try again")
        try:
            await unit.open()
            call = unit.handle.request(operation, request)
            job.attach(call)
            data = await unit.whole(await call.result())
            unit.done(operations.row(job.operation), request, data)
            return _without_elements(data)
        except errors.TapeError as exc:
            unit.failed(exc)
            raise
        finally:
            await unit.close()

    def _shown(self, element: Element) -> Element:
        shown = {
            key: value
            for key, value in element.items()
            if key != "full" and (value not in ("", None) or key == "label-text")
        }
        shown["state"] = "full" if element.get("full") else "empty"
        if element.get("kind") == "drive":
            shown["drive"] = self.drives.get(int(element.get("number", 0)), names.NO_PATH)
        return shown

    def _count(self, kind: str) -> int:
        return sum(1 for element in self._elements if element.get("kind") == kind)


def _without_elements(data: Result) -> Result:
    """The result that is told: the inventory is asked for by GetInventory."""
    return {key: value for key, value in data.items() if key != "elements"}
