# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a disk that fails, or is full, leaves of what the service keeps, and what callers learn of it."""

from __future__ import annotations

import errno
import os
from typing import Any

import pytest

from tapeds import errors
from tapeds.names import Operation


class Disk:
    """The real one; writes below a directory fail while it is ``full``."""

    def __init__(self) -> None:
        self.full = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: str, flags: int, mode: int = 0o777) -> int:
        if self.full and flags & os.O_CREAT and f"/{self.full}/" in path:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return os.open(path, flags, mode)


async def test_a_state_text_that_could_not_be_written_is_written_the_next_time(house, caplog) -> None:
    disk = Disk()
    async with house.running(fs=disk) as service:
        drive = service.drives["vt0"]
        session = await drive.acquire(house.anna, reason="the lease of anna")
        assert house.state_text() == "the lease of anna"
        disk.full = "drives"
        await session.release(house.anna)
        assert "No space left on device" in caplog.text
        assert house.state_text() == "the lease of anna"       # which counts for nothing: no lock is held
        disk.full = ""
        session = await drive.acquire(house.bert, reason="the lease of anna")
        await session.release(house.bert)
        assert house.state_text() == ""


@pytest.mark.parametrize("operation", [Operation.SYNC, Operation.EJECT_MEDIA])
async def test_a_synchronisation_that_fails_names_the_files_that_had_been_answered_before(
    house, operation: str
) -> None:
    written = [{"state": {"file": 3, "durable_file": 2}}, {"answer": {"file": 2}}]
    failing = [{"fail": "Io", "text": "tapefile-2: Input/output error"}]
    command = house.scripted(write_file=written, sync=failing, eject_media=failing, rewind=failing)
    async with house.running(worker_command=command) as service:
        drive = service.drives["vt0"]
        lost: list[tuple[int, int]] = []
        drive.durability_lost.connect(lost.append)
        await drive.acquire(house.anna)
        job, fd = await drive.start_write(house.anna, {"durable": False})
        os.close(fd)
        await job.wait()
        with pytest.raises(errors.Io):                         # a motion says nothing of what was written
            await house.result(drive.start(house.anna, Operation.REWIND, {}))
        assert lost == []
        with pytest.raises(errors.Io):
            await house.result(drive.start(house.anna, operation, {}))
        assert lost == [(2, 2)]
