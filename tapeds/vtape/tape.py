# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tape in the drive: its files, and a head over them.

What is on disk follows one rule: the index counts only files whose first block is durable.  A
file is therefore made in this order, and each step is durable before the next: the index counts
no more than what stays; what is cut off is removed; the first block is written; it is counted.
The count itself becomes durable with the file's filemark, or with the next file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from tapeds.errors import EndOfData, Io, MediumError, TapeError
from tapeds.filesystem import pwrite_all
from tapeds.vtape import layout
from tapeds.vtape.folder import Folder, parse_json
from tapeds.vtape.layout import BLOCK
from tapeds.vtape.writer import FileWriter


class Tape:
    """One tape of a directory, with the head over it.

    Methods raise DeviceGone and Io; MediumError for an index or a file that is missing or damaged.
    """

    def __init__(self, folder: Folder, label: str, file: int) -> None:
        """Thread tape ``label``, the head before ``file`` (or at the end, if there are fewer)."""
        self.label = label
        self._folder = folder
        self._fs = folder.fs
        self._blocks: dict[int, int] = {}      # of the files that are there
        self._total = 0                        # the sum of these
        self._leftover: list[int] = []         # file numbers on disk that the index does not count
        self._unsynced: set[int] = set()       # closed files whose last page may not be durable
        self._doubtful: set[int] = set()       # files of which that can never be proved any more
        self._fd = -1                          # of the file under the head, once it was touched
        self._dirty = False                    # something was written since the last `sync`
        self.writer: FileWriter | None = None  # while that file is being written
        with self._access(layout.index_name(label)):
            names = folder.names()
            self.files = self._read_index(names)
        self._look_at_files(names)
        self.file = min(file, self.files)
        self._block = 0

    # --- where things are -----------------------------------------------------------------------

    @property
    def block(self) -> int:
        """The block of `file` before which the head stands."""
        return self._block if self.writer is None else self.writer.blocks

    @property
    def used_bytes(self) -> int:
        """What all files take."""
        blocks = self._total
        if self.writer is not None:
            blocks += self.writer.blocks - self._blocks[self.file]
        return blocks * BLOCK

    @property
    def where_to_resume(self) -> int:
        """The file before which the head should stand after a restart: behind one that was begun."""
        return self.file + 1 if self.block else self.file

    def blocks_of(self, file: int) -> int:
        """How many blocks ``file`` has.  Raises EndOfData for a file that is not on the tape."""
        if file >= self.files:
            raise EndOfData(
                f"tape {self.label} in drive {self._folder.name} has {self.files} files, no file {file}"
            )
        if file not in self._blocks:
            raise self._missing(file)
        return self._blocks[file]

    def explain(self, exc: OSError, what: int | str) -> TapeError:
        """What became of an access to file number ``what``, or to the entry ``what``."""
        name = layout.file_name(what, self.label) if isinstance(what, int) else what
        explained = self._folder.explain(exc, name)
        if isinstance(exc, FileNotFoundError) and isinstance(what, int) and isinstance(explained, Io):
            return self._missing(what)
        return explained

    def seek(self, file: int, block: int = 0) -> None:
        """Put the head before ``block`` of ``file``; a file being written ends here."""
        self.leave()
        self.file, self._block = file, block

    def leave(self) -> None:
        """Let go of the file under the head, with the newest block written.

        A file that is left without a filemark is on disk as one that has it.
        """
        writer = self.writer
        try:
            if writer is not None and not writer.failed:
                with self._access(self.file):
                    writer.settle()
        finally:
            if writer is not None:
                self._written(writer)
            self._close()

    # --- reading --------------------------------------------------------------------------------

    def read(self, buffer: memoryview) -> None:
        """Read the block under the head into ``buffer``, `BLOCK` bytes, and go behind it."""
        offset = self._block * BLOCK
        try:
            if self._fd < 0:
                self._fd = self._open(self.file, os.O_RDONLY)
            done = self._fs.preadv(self._fd, (buffer,), offset)
            while done < BLOCK:
                more = self._fs.preadv(self._fd, (buffer[done:],), offset + done)
                if not more:
                    raise MediumError(
                        f"{self._path(self.file)} ends inside block {self._block}; it has been shortened"
                        " while the tape was in the drive: load the tape again"
                    )
                done += more
        except OSError as exc:
            raise self.explain(exc, self.file) from exc
        self._block += 1

    # --- writing --------------------------------------------------------------------------------

    def write_first_block(self, block: memoryview) -> None:
        """Begin the file under the head with ``block``; it and all behind it are destroyed."""
        file = self.file
        self.leave()
        self._dirty = True
        self._cut(file)
        with self._access(file):
            self._fd = self._open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
            try:
                pwrite_all(self._fs, self._fd, block, 0)
                self._fs.fdatasync(self._fd)
                self._folder.sync()
                self._store_index(file + 1)
            except OSError:
                self._leftover.append(file)
                self._close()
                raise
        self._set_blocks(file, 1)
        self.writer = FileWriter(self._fs, self._fd, 1)

    def write_from_here(self) -> FileWriter:
        """Begin to write inside the file under the head; all behind the head is destroyed."""
        file, block = self.file, self.block
        self.leave()
        self._dirty = True
        self._cut(file + 1)
        with self._access(file):
            self._fd = self._open(file, os.O_RDWR)
            try:
                # What is written next must never be found together with what was here before.
                self._fs.ftruncate(self._fd, block * BLOCK)
                self._set_blocks(file, block)
                self._doubtful.discard(file)
                self._fs.fdatasync(self._fd)
            except OSError:
                self._close()
                raise
        self.writer = FileWriter(self._fs, self._fd, block)
        return self.writer

    def end_file(self, *, durable: bool) -> None:
        """End the file being written and go to the next; ``durable``: with everything before."""
        if durable:
            self.sync()
        elif self.writer is not None:
            with self._access(self.file):
                self.writer.settle()
        self.seek(self.file + 1)

    def distrust(self, file: int) -> None:
        """Whoever wrote ``file`` and the files behind it was killed: `sync` makes them durable, too."""
        self._dirty = True
        self._unsynced |= {number for number in self._blocks if number >= file}

    def sync(self) -> None:
        """Make everything written durable: blocks, files and their count."""
        if self.writer is not None:
            with self._access(self.file):
                self.writer.sync()
        for file in sorted(self._unsynced | self._doubtful):
            self._sync_file(file)
        with self._access(layout.index_name(self.label)):
            self._folder.sync()
        self._folder.check()
        self._dirty = False

    def clear(self) -> None:
        """Destroy all files; the head is at the beginning, before and after."""
        self._cut(0)

    def close(self) -> None:
        """Let go of all files, with every block durable, even if something fails on the way."""
        try:
            self.leave()
            if self._dirty:
                self.sync()
        finally:
            self._close()

    # --- the pieces -----------------------------------------------------------------------------

    def _cut(self, files: int) -> None:
        """Let the tape end before file ``files``; what it no longer counts is removed."""
        with self._access(layout.index_name(self.label)):
            if files < self.files:
                self._store_index(files)
            # Also where the index was lowered before: synchronising may have failed then.
            if self._leftover:
                self._folder.sync()
            while self._leftover:
                self._folder.remove(layout.file_name(self._leftover[-1], self.label))
                self._leftover.pop()

    def _store_index(self, files: int) -> None:
        self._folder.store_json(layout.index_name(self.label), {"files": files})
        if files < self.files:
            gone = [number for number in self._blocks if number >= files]
            self._leftover += gone
            self._unsynced -= set(gone)
            self._doubtful -= set(gone)
            for number in gone:
                self._total -= self._blocks.pop(number)
        self.files = files

    def _set_blocks(self, file: int, blocks: int) -> None:
        self._total += blocks - self._blocks.get(file, 0)
        self._blocks[file] = blocks

    def _written(self, writer: FileWriter) -> None:
        """``writer`` has ended; the head stays behind its last block."""
        self._block = writer.blocks
        self._set_blocks(self.file, writer.blocks)
        if not writer.durable:
            self._unsynced.add(self.file)
        if writer.doubtful:
            self._doubtful.add(self.file)
        self.writer = None

    def _sync_file(self, file: int) -> None:
        if file in self._doubtful:
            raise Io(
                f"{self._path(file)}: could not be synchronised, and nothing proves that it is on disk;"
                f" write file {file} of tape {self.label} anew"
            )
        with self._access(file):
            fd = self._open(file, os.O_RDWR)
            try:
                self._fs.fdatasync(fd)
            except OSError:
                self._cut_doubtful_end(file, fd)
                raise
            finally:
                self._fs.close(fd)
        self._unsynced.discard(file)

    def _cut_doubtful_end(self, file: int, fd: int) -> None:
        """A closed file could not be synchronised, and trying again would prove nothing: it loses its end.

        All before the last block is durable, so the file is then one that was never closed.
        """
        blocks = self._blocks[file] - 1
        if not blocks:
            return                             # block 0 was durable before the file was counted
        self._doubtful.add(file)
        self._fs.ftruncate(fd, blocks * BLOCK)
        self._doubtful.discard(file)
        self._set_blocks(file, blocks)

    def _open(self, file: int, flags: int, mode: int = 0) -> int:
        return self._fs.open(self._path(file), flags | os.O_CLOEXEC, mode)

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with self._access(self.file):
                self._fs.close(fd)

    def _path(self, file: int) -> str:
        return self._folder.path_of(layout.file_name(file, self.label))

    @contextmanager
    def _access(self, what: int | str) -> Iterator[None]:
        """Explain the OSError of an access to file number ``what``, or to the entry ``what``."""
        try:
            yield
        except OSError as exc:
            raise self.explain(exc, what) from exc

    def _missing(self, file: int) -> MediumError:
        return MediumError(
            f"{self._path(file)} is missing; put it back, or write file {file} of tape {self.label} anew"
        )

    # --- opening --------------------------------------------------------------------------------

    def _look_at_files(self, names: list[str]) -> None:
        """Learn how long the files are; what is behind the last whole block of one is cut off."""
        numbers = (layout.number_of(name, self.label) for name in names)
        for number in sorted(number for number in numbers if number is not None):
            if number >= self.files:
                self._leftover.append(number)
                continue
            with self._access(number):
                size = self._fs.stat(self._path(number)).st_size
                if size % BLOCK:
                    self._cut_torn_block(number, size // BLOCK)
            self._set_blocks(number, size // BLOCK)

    def _cut_torn_block(self, file: int, blocks: int) -> None:
        # Not synchronised: where a loss of power undoes this, the next opening does it again.
        fd = self._open(file, os.O_RDWR)
        try:
            self._fs.ftruncate(fd, blocks * BLOCK)
        finally:
            self._fs.close(fd)

    def _read_index(self, names: list[str]) -> int:
        name = layout.index_name(self.label)
        try:
            data = self._folder.read(name)
        except FileNotFoundError as exc:
            raise self._no_index(name, "is missing", names) from exc
        if not data:
            return 0
        try:
            value = parse_json(data)
        except ValueError as exc:
            raise self._no_index(name, "is damaged", names) from exc
        match value:
            case {"files": int(files)} if files >= 0 and not isinstance(files, bool):
                return files
        raise self._no_index(name, "is damaged", names)

    def _no_index(self, name: str, what: str, names: list[str]) -> MediumError:
        there = {layout.number_of(entry, self.label) for entry in names}
        files = next(number for number in count() if number not in there)
        return MediumError(
            f"the index {self._folder.path_of(name)} of tape {self.label} {what};"
            f" write {{\"files\": {files}}} into it to keep its {files} files, or format the tape"
        )
