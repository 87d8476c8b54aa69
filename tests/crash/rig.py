# SPDX-License-Identifier: LGPL-2.1-or-later
"""A real daemon with real workers and real clients, each a process, that can be killed at any call.

Daemon and clients are forked from this process, which has imported everything already; the daemon
starts its workers as it always does.  Nothing else is different from an installed one but the file
system behind `points.Points`.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tapeds.daemon
from crash.page import Page
from crash.points import Points
from crash.program import command
from support.daemon import Daemon
from tapeds.service.core import Service

PATIENCE = 60.0
_TURNS = 8                            # of the event loop until the job of a vanished client is told to stop


class Forked:
    """What `support.daemon.Daemon` needs to know of a process."""

    def __init__(self, body: Callable[[], int], log: int) -> None:
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            status = 70
            try:
                os.setsid()
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
                os.dup2(log, 1)
                os.dup2(log, 2)
                sys.stdout = sys.stderr = os.fdopen(2, "w", buffering=1)
                for number in (signal.SIGINT, signal.SIGTERM):
                    signal.signal(number, signal.SIG_DFL)
                status = body()
            finally:
                os._exit(status)

    def poll(self) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            fd = os.pidfd_open(self.pid)
            try:
                assert select.select([fd], [], [], timeout)[0], f"process {self.pid} does not end"
            finally:
                os.close(fd)
            self.poll()
        assert self.returncode is not None
        return self.returncode

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def terminate(self) -> None:
        os.kill(self.pid, signal.SIGTERM)


class CountedDaemon(Daemon):
    """A daemon whose calls, and whose workers' calls, are counted in a page."""

    def __init__(self, folder: Path, config: str, *, wait: bool = True) -> None:
        self.page = Page(folder)
        super().__init__(folder, config, wait=wait)

    def start(self, *, wait: bool = True) -> None:
        self.page.drain("serving")
        log = os.open(self.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._process = Forked(self._serve, log)             # type: ignore[assignment]
        os.close(log)
        if wait:
            self.await_service()

    def await_service(self) -> None:
        """Return when the daemon has its name."""
        fd = os.pidfd_open(self.pid)
        try:
            assert self.page.wait("serving", PATIENCE, fd), f"tapedsd did not start:\n{self.log()}"
        finally:
            os.close(fd)

    def _serve(self) -> int:
        """The daemon's process."""
        os.environ.update(self.environment)
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)      # workers start faster
        os.environ["PYTHONPYCACHEPREFIX"] = str(self.folder.parent / "pyc")
        page = self.page
        points = Points(os, page.hook, below=self.folder, count=page.count)

        class CountedService(Service):
            def __init__(self, *arguments: Any, **options: Any) -> None:
                super().__init__(*arguments, fs=points, **options)

            def caller_vanished(self, name: str) -> None:
                super().caller_vanished(name)
                _after_turns(_TURNS, lambda: page.tell("noticed"))

        real = tapeds.daemon.Daemon._own_the_name

        async def own_the_name(self: tapeds.daemon.Daemon, bus: Any) -> None:
            await real(self, bus)
            page.tell("serving")

        tapeds.daemon.Service = CountedService               # type: ignore[misc]
        tapeds.daemon.Daemon._own_the_name = own_the_name    # type: ignore[method-assign]
        return tapeds.daemon.main(self.arguments, worker_command=command(self.folder))


def _after_turns(turns: int, then: Callable[[], None]) -> None:
    if turns:
        asyncio.get_running_loop().call_soon(_after_turns, turns - 1, then)
    else:
        then()


def stop_process(pid: int) -> None:
    """SIGKILL, and wait until the process is gone; one that is gone already is fine."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(fd, signal.SIGKILL)
        assert select.select([fd], [], [], PATIENCE)[0]
    except ProcessLookupError:
        pass  # it has ended meanwhile
    finally:
        os.close(fd)
