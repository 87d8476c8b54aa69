# SPDX-License-Identifier: LGPL-2.1-or-later
"""``./dev demo``: what tapeds does, shown on two virtual drives and a bus of its own.

Every step says what it means and checks what it shows; any value that differs ends the
demonstration with a non-zero status.  Nothing is left behind.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from independent import reader
from support.daemon import Daemon

MIB = 1 << 20
AT_LEAST = 200 * MIB
AT_MOST = 320 * MIB
CONFIG = """
[drive.vt0]
type = "virtual"
path = "{0}/vt0"
max-size = "1 GiB"

[drive.vt1]
type = "virtual"
path = "{0}/vt1"
max-size = "1 GiB"

[drive.small]
type = "virtual"
path = "{0}/small"
max-size = "8 MiB"
"""
DRIVE = "/org/tapeds1/drives/"


class Wrong(Exception):
    """A value differs from what it has to be."""


class Demo:
    """The private world of one demonstration."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("vt0", "vt1", "small"):
            (folder / name).mkdir()
        self.daemon = Daemon(folder, CONFIG.format(folder))
        self.env = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self.daemon.address}
        self.number = 0

    def say(self, text: str) -> None:
        """Begin a step."""
        self.number += 1
        print(
            f"\n\033[1m{self.number:2}. {text}\033[0m"
            if sys.stdout.isatty()
            else f"\n{self.number:2}. {text}"
        )
        sys.stdout.flush()

    def run(self, *command: str, expect: int = 0, quiet: bool = False, shell: bool = False) -> str:
        """Run a command as a person would, show it, and hold its exit status against ``expect``."""
        shown = (
            command[0]
            if shell
            else " ".join(word if re.fullmatch(r"[\w./:=+,-]+", word) else f"'{word}'" for word in command)
        )
        print("    $ " + shown.replace(str(self.folder), "$DEMO"))
        done = subprocess.run(
            command[0] if shell else command,
            env=self.env,
            text=True,
            check=False,
            shell=shell,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self.folder,
        )
        if not quiet:
            for line in done.stdout.splitlines()[-24:]:
                print("      " + line.replace(str(self.folder), "$DEMO"))
        if done.returncode != expect:
            raise Wrong(f"exit status {done.returncode} instead of {expect}:\n{done.stdout}")
        return done.stdout

    def json(self, *command: str) -> object:
        """What ``tapectl --json`` says, unseen."""
        done = subprocess.run(
            ("tapectl", "--json", *command),
            env=self.env,
            text=True,
            check=True,
            stdout=subprocess.PIPE,
            cwd=self.folder,
        )
        return json.loads(done.stdout)

    def wait(self, job: str) -> str:
        """`Job.Wait` by busctl; ``job`` is what the method printed."""
        path = re.search(r"/org/tapeds1/jobs/\d+", job)
        if path is None:
            raise Wrong(f"no job in {job!r}")
        return self.run(
            "busctl",
            "--timeout=3600",
            "call",
            "org.tapeds1",
            path.group(),
            "org.tapeds1.Job",
            "Wait",
            "a{sv}",
            "0",
        )


def same(what: str, got: object, wanted: object) -> None:
    """Hold one value against another and say so."""
    if got != wanted:
        raise Wrong(f"{what}: {got!r} instead of {wanted!r}")
    print(f"    ✓ {what}: {got}")


def sha256(path: Path) -> str:
    """The digest of a file, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def gather(folder: Path) -> Path:
    """A list of files of /usr/share and /usr/lib for tar, filled up with generated data on a small system."""
    names, total = [], 0
    for top in ("/usr/share", "/usr/lib"):
        for place, _, files in os.walk(top):
            for name in sorted(files):
                path = f"{place}/{name}"
                if (
                    "\n" in path
                    or os.path.islink(path)
                    or not os.path.isfile(path)
                    or not os.access(path, os.R_OK)
                ):
                    continue
                size = os.path.getsize(path)
                if total + size > (AT_MOST if top == "/usr/lib" else AT_LEAST // 2):
                    continue
                names.append(path)
                total += size
    if total < AT_LEAST:
        fill = folder / "generated"
        block = hashlib.sha256(b"tapeds").digest() * (MIB // 32)
        with fill.open("wb") as stream:
            for number in range((AT_LEAST - total) // MIB + 1):
                stream.write(number.to_bytes(8, "big") + block[8:])
        names.append(str(fill))
    listing = folder / "names"
    listing.write_text("\n".join(names) + "\n")
    return listing


def first_tape(demo: Demo) -> tuple[str, str]:
    """Label a tape and write to it; returns the UUID of the tape and the digest of the first file."""
    demo.say("What there is: three virtual drives, each its own changer.")
    demo.run("tapectl", "drives")

    demo.say("A new cartridge is made only when it is asked for by name and with --new.")
    demo.run("tapectl", "load", "vt0", "DEMO01", expect=5)
    demo.run("tapectl", "load", "vt0", "DEMO01", "--new")
    demo.run("tapectl", "label", "vt0", "DEMO01", "--pool", "demo")
    label = demo.json("read-label", "vt0")
    uuid = str(label["label"]["uuid"])  # type: ignore[index]
    same("the label on the tape", label["label"]["label-text"], "DEMO01")  # type: ignore[index]

    demo.say("Write /usr/share and /usr/lib. The file is committed only because tar exits 0.")
    listing = gather(demo.folder)
    tar = ("tar", "--create", "--absolute-names", f"--files-from={listing}")
    wanted = subprocess.run(
        ["sh", "-c", " ".join(tar) + " 2>/dev/null | sha256sum"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout.split()[0]
    demo.run("tapectl", "write", "vt0", "--name", "usr.tar", "--", *tar)
    demo.say("A second file, from a regular file.")
    (demo.folder / "second").write_bytes(os.urandom(3 * MIB + 17))
    demo.run("tapectl", "write", "vt0", "--name", "second", str(demo.folder / "second"))
    demo.run("tapectl", "ls", "vt0")
    return uuid, wanted


def read_back(demo: Demo, wanted: str) -> None:
    """Find both files again and compare."""
    demo.say(
        "Find them again. A file appears under its name only when it was read whole and its digest agrees."
    )
    demo.run("tapectl", "read", "vt0", "--file", "2", "-o", "usr.tar")
    same("SHA-256 of what tar wrote and of what was read", sha256(demo.folder / "usr.tar"), wanted)
    if (demo.folder / "usr.tar").stat().st_size < AT_LEAST:
        raise Wrong("less than 200 MB were written")
    (demo.folder / "usr.tar").unlink()
    demo.run("tapectl", "read", "vt0", "--file", "3", "-o", "again")
    same("SHA-256 of the second file", sha256(demo.folder / "again"), sha256(demo.folder / "second"))

    demo.say("Verify: every block of the tape against every rule of the format.")
    demo.run("tapectl", "verify", "vt0")

    demo.say("A second witness: a reader that shares no code with tapeds reads the same directory.")
    tape = reader.read_directory(str(demo.folder / "vt0"), os.listdir(demo.folder / "vt0"))["DEMO01"]
    digest = hashlib.sha256()
    for piece in tape.files[2].data():
        digest.update(piece)
    same("SHA-256 by the second witness", digest.hexdigest(), wanted)


def by_hand(demo: Demo, uuid: str) -> None:
    """The same by busctl and gdbus."""
    demo.say("The same by hand, with busctl: every long operation is a job that can be waited for.")
    call = ("busctl", "call", "org.tapeds1", f"{DRIVE}vt0", "org.tapeds1.Drive")
    demo.wait(demo.run(*call, "Rewind", "a{sv}", "0"))
    said = demo.wait(demo.run(*call, "ReadLabel", "a{sv}", "0"))
    same("the label by busctl names the tape", uuid in said, True)
    said = demo.wait(demo.run(*call, "MoveToFile", "ta{sv}", "3", "0"))
    same("the head stands before file 3", '"file" t 3' in said, True)

    demo.say("And with gdbus, which can pass a descriptor: the shell opens the file, the daemon reads it.")
    gdbus = f"gdbus call --system -d org.tapeds1 -o {DRIVE}vt0 -m org.tapeds1.Drive."
    said = demo.run(
        gdbus + 'WriteFileFrom 7 \'{"commit-on-eof": <true>, "detach": <true>}\' 7<second', shell=True
    )
    demo.wait(said)
    demo.wait(demo.run(*call, "MoveToFile", "ta{sv}", "4", "0"))
    said = demo.run(gdbus + "ReadFileInto 8 '{\"detach\": <true>}' 8>out.bin", shell=True)
    demo.wait(said)
    demo.run("cmp", "second", "out.bin")
    same("what gdbus wrote and what it read", sha256(demo.folder / "out.bin"), sha256(demo.folder / "second"))


def wrong_tape(demo: Demo) -> None:
    """An append that expects another tape is refused."""
    demo.say("Wrong tape in the drive: an append that expects another one is refused before a byte moves.")
    before = demo.json("ls", "vt0")
    said = demo.run(
        f"gdbus call --system -d org.tapeds1 -o {DRIVE}vt0 -m org.tapeds1.Drive.WriteFileFrom 7 "
        '\'{"commit-on-eof": <true>, "detach": <true>, '
        '"expect-uuid": <"00000000-0000-4000-8000-000000000000">}\' 7<second',
        shell=True,
    )
    path = re.search(r"/org/tapeds1/jobs/\d+", said)
    if path is None:
        raise Wrong(said)
    said = demo.run(
        "busctl", "call", "org.tapeds1", path.group(), "org.tapeds1.Job", "Wait", "a{sv}", "0", expect=1
    )
    same("the tape holds what it held", demo.json("ls", "vt0") == before, True)
    demo.run(
        "busctl", "get-property", "org.tapeds1", path.group(), "org.tapeds1.Job", "ErrorName", "ErrorMessage"
    )


def killed_client(demo: Demo) -> None:
    """A client that dies leaves an incomplete file and a free drive."""
    demo.say(
        "A client is killed in the middle of a write: its file is marked, the drive is free for the next."
    )
    demo.run("tapectl", "load", "vt1", "DEMO02", "--new")
    demo.run("tapectl", "label", "vt1", "DEMO02")
    print("    $ tapectl write vt1 --name endless -- cat /dev/zero &    # and after a moment: kill -KILL")
    client = subprocess.Popen(
        ("tapectl", "write", "vt1", "--name", "endless", "--", "cat", "/dev/zero"),
        env=demo.env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    until(lambda: any((demo.folder / "vt1").glob("tapefile-2-*")), "the first block of the file")
    os.killpg(client.pid, signal.SIGKILL)
    client.wait()
    until(lambda: state(demo, "vt1") == "idle", "the drive to be free")
    demo.run("tapectl", "ls", "vt1")
    files = demo.json("ls", "vt1")
    same("the file is there and marked incomplete", [f["complete"] for f in files], [True, True, False])
    demo.run("tapectl", "read", "vt1", "--file", "2", "-o", "part", expect=6)
    demo.run("tapectl", "write", "vt1", "--name", "next", str(demo.folder / "second"))


def full_tape(demo: Demo) -> None:
    """A cartridge that fills up tells from where to go on."""
    demo.say("A small cartridge fills up: the caller learns how much is on tape, and goes on from there.")
    demo.run("tapectl", "load", "small", "DEMO03", "--new")
    demo.run("tapectl", "label", "small", "DEMO03")
    (demo.folder / "big").write_bytes(os.urandom(12 * MIB))
    said = demo.run("tapectl", "write", "small", "--name", "big", str(demo.folder / "big"), expect=6)
    number = re.search(r"holds ([\d,]+) bytes", said)
    if number is None:
        raise Wrong(f"no number of bytes in {said!r}")
    on_tape = int(number.group(1).replace(",", ""))
    demo.run("tapectl", "read", "small", "--file", "2", "-o", "begun", expect=6)
    begun = next(demo.folder.glob("begun*")).read_bytes()
    same("bytes on tape as told, and as read", len(begun), on_tape)
    same("and they are the first ones", begun == (demo.folder / "big").read_bytes()[:on_tape], True)
    demo.run("tapectl", "load", "small", "DEMO04", "--new")
    demo.run("tapectl", "label", "small", "DEMO04")
    rest = f"tail -c +{on_tape + 1} big"
    demo.run("tapectl", "write", "small", "--name", "big", "--", "sh", "-c", rest)
    demo.run("tapectl", "read", "small", "--file", "2", "-o", "rest")
    same(
        "both cartridges together are the file",
        begun + (demo.folder / "rest").read_bytes() == (demo.folder / "big").read_bytes(),
        True,
    )


def until(condition: object, what: str) -> None:
    """Wait until ``condition()`` is true, for at most 20 seconds."""
    for _ in range(400):
        if condition():  # type: ignore[operator]
            return
        time.sleep(0.05)
    raise Wrong(f"waited in vain for {what}")


def state(demo: Demo, name: str) -> str:
    """The property State of a drive."""
    said = subprocess.run(
        ("busctl", "get-property", "org.tapeds1", DRIVE + name, "org.tapeds1.Drive", "State"),
        env=demo.env,
        text=True,
        check=True,
        stdout=subprocess.PIPE,
    ).stdout
    return said.split('"')[1]


def main() -> int:
    """Run the demonstration; 0 when every value was as it has to be."""
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tapeds-demo-") as name:
        demo = Demo(Path(name))
        try:
            uuid, wanted = first_tape(demo)
            read_back(demo, wanted)
            by_hand(demo, uuid)
            wrong_tape(demo)
            killed_client(demo)
            full_tape(demo)
        except (Wrong, subprocess.CalledProcessError) as exc:
            said = "\n".join(demo.daemon.log().splitlines()[-20:])
            print(f"\nThe demonstration failed: {exc}\n\nThe daemon said last:\n{said}", file=sys.stderr)
            return 1
        finally:
            demo.daemon.stop()
    print(
        f"\nAll values as they have to be, in {time.monotonic() - begin:.0f} seconds.\n"
        "Nothing was left behind. ./dev shell opens the same world for you."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
