# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemon as a process: start, stop, reload, what it tells the service manager, what it leaves behind."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tapeds
from support.daemon import CHECKOUT, Daemon
from support.privatebus import PrivateBus
from tapeds import daemon as tapedsd
from tapeds import names
from tapeds.buslib import CallError, Variant

Tell = Callable[[Daemon, Any], None]
StartDaemon = Callable[..., Daemon]
NOTHING: dict[str, Variant] = {}


class ServiceManager:
    """The listening end of NOTIFY_SOCKET."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(30)

    def next(self, beginning: str) -> str:
        """The next message that begins so; those before are let go."""
        while not (text := self._socket.recv(4096).decode()).startswith(beginning):
            pass
        return text

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[ServiceManager]:
    listening = ServiceManager(tmp_path / "notify")
    yield listening
    listening.close()


def test_the_service_manager_hears_of_start_watchdog_reload_and_stop(
    start_daemon: StartDaemon, manager: ServiceManager, tmp_path: Path
) -> None:
    environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
    daemon = start_daemon(environment=environment)
    assert "STATUS=serving 2 drives" in manager.next("READY=1")
    manager.next("WATCHDOG=1")
    manager.next("WATCHDOG=1")
    daemon.signal(signal.SIGHUP)
    assert "MONOTONIC_USEC=" in manager.next("RELOADING=1")
    manager.next("READY=1")
    assert daemon.terminate() == 0
    manager.next("STOPPING=1")


def test_a_second_daemon_is_refused_the_name_and_says_what_to_do(daemon: Daemon, tmp_path: Path) -> None:
    second = tmp_path / "second"
    second.mkdir()
    command = [sys.executable, "-m", "tapeds", f"--config={second}/none", f"--address={daemon.address}"]
    command += [f"--{name}-dir={second}/{name}" for name in ("runtime", "lock", "state")]
    done = subprocess.run(
        command, env=daemon.environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "CRIT cannot own the bus name org.tapeds1: org.tapeds1 already has an owner; is the service running?;"
        " another tapedsd has it: stop that one first"
    ]


def test_a_user_whom_the_bus_policy_does_not_know_is_told_what_to_install(tmp_path: Path) -> None:
    for_others = (CHECKOUT / "dbus" / "org.tapeds1.conf").read_text().replace('"root"', '"bin"')
    bus = PrivateBus(tmp_path, policy_xml=for_others)
    directories = [f"--{name}-dir={tmp_path}/{name}" for name in ("runtime", "lock", "state")]
    command = [sys.executable, "-m", "tapeds", f"--config={tmp_path}/none", f"--address={bus.address}"]
    done = subprocess.run([*command, *directories], capture_output=True, text=True, check=False, timeout=60)
    bus.stop()
    assert done.returncode == 1
    assert "the bus policy lets only root and _tapeds own it: install dbus/org.tapeds1.conf" in done.stderr


def test_a_bus_that_is_not_there_is_said_so(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["--config", str(tmp_path / "none.toml"), "--address", f"unix:path={tmp_path}/nowhere"]
    assert tapedsd.main(arguments) == 1
    assert "nowhere" in capfd.readouterr().err


def test_a_lost_bus_ends_the_daemon_with_a_failure(daemon: Daemon) -> None:
    daemon.bus.stop()
    assert daemon.wait() == 1
    assert "the connection to the bus is lost" in daemon.log()


def test_sigint_ends_the_daemon_in_good_order(daemon: Daemon) -> None:
    daemon.signal(signal.SIGINT)
    assert daemon.wait() == 0
    assert "told to stop by SIGINT" in daemon.log()


def test_a_configuration_that_cannot_be_used_ends_the_start_by_naming_file_and_key(daemon: Daemon) -> None:
    assert daemon.terminate() == 0
    daemon.config_file.write_text('[drive.vt0]\ntype = "virtual"\npth = "/x"\n')
    daemon.start(wait=False)
    assert daemon.wait() == 78
    assert "tapeds.toml: drive.vt0.pth" in daemon.log()


def test_sighup_reads_the_configuration_again(daemon: Daemon, tell: Tell, tmp_path: Path) -> None:
    (tmp_path / "vt2").mkdir()
    extra = f'[drive.vt2]\ntype = "virtual"\npath = "{tmp_path}/vt2"\n'
    daemon.config_file.write_text(daemon.config_file.read_text() + extra)

    async def story(client: Any) -> None:
        added: asyncio.Queue[Any] = asyncio.Queue()
        await client.bus.subscribe(added.put_nowait, sender=names.BUS_NAME, member="InterfacesAdded")
        daemon.signal(signal.SIGHUP)
        paths = {(await added.get()).body[0] for _ in range(2)}
        assert paths == {names.drive_path("vt2"), names.changer_path("vt2")}

    tell(daemon, story)


def test_a_bad_configuration_at_sighup_changes_nothing(daemon: Daemon, tell: Tell) -> None:
    daemon.config_file.write_text("[drive.vt0]\ntype = 7\n")

    async def story(client: Any) -> None:
        daemon.signal(signal.SIGHUP)
        with pytest.raises(CallError) as caught:
            await client.call(names.MANAGER_PATH, names.MANAGER, "Reload")
        assert caught.value.name == "org.tapeds1.Error.InvalidConfig"
        assert await client.get(names.MANAGER_PATH, names.MANAGER, "ConfigGeneration") == 1
        assert await client.get(names.drive_path("vt0"), names.DRIVE, "Name") == "vt0"

    tell(daemon, story)


def test_a_waiter_learns_that_the_daemon_stops(daemon: Daemon, tell: Tell) -> None:
    async def story(client: Any) -> None:
        media = {"label-text": Variant("s", "NEVER01")}
        job = await client.drive("vt0", "RequestMedia", "a{sv}a{sv}", media, NOTHING)
        waiting = asyncio.create_task(client.wait(job))
        await client.get(job, names.JOB, "State")
        daemon.signal(signal.SIGTERM)
        with pytest.raises(CallError) as caught:
            await waiting
        assert caught.value.name == "org.tapeds1.Error.Cancelled"
        assert "shutting down" in caught.value.text

    tell(daemon, story)
    assert daemon.wait() == 0


def test_a_lease_ends_with_its_connection_and_its_session_says_why(daemon: Daemon, tell: Tell) -> None:
    async def story(client: Any) -> None:
        released: asyncio.Queue[Any] = asyncio.Queue()
        await client.bus.subscribe(released.put_nowait, sender=names.BUS_NAME, member="Released")
        other = await client.another()
        session = await other.drive("vt0", "Acquire")
        assert await client.get(names.drive_path("vt0"), names.DRIVE, "LockHolder") == "session"
        await other.bus.close()
        news = await released.get()
        assert (news.path, news.body) == (session, ["client-vanished"])
        assert await client.get(names.drive_path("vt0"), names.DRIVE, "Session") == "/"

    tell(daemon, story)


def test_a_caller_that_goes_while_it_waits_for_a_drive_waits_no_more(daemon: Daemon, tell: Tell) -> None:
    async def story(client: Any) -> None:
        waiters: asyncio.Queue[int] = asyncio.Queue()

        def heard(signal: Any) -> None:
            if "Waiters" in signal.body[1]:
                waiters.put_nowait(signal.body[1]["Waiters"].value)

        await client.bus.subscribe(heard, sender=names.BUS_NAME, member="PropertiesChanged")
        session = await client.drive("vt0", "Acquire")
        other = await client.another()
        for_ever = {"timeout": Variant("u", names.FOR_EVER)}
        waiting = asyncio.create_task(other.drive("vt0", "Acquire", "a{sv}", for_ever))
        assert await waiters.get() == 1
        await other.bus.close()
        assert await waiters.get() == 0
        with pytest.raises(CallError):
            await waiting
        await client.call(session, names.SESSION, "Release")
        assert await client.get(names.drive_path("vt0"), names.DRIVE, "Session") == "/"

    tell(daemon, story)


def test_release_all_gives_back_what_a_killed_daemon_had_open(daemon: Daemon, tell: Tell) -> None:
    async def story(client: Any) -> None:
        await client.drive("vt0", "Acquire")
        daemon.kill()

    tell(daemon, story)
    markers = daemon.runtime_dir / "open"
    assert len(list(markers.iterdir())) == 1
    done = subprocess.run(
        [sys.executable, "-m", "tapeds", *daemon.arguments, "--release-all"],
        env={**daemon.environment, "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nowhere"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, list(markers.iterdir())) == (0, [])
    assert "drive vt0, which was left open, is released" in done.stderr


def test_release_all_has_nothing_to_do_after_an_orderly_end(daemon: Daemon) -> None:
    assert daemon.terminate() == 0
    done = subprocess.run(
        [sys.executable, "-m", "tapeds", *daemon.arguments, "--release-all"],
        env=daemon.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        tapedsd.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"tapedsd {tapeds.__version__}\n"
