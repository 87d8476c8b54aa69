# SPDX-License-Identifier: LGPL-2.1-or-later
"""The drive outlives every process: killed ones, and several at once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

TUR = "00 00 00 00 00 00"
ROOT = Path(__file__).parents[2]


def run(directory: Path, body: str) -> subprocess.Popen[str]:
    """Another process with ``device`` open and ``send(cdb, data)`` as host0."""
    text = f"""
        import sys
        from tapeds.simulator import Device
        device = Device({str(directory)!r}, clock_factor=0, buffer_bytes=1 << 24)
        def send(cdb, data=b"", size=1 << 24):
            return device.execute("host0", bytes.fromhex(cdb), data, 0 if data else size)
    """
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(text) + textwrap.dedent(body)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def killed_after(process: subprocess.Popen[str], line: str) -> None:
    """Wait until it prints ``line``, then kill it."""
    assert process.stdout is not None
    for read in process.stdout:
        if read.strip() == line:
            break
    else:
        raise AssertionError(f"the process ended without {line!r}")
    process.kill()
    assert process.wait() == -signal.SIGKILL


def test_the_whole_state_survives_the_process_that_holds_it(host: Any, make: Any, at: Any) -> None:
    host.filemark()
    process = run(
        host.device.directory,
        """
        send("15 10 00 00 0c 00", bytes.fromhex("00 00 10 08 00 00 00 00 00 00 02 00"))
        send("15 10 00 00 14 00", bytes.fromhex("00 00 10 00 0f 0e 40 80 00000001 00000001 00000000"))
        send("1e 00 00 00 01 00")
        for n in range(7):
            send("0a 00 00 00 06 00", b"blk %2d" % n)
        device.execute("host1", bytes(6))
        settings = bytes.fromhex("00 00 10 08 00 00 00 00 00 00 04 00")
        device.execute("host1", bytes.fromhex("15 10 00 00 0c 00"), settings)
        device.set_faults('[[fault]]\\nkind = "conflict"\\ncommand = 3\\n')
        print("done", flush=True)
        sys.stdin.read()
        """,
    )
    killed_after(process, "done")
    assert host.code(TUR) == "6/2A/01"  # attentions
    data = host.good("34 00 00 00 00 00 00 00 00 00")
    assert (data[7], data[11], data[15], data[19]) == (8, 1, 7, 42)  # position, buffer
    assert host(TUR).status == 0x18  # faults
    assert host.code("1b 00 00 00 00 00") == "5/53/02"  # PREVENT
    mode = host.good("1a 00 0f 00 ff 00")
    assert mode[9:12] == b"\x00\x04\x00"  # block length
    assert mode[14] == 0x40  # compression off
    host.filemark()
    host.good("92 00 00 00 00 00 00 00 00 00 00 01 00 00 00 00")
    assert [host.good("08 02 00 01 00 00") for _ in range(7)] == [b"blk %2d" % n for n in range(7)]


@pytest.mark.parametrize("seed", range(12))
def test_a_process_killed_anywhere_leaves_whole_blocks(host: Any, seed: int) -> None:
    """What was answered is there, in order; at most one more block than was answered."""
    process = run(
        host.device.directory,
        """
        n = 0
        while True:
            done = send("0a 00 03 0d 40 00", n.to_bytes(8, "big") * 25_000)
            assert done.status == 0
            print(n, flush=True)
            n += 1
        """,
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(random.Random(seed).uniform(0.01, 0.4))
    process.kill()
    answered = 1 + len(process.stdout.read().splitlines())
    process.wait()
    written = host.position()[0]
    assert answered <= written <= answered + 1
    host.filemark()
    host.good("01 00 00 00 00 00")
    for n in range(written):
        assert host.good("08 02 03 0d 40 00") == n.to_bytes(8, "big") * 25_000
    assert host.code("08 02 03 0d 40 00") == "0/00/01"


def test_a_second_process_sees_what_the_first_has_done(host: Any) -> None:
    process = run(
        host.device.directory,
        """
        for line in sys.stdin:
            print(send(line.strip()).data.hex(), flush=True)
        """,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    for n in range(1, 5):
        host.write(b"abc")
        host.filemark()
        process.stdin.write("34 06 00 00 00 00 00 00 00 00\n")
        process.stdin.flush()
        data = bytes.fromhex(process.stdout.readline())
        assert (data[15], data[23]) == (2 * n, n)
    process.stdin.close()
    assert process.wait() == 0


def test_the_node_is_open_once_if_exclusively(host: Any, make: Any) -> None:
    first, second = make(), make()
    first.open()
    with pytest.raises(BlockingIOError):
        second.open()
    process = run(
        host.device.directory,
        """
        try:
            device.open(exclusive=False)
        except BlockingIOError:
            print("busy")
        """,
    )
    assert process.communicate()[0] == "busy\n"
    first.close()
    second.open(exclusive=False)


def test_a_killed_opener_holds_the_node_no_longer(host: Any) -> None:
    process = run(
        host.device.directory,
        """
        device.open()
        print("open", flush=True)
        sys.stdin.read()
        """,
    )
    killed_after(process, "open")
    host.device.open()


def interrupted_format(device: Any) -> None:
    """Another process, for which time passes, is killed while it waits for a FORMAT MEDIUM of 3,060 s."""
    process = run(
        device.directory,
        """
        device = Device(device.directory, clock_factor=20)
        print("begun", flush=True)
        send("04 00 00 00 00 00")
        """,
    )
    assert process.stdout is not None
    process.stdout.readline()
    deadline = time.monotonic() + 20
    while (going := device._memory.state.under_way) is None and time.monotonic() < deadline:
        device.loaded()
    process.kill()
    process.wait()
    assert going is not None
    assert (going.activity, going.immediate) == (0x0A, False)


def test_a_command_under_way_goes_on_without_its_process(make: Any, host: Any, at: Any) -> None:
    interrupted_format(host.device)
    other = at(make(clock_factor=20))
    other.device.pass_time(3060)
    assert other.code(TUR) == "good"


def test_the_next_command_waits_for_what_a_killed_process_has_begun(host: Any) -> None:
    before = host.device._memory.state.time
    interrupted_format(host.device)
    assert host.code(TUR) == "good"
    assert host.device._memory.state.time - before >= 3060


def test_a_full_disk_is_a_medium_that_cannot_be_written(host: Any) -> None:
    process = run(
        host.device.directory,
        """
        import resource, signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
        for _ in range(8):
            assert send("0a 00 03 0d 40 00", b"x" * 200_000).status == 0
        for _ in range(2):
            print(send("10 00 00 00 00 00").sense[:3].hex(), flush=True)
        """,
    )
    assert process.communicate()[0].split() == ["710003", "700003"]
    host.good("01 00 00 00 00 00")
    host.good("11 03 00 00 00 00")
    assert host.position() == (5, 0)


def test_another_kind_of_drive_is_not_made_of_this_one(host: Any, make: Any) -> None:
    with pytest.raises(ValueError, match="LTO-9, not LTO-8"):
        make(generation="LTO-8")
    with pytest.raises(ValueError, match="LTO-7"):
        make(generation="LTO-7")


def test_a_damaged_memory_is_refused(host: Any, make: Any) -> None:
    path = host.device.directory / "drive"
    with open(path, "r+b") as file:
        file.seek(8)
        slot = file.read(1)[0]
        file.seek(4096 + slot * 256 * 1024 + 20)
        file.write(b"\xff\xff")
    with pytest.raises(Exception, match="damaged"):
        make()
    os.truncate(path, 0)
    path.write_bytes(bytes(1 << 20))
    with pytest.raises(Exception, match="not the memory"):
        make()
