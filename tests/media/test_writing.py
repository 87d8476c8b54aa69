# SPDX-License-Identifier: LGPL-2.1-or-later
"""A caller's bytes on their way to tape, and every way in which they may end."""

from __future__ import annotations

import fcntl
import hashlib
import os
import socket
import termios

import pytest

from tapeds.errors import (
    Cancelled,
    ClientGone,
    EndOfMedia,
    Incomplete,
    InvalidFileDescriptor,
    InvalidOption,
    InvalidState,
    Io,
    MediumError,
    WriteProtected,
)
from tapeds.media import pump
from tapeds.media.control import Commit
from tapeds.media.header import BLOCK, PAYLOAD, FileHeader
from tapeds.media.transfer import WritePlan, write_file

ON_EOF = WritePlan(commit_on_eof=True)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def write(drive, pipe, control, ring):
    """Write from the pipe, our own end, with a plan."""

    def write(plan=ON_EOF, *, ring=ring, fd=None, owned=True):
        return write_file(drive, pipe.reader if fd is None else fd, owned, plan, control, ring)

    return write


@pytest.fixture
def failed(write):
    """Write and expect an error: the error."""

    def failed(kind, plan=ON_EOF, match=None, **more):
        with pytest.raises(kind, match=match) as caught:
            write(plan, **more)
        return caught.value

    return failed


def give_and_close(pipe, data):
    pipe.give(data)
    pipe.close(pipe.writer)


def facts(error):
    return {key: error.data[key] for key in ("bytes", "blocks", "complete", "early-warning", "bytes-on-tape")}


def commits(size, digest=""):
    def act(control):
        control.commit = Commit(size, digest)

    return act


def raises(error):
    def act(control):
        raise error

    return act


# --- golden streams -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("stream-empty.blk", b""),
        ("stream-ABC.blk", b"ABC"),
        ("stream-exact-one-payload.blk", (bytes(range(256)) * 1024)[:PAYLOAD]),
    ],
)
def test_a_golden_stream_is_reproduced_byte_for_byte(write, drive, pipe, golden_file, name, payload):
    give_and_close(pipe, payload)
    write()
    assert b"".join(drive.tape[0].blocks) == golden_file(name)


def test_the_golden_incomplete_stream_is_reproduced_byte_for_byte(failed, drive, pipe, control, golden_file):
    pipe.give(b"partial")
    control.waits.append(raises(Cancelled("cancelled")))
    failed(Cancelled)
    assert b"".join(drive.tape[0].blocks) == golden_file("stream-incomplete.blk")


# --- sizes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "size", [0, 1, PAYLOAD - 1, PAYLOAD, PAYLOAD + 1, 2 * PAYLOAD - 1, 2 * PAYLOAD, 9 * PAYLOAD + 17]
)
@pytest.mark.parametrize("owned", [True, False])
def test_a_file_has_a_block_for_each_full_payload_and_one_for_its_end(
    write, drive, pipe, noise, blocks_of, size, owned
):
    data = noise(size)
    pipe.give_all(data)
    done = write(owned=owned)
    assert drive.tape[0].blocks == blocks_of(data)
    assert (done.bytes, done.blocks, done.bytes_on_tape) == (size, size // PAYLOAD + 1, size)
    assert (done.complete, done.early_warning, done.file) == (True, False, 0)
    assert drive.tape[0].marked
    assert drive.position().file == 1


def test_a_header_stands_before_the_callers_bytes_and_is_not_counted(write, drive, pipe, noise):
    header = FileHeader("home").pack()
    data = noise(2 * PAYLOAD)
    pipe.give_all(data)
    done = write(WritePlan(header_bytes=header, size=len(data), digest=True))
    assert drive.payload(0) == header + data
    assert (done.bytes, done.blocks, done.sha256) == (len(data), 3, sha256(data))


def test_a_header_may_fill_a_whole_block_but_not_more(write, failed, drive, pipe):
    give_and_close(pipe, b"abc")
    failed(InvalidOption, WritePlan(header_bytes=bytes(PAYLOAD + 1)), "more than 262128")
    assert drive.writes == 0
    done = write(WritePlan(header_bytes=bytes(PAYLOAD), size=3, digest=True))
    assert (done.bytes, done.blocks, done.sha256) == (3, 2, sha256(b"abc"))


def test_a_file_is_written_behind_the_one_before(write, drive, pipe, blocks_of):
    drive.tape.append(type(drive)([blocks_of(b"first")]).tape[0])
    drive.locate_end()
    give_and_close(pipe, b"second")
    assert write().file == 1
    assert (drive.payload(0), drive.payload(1)) == (b"first", b"second")


def test_nothing_is_written_while_the_head_stands_inside_a_file(failed, drive, pipe, blocks_of):
    drive.tape.append(type(drive)([blocks_of(bytes(PAYLOAD))]).tape[0])
    drive.read_block(memoryview(bytearray(BLOCK)))
    give_and_close(pipe, b"x")
    failed(InvalidState, match="the head stands inside file 0")
    assert drive.writes == 0


# --- descriptors ----------------------------------------------------------------------------------


@pytest.mark.parametrize("piece", [1, 4096, 10240, 65536, PAYLOAD, 262144])
def test_pieces_of_any_size_make_the_same_file(write, drive, pipe, noise, blocks_of, piece):
    data = noise(3000 if piece == 1 else 3 * PAYLOAD + 5)
    pipe.give_all(data, piece=piece)
    write()
    assert drive.tape[0].blocks == blocks_of(data)


def test_a_producer_that_is_slow_is_waited_for(write, drive, pipe, control):
    """Each wait is answered by a little more, in the middle of a block."""
    parts = [b"a" * 100_000, b"b" * 200_000, b"c" * 50_000, b"d" * 300_000]
    for part in parts:
        control.waits.append(lambda _, part=part: pipe.give(part))
    control.waits.append(lambda _: pipe.close(pipe.writer))
    done = write()
    assert drive.payload(0) == b"".join(parts)
    assert done.waits == 5
    assert done.stops == 2                     # behind each of the two full blocks the drive stood still
    assert control.waited_for == [(pipe.reader, False)] * 5


def test_a_regular_file_is_written_from_where_it_stands(write, drive, tmp_path, noise, blocks_of):
    data = noise(7 * PAYLOAD + 3)
    path = tmp_path / "data"
    path.write_bytes(b"skipped" + data)
    with path.open("rb") as file:
        os.lseek(file.fileno(), 7, os.SEEK_SET)
        done = write(WritePlan(size=len(data)), fd=file.fileno(), owned=False)
        file.seek(0)                           # it is still open
    assert drive.tape[0].blocks == blocks_of(data)
    assert done.waits == 0


def test_a_socket_is_written_to_its_end(write, drive, sockets, control, noise, blocks_of):
    ours, theirs = sockets
    data = noise(100_000)
    theirs.sendall(data[:60_000])
    control.waits.append(lambda _: theirs.sendall(data[60_000:]))
    control.waits.append(lambda _: theirs.shutdown(socket.SHUT_WR))
    write(fd=ours.fileno(), owned=False)
    assert drive.tape[0].blocks == blocks_of(data)
    ours.close()
    assert theirs.recv(1) == b""               # nobody holds it any more


def test_a_device_is_no_source(failed, drive):
    with open("/dev/zero", "rb") as zero:
        failed(InvalidFileDescriptor, fd=zero.fileno())
    assert drive.writes == 0


def test_a_source_that_cannot_be_read_leaves_an_incomplete_file(failed, drive, pipe):
    error = failed(Io, fd=pipe.writer, owned=False)
    assert facts(error)["bytes-on-tape"] == 0
    assert drive.flags(0) == [3]


# --- what makes a file whole ----------------------------------------------------------------------


def test_the_end_of_the_data_waits_for_the_commit(write, drive, pipe, control):
    give_and_close(pipe, b"data")
    control.waits.append(lambda _: None)       # some other word of the caller
    control.waits.append(commits(4))
    done = write(WritePlan())
    assert done.complete
    assert control.waited_for[-2:] == [(-1, False), (-1, False)]
    assert drive.flags(0) == [1]


def test_full_blocks_are_written_before_the_commit_comes(write, drive, pipe, control):
    give_and_close(pipe, bytes(3 * PAYLOAD))
    control.waits.append(lambda _: commits(3 * PAYLOAD)(control) if drive.writes == 3 else None)
    assert write(WritePlan()).blocks == 4


def test_a_commit_before_the_end_closes_the_file_behind_that_many_bytes(write, drive, pipe, control):
    """The writer keeps its end open, and more may be in the pipe."""
    pipe.give(b"0123456789")
    control.commit = Commit(6)
    done = write(WritePlan())
    assert (done.bytes, drive.payload(0)) == (6, b"012345")
    assert os.read(pipe.reader, 100) == b"6789"


def test_from_its_commit_on_no_more_is_taken_than_was_committed(write, drive, pipe, control):
    def commit_and_give(control):
        control.commit = Commit(6)
        pipe.give(b"3456789")

    pipe.give(b"012")
    control.waits.append(commit_and_give)
    assert write(WritePlan()).bytes == 6
    assert os.read(pipe.reader, 100) == b"6789"


def test_a_commit_before_its_bytes_waits_for_them(write, drive, pipe, control):
    control.commit = Commit(300_000)
    control.waits.append(lambda _: pipe.give(bytes(299_999)))
    control.waits.append(lambda _: pipe.give(b"xyz"))
    assert write(WritePlan()).bytes == 300_000
    assert drive.payload(0) == bytes(299_999) + b"x"


def test_a_commit_of_less_than_was_taken_forgets_the_rest(write, drive, pipe, control):
    pipe.give(b"0123456789")
    control.waits.append(commits(6))
    done = write(WritePlan(digest=True))
    assert (done.bytes, done.sha256, drive.payload(0)) == (6, sha256(b"012345"), b"012345")


def test_a_commit_of_exactly_what_is_on_tape_closes_the_file(write, drive, pipe, control):
    pipe.give(bytes(PAYLOAD + 10))
    control.waits.append(commits(PAYLOAD))
    assert write(WritePlan()).bytes == PAYLOAD
    assert (drive.flags(0), len(drive.payload(0))) == ([0, 1], PAYLOAD)


def test_a_commit_of_less_than_is_on_tape_is_incomplete(failed, drive, pipe, control):
    pipe.give(bytes(PAYLOAD + 10))
    control.waits.append(commits(PAYLOAD - 1))
    error = failed(Incomplete, WritePlan(), "262127 bytes were committed, but 262128 are on tape")
    assert facts(error)["bytes-on-tape"] == PAYLOAD + 10
    assert drive.flags(0) == [0, 3]


def test_data_that_end_before_the_committed_size_are_incomplete(failed, drive, pipe, control):
    give_and_close(pipe, b"12345")
    control.commit = Commit(6)
    failed(Incomplete, WritePlan(), "the data ended after 5 bytes of the 6 committed")
    assert (drive.flags(0), drive.payload(0)) == ([3], b"12345")


def test_a_commit_of_zero_bytes_is_an_empty_file(write, drive, control):
    control.commit = Commit(0)
    assert write(WritePlan()).bytes == 0
    assert drive.flags(0) == [1]


def test_a_size_that_is_met_exactly_needs_no_commit(write, pipe):
    give_and_close(pipe, b"12345")
    assert write(WritePlan(size=5)).complete


def test_a_size_that_is_met_waits_for_the_end_of_the_data(write, pipe, control):
    pipe.give(b"12345")
    control.waits.append(lambda _: pipe.close(pipe.writer))
    assert write(WritePlan(size=5)).waits == 1


def test_a_size_that_is_met_and_committed_needs_no_end(write, pipe, control):
    pipe.give(b"12345")
    control.commit = Commit(5)
    assert write(WritePlan(size=5)).complete


def test_data_shorter_than_the_size_are_incomplete(failed, drive, pipe):
    give_and_close(pipe, b"1234")
    failed(Incomplete, WritePlan(size=5), "the data ended after 4 bytes of the 5 of size")
    assert drive.flags(0) == [3]


@pytest.mark.parametrize("size", [5, PAYLOAD + 5, 5 * PAYLOAD])
def test_data_longer_than_the_size_are_incomplete(failed, drive, pipe, size):
    pipe.give_all(bytes(size + 1))
    failed(Incomplete, WritePlan(size=size), f"the data are longer than the {size} bytes of size")
    assert drive.flags(0)[-1] == 3


def test_a_commit_that_contradicts_the_size_is_incomplete(failed, drive, pipe, control):
    pipe.give(b"12345")
    control.commit = Commit(4)
    failed(Incomplete, WritePlan(size=5), "4 bytes were committed, not the 5 of size")
    assert drive.flags(0) == [3]


def test_a_digest_that_is_right_makes_the_file_whole_at_its_end(write, pipe, noise):
    data = noise(PAYLOAD + 7)
    pipe.give_all(data)
    done = write(WritePlan(sha256=sha256(data).upper()))
    assert (done.complete, done.sha256) == (True, sha256(data))


@pytest.mark.parametrize("size", [5, PAYLOAD, PAYLOAD + 5])
def test_a_digest_that_is_wrong_is_incomplete(failed, drive, pipe, size):
    pipe.give_all(bytes(size))
    match = f"the SHA-256 of the data is {sha256(bytes(size))}, not 0000"
    failed(Incomplete, WritePlan(sha256="0" * 64), match)
    assert drive.flags(0)[-1] == 3
    assert drive.payload(0) == bytes(size)


def test_a_committed_digest_is_checked_too(write, failed, drive, pipe, control):
    pipe.give(b"data and more")
    control.commit = Commit(4, sha256(b"data"))
    assert write(WritePlan(digest=True)).sha256 == sha256(b"data")
    control.commit = Commit(9, sha256(b"data"))
    failed(Incomplete, WritePlan(digest=True), "the SHA-256 of the data is")
    assert (drive.flags(0), drive.flags(1)) == ([1], [3])


def test_a_committed_digest_that_was_not_computed_is_not_believed(failed, pipe, control):
    pipe.give(b"data")
    control.commit = Commit(4, sha256(b"data"))
    failed(Incomplete, WritePlan(), "the SHA-256 of the data is not known")


def test_without_a_digest_none_is_told(write, pipe):
    give_and_close(pipe, b"data")
    assert write().sha256 == ""


# --- durability -----------------------------------------------------------------------------------


def test_a_file_is_durable_when_it_is_told(write, drive, pipe):
    give_and_close(pipe, b"data")
    write()
    assert drive.synchronised


def test_a_file_that_need_not_be_durable_does_not_wait(write, drive, pipe):
    give_and_close(pipe, b"data")
    write(WritePlan(commit_on_eof=True, durable=False))
    assert drive.calls == ["write_filemarks 1 immediate"]


def test_an_incomplete_file_is_always_durable(failed, drive, pipe, control):
    control.waits.append(raises(Cancelled("cancelled")))
    failed(Cancelled, WritePlan(durable=False))
    assert drive.synchronised


# --- stopped --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cause", [Cancelled("cancelled"), ClientGone("client vanished"), Incomplete("aborted by the caller")]
)
@pytest.mark.parametrize("size", [0, 1000, PAYLOAD, PAYLOAD + 1000])
def test_a_stop_closes_the_file_as_incomplete_with_what_is_at_hand(failed, drive, pipe, control, cause, size):
    pipe.give(bytes(size))
    control.waits.append(raises(cause))
    error = failed(type(cause), WritePlan(), str(cause))
    assert error is cause
    assert error.data["file"] == 0
    assert facts(error) == {
        "bytes": size,
        "blocks": size // PAYLOAD + 1,
        "complete": False,
        "early-warning": False,
        "bytes-on-tape": size,
    }
    assert drive.flags(0)[-1] == 3
    assert drive.tape[0].marked
    assert drive.synchronised


def test_a_stop_between_blocks_leaves_what_was_taken_but_not_written(failed, drive, pipe, control, make_ring):
    pipe.give(bytes(3 * PAYLOAD))
    control.at[PAYLOAD] = raises(Cancelled("cancelled"))
    error = failed(Cancelled, ring=make_ring(16, ahead=3))
    assert drive.writes == 2
    assert facts(error)["bytes-on-tape"] == len(drive.payload(0)) == 2 * PAYLOAD - 1


def test_a_stop_before_the_first_block_keeps_the_header(failed, drive, pipe, control):
    header = FileHeader("home").pack()
    control.at[0] = raises(Cancelled("cancelled"))
    error = failed(Cancelled, WritePlan(header_bytes=header))
    assert (error.data["bytes"], error.data["blocks"]) == (0, 1)
    assert drive.payload(0) == header


def test_a_client_that_goes_before_its_commit_leaves_an_incomplete_file(failed, drive, pipe, control):
    give_and_close(pipe, b"data")
    control.waits.append(raises(ClientGone("client vanished")))
    assert facts(failed(ClientGone, WritePlan()))["bytes-on-tape"] == 4
    assert drive.flags(0) == [3]


def test_a_stop_that_finds_the_tape_full_is_still_told_as_the_stop(failed, drive, pipe, control):
    drive.room = 1
    pipe.give(bytes(PAYLOAD + 10))
    control.waits.append(raises(Cancelled("cancelled")))
    error = failed(Cancelled, WritePlan())
    assert facts(error)["bytes-on-tape"] == PAYLOAD
    assert drive.flags(0) == [0]
    assert drive.tape[0].marked


def test_a_stop_whose_closing_block_fails_is_told_as_the_failure(failed, drive, pipe, control):
    drive.faults[2] = MediumError("scratched")
    pipe.give(bytes(PAYLOAD + 10))
    control.waits.append(raises(Cancelled("cancelled")))
    error = failed(MediumError, WritePlan(), "scratched")
    assert isinstance(error.__context__, Cancelled)
    assert facts(error)["bytes-on-tape"] == 0


# --- the end of the tape --------------------------------------------------------------------------


def test_a_file_whose_end_fits_behind_early_warning_is_whole(write, drive, pipe, noise):
    drive.warn_from, drive.room = 3, 4
    data = noise(4 * PAYLOAD - 1)
    pipe.give_all(data)
    done = write(WritePlan(commit_on_eof=True, durable=False))
    assert (done.complete, done.early_warning, done.blocks) == (True, True, 4)
    assert drive.payload(0) == data
    assert drive.synchronised


def test_early_warning_on_the_closing_block_itself_is_told(write, drive, pipe):
    drive.warn_from, drive.room = 1, 1
    give_and_close(pipe, b"data")
    assert write().early_warning


@pytest.mark.parametrize("size", [4 * PAYLOAD, 4 * PAYLOAD + 1, 12 * PAYLOAD])
@pytest.mark.parametrize("plan", [ON_EOF, WritePlan()])
def test_a_file_whose_end_does_not_fit_is_closed_as_incomplete(failed, drive, pipe, noise, size, plan):
    drive.warn_from, drive.room = 3, 4
    data = noise(size)
    pipe.give_all(data)
    error = failed(EndOfMedia, plan, "the tape is full: file 0 does not fit on it")
    assert facts(error) == {
        "bytes": 4 * PAYLOAD - 1,
        "blocks": 4,
        "complete": False,
        "early-warning": True,
        "bytes-on-tape": 4 * PAYLOAD - 1,
    }
    assert drive.payload(0) == data[: 4 * PAYLOAD - 1]
    assert drive.flags(0) == [0, 0, 0, 3]
    assert drive.synchronised


def test_behind_early_warning_a_slow_end_is_waited_for(write, drive, pipe, control):
    """One block is left: it takes what still comes, however late, as long as it fits."""
    drive.warn_from, drive.room = 1, 2
    pipe.give(bytes(PAYLOAD))
    control.waits.append(lambda _: pipe.give(b"late"))
    control.waits.append(lambda _: pipe.close(pipe.writer))
    control.waits.append(commits(PAYLOAD + 4))
    done = write(WritePlan())
    assert (done.complete, done.early_warning, done.bytes) == (True, True, PAYLOAD + 4)
    assert drive.flags(0) == [0, 1]


@pytest.mark.parametrize("at_hand", [0, 10])
def test_behind_early_warning_nothing_is_taken_that_does_not_fit(failed, drive, pipe, control, at_hand):
    drive.warn_from, drive.room = 1, 2
    pipe.give(bytes(PAYLOAD + at_hand))
    control.waits.append(lambda _: pipe.give(bytes(PAYLOAD - at_hand + 1000)))
    error = failed(EndOfMedia, WritePlan())
    assert facts(error)["bytes-on-tape"] == 2 * PAYLOAD - 1
    assert len(os.read(pipe.reader, PAYLOAD)) == 1000


def test_early_warning_is_reported_at_once(failed, drive, pipe, control):
    drive.warn_from, drive.room = 2, 3
    pipe.give_all(bytes(5 * PAYLOAD))
    failed(EndOfMedia)
    assert (2 * PAYLOAD, 0, 0, True) in control.reports


def test_a_stop_behind_early_warning_writes_one_block_only(failed, drive, pipe, control):
    drive.warn_from, drive.room = 1, 2
    pipe.give(bytes(PAYLOAD + 10))
    control.waits.append(raises(Cancelled("cancelled")))
    error = failed(Cancelled, WritePlan())
    assert (facts(error)["bytes-on-tape"], facts(error)["early-warning"]) == (PAYLOAD + 10, True)
    assert drive.flags(0) == [0, 3]


def test_with_a_reserve_so_much_is_still_taken_and_written(failed, drive, pipe, noise, monkeypatch):
    monkeypatch.setattr(pump, "QUICK_SECONDS", 3600)     # then at most 5 blocks are at hand at any time
    drive.warn_from, drive.early_warning_reserve = 2, 3 * PAYLOAD
    data = noise(20 * PAYLOAD)
    pipe.give_all(data)
    error = failed(EndOfMedia)
    written = facts(error)["bytes-on-tape"]
    assert 5 * PAYLOAD <= written <= 10 * PAYLOAD
    assert drive.payload(0) == data[:written]
    assert drive.flags(0)[-1] == 3


def test_with_a_reserve_the_end_that_fits_is_whole(write, drive, pipe, noise, make_ring):
    drive.warn_from, drive.early_warning_reserve = 2, 20 * PAYLOAD
    data = noise(9 * PAYLOAD)
    pipe.give_all(data)
    done = write()
    assert (done.complete, done.early_warning) == (True, True)
    assert drive.payload(0) == data


def test_the_end_of_the_tape_out_of_the_blue_counts_what_is_on_tape(failed, drive, pipe, noise):
    drive.room = 3
    data = noise(10 * PAYLOAD)
    pipe.give_all(data)
    error = failed(EndOfMedia, match="no space left")
    assert facts(error) == {
        "bytes": 3 * PAYLOAD,
        "blocks": 3,
        "complete": False,
        "early-warning": False,
        "bytes-on-tape": 3 * PAYLOAD,
    }
    assert drive.flags(0) == [0, 0, 0]
    assert drive.tape[0].marked
    assert drive.synchronised


def test_the_end_of_the_tape_at_the_closing_block_counts_what_is_on_tape(failed, drive, pipe):
    drive.room = 1
    give_and_close(pipe, bytes(PAYLOAD + 10))
    assert facts(failed(EndOfMedia))["bytes-on-tape"] == PAYLOAD
    assert drive.flags(0) == [0]
    assert drive.tape[0].marked


def test_what_is_not_proved_to_be_on_the_tape_is_not_counted(failed, drive, pipe):
    drive.room = 2
    drive.filemark_fault = EndOfMedia("no space for a filemark")
    give_and_close(pipe, bytes(3 * PAYLOAD))
    error = failed(EndOfMedia)
    assert (error.data["bytes"], error.data["bytes-on-tape"]) == (2 * PAYLOAD, 0)


# --- a drive that fails ---------------------------------------------------------------------------


def test_a_write_protected_tape_is_left_alone(failed, drive, pipe):
    drive.write_protected = True
    give_and_close(pipe, b"data")
    error = failed(WriteProtected)
    assert facts(error)["blocks"] == 0
    assert drive.calls == []


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_block_that_fails_ends_the_file_without_another_try(failed, drive, pipe, at):
    drive.faults[at] = MediumError("scratched")
    give_and_close(pipe, bytes(2 * PAYLOAD + 10))
    error = failed(MediumError)
    assert drive.writes == at
    assert drive.calls == []
    assert (error.data["blocks"], error.data["bytes-on-tape"]) == (at - 1, 0)


@pytest.mark.parametrize("fault", [MediumError("scratched"), EndOfMedia("no space for a filemark")])
def test_a_filemark_that_fails_fails_the_file(failed, drive, pipe, fault):
    drive.filemark_fault = fault
    give_and_close(pipe, b"data")
    error = failed(type(fault))
    assert (error.data["complete"], error.data["bytes-on-tape"]) == (False, 0)
    assert len(drive.calls) == 1


# --- the pump -------------------------------------------------------------------------------------


def test_progress_counts_what_the_drive_has_taken(write, pipe, control):
    pipe.give_all(bytes(2 * PAYLOAD + 5))
    write(WritePlan(size=2 * PAYLOAD + 5))
    total = 2 * PAYLOAD + 5
    assert [report[:3] for report in control.reports] == [
        (0, total, 0),
        (PAYLOAD, total, 0),
        (2 * PAYLOAD, total, 0),
        (total, total, 0),
    ]


def test_the_drive_starts_when_enough_is_at_hand(write, drive, pipe, control, make_ring):
    """And after it ran empty it waits for as much as the refill threshold says."""
    at_hand = []
    drive.on_write = lambda: at_hand.append(given)
    given = 0

    def give(control):
        nonlocal given
        pipe.give(bytes(PAYLOAD))
        given += 1

    control.waits.extend([give] * 6)
    control.waits.append(lambda _: pipe.close(pipe.writer))
    done = write(ring=make_ring(16, start=3, refill=2))
    assert at_hand[:3] == [3, 3, 3]
    assert at_hand[3:5] == [5, 5]
    assert done.stops == 2
    assert drive.payload(0) == bytes(6 * PAYLOAD)


def test_thresholds_beyond_the_ring_do_not_stop_the_drive(write, drive, pipe, noise, make_ring):
    data = noise(10 * PAYLOAD)
    pipe.give_all(data)
    write(ring=make_ring(4, start=100, refill=100))
    assert drive.payload(0) == data


@pytest.mark.parametrize(("seconds", "left"), [(0, 0), (3600, 2 * PAYLOAD)])
def test_a_slow_drive_lets_the_ring_fill_and_a_quick_one_does_not(
    write, drive, pipe, control, monkeypatch, seconds, left
):
    """Between two blocks the pipe is drained; for a quick drive only when nothing is at hand."""
    monkeypatch.setattr(pump, "QUICK_SECONDS", seconds)
    in_pipe = []

    def on_write():
        if drive.writes == 1:
            pipe.give(bytes(2 * PAYLOAD))
        elif drive.writes == 2:
            in_pipe.append(waiting(pipe.reader))

    drive.on_write = on_write
    pipe.give(bytes(3 * PAYLOAD))
    control.waits.append(lambda _: pipe.close(pipe.writer))
    assert write().bytes == 5 * PAYLOAD
    assert in_pipe == [left]


def test_a_source_that_is_always_ready_does_not_keep_the_drive_waiting(write, drive, tmp_path, monkeypatch):
    """No more is taken between two blocks than a pipe would hold, however large the ring."""
    monkeypatch.setattr(pump, "QUICK_SECONDS", 0)
    path = tmp_path / "data"
    path.write_bytes(bytes(14 * PAYLOAD))
    taken = []
    with path.open("rb") as file:
        drive.on_write = lambda: taken.append(os.lseek(file.fileno(), 0, os.SEEK_CUR))
        write(fd=file.fileno(), owned=False)
    assert taken[:3] == [5 * PAYLOAD, 10 * PAYLOAD, 14 * PAYLOAD]


def waiting(fd):
    """How many bytes are in a pipe."""
    return int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, bytes(4)), "little")
