# SPDX-License-Identifier: LGPL-2.1-or-later
"""A file system that remembers what a loss of power would have left.

`Recorder` stands at the door `tapeds.filesystem.FileSystem`: it passes every call on to the real
directory and writes down what the call changed.  `Disk` replays such a record and gives, for any
moment in it, every directory that a loss of power at that moment may leave::

    recorder = Recorder(tmp_path)            # what is in tmp_path now counts as durable
    ...                                      # work with fs=recorder
    for image in images(recorder.log, recorder.initial):
        image.write_to(somewhere, tmp_path)  # the directory after the loss, as real files
        ...                                  # start again on it, and look

What is promised of a disk is what POSIX promises, no more: the content of a file is durable after
fsync or fdatasync of that file, the names in a directory after fsync of that directory.  Whatever
was not synchronised may be lost: all of it, nothing of it, any one change alone, or everything
but one change; of a write its second half may be lost alone.  Creating, removing and renaming are
changes of names; writing and truncating are changes of content.

A `Recorder` also stops or breaks the program under test at any call: ``before`` is called with the
number of the call (from 0) and its name, and may raise OSError, or `PowerCut`, which no
``except OSError`` and no ``except Exception`` catches.  The program that was cut off is not closed
properly; `Recorder.release` closes the descriptors it had open, and with them its locks.
``ignore_sync`` makes single synchronisations void, so that a test can show that each is needed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

PAGE = 4096

_PASSING_ON = {"Folder.sync", "sync_directory"}     # functions that synchronise for their caller
_ZEROS = bytes(PAGE)
_PAGES: dict[bytes, bytes] = {}                     # every page there is, once


class PowerCut(BaseException):
    """The program stops here, without a chance to clean up."""


# --- changes ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """One entry of the record; ``call`` is the number of the call that made it."""

    call: int


@dataclass(frozen=True)
class Create(Change):
    path: str
    inode: int


@dataclass(frozen=True)
class Remove(Change):
    path: str


@dataclass(frozen=True)
class Rename(Change):
    source: str
    target: str
    inode: int


@dataclass(frozen=True)
class Write(Change):
    inode: int
    offset: int
    data: bytes = field(repr=False)
    pages: list[bytes | None] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Truncate(Change):
    inode: int
    length: int


@dataclass(frozen=True)
class SyncFile(Change):
    """All earlier changes of the content of ``inode`` are durable."""

    inode: int


@dataclass(frozen=True)
class SyncDirectory(Change):
    """All earlier changes of names in the directory ``path`` are durable."""

    path: str


def _pages(data: bytes) -> list[bytes | None]:
    """``data`` in pages, the last one filled up; None for a page of zeros."""
    padded = data + bytes(-len(data) % PAGE)
    pages = (padded[at : at + PAGE] for at in range(0, len(padded), PAGE))
    return [None if page == _ZEROS else _PAGES.setdefault(page, page) for page in pages]


class Content:
    """The content of a file; pages are shared between copies, zeros take no room."""

    def __init__(self, size: int = 0, pages: list[bytes | None] | None = None) -> None:
        self.size = size
        self.pages: list[bytes | None] = pages or []

    def copy(self) -> Content:
        return Content(self.size, self.pages.copy())

    def write(self, offset: int, data: bytes, pages: list[bytes | None]) -> None:
        end = offset + len(data)
        first = offset // PAGE
        if offset % PAGE or (len(data) % PAGE and end < self.size):
            last = -(-end // PAGE)
            around = bytearray(b"".join(page or _ZEROS for page in self.pages[first:last]))
            around += bytes(max(0, (last - first) * PAGE - len(around)))
            around[offset - first * PAGE : end - first * PAGE] = data
            pages = _pages(bytes(around))
        self.pages += [None] * (first - len(self.pages))
        self.pages[first : first + len(pages)] = pages
        self.size = max(self.size, end)

    def truncate(self, length: int) -> None:
        keep = -(-length // PAGE)
        self.pages = self.pages[:keep] + [None] * (keep - len(self.pages))
        if length % PAGE and (page := self.pages[-1]) is not None:
            self.pages[-1] = _pages(page[: length % PAGE])[0]
        self.size = length

    def apply(self, change: Write | Truncate) -> None:
        if isinstance(change, Write):
            self.write(change.offset, change.data, change.pages)
        else:
            self.truncate(change.length)

    def bytes(self) -> bytes:
        return b"".join(page or _ZEROS for page in self.pages)[: self.size]

    def key(self) -> tuple[int, ...]:
        return (self.size, *(id(page) for page in self.pages))


# --- recording ----------------------------------------------------------------------------------


class Recorder:
    """The real file system, with a record of what happens; what is below ``roots`` is there before."""

    def __init__(
        self,
        *roots: Path,
        before: Callable[[int, str], None] | None = None,
        ignore_sync: Callable[[str], bool] | None = None,
    ) -> None:
        self.log: list[Change] = []
        self.calls = 0
        self.sync_sites: dict[str, int] = {}
        """Where in the program something was synchronised (``file.py:line``), and how often."""
        self._before = before
        self._ignore_sync = ignore_sync
        self._next_inode = 0
        self._inodes: dict[str, int] = {}              # by path, as the program sees it
        self._open: dict[int, tuple[int, str]] = {}    # descriptor: inode (-1: directory), path
        self.initial: dict[str, bytes] = {}
        for root in roots:
            for path in root.rglob("*"):
                if path.is_file():
                    self.initial[str(path)] = path.read_bytes()
        for path_text in self.initial:
            self._inodes[path_text] = self._new_inode()

    def release(self) -> None:
        """Close what a program that was cut off has left open."""
        for fd in list(self._open):
            os.close(fd)
        self._open.clear()

    # calls that change nothing

    def pread(self, fd: int, length: int, offset: int) -> bytes:
        self._count("pread")
        return os.pread(fd, length, offset)

    def preadv(self, fd: int, buffers: Any, offset: int) -> int:
        self._count("preadv")
        return os.preadv(fd, buffers, offset)

    def listdir(self, path: str) -> list[str]:
        self._count("listdir")
        return os.listdir(path)

    def stat(self, path: str) -> os.stat_result:
        self._count("stat")
        return os.stat(path)

    def fstat(self, fd: int) -> os.stat_result:
        self._count("fstat")
        return os.fstat(fd)

    def fchmod(self, fd: int, mode: int) -> None:
        self._count("fchmod")
        os.fchmod(fd, mode)

    def mkdir(self, path: str, mode: int = 0o777) -> None:
        self._count("mkdir")
        os.mkdir(path, mode)

    # calls that do

    def open(self, path: str, flags: int, mode: int = 0o777) -> int:
        self._count("open")
        existed = os.path.lexists(path)
        fd = os.open(path, flags, mode)
        if os.path.isdir(path):
            self._open[fd] = (-1, os.path.abspath(path))
            return fd
        if not existed or path not in self._inodes:
            self._inodes[path] = self._new_inode()
            self._note(Create(self.calls, path, self._inodes[path]))
        inode = self._inodes[path]
        if existed and flags & os.O_TRUNC:
            self._note(Truncate(self.calls, inode, 0))
        self._open[fd] = (inode, path)
        return fd

    def close(self, fd: int) -> None:
        self._count("close")
        os.close(fd)
        self._open.pop(fd, None)

    def write(self, fd: int, data: Any) -> int:
        self._count("write")
        done = os.write(fd, data)
        end = os.lseek(fd, 0, os.SEEK_CUR)
        self._note_write(fd, end - done, bytes(memoryview(data)[:done]))
        return done

    def pwritev(self, fd: int, buffers: Any, offset: int) -> int:
        self._count("pwritev")
        done = os.pwritev(fd, buffers, offset)
        self._note_write(fd, offset, b"".join(buffers)[:done])
        return done

    def ftruncate(self, fd: int, length: int) -> None:
        self._count("ftruncate")
        os.ftruncate(fd, length)
        self._note(Truncate(self.calls, self._open[fd][0], length))

    def fsync(self, fd: int) -> None:
        self._count("fsync")
        self._note_sync(fd)

    def fdatasync(self, fd: int) -> None:
        self._count("fdatasync")
        self._note_sync(fd)

    def replace(self, src: str, dst: str) -> None:
        self._count("replace")
        os.replace(src, dst)
        self._inodes[dst] = self._inodes.pop(src)
        self._note(Rename(self.calls, src, dst, self._inodes[dst]))

    def unlink(self, path: str) -> None:
        self._count("unlink")
        os.unlink(path)
        self._inodes.pop(path, None)
        self._note(Remove(self.calls, path))

    # the pieces

    def _count(self, name: str) -> None:
        number, self.calls = self.calls, self.calls + 1
        if self._before is not None:
            self._before(number, name)

    def _note(self, change: Change) -> None:
        self.log.append(change)

    def _note_write(self, fd: int, offset: int, data: bytes) -> None:
        self._note(Write(self.calls, self._open[fd][0], offset, data, _pages(data)))

    def _note_sync(self, fd: int) -> None:
        site = _site(sys._getframe(2))
        self.sync_sites[site] = self.sync_sites.get(site, 0) + 1
        if self._ignore_sync is not None and self._ignore_sync(site):
            return
        inode, path = self._open[fd]
        self._note(SyncDirectory(self.calls, path) if inode < 0 else SyncFile(self.calls, inode))

    def _new_inode(self) -> int:
        self._next_inode += 1
        return self._next_inode


def _site(frame: FrameType | None) -> str:
    """The line of the program that wanted the synchronisation."""
    while frame is not None and frame.f_code.co_qualname in _PASSING_ON:
        frame = frame.f_back
    if frame is None:
        return "?"
    return f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"


class NeverSynchronised:
    """The module ``os`` without waiting for the disk: for looking at many directories that are not kept."""

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def fsync(self, fd: int) -> None:
        """Do nothing."""

    def fdatasync(self, fd: int) -> None:
        """Do nothing."""


# --- replaying ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Image:
    """The files that one loss of power leaves."""

    position: int
    """How many changes of the record had been made."""
    lost: str
    """What of them was lost, in words."""
    files: dict[str, Content]

    def key(self) -> tuple[object, ...]:
        """Equal for equal images of one record."""
        return tuple((path, *content.key()) for path, content in sorted(self.files.items()))

    def write_to(self, target: Path, root: Path) -> None:
        """Make the files below ``root`` below ``target``."""
        for path, content in self.files.items():
            if not Path(path).is_relative_to(root):
                continue
            copy = target / Path(path).relative_to(root)
            copy.parent.mkdir(parents=True, exist_ok=True)
            with open(copy, "wb") as file:
                for number, page in enumerate(content.pages):
                    if page is not None:
                        os.pwrite(file.fileno(), page, number * PAGE)
                file.truncate(content.size)


class Disk:
    """What is durable and what is not, as the record goes on."""

    def __init__(self, initial: dict[str, bytes]) -> None:
        self._names: dict[str, int] = {}               # durable
        self._contents: dict[int, Content] = {}        # durable
        self._pending: list[Change] = []
        self._position = 0
        for inode, (path, data) in enumerate(initial.items(), start=1):
            self._names[path] = inode
            self._contents[inode] = Content(len(data), _pages(data))

    def advance(self, change: Change) -> None:
        """The next change of the record."""
        self._position += 1
        match change:
            case SyncFile(inode=inode):
                self._make_durable(
                    lambda other: isinstance(other, Write | Truncate) and other.inode == inode
                )
            case SyncDirectory(path=path):
                self._make_durable(lambda other: _directory(other) == path)
            case _:
                self._pending.append(change)

    def images(self) -> Iterator[Image]:
        """Every state that a loss of power now may leave."""
        pending = self._pending
        yield self._image("everything that was not synchronised", [])
        if not pending:
            return
        yield self._image("nothing", pending)
        for number, change in enumerate(pending):
            before, after = pending[:number], pending[number + 1 :]
            if len(pending) > 1:
                yield self._image(f"only {change}", before + after)
                yield self._image(f"everything but {change}", [change])
            if isinstance(change, Write) and len(change.data) > 1:
                half = change.data[: len(change.data) // 2]
                torn = Write(change.call, change.inode, change.offset, half, _pages(half))
                yield self._image(f"the second half of {change}", [*before, torn, *after])

    def _make_durable(self, which: Callable[[Change], bool]) -> None:
        chosen = [change for change in self._pending if which(change)]
        self._pending = [change for change in self._pending if not which(change)]
        for change in chosen:
            _apply(change, self._names, self._contents, owned=set())

    def _image(self, lost: str, kept: list[Change]) -> Image:
        names, contents, owned = self._names.copy(), self._contents.copy(), set[int]()
        for change in kept:
            _apply(change, names, contents, owned)
        files = {path: contents.get(inode) or Content() for path, inode in names.items()}
        return Image(self._position, lost, files)


def _directory(change: Change) -> str | None:
    """The directory whose names ``change`` changes; None for a change of content."""
    match change:
        case Create(path=path) | Remove(path=path) | Rename(target=path):
            return os.path.dirname(path)
    return None


def _apply(change: Change, names: dict[str, int], contents: dict[int, Content], owned: set[int]) -> None:
    """Make ``change``; contents that are not ``owned`` are copied before."""
    match change:
        case Create(path=path, inode=inode):
            names[path] = inode
        case Remove(path=path):
            names.pop(path, None)
        case Rename(source=source, target=target, inode=inode):
            if names.get(source) == inode:
                del names[source]
            names[target] = inode
        case Write(inode=inode) | Truncate(inode=inode):
            if inode not in contents:
                contents[inode] = Content()
            elif inode not in owned:
                contents[inode] = contents[inode].copy()
            owned.add(inode)
            contents[inode].apply(change)


def images(
    log: list[Change], initial: dict[str, bytes], *, since: int = 0, more_expected: Collection[int] = ()
) -> Iterator[Image]:
    """Every different state that a loss of power at any moment of ``log`` from ``since`` on may leave.

    A state that may come about at several moments is given for the first only; but again after each
    of the positions ``more_expected``, at which what a test asks of a directory has become more.
    """
    disk = Disk(initial)
    seen: set[tuple[object, ...]] = set()
    for position in range(len(log) + 1):
        if position in more_expected:
            seen.clear()
        for image in disk.images() if position >= since else ():
            key = image.key()
            if key not in seen:
                seen.add(key)
                yield image
        if position < len(log):
            disk.advance(log[position])
