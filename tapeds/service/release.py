# SPDX-License-Identifier: LGPL-2.1-or-later
"""``tapedsd --release-all``: after a run that ended badly, give back the devices that it had open.

No lock is taken.  Only drives whose open marker is left over are touched; of these not the ones
whose lease waits for the next run, which releases them itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from tapeds import errors
from tapeds.config.models import Config
from tapeds.filesystem import REAL
from tapeds.names import Field
from tapeds.service.devices import spec_of
from tapeds.service.process import WORKER_COMMAND
from tapeds.service.shared import Directories
from tapeds.service.timings import Timings
from tapeds.service.workers import WorkerHandle
from tapeds.state import records
from tapeds.worker.messages import DeviceSpec

log = logging.getLogger(__name__)


async def release_all(
    config: Config, dirs: Directories, *, worker_command: Sequence[str] = WORKER_COMMAND
) -> list[str]:
    """Release every drive that was left open; one line for each that could not be."""
    markers = records.open_markers(REAL, str(dirs.runtime))
    kept, _ = await asyncio.to_thread(records.sessions(REAL, str(dirs.runtime)).all)
    leased = {record.drive for record in kept.values()}
    failed = []
    for name in await asyncio.to_thread(markers.names):
        if name in leased:
            log.info("drive %s is left to its lease, which a restart keeps", name, extra={Field.DRIVE: name})
            continue
        section = config.drives.get(name)
        if section is None:
            log.warning("drive %s was left open and is not configured any more", name)
            await asyncio.to_thread(markers.remove, name)
            continue
        try:
            steps = await _release(spec_of(name, section, dirs), worker_command)
        except errors.TapeError as exc:
            steps = [str(exc)]
        if steps:
            failed.append(f"drive {name}: {'; '.join(steps)}")
            log.error("drive %s could not be released: %s", name, "; ".join(steps), extra={Field.DRIVE: name})
        else:
            await asyncio.to_thread(markers.remove, name)
            log.info("drive %s, which was left open, is released", name, extra={Field.DRIVE: name})
    return failed


async def _release(spec: DeviceSpec, worker_command: Sequence[str]) -> list[str]:
    worker = await WorkerHandle.start(spec.name, worker_command, Timings())
    try:
        await worker.open(spec)
        return await worker.release()
    finally:
        await worker.end()
