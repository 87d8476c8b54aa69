# SPDX-License-Identifier: LGPL-2.1-or-later
"""The sample calls of the API's description, word for word, by busctl and gdbus."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.daemon import Daemon

pytestmark = [pytest.mark.requires("busctl", "gdbus", "dbus-daemon")]

DRIVE = "/org/tapeds1/drives/lto0"
Sh = Callable[..., str]


@pytest.fixture
def sh(tmp_path: Path) -> Iterator[Sh]:
    """A shell beside a daemon whose drive lto0 holds a labelled tape of eight files."""
    (tmp_path / "lto0").mkdir()
    config = f'[drive.lto0]\ntype = "virtual"\npath = "{tmp_path}/lto0"\n'
    daemon = Daemon(tmp_path, config)

    def run(command: str, status: int = 0) -> str:
        done = subprocess.run(
            ["bash", "-c", command],
            env=daemon.environment,
            cwd=tmp_path,
            text=True,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert done.returncode == status, f"{command}\n{done.stdout}"
        return done.stdout.strip()

    def job(command: str) -> str:
        path = re.search(r"/org/tapeds1/jobs/\d+", run(command))
        assert path is not None
        return run(f"busctl --timeout=3600 call org.tapeds1 {path.group()} org.tapeds1.Job Wait a{{sv}} 0")

    call = f"busctl call org.tapeds1 {DRIVE} org.tapeds1.Drive"
    job(
        "busctl call org.tapeds1 /org/tapeds1/changers/lto0 org.tapeds1.Changer LoadMedia sua{sv} TAPE42 0 1 create b true"
    )
    job(f"{call} LabelTape a{{sv}}a{{sv}} 1 label-text s TAPE42 0")
    job(f"{call} WriteMediaSetLabel a{{sv}}a{{sv}} 2 pool s daily seq-nr t 0 0")
    for number in range(2, 8):
        job(
            f"gdbus call --system -d org.tapeds1 -o {DRIVE} -m org.tapeds1.Drive.WriteFileFrom 7 "
            f'\'{{"commit-on-eof": <true>, "detach": <true>}}\' 7< <(echo file {number})'
        )
    run.job = job  # type: ignore[attr-defined]
    yield run
    daemon.stop()
    assert "Traceback" not in daemon.log()


def test_busctl_shows_the_tree(sh: Sh) -> None:
    tree = sh("busctl tree org.tapeds1")
    for path in ("/org/tapeds1/Manager", DRIVE, "/org/tapeds1/changers/lto0"):
        assert path in tree


def test_a_job_is_started_and_waited_for(sh: Sh) -> None:
    said = sh(f"busctl call org.tapeds1 {DRIVE} org.tapeds1.Drive Rewind a{{sv}} 0")
    path = re.fullmatch(r'o "(/org/tapeds1/jobs/\d+)"', said)
    assert path is not None
    said = sh(f"busctl --timeout=3600 call org.tapeds1 {path.group(1)} org.tapeds1.Job Wait a{{sv}} 0")
    assert said == 'a{sv} 3 "file" t 0 "block" t 0 "position-known" b true'
    said = sh(
        f"busctl --json=short get-property org.tapeds1 {path.group(1)} org.tapeds1.Job Progress Message State"
    )
    assert said.splitlines() == [
        '{"type":"d","data":1}',
        '{"type":"s","data":""}',
        '{"type":"s","data":"finished"}',
    ]
    said = sh(f"busctl call org.tapeds1 {path.group(1)} org.tapeds1.Job Cancel a{{sv}} 0", status=1)
    assert "has ended" in said


def test_the_head_goes_to_a_file(sh: Sh) -> None:
    said = sh(f"busctl call org.tapeds1 {DRIVE} org.tapeds1.Drive MoveToFile ta{{sv}} 7 0")
    path = said.split('"')[1]
    assert '"file" t 7' in sh(f"busctl --timeout=3600 call org.tapeds1 {path} org.tapeds1.Job Wait a{{sv}} 0")
    call = f"gdbus call --system -d org.tapeds1 -o {DRIVE} -m org.tapeds1.Drive.CurrentFileNumber '{{}}'"
    assert sh(call) == "(uint64 7,)"
    assert sh(call.replace("call", "call -i", 1).replace("call -i", "call", 1)) == "(uint64 7,)"


def test_a_file_that_is_not_there_fails_the_job_with_its_text(sh: Sh) -> None:
    path = sh(f"busctl call org.tapeds1 {DRIVE} org.tapeds1.Drive MoveToFile ta{{sv}} 70 0").split('"')[1]
    said = sh(f"busctl call org.tapeds1 {path} org.tapeds1.Job Wait a{{sv}} 0", status=1)
    assert "TAPE42" in said
    assert "70" in said


def test_a_lease_for_a_script_is_taken_and_given_back(sh: Sh) -> None:
    said = sh(
        f'busctl call org.tapeds1 {DRIVE} org.tapeds1.Drive Acquire a{{sv}} 3 bind s none ttl t 60 reason s "nightly"'
    )
    path = re.fullmatch(r'o "(/org/tapeds1/sessions/\d+)"', said)
    assert path is not None
    assert (
        sh(f"busctl get-property org.tapeds1 {path.group(1)} org.tapeds1.Session Reason Binding")
        == 's "nightly"\ns "none"'
    )
    assert sh(f"busctl call org.tapeds1 {path.group(1)} org.tapeds1.Session Release a{{sv}} 0") == ""
    assert sh(f"busctl get-property org.tapeds1 {DRIVE} org.tapeds1.Drive Session") == 'o "/"'


def test_a_tape_is_asked_for_by_its_label(sh: Sh) -> None:
    said = sh(
        f"busctl call org.tapeds1 {DRIVE} org.tapeds1.Drive RequestMedia a{{sv}}a{{sv}} 1 label-text s TAPE42 "
        "1 detach b true"
    )
    result = sh(
        f"busctl --timeout=3600 call org.tapeds1 {said.split(chr(34))[1]} org.tapeds1.Job Wait a{{sv}} 0"
    )
    assert '"label-text" s "TAPE42"' in result
    assert '"session" o "/org/tapeds1/sessions/' in result


def test_a_shell_passes_its_descriptors(sh: Sh) -> None:
    sh("head -c 3000001 /dev/urandom >big.bin")
    gdbus = f"gdbus call --system -d org.tapeds1 -o {DRIVE} -m org.tapeds1.Drive."
    written = sh.job(gdbus + 'WriteFileFrom 7 \'{"commit-on-eof": <true>, "detach": <true>}\' 7<big.bin')  # type: ignore[attr-defined]
    assert '"bytes" t 3000001' in written
    assert '"file" t 8' in written
    sh.job(f"busctl call org.tapeds1 {DRIVE} org.tapeds1.Drive MoveToFile ta{{sv}} 8 0")  # type: ignore[attr-defined]
    sh.job(gdbus + "ReadFileInto 8 '{\"detach\": <true>}' 8>out.bin")  # type: ignore[attr-defined]
    assert sh("cmp big.bin out.bin && echo SAME") == "SAME"


@pytest.mark.requires("root")
def test_busctl_monitors(sh: Sh, tmp_path: Path) -> None:
    with (tmp_path / "monitor").open("wb") as out:
        address = f"unix:path={tmp_path}/bus"
        monitor = subprocess.Popen(
            ["busctl", "monitor", "org.tapeds1"],
            stdout=out,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": address},
        )
        try:
            for _ in range(200):
                sh(f"busctl call org.tapeds1 {DRIVE} org.tapeds1.Drive GetStatus a{{sv}} 0")
                if "GetStatus" in (tmp_path / "monitor").read_text():
                    break
                time.sleep(0.05)
            sh.job(f"busctl call org.tapeds1 {DRIVE} org.tapeds1.Drive Rewind a{{sv}} 0")  # type: ignore[attr-defined]
            for _ in range(200):
                if "Member=Completed" in (tmp_path / "monitor").read_text():
                    break
                time.sleep(0.05)
        finally:
            monitor.send_signal(signal.SIGTERM)
            monitor.wait()
    seen = (tmp_path / "monitor").read_text()
    for member in ("Member=Rewind", "Member=PropertiesChanged", "Member=Completed", "Member=InterfacesAdded"):
        assert member in seen


def test_introspection_shows_names_and_annotations(sh: Sh) -> None:
    xml = sh(f"gdbus introspect --system -d org.tapeds1 -o {DRIVE} --xml")
    assert '<arg type="b" name="write_missing_eof" direction="in"' in xml or re.search(
        r'<arg (?=[^>]*name="write_missing_eof")(?=[^>]*type="b")(?=[^>]*direction="in")', xml
    )
    assert re.search(r'name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="(const|false)"', xml)
    table = sh(f"busctl introspect org.tapeds1 {DRIVE} org.tapeds1.Drive")
    assert re.search(r"\.LockHolder\s+property\s+s\s+\"\"\s+-\s", table)  # no signal: not emits-change
    assert re.search(r"\.Name\s+property\s+s\s+\"lto0\"\s+const", table)
    assert re.search(r"\.State\s+property\s+s\s+\"idle\"\s+emits-change", table)
