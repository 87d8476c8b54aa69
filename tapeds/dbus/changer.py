# SPDX-License-Identifier: LGPL-2.1-or-later
"""``org.tapeds1.Changer``: a robot, or a virtual drive's own shelf."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tapeds import names
from tapeds.dbus import convert
from tapeds.dbus.convert import Wire
from tapeds.dbus.face import Call, Face, Getter
from tapeds.dbus.options import Options
from tapeds.names import Operation
from tapeds.service.changers import ChangerUnit


class ChangerFace(Face):
    interface = names.CHANGER

    def __init__(self, unit: ChangerUnit) -> None:
        self._unit = unit
        super().__init__(names.changer_path(unit.name))

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
            "Job": lambda: names.job_path(unit.job.id) if unit.job else names.NO_PATH,
            "LockHolder": unit.lock_holder,
            "SlotCount": lambda: unit.slot_count,
            "ImportExportCount": lambda: unit.import_export_count,
            "DriveCount": lambda: unit.drive_count,
            "TransportCount": lambda: unit.transport_count,
            "Drives": lambda: unit.drives,
            "InventoryGeneration": lambda: unit.inventory_generation,
            "InventoryTime": lambda: unit.inventory_time,
        }

    def details(self, arguments: tuple[Any, ...]) -> Mapping[str, str]:
        drives = list(self._unit.drives.values())
        label = arguments[0] if arguments and isinstance(arguments[0], str) else ""
        return {
            "changer": self._unit.name,
            "drive": names.name_of(drives[0]) if len(drives) == 1 else "",
            "label": label,
        }

    async def GetInventory(self, call: Call, options: Options) -> tuple[int, list[Wire]]:
        """What the changer held when it was last looked through; asks no device."""
        generation, elements = self._unit.inventory()
        return generation, convert.to_wires(elements, "elements")

    async def RefreshInventory(self, call: Call, options: Options) -> str:
        """Look through the changer again."""
        return await self._start(call, Operation.REFRESH_INVENTORY, options)

    async def LoadMedia(self, call: Call, label_text: str, drive_number: int, options: Options) -> str:
        """Load the cartridge ``label_text``."""
        arguments = {**options, "label-text": label_text, "drive-number": drive_number}
        return await self._start(call, Operation.LOAD_MEDIA, arguments)

    async def LoadSlot(self, call: Call, slot: int, drive_number: int, options: Options) -> str:
        """Load what is in ``slot``."""
        return await self._start(call, Operation.LOAD_SLOT, {"slot": slot, "drive-number": drive_number})

    async def UnloadMedia(self, call: Call, drive_number: int, target_slot: int, options: Options) -> str:
        """Put the drive's cartridge into ``target_slot``."""
        arguments = {"drive-number": drive_number}
        if target_slot != names.SOURCE_SLOT:
            arguments["slot"] = target_slot
        return await self._start(call, Operation.UNLOAD_MEDIA, arguments)

    async def TransferMedia(self, call: Call, from_slot: int, to_slot: int, options: Options) -> str:
        """Move a cartridge from slot to slot."""
        return await self._start(call, Operation.TRANSFER_MEDIA, {"from": from_slot, "to": to_slot})

    async def ExportMedia(self, call: Call, label_text: str, options: Options) -> str:
        """Move a cartridge to an import/export slot."""
        return await self._start(call, Operation.EXPORT_MEDIA, {"label-text": label_text})

    async def _start(self, call: Call, operation: str, arguments: Mapping[str, Any]) -> str:
        job = await self._unit.start(call.caller, operation, dict(arguments), session=call.session)
        return names.job_path(job.id)
