# SPDX-License-Identifier: LGPL-2.1-or-later
"""Arguments: each has its type, and nothing is overlooked."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tapeds.errors import InvalidFileDescriptor, InvalidOption
from tapeds.worker.arguments import Arguments


def arguments(**values: Any) -> Arguments:
    return Arguments({key.replace("_", "-"): value for key, value in values.items()}, [])


def test_what_was_given_is_what_is_read() -> None:
    given = arguments(a=True, b=7, c="x", d=-3, e="AB", f={"k": 1}, g="0F" * 32, h="qw==")
    assert given.flag("a") is True
    assert given.number("b") == 7
    assert given.text("c") == "x"
    assert given.signed("d", 0) == -3
    assert given.hex_bytes("e") == b"\xab"
    assert given.mapping("f") == {"k": 1}
    assert given.base64_bytes("h") == b"\xab"
    assert given.sha256("g") == "0f" * 32
    given.done()


def test_what_was_left_out_is_the_default() -> None:
    given = arguments()
    assert given.flag("a", default=True) is True
    assert given.number("b", 5) == 5
    assert given.optional_number("b") is None
    assert given.text("c", "") == ""
    assert given.uuid("d", "") == ""
    assert given.hex_bytes("e") == given.base64_bytes("h") == b""
    assert given.mapping("f") is None
    assert given.sha256() == ""


@pytest.mark.parametrize(
    ("ask", "value", "text"),
    [
        (lambda a: a.flag("x"), 1, "x is 1; give true or false"),
        (lambda a: a.flag("x"), None, "x is None; give true or false"),
        (lambda a: a.number("x"), -1, "x is -1; give a whole number from 0 to 18446744073709551615"),
        (lambda a: a.number("x"), 2**64, "give a whole number"),
        (lambda a: a.number("x"), True, "x is True; give a whole number"),
        (lambda a: a.number("x"), 1.5, "x is 1.5; give a whole number"),
        (lambda a: a.signed("x", 0), 2**63, "give a whole number"),
        (lambda a: a.text("x"), 1, "x is 1; give text"),
        (lambda a: a.text("x"), "\ud800", "x holds half a character; give UTF-8 text"),
        (lambda a: a.uuid("x"), "7f42", "x '7f42' is no UUID; give 32 hex digits"),
        (lambda a: a.uuid("x", ""), "g" * 32, "is no UUID"),
        (lambda a: a.hex_bytes("x"), "abc", "x is not hex; give two hex digits"),
        (lambda a: a.base64_bytes("x"), "00ff-", "x is not base64; give bytes encoded so"),
        (lambda a: a.sha256("x"), "ab", "x is not 32 bytes long"),
        (lambda a: a.mapping("x"), [1], r"x is \[1\]; give a mapping"),
        (lambda a: a.label_text("x"), "A", "x 'A' will not do; give 2 to 32 letters"),
        (lambda a: a.label_text("x"), "A" * 33, "will not do"),
        (lambda a: a.label_text("x"), "-tape", "beginning with a letter, digit or '_'"),
        (lambda a: a.label_text("x"), "a/b", "will not do"),
        (lambda a: a.label_text("x"), "tape\n", "will not do"),
    ],
)
def test_a_wrong_value_is_refused_with_what_would_be_right(
    ask: Callable[[Arguments], Any], value: Any, text: str
) -> None:
    with pytest.raises(InvalidOption, match=text):
        ask(Arguments({"x": value}, []))


def test_a_missing_value_is_named() -> None:
    with pytest.raises(InvalidOption, match="pool is missing; give it"):
        arguments().text("pool")


def test_an_unknown_argument_is_refused() -> None:
    with pytest.raises(InvalidOption, match="overwrit: there is no such argument here; leave it out"):
        arguments(overwrit=True).done()


@pytest.mark.parametrize("text", ["7f42c4dd96264d899f2bc7bc6da7d533", "7F42C4DD-9626-4D89-9F2B-C7BC6DA7D533"])
def test_a_uuid_is_told_in_its_usual_form(text: str) -> None:
    assert arguments(uuid=text).uuid("uuid") == "7f42c4dd-9626-4d89-9f2b-c7bc6da7d533"


@pytest.mark.parametrize("text", ["TEST01L8", "_a", "0.-_", "A" * 32])
def test_a_safe_label_text_is_taken(text: str) -> None:
    assert arguments(label_text=text).label_text() == text


def test_a_descriptor_that_nobody_wanted_is_refused() -> None:
    with pytest.raises(InvalidFileDescriptor, match="this request takes no descriptor; send none"):
        Arguments({}, [0]).done()


@pytest.mark.parametrize("count", [0, 2])
def test_a_transfer_takes_exactly_one_descriptor(count: int) -> None:
    with pytest.raises(InvalidFileDescriptor, match=f"takes one descriptor, not {count}; send exactly one"):
        Arguments({}, [0] * count).descriptor(writing=True)


def test_pipes_files_and_stream_sockets_are_taken(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    file = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    left, right = socket.socketpair()
    try:
        assert Arguments({}, [read_end]).descriptor(writing=False) == read_end
        assert Arguments({}, [write_end]).descriptor(writing=True) == write_end
        for fd in (file, left.fileno()):
            assert Arguments({}, [fd]).descriptor(writing=False) == fd
            assert Arguments({}, [fd]).descriptor(writing=True) == fd
    finally:
        for fd in (read_end, write_end, file):
            os.close(fd)
        left.close()
        right.close()


def test_the_wrong_end_of_a_pipe_is_refused() -> None:
    read_end, write_end = os.pipe()
    try:
        with pytest.raises(InvalidFileDescriptor, match="not open for writing; open it so"):
            Arguments({}, [read_end]).descriptor(writing=True)
        with pytest.raises(InvalidFileDescriptor, match="not open for reading; open it so"):
            Arguments({}, [write_end]).descriptor(writing=False)
    finally:
        os.close(read_end)
        os.close(write_end)


@pytest.mark.parametrize(
    ("path", "flags"),
    [("/dev/null", os.O_RDWR), ("/", os.O_RDONLY), ("/etc/passwd", os.O_PATH)],
    ids=["character device", "directory", "O_PATH"],
)
def test_other_kinds_of_descriptor_are_refused(path: str, flags: int) -> None:
    fd = os.open(path, flags)
    try:
        with pytest.raises(InvalidFileDescriptor):
            Arguments({}, [fd]).descriptor(writing=False)
    finally:
        os.close(fd)
