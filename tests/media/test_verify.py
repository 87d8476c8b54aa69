# SPDX-License-Identifier: LGPL-2.1-or-later
"""Verification: damage is a result, with file and block of the first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeds.errors import Cancelled, EndOfData, MediumError
from tapeds.media import header
from tapeds.media.header import BLOCK, PAYLOAD, FileHeader
from tapeds.media.verify import Fault, Verified, verify_file, verify_tape


def test_the_golden_tape_is_good_wherever_the_head_stands(golden_tape, control):
    golden_tape.locate_file(3)
    assert verify_tape(golden_tape, control) == Verified(5, 170 + 157 + 570241 + 675 + 483, 0, None)


@pytest.mark.parametrize("file", range(5))
def test_each_file_of_the_golden_tape_is_good(golden_tape, control, file):
    assert verify_file(golden_tape, file, control) == Verified(1, len(golden_tape.payload(file)), 0, None)


def test_an_empty_tape_is_good(drive, control):
    assert verify_tape(drive, control) == Verified(0, 0, 0, None)


def test_a_file_that_is_not_there_cannot_be_verified(golden_tape, control):
    for file in (5, 6):
        with pytest.raises(EndOfData):
            verify_file(golden_tape, file, control)


def test_an_incomplete_file_is_counted_but_no_damage(make_drive, control, blocks_of):
    payload = header.content(header.MEDIA_LABEL, b'{"cut off')
    drive = make_drive([blocks_of(payload, incomplete=True), blocks_of(b"x")])
    assert verify_tape(drive, control) == Verified(2, len(payload) + 1, 1, None)


@pytest.mark.parametrize(
    ("change", "block", "text"),
    [
        (lambda b: [], 0, "a filemark stands where it should begin"),
        (lambda b: b[:2], 2, "detected tape stream without end marker"),
        (lambda b: [b[0], b[2]], 1, "detected tape block with wrong sequence number (2 != 1)"),
        (lambda b: [*b, b[2]], 2, "detected tape block after block-stream end marker"),
        (lambda b: [b"short", *b[1:]], 0, "got wrong block size (5 != 262144)"),
        (lambda b: [b[0], bytes(BLOCK + 1), b[2]], 1, "got wrong block size (more than 262144)"),
        (lambda b: [b[0], bytes(BLOCK), b[2]], 1, "got tape block with unknown magic number"),
        (
            lambda b: [b[0], b[1][:9] + b"\x07\x00\x00" + b[1][12:], b[2]],
            1,
            "detected tape block with less than 262128 bytes",
        ),
    ],
)
def test_the_first_damage_is_told_and_the_rest_is_read(make_drive, control, blocks_of, change, block, text):
    good = blocks_of(b"x" * (2 * PAYLOAD + 5))
    drive = make_drive([good, change(good), change(good), good])
    found = verify_tape(drive, control)
    assert found.files == 4
    assert found.bytes >= 2 * (2 * PAYLOAD + 5)
    assert found.first_error is not None
    assert (found.first_error.file, found.first_error.block) == (1, block)
    assert text in found.first_error.text
    assert verify_file(drive, 2, control).first_error == Fault(
        2, block, found.first_error.text.replace("file 1", "file 2")
    )
    assert verify_file(drive, 3, control).first_error is None


def test_a_damaged_place_is_told_with_its_block(make_drive, control, blocks_of):
    drive = make_drive([blocks_of(bytes(3 * PAYLOAD)), blocks_of(b"x")])
    drive.read_faults[0, 2] = MediumError("scratched")
    assert verify_tape(drive, control) == Verified(2, 2 * PAYLOAD + 1, 0, Fault(0, 2, "scratched"))


def test_damage_that_cannot_be_passed_ends_the_tape(make_drive, control, blocks_of):
    drive = make_drive([blocks_of(bytes(3 * PAYLOAD))])
    drive.tape[0].marked = False
    found = verify_tape(drive, control)
    assert found.files == 1
    assert found.first_error == Fault(0, 3, "file 0, block 3: got unexpected end of tape")


LABEL = header.content(header.MEDIA_LABEL, b'{"label_text":"A","uuid":"%s","ctime":0}' % (b"0" * 32))
SET = header.content(header.MEDIA_SET_LABEL, b'{"pool":"A","seq_nr":0,"uuid":"%s","ctime":0}' % (b"0" * 32))
CHUNK = bytes.fromhex("3eada75f314c066e")
SNAPSHOT = bytes.fromhex("09b6021f7de87285")
CATALOG = bytes.fromhex("b7cfc7259e991e73")


@pytest.mark.parametrize(
    ("payloads", "text"),
    [
        ([LABEL, SET, b"x", LABEL], "unexpected content magic (label)"),
        ([LABEL, SET, b"x", SET], "unexpected content magic (label)"),
        ([b"x", b"x", b"x", LABEL], "unexpected content magic (label)"),
        ([b"x", b"x", b"x", header.content(CHUNK, b"{}")], "unexpected chunk archive version (v1.0)"),
        ([b"x", b"x", b"x", header.content(SNAPSHOT, b"{}")], "unexpected snapshot archive version (v1.0)"),
        ([b"x", b"x", b"x", header.content(CATALOG, b"{}")[:-1]], "MediaContentHeader: got unexpected size"),
        ([b"x", b"x", b"x", header.content(header.FILE, b"{")], "unable to parse file header"),
        ([b"x", b"x", b"x", header.CONTENT_MAGIC], "MediaContentHeader: failed to fill whole buffer"),
    ],
)
def test_a_content_header_that_is_wrong_is_damage(make_drive, control, blocks_of, payloads, text):
    found = verify_tape(make_drive([blocks_of(payload) for payload in payloads]), control)
    assert found.files == 4
    assert found.first_error is not None
    assert (found.first_error.file, found.first_error.block) == (3, 0)
    assert text in found.first_error.text


@pytest.mark.parametrize(
    ("file", "payload", "text"),
    [
        (0, LABEL + b"x", "got unexpected data after label"),
        (0, SET, "unexpected content magic (label)"),
        (1, LABEL, "unexpected content magic (label)"),
        (1, SET + bytes(PAYLOAD), "got unexpected data after media set label"),
        (0, header.content(header.MEDIA_LABEL, b"{}"), "unable to parse drive label"),
        (1, header.content(header.MEDIA_SET_LABEL, b"{}"), "unable to parse media set label"),
    ],
)
def test_a_label_that_is_wrong_is_damage(make_drive, control, blocks_of, file, payload, text):
    payloads = [LABEL, SET]
    payloads[file] = payload
    found = verify_tape(make_drive([blocks_of(payload) for payload in payloads]), control)
    assert found.first_error is not None
    assert found.first_error.file == file
    assert text in found.first_error.text


def test_headers_of_callers_and_plain_bytes_are_good(make_drive, control, blocks_of):
    payloads = [b"", b"plain", header.content(b"whatever", b""), FileHeader("x").pack() + bytes(PAYLOAD)]
    found = verify_tape(make_drive([blocks_of(payload) for payload in payloads]), control)
    assert found == Verified(4, sum(map(len, payloads)), 0, None)


def test_verification_can_be_cancelled_and_reports_progress(make_drive, control, blocks_of):
    drive = make_drive([blocks_of(bytes(3 * PAYLOAD))])

    def cancel(_):
        raise Cancelled("cancelled")

    control.at[2 * PAYLOAD] = cancel
    with pytest.raises(Cancelled):
        verify_tape(drive, control)
    assert [report[0] for report in control.reports] == [PAYLOAD, 2 * PAYLOAD]


PAYLOADS = st.sampled_from(
    [
        b"",
        b"x",
        LABEL,
        SET,
        header.content(header.FILE, b"{"),
        header.content(header.MEDIA_LABEL, b"x"),
        header.content(CHUNK, b"{}"),
    ]
)
BLOCKS = st.tuples(
    PAYLOADS,
    st.sampled_from([None, None, 0, 7]),
    st.integers(0, 3),
    st.sampled_from([None, None, 0, 30, 512]),
)


@given(st.lists(st.lists(BLOCKS, max_size=3), max_size=3))
def test_any_tape_can_be_verified(any_tape, make_control, rows):
    found = verify_tape(any_tape(rows), make_control())
    assert found.files == len(rows)
    if found.first_error is None:
        assert all(len(row) == 1 and row[0][2] & 1 for row in rows)
    else:
        assert found.first_error.block <= len(rows[found.first_error.file])
