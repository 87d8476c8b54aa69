# SPDX-License-Identifier: LGPL-2.1-or-later
"""A tape drive made of files in a directory: Proxmox Backup's virtual drive.

The directory can go to Proxmox and back at any time.  Frozen at that: no timing, no faults and no
features beyond it.
"""

from __future__ import annotations

from tapeds.drive.base import DriveStatus, Mark, Position
from tapeds.errors import BlockTooLarge, EndOfData, EndOfMedia, MediumError, NotSupported
from tapeds.vtape import BLOCK, Tape, TapeDirectory

_LEAST_BLOCKS = 2       # a full tape still takes these per file: labels fit
_RESERVE_BLOCKS = 2     # from early warning to end of medium


class VirtualDrive:
    """The drive's face of a `TapeDirectory`; a `Drive`.

    The position is kept through a restart: it is stored by everything that moves the tape without
    reading, by a synchronisation, and by `close`; reading alone stores nothing, for speed.
    """

    vendor = "tapeds"
    model = "virtual"
    revision = "1"
    early_warning_reserve = 0

    def __init__(self, directory: TapeDirectory, *, max_size: int) -> None:
        """A drive whose tapes hold ``max_size`` bytes."""
        self.serial = directory.serial
        self._directory = directory
        self._max_size = max_size
        self._warning_after = 0                 # blocks of the file being written

    def status(self) -> DriveStatus:
        """As `Drive`; position and remaining bytes are not known of a tape whose index is unusable."""
        self._directory.check()
        label = self._directory.loaded
        if label is None:
            return DriveStatus(loaded=False, block_size=BLOCK)
        try:
            tape = self._directory.tape()
        except MediumError:
            return DriveStatus(
                loaded=True, label_text=label, capacity_bytes=self._max_size, block_size=BLOCK
            )
        return DriveStatus(
            loaded=True,
            label_text=label,
            position=Position(tape.file, tape.block),
            capacity_bytes=self._max_size,
            remaining_bytes=max(0, self._max_size - tape.used_bytes),
            block_size=BLOCK,
        )

    def position(self) -> Position:
        tape = self._directory.tape()
        return Position(tape.file, tape.block)

    # --- moving ---------------------------------------------------------------------------------

    def rewind(self) -> None:
        self._go(self._directory.tape(), 0)

    def locate_file(self, file: int) -> None:
        tape = self._directory.tape()
        if file > tape.files:
            raise EndOfData(self._no_file(tape, file))
        self._go(tape, file)

    def locate_end(self) -> None:
        tape = self._directory.tape()
        self._go(tape, tape.files)

    def space_filemarks(self, count: int) -> None:
        tape = self._directory.tape()
        if count == 0:
            return
        file = tape.file + count
        if file < 0:
            raise EndOfData(f"tape {tape.label} in drive {self._directory.name} has no file before file 0")
        if file > tape.files:
            raise EndOfData(self._no_file(tape, file))
        self._go(tape, file)

    # --- reading --------------------------------------------------------------------------------

    def read_block(self, buffer: memoryview) -> int | Mark:
        tape = self._directory.mounted
        if tape is None or tape.writer is not None or tape.block == 0:
            tape = self._directory.tape()
            tape.leave()
            if tape.file >= tape.files:
                return Mark.END_OF_DATA
        if tape.block >= tape.blocks_of(tape.file):
            tape.seek(tape.file + 1)
            return Mark.FILEMARK
        tape.read(self._room_for_a_block(buffer))
        return BLOCK

    def read_last_block(self, file: int, buffer: memoryview) -> tuple[int, int]:
        tape = self._directory.tape()
        tape.leave()
        blocks = tape.blocks_of(file)
        if blocks == 0:
            tape.seek(file + 1)
            return 0, 0
        room = self._room_for_a_block(buffer)
        tape.seek(file, blocks - 1)
        tape.read(room)
        tape.seek(file + 1)
        return BLOCK, blocks - 1

    # --- writing --------------------------------------------------------------------------------

    def write_block(self, block: memoryview) -> Mark | None:
        """As `Drive`; early warning and end of medium come where Proxmox's virtual drive has them.

        They go by what was free when the file began: at least two blocks, then two more with early
        warning, then none.
        """
        if len(block) != BLOCK:
            raise NotSupported(
                f"drive {self._directory.name} writes blocks of {BLOCK} bytes, not of {len(block)}"
            )
        tape = self._directory.mounted
        writer = tape.writer if tape is not None else None
        if tape is None or writer is None:
            tape = self._directory.tape()
            self._directory.announce_cut()
            if tape.block == 0:
                tape.write_first_block(block)
                self._measure(tape)
                return None
            writer = tape.write_from_here()
            self._measure(tape)
        if writer.blocks >= self._warning_after + _RESERVE_BLOCKS:
            raise EndOfMedia(f"tape {tape.label} in drive {self._directory.name} is full; use another tape")
        try:
            writer.write(block)
        except OSError as exc:
            raise tape.explain(exc, tape.file) from exc
        return Mark.EARLY_WARNING if writer.blocks > self._warning_after else None

    def write_filemarks(self, count: int, *, immediate: bool = False) -> None:
        """As `Drive`; ``immediate`` waits only for what keeps the blocks of this file in order.

        A file of one block needs no such wait.  An empty file cannot be written: NotSupported.
        """
        tape = self._directory.tape()
        if count > 1 or (count == 1 and tape.block == 0):
            raise NotSupported(
                f"drive {self._directory.name} writes no empty files: write a block before the filemark"
            )
        if count:
            if tape.writer is None:
                self._directory.announce_cut()
                tape.write_from_here()
            tape.end_file(durable=not immediate)
        elif not immediate:
            tape.sync()
        if not immediate:
            self._directory.store_position()

    def distrust(self, file: int) -> None:
        self._directory.tape().distrust(file)

    def format(self, *, fast: bool) -> None:
        """As `Drive`, in one way for both values of ``fast``; mends a tape whose index is unusable."""
        self._directory.blank_tape()

    # --- cartridge ------------------------------------------------------------------------------

    def load(self) -> None:
        self.rewind()

    def unload(self) -> None:
        self._directory.check()
        self._directory.put_out()

    def close(self) -> None:
        """As `Drive`; the directory is closed with it."""
        self._directory.close()

    # --- the pieces -----------------------------------------------------------------------------

    def _go(self, tape: Tape, file: int) -> None:
        if (tape.file, tape.block) != (file, 0):
            tape.seek(file)
            self._directory.store_position()

    def _measure(self, tape: Tape) -> None:
        """Find out how many blocks the file may have that is being written from here."""
        free = max(0, self._max_size - tape.used_bytes + tape.block * BLOCK)
        self._warning_after = max(_LEAST_BLOCKS, free // BLOCK)

    def _room_for_a_block(self, buffer: memoryview) -> memoryview:
        if len(buffer) < BLOCK:
            raise BlockTooLarge(
                f"a block of drive {self._directory.name} has {BLOCK} bytes, the buffer {len(buffer)}"
            )
        return buffer if len(buffer) == BLOCK else buffer[:BLOCK]

    def _no_file(self, tape: Tape, file: int) -> str:
        return f"tape {tape.label} in drive {self._directory.name} has {tape.files} files, no file {file}"
