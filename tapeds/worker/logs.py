# SPDX-License-Identifier: LGPL-2.1-or-later
"""Log records on their way to the journal: they travel as `Log` messages."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator

from tapeds.worker.link import Link
from tapeds.worker.messages import Json, Log

_LONGEST = 4096                       # characters of one line; a traceback is cut at its beginning


class LinkHandler(logging.Handler):
    """Sends each record to the bus process; to standard error when nobody reads there."""

    def __init__(self, link: Link) -> None:
        super().__init__()
        self._link = link

    def emit(self, record: logging.LogRecord) -> None:
        """Send ``record``; a transfer never waits for the journal."""
        text = self.format(record)[-_LONGEST:]
        message = Log(record.levelno, text, _fields(record))
        if self._link.gone or not self._link.offer(message):
            print(text, file=sys.stderr)  # inherited from the service: the journal all the same


def _fields(record: logging.LogRecord) -> Json:
    """The journal fields given as ``extra``: they are the upper-case attributes."""
    extra = ((key, value) for key, value in vars(record).items() if key.isupper())
    return {key: value for key, value in extra if isinstance(value, str | int)}


@contextlib.contextmanager
def sent_to(link: Link) -> Iterator[None]:
    """Inside, all records of ``tapeds`` go over ``link``."""
    logger = logging.getLogger("tapeds")
    handler = LinkHandler(link)
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.level, logger.propagate = before
