# SPDX-License-Identifier: LGPL-2.1-or-later
"""Run in a mount namespace of its own: a real journald, a real daemon, a job; prints what journalctl says.

Usage: ``unshare --mount python inside.py FOLDER``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from support.daemon import CHECKOUT, Daemon

RUNTIME = Path("/run/systemd/journal")
CATALOGS = Path("/usr/lib/systemd/catalog")


def mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


def journald(folder: Path) -> subprocess.Popen[bytes]:
    """Start it on empty directories, with our catalog beside the system's."""
    RUNTIME.mkdir(parents=True, exist_ok=True)
    mount("--make-rprivate", "/")
    catalogs = folder / "catalogs"
    shutil.copytree(CATALOGS, catalogs)
    shutil.copy(CHECKOUT / "data/tapeds.catalog", catalogs / "tapeds.catalog")
    for place in (str(RUNTIME), "/run/log", "/var/lib/systemd/catalog"):
        Path(place).mkdir(parents=True, exist_ok=True)
        mount("-t", "tmpfs", "tmpfs", place)
    mount("--bind", str(catalogs), str(CATALOGS))
    Path("/run/log/journal").mkdir()
    subprocess.run(["journalctl", "--update-catalog"], check=True)
    process = subprocess.Popen(["/lib/systemd/systemd-journald"], stderr=subprocess.DEVNULL)
    for _ in range(500):
        if (RUNTIME / "socket").exists():
            return process
        time.sleep(0.02)
    raise RuntimeError("journald did not start")


def run(daemon: Daemon, *command: str) -> None:
    subprocess.run(command, env=daemon.environment, check=False, stdout=subprocess.DEVNULL)


def told(*words: str) -> str:
    """What journalctl prints, once it prints something."""
    for _ in range(200):
        command = ["journalctl", "--no-pager", "--quiet", *words]
        said = subprocess.run(command, text=True, stdout=subprocess.PIPE, check=True).stdout
        if said.count("\n") >= 2:
            return said
        time.sleep(0.05)
    raise RuntimeError(f"journalctl {words} says nothing")


def main(folder: Path) -> None:
    process = journald(folder)
    (folder / "vt0").mkdir()
    daemon = Daemon(folder, f'[drive.vt0]\ntype = "virtual"\npath = "{folder}/vt0"\n')
    try:
        run(daemon, "busctl", "set-property", "org.tapeds1", "/org/freedesktop/LogControl1",
            "org.freedesktop.LogControl1", "LogTarget", "s", "journal")  # fmt: skip
        tapectl = str(Path(sys.executable).parent / "tapectl")
        run(daemon, tapectl, "load", "vt0", "TAPE01", "--new")
        run(daemon, tapectl, "load", "vt0", "ABSENT")
        entries = [json.loads(line) for line in told("-o", "json", "TAPEDS_JOB=1").splitlines()]
        print(
            json.dumps(
                {
                    "entries": entries,
                    "failed": told("-x", "TAPEDS_JOB=2"),
                    "first": told("-x", "TAPEDS_JOB=1"),
                }
            )
        )
    finally:
        daemon.stop()
        process.kill()
        process.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    os._exit(0)
