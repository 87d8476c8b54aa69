# SPDX-License-Identifier: LGPL-2.1-or-later
"""Descriptors of callers: who closes them, and whether they will do.

Looking at a file may take as long as its server likes, for ever with NFS or FUSE.  So each one is
looked at in a thread of its own, which has the descriptor meanwhile and closes it if nobody waits
for the answer any more.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import stat
import threading
from collections import Counter
from contextlib import suppress
from typing import Self

from tapeds import errors
from tapeds.jobs.caller import Caller

INSPECTIONS_PER_USER = 16


class Owned:
    """A descriptor that is closed at the end of the block, unless somebody took it."""

    def __init__(self, fd: int | None) -> None:
        self._fd = fd

    def take(self) -> int | None:
        """The descriptor, which is the taker's to close from now on."""
        fd, self._fd = self._fd, None
        return fd

    def put(self, fd: int) -> None:
        """Own ``fd``, where nothing is owned."""
        self._fd = fd

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        fd = self.take()
        if fd is not None:
            os.close(fd)


class Inspections:
    """The descriptors that are being looked at now, also those for which nobody waits any more."""

    def __init__(self) -> None:
        self._under_way: Counter[int] = Counter()      # by uid

    async def check(self, given: Owned, caller: Caller, *, readable: bool) -> None:
        """Raise what `look` finds of the descriptor of ``given``, which is closed then.

        It is closed, too, when the wait is broken off.  Raises LimitsExceeded.
        """
        if self._under_way[caller.uid] >= INSPECTIONS_PER_USER:
            raise errors.LimitsExceeded(
                f"uid {caller.uid} has given {INSPECTIONS_PER_USER} files whose server does not answer;"
                " wait until it does"
            )
        fd = given.take()
        if fd is None:
            return
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[None] = loop.create_future()
        self._under_way[caller.uid] += 1

        def heard(error: Exception | None, closed: bool) -> None:
            self._ended(caller.uid)
            if answer.done():
                if not closed:
                    os.close(fd)
            elif error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(None)

        def work() -> None:
            error: Exception | None = None
            try:
                look(fd, readable=readable)
            except Exception as exc:
                error = exc
            closed = error is not None or answer.cancelled()
            if closed:
                os.close(fd)
            with suppress(RuntimeError):               # the loop is closed, the process ends
                loop.call_soon_threadsafe(heard, error, closed)

        try:
            threading.Thread(target=work, name="descriptor", daemon=True).start()
        except RuntimeError as exc:
            given.put(fd)
            self._ended(caller.uid)
            raise errors.LimitsExceeded("no more threads can be started; try again later") from exc
        try:
            await answer
        except asyncio.CancelledError:
            if not answer.cancelled() and answer.exception() is None:
                given.put(fd)                          # the answer came while the wait was being broken off
            raise
        given.put(fd)

    def _ended(self, uid: int) -> None:
        self._under_way[uid] -= 1
        if not self._under_way[uid]:
            del self._under_way[uid]


def look(fd: int, *, readable: bool) -> None:
    """Raise InvalidFileDescriptor unless ``fd`` is a pipe, file or stream socket open for the direction."""
    try:
        mode = os.fstat(fd).st_mode
    except OSError as exc:
        raise errors.InvalidFileDescriptor(
            f"the descriptor cannot be looked at: {exc.strerror}; open the file anew"
        ) from exc
    if not (stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or _is_stream(fd, mode)):
        raise errors.InvalidFileDescriptor(
            f"the descriptor is {_kind(mode)}; give a pipe, a regular file or a stream socket"
        )
    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    if flags & os.O_PATH:
        raise errors.InvalidFileDescriptor("the descriptor was opened with O_PATH; open the file itself")
    wanted = (os.O_RDONLY, os.O_RDWR) if readable else (os.O_WRONLY, os.O_RDWR)
    if flags & os.O_ACCMODE not in wanted:
        direction = "reading" if readable else "writing"
        raise errors.InvalidFileDescriptor(f"the descriptor is not open for {direction}; open it so")


def _is_stream(fd: int, mode: int) -> bool:
    if not stat.S_ISSOCK(mode):
        return False
    with socket.socket(fileno=os.dup(fd)) as sock:
        return sock.type == socket.SOCK_STREAM


def _kind(mode: int) -> str:
    for test, kind in (
        (stat.S_ISDIR, "a directory"),
        (stat.S_ISCHR, "a character device"),
        (stat.S_ISBLK, "a block device"),
        (stat.S_ISSOCK, "a socket of another kind"),
        (stat.S_ISLNK, "a symbolic link"),
    ):
        if test(mode):
            return kind
    return "of a kind that carries no stream"
