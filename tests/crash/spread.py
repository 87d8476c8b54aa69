# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many small runs, shared out among a few processes."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_MEMORY = Path("/dev/shm")

Work = Callable[[Path, Sequence[T]], Iterator[str]]


@contextlib.contextmanager
def quick_folder() -> Iterator[Path]:
    """A new folder, in memory where that is possible: nothing here is to wait for a disk."""
    where = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="tapeds-crash-", dir=where))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def spread(items: Sequence[T], work: Work[T], processes: int) -> list[str]:
    """What ``work`` finds wrong: each process does it in a folder of its own with its share of ``items``.

    ``work`` starts after a fork, so this process may have no thread and no event loop.
    """
    found: list[str] = []
    children: dict[int, int] = {}
    selector = selectors.DefaultSelector()
    with quick_folder() as folder:
        try:
            for number in range(processes):
                source, sink = os.pipe2(os.O_CLOEXEC)
                pid = os.fork()
                if pid == 0:
                    _be_child(work, folder / str(number), items[number::processes], sink)
                os.close(sink)
                children[source] = pid
                selector.register(source, selectors.EVENT_READ)
            rest = dict.fromkeys(children, b"")
            while children:
                for key, _ in selector.select():
                    source = key.fd
                    piece = os.read(source, 1 << 20)
                    *lines, rest[source] = (rest[source] + piece).split(b"\n")
                    found += [json.loads(line) for line in lines]
                    if not piece:
                        selector.unregister(source)
                        os.close(source)
                        status = os.waitstatus_to_exitcode(os.waitpid(children.pop(source), 0)[1])
                        if status:
                            found.append(f"a process of the test ended with status {status}")
        finally:
            for source, pid in children.items():
                os.kill(pid, signal.SIGTERM)
                os.waitpid(pid, 0)
                os.close(source)
    return found


def _be_child(work: Work[T], folder: Path, items: Sequence[T], sink: int) -> None:
    status = 1
    try:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        folder.mkdir()
        try:
            for fault in work(folder, items):
                os.write(sink, json.dumps(fault).encode() + b"\n")
            status = 0
        except BaseException:
            os.write(sink, json.dumps(traceback.format_exc()).encode() + b"\n")
    finally:
        os._exit(status)


def tell(found: Sequence[str], most: int = 20) -> str:
    """The first of what was found, one to a line."""
    return "\n".join([f"{len(found)} faults:", *(fault[:2000] for fault in found[:most])])
