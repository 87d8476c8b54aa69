# SPDX-License-Identifier: LGPL-2.1-or-later
"""A worker as a process: started with one descriptor, watched to its end, ended when idle."""

from __future__ import annotations

import asyncio
import os
import signal
import site
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import tapeds

WORKER_COMMAND: tuple[str, ...] = (sys.executable, "-m", "tapeds.worker")

# What systemd tells the daemon about itself is not for its children.
_NOT_INHERITED = frozenset(
    {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"}
)
_FIRST_LOOK_SECONDS = 0.01
_LONGEST_LOOK_SECONDS = 0.5


def environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment in which a worker imports the same tapeds as this process, and no other directory's."""
    result = {key: value for key, value in inherited.items() if key not in _NOT_INHERITED}
    here = str(Path(tapeds.__file__).resolve().parent.parent)
    if here not in site.getsitepackages():     # installed packages must not come before the standard library
        others = [path for path in result.get("PYTHONPATH", "").split(os.pathsep) if path not in ("", here)]
        result["PYTHONPATH"] = os.pathsep.join([here, *others])
    result["PYTHONSAFEPATH"] = "1"
    return result


class Process:
    """One worker process; `ended` tells how it ended, once it has."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self.pid = child.pid
        self._child = child
        self._reaper: asyncio.Task[str] | None = None

    @classmethod
    async def start(cls, command: Sequence[str], theirs: socket.socket) -> Process:
        """Run ``command`` with the socket ``theirs`` as its only descriptor beside the standard ones.

        It gets a session of its own: a Ctrl-C at the terminal is for the daemon alone.  Raises OSError.
        """
        child = await asyncio.to_thread(
            subprocess.Popen,
            [*command, "--fd", str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(),),
            start_new_session=True,
            env=environment(os.environ),
        )
        return cls(child)

    async def ended(self) -> str:
        """How the process ended, for example ``was killed by signal 9``.  Never kills it."""
        if self._reaper is None:
            self._reaper = asyncio.create_task(self._reap())
        return await asyncio.shield(self._reaper)

    async def end(self, grace_seconds: float) -> str:
        """End a process that has no device: SIGTERM, then SIGKILL."""
        self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace_seconds):
                return await self.ended()
        except TimeoutError:
            self._signal(signal.SIGKILL)
            return await self.ended()

    async def _reap(self) -> str:
        wait = _FIRST_LOOK_SECONDS
        while (status := self._child.poll()) is None:
            await asyncio.sleep(wait)
            wait = min(2 * wait, _LONGEST_LOOK_SECONDS)
        return f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"

    def _signal(self, number: signal.Signals) -> None:
        if self._child.poll() is None:
            self._child.send_signal(number)
