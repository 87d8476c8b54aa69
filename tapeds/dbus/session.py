# SPDX-License-Identifier: LGPL-2.1-or-later
"""``org.tapeds1.Session``: a lease."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tapeds import names
from tapeds.dbus.authorization import Relation
from tapeds.dbus.face import Call, Face, Getter
from tapeds.dbus.options import Options
from tapeds.jobs.caller import Caller
from tapeds.service.sessions import Session


class SessionFace(Face):
    interface = names.SESSION

    def __init__(self, session: Session) -> None:
        self._session = session
        super().__init__(session.path)

    def properties(self) -> Mapping[str, Getter]:
        session = self._session
        return {
            "Drive": lambda: names.drive_path(session.drive.name),
            "Owner": lambda: session.owner,
            "OwnerUID": lambda: session.owner_uid,
            "OwnerPID": lambda: session.owner_pid,
            "Binding": lambda: session.binding,
            "Reason": lambda: session.reason,
            "Created": lambda: session.created,
            "Expires": lambda: session.expires,
        }

    def details(self, arguments: tuple[Any, ...]) -> Mapping[str, str]:
        drive = self._session.drive
        return {"drive": drive.name, "label": str(drive.media.get("label-text", ""))}

    def relation(self, caller: Caller) -> Relation:
        """A lease belongs to its user: whoever has its path and the uid may pass it on."""
        return Relation.OWNER if caller.uid == self._session.owner_uid else Relation.OTHER

    async def Renew(self, call: Call, ttl: int, options: Options) -> int:
        """Let the lease live for another ``ttl`` seconds, and return when it ends."""
        return self._session.renew(call.caller, ttl)

    async def Release(self, call: Call, options: Options) -> None:
        """End the lease."""
        await self._session.release(call.caller, force=self.relation(call.caller) is not Relation.OWNER)

    async def SetStatusText(self, call: Call, text: str, options: Options) -> None:
        """Say in one line what the drive is used for."""
        self._session.set_status_text(call.caller, text)
