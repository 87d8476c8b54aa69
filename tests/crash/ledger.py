# SPDX-License-Identifier: LGPL-2.1-or-later
"""The record of `support.powerloss`, for a whole service: with directories, and with disks that fail.

Three things are added.  A directory that was made is a name like any other: until the directory
above is synchronised, it may be lost with everything in it.  A synchronisation that fails tells
nothing of what was to be synchronised, and none that comes later does: the kernel has dropped the
pages.  And every synchronisation has a name, by the lines of the program that asked for it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

from support.powerloss import Change, Create, Disk, Image, Recorder, SyncDirectory, SyncFile, Truncate, Write

_NOT_THE_PROGRAM = ("/crash/ledger.py", "/crash/points.py", "/support/powerloss.py")


@dataclass(frozen=True)
class SyncFailed(Change):
    """What was written to ``inode`` before may be on the disk or not, for ever."""

    inode: int


class Ledger(Recorder):
    """Records below one root; ``directories`` are those that were made, by path with their inode."""

    def __init__(self, root: Path, *, ignore_sync: Callable[[str], bool] | None = None) -> None:
        super().__init__(root, ignore_sync=ignore_sync)
        self.directories: dict[int, str] = {}

    def mkdir(self, path: str, mode: int = 0o777) -> None:
        super().mkdir(path, mode)
        inode = self._new_inode()
        self.directories[inode] = path
        self._note(Create(self.calls, path, inode))

    def sync_failed(self, fd: int) -> None:
        """The synchronisation of ``fd`` is about to fail."""
        inode, _ = self._open[fd]
        if inode >= 0:
            self._note(SyncFailed(self.calls, inode))

    def _note_sync(self, fd: int) -> None:
        name = site(sys._getframe(1))
        self.sync_sites[name] = self.sync_sites.get(name, 0) + 1
        if self._ignore_sync is not None and self._ignore_sync(name):
            return
        inode, path = self._open[fd]
        self._note(SyncDirectory(self.calls, path) if inode < 0 else SyncFile(self.calls, inode))

    def images(self, *, since: int = 0, more_expected: set[int] | None = None) -> Iterator[Image]:
        """Every different state that a loss of power from change ``since`` on may leave.

        As `support.powerloss.images`.  Of what a failed synchronisation was to make durable, all may
        be lost for ever, or nothing, or any one change.
        """
        seen: set[tuple[object, ...]] = set()
        for doomed in self._dooms():
            platter = Platter(self, doomed)
            for position in range(len(self.log) + 1):
                if more_expected and position in more_expected:
                    seen.clear()
                if position >= since:
                    for image in platter.images():
                        key = image.key()
                        if key not in seen:
                            seen.add(key)
                            yield image
                if position < len(self.log):
                    platter.advance(self.log[position])

    def _dooms(self) -> list[set[int]]:
        """Which changes, by place in the record, may be lost for ever together."""
        at_risk: set[int] = set()
        pending: list[int] = []
        for place, change in enumerate(self.log):
            match change:
                case Write() | Truncate():
                    pending.append(place)
                case SyncFile(inode=inode):
                    pending = [other for other in pending if _inode(self.log[other]) != inode]
                case SyncFailed(inode=inode):
                    at_risk |= {other for other in pending if _inode(self.log[other]) == inode}
                    pending = [other for other in pending if _inode(self.log[other]) != inode]
        return [set(), *([at_risk] if len(at_risk) > 1 else []), *({place} for place in sorted(at_risk))]


class Platter(Disk):
    """The disk behind a ledger; the changes ``doomed`` never reach it, though a program may see them."""

    def __init__(self, ledger: Ledger, doomed: set[int]) -> None:
        super().__init__(ledger.initial)
        self._directories = ledger.directories
        self._made = set(ledger.directories.values())
        self._doomed = {id(ledger.log[place]) for place in doomed}

    def advance(self, change: Change) -> None:
        if not isinstance(change, SyncFailed):
            super().advance(change)
            return
        self._position += 1
        self._pending = [pending for pending in self._pending if id(pending) not in self._doomed]
        self._make_durable(lambda other: _inode(other) == change.inode)

    def _image(self, lost: str, kept: list[Change]) -> Image:
        image = super()._image(lost, kept)
        if not self._made:
            return image
        there = {path for path in image.files if path in self._made}

        def reachable(path: str) -> bool:
            above = os.path.dirname(path)
            while above != "/":
                if above in self._made and above not in there:
                    return False
                above = os.path.dirname(above)
            return path not in self._made

        return replace(
            image, files={path: content for path, content in image.files.items() if reachable(path)}
        )


def _inode(change: Change) -> int:
    """Whose content ``change`` changes; 0 for a change of names."""
    return change.inode if isinstance(change, Write | Truncate) else 0


def site(frame: FrameType | None) -> str:
    """The name of a synchronisation: the lines of the program from the one that wanted it to the call.

    What only synchronises for somebody else (the helpers of `tapeds.filesystem`, `Folder.sync`) does
    not count as wanting it.
    """
    lines: list[str] = []
    while frame is not None:
        code = frame.f_code
        if not code.co_filename.endswith(_NOT_THE_PROGRAM):
            name = os.path.basename(code.co_filename)
            lines.append(f"{name}:{frame.f_lineno}")
            if name != "filesystem.py" and code.co_qualname != "Folder.sync":
                break
        frame = frame.f_back
    return " > ".join(reversed(lines))
