# SPDX-License-Identifier: LGPL-2.1-or-later
"""``./dev shell``: the demonstration's bus and drives, left open to play with."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from demo import CONFIG
from support.daemon import Daemon


def main() -> int:
    """Open a shell on a private bus; everything is gone when it ends."""
    with tempfile.TemporaryDirectory(prefix="tapeds-shell-") as name:
        folder = Path(name)
        for drive in ("vt0", "vt1", "small"):
            (folder / drive).mkdir()
        daemon = Daemon(folder, CONFIG.format(folder))
        try:
            print(
                "A private bus with the drives vt0, vt1 (1 GiB) and small (8 MiB). Try:\n"
                "  tapectl load vt0 TAPE01 --new && tapectl label vt0 TAPE01\n"
                "  tapectl write vt0 --name etc.tar -- tar -c /etc\n"
                "  busctl tree org.tapeds1\n"
                "Everything is gone when this shell ends."
            )
            env = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": daemon.address, "PS1": "tapeds$ "}
            return subprocess.run(
                [os.environ.get("SHELL", "/bin/sh")], env=env, cwd=folder, check=False
            ).returncode
        finally:
            daemon.stop()


if __name__ == "__main__":
    sys.exit(main())
