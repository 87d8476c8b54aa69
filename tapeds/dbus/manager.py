# SPDX-License-Identifier: LGPL-2.1-or-later
"""``org.tapeds1.Manager``: what there is, and the service as a whole."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import tapeds
from tapeds import names
from tapeds.dbus import authorization, convert
from tapeds.dbus.convert import Wire
from tapeds.dbus.face import Call, Face, Getter
from tapeds.dbus.options import Options
from tapeds.dbus.polkit import Polkit
from tapeds.errors import NoSuchChanger, NoSuchDrive
from tapeds.service.core import Service


class ManagerFace(Face):
    interface = names.MANAGER

    def __init__(self, service: Service, polkit: Polkit) -> None:
        self._service = service
        self._polkit = polkit
        super().__init__(names.MANAGER_PATH)

    def properties(self) -> Mapping[str, Getter]:
        service = self._service
        return {
            "Version": lambda: tapeds.__version__,
            "ApiRevision": lambda: names.API_REVISION,
            "ConfigGeneration": lambda: service.config_generation,
            "ConfigErrors": lambda: [convert.text(error) for error in service.config_errors],
            "ActiveJobs": lambda: service.jobs.running,
        }

    async def GetDrives(self, call: Call, options: Options) -> list[str]:
        """The path of every drive, by name."""
        return [names.drive_path(name) for name in sorted(self._service.drives)]

    async def GetChangers(self, call: Call, options: Options) -> list[str]:
        """The path of every changer, by name."""
        return [names.changer_path(name) for name in sorted(self._service.changers)]

    async def GetJobs(self, call: Call, options: Options) -> list[str]:
        """The path of every job that is still known, in the order of their numbers."""
        return [names.job_path(job.id) for job in self._service.jobs.all()]

    async def GetDriveByName(self, call: Call, name: str, options: Options) -> str:
        """The path of the drive called ``name``."""
        if name not in self._service.drives:
            raise NoSuchDrive(f"no drive is called {name!r}; there are {_list(self._service.drives)}")
        return names.drive_path(name)

    async def GetChangerByName(self, call: Call, name: str, options: Options) -> str:
        """The path of the changer called ``name``."""
        if name not in self._service.changers:
            raise NoSuchChanger(f"no changer is called {name!r}; there are {_list(self._service.changers)}")
        return names.changer_path(name)

    async def ScanDevices(self, call: Call, options: Options) -> list[Wire]:
        """What is configured, and what the machine has."""
        return convert.to_wires(await self._service.scan())

    async def Reload(self, call: Call, options: Options) -> int:
        """Read the configuration again and return its generation."""
        return await self._service.reload()

    async def GetPermissions(self, call: Call, options: Options) -> dict[str, str]:
        """What the caller may do: action -> yes, auth or no."""
        actions = authorization.actions()
        answers = await asyncio.gather(*(self._polkit.permission(call.caller, action) for action in actions))
        return dict(zip(actions, answers, strict=True))


def _list(found: Mapping[str, object]) -> str:
    return ", ".join(sorted(found)) or "none"
