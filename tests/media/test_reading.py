# SPDX-License-Identifier: LGPL-2.1-or-later
"""A file on its way from tape to a caller, and what the caller learns when it is not whole."""

from __future__ import annotations

import hashlib
import os

import pytest

from tapeds.errors import (
    Cancelled,
    ClientGone,
    EndOfData,
    Incomplete,
    InvalidFileDescriptor,
    Io,
    MalformedData,
    MediumError,
    UnexpectedFilemark,
)
from tapeds.media import header, pump
from tapeds.media.header import BLOCK, PAYLOAD, FileHeader, Kind
from tapeds.media.transfer import ReadPlan, read_file

PLAIN = ReadPlan()


@pytest.fixture
def read(pipe, control, ring):
    """Read a file of a drive into the pipe, our own end, while a consumer takes everything."""

    def read(drive, plan=PLAIN, *, file=0, ring=ring, owned=True):
        drive.locate_file(file)
        pipe.take_all()
        try:
            return read_file(drive, pipe.writer, owned, plan, control, ring)
        finally:
            pipe.close(pipe.writer)
            pipe.join()

    return read


@pytest.fixture
def failed(read):
    def failed(kind, drive, plan=PLAIN, match=None, **more):
        with pytest.raises(kind, match=match) as caught:
            read(drive, plan, **more)
        return caught.value

    return failed


def sha256(data):
    return hashlib.sha256(data).hexdigest()


# --- whole files ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, PAYLOAD - 1, PAYLOAD, PAYLOAD + 1, 3 * PAYLOAD, 9 * PAYLOAD + 17])
@pytest.mark.parametrize("owned", [True, False])
def test_a_file_is_delivered_whole(read, make_drive, pipe, noise, blocks_of, size, owned):
    data = noise(size)
    drive = make_drive([blocks_of(b"before"), blocks_of(data)])
    done = read(drive, ReadPlan(digest=True), file=1, owned=owned)
    assert pipe.got == data
    assert (done.file, done.bytes, done.complete) == (1, size, True)
    assert done.sha256 == sha256(data)
    assert done.content_kind is Kind.UNKNOWN
    assert drive.position().file == 2


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("stream-empty.blk", b""),
        ("stream-ABC.blk", b"ABC"),
        ("stream-exact-one-payload.blk", (bytes(range(256)) * 1024)[:PAYLOAD]),
    ],
)
def test_a_golden_stream_is_delivered(read, make_drive, pipe, golden_file, name, payload):
    data = golden_file(name)
    read(make_drive([[data[start : start + BLOCK] for start in range(0, len(data), BLOCK)]]))
    assert pipe.got == payload


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        (0, Kind.MEDIA_LABEL),
        (1, Kind.MEDIA_SET_LABEL),
        (2, Kind.CHUNK_ARCHIVE),
        (3, Kind.SNAPSHOT_ARCHIVE),
        (4, Kind.CATALOG_ARCHIVE),
    ],
)
def test_a_file_of_the_golden_tape_is_delivered_with_its_header(read, golden_tape, pipe, file, kind):
    done = read(golden_tape, file=file)
    assert done.content_kind is kind
    assert pipe.got == golden_tape.payload(file)
    assert pipe.got.startswith(header.CONTENT_MAGIC)


def test_a_header_of_ours_is_taken_off_and_told(read, make_drive, pipe, noise, blocks_of):
    data = noise(2 * PAYLOAD)
    head = FileHeader("home", {"host": "alpha", "parts": 3}).pack()
    done = read(make_drive([blocks_of(head + data)]), ReadPlan(digest=True))
    assert pipe.got == data
    assert (done.name, done.attributes) == ("home", {"host": "alpha", "parts": 3})
    assert (done.bytes, done.sha256, done.content_kind) == (len(data), sha256(data), Kind.FILE)


def test_a_header_of_ours_alone_is_a_file_without_bytes(read, make_drive, pipe, blocks_of):
    done = read(make_drive([blocks_of(FileHeader("empty").pack())]))
    assert (done.name, done.bytes, bytes(pipe.got)) == ("empty", 0, b"")


def test_a_raw_header_is_delivered_with_everything(read, make_drive, pipe, blocks_of):
    payload = FileHeader("home").pack() + b"data"
    done = read(make_drive([blocks_of(payload)]), ReadPlan(raw_header=True))
    assert pipe.got == payload
    assert (done.name, done.attributes, done.content_kind) == ("", None, Kind.FILE)


def test_a_broken_header_of_ours_is_malformed_but_delivered_raw(failed, read, make_drive, pipe, blocks_of):
    payload = header.content(header.FILE, b"not json") + b"data"
    drive = make_drive([blocks_of(payload)])
    error = failed(MalformedData, drive, match="file 0, block 0: unable to parse file header")
    assert (error.data["block"], error.data["bytes"]) == (0, 0)


def test_a_broken_header_of_ours_can_be_had_raw(read, make_drive, pipe, blocks_of):
    payload = header.content(header.FILE, b"not json") + b"data"
    read(make_drive([blocks_of(payload)]), ReadPlan(raw_header=True))
    assert pipe.got == payload


# --- files that are not whole ---------------------------------------------------------------------


def test_an_incomplete_file_is_delivered_and_then_told(failed, make_drive, pipe, noise, blocks_of):
    data = noise(PAYLOAD + 100)
    head = FileHeader("home", {"a": 1}).pack()
    drive = make_drive([blocks_of(head + data, incomplete=True)])
    error = failed(Incomplete, drive, ReadPlan(digest=True), "file 0 is marked incomplete")
    assert pipe.got == data
    assert error.data == {
        "file": 0,
        "bytes": len(data),
        "complete": False,
        "name": "home",
        "attributes": {"a": 1},
        "sha256": sha256(data),
    }
    assert drive.position().file == 1


def test_a_file_without_end_marker_is_delivered_and_then_told(failed, make_drive, pipe, golden_file):
    drive = make_drive([[golden_file("stream-no-end-marker.blk")]])
    error = failed(Incomplete, drive, match="file 0: detected tape stream without end marker")
    assert pipe.got == b"Z" * PAYLOAD
    assert error.data == {"file": 0, "bytes": PAYLOAD, "complete": False}
    assert drive.position().file == 1


def test_end_of_data_is_told(failed, make_drive, blocks_of):
    error = failed(EndOfData, make_drive([blocks_of(b"x")]), file=1)
    assert error.data == {"file": 1, "block": 0, "bytes": 0, "complete": False}


def test_a_filemark_where_the_file_should_begin_is_told(failed, make_drive):
    failed(UnexpectedFilemark, make_drive([[]]), match="file 0")


def test_what_stands_before_a_broken_block_is_delivered(failed, make_drive, pipe, noise, blocks_of):
    data = noise(5 * PAYLOAD)
    blocks = blocks_of(data)
    blocks[3] = bytes(BLOCK)
    error = failed(MalformedData, make_drive([blocks]), match="file 0, block 3: got tape block with unknown")
    assert pipe.got == data[: 3 * PAYLOAD]
    assert error.data == {"file": 0, "block": 3, "bytes": 3 * PAYLOAD, "complete": False}


def test_what_stands_before_a_damaged_place_is_delivered(failed, make_drive, pipe, noise, blocks_of):
    data = noise(5 * PAYLOAD)
    drive = make_drive([blocks_of(data)])
    drive.read_faults[0, 2] = MediumError("scratched")
    error = failed(MediumError, drive, match="scratched")
    assert pipe.got == data[: 2 * PAYLOAD]
    assert error.data["bytes"] == 2 * PAYLOAD


# --- the caller -----------------------------------------------------------------------------------


@pytest.fixture
def slow_drive(monkeypatch):
    """No block is read quickly: the ring is filled."""
    monkeypatch.setattr(pump, "QUICK_SECONDS", 0)


@pytest.mark.usefixtures("slow_drive")
@pytest.mark.parametrize("owned", [True, False])
@pytest.mark.parametrize("piece", [1000, 65536, 1 << 20])
def test_a_slow_consumer_gets_all(make_drive, pipe, control, noise, blocks_of, make_ring, owned, piece):
    """The ring and the pipe are full before the consumer takes its first piece."""
    data = noise(12 * PAYLOAD + 1)
    drive = make_drive([blocks_of(data)])

    def take(_):
        if len(pipe.got) < len(data):
            os.set_blocking(pipe.reader, False)
            pipe.got.extend(os.read(pipe.reader, piece))

    control.waits.extend([take] * (len(data) // piece + 10))
    done = read_file(drive, pipe.writer, owned, ReadPlan(), control, make_ring(4))
    pipe.close(pipe.writer)
    while rest := os.read(pipe.reader, 1 << 20):
        pipe.got.extend(rest)
    assert pipe.got == data
    assert done.waits > 0
    assert done.stops > 0
    assert set(control.waited_for) == {(pipe.writer, True)}


def test_a_quick_drive_is_not_read_ahead_of(make_drive, pipe, control, blocks_of, ring, monkeypatch):
    """What it has can be had at any time: one block waits beside the full pipe, not a whole ring."""
    monkeypatch.setattr(pump, "QUICK_SECONDS", 3600)
    drive = make_drive([blocks_of(bytes(12 * PAYLOAD))])
    blocks = []

    def take(_):
        blocks.append(drive.position().block)
        pipe.got.extend(os.read(pipe.reader, PAYLOAD))

    control.waits.extend([take] * 20)
    done = read_file(drive, pipe.writer, True, ReadPlan(), control, ring)
    assert blocks[:3] == [5, 6, 7]
    assert (done.waits, done.stops) == (len(control.waited_for), 0)


@pytest.mark.usefixtures("slow_drive")
def test_a_drive_that_had_to_stop_goes_on_when_enough_blocks_are_free(
    make_drive, pipe, control, blocks_of, make_ring
):
    """Without a consumer 4 blocks fit into the pipe and 4 into the ring; then it needs 3 free ones."""
    drive = make_drive([blocks_of(bytes(12 * PAYLOAD))])
    blocks = []

    def take(_):
        blocks.append(drive.position().block)
        pipe.got.extend(os.read(pipe.reader, PAYLOAD))

    control.waits.extend([take] * 20)
    done = read_file(drive, pipe.writer, True, ReadPlan(), control, make_ring(4, refill=3))
    assert blocks[:3] == [8, 8, 8]
    assert done.stops == 2
    assert blocks[3] == 11


@pytest.mark.parametrize("owned", [True, False])
def test_a_consumer_that_goes_away_ends_the_reading(make_drive, pipe, control, ring, blocks_of, owned):
    drive = make_drive([blocks_of(bytes(20 * PAYLOAD))])
    control.waits.append(lambda _: pipe.close(pipe.reader))
    with pytest.raises(ClientGone, match="the other end of the data was closed") as caught:
        read_file(drive, pipe.writer, owned, ReadPlan(digest=True), control, ring)
    assert caught.value.data == {"file": 0, "bytes": 4 * PAYLOAD, "complete": False}
    assert drive.position().file == 0


def test_a_cancel_between_two_blocks_ends_the_reading(make_drive, control, ring, tmp_path, blocks_of):
    def cancel(_):
        raise Cancelled("cancelled")

    control.at[2 * PAYLOAD] = cancel
    drive = make_drive([blocks_of(bytes(9 * PAYLOAD))])
    with (tmp_path / "data").open("wb") as file, pytest.raises(Cancelled) as caught:
        read_file(drive, file.fileno(), False, ReadPlan(), control, ring)
    assert caught.value.data["bytes"] == 2 * PAYLOAD


def test_a_cancel_ends_the_reading(make_drive, pipe, control, ring, blocks_of):
    drive = make_drive([blocks_of(bytes(20 * PAYLOAD))])

    def cancel(_):
        raise Cancelled("cancelled")

    control.waits.append(cancel)
    with pytest.raises(Cancelled) as caught:
        read_file(drive, pipe.writer, True, ReadPlan(), control, ring)
    assert caught.value.data["bytes"] == 4 * PAYLOAD


def test_a_regular_file_is_filled(make_drive, control, ring, tmp_path, noise, blocks_of):
    data = noise(20 * PAYLOAD)
    path = tmp_path / "data"
    with path.open("wb") as file:
        done = read_file(make_drive([blocks_of(data)]), file.fileno(), False, ReadPlan(), control, ring)
    assert path.read_bytes() == data
    assert done.waits == 0


def test_a_device_is_no_sink(make_drive, control, ring, blocks_of):
    with (
        open("/dev/zero", "rb") as zero,
        pytest.raises(InvalidFileDescriptor, match="neither a pipe, a regular file nor a stream socket"),
    ):
        read_file(make_drive([blocks_of(b"x")]), zero.fileno(), False, ReadPlan(), control, ring)


def test_a_descriptor_for_reading_cannot_be_filled(make_drive, pipe, control, ring, blocks_of):
    with pytest.raises(Io, match="the caller's descriptor: Bad file descriptor"):
        read_file(make_drive([blocks_of(b"x")]), pipe.reader, False, ReadPlan(), control, ring)


def test_a_socket_is_filled(make_drive, sockets, control, ring, noise, blocks_of):
    ours, theirs = sockets
    data = noise(3 * PAYLOAD)
    got = bytearray()

    def take(_):
        got.extend(theirs.recv(1 << 20))

    control.waits.extend([take] * 10_000)
    read_file(make_drive([blocks_of(data)]), ours.fileno(), False, ReadPlan(), control, ring)
    ours.close()                               # nobody holds it any more
    while part := theirs.recv(1 << 20):
        got.extend(part)
    assert got == data


def test_progress_counts_what_the_caller_has_taken(make_drive, control, ring, tmp_path, blocks_of):
    drive = make_drive([blocks_of(bytes(2 * PAYLOAD + 5))])
    with (tmp_path / "data").open("wb") as file:
        read_file(drive, file.fileno(), False, ReadPlan(), control, ring)
    total = 2 * PAYLOAD + 5
    assert [report[:3] for report in control.reports] == [
        (0, 0, 0),
        (PAYLOAD, 0, 0),
        (2 * PAYLOAD, 0, 0),
        (total, 0, 0),
        (total, total, 0),
    ]
