# SPDX-License-Identifier: LGPL-2.1-or-later
"""What all commands have in common."""

from __future__ import annotations

import re
from pathlib import Path

from support.mutate import below, load_everything
from tapeds.scsi.command import Command, Duration, Status
from tapeds.scsi.ssc.block import Write6
from tapeds.scsi.ssc.medium import Erase6
from tapeds.scsi.ssc.position import ReadPositionLong

load_everything()
COMMANDS: list[type[Command]] = sorted(
    (kind for kind in below(Command) if issubclass(kind, Command)), key=lambda kind: kind.__name__
)


def test_every_command_has_a_test_of_its_bytes() -> None:
    text = "\n".join(path.read_text() for path in Path(__file__).parent.rglob("test_*.py"))
    assert [kind.__name__ for kind in COMMANDS if not re.search(rf"\b{kind.__name__}\(", text)] == []


def test_every_command_says_in_its_first_word_what_t10_calls_it() -> None:
    for kind in COMMANDS:
        assert re.fullmatch(r"[A-Z]{3}[A-Za-z ,()0-9]*", kind.title), kind.title
    assert Write6.title == "WRITE(6)"


def test_a_command_has_as_many_bytes_as_its_group_says() -> None:
    sizes = {0: 6, 1: 10, 2: 10, 4: 16, 5: 12}
    for kind in COMMANDS:
        assert kind.byte_size == sizes[kind.opcode >> 5], kind


def test_no_two_commands_have_the_same_code() -> None:
    codes = [(kind.opcode, kind.service_action) for kind in COMMANDS]
    assert len(set(codes)) == len(codes)


def test_a_command_tells_its_code_and_how_long_its_kind_takes() -> None:
    assert (Erase6.opcode, Erase6.service_action, Erase6.duration) == (0x19, None, Duration.ERASE)
    assert (ReadPositionLong.opcode, ReadPositionLong.service_action) == (0x34, 0x06)


def test_status_bytes() -> None:
    assert [Status(code).name for code in (0x00, 0x02, 0x08, 0x18, 0x28, 0x40)] == [
        "GOOD",
        "CHECK_CONDITION",
        "BUSY",
        "RESERVATION_CONFLICT",
        "TASK_SET_FULL",
        "TASK_ABORTED",
    ]
