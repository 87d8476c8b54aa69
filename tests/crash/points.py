# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every call of a worker or of the bus process to its file system, numbered, and what happens there.

`Points` stands at the door `tapeds.filesystem.FileSystem`.  Before each call it asks a hook, which
may let it pass, wait, fail the call with OSError, or never come back.  A call has a name that is
the same in every run of one script: its *stream* and its number in it.  All calls of workers are
one stream.  The bus process works on several directories at a time, in threads; the calls that
belong to one directory come one after the other, so each directory is a stream.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WORKER = "worker"
TEXTS = "run/drives"
"""The stream of the state texts.  A job of a moment may end before its text is written, or not quite."""

NOT_REACHED = "the script does not come there"
MAKES_ROOM = frozenset({"write", "pwritev", "mkdir", "fsync", "fdatasync", "replace", "open"})
"""Calls that a full disk refuses; ``open`` only where it creates."""

_BY_DESCRIPTOR = frozenset(
    {"close", "write", "pread", "preadv", "pwritev", "ftruncate", "fsync", "fdatasync", "fchmod", "fstat"}
)
_BY_PATH = frozenset({"open", "replace", "unlink", "mkdir", "listdir", "stat"})


@dataclass(frozen=True, order=True)
class Point:
    """One call: number ``number`` of ``stream``, counted from 0."""

    stream: str
    number: int

    def __str__(self) -> str:
        return f"{self.stream} {self.number}"


@dataclass(frozen=True)
class Call:
    """What is about to be called, on which file."""

    point: Point
    name: str
    path: str
    creates: bool = False

    def __str__(self) -> str:
        return f"{self.point} ({self.name} {os.path.basename(self.path)})"


class Short(Exception):
    """Only the first half of what is to be written fits on the disk."""


Hook = Callable[[Call], None]
Count = Callable[[str], int]


def _half(name: str, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments of a write of half as much."""
    if name == "write":
        data = memoryview(arguments[0])
        return (data[: max(1, len(data) // 2)],)
    data = memoryview(b"".join(arguments[0]))
    return ((data[: max(1, len(data) // 2)],), *arguments[1:])


class Counter:
    """Numbers the calls of each stream from 0."""

    def __init__(self) -> None:
        self._next: dict[str, int] = {}

    def next(self, stream: str) -> int:
        number = self._next.get(stream, 0)
        self._next[stream] = number + 1
        return number


class Points:
    """A file system that tells ``hook`` of every call before it is made.

    ``below`` is None for a worker, else the directory below which the streams of the bus process have
    their names.  ``lock`` is held during the call itself, so that several of these may share ``inner``.
    ``count`` numbers the calls of a stream.
    """

    def __init__(
        self,
        inner: Any,
        hook: Hook,
        *,
        below: Path | None = None,
        lock: threading.Lock | None = None,
        count: Count | None = None,
    ) -> None:
        self._inner = inner
        self._hook = hook
        self._below = below
        self._lock = lock or threading.Lock()
        self._count = count or Counter().next
        self._paths: dict[int, str] = {}

    def drop(self) -> None:
        """Close what a program that was killed has left open."""
        with self._lock:
            for fd in self._paths:
                self._inner.close(fd)
            self._paths.clear()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in _BY_DESCRIPTOR | _BY_PATH:
            raise AttributeError(name)
        real = getattr(self._inner, name)

        def call(first: Any, *rest: Any, **options: Any) -> Any:
            with self._lock:
                path = self._paths.get(first, "?") if name in _BY_DESCRIPTOR else os.fspath(first)
                stream = self._stream(name, path)
                number = self._count(stream)
            creates = name == "open" and bool(rest and rest[0] & os.O_CREAT)
            try:
                self._hook(Call(Point(stream, number), name, path, creates))
            except Short:
                rest = _half(name, rest)
            except OSError:
                if name == "close":                  # it fails, and the descriptor is closed all the same
                    with self._lock:
                        self._paths.pop(first, None)
                        real(first)
                elif name in ("fsync", "fdatasync") and hasattr(self._inner, "sync_failed"):
                    with self._lock:
                        self._inner.sync_failed(first)
                raise
            with self._lock:
                if name == "close":
                    self._paths.pop(first, None)
                result = real(first, *rest, **options)
                if name == "open":
                    self._paths[result] = path
                return result

        self.__dict__[name] = call                   # the next time it is found at once
        return call

    def _stream(self, name: str, path: str) -> str:
        if self._below is None:
            return WORKER
        directory = path if name in ("mkdir", "listdir") or os.path.isdir(path) else os.path.dirname(path)
        return os.path.relpath(directory, self._below)


def without_texts_that_were_not_written(found: list[str]) -> list[str]:
    """What was found, but for points in the stream of the state texts that no play has reached."""
    return [fault for fault in found if not (TEXTS in fault and fault.endswith(NOT_REACHED))]
