# SPDX-License-Identifier: LGPL-2.1-or-later
"""One file from tape to a caller.

Whatever stands before a fault is delivered first; only then does the fault become the error.  So
the caller has all that can be had of a damaged or incomplete file, and still knows what it is.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from tapeds.drive.base import Drive
from tapeds.errors import Incomplete, MalformedData, TapeError, Value
from tapeds.media import pump
from tapeds.media.control import Control
from tapeds.media.descriptors import Sink, open_sink
from tapeds.media.digest import new_sha256
from tapeds.media.header import HEADER, FileHeader, Kind, kind_of
from tapeds.media.pump import Outflow, Ring
from tapeds.media.stream import BlockReader


@dataclass(frozen=True)
class ReadPlan:
    """What the caller wants of a file."""

    raw_header: bool = False             # all of the payload, a header of ours included
    digest: bool = False                 # tell the SHA-256 in the result


@dataclass(frozen=True)
class FileRead:
    """A file that has been delivered, whole."""

    file: int
    bytes: int                           # given to the caller
    complete: bool
    name: str                            # of a header of ours that was stripped, else empty
    attributes: dict[str, Any] | None
    content_kind: Kind
    sha256: str                          # hex, or empty
    waits: int                           # how often the pump waited for the caller
    stops: int                           # how often the drive had to stop because the ring was full


def read_file(drive: Drive, fd: int, owned: bool, plan: ReadPlan, control: Control, ring: Ring) -> FileRead:
    """Read the file at whose beginning the head stands, and give it to ``fd``.

    ``fd`` stays open; ``owned`` says that it is our own end of a pipe.  A header of ours is taken
    off.  Raises EndOfData, UnexpectedFilemark, Incomplete, MalformedData, MediumError, ClientGone,
    Io and whatever ``control`` raises, each with at least ``file``, ``bytes`` and ``complete`` in its data.
    """
    sink = open_sink(fd, owned=owned)
    try:
        return _Read(drive, sink, plan, control, ring).run()
    finally:
        sink.close()


class _Read:
    """The state of one transfer from tape."""

    def __init__(self, drive: Drive, sink: Sink, plan: ReadPlan, control: Control, ring: Ring) -> None:
        self.reader = BlockReader(drive, drive.position().file)
        self.sink = sink
        self.plan = plan
        self.control = control
        self.outflow = Outflow(ring)
        self.refill = min(ring.thresholds.refill, self.outflow.free)
        self.ahead = ring.thresholds.ahead
        self.quick = True                            # the drive answers faster than a tape could
        self.hasher = new_sha256() if plan.digest else None
        self.header = FileHeader()
        self.kind = Kind.UNKNOWN
        self.fault: TapeError | None = None          # why nothing more can be read
        self.stopped = False                         # the drive waits for free blocks
        self.delivered = 0
        self.waits = self.stops = 0

    def run(self) -> FileRead:
        file = self.reader.file
        try:
            self.control.report(0, file=file)
            self._stream()
            self._judge()
        except TapeError as exc:
            exc.data.update(self._facts())
            raise
        self.control.report(self.delivered, self.delivered, file=file)
        return FileRead(
            file=file,
            bytes=self.delivered,
            complete=True,
            name=self.header.name,
            attributes=self.header.attributes,
            content_kind=self.kind,
            sha256=self.hasher.hexdigest() if self.hasher else "",
            waits=self.waits,
            stops=self.stops,
        )

    def _stream(self) -> None:
        """Read and deliver until the file has ended, or a fault."""
        while True:
            self.control.poll()
            self._deliver()
            if self._may_read():
                self._read_block()
            elif self.outflow.pending:
                self.waits += 1
                self.control.wait(self.sink.fd, writing=True)
            else:
                return

    def _may_read(self) -> bool:
        """Whether there is more to read and room for it; a drive that had to stop waits for more room."""
        if self.fault is not None or self.reader.ended:
            return False
        if self.quick and self.outflow.pending >= self.ahead:
            return False
        if self.outflow.free == 0 and not self.stopped:
            self.stopped = True
            self.stops += 1
        if self.stopped and self.outflow.free >= self.refill:
            self.stopped = False
        return not self.stopped

    def _read_block(self) -> None:
        block = self.outflow.block()
        first = self.reader.block == 0
        began = time.monotonic()
        try:
            header = self.reader.read(block)
            self.quick = time.monotonic() - began < pump.QUICK_SECONDS
            if header is None:
                return
            start = self._open(block[HEADER : HEADER + header.size]) if first else 0
        except TapeError as exc:
            self.fault = exc
            return
        if self.hasher is not None:
            self.hasher.update(block[HEADER + start : HEADER + header.size])
        self.outflow.add(start, header.size)

    def _open(self, payload: memoryview) -> int:
        """Look at the first payload of the file: how many bytes of it are a header to take off."""
        self.kind = kind_of(payload)
        if self.kind is not Kind.FILE or self.plan.raw_header:
            return 0
        try:
            self.header, length = FileHeader.unpack(payload)
        except MalformedData as exc:
            place: dict[str, Value] = {"file": self.reader.file, "block": 0}
            raise MalformedData(f"file {self.reader.file}, block 0: {exc}", place) from exc
        return length

    def _deliver(self) -> None:
        """Give the caller what it takes now."""
        before = self.delivered
        while self.outflow.pending:
            count = self.sink.write(self.outflow.first())
            if count is None:
                break
            self.outflow.sent(count)
            self.delivered += count
        if self.delivered != before:
            self.control.report(self.delivered, file=self.reader.file)

    def _judge(self) -> None:
        """Everything has been delivered: say whether it was the whole file."""
        if self.fault is not None:
            raise self.fault
        if not self.reader.end_marker:
            raise Incomplete(f"file {self.reader.file}: detected tape stream without end marker")
        if self.reader.incomplete:
            raise Incomplete(f"file {self.reader.file} is marked incomplete: its writer did not finish it")

    def _facts(self) -> dict[str, Value]:
        facts: dict[str, Value] = {"file": self.reader.file, "bytes": self.delivered, "complete": False}
        if self.header.name:
            facts["name"] = self.header.name
        if self.header.attributes:
            facts["attributes"] = self.header.attributes
        if self.hasher is not None and not self.outflow.pending:
            facts["sha256"] = self.hasher.hexdigest()
        return facts
