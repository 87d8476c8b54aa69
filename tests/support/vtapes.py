# SPDX-License-Identifier: LGPL-2.1-or-later
"""Blocks that keep the rules of the tape format, and virtual drives to put them into."""

from __future__ import annotations

import json
import os
import struct
from dataclasses import dataclass
from pathlib import Path

from tapeds.changer.virtual import VirtualChanger
from tapeds.drive.base import Mark
from tapeds.drive.virtual import VirtualDrive
from tapeds.filesystem import REAL, FileSystem
from tapeds.vtape import BLOCK, TapeDirectory

GOLDEN = Path(__file__).parent.parent / "golden"

_MAGIC = bytes.fromhex("dcbdafcaeba0a528")
_PAYLOAD = BLOCK - 16


def tape_block(sequence: int, text: str, *, end: bool = False) -> bytes:
    """A full block; ``text`` stands at both ends of its payload, zeros between."""
    header = struct.pack("<8sBHBI", _MAGIC, int(end), _PAYLOAD & 0xFFFF, _PAYLOAD >> 16, sequence)
    mark = text.encode().ljust(32, b".")
    return header + mark + bytes(_PAYLOAD - 64) + mark


def tape_file(text: str, blocks: int) -> list[bytes]:
    """The blocks of a complete file; no two files with different ``text`` share a block."""
    return [tape_block(number, f"{text}/{number}", end=number == blocks - 1) for number in range(blocks)]


@dataclass
class Station:
    """A virtual drive with its changer, over one directory."""

    path: Path
    directory: TapeDirectory
    drive: VirtualDrive
    changer: VirtualChanger

    def write(self, blocks: list[bytes], *, immediate: bool = False) -> None:
        """Write a file where the head is."""
        for block in blocks:
            self.drive.write_block(memoryview(block))
        self.drive.write_filemarks(1, immediate=immediate)

    def read(self) -> list[bytes]:
        """The rest of the file under the head, block by block; the head is then behind its filemark."""
        buffer = memoryview(bytearray(BLOCK))
        blocks = []
        while (got := self.drive.read_block(buffer)) is not Mark.FILEMARK:
            assert got == BLOCK
            blocks.append(bytes(buffer))
        return blocks

    def read_file(self, file: int) -> list[bytes]:
        """All blocks of ``file``."""
        self.drive.locate_file(file)
        return self.read()

    def load_new(self, label: str) -> None:
        """Make tape ``label`` and load it."""
        self.changer.load(label, 0, create=True)

    def json(self, name: str) -> object:
        """What the JSON file ``name`` of the directory holds."""
        return json.loads((self.path / name).read_text())

    def close(self) -> None:
        self.drive.close()


def open_station(path: Path, fs: FileSystem = REAL, *, max_size: int = 64 << 20) -> Station:
    """Open the directory ``path`` as drive vt0."""
    directory = TapeDirectory(fs, os.fspath(path), name="vt0", lock_timeout=0)
    return Station(path, directory, VirtualDrive(directory, max_size=max_size), VirtualChanger(directory))
