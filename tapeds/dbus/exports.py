# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the service has, put on the bus: an object for each thing, a signal for each piece of news."""

from __future__ import annotations

from functools import partial
from typing import Any

from tapeds import names
from tapeds.dbus import convert
from tapeds.dbus.changer import ChangerFace
from tapeds.dbus.drive import DriveFace
from tapeds.dbus.face import Face
from tapeds.dbus.job import JobFace, TransferFace
from tapeds.dbus.logcontrol import LogControlFace
from tapeds.dbus.manager import ManagerFace
from tapeds.dbus.polkit import Polkit
from tapeds.dbus.server import Server
from tapeds.dbus.session import SessionFace
from tapeds.jobs.job import Job
from tapeds.service.changers import ChangerUnit
from tapeds.service.core import Service
from tapeds.service.drives import DriveUnit
from tapeds.service.sessions import Session


class Exports:
    """Keeps ``server`` in step with ``service`` from now on."""

    def __init__(self, server: Server, service: Service, polkit: Polkit) -> None:
        self._server = server
        self._polkit = polkit
        self._manager = ManagerFace(service, polkit)
        server.export(self._manager)
        server.export(LogControlFace())
        for drive in service.drives.values():
            self._drive_added(drive)
        for changer in service.changers.values():
            self._changer_added(changer)
        for session in service.sessions.values():
            self._session_added(session)
        for job in service.jobs.all():
            self._job_added(job)
        service.drive_added.connect(self._drive_added)
        service.drive_removed.connect(lambda drive: server.unexport(names.drive_path(drive.name)))
        service.changer_added.connect(self._changer_added)
        service.changer_removed.connect(lambda changer: server.unexport(names.changer_path(changer.name)))
        service.session_added.connect(self._session_added)
        service.session_removed.connect(self._session_removed)
        service.jobs.added.connect(self._job_added)
        service.jobs.removed.connect(self._job_removed)
        service.config_changed.connect(partial(self._touch, self._manager))
        service.media_requested.connect(self._media_requested)
        service.media_request_resolved.connect(self._media_request_resolved)

    def _drive_added(self, drive: DriveUnit) -> None:
        face = DriveFace(drive)
        self._server.export(face)
        drive.changed.connect(partial(self._touch, face))
        drive.durability_lost.connect(lambda files: self._server.signal(face, "DurabilityLost", *files))

    def _changer_added(self, changer: ChangerUnit) -> None:
        face = ChangerFace(changer)
        self._server.export(face)
        changer.changed.connect(partial(self._touch, face))
        changer.inventory_changed.connect(lambda news: self._inventory_changed(face, *news))

    def _inventory_changed(self, face: Face, generation: int, elements: list[dict[str, Any]]) -> None:
        self._server.signal(face, "InventoryChanged", generation, convert.to_wires(elements, "elements"))

    def _session_added(self, session: Session) -> None:
        face = SessionFace(session)
        self._server.export(face)
        session.changed.connect(partial(self._touch, face))
        session.released.connect(lambda news: self._server.signal(face, "Released", news[1]))

    def _session_removed(self, session: Session) -> None:
        self._polkit.forget_lease(session.path)
        self._server.unexport(session.path)

    def _job_added(self, job: Job) -> None:
        face = JobFace(job)
        faces: list[Face] = [face] if job.transfer is None else [face, TransferFace(job, job.transfer)]
        self._server.export(*faces)
        self._server.touch(self._manager)
        for each in faces:
            job.changed.connect(partial(self._touch, each))
        job.completed.connect(lambda _: self._job_completed(face, job))

    def _touch(self, face: Face, _: object) -> None:
        self._server.touch(face)

    def _job_completed(self, face: JobFace, job: Job) -> None:
        self._server.touch(self._manager)
        name, text = convert.error_name(job.error_name), convert.text(job.error_message)
        self._server.signal(face, "Completed", job.result, name, text, face.result())

    def _job_removed(self, job: Job) -> None:
        self._server.touch(self._manager)
        self._server.unexport(names.job_path(job.id))

    def _media_requested(self, news: tuple[DriveUnit, Job, dict[str, Any]]) -> None:
        drive, job, request = news
        self._server.signal(
            self._manager,
            "MediaRequested",
            names.drive_path(drive.name),
            names.job_path(job.id),
            convert.to_wire(request),
        )

    def _media_request_resolved(self, news: tuple[DriveUnit, Job, str]) -> None:
        drive, job, outcome = news
        self._server.signal(
            self._manager,
            "MediaRequestResolved",
            names.drive_path(drive.name),
            names.job_path(job.id),
            outcome,
        )
