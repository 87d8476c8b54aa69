# SPDX-License-Identifier: LGPL-2.1-or-later
"""Lock files: who works on a device has an exclusive ``flock`` on the file named after it.

A lock file is empty, belongs to everybody who may use drives (0660) and is never deleted: a file
that was removed and made again would be a second lock.  Nothing here waits.  Ref: flock(2).
"""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from tapeds import errors

MODE = 0o660

_OPEN = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_TRIES = 100
_NUMBERS = itertools.count()


class Lock:
    """A lock that is held, until `release` or the end of the process."""

    def __init__(self, path: str, fd: int) -> None:
        """Take over ``fd``, on which the lock of ``path`` is held (also from a former process)."""
        self.path = path
        self._fd = fd

    def fileno(self) -> int:
        """The descriptor that holds the lock; -1 when it was released."""
        return self._fd

    def release(self) -> None:
        """Give the lock back; a second time does nothing."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class LockSet:
    """Locks taken together: all or none, given back in reverse."""

    def __init__(self, locks: Iterable[Lock] = ()) -> None:
        self._locks = list(locks)

    @property
    def locks(self) -> tuple[Lock, ...]:
        """What is held, in the order of taking."""
        return tuple(self._locks)

    def add(self, lock: Lock) -> None:
        """Hold ``lock`` too, as the last of them."""
        self._locks.append(lock)

    def release(self) -> None:
        """Give all back, the last one first; a second time does nothing."""
        while self._locks:
            self._locks.pop().release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


@dataclass(frozen=True)
class Holder:
    """Who holds a lock through this service; ``pid`` 0 if not known."""

    uid: int
    pid: int = 0


def try_lock(path: str) -> Lock | None:
    """The lock of ``path``, or None when somebody else has it.

    Makes the file if it is missing, atomically with its final mode.  Raises Io.
    """
    for _ in range(_TRIES):
        try:
            fd = _open_or_create(path)
        except OSError as exc:
            raise _io(path, exc) from exc
        try:
            if not _flock(fd, path, fcntl.LOCK_EX):
                os.close(fd)
                return None
            if _is_still(path, fd):
                return Lock(path, fd)
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)  # removed behind our back: this lock would exclude nobody
    raise errors.Io(f"lock file {path} is removed again and again; find out by whom")


def adopt(path: str, fd: int) -> Lock | None:
    """The lock of ``path`` on ``fd``, which a former process has held; None, and ``fd`` closed, if it is not.

    Raises Io; then ``fd`` is closed too.
    """
    try:
        if _is_still(path, fd) and _flock(fd, path, fcntl.LOCK_EX):
            return Lock(path, fd)
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    return None


def try_all(paths: Iterable[str]) -> LockSet | str:
    """The locks of all ``paths``, taken in that order; or the first path that somebody else has.

    Then, and when Io is raised, none is held.
    """
    held = LockSet()
    try:
        for path in paths:
            lock = try_lock(path)
            if lock is None:
                held.release()
                return path
            held.add(lock)
    except errors.Io:
        held.release()
        raise
    return held


def probe(path: str) -> bool:
    """Whether somebody, this process included, holds the lock of ``path`` now.

    A shared lock for an instant; makes no file.  Raises Io.
    """
    try:
        fd = os.open(path, _OPEN)
    except FileNotFoundError:
        return False
    except OSError as exc:
        raise _io(path, exc) from exc
    try:
        return not _flock(fd, path, fcntl.LOCK_SH)
    finally:
        os.close(fd)


def locked(what: str, holder: Holder | None = None) -> errors.Locked:
    """The error for ``what`` (such as ``drive vt0``): who holds it, or "external" for another program."""
    if holder is None:
        return errors.Locked(f"{what} is locked by another program (external); wait for it or end it")
    who = f"uid {holder.uid}, pid {holder.pid}" if holder.pid else f"uid {holder.uid}"
    return errors.Locked(
        f"{what} is locked by {who}; wait until it is released", {"uid": holder.uid, "pid": holder.pid}
    )


def _flock(fd: int, path: str, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as exc:
        raise _io(path, exc) from exc
    return True


def _open_or_create(path: str) -> int:
    try:
        fd = os.open(path, _OPEN)
    except FileNotFoundError:
        _create(path)
        fd = os.open(path, _OPEN)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "it is not a regular file")
    return fd


def _create(path: str) -> None:
    """Make the file under another name and link it: nobody sees it with a mode that is not final."""
    directory = os.path.dirname(path)
    temporary = os.path.join(directory, f".new-{os.getpid()}-{next(_NUMBERS)}")
    try:
        os.unlink(temporary)  # of a crashed process; it may be the lock of another path by now
    except FileNotFoundError:
        pass
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        _give_to_group(fd, directory)
        os.fchmod(fd, MODE)
        try:
            os.link(temporary, path)
        except FileExistsError:
            pass  # somebody was faster: theirs is the lock
    finally:
        os.close(fd)
        os.unlink(temporary)


def _give_to_group(fd: int, directory: str) -> None:
    """Give the file to the group of its directory; where we may not, a setgid directory does it."""
    group = os.stat(directory).st_gid
    if os.fstat(fd).st_gid != group:
        try:
            os.fchown(fd, -1, group)
        except PermissionError:
            pass
        except OSError as exc:
            if exc.errno != errno.EINVAL:  # a group that our user namespace does not have
                raise


def _is_still(path: str, fd: int) -> bool:
    try:
        there = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    except OSError as exc:
        raise _io(path, exc) from exc
    return os.path.samestat(there, os.fstat(fd))


def _io(path: str, exc: OSError) -> errors.Io:
    return errors.Io(f"lock file {path}: {exc.strerror}")
