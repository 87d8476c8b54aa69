# SPDX-License-Identifier: LGPL-2.1-or-later
"""The first look at the drives: which are there, and what an earlier run has left behind on them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from tapeds import errors
from tapeds.names import Field
from tapeds.service.devices import is_there
from tapeds.service.drives import DriveUnit
from tapeds.service.shared import Shared
from tapeds.state import files, records

log = logging.getLogger(__name__)

_LOCK_DIRECTORY_MODE = 0o770


async def make_directories(shared: Shared) -> None:
    """Make the directories that files are kept in, where they do not exist.  Raises Io."""
    dirs = shared.dirs
    wanted = [
        (dirs.lock, _LOCK_DIRECTORY_MODE),
        (dirs.runtime, files.DIRECTORY_MODE),
        (dirs.runtime / "drives", files.DIRECTORY_MODE),
        (dirs.runtime / records.OPEN, files.DIRECTORY_MODE),
        (dirs.state, files.DIRECTORY_MODE),
        (dirs.state / records.INTENTS, files.DIRECTORY_MODE),
        (dirs.state / records.LABELS, files.DIRECTORY_MODE),
    ]
    for path, mode in wanted:
        await asyncio.to_thread(files.make_directory, shared.fs, str(path), mode)


async def remember(shared: Shared) -> None:
    """Take over the labels that earlier runs have seen.  Raises Io."""
    found, problems = await asyncio.to_thread(shared.last_labels.all)
    for problem in problems:
        log.warning("%s", problem)
    shared.labels.update((record.uuid, record.label_text) for record in found.values())


async def hush(shared: Shared, units: Sequence[DriveUnit]) -> None:
    """Empty the state texts that a killed run has left behind.  Raises Io."""
    left_over = set(await asyncio.to_thread(shared.texts.left_over))
    await asyncio.gather(*(unit.hush() for unit in units if unit.name in left_over))


async def look(shared: Shared, units: Sequence[DriveUnit]) -> None:
    """Note which drives are there; mend those that an earlier run left open or in the middle of a write.

    Returns when all are mended, or after `Timings.recovery`; the rest goes on in the background.
    """
    unfinished = set(await asyncio.to_thread(shared.intents.names))
    left_open = set(await asyncio.to_thread(shared.markers.names))
    looking = [shared.errand(_look_for(unit)) for unit in units]
    if looking:
        await asyncio.wait(looking, timeout=shared.timings.recovery)
    for unit in units:
        if unit.name in left_open:
            unit.handle.mark_left_over()
    mending = {
        shared.errand(_mend(unit, left_open=unit.name in left_open))
        for unit in units
        if unit.present and unit.name in unfinished | left_open
    }
    if mending:
        await asyncio.wait(mending, timeout=shared.timings.recovery)


async def _look_for(unit: DriveUnit) -> None:
    """Note whether the drive is there; a file system that hangs may take its time."""
    unit.set_present(await asyncio.to_thread(is_there, unit.handle.spec))


async def _mend(unit: DriveUnit, *, left_open: bool) -> None:
    """Open and release: the worker closes what was being written, and says what it did."""
    try:
        await unit.visit()
        if left_open:
            log.info("drive %s, which was left open, is released", unit.name, extra={Field.DRIVE: unit.name})
    except errors.Locked as exc:
        log.warning("left for later: %s", exc, extra={Field.DRIVE: unit.name})
