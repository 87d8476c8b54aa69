# SPDX-License-Identifier: LGPL-2.1-or-later
"""What proves that all of a source came, and what does not."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from tapeds.cli.copying import Copied, Ending, Stop, copy
from tapeds.cli.source import Producer, RegularFile, Source, StandardInput, digest_in

DATA = b"all of it"
DIGEST = hashlib.sha256(DATA).hexdigest()
ALL = Copied(len(DATA), DIGEST, Ending.SOURCE)


@pytest.fixture
def stop() -> Iterator[Stop]:
    flag = Stop()
    yield flag
    flag.close()


def read_through(source: Source, stop: Stop) -> Copied:
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        return copy(source.open(), sink, stop, source.size)
    finally:
        os.close(sink)


# --- a regular file -----------------------------------------------------------------------------


def test_a_file_that_stays_as_it_was_is_complete(tmp_path: Path, stop: Stop) -> None:
    (tmp_path / "data").write_bytes(DATA)
    source = RegularFile(str(tmp_path / "data"), None)
    assert (source.size, source.name) == (9, "data")
    assert source.objection(read_through(source, stop), stop) == ""
    source.close()


@pytest.mark.parametrize("later", [b"all of", b"all of it, and more", b"ALL OF IT"])
def test_a_file_that_changes_while_it_is_read_is_not(tmp_path: Path, stop: Stop, later: bytes) -> None:
    path = tmp_path / "data"
    path.write_bytes(DATA)
    os.utime(path, (1, 1))
    source = RegularFile(str(path), None)
    path.write_bytes(later)
    assert source.objection(read_through(source, stop), stop) == f"{path} changed while it was read"
    source.close()


def test_an_empty_name_writes_no_name(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(DATA)
    source = RegularFile(str(tmp_path / "data"), "")
    assert source.name == ""
    source.close()


@pytest.mark.parametrize(
    ("path", "words"),
    [("/dev/zero", "no regular file"), ("/nowhere/at/all", "No such file"), ("/", "regular file")],
)
def test_what_is_no_file_is_a_usage_error(path: str, words: str) -> None:
    with pytest.raises(click.UsageError, match=words):
        RegularFile(path, None)


# --- standard input -----------------------------------------------------------------------------


def test_standard_input_alone_proves_nothing(stop: Stop) -> None:
    source = StandardInput("", None, None, trusted=False)
    assert not source.proved
    assert source.objection(ALL, stop) == "the end of standard input does not prove that all of it came"


def test_standard_input_is_complete_when_the_person_trusts_its_end(stop: Stop) -> None:
    assert StandardInput("", None, None, trusted=True).objection(ALL, stop) == ""


def test_standard_input_is_complete_with_the_size_that_was_announced(stop: Stop) -> None:
    assert StandardInput("", 9, None, trusted=False).objection(ALL, stop) == ""


def test_standard_input_shorter_than_announced_is_not(stop: Stop) -> None:
    text = StandardInput("", 10, None, trusted=False).objection(ALL, stop)
    assert text == "standard input ended after 9 of the 10 bytes of --size"


def test_standard_input_longer_than_announced_is_not(stop: Stop) -> None:
    longer = Copied(9, DIGEST, Ending.LONGER)
    text = StandardInput("", 9, None, trusted=True).objection(longer, stop)
    assert text == "standard input holds more than the 9 bytes of --size"


def test_standard_input_is_complete_with_the_right_digest(tmp_path: Path, stop: Stop) -> None:
    sums = tmp_path / "SUMS"
    sums.write_text(f"{DIGEST}  data\n")
    assert StandardInput("", None, str(sums), trusted=False).objection(ALL, stop) == ""


def test_standard_input_with_another_digest_is_not_even_when_its_end_is_trusted(
    tmp_path: Path, stop: Stop
) -> None:
    sums = tmp_path / "SUMS"
    sums.write_text("0" * 64)
    text = StandardInput("", None, str(sums), trusted=True).objection(ALL, stop)
    assert text == f"the SHA-256 of standard input is {DIGEST}, but {sums} says {'0' * 64}"


def test_a_digest_that_comes_at_the_end_counts(tmp_path: Path, stop: Stop) -> None:
    sums = tmp_path / "SUMS"
    sums.write_text("")
    source = StandardInput("", None, str(sums), trusted=False)
    assert source.objection(ALL, stop).startswith(f"{sums} tells no SHA-256")
    sums.write_text(DIGEST)
    assert source.objection(ALL, stop) == ""


def test_a_file_of_sums_that_is_missing_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(click.UsageError, match="SUMS cannot be read"):
        StandardInput("", None, str(tmp_path / "SUMS"), trusted=False)


@pytest.mark.parametrize("text", [DIGEST, DIGEST.upper(), f"{DIGEST} *data\n", f"\\{DIGEST}  a\\nb\n"])
def test_sums_are_read_as_sha256sum_prints_them(text: str) -> None:
    assert digest_in(text) == DIGEST


@pytest.mark.parametrize("text", ["", DIGEST[:-1], "data " + DIGEST, DIGEST + "0"])
def test_what_sha256sum_does_not_print_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no line of sha256sum"):
        digest_in(text)


# --- a command ----------------------------------------------------------------------------------


def test_a_command_that_exits_0_is_complete(stop: Stop) -> None:
    source = Producer(["printf", "all of it"], "")
    copied = read_through(source, stop)
    assert copied == ALL
    assert source.objection(copied, stop) == ""
    source.close()


def test_a_command_that_fails_is_not(stop: Stop) -> None:
    source = Producer(["sh", "-c", "echo half; exit 3"], "")
    assert source.objection(read_through(source, stop), stop) == "sh exited with status 3"
    source.close()


def test_a_command_that_is_killed_is_not(stop: Stop) -> None:
    source = Producer(["sh", "-c", "echo half; kill -9 $$"], "")
    assert source.objection(read_through(source, stop), stop) == "sh was killed by signal 9"
    source.close()


def test_a_command_that_closes_its_output_and_goes_on_is_waited_for(stop: Stop) -> None:
    source = Producer(["sh", "-c", "echo half; exec >&-; sleep 0.3; exit 4"], "")
    assert source.objection(read_through(source, stop), stop) == "sh exited with status 4"
    source.close()


def test_waiting_for_a_command_can_be_stopped(stop: Stop) -> None:
    source = Producer(["sh", "-c", "exec sleep 600 >&-"], "")
    copied = read_through(source, stop)
    stop.set()
    assert source.objection(copied, stop) == "sh was still running"
    source.close()


def test_a_command_that_nobody_has_is_a_usage_error() -> None:
    with pytest.raises(click.UsageError, match="no-such-command-here: no such command"):
        Producer(["no-such-command-here"], "")
