# SPDX-License-Identifier: LGPL-2.1-or-later
"""The service manager as the daemon sees it: a socket for news, a store for descriptors, a name on the bus.

manager = ServiceManager(tmp_path)
daemon = Daemon(tmp_path, config, command=manager.command, environment=manager.environment, policy=POLICY)
manager.appear(daemon.address)
manager.restart(daemon)
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

from support.daemon import Daemon
from tapeds.buslib import Bus, Incoming, Variant

NAME = "org.freedesktop.systemd1"
POLICY = (
    f'<policy user="{os.geteuid()}"><allow own="{NAME}"/></policy>'
    f'<policy context="default"><allow send_destination="{NAME}"/></policy>'
)
UNIT = "/org/freedesktop/systemd1/unit/tapeds_2eservice"
JOB = "/org/freedesktop/systemd1/job/4711"


class ServiceManager:
    """``job`` is the type of the unit's job: "" for none, "hang" for a systemd that does not answer."""

    def __init__(self, folder: Path) -> None:
        self.job = ""
        self.deaf = False                 # removals from the store are lost
        self.messages: list[str] = []
        self.store: dict[str, list[int]] = {}
        self.asked: list[int] = []        # about these processes
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(folder / "notify"))
        self._exec = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._exec.bind(str(folder / "exec"))
        self._exec.listen()
        self.environment = {"NOTIFY_SOCKET": str(folder / "notify")}
        begin = Path(__file__).with_name("stored.py")
        self.command = (sys.executable, str(begin), str(folder / "exec"), sys.executable, "-m", "tapeds")
        self._bus: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._gone: asyncio.Event | None = None
        for work in (self._listen, self._hand_out):
            threading.Thread(target=work, daemon=True).start()

    # --- the store ------------------------------------------------------------------------------

    def _listen(self) -> None:
        while True:
            try:
                data, fds, _, _ = socket.recv_fds(self._notify, 4096, 16)
            except OSError:
                return
            self._take(data.decode(), fds)

    def _take(self, text: str, fds: list[int]) -> None:
        lines = dict(line.partition("=")[::2] for line in text.splitlines())
        name = lines.get("FDNAME", "stored")
        if lines.get("FDSTORE") == "1":
            self.store.setdefault(name, []).extend(fds)
        elif lines.get("FDSTOREREMOVE") == "1" and not self.deaf:
            self.drop(name)
        elif lines.get("BARRIER") == "1":
            for fd in fds:
                os.close(fd)
        self.messages.append(text)

    def drop(self, *names: str) -> None:
        """Close descriptors of the store, by default all."""
        for name in names or tuple(self.store):
            for fd in self.store.pop(name, []):
                os.close(fd)

    def settle(self) -> None:
        """Return when everything said so far is heard."""
        mark = f"X_MARK={len(self.messages)}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(mark.encode(), self.environment["NOTIFY_SOCKET"])
        while mark not in self.messages:
            threading.Event().wait(0.005)

    def _hand_out(self) -> None:
        """Give all that is in the store to a daemon that is about to begin."""
        while True:
            try:
                connection, _ = self._exec.accept()
            except OSError:
                return
            with connection:
                pairs = [(name, fd) for name, fds in self.store.items() for fd in fds]
                names = json.dumps([name for name, _ in pairs]).encode()
                socket.send_fds(connection, [names], [fd for _, fd in pairs])

    # --- the name -------------------------------------------------------------------------------

    def appear(self, address: str) -> None:
        """Be found on the bus at ``address``."""
        ready = threading.Event()
        self._bus = threading.Thread(target=lambda: asyncio.run(self._serve(address, ready)), daemon=True)
        self._bus.start()
        assert ready.wait(30), "the fake systemd did not get its name"

    async def _serve(self, address: str, ready: threading.Event) -> None:
        self._loop, self._gone = asyncio.get_running_loop(), asyncio.Event()
        bus = await Bus.connect(address)
        bus.serve(lambda call: self._answer(bus, call))
        await bus.request_name(NAME)
        ready.set()
        await self._gone.wait()
        await bus.close()

    def _answer(self, bus: Bus, call: Incoming) -> None:
        match call.path, call.member, call.body:
            case _ if self.job == "hang":
                return
            case "/org/freedesktop/systemd1", "GetUnitByPID", [pid]:
                self.asked.append(pid)
                bus.reply(call, "o", [UNIT])
            case path, "Get", ["org.freedesktop.systemd1.Unit", "Job"] if path == UNIT:
                value = [4711, JOB] if self.job else [0, "/"]
                bus.reply(call, "v", [Variant("(uo)", value)])
            case path, "Get", ["org.freedesktop.systemd1.Job", "JobType"] if path == JOB:
                bus.reply(call, "v", [Variant("s", self.job)])
            case _:
                bus.fail(call, "org.freedesktop.DBus.Error.UnknownMethod", f"{call.path} {call.member}")

    # --- the unit -------------------------------------------------------------------------------

    def stop(self, daemon: Daemon, job: str = "stop") -> None:
        """End the daemon, and run what the unit runs after it."""
        self.job = job
        assert daemon.terminate() == 0
        self.stop_post(daemon)
        self.settle()

    def stop_post(self, daemon: Daemon) -> None:
        """The unit's ExecStopPost."""
        subprocess.run(
            [sys.executable, "-m", "tapeds", *daemon.arguments, "--release-all"],
            env=daemon.environment, check=True, cwd=daemon.folder,
        )  # fmt: skip

    def start(self, daemon: Daemon) -> None:
        """Start the daemon with all that is in the store."""
        self.job = ""
        daemon.start()
        self.settle()

    def restart(self, daemon: Daemon) -> None:
        """What ``systemctl restart`` does."""
        self.stop(daemon, "restart")
        self.start(daemon)

    def close(self) -> None:
        """Be gone."""
        if self._loop is not None and self._gone is not None and self._bus is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._gone.set)
            self._bus.join(30)
        for listening in (self._notify, self._exec):
            listening.shutdown(socket.SHUT_RDWR)
            listening.close()
        self.drop()
