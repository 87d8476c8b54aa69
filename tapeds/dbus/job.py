# SPDX-License-Identifier: LGPL-2.1-or-later
"""``org.tapeds1.Job`` and, for reads and writes of files, ``org.tapeds1.Transfer``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tapeds import names
from tapeds.dbus import convert
from tapeds.dbus.authorization import Relation
from tapeds.dbus.convert import Wire
from tapeds.dbus.face import Call, Face, Getter
from tapeds.dbus.options import Options
from tapeds.jobs.caller import Caller
from tapeds.jobs.job import Job, TransferView


class _OfAJob(Face):
    def __init__(self, job: Job) -> None:
        self._job = job
        super().__init__(names.job_path(job.id))

    def details(self, arguments: tuple[Any, ...]) -> Mapping[str, str]:
        return {"drive": names.name_of(self._job.objects[0]), "label": ""}

    def relation(self, caller: Caller) -> Relation:
        if caller.name == self._job.owner.name:
            return Relation.OWNER
        return Relation.SAME_USER if caller.uid == self._job.owner.uid else Relation.OTHER


class JobFace(_OfAJob):
    interface = names.JOB

    def __init__(self, job: Job) -> None:
        self._sent: tuple[object, Wire] = (None, {})
        super().__init__(job)

    def properties(self) -> Mapping[str, Getter]:
        job = self._job
        return {
            "Id": lambda: job.id,
            "Operation": lambda: job.operation,
            "Objects": lambda: list(job.objects),
            "Owner": lambda: job.owner.name,
            "OwnerUID": lambda: job.owner.uid,
            "Session": lambda: job.session,
            "StartTime": lambda: job.start_time,
            "EndTime": lambda: job.end_time,
            "ExpectedEndTime": lambda: job.expected_end_time,
            "State": lambda: job.state,
            "Cancelable": lambda: job.cancelable,
            "ProgressValid": lambda: job.progress_valid,
            "Progress": lambda: job.progress,
            "BytesDone": lambda: job.bytes_done,
            "BytesTotal": lambda: job.bytes_total,
            "Rate": lambda: job.rate,
            "Message": lambda: job.message,
            "Prompt": lambda: job.prompt,
            "Result": lambda: job.result,
            "ErrorName": lambda: convert.error_name(job.error_name),
            "ErrorMessage": lambda: job.error_message,
            "ResultData": self.result,
        }

    def result(self) -> Wire:
        """The result as it is sent, made once: a list of files is long, and it is sent three times."""
        if self._sent[0] is not self._job.result_data:
            self._sent = (self._job.result_data, convert.to_wire(self._job.result_data))
        return self._sent[1]

    async def Cancel(self, call: Call, options: Options) -> None:
        """Stop the job where it can be stopped."""
        self._job.cancel(str(call.caller))

    async def Wait(self, call: Call, options: Options) -> Wire:
        """The job's result once it has ended, or its error."""
        await self._job.wait()
        return self.result()


class TransferFace(_OfAJob):
    interface = names.TRANSFER

    def __init__(self, job: Job, transfer: TransferView) -> None:
        self._transfer = transfer
        super().__init__(job)

    def properties(self) -> Mapping[str, Getter]:
        transfer = self._transfer
        return {
            "Direction": lambda: transfer.direction,
            "FileNumber": lambda: transfer.file_number,
            "EarlyWarning": lambda: transfer.early_warning,
        }

    async def Commit(self, call: Call, size: int, options: Options) -> None:
        """All ``size`` bytes have been given: close the file behind them."""
        await self._job.commit(size, options.get("sha256", b"").hex())

    async def Abort(self, call: Call, options: Options) -> None:
        """Close the file as incomplete now."""
        await self._job.abort()
