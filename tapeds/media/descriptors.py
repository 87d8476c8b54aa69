# SPDX-License-Identifier: LGPL-2.1-or-later
"""A caller's descriptor as a source or a sink of bytes that never makes the pump wait.

A pipe end that tapeds made is its own and is set O_NONBLOCK.  A descriptor the caller brought
never is: the flag would be the caller's too.  So each kind has its own way of asking "only what
goes at once", and what cannot be asked that way is polled first.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import stat
from collections.abc import Sequence
from typing import Protocol

from tapeds.errors import ClientGone, InvalidFileDescriptor, Io

Buffers = Sequence[memoryview]


class Source(Protocol):
    """Where the bytes of a file come from."""

    fd: int

    def read(self, buffers: Buffers) -> int | None:
        """Fill ``buffers`` with what is there; 0 at the end, ``None`` when nothing is there yet.

        Raises ClientGone, Io.
        """

    def close(self) -> None:
        """Let go of the descriptor; it stays open."""


class Sink(Protocol):
    """Where the bytes of a file go."""

    fd: int

    def write(self, buffers: Buffers) -> int | None:
        """Give as much of ``buffers`` as is taken at once; ``None`` when nothing is.

        Raises ClientGone, Io.
        """

    def close(self) -> None:
        """Let go of the descriptor; it stays open."""


def open_source(fd: int, *, owned: bool) -> Source:
    """``fd`` to read from; ``owned`` says that tapeds made it.  Raises InvalidFileDescriptor."""
    return _open(fd, owned)


def open_sink(fd: int, *, owned: bool) -> Sink:
    """``fd`` to write to; ``owned`` says that tapeds made it.  Raises InvalidFileDescriptor."""
    return _open(fd, owned)


def _open(fd: int, owned: bool) -> _File | _OwnPipe | _Pipe | _Socket:
    try:
        mode = os.fstat(fd).st_mode
    except OSError as exc:
        raise InvalidFileDescriptor(f"descriptor {fd}: {exc.strerror}") from exc
    if stat.S_ISREG(mode):
        return _File(fd)
    if stat.S_ISFIFO(mode):
        return _OwnPipe(fd) if owned else _Pipe(fd)
    if stat.S_ISSOCK(mode):
        return _Socket(fd)
    raise InvalidFileDescriptor("the descriptor is neither a pipe, a regular file nor a stream socket")


def _explain(exc: OSError) -> ClientGone | Io:
    """What a failed call on the caller's descriptor means."""
    if exc.errno in (errno.EPIPE, errno.ECONNRESET):
        return ClientGone("the other end of the data was closed; keep it open until the job has ended")
    return Io(f"the caller's descriptor: {exc.strerror}")


class _File:
    """A regular file: always ready."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def read(self, buffers: Buffers) -> int | None:
        try:
            return os.readv(self.fd, buffers)
        except BlockingIOError:
            return None
        except OSError as exc:
            raise _explain(exc) from exc

    def write(self, buffers: Buffers) -> int | None:
        try:
            return os.writev(self.fd, buffers)
        except BlockingIOError:
            return None
        except OSError as exc:
            raise _explain(exc) from exc

    def close(self) -> None:
        """There is nothing to let go of."""


class _OwnPipe(_File):
    """Our own end of a pipe."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        os.set_blocking(fd, False)


class _Pipe(_File):
    """The caller's pipe: asked with RWF_NOWAIT, or polled where the kernel does not know that of pipes."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        self.nowait = True

    def read(self, buffers: Buffers) -> int | None:
        if self.nowait:
            try:
                return os.preadv(self.fd, buffers, -1, os.RWF_NOWAIT)
            except BlockingIOError:
                return None
            except OSError as exc:
                self._unless_unknown(exc)
        return super().read(buffers) if self._ready(select.POLLIN) else None

    def write(self, buffers: Buffers) -> int | None:
        if self.nowait:
            try:
                return os.pwritev(self.fd, buffers, -1, os.RWF_NOWAIT)
            except BlockingIOError:
                return None
            except OSError as exc:
                self._unless_unknown(exc)
        # A pipe that polls writable takes PIPE_BUF bytes; more could block.
        return super().write([buffers[0][: select.PIPE_BUF]]) if self._ready(select.POLLOUT) else None

    def _ready(self, event: int) -> bool:
        poll = select.poll()
        poll.register(self.fd, event)
        return bool(poll.poll(0))

    def _unless_unknown(self, exc: OSError) -> None:
        if exc.errno not in (errno.EOPNOTSUPP, errno.ENOSYS):
            raise _explain(exc) from exc
        self.nowait = False


class _Socket:
    """A stream socket."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._socket = socket.socket(fileno=os.dup(fd))
        if self._socket.type != socket.SOCK_STREAM:
            self._socket.close()
            raise InvalidFileDescriptor("the socket is not a stream socket")

    def read(self, buffers: Buffers) -> int | None:
        try:
            return self._socket.recvmsg_into(buffers, 0, socket.MSG_DONTWAIT)[0]
        except BlockingIOError:
            return None
        except OSError as exc:
            raise _explain(exc) from exc

    def write(self, buffers: Buffers) -> int | None:
        try:
            return self._socket.sendmsg(buffers, [], socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return None
        except OSError as exc:
            raise _explain(exc) from exc

    def close(self) -> None:
        self._socket.close()
