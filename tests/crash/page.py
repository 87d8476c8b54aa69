# SPDX-License-Identifier: LGPL-2.1-or-later
"""How a test tells the processes of a daemon at which call they should stop: a page that all of them map.

The test arms one point.  Whoever comes there says so through one pipe and waits for the other; the
test kills whom it wants meanwhile.  Counting, too, is done in the page, so that it goes on over the
end of a worker and begins again when the test says so.
"""

from __future__ import annotations

import mmap
import os
import select
import struct
import threading
from pathlib import Path

from crash.points import Call, Point

_HEAD = struct.Struct("<III64s")                  # mode, number, process number of the worker, stream
_ROW = struct.Struct("<32sI")                     # stream, count
_ROWS = 16
_SIZE = 4096

OFF, TRACE, STOP = range(3)


class Page:
    """The page in ``folder``; the first to come makes it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = folder / "page"
        if not path.exists():
            path.write_bytes(bytes(_SIZE))
            for pipe in ("reached", "go", "noticed", "serving"):
                os.mkfifo(folder / pipe)
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _SIZE)
        self._pipes: dict[str, int] = {}
        self._trace = folder / "trace"
        self._lock = threading.Lock()

    # --- the test's side ------------------------------------------------------------------------

    def arm(self, point: Point | None, *, trace: bool = False) -> None:
        """Count from 0 again, and stop at ``point``; None: nowhere."""
        for row in range(_ROWS):
            _ROW.pack_into(self._map, _HEAD.size + row * _ROW.size, b"", 0)
        mode = TRACE if trace else STOP if point else OFF
        number, stream = (point.number, point.stream) if point else (0, "")
        _HEAD.pack_into(self._map, 0, mode, number, self.worker, stream.encode())
        self._trace.unlink(missing_ok=True)

    def disarm(self) -> None:
        """Stop nowhere any more."""
        struct.pack_into("<I", self._map, 0, OFF)

    @property
    def worker(self) -> int:
        """The process number of the youngest worker."""
        number: int = struct.unpack_from("<I", self._map, 8)[0]
        return number

    def trace(self) -> list[tuple[Point, str]]:
        """Every call since `arm`, by name."""
        lines = (line.split("\t") for line in self._trace.read_text().splitlines())
        return [(Point(stream, int(number)), name) for stream, number, name in lines]

    def pipe(self, name: str) -> int:
        """The pipe ``name``, for both directions, so that it never ends."""
        if name not in self._pipes:
            self._pipes[name] = os.open(self.folder / name, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        return self._pipes[name]

    def drain(self, name: str) -> bytes:
        """What stands in the pipe ``name``."""
        try:
            return os.read(self.pipe(name), 4096)
        except BlockingIOError:
            return b""

    def wait(self, name: str, seconds: float, *others: int) -> bool:
        """Whether something comes through the pipe ``name`` before ``others`` are ready."""
        ready, _, _ = select.select([self.pipe(name), *others], [], [], seconds)
        if self.pipe(name) in ready:
            self.drain(name)
            return True
        return False

    def tell(self, name: str) -> None:
        """Say something through the pipe ``name``."""
        os.write(self.pipe(name), b"!")

    # --- the program's side ---------------------------------------------------------------------

    def count(self, stream: str) -> int:
        """The number of the next call of ``stream``."""
        wanted = stream.encode()
        with self._lock:
            for row in range(_ROWS):
                place = _HEAD.size + row * _ROW.size
                name, number = _ROW.unpack_from(self._map, place)
                name = name.rstrip(b"\0")
                if name in (wanted, b""):
                    _ROW.pack_into(self._map, place, wanted, number + 1)
                    return int(number)
        raise AssertionError(f"more than {_ROWS} streams")

    def hook(self, call: Call) -> None:
        """Stop here, if that is what the test wants."""
        mode, number, _, stream = _HEAD.unpack_from(self._map, 0)
        if mode == TRACE:
            line = f"{call.point.stream}\t{call.point.number}\t{call.name} {os.path.basename(call.path)}\n"
            fd = os.open(self._trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            os.write(fd, line.encode())
            os.close(fd)
        elif mode == STOP and Point(stream.rstrip(b"\0").decode(), number) == call.point:
            self.disarm()
            self.tell("reached")
            select.select([self.pipe("go")], [], [])
            self.drain("go")

    def be_worker(self) -> None:
        """This process is the youngest worker."""
        struct.pack_into("<I", self._map, 8, os.getpid())
