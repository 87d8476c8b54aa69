# SPDX-License-Identifier: LGPL-2.1-or-later
"""Bytes from one descriptor to another, with their digest; blocking, but it can be stopped."""

from __future__ import annotations

import contextlib
import hashlib
import os
import select
from dataclasses import dataclass
from enum import Enum

CHUNK = 1 << 20
_PIECE = 1 << 16  # at most this at once to a descriptor that may block

_READABLE = select.POLLIN | select.POLLHUP | select.POLLERR
_WRITABLE = select.POLLOUT | select.POLLERR | select.POLLHUP


class Ending(Enum):
    """Why a copy ended."""

    SOURCE = "the source ended"
    LONGER = "there is more in the source than was announced"
    SINK = "the other end was closed"
    STOPPED = "it was stopped"


@dataclass(frozen=True)
class Copied:
    """What went over: bytes, the SHA-256 of them in hex, and why it ended."""

    bytes: int
    sha256: str
    ending: Ending


class Stop:
    """A flag that another thread can raise and that `poll` sees."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()

    def fileno(self) -> int:
        return self._reader

    def set(self) -> None:
        """Stop; further calls change nothing."""
        if self._writer >= 0:
            os.close(self._writer)  # the end of the pipe is the flag
            self._writer = -1

    def is_set(self) -> bool:
        return self._writer < 0

    def close(self) -> None:
        self.set()
        with contextlib.suppress(OSError):
            os.close(self._reader)


def copy(source: int, sink: int, stop: Stop, limit: int | None = None) -> Copied:
    """Copy ``source`` to ``sink`` until the source ends, ``limit`` bytes included, or ``stop`` is set.

    A sink that does not block (`os.set_blocking`) is filled as far as it goes; another one gets
    small pieces once it takes any.  Raises OSError of either side, except EPIPE: `Ending.SINK`.
    """
    digest, count = hashlib.sha256(), 0
    buffer = memoryview(bytearray(CHUNK))
    while True:
        if not _wait(source, select.POLLIN, stop):
            return Copied(count, digest.hexdigest(), Ending.STOPPED)
        room = CHUNK if limit is None else min(CHUNK, limit - count)
        if room == 0:
            rest = os.read(source, 1)
            return Copied(count, digest.hexdigest(), Ending.LONGER if rest else Ending.SOURCE)
        length = os.readv(source, [buffer[:room]])
        if length == 0:
            return Copied(count, digest.hexdigest(), Ending.SOURCE)
        sent = _write(sink, buffer[:length], stop)
        digest.update(buffer[:sent])  # after the write: the other side works meanwhile
        count += sent
        if sent < length:
            return Copied(count, digest.hexdigest(), Ending.STOPPED if stop.is_set() else Ending.SINK)


def _write(sink: int, data: memoryview, stop: Stop) -> int:
    """Write all of ``data``; less only where the sink was closed or ``stop`` set."""
    done = 0
    piece = _PIECE if os.get_blocking(sink) else len(data)
    while done < len(data):
        if not _wait(sink, select.POLLOUT, stop):
            return done
        try:
            done += os.write(sink, data[done : done + piece])
        except BlockingIOError:
            continue
        except BrokenPipeError:
            return done
    return done


def _wait(descriptor: int, event: int, stop: Stop) -> bool:
    """Wait until ``descriptor`` is ready; False when told to stop."""
    poll = select.poll()
    poll.register(stop.fileno(), select.POLLIN)
    poll.register(descriptor, event)
    ready = dict(poll.poll())
    return stop.fileno() not in ready
