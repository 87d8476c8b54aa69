# SPDX-License-Identifier: LGPL-2.1-or-later
"""Questions that are answered at once: the status, which never waits, and the file number.

A question outside a lease takes the drive's locks for its duration; others who come meanwhile
wait for it, which is short.  However many ask the same at a time, the device is asked once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from tapeds import errors, names
from tapeds.jobs.caller import Caller
from tapeds.jobs.job import Result
from tapeds.service.leases import Hold
from tapeds.state.records import LastLabel
from tapeds.worker.messages import DeviceState

if TYPE_CHECKING:
    from tapeds.service.drives import DriveUnit

_POSITION = ("file-number", "block-number")


Questions = dict[tuple[str, Hold | None], asyncio.Task[Any]]
"""What a drive is being asked, for which holder."""


class Answer:
    """The last status and when it was asked for; before the first, what the worker tells with everything."""

    def __init__(self) -> None:
        self.data: Result = {}
        self.time: float | None = None
        self._asked = False

    def keep(self, data: Result) -> None:
        """Remember ``data`` as the newest."""
        self.data = dict(data)
        self.time = asyncio.get_running_loop().time()
        self._asked = True

    def hear(self, state: DeviceState) -> None:
        """The worker's last word, which counts as long as it was not asked for more."""
        if self._asked or not state.vendor:
            return
        self.keep({"vendor": state.vendor, "product": state.model, "revision": state.revision})
        self.data["blocksize"] = state.block_size
        if state.media.get("write-protected"):
            self.data["write-protect"] = True
        self._asked = False

    def age_ms(self) -> int | None:
        """Milliseconds since then; None when nothing is known."""
        if self.time is None:
            return None
        return int((asyncio.get_running_loop().time() - self.time) * 1000)


async def status(unit: DriveUnit, caller: Caller, session: str) -> Result:
    """The status, asked anew of an idle drive, else the last knowledge; ``age-ms`` tells how old it is.

    Raises NotPresent, and what opening an idle drive finds other than that somebody else has it.
    """
    if unit.busy:
        unit.handle.ask()
        return last(unit)
    try:
        tenant = unit.lease.tenant(caller, session)
    except errors.StateError:
        return last(unit)                # the device is somebody else's
    hold = unit.lease.hold if tenant is not None else None
    asked = unit.questions.get(("status", hold))
    if asked is None:
        if unit.turn.locked() and unit.answer.time is not None:
            return last(unit)            # somebody is at the device, and soon the next one may be
        asked = _ask(unit, "status", hold, _ask_status(unit, hold))
    done, _ = await asyncio.wait({asked}, timeout=unit.shared.timings.query)
    if done:
        await asked
    return last(unit)


def last(unit: DriveUnit) -> Result:
    """The last knowledge; the position is as new as the last word of the worker."""
    known = {key: value for key, value in unit.answer.data.items() if key not in _POSITION}
    if unit.answer.time is not None and unit.position_known:
        known |= {"file-number": unit.file_number, "block-number": unit.block_number}
    if unit.job is not None:
        known["job"] = names.job_path(unit.job.id)
    age = unit.answer.age_ms()
    return known if age is None else {**known, "age-ms": age}


async def current_file_number(unit: DriveUnit, caller: Caller, session: str) -> int:
    """The file in which the head stands.  Raises Locked, Busy, NotPresent, NoMedia."""
    tenant = unit.lease.tenant(caller, session)
    if unit.busy:
        raise unit.refusal()
    hold = unit.lease.hold if tenant is not None else None
    what = "current-file-number"
    asked = unit.questions.get((what, hold)) or _ask(
        unit, what, hold, _query(unit, hold, what, unit.shared.timings.lock)
    )
    return int((await asyncio.shield(asked))["file"])


async def remember_label(unit: DriveUnit) -> None:
    """Keep the label that was read last in the drive, also for the next run of the daemon."""
    media = unit.media
    unit.shared.labels[media["uuid"]] = media["label-text"]
    record = LastLabel(
        label_text=media["label-text"],
        uuid=media["uuid"],
        seen=int(unit.shared.clock() * 1_000_000),
        ctime=media.get("ctime", 0),
        pool=media.get("pool", ""),
        media_set_uuid=media.get("media-set-uuid", ""),
        media_set_pool=media.get("media-set-pool", ""),
        seq_nr=media.get("seq-nr", 0),
    )
    await asyncio.to_thread(unit.shared.last_labels.put, unit.name, record)


def _ask(unit: DriveUnit, what: str, hold: Hold | None, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Begin to ask; whoever asks the same meanwhile finds it in ``questions``, and may leave again."""
    asked = unit.questions[what, hold] = unit.shared.errand(work, watched=True)

    def answered(task: asyncio.Task[Any]) -> None:
        del unit.questions[what, hold]
        if not task.cancelled():
            task.exception()                 # all who asked may have gone

    asked.add_done_callback(answered)
    return asked


async def _ask_status(unit: DriveUnit, hold: Hold | None) -> None:
    try:
        unit.answer.keep(await _query(unit, hold, "status", 0.0))
    except errors.NotPresent:
        raise
    except errors.StateError:
        pass  # somebody else has it, or it hangs: the last knowledge has to do


async def _query(unit: DriveUnit, hold: Hold | None, operation: str, lock_seconds: float) -> dict[str, Any]:
    """Ask the device under ``hold``, or with locks taken for the question alone."""
    async with unit.turn:
        if unit.busy or unit.lease.hold is not hold:
            raise unit.refusal()
        try:
            if hold is None:
                await unit.handle.lock(lock_seconds)
            await unit.open()
            return await unit.handle.request(operation, {}).result()
        except errors.TapeError as exc:
            unit.failed(exc)
            raise
        finally:
            if hold is None:
                await unit.close()
                unit.handle.unlock()
                unit.rested()
