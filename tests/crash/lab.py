# SPDX-License-Identifier: LGPL-2.1-or-later
"""A service and its workers in this process, over one recorded file system that can fail and lose power.

The service is the real one, without a bus; a worker is the real `tapeds.worker.main.run` on a
socket pair, in a thread instead of a process.  Every call of both to the file system goes through
`points.Points` and then through one `Ledger`, so that there is one record of everything, in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import shutil
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import tapeds.service.workers
import tapeds.worker.main
from crash.checks import admitted
from crash.images import wrong_image
from crash.ledger import Ledger
from crash.points import Call, Points
from crash.story import (
    DRIVE,
    NEW_UUID,
    OLD,
    OLD_UUID,
    STEPS,
    TAPE,
    Refused,
    TapeFile,
    Truth,
    label_anew,
    label_set,
    play,
    until_told,
)
from support.powerloss import Image, NeverSynchronised, PowerCut
from tapeds.config.models import Config
from tapeds.errors import TapeError
from tapeds.jobs.caller import Caller
from tapeds.names import Operation
from tapeds.service.core import Directories, Service
from tapeds.service.timings import Timings
from tapeds.worker.logs import LinkHandler

MIB = 1 << 20
UUID = NEW_UUID.format(0)
CLIENT = Caller(":1.7", os.getuid(), os.getpid())
NEXT_CLIENT = Caller(":1.8", os.getuid(), os.getpid())
TIMINGS = Timings(lock=10.0, lock_poll=0.01, idle=600.0)

_OPERATIONS = {
    "LoadMedia": Operation.LOAD_MEDIA,
    "LabelTape": Operation.LABEL_TAPE,
    "WriteMediaSetLabel": Operation.WRITE_MEDIA_SET_LABEL,
    "ListFiles": Operation.LIST_FILES,
    "VerifyTape": Operation.VERIFY_TAPE,
    "VerifyFile": Operation.VERIFY_FILE,
    "MoveToFile": Operation.MOVE_TO_FILE,
    "ReadLabel": Operation.READ_LABEL,
    "EjectMedia": Operation.EJECT_MEDIA,
}
_THREADS: set[int] = set()            # that are workers
_NUMBERS = itertools.count(1)


@contextlib.contextmanager
def _sent_to(link: Any) -> Iterator[None]:
    """As `tapeds.worker.logs.sent_to`, for the records of this thread only."""
    own = threading.get_ident()
    handler = LinkHandler(link)
    handler.addFilter(lambda record: record.thread == own)
    logger = logging.getLogger("tapeds")
    _THREADS.add(own)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        _THREADS.discard(own)


class Lines(logging.Handler):
    """Everything that the service says, and its workers through it."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.addFilter(lambda record: record.thread not in _THREADS)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))

    def __str__(self) -> str:
        return "\n".join(self.lines)


class WorkerThread:
    """Stands for `tapeds.service.process.Process`: a worker that is a thread."""

    points: Callable[[], Points]

    def __init__(self, theirs: socket.socket) -> None:
        self.pid = next(_NUMBERS)
        self.status = ""
        self._loop = asyncio.get_running_loop()
        self._done: asyncio.Future[None] = self._loop.create_future()
        self._stop, self._stopped = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._socket = socket.socket(fileno=os.dup(theirs.fileno()))
        self._points = type(self).points()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    @classmethod
    async def start(cls, command: Any, theirs: socket.socket) -> WorkerThread:
        return cls(theirs)

    async def ended(self) -> str:
        await asyncio.shield(self._done)
        return self.status

    async def end(self, grace_seconds: float) -> str:
        with contextlib.suppress(OSError):
            os.write(self._stopped, b"!")
        return await self.ended()

    def _run(self) -> None:
        try:
            with self._socket:
                status = tapeds.worker.main.run(self._socket, self._points, stop_fd=self._stop)
            self.status = f"ended with status {status}"
        except PowerCut:
            self.status = "was killed by signal 9"
            self._points.drop()
        finally:
            os.close(self._stop)
            os.close(self._stopped)
            self._loop.call_soon_threadsafe(self._done.set_result, None)


class LabStage:
    """The script's stage on a service in this process."""

    def __init__(self, service: Service, caller: Caller = CLIENT) -> None:
        self.unit = service.drives[DRIVE]
        self.service = service
        self.caller = caller
        self._session: Any = None

    @property
    def _path(self) -> str:
        return self._session.path if self._session is not None else ""

    async def job(self, member: str, arguments: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
        given = {**arguments, **options}
        with _refusals():
            if member == "LoadMedia":
                changer = self.service.changers[DRIVE]
                started = await changer.start(self.caller, _OPERATIONS[member], given, session=self._path)
            else:
                started = await self.unit.start(self.caller, _OPERATIONS[member], given, session=self._path)
            return await started.wait()

    async def write(self, file: TapeFile, text: str = "") -> dict[str, Any]:
        given = {"durable": file.durable, "digest": "sha256"}
        with _refusals():
            job, fd = await self.unit.start_write(self.caller, given, session=self._path)
            assert fd is not None
            feeder = asyncio.create_task(asyncio.to_thread(_give, fd, file.data))
            try:
                await self.told(text)
                await job.commit(len(file.data), file.sha256)
            finally:
                result = await job.wait()
                await feeder
            return result

    async def read(self, file: int) -> tuple[bytes, dict[str, Any]]:
        with _refusals():
            await self.job("MoveToFile", {"file": file}, {})
            job, fd = await self.unit.start_read(self.caller, {"digest": "sha256"}, session=self._path)
            assert fd is not None
            taker = asyncio.create_task(asyncio.to_thread(_take, fd))
            try:
                result = await job.wait()
            finally:
                data = await taker
            return data, result

    async def acquire(self) -> None:
        with _refusals():
            self._session = await self.unit.acquire(self.caller)

    async def told(self, text: str) -> None:
        await until_told(self.service.shared.dirs.runtime / "drives" / DRIVE, text)

    async def release(self) -> None:
        session, self._session = self._session, None
        with _refusals():
            await session.release(self.caller, force=True)


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except TapeError as error:
        raise Refused(error.name, str(error)) from error


def _give(fd: int, data: bytes) -> None:
    with contextlib.suppress(BrokenPipeError), open(fd, "wb", buffering=0) as pipe:
        view = memoryview(data)
        while view:
            view = view[pipe.write(view) :]


def _take(fd: int) -> bytes:
    with open(fd, "rb") as pipe:
        return pipe.read()


class Run:
    """One play of the script in a lab: what was promised when, and what came of it."""

    def __init__(self, ledger: Ledger) -> None:
        self.truths = [(0, Truth(UUID))]
        self.marks: list[tuple[int, bool | None]] = [(0, None)]
        self.failure: Refused | None = None
        self.cut = False
        """Whether a worker was killed, and nothing has been released since."""
        self._ledger = ledger

    @property
    def truth(self) -> Truth:
        """What is known at the end."""
        return self.truths[-1][1]

    def note(self, kind: str, step: str) -> None:
        """From now on something else is true."""
        if kind == "begun" and self.marks[-1][1] is False:
            self.mark(None)
        idle = "acquire" not in self.truth.begun or step == "release"
        if kind == "done" and idle and not self.cut:
            self.mark(False)
        self.truths.append((len(self._ledger.log), self.truth.after(kind, step)))

    def mark(self, marked: bool | None) -> None:
        """From now on the open marker must be there, or must be gone, or may be either."""
        self.marks.append((len(self._ledger.log), marked))

    def at(self, position: int) -> Truth:
        """What was known when ``position`` changes had been made."""
        return next(truth for since, truth in reversed(self.truths) if since <= position)

    def marked(self, position: int) -> bool | None:
        """Whether the open marker had to be there (True) or had to be gone (False) at that moment."""
        return next(mark for since, mark in reversed(self.marks) if since <= position)


class Lab:
    """Directories below ``base``, and services on them, one after the other.

    ``hook`` is asked before every call (`points.Hook`); ``ignore_sync`` as in `Recorder`.  A lab that
    is not ``recorded`` does not wait for the disk and remembers nothing.
    """

    def __init__(
        self,
        base: Path,
        *,
        hook: Callable[[Call], None] = lambda call: None,
        ignore_sync: Callable[[str], bool] | None = None,
        recorded: bool = True,
    ) -> None:
        for name in ("tapes", "lock"):
            (base / name).mkdir(parents=True, exist_ok=True)
        self.base = base
        self.tapes = base / "tapes"
        self.state = base / "state"
        self.runtime = base / "run"
        self.ledger = Ledger(base, ignore_sync=ignore_sync)
        self.log = Lines()
        self.hook = hook
        self.run = Run(self.ledger)
        self._inner = self.ledger if recorded else NeverSynchronised()
        self._lock = threading.Lock()

    def _tell(self, call: Call) -> None:
        lock = call.path.endswith("/.drive.lck")
        if lock and call.name == "close":
            self.run.mark(None)
        try:
            self.hook(call)
        except PowerCut:
            self.run.cut = True
            self.run.mark(None)
            raise
        if lock and call.name == "open":
            self.run.mark(True)

    def points(self, below: Path | None = None) -> Points:
        """A door to the recorded file system."""
        return Points(self._inner, self._tell, below=below, lock=self._lock)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Service]:
        """A started service, and its end."""
        drive = {"type": "virtual", "path": str(self.tapes), "max-size": 64 * MIB, "buffer": 2 * MIB}
        config = Config.model_validate({"drive": {DRIVE: drive}})
        dirs = Directories(self.runtime, self.base / "lock", self.state, self.base / "sys")
        worker = self.points()

        class Worker(WorkerThread):
            points = staticmethod(lambda: worker)

        logger = logging.getLogger("tapeds")
        before = logger.level, logger.propagate
        logger.addHandler(self.log)
        logger.setLevel(logging.INFO)
        logger.propagate = False
        process, sent_to = tapeds.service.workers.Process, tapeds.worker.main.sent_to
        tapeds.service.workers.Process = Worker                    # type: ignore[misc, assignment]
        tapeds.worker.main.sent_to = _sent_to
        service = Service(config, dirs, timings=TIMINGS, fs=self.points(self.base))
        try:
            with _refusals():
                await service.start()
            yield service
        finally:
            await service.stop()
            logger.removeHandler(self.log)
            logger.level, logger.propagate = before
            tapeds.service.workers.Process, tapeds.worker.main.sent_to = process, sent_to

    def play(
        self, steps: Sequence[str] = STEPS, then: Callable[[LabStage], Awaitable[None]] | None = None
    ) -> Run:
        """Start a service, play the script on it as far as it goes, do what comes ``then``, stop it."""
        run = self.run

        async def story() -> None:
            async with asyncio.timeout(120), self.running() as service:
                unit = service.drives[DRIVE]
                unit.changed.connect(lambda unit: promised(unit.durable_file))
                unit.durability_lost.connect(lambda lost: run.note("lost", str(lost[1])))
                try:
                    await play(LabStage(service), run.note, UUID, steps)
                except Refused as refused:
                    run.failure = refused
                service.caller_vanished(CLIENT.name)
                if then is not None:
                    await then(LabStage(service, NEXT_CLIENT))

        def promised(file: int) -> None:
            if file > run.truth.durable_file:
                run.note("durable", str(file))

        asyncio.run(story())
        return run

    def again(self, then: Callable[[LabStage], Awaitable[None]]) -> None:
        """Start another service, do something, stop it."""

        async def story() -> None:
            async with asyncio.timeout(120), self.running() as service:
                await then(LabStage(service, NEXT_CLIENT))

        asyncio.run(story())

    def images(self, *, since: int = 0) -> Iterator[Image]:
        """Every different state that a loss of power from change ``since`` on may leave."""
        asked = {position for position, _ in (*self.run.truths, *self.run.marks)}
        return self.ledger.images(since=since, more_expected=asked)

    def faults(self, *, since: int = 0, of_service: bool = True) -> Iterator[str]:
        """What is wrong with any of them, before anything has been started again.

        Not ``of_service``: what has failed to be written may be missing of the service's own records.
        """
        run = self.run
        known = admitted(str(self.log))
        for image in self.images(since=since):
            place = image.position
            marked = run.marked(place) if of_service else None
            for fault in wrong_image(image, self.base, run.at(place), marked=marked, admitted=known):
                yield f"after {place} changes, without {image.lost}: {fault}"


def fresh(base: Path, template: Path) -> Path:
    """``base``, made anew with a copy of the tapes in ``template``."""
    shutil.rmtree(base, ignore_errors=True)
    shutil.copytree(template, base / "tapes")
    return base


def template(base: Path) -> Path:
    """A directory with the tape as it was used before the script."""
    lab = Lab(base, recorded=False)

    async def use() -> None:
        async with lab.running() as service:
            stage = LabStage(service)
            await stage.job("LoadMedia", {"label-text": TAPE}, {"create": True})
            await label_anew(stage, OLD_UUID)
            await label_set(stage, OLD_UUID)
            await stage.write(OLD)
            await stage.job("EjectMedia", {}, {})

    asyncio.run(use())
    return lab.tapes
