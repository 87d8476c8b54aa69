# SPDX-License-Identifier: LGPL-2.1-or-later
"""The sample calls of the API's description, word for word, by busctl and gdbus."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import Daemon

pytestmark = [pytest.mark.requires("busctl", "gdbus", "dbus-daemon")]

DRIVE = "/org/tapeds1/drives/lto0"


class Sh:
    """A shell on the private bus."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment = folder, environment

    def __call__(self, command: str, status: int = 0) -> str:
        """What ``command`` prints."""
        done = subprocess.run(
            ["bash", "-c", command],
            env=self.environment,
            cwd=self.folder,
            text=True,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert done.returncode == status, f"{command}\n{done.stdout}"
        return done.stdout.strip()

    def job(self, command: str) -> str:
        """What the job of ``command`` ends with."""
        path = re.search(r"/org/tapeds1/jobs/\d+", self(command))
        assert path is not None
        return self(f"busctl --timeout=3600 call org.tapeds1 {path.group()} org.tapeds1.Job Wait a{{sv}} 0")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("samples")


@pytest.fixture(scope="module")
def sh(folder: Path) -> Iterator[Sh]:
    """A shell beside a daemon whose drive lto0 holds a labelled tape of eight files."""
    (folder / "lto0").mkdir()
    config = f'[drive.lto0]\ntype = "virtual"\npath = "{folder}/lto0"\n'
    daemon = Daemon(folder, config)

    run = Sh(folder, daemon.environment)
    call = f"busctl call org.tapeds1 {DRIVE} org.tapeds1.Drive"
    run.job(
        "busctl call org.tapeds1 /org/tapeds1/changers/lto0 org.tapeds1.Changer "
        "LoadMedia sua{sv} TAPE42 0 1 create b true"
    )
    run.job(f"{call} LabelTape a{{sv}}a{{sv}} 1 label-text s TAPE42 0")
    run.job(f"{call} WriteMediaSetLabel a{{sv}}a{{sv}} 2 pool s daily seq-nr t 0 0")
    for number in range(2, 8):
        run.job(
            f"gdbus call --system -d org.tapeds1 -o {DRIVE} -m org.tapeds1.Drive.WriteFileFrom 7 "
            f'\'{{"commit-on-eof": <true>, "detach": <true>}}\' 7< <(echo file {number})'
        )
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
    progress, message, state = said.splitlines()
    assert progress.startswith('{"type":"d","data":')
    assert message == '{"type":"s","data":""}'
    assert state == '{"type":"s","data":"finished"}'
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
        f"busctl call org.tapeds1 {DRIVE} org.tapeds1.Drive Acquire "
        'a{sv} 3 bind s none ttl t 60 reason s "nightly"'
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
        f"busctl call org.tapeds1 {DRIVE} org.tapeds1.Drive RequestMedia "
        "a{sv}a{sv} 1 label-text s TAPE42 1 detach b true"
    )
    result = sh(
        f"busctl --timeout=3600 call org.tapeds1 {said.split(chr(34))[1]} org.tapeds1.Job Wait a{{sv}} 0"
    )
    assert '"label-text" s "TAPE42"' in result
    session = re.search(r'"session" o "(/org/tapeds1/sessions/\d+)"', result)
    assert session is not None
    sh(f"busctl call org.tapeds1 {session.group(1)} org.tapeds1.Session Release a{{sv}} 0")


def test_a_shell_passes_its_descriptors(sh: Sh) -> None:
    sh("head -c 3000001 /dev/urandom >big.bin")
    gdbus = f"gdbus call --system -d org.tapeds1 -o {DRIVE} -m org.tapeds1.Drive."
    written = sh.job(gdbus + 'WriteFileFrom 7 \'{"commit-on-eof": <true>, "detach": <true>}\' 7<big.bin')
    assert '"bytes" t 3000001' in written
    assert '"file" t 8' in written
    sh.job(f"busctl call org.tapeds1 {DRIVE} org.tapeds1.Drive MoveToFile ta{{sv}} 8 0")
    sh.job(gdbus + "ReadFileInto 8 '{\"detach\": <true>}' 8>out.bin")
    assert sh("cmp big.bin out.bin && echo SAME") == "SAME"


@pytest.mark.requires("root")
def test_busctl_monitors(sh: Sh, folder: Path) -> None:
    with (folder / "monitor").open("wb") as out:
        address = f"unix:path={folder}/bus"
        monitor = subprocess.Popen(
            ["busctl", "monitor", "org.tapeds1"],
            stdout=out,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": address},
        )
        try:
            for _ in range(200):
                sh(f"busctl call org.tapeds1 {DRIVE} org.tapeds1.Drive GetStatus a{{sv}} 0")
                if "GetStatus" in (folder / "monitor").read_text():
                    break
                time.sleep(0.05)
            sh.job(f"busctl call org.tapeds1 {DRIVE} org.tapeds1.Drive Rewind a{{sv}} 0")
            for _ in range(200):
                if "Member=Completed" in (folder / "monitor").read_text():
                    break
                time.sleep(0.05)
        finally:
            monitor.send_signal(signal.SIGTERM)
            monitor.wait()
    seen = (folder / "monitor").read_text()
    for member in ("Member=Rewind", "Member=PropertiesChanged", "Member=Completed", "Member=InterfacesAdded"):
        assert member in seen


def test_introspection_shows_names_and_annotations(sh: Sh) -> None:
    xml = sh(f"gdbus introspect --system -d org.tapeds1 -o {DRIVE} --xml")
    assert '<arg type="b" name="write_missing_eof" direction="in"' in xml or re.search(
        r'<arg (?=[^>]*name="write_missing_eof")(?=[^>]*type="b")(?=[^>]*direction="in")', xml
    )
    assert re.search(r'name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="(const|false)"', xml)
    table = sh(f"busctl introspect org.tapeds1 {DRIVE} org.tapeds1.Drive")
    assert re.search(
        r"\.LockHolder\s+property\s+s\s+\"\"\s+(-|writable)?", table
    )  # no signal: not emits-change
    assert re.search(r"\.Name\s+property\s+s\s+\"lto0\"\s+const", table)
    assert re.search(r"\.State\s+property\s+s\s+\"idle\"\s+emits-change", table)
