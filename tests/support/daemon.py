# SPDX-License-Identifier: LGPL-2.1-or-later
"""A whole `tapedsd` on a bus of its own, with all its directories below one folder.

daemon = Daemon(tmp_path, '[drive.vt0]\\ntype = "virtual"\\npath = "…"\\n')
subprocess.run(["busctl", "tree", "org.tapeds1"], env=daemon.environment)
daemon.stop()
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from support.privatebus import PrivateBus

CHECKOUT = Path(__file__).parents[2]
START_SECONDS = 60.0
STOP_SECONDS = 60.0
_SERVES = " serves "


def shipped_policy(*further: str) -> str:
    """The shipped bus policy; our own user may own the name, too, and ``further`` elements say more."""
    text = (CHECKOUT / "dbus" / "org.tapeds1.conf").read_text()
    own = f'<policy user="{os.geteuid()}"><allow own="org.tapeds1"/></policy>'
    return text.replace("</busconfig>", "\n".join([own, *further, "</busconfig>"]))


class Daemon:
    """A bus and a daemon; both run when this returns.

    ``arguments`` go to tapedsd beside those for its directories, ``environment`` beside our own.
    ``policy`` are further elements of the bus policy, ``broker`` is dbus-broker for dbus-daemon.
    Raises RuntimeError, with what the daemon said, when it does not come up.
    """

    def __init__(
        self,
        tmp_path: Path,
        config_text: str,
        *,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        command: Sequence[str] = (sys.executable, "-m", "tapeds"),
        policy: str = "",
        broker: bool = False,
        wait: bool = True,
    ) -> None:
        self.folder = tmp_path
        self.config_file = tmp_path / "tapeds.toml"
        self.runtime_dir = tmp_path / "run"
        self.lock_dir = tmp_path / "lock"
        self.state_dir = tmp_path / "state"
        self.log_file = tmp_path / "tapedsd.log"
        for directory in (self.runtime_dir, self.lock_dir, self.state_dir):
            directory.mkdir(exist_ok=True)
        self.config_file.write_text(config_text)
        self.bus = PrivateBus(tmp_path, policy_xml=shipped_policy(policy), broker=broker)
        self.address = self.bus.address
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(CHECKOUT),
            **(environment or {}),
            "DBUS_SYSTEM_BUS_ADDRESS": self.address,
        }
        self._command = command
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self.start(wait=wait)
        except BaseException:
            self.bus.stop()
            raise

    @property
    def arguments(self) -> list[str]:
        """How tapedsd is told where everything is."""
        return [
            "--config", str(self.config_file),
            "--runtime-dir", str(self.runtime_dir),
            "--lock-dir", str(self.lock_dir),
            "--state-dir", str(self.state_dir),
            "--address", self.address,
            *self._arguments,
        ]  # fmt: skip

    @property
    def pid(self) -> int:
        """The process number of the daemon."""
        assert self._process is not None, "the daemon is not running"
        return self._process.pid

    def start(self, *, wait: bool = True) -> None:
        """Start the daemon, also again after its end; on return it has its name, unless not to ``wait``."""
        began = self.log_file.stat().st_size if self.log_file.exists() else 0
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._command, *self.arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment, cwd=self.folder,
            )  # fmt: skip
        deadline = time.monotonic() + START_SECONDS
        while wait and _SERVES not in self.log(began):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"tapedsd did not start:\n{self.log(began)}")
            time.sleep(0.01)

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        """The exit status of a daemon that ends by itself."""
        assert self._process is not None, "the daemon is not running"
        status = self._process.wait(seconds)
        self._process = None
        return status

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the daemon."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """End the daemon as a power failure would; the bus stays, so that it can be started again."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def terminate(self) -> int:
        """End the daemon in good order and return its exit status; the bus stays."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def stop(self) -> None:
        """End everything; what has ended already is no fault."""
        try:
            if self._process is not None and self._process.poll() is None:
                self._process.terminate()
                try:
                    self._process.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    self.kill()
                    raise
        finally:
            self._process = None
            self.bus.stop()

    def log(self, began: int = 0) -> str:
        """What the daemon and its workers have said, from byte ``began`` on."""
        if not self.log_file.exists():
            return ""
        return self.log_file.read_bytes()[began:].decode(errors="replace")
