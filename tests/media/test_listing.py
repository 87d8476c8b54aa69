# SPDX-License-Identifier: LGPL-2.1-or-later
"""The list of files, from first and last blocks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeds.errors import Cancelled
from tapeds.media import header
from tapeds.media.header import BLOCK, PAYLOAD, FileHeader, Kind
from tapeds.media.listing import FileEntry, list_files


def test_the_golden_tape_is_listed(golden_tape, control):
    entries, more = list_files(golden_tape, 0, 100, control)
    assert not more
    assert entries == [
        FileEntry(0, Kind.MEDIA_LABEL, "TEST01L8", 170, True),
        FileEntry(1, Kind.MEDIA_SET_LABEL, "daily", 157, True),
        FileEntry(2, Kind.CHUNK_ARCHIVE, "vmstore1", 570241, True),
        FileEntry(3, Kind.SNAPSHOT_ARCHIVE, "vm/201/2021-01-11T10:43:48Z", 675, True),
        FileEntry(4, Kind.CATALOG_ARCHIVE, "", 483, True),
    ]


def test_only_the_first_and_last_block_of_a_file_are_read(make_drive, control, blocks_of):
    drive = make_drive([blocks_of(bytes(9 * PAYLOAD + 5))])
    drive.read_faults = {(0, block): AssertionError("read whole") for block in range(1, 9)}
    assert list_files(drive, 0, 10, control)[0] == [FileEntry(0, Kind.UNKNOWN, "", 9 * PAYLOAD + 5, True)]


@pytest.mark.parametrize("size", [0, 1, PAYLOAD - 200, PAYLOAD, 3 * PAYLOAD])
def test_the_bytes_of_a_file_of_ours_are_the_callers(make_drive, control, blocks_of, size):
    drive = make_drive([blocks_of(FileHeader("home").pack() + bytes(size))])
    assert list_files(drive, 0, 10, control)[0] == [FileEntry(0, Kind.FILE, "home", size, True)]


def test_a_list_comes_in_pages(make_drive, control, blocks_of):
    drive = make_drive([blocks_of(b"x" * number) for number in range(5)])
    seen = []
    first, more = 0, True
    while more:
        entries, more = list_files(drive, first, 2, control)
        seen += [(entry.number, entry.bytes) for entry in entries]
        first += 2
    assert seen == [(number, number) for number in range(5)]
    assert list_files(drive, 3, 2, control) == (list_files(drive, 3, 100, control)[0], False)
    assert list_files(drive, 1, 0, control) == ([], True)


def test_a_list_from_beyond_the_end_is_empty(make_drive, control, drive, blocks_of):
    assert list_files(drive, 0, 10, control) == ([], False)
    drive = make_drive([blocks_of(b"x")])
    assert list_files(drive, 1, 10, control) == ([], False)
    assert list_files(drive, 7, 10, control) == ([], False)


@pytest.mark.parametrize(
    ("change", "entry"),
    [
        (lambda b: [], FileEntry(0, Kind.UNKNOWN, "", 0, False)),
        (lambda b: b[:2], FileEntry(0, Kind.UNKNOWN, "", 2 * PAYLOAD, False)),  # no end marker
        (lambda b: [b[0], b[2]], FileEntry(0, Kind.UNKNOWN, "", PAYLOAD, False)),  # wrong sequence
        (lambda b: [*b[:2], bytes(BLOCK)], FileEntry(0, Kind.UNKNOWN, "", 2 * PAYLOAD, False)),
        (lambda b: [*b[:2], b"short"], FileEntry(0, Kind.UNKNOWN, "", 2 * PAYLOAD, False)),
        (lambda b: [*b[:2], bytes(BLOCK + 1)], FileEntry(0, Kind.UNKNOWN, "", 0, False)),
        (lambda b: [bytes(BLOCK + 1), *b[1:]], FileEntry(0, Kind.UNKNOWN, "", 2 * PAYLOAD + 5, True)),
    ],
)
def test_a_file_that_breaks_the_rules_is_not_complete(make_drive, control, blocks_of, change, entry):
    drive = make_drive([change(blocks_of(bytes(2 * PAYLOAD + 5))), blocks_of(b"behind it")])
    entries, _ = list_files(drive, 0, 10, control)
    assert entries == [entry, FileEntry(1, Kind.UNKNOWN, "", 9, True)]


def test_a_file_of_ours_with_a_broken_end_is_listed_by_what_stands_before_it(make_drive, control, blocks_of):
    header = FileHeader("home").pack()
    blocks = blocks_of(header + bytes(2 * PAYLOAD))
    for kept in (0, 2):
        drive = make_drive([[*blocks[:1], *blocks[1:kept], b"broken"]])
        size = len(drive.tape[0].blocks[:-1]) * PAYLOAD - len(header)
        assert list_files(drive, 0, 10, control)[0] == [FileEntry(0, Kind.FILE, "home", size, False)]


def test_an_incomplete_file_is_listed_as_not_complete(make_drive, control, blocks_of):
    drive = make_drive([blocks_of(FileHeader("home").pack() + b"abc", incomplete=True)])
    assert list_files(drive, 0, 10, control)[0] == [FileEntry(0, Kind.FILE, "home", 3, False)]


@pytest.mark.parametrize(
    "start",
    [
        header.content(header.FILE, b"not json"),
        header.content(header.MEDIA_LABEL, b"[]"),
        header.content(header.MEDIA_LABEL, b'{"label_text": 7}'),
        header.content(header.MEDIA_LABEL, b""),
    ],
)
def test_a_header_that_cannot_be_read_leaves_the_file_without_name(make_drive, control, blocks_of, start):
    entries, _ = list_files(make_drive([blocks_of(start)]), 0, 10, control)
    assert (entries[0].name, entries[0].bytes, entries[0].complete) == ("", len(start), True)
    assert entries[0].kind is not Kind.UNKNOWN


def test_a_list_can_be_cancelled_and_tells_the_file_and_no_bytes(make_drive, control, blocks_of):
    drive = make_drive([blocks_of(b"x")] * 5)

    def cancel(control):
        if len(control.reports) == 2:
            raise Cancelled("cancelled")
        control.at[0] = cancel

    control.at[0] = cancel
    with pytest.raises(Cancelled):
        list_files(drive, 0, 5, control)
    assert [report[:3] for report in control.reports] == [(0, 0, 0), (0, 0, 1)]


PAYLOADS = st.sampled_from(
    [
        b"",
        b"x",
        FileHeader("home").pack(),
        header.content(header.FILE, b"{"),
        header.content(b"12345678", b""),
    ]
)
BLOCKS = st.tuples(
    PAYLOADS,
    st.sampled_from([None, None, 0, 7]),
    st.integers(0, 3),
    st.sampled_from([None, None, 0, 30, 512]),
)


@given(st.lists(st.lists(BLOCKS, max_size=3), max_size=3))
def test_any_tape_can_be_listed(any_tape, make_control, rows):
    entries, more = list_files(any_tape(rows), 0, 10, make_control())
    assert [entry.number for entry in entries] == list(range(len(rows)))
    assert not more
    for entry, row in zip(entries, rows, strict=True):
        assert entry.bytes >= 0
        if entry.complete:
            _, sequence, flags, cut = row[-1]
            assert (flags & 3, cut) == (1, None)
            assert sequence in (None, len(row) - 1)
