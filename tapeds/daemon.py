# SPDX-License-Identifier: LGPL-2.1-or-later
"""``tapedsd``: builds every room, connects the doors, and takes everything down in the right order."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import signal
import time
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path

import tapeds
from tapeds import journal, names
from tapeds.buslib import Bus, CallError, Error
from tapeds.buslib.schema import api
from tapeds.config.load import load
from tapeds.dbus import unit
from tapeds.dbus.callers import Callers
from tapeds.dbus.exports import Exports
from tapeds.dbus.polkit import Polkit
from tapeds.dbus.server import Server
from tapeds.errors import InvalidConfig, Io, TapeError
from tapeds.names import Field, MessageId
from tapeds.service.core import Directories, Service
from tapeds.service.process import WORKER_COMMAND
from tapeds.service.release import release_all
from tapeds.service.restart import Legacy

log = logging.getLogger(__name__)

DRAIN_SECONDS = 5.0
BARRIER_SECONDS = 5.0

_REMEDIES = {
    Error.ACCESS_DENIED: (
        f"the bus policy lets only root and _tapeds own it: install dbus/{names.BUS_NAME}.conf in"
        " /usr/share/dbus-1/system.d and reload the bus, or start tapedsd as one of them"
    ),
    Error.ADDRESS_IN_USE: "another tapedsd has it: stop that one first",
}


class Exit(IntEnum):
    """The exit status of tapedsd."""

    STOPPED = 0
    FAILED = 1
    CONFIG = 78  # EX_CONFIG, which systemd shows as such


def main(argv: Sequence[str] | None = None, *, worker_command: Sequence[str] = WORKER_COMMAND) -> int:
    """Run the daemon until it is told to stop; returns the exit status."""
    arguments = _parser().parse_args(argv)
    journal.setup(names.SYSLOG_IDENTIFIER)
    directories = Directories(
        runtime=Path(arguments.runtime_dir),
        lock=Path(arguments.lock_dir),
        state=Path(arguments.state_dir),
        sysfs=Path(arguments.sysfs_root),
    )
    try:
        if arguments.release_all:
            return asyncio.run(_release_all(arguments.config, directories, worker_command))
        daemon = Daemon(arguments.config, directories, arguments.address, worker_command)
        return asyncio.run(daemon.run())
    except InvalidConfig as exc:
        _complain(exc)
        return Exit.CONFIG
    except (TapeError, CallError) as exc:
        log.critical("%s", exc.text if isinstance(exc, CallError) else exc)
        return Exit.FAILED


class Daemon:
    """One run: from the configuration to the last answer."""

    def __init__(
        self, config_file: str, directories: Directories, address: str | None, worker_command: Sequence[str]
    ) -> None:
        self._config_file = config_file
        self._directories = directories
        self._address = address
        self._worker_command = worker_command
        self._notifier = Notifier()
        self._ended: asyncio.Future[Exit]
        self._told_to_stop = False
        self._reloading: asyncio.Task[None] | None = None

    async def run(self) -> Exit:
        """Serve until a signal comes, or bus or name are lost.  Raises InvalidConfig, CallError, Io."""
        self._ended = asyncio.get_running_loop().create_future()
        config = load(self._config_file)
        bus = await Bus.connect(self._address)
        service = Service(
            config, self._directories, worker_command=self._worker_command, config_file=self._config_file
        )
        callers = Callers(bus)
        server = _open_the_doors(bus, service, callers)
        self._listen(bus, service)
        watchdog = asyncio.create_task(self._notifier.watch())
        try:
            await service.start(Legacy(self._notifier.inherited(), self._notifier, callers.is_there))
            await self._own_the_name(bus)
            service.tell_losses()
            self._notifier.tell("READY=1", f"STATUS=serving {len(service.drives)} drives")
            _spare_the_collector()
            log.info("tapedsd %s serves %d drives", tapeds.__version__, len(service.drives))
            return await self._ended
        finally:
            self._ended.cancel()                 # from here on a lost bus is no news
            await self._take_down(bus, service, server)
            watchdog.cancel()

    def _listen(self, bus: Bus, service: Service) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end, Exit.STOPPED, f"told to stop by {number.name}")
        loop.add_signal_handler(signal.SIGHUP, self._reload, service)
        bus.closed.add_done_callback(lambda _: self._end(Exit.FAILED, "the connection to the bus is lost"))

    async def _own_the_name(self, bus: Bus) -> None:
        """Take the bus name, the last thing before the first answer.  Raises CallError."""
        try:
            await bus.request_name(names.BUS_NAME)
        except CallError as exc:
            remedy = _REMEDIES.get(exc.name, "")
            text = f"cannot own the bus name {names.BUS_NAME}: {exc.text}"
            raise CallError(exc.name, f"{text}; {remedy}" if remedy else text) from exc

    def _end(self, result: Exit, why: str) -> None:
        if not self._ended.done():
            log.log(logging.INFO if result is Exit.STOPPED else logging.ERROR, "%s", why)
            self._told_to_stop = result is Exit.STOPPED
            self._ended.set_result(result)

    def _reload(self, service: Service) -> None:
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.create_task(self._read_config_again(service))

    async def _read_config_again(self, service: Service) -> None:
        self._notifier.tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            await service.reload()
        except TapeError as exc:
            _complain(exc)
        self._notifier.tell("READY=1", f"STATUS=serving {len(service.drives)} drives")

    async def _take_down(self, bus: Bus, service: Service, server: Server) -> None:
        """Release every device, answer every call, and only then leave the bus."""
        self._notifier.tell("STOPPING=1", "STATUS=releasing the drives")
        restarting = self._told_to_stop and self._notifier.there and await unit.is_restarting(bus)
        await service.stop("shutdown", store=self._notifier if restarting else None)
        await server.close()
        if not bus.closed.done():
            try:
                async with asyncio.timeout(DRAIN_SECONDS):
                    await bus.drain()
            except (TimeoutError, CallError):
                log.warning("some last messages could not be delivered")
        await bus.close()


def _spare_the_collector() -> None:
    """Let the garbage collector not look again and again at what was imported and stays.

    A full collection took 25 ms, in which nobody was answered.
    """
    gc.collect()
    gc.freeze()


def _complain(exc: TapeError) -> None:
    """Tell every problem of a configuration, one line each."""
    for line in str(exc).splitlines():
        log.error("%s", line, extra={Field.MESSAGE_ID: MessageId.CONFIG_ERROR})


def _open_the_doors(bus: Bus, service: Service, callers: Callers) -> Server:
    """Put the service on the bus; it can be found once the name is owned."""
    polkit = Polkit(bus)
    server = Server(bus, api(), callers, polkit)
    Exports(server, service, polkit)
    callers.vanished.connect(polkit.forget_caller)
    callers.vanished.connect(service.caller_vanished)
    server.serve()
    return server


class Notifier:
    """What is told to the service manager, if there is one, and what it keeps.  Ref: sd_notify(3).

    As a `Store` it keeps descriptors while its unit is restarted.
    """

    def __init__(self) -> None:
        self._watchdog_usec = 0
        if os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid()):
            self._watchdog_usec = int(os.environ.get("WATCHDOG_USEC", "0"))

    @property
    def there(self) -> bool:
        """Whether there is a service manager."""
        return "NOTIFY_SOCKET" in os.environ

    def tell(self, *lines: str, fds: Sequence[int] = ()) -> None:
        """Send ``lines`` and copies of ``fds``; nothing happens without a service manager."""
        if self.there:
            from systemd import daemon  # memory: not where nobody listens

            daemon.notify("\n".join(lines), fds=list(fds))

    def inherited(self) -> dict[str, list[int]]:
        """The descriptors that were kept, by name; whoever asks has them."""
        found: dict[str, list[int]] = {}
        if "LISTEN_FDS" in os.environ:
            from systemd import daemon

            for fd, name in daemon.listen_fds_with_names().items():
                found.setdefault(name, []).append(fd)
        return found

    def keep(self, name: str, fd: int) -> None:
        """As `Store`."""
        try:
            self.tell("FDSTORE=1", f"FDNAME={name}", fds=[fd])
        except OSError as exc:
            raise Io(f"systemd does not take descriptor {name}: {exc.strerror}") from exc

    def forget(self, name: str) -> None:
        """As `Store`."""
        try:
            self.tell("FDSTOREREMOVE=1", f"FDNAME={name}")
        except OSError as exc:
            log.warning("systemd does not let go of descriptor %s: %s", name, exc.strerror)

    async def settle(self) -> None:
        """As `Store`.  Ref: sd_notify_barrier(3)."""
        heard, barrier = os.pipe2(os.O_CLOEXEC)
        try:
            self.tell("BARRIER=1", fds=[barrier])
        except OSError as exc:
            log.warning("systemd does not say whether it has heard everything: %s", exc.strerror)
        finally:
            os.close(barrier)               # systemd closes its copy when it comes to it
        with open(heard, "rb", buffering=0) as pipe:
            done = asyncio.Event()
            loop = asyncio.get_running_loop()
            loop.add_reader(pipe, done.set)
            try:
                async with asyncio.timeout(BARRIER_SECONDS):
                    await done.wait()
            except TimeoutError:
                log.warning("systemd has not said in %g s that it has heard everything", BARRIER_SECONDS)
            finally:
                loop.remove_reader(pipe)

    async def watch(self) -> None:
        """Say at half the watchdog's time that the event loop still runs."""
        while self._watchdog_usec:
            self.tell("WATCHDOG=1")
            await asyncio.sleep(self._watchdog_usec / 2_000_000)


async def _release_all(config_file: str, directories: Directories, worker_command: Sequence[str]) -> Exit:
    """Release what an earlier run left open; no lock is taken, and no bus is needed."""
    failed = await release_all(load(config_file), directories, worker_command=worker_command)
    return Exit.FAILED if failed else Exit.STOPPED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tapedsd", description="The tape drive service.")
    parser.add_argument("--config", metavar="FILE", default=names.CONFIG_FILE, help="default: %(default)s")
    parser.add_argument(
        "--runtime-dir", metavar="DIR", default=names.RUNTIME_DIR, help="default: %(default)s"
    )
    parser.add_argument("--lock-dir", metavar="DIR", default=names.LOCK_DIR, help="default: %(default)s")
    parser.add_argument("--state-dir", metavar="DIR", default=names.STATE_DIR, help="default: %(default)s")
    parser.add_argument("--sysfs-root", metavar="DIR", default="/sys", help="default: %(default)s")
    parser.add_argument("--address", metavar="ADDRESS", help="bus to serve on, by default the system bus")
    parser.add_argument(
        "--release-all",
        action="store_true",
        help="release the drives that an earlier run left open, and exit",
    )
    parser.add_argument("--version", action="version", version=f"tapedsd {tapeds.__version__}")
    return parser
