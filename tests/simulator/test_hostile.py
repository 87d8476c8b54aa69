# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whatever bytes are sent, the drive answers and keeps its word."""

from __future__ import annotations

import random
from typing import Any

import pytest


@pytest.mark.parametrize("seed", range(8))
def test_every_cdb_has_an_answer(host: Any, seed: int) -> None:
    some = random.Random(seed)
    listed = host.good("a3 0c 00 00 00 00 00 00 ff ff 00 00")
    known = [(listed[at], listed[at + 3], listed[at + 7]) for at in range(4, len(listed), 8)]
    for _ in range(400):
        opcode, action, size = some.choice(known) if some.random() < 0.95 else (some.randrange(256), 0, 6)
        cdb = bytearray(size)
        cdb[0], cdb[1] = opcode, action
        for _ in range(some.randrange(4)):
            cdb[some.randrange(1, size)] ^= 1 << some.randrange(8)
        if opcode == 0x10:
            cdb[2] = cdb[3] = 0  # millions of filemarks would take minutes
        if some.random() < 0.05:
            cdb = cdb[: some.randrange(1, size)]
        data = some.randbytes(some.choice((0, 1, 4, 12, 20, 36, 300, 5000)))
        allocation = 0 if data else some.choice((0, 1, 20, 255, 4096))
        done = host.device.execute("host0", bytes(cdb), data, allocation)
        assert done.status in (0x00, 0x02)
        assert bool(done.sense) == (done.status == 0x02)
        assert len(done.data) <= allocation
        assert 0 <= done.residual <= (len(data) or allocation)
        if some.random() < 0.05:
            host.device.power_loss()
        host.device.pass_time(some.choice((0, 0, 10, 100_000)))


@pytest.mark.parametrize("seed", range(4))
def test_a_random_life_agrees_with_a_list(host: Any, seed: int) -> None:
    """Writing, moving, reading and losing power: the tape is what a list of objects would be."""
    some = random.Random(seed)
    tape: list[bytes | None] = []  # None is a filemark
    at, safe = 0, list(tape)
    for n in range(250):
        match some.randrange(8):
            case 0 | 1 | 2:
                block = str(n).encode() * some.randrange(1, 9000)
                assert host.write(block).status == 0
                tape[at:] = [block]
                at += 1
            case 3:
                sync = some.random() < 0.5
                host.good(f"10 {0 if sync else 1:02x} 00 00 01 00")
                tape[at:] = [None]
                at += 1
                safe = list(tape) if sync else safe
            case 4:
                at = some.randrange(len(tape) + 1)
                host.good(f"92 00 00 00 {at:016x} 00 00 00 00")
                safe = list(tape)
            case 5 | 6:
                done = host("08 02 04 00 00 00")
                safe = list(tape)
                if at == len(tape):
                    assert done.sense[2] == 8
                elif tape[at] is None:
                    assert done.sense[2] == 0x80
                    at += 1
                else:
                    assert (done.status, done.data) == (0, tape[at])
                    at += 1
            case 7 if some.random() < 0.3:
                host.device.power_loss()
                host.settle()
                host.good("11 03 00 00 00 00")
                count = host.position()[0]
                # What was synchronised, and then as much of the rest as the tape had taken.
                assert count >= len(safe) or tape[:count] == safe[:count]
                tape = (tape if tape[: len(safe)] == safe else safe)[:count]
                safe, at = list(tape), len(tape)
        assert host.position() == (at, tape[:at].count(None))
