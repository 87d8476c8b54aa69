# SPDX-License-Identifier: LGPL-2.1-or-later
"""The lock files of all drives: which there are for a drive, and waiting for them without blocking."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tapeds import errors, names
from tapeds.service.timings import Timings
from tapeds.state import locks


def identity_name(vendor: str, serial: str) -> str:
    """The lock file of a device that is known by what it is, not by where it was configured.

    Two paths to one drive meet here.  A device without serial has no such file: "".
    """
    return f"serial-{names.lock_name(vendor)}-{names.lock_name(serial)}" if serial else ""


class LockTable:
    """Takes lock files for drives; knows which of them this daemon itself has."""

    def __init__(self, directory: Path, timings: Timings) -> None:
        self._directory = directory
        self._timings = timings
        self._holders: dict[str, str] = {}

    def path_lock(self, configured_path: str) -> str:
        """The lock file of a configured path."""
        return str(self._directory / names.lock_name(configured_path))

    def identity_lock(self, vendor: str, serial: str) -> str:
        """The lock file of a device by vendor and serial number, "" when it has none."""
        name = identity_name(vendor, serial)
        return str(self._directory / name) if name else ""

    async def take(self, path: str, drive: str, deadline: float | None) -> locks.Lock:
        """Lock ``path`` for ``drive``; look again until ``deadline`` of the loop's clock, None for ever.

        Raises Locked, which names another drive of ours or says that it is external, and Io.
        """
        loop = asyncio.get_running_loop()
        while (lock := locks.try_lock(path)) is None:
            left = self._timings.lock_poll if deadline is None else deadline - loop.time()
            if left <= 0:
                raise self._refusal(path, drive)
            await asyncio.sleep(min(left, self._timings.lock_poll))
        self._holders[path] = drive
        return lock

    def adopt(self, lock: locks.Lock, drive: str) -> None:
        """Know of ``lock``, which ``drive`` has had since a former process."""
        self._holders[lock.path] = drive

    def give_back(self, held: locks.LockSet) -> None:
        """Release all of ``held``, the last one first."""
        for lock in held.locks:
            self._holders.pop(lock.path, None)
        held.release()

    def held_elsewhere(self, path: str, drive: str) -> str | None:
        """Which other drive has the lock of ``path``, "" for another program, or None.  Raises Io."""
        ours = self._holders.get(path)
        if not path or ours == drive or not locks.probe(path):
            return None
        return ours or ""

    def _refusal(self, path: str, drive: str) -> errors.Locked:
        ours = self._holders.get(path)
        if ours is None:
            return locks.locked(f"drive {drive}")
        return errors.Locked(
            f"drive {drive} is the same device as drive {ours}, which is in use; wait until it is released"
        )
