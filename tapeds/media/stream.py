# SPDX-License-Identifier: LGPL-2.1-or-later
"""One tape file as a stream of blocks: what a writer does and what a reader demands.

A block goes out as soon as its payload is full; the end is always one more block, possibly
empty, that carries the end marker, and then one filemark.  So a file of L payload bytes has
L // 262128 + 1 blocks.
"""

from __future__ import annotations

from tapeds.drive.base import Drive, Mark
from tapeds.errors import (
    BlockTooLarge,
    EndOfData,
    MalformedData,
    TapeError,
    UnexpectedFilemark,
)
from tapeds.media.header import BLOCK, BLOCK_MAGIC, HEADER, PAYLOAD, BlockHeader

_PROBE = 512                 # bytes of the buffer that asks for the filemark behind the end marker


class BlockWriter:
    """The blocks of one file, at the head of ``drive``."""

    def __init__(self, drive: Drive) -> None:
        self._drive = drive
        self.blocks = 0                          # that the drive has taken
        self.payload_bytes = 0                   # in these
        self.early_warning = False
        self.closed = False                      # the end marker has been written
        self.refused: TapeError | None = None    # why the drive takes no more of this file
        self.durable = False                     # all of it was proved to be on the medium

    def write(self, block: memoryview) -> None:
        """Write ``block``, whose payload is full.  Raises what the drive raises; the file has then ended."""
        self._write(block, BlockHeader(PAYLOAD, self.blocks))

    def close(self, block: memoryview, size: int, *, incomplete: bool = False) -> None:
        """Write the end marker and with it the first ``size`` payload bytes of ``block``, fewer than all."""
        block[HEADER + size :] = bytes(PAYLOAD - size)
        self._write(block, BlockHeader(size, self.blocks, end=True, incomplete=incomplete))
        self.closed = True

    def _write(self, block: memoryview, header: BlockHeader) -> None:
        header.pack_into(block)
        try:
            mark = self._drive.write_block(block)
        except TapeError as exc:
            self.refused = exc
            raise
        self.blocks += 1
        self.payload_bytes += header.size
        if mark is Mark.EARLY_WARNING:
            self.early_warning = True

    def end(self, *, durable: bool) -> None:
        """Write the filemark, and with ``durable`` wait until everything is on the medium."""
        try:
            self._drive.write_filemarks(1, immediate=not durable)
        except TapeError as exc:
            self.refused = exc
            raise
        self.durable = durable


class BlockReader:
    """The blocks of file number ``file``, at whose beginning the head stands.

    ``alien`` is the error for a first block that is none of this format.
    """

    def __init__(self, drive: Drive, file: int, alien: type[TapeError] = MalformedData) -> None:
        self._drive = drive
        self._alien = alien
        self._probe = memoryview(bytearray(_PROBE))
        self.file = file
        self.block = 0                           # the number of the next one
        self.ended = False
        self.end_marker = False                  # how it ended
        self.incomplete = False

    @property
    def complete(self) -> bool:
        """Whether the file has ended with an end marker that calls it whole."""
        return self.end_marker and not self.incomplete

    def read(self, buffer: memoryview) -> BlockHeader | None:
        """Read the next block into ``buffer`` (262144 bytes); return its header, ``None`` at the file's end.

        A filemark before the end marker only ends the file; whether that matters is the caller's choice.
        Raises UnexpectedFilemark and EndOfData for a file that has not even one block,
        MalformedData (``file`` and ``block`` in its data), MediumError.
        """
        if self.ended:
            return None
        try:
            length = self._drive.read_block(buffer)
        except BlockTooLarge:
            kind = MalformedData if self.block else self._alien
            raise self._broken(f"got wrong block size (more than {len(buffer)})", kind) from None
        if isinstance(length, Mark):
            self._stop(length)
            return None
        try:
            header = BlockHeader.unpack(buffer, length, self.block)
        except MalformedData as exc:
            ours = self.block > 0 or (length == BLOCK and buffer[:8] == BLOCK_MAGIC)
            raise self._broken(str(exc), MalformedData if ours else self._alien) from None
        if header.end:
            self._prove_end()
            self.ended = self.end_marker = True
            self.incomplete = header.incomplete
        self.block += 1
        return header

    def _stop(self, mark: Mark) -> None:
        """There is no block here."""
        data = {"file": self.file, "block": self.block}
        if mark is Mark.FILEMARK:
            self.ended = True
            if self.block == 0:
                raise UnexpectedFilemark(f"file {self.file}: a filemark stands where it should begin", data)
            return
        if self.block == 0:
            raise EndOfData(f"file {self.file}: the data on the tape ends before it", data)
        raise self._broken("got unexpected end of tape")

    def _prove_end(self) -> None:
        """Behind the end marker stands a filemark and nothing else."""
        try:
            found = self._drive.read_block(self._probe)
        except BlockTooLarge:
            found = _PROBE
        if found is Mark.FILEMARK:
            return
        if isinstance(found, Mark):
            raise self._broken("got unexpected end of tape")
        raise self._broken("detected tape block after block-stream end marker")

    def _broken(self, text: str, kind: type[TapeError] = MalformedData) -> TapeError:
        data = {"file": self.file, "block": self.block}
        return kind(f"file {self.file}, block {self.block}: {text}", data)

    def no_end_marker(self) -> TapeError:
        """The error of a file that has ended without its end marker, for those to whom it matters."""
        return self._broken("detected tape stream without end marker")


def read_payload(reader: BlockReader, limit: int) -> bytes:
    """The payload of a whole small file; reading stops when there are more than ``limit`` bytes.

    Raises what `BlockReader.read` raises, and MalformedData without an end marker.
    """
    buffer = memoryview(bytearray(BLOCK))
    payload = bytearray()
    while len(payload) <= limit and (header := reader.read(buffer)) is not None:
        payload += buffer[HEADER : HEADER + header.size]
    if reader.ended and not reader.end_marker:
        raise reader.no_end_marker()
    return bytes(payload)
