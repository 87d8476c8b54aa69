# SPDX-License-Identifier: LGPL-2.1-or-later
"""The fault script: what it says, what happens then, and what it may not say."""

from __future__ import annotations

import errno
import threading
import time
from typing import Any

import pytest

from tapeds.simulator import BadScript

TUR = "00 00 00 00 00 00"


def script(host: Any, *lines: str) -> None:
    host.device.set_faults("[[fault]]\n" + "\n".join(lines))


def test_any_sense_at_the_nth_command(host: Any) -> None:
    script(host, 'kind = "sense"', "command = 3", "sense = [4, 0x44, 0]")
    assert [host.code(TUR) for _ in range(5)] == ["good", "good", "4/44/00", "good", "good"]


def test_commands_can_be_counted_by_operation_code_and_nexus(host: Any, second: Any) -> None:
    second.settle()
    script(
        host, 'kind = "sense"', "command = 2", "opcode = 0x01", 'nexus = "host1"', "sense = [0xB, 0x47, 0]"
    )
    rewind = "01 00 00 00 00 00"
    assert [host.code(rewind), second.code(TUR), second.code(rewind), host.code(rewind)] == ["good"] * 4
    assert second.code(rewind) == "B/47/00"
    assert second.code(rewind) == "good"


def test_a_fault_comes_as_often_as_it_says(host: Any) -> None:
    script(host, 'kind = "sense"', "times = 3", "sense = [2, 4, 1]")
    assert [host.code(TUR) for _ in range(5)] == ["2/04/01"] * 3 + ["good"] * 2
    script(host, 'kind = "sense"', "times = 0", "sense = [2, 4, 1]")
    assert [host.code(TUR) for _ in range(5)] == ["2/04/01"] * 5
    host.device.set_faults("")
    assert host.code(TUR) == "good"


def test_sense_data_with_all_their_flags(host: Any) -> None:
    script(
        host,
        'kind = "sense"',
        "sense = [3, 0x11, 0]",
        "deferred = true",
        "eom = true",
        "filemark = true",
        "ili = true",
        "information = 77",
    )
    assert host(TUR).sense.hex(" ") == "f1 00 e3 00 00 00 4d 0a 00 00 00 00 11 00 00 00 00 00"


def test_any_sense_at_a_block_that_is_read_or_written(host: Any) -> None:
    script(host, 'kind = "sense"', "block = 2", "sense = [4, 0x10, 1]")
    codes = [host.code("0a 00 00 00 03 00", b"abc") for _ in range(4)]
    assert codes == ["good", "good", "4/10/01", "good"]
    host.good("01 00 00 00 00 00")
    script(host, 'kind = "sense"', "block = 1", "sense = [3, 0x11, 0]")
    assert [host.code("08 02 00 00 10 00") for _ in range(4)] == ["good", "3/11/00", "good", "good"]


def test_an_injected_sense_comes_before_an_attention_that_waits(host: Any) -> None:
    host.device.reset()
    script(host, 'kind = "sense"', "sense = [4, 0x44, 0]")
    assert [host.code(TUR) for _ in range(3)] == ["4/44/00", "6/29/03", "good"]


def test_a_short_answer_and_a_wrong_residual(host: Any) -> None:
    script(host, 'kind = "short"', "bytes = 16")
    done = host("12 00 00 00 60 00", size=96)
    assert (done.status, len(done.data), done.residual) == (0, 16, 80)
    script(host, 'kind = "residual"', "bytes = 5")
    done = host("12 00 00 00 60 00", size=96)
    assert (done.status, len(done.data), done.residual) == (0, 96, 5)


def test_busy_and_a_reservation_conflict_have_no_sense_data(host: Any) -> None:
    script(host, 'kind = "conflict"')
    done = host.write(b"abc")
    assert (done.status, done.sense, done.residual) == (0x18, b"", 3)
    script(host, 'kind = "busy"')
    assert host(TUR).status == 0x08
    assert host.position() == (0, 0)


def test_a_reset_ends_the_command_and_every_nexus_hears_of_it(host: Any, second: Any) -> None:
    second.settle()
    host.write(b"kept")
    script(host, 'kind = "reset"')
    done = host.write(b"lost")
    assert (done.status, done.host, done.sense, done.residual) == (0, 8, b"", 4)
    assert [host.code(TUR), second.code(TUR)] == ["6/29/02", "6/29/02"]
    assert host.position() == (1, 0)
    host.filemark()
    host.good("01 00 00 00 00 00")
    assert host.good("08 02 00 01 00 00") == b"kept"


def test_an_attention_that_another_opener_took(host: Any) -> None:
    host.device.reset()
    script(host, 'kind = "swallow"')
    assert host.code(TUR) == "good"


def test_a_vanished_device_comes_back_after_a_power_on(host: Any, make: Any, at: Any) -> None:
    script(host, 'kind = "vanish"', "command = 2")
    host.write(b"buffered")
    with pytest.raises(OSError, match="No such device") as gone:
        host(TUR)
    assert gone.value.errno == errno.ENODEV
    with pytest.raises(OSError, match="No such device"):
        host(TUR)
    with pytest.raises(OSError, match="No such device"):
        make().open()
    host.device.plug_in()
    with pytest.raises(OSError, match="No such device"):
        host(TUR)
    again = at(make())
    assert again.code(TUR) == "6/29/00"
    again.settle()
    again.good("11 03 00 00 00 00")
    assert again.position() == (0, 0)


def test_a_stuck_command_takes_its_time(host: Any) -> None:
    script(host, 'kind = "stuck"', "seconds = 600")
    before = host.device._memory.state.time
    assert host.code(TUR) == "good"
    assert host.device._memory.state.time - before == 600


def test_a_stuck_command_ends_when_the_script_no_longer_holds_it(host: Any, make: Any, at: Any) -> None:
    script(host, 'kind = "stuck"', "opcode = 0x0a")
    answers: list[int] = []
    other = at(make())
    thread = threading.Thread(target=lambda: answers.append(other.write(b"abc").status))
    thread.start()
    deadline = time.monotonic() + 20
    while not host.device.loaded() or host.device._memory.state.under_way is None:
        assert time.monotonic() < deadline
    assert answers == []
    host.device.set_faults("")
    thread.join(20)
    assert answers == [0]
    assert host.position() == (1, 0)


def test_a_stuck_command_ends_with_the_power(host: Any, make: Any, at: Any) -> None:
    script(host, 'kind = "stuck"')
    answers: list[Any] = []
    other = at(make())
    thread = threading.Thread(target=lambda: answers.append(other(TUR)))
    thread.start()
    deadline = time.monotonic() + 20
    while not host.device.loaded() or host.device._memory.state.under_way is None:
        assert time.monotonic() < deadline
    host.device.power_loss()
    thread.join(20)
    assert [(done.status, done.host) for done in answers] == [(0, 8)]


def test_beside_a_stuck_command_only_a_deeper_queue_answers_questions(host: Any, make: Any, at: Any) -> None:
    script(host, 'kind = "stuck"', "opcode = 0x01")
    deep = make(queue_depth=8)
    other = at(make())
    thread = threading.Thread(target=lambda: other("01 00 00 00 00 00"))
    thread.start()
    deadline = time.monotonic() + 20
    while not host.device.loaded() or host.device._memory.state.under_way is None:
        assert time.monotonic() < deadline
    assert at(deep).good("4d 00 51 00 00 00 00 00 20 00")[8 + 2] == 0x04
    assert at(deep).good("12 00 00 00 60 00")[7] == 0x02
    host.device.set_faults("")
    thread.join(20)


def test_cleaning_and_alerts_by_script(host: Any) -> None:
    script(host, 'kind = "clean"', "required = true")
    host.good(TUR)
    assert host.good("4d 00 52 00 00 00 00 00 40 00")[8:].hex() == f"{1 << (64 - 20):016x}"
    script(host, 'kind = "alert"', "flag = 1")
    host.good(TUR)
    assert host.good("4d 00 52 00 00 00 00 00 40 00")[8:].hex() == f"{1 << 63 | 1 << (64 - 20):016x}"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("fault", "not TOML"),
        ("[other]", "not other"),
        ("fault = 3", "a list of tables"),
        ("[[fault]]", "kind must be one of"),
        ('[[fault]]\nkind = "fire"', "kind must be one of"),
        ('[[fault]]\nkind = "busy"\nsense = [1, 2, 3]', "busy knows no sense"),
        ('[[fault]]\nkind = "sense"', "sense needs sense"),
        ('[[fault]]\nkind = "sense"\nsense = [1, 2]', "three numbers"),
        ('[[fault]]\nkind = "sense"\nsense = [16, 2, 3]', "three numbers"),
        ('[[fault]]\nkind = "write-error"', "write-error needs block"),
        ('[[fault]]\nkind = "busy"\ncommand = "3"', "command has the wrong type"),
        ('[[fault]]\nkind = "busy"\ncommand = true', "command has the wrong type"),
        ('[[fault]]\nkind = "busy"\n[[fault]]\nkind = "alert"', "fault 2: alert needs flag"),
    ],
)
def test_a_script_that_says_something_else_is_refused_whole(host: Any, text: str, why: str) -> None:
    script(host, 'kind = "busy"')
    with pytest.raises(BadScript, match=why.replace("[", r"\[")):
        host.device.set_faults(text)
    assert host(TUR).status == 0x08
