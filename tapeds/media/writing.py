# SPDX-License-Identifier: LGPL-2.1-or-later
"""One file from a caller to tape.

The end of the data is not success: a file is closed as whole when the caller says how much it
was (`Commit`, ``size``), what it was (``sha256``), or that the end is enough (``commit_on_eof``).
Whatever else ends it, the file is closed and marked incomplete, and the error tells how many of
the caller's bytes are on tape.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from tapeds.drive.base import Drive
from tapeds.errors import EndOfMedia, Incomplete, InvalidOption, InvalidState, TapeError, Value
from tapeds.media import pump
from tapeds.media.control import Control
from tapeds.media.descriptors import Source, open_source
from tapeds.media.digest import new_sha256
from tapeds.media.header import HEADER, PAYLOAD
from tapeds.media.pump import Inflow, Ring
from tapeds.media.stream import BlockWriter


@dataclass(frozen=True)
class WritePlan:
    """What the caller wants to be written, and what makes the file whole."""

    header_bytes: bytes = b""            # before the caller's bytes: a content header and its data
    size: int | None = None              # how many bytes the caller will give
    commit_on_eof: bool = False
    sha256: str = ""                     # hex; of the caller's bytes
    digest: bool = False                 # tell the SHA-256 in the result
    durable: bool = True                 # wait until the file is on the medium


@dataclass(frozen=True)
class FileWritten:
    """A file that stands on tape, whole."""

    file: int
    bytes: int                           # of the caller
    blocks: int
    complete: bool
    early_warning: bool
    bytes_on_tape: int
    sha256: str                          # hex, or empty
    waits: int                           # how often the pump waited for the caller
    stops: int                           # how often the drive ran out of blocks for it
    longest_gap: int                     # microseconds between two blocks while there was one to write


def write_file(
    drive: Drive, fd: int, owned: bool, plan: WritePlan, control: Control, ring: Ring
) -> FileWritten:
    """Write what comes out of ``fd`` as one file at the head, closed by a filemark.

    ``fd`` stays open; ``owned`` says that it is our own end of a pipe.  Raises Incomplete,
    EndOfMedia, WriteProtected, MediumError, Io and whatever ``control`` raises, each with
    ``file``, ``bytes``, ``blocks``, ``complete``, ``early-warning`` and ``bytes-on-tape`` in its data.
    """
    if len(plan.header_bytes) > PAYLOAD:
        raise InvalidOption(f"the header has {len(plan.header_bytes)} bytes, more than {PAYLOAD}")
    position = drive.position()
    if position.block:
        raise InvalidState(f"the head stands inside file {position.file}: go to the end of data first")
    source = open_source(fd, owned=owned)
    try:
        return _Write(drive, source, plan, control, ring, position.file).run()
    finally:
        source.close()


class _Write:
    """The state of one transfer to tape."""

    def __init__(
        self, drive: Drive, source: Source, plan: WritePlan, control: Control, ring: Ring, file: int
    ) -> None:
        self.file = file
        self.source = source
        self.plan = plan
        self.control = control
        self.reserve = drive.early_warning_reserve
        self.writer = BlockWriter(drive)
        self.inflow = Inflow(ring, plan.header_bytes)
        self.thresholds = ring.thresholds
        self.hasher = new_sha256() if plan.digest or plan.sha256 else None
        self.taken = 0                               # bytes of the caller
        self.ended = False                           # the source has no more
        self.needed = min(self.thresholds.start, self.inflow.capacity)
        self.running = False                         # the drive is being kept busy
        self.quick = True                            # and answers faster than a tape could
        self.allowance: int | None = None            # bytes that may still be taken, from early warning on
        self.waits = self.stops = 0
        self.written_at: float | None = None         # end of the last block, if nothing was waited for since
        self.longest_gap = 0.0                       # seconds

    @property
    def emitted(self) -> int:
        """How many of the caller's bytes are in blocks that the drive has taken."""
        return max(0, self.writer.payload_bytes - len(self.plan.header_bytes))

    def run(self) -> FileWritten:
        try:
            self._report()
            self._stream()
            self._close()
        except TapeError as cause:
            self._abandon(cause)
            raise
        self._report()
        return FileWritten(
            file=self.file,
            bytes=self.emitted,
            blocks=self.writer.blocks,
            complete=True,
            early_warning=self.writer.early_warning,
            bytes_on_tape=self.emitted,
            sha256=self.hasher.hexdigest() if self.hasher else "",
            waits=self.waits,
            stops=self.stops,
            longest_gap=round(self.longest_gap * 1e6),
        )

    # --- the stream ---------------------------------------------------------------------------

    def _stream(self) -> None:
        """Until the source is known to be whole, and what is left of it fits into the closing block."""
        while True:
            self.control.poll()
            came = self._take()
            whole = self._whole()
            if self.inflow.full and self._last_block():
                raise self._full()
            if self.inflow.full and (whole or self.ended or self.running or self.inflow.full >= self.needed):
                self._write_block()
            elif whole:
                return
            elif self.allowance == 0:
                raise self._full()
            elif not came:
                self._wait()

    def _last_block(self) -> bool:
        """Whether the drive has given early warning and has room for the closing block only."""
        return self.writer.early_warning and self.reserve == 0

    def _full(self) -> EndOfMedia:
        return EndOfMedia(f"the tape is full: file {self.file} does not fit on it")

    def _take(self) -> bool:
        """Take what the source has now, at most a full pipe of it; whether something came, or the end."""
        enough = max(self.needed, self.thresholds.ahead) if self.quick else self.inflow.capacity
        if self.ended or self.inflow.full >= enough:
            return False
        areas = self.inflow.room(self._limit())
        count = self.source.read(areas) if areas else None
        if count is None:
            return False
        if count == 0:
            self.ended = True
            return True
        self.inflow.took(count)
        self.taken += count
        if self.allowance is not None:
            self.allowance -= count
        if self.plan.size is not None and self.taken > self.plan.size:
            raise Incomplete(f"the data are longer than the {self.plan.size} bytes of size")
        return True

    def _limit(self) -> int | None:
        """How many bytes may be taken at most; ``None``: as many as there is room for."""
        limits = [] if self.allowance is None else [self.allowance]
        if self.control.commit is not None:
            limits.append(self.control.commit.size - self.taken)
        return min(limits, default=None)

    def _whole(self) -> bool:
        """Whether everything the file should hold has been taken.

        Raises Incomplete when that cannot come true any more.
        """
        commit, size = self.control.commit, self.plan.size
        if commit is None:
            if not self.ended:
                return False
            if size is not None and self.taken < size:
                raise Incomplete(f"the data ended after {self.taken} bytes of the {size} of size")
            return size is not None or bool(self.plan.sha256) or self.plan.commit_on_eof
        if size is not None and commit.size != size:
            raise Incomplete(f"{commit.size} bytes were committed, not the {size} of size")
        if self.taken > commit.size:
            self._cut(self.taken - commit.size)
        if self.taken < commit.size and self.ended:
            raise Incomplete(f"the data ended after {self.taken} bytes of the {commit.size} committed")
        return self.taken == commit.size

    def _cut(self, surplus: int) -> None:
        """Forget what was taken beyond the committed size."""
        if surplus > self.taken - self.emitted:
            raise Incomplete(f"{self.taken - surplus} bytes were committed, but {self.emitted} are on tape")
        self.inflow.cut(surplus)
        self.taken -= surplus

    def _wait(self) -> None:
        """There is nothing to write: wait for the source, or at its end for the caller's word."""
        if self.running and not self.ended:
            self.running = False
            self.stops += 1
            self.needed = min(self.thresholds.refill, self.inflow.capacity)
        self.waits += 1
        self.written_at = None
        self.control.wait(-1 if self.ended else self.source.fd, writing=False)

    def _write_block(self) -> None:
        block, size = self.inflow.first()
        self._hash(block, size)
        before = self.writer.early_warning
        began = time.monotonic()
        if self.written_at is not None:
            self.longest_gap = max(self.longest_gap, began - self.written_at)
        self.writer.write(block)
        self.written_at = time.monotonic()
        self.quick = self.written_at - began < pump.QUICK_SECONDS
        self.inflow.drop()
        self.running = True
        if self.writer.early_warning and not before:
            # Without a reserve one block is left: what it holds may still be taken.
            self.allowance = self.reserve or max(0, PAYLOAD - self.inflow.at_hand)
        self._report()

    def _hash(self, block: memoryview, size: int) -> None:
        """Count the caller's part of a payload into the digest."""
        if self.hasher is not None:
            skip = max(0, len(self.plan.header_bytes) - self.writer.payload_bytes)
            self.hasher.update(block[HEADER + skip : HEADER + size])

    def _report(self) -> None:
        commit = self.control.commit
        total = commit.size if commit else self.plan.size or 0
        self.control.report(self.emitted, total, file=self.file, early_warning=self.writer.early_warning)

    # --- the end ------------------------------------------------------------------------------

    def _close(self) -> None:
        """Write the closing block and the filemark, if the digest is right."""
        block, size = self.inflow.first()
        self._hash(block, size)
        commit = self.control.commit
        for wanted in (self.plan.sha256, commit.sha256 if commit else ""):
            if wanted and (self.hasher is None or wanted.lower() != self.hasher.hexdigest()):
                found = self.hasher.hexdigest() if self.hasher else "not known"
                raise Incomplete(f"the SHA-256 of the data is {found}, not {wanted}")
        self.writer.close(block, size)
        self.writer.end(durable=self.plan.durable or self.writer.early_warning)

    def _abandon(self, cause: TapeError) -> None:
        """End the file for ``cause``: close it as incomplete where the drive still takes blocks.

        Raises what the drive raises meanwhile; then that is what has to be told.
        """
        try:
            if self.writer.refused is None and not self.writer.closed:
                self._close_incomplete()
            if isinstance(self.writer.refused, EndOfMedia) and not self.writer.closed:
                self.writer.end(durable=True)        # no room for an end marker: the filemark is the end
        except TapeError as worse:
            worse.data.update(self._facts())
            raise
        cause.data.update(self._facts())

    def _close_incomplete(self) -> None:
        block, size = self.inflow.first()
        try:
            self.writer.close(block, min(size, PAYLOAD - 1), incomplete=True)
        except EndOfMedia:
            return
        self.writer.end(durable=True)

    def _facts(self) -> dict[str, Value]:
        return {
            "file": self.file,
            "bytes": self.emitted,
            "blocks": self.writer.blocks,
            "complete": False,
            "early-warning": self.writer.early_warning,
            "bytes-on-tape": self.emitted if self.writer.durable else 0,
        }
