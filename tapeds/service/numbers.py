# SPDX-License-Identifier: LGPL-2.1-or-later
"""The numbers of leases: none is given twice while the host runs, however often the daemon starts.

Somebody may still have the path of a lease that a former run gave.  So numbers are put by in
advance; a run that was killed leaves those unused that it had not given yet.
"""

from __future__ import annotations

import asyncio
import logging

from tapeds import errors
from tapeds.service.sessions import Session
from tapeds.service.shared import Shared
from tapeds.state import records

PUT_BY = 100

log = logging.getLogger(__name__)


class Numbers:
    """Keeps on file up to where numbers are taken."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._record = records.last_session(shared.fs, str(shared.dirs.runtime))
        self._until = 0

    async def begin(self) -> None:
        """Go on behind the numbers of former runs."""
        book = self._shared.sessions
        try:
            last = await asyncio.to_thread(self._record.get, records.LAST_SESSION)
        except errors.Io as exc:
            log.warning("the numbers of leases begin anew: %s", exc)
        else:
            book.last = max(book.last, last.number if last is not None else 0)
        await self._put_by(book.last + PUT_BY)
        book.added.connect(self._given)

    async def end(self) -> None:
        """Give back what was put by and not used."""
        await self._put_by(self._shared.sessions.last)

    def _given(self, session: Session) -> None:
        if session.id > self._until - PUT_BY // 2:
            self._until = session.id + PUT_BY
            self._shared.errand(self._put_by(self._until))

    async def _put_by(self, until: int) -> None:
        self._until = until
        try:
            record = records.LastSession(number=until)
            await asyncio.to_thread(self._record.put, records.LAST_SESSION, record)
        except errors.Io as exc:
            log.warning("%s", exc)
