# SPDX-License-Identifier: LGPL-2.1-or-later
"""The rules of a block stream, each with its text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeds.errors import EndOfData, EndOfMedia, MalformedData, MediumError, UnexpectedFilemark
from tapeds.media.header import BLOCK, PAYLOAD
from tapeds.media.stream import BlockReader, BlockWriter, read_payload


def read_all(drive, file=0):
    """Every payload of a file, and the reader that read it."""
    reader = BlockReader(drive, file)
    buffer = memoryview(bytearray(BLOCK))
    parts = []
    while (header := reader.read(buffer)) is not None:
        parts.append(bytes(buffer[16 : 16 + header.size]))
    return b"".join(parts), reader


# --- reader ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "payload", "incomplete"),
    [
        ("stream-empty.blk", b"", False),
        ("stream-ABC.blk", b"ABC", False),
        ("stream-exact-one-payload.blk", (bytes(range(256)) * 1024)[:PAYLOAD], False),
        ("stream-incomplete.blk", b"partial", True),
    ],
)
def test_a_golden_stream_is_read(make_drive, golden_file, name, payload, incomplete):
    data = golden_file(name)
    blocks = [data[start : start + BLOCK] for start in range(0, len(data), BLOCK)]
    found, reader = read_all(make_drive([blocks]))
    assert found == payload
    assert reader.end_marker
    assert reader.complete is not incomplete


def test_the_golden_stream_without_end_marker_ends_without_one(make_drive, golden_file):
    drive = make_drive([[golden_file("stream-no-end-marker.blk")]])
    found, reader = read_all(drive)
    assert found == b"Z" * PAYLOAD
    assert (reader.ended, reader.end_marker, reader.complete) == (True, False, False)
    drive.rewind()
    text = "file 0, block 1: detected tape stream without end marker"
    with pytest.raises(MalformedData, match=text):
        read_payload(BlockReader(drive, 0), 2 * PAYLOAD)


def test_the_files_of_the_golden_tape_are_read_one_after_the_other(golden_tape):
    sizes = []
    for file in range(5):
        payload, reader = read_all(golden_tape, file)
        assert reader.complete
        sizes.append(len(payload))
    assert sizes == [170, 157, 48 + 25 + 3 * 48 + 300000 + 269988 + 3 * 12, 675, 483]


def test_reading_on_after_the_end_gives_nothing(make_drive, blocks_of):
    drive = make_drive([blocks_of(b"one"), blocks_of(b"two")])
    _, reader = read_all(drive)
    assert reader.read(memoryview(bytearray(BLOCK))) is None
    assert drive.position().file == 1


def test_a_filemark_where_a_file_should_begin_is_told(make_drive):
    with pytest.raises(UnexpectedFilemark) as caught:
        read_all(make_drive([[]]))
    assert caught.value.data == {"file": 0, "block": 0}


def test_end_of_data_where_a_file_should_begin_is_told(drive):
    with pytest.raises(EndOfData, match="file 0"):
        read_all(drive)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda b: [b[0], b[1][:-1]], "got wrong block size"),
        (lambda b: [b[0], b[1] + b"x"], "got wrong block size"),
        (lambda b: [b[0], b""], "got wrong block size"),
        (
            lambda b: [b[0], bytes(8) + b[1][8:]],
            "got tape block with unknown magic number - not written by PBS or incompatible LTO version",
        ),
        (lambda b: [b[0], b[0]], r"detected tape block with wrong sequence number \(0 != 1\)"),
        (
            lambda b: [b[0], b[1][:9] + b"\xff\xff\xff" + b[1][12:]],
            r"detected tape block with wrong payload size \(16777215 > 262128\)",
        ),
        (
            lambda b: [b[0], b[1][:8] + bytes(4) + b[1][12:]],
            "detected tape block with zero payload size",
        ),
        (lambda b: [*b, b[1]], "detected tape block after block-stream end marker"),
        (lambda b: [*b, b"short"], "detected tape block after block-stream end marker"),
    ],
)
def test_a_broken_rule_is_told_with_file_and_block(make_drive, blocks_of, change, text):
    good = blocks_of(b"x" * (PAYLOAD + 5))
    drive = make_drive([good, change(good)])
    drive.locate_file(1)
    with pytest.raises(MalformedData, match=f"file 1, block 1: {text}") as caught:
        read_all(drive, 1)
    assert caught.value.data == {"file": 1, "block": 1}


@pytest.mark.parametrize("blocks", [1, 2])
def test_end_of_data_inside_a_file_is_told(make_drive, blocks_of, blocks):
    """In the middle of a file, or behind its end marker where the filemark should stand."""
    drive = make_drive([blocks_of(b"x" * (PAYLOAD + 5))[:blocks]])
    drive.tape[0].marked = False
    with pytest.raises(MalformedData, match="file 0, block 1: got unexpected end of tape"):
        read_all(drive)


def test_the_incomplete_flag_says_nothing_without_the_end_flag(make_drive, block):
    drive = make_drive([[block(b"x" * PAYLOAD, 0, flags=2), block(b"y", 1, flags=1)]])
    _, reader = read_all(drive)
    assert reader.complete


def test_a_small_payload_is_read_up_to_a_limit(make_drive, blocks_of):
    payload = b"x" * (3 * PAYLOAD)
    drive = make_drive([blocks_of(payload)])
    assert read_payload(BlockReader(drive, 0), len(payload)) == payload
    drive.rewind()
    assert len(read_payload(BlockReader(drive, 0), 100)) == PAYLOAD


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.sampled_from([0, 1, 5, PAYLOAD, PAYLOAD + 1]),
            st.integers(0, 3),
            st.booleans(),
        ),
        max_size=4,
    ),
    st.booleans(),
)
def test_whatever_stands_on_tape_is_read_or_ends_in_a_named_error(make_drive, block, rows, marked):
    blocks = []
    for sequence, size, flags, short in rows:
        made = block(b"", sequence, flags=flags, size=size)
        blocks.append(made[:512] if short else made)
    drive = make_drive([blocks])
    drive.tape[0].marked = marked
    try:
        _, reader = read_all(drive)
    except (MalformedData, UnexpectedFilemark, EndOfData):
        return
    assert reader.ended
    assert reader.block == len(blocks)


# --- writer ---------------------------------------------------------------------------------------


def block_with(payload):
    block = memoryview(bytearray(b"\xee" * BLOCK))
    block[16 : 16 + len(payload)] = payload
    return block


def test_a_file_is_full_blocks_and_one_that_carries_the_end(drive, blocks_of):
    payload = bytes(range(256)) * 1100
    writer = BlockWriter(drive)
    writer.write(block_with(payload[:PAYLOAD]))
    writer.close(block_with(payload[PAYLOAD:]), len(payload) - PAYLOAD)
    writer.end(durable=True)
    assert drive.tape[0].blocks == blocks_of(payload)
    assert (writer.blocks, writer.payload_bytes, writer.durable) == (2, len(payload), True)


def test_an_incomplete_end_is_flagged(drive, golden_file):
    writer = BlockWriter(drive)
    writer.close(block_with(b"partial"), 7, incomplete=True)
    writer.end(durable=True)
    assert drive.tape[0].blocks == [golden_file("stream-incomplete.blk")]


def test_a_filemark_is_immediate_unless_it_must_be_durable(drive):
    writer = BlockWriter(drive)
    writer.close(block_with(b""), 0)
    writer.end(durable=False)
    assert drive.calls == ["write_filemarks 1 immediate"]
    assert not writer.durable


@pytest.mark.parametrize("fault", [EndOfMedia("full"), MediumError("scratched")])
def test_a_block_that_the_drive_refuses_is_not_counted(drive, fault):
    drive.faults[2] = fault
    writer = BlockWriter(drive)
    writer.write(block_with(b""))
    with pytest.raises(type(fault)):
        writer.write(block_with(b""))
    assert writer.refused is fault
    assert (writer.blocks, writer.payload_bytes) == (1, PAYLOAD)
    assert not writer.closed
