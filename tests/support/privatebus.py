# SPDX-License-Identifier: LGPL-2.1-or-later
"""A message bus of one's own: dbus-daemon or dbus-broker, with a given policy and no services.

    with PrivateBus(tmp_path, policy_xml=Path("dbus/org.tapeds1.conf").read_text()) as bus:
        environment = {"DBUS_SYSTEM_BUS_ADDRESS": bus.address}
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import weakref
from pathlib import Path
from typing import Self

OPEN_POLICY = """
<policy context="default">
  <allow user="*"/>
  <allow own="*"/>
  <allow send_type="method_call"/>
  <allow send_type="signal"/>
  <allow send_requested_reply="true" send_type="method_return"/>
  <allow send_requested_reply="true" send_type="error"/>
  <allow receive_type="method_call"/>
  <allow receive_type="method_return"/>
  <allow receive_type="error"/>
  <allow receive_type="signal"/>
</policy>
"""
"""Everybody may own any name and send anything."""

SYSTEM_POLICY = """
<policy context="default">
  <allow user="*"/>
  <deny own="*"/>
  <deny send_type="method_call"/>
  <allow send_type="signal"/>
  <allow send_requested_reply="true" send_type="method_return"/>
  <allow send_requested_reply="true" send_type="error"/>
  <allow receive_type="method_call"/>
  <allow receive_type="method_return"/>
  <allow receive_type="error"/>
  <allow receive_type="signal"/>
  <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus"/>
  <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Introspectable"/>
  <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Properties"/>
</policy>
<policy user="root">
  <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Monitoring"/>
</policy>
"""
"""What a distribution's system.conf says before the services' own files."""

_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  {policy}
  {limits}
</busconfig>
"""

_SECONDS = 20.0


class PrivateBus:
    """A bus that lives until `stop`; its files and its socket lie in ``folder``.

    Other users reach it only where they may enter every folder above: pytest's own are closed.

    ``policy_xml``: policy elements, or a whole ``busconfig`` document as it is shipped; then the rules
    of a system bus come first.  The default lets everybody do everything.  ``limits``: by name.
    ``broker``: dbus-broker instead of dbus-daemon.  It needs root, since its launcher insists on a
    journal, which it gets in a mount namespace of its own, and accepts clients of one uid only.
    """

    def __init__(self, folder: Path, *, policy_xml: str = "", limits: dict[str, int] | None = None,
                 broker: bool = False) -> None:
        self._socket = folder / "bus"
        self.address = f"unix:path={self._socket}"
        self.log = folder / "bus.log"
        """What the bus says."""
        config = folder / "bus.conf"
        config.write_text(_CONFIG.format(
            socket=self._socket,
            policy=_policy(policy_xml),
            limits=" ".join(f'<limit name="{key}">{value}</limit>' for key, value in (limits or {}).items()),
        ))
        folder.chmod(0o755)            # other users are to reach the socket
        command = _broker(config, self._socket) if broker else _daemon(config)
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                             start_new_session=True)
        self._end = weakref.finalize(self, _end, self._process)     # also when nobody calls stop
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Of the bus itself, or of the process that keeps a broker."""
        return self._process.pid

    def stop(self) -> None:
        """End the bus and everything that it started; every client is disconnected."""
        self._end()
        self._socket.unlink(missing_ok=True)

    def _wait(self) -> None:
        until = time.monotonic() + _SECONDS
        while time.monotonic() < until:
            if self._process.poll() is not None:
                break
            if self._answers():
                return
            time.sleep(0.01)
        raise RuntimeError(f"the private bus did not start: {self.log.read_text()}")

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(_SECONDS)
            try:
                probe.connect(str(self._socket))
                probe.sendall(b"\0AUTH EXTERNAL " + str(os.geteuid()).encode().hex().encode() + b"\r\n")
                return probe.recv(256).startswith(b"OK ")
            except OSError:
                return False


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _policy(xml: str) -> str:
    if not xml:
        return OPEN_POLICY
    found = re.search(r"<busconfig>(.*)</busconfig>", xml, re.DOTALL)
    return SYSTEM_POLICY + found.group(1) if found else xml


def _daemon(config: Path) -> list[str]:
    return ["dbus-daemon", f"--config-file={config}", "--nofork", "--nopidfile", "--nosyslog"]


def _broker(config: Path, path: Path) -> list[str]:
    keeper = [sys.executable, __file__, str(config), str(path)]
    if Path("/run/systemd/journal/socket").exists():
        return keeper
    return ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /run && exec "$@"', "sh", *keeper]


def _keep_broker(config: str, path: str) -> int:
    """Run a broker, and a journal for its launcher if there is none."""
    journal = Path("/run/systemd/journal/socket")
    sink: socket.socket | None = None
    if not journal.exists():
        journal.parent.mkdir(parents=True, exist_ok=True)
        sink = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        sink.bind(str(journal))
    process = subprocess.Popen([
        "systemd-socket-activate", "-E", f"DBUS_SESSION_BUS_ADDRESS=unix:path={path}", "-l", path,
        "dbus-broker-launch", "--scope=user", f"--config-file={config}",
    ])
    while process.poll() is None:
        if sink is None:
            process.wait()
            continue
        sink.settimeout(0.5)
        try:
            sys.stderr.write(sink.recv(64 * 1024).decode(errors="replace"))
        except TimeoutError:
            continue
    return process.returncode


if __name__ == "__main__":
    raise SystemExit(_keep_broker(sys.argv[1], sys.argv[2]))
