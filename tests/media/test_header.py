# SPDX-License-Identifier: LGPL-2.1-or-later
"""Block header, content header, and the header of our own files."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tapeds.errors import InvalidOption, MalformedData
from tapeds.media import header
from tapeds.media.header import BLOCK, PAYLOAD, BlockHeader, ContentHeader, FileHeader, Kind, kind_of

STREAM = uuid.UUID("00000000-1111-4222-8333-444455556600")


def test_the_magics_are_those_of_the_golden_table(golden):
    table = {name: bytes.fromhex(value["hex"]) for name, value in golden["magics"].items()}
    assert table["block_1.0"] == header.BLOCK_MAGIC
    assert table["content_1.0"] == header.CONTENT_MAGIC
    assert table["media_label_1.0"] == header.MEDIA_LABEL
    assert table["media_set_label_1.0"] == header.MEDIA_SET_LABEL
    for name, kind in (
        ("chunk_archive_1.1", Kind.CHUNK_ARCHIVE),
        ("snapshot_archive_1.1", Kind.SNAPSHOT_ARCHIVE),
        ("snapshot_archive_1.2", Kind.SNAPSHOT_ARCHIVE),
        ("catalog_archive_1.0", Kind.CATALOG_ARCHIVE),
        ("catalog_archive_1.1", Kind.CATALOG_ARCHIVE),
    ):
        assert header.KINDS[table[name]] is kind
    assert set(header.REFUSED) == {table["chunk_archive_1.0"], table["snapshot_archive_1.0"]}


def test_the_magic_of_our_files_is_the_hash_of_its_text():
    assert header.FILE.hex() == "fcefb48b93e955f4"


def test_a_block_header_has_its_bytes_in_order():
    block = bytearray(16)
    BlockHeader(0x03FFF0, 0x01020304, end=True, incomplete=True).pack_into(block)
    assert block.hex(" ") == "dc bd af ca eb a0 a5 28 03 f0 ff 03 04 03 02 01"


@pytest.mark.parametrize(
    ("length", "change", "text"),
    [
        (BLOCK - 1, {}, "got wrong block size"),
        (BLOCK + 1, {}, "got wrong block size"),
        (
            BLOCK,
            {0: 0},
            "got tape block with unknown magic number - not written by PBS or incompatible LTO version",
        ),
        (BLOCK, {12: 8}, r"detected tape block with wrong sequence number \(8 != 7\)"),
        (BLOCK, {9: 0xF1, 10: 0xFF, 11: 3}, r"wrong payload size \(262129 > 262128\)"),
        (BLOCK, {8: 0, 9: 0}, "detected tape block with zero payload size"),
        # In this order: a block that breaks every rule is told by the first.
        (BLOCK, {0: 0, 8: 0, 9: 0, 12: 8}, "unknown magic number"),
        (BLOCK, {8: 0, 9: 0, 12: 8}, "wrong sequence number"),
    ],
)
def test_a_block_that_breaks_a_rule_is_refused_with_its_text(block, length, change, text):
    bad = bytearray(block(b"abc", 7))
    for offset, value in change.items():
        bad[offset] = value
    with pytest.raises(MalformedData, match=text):
        BlockHeader.unpack(bytes(bad), length, 7)


def test_an_empty_last_block_is_allowed(block):
    assert BlockHeader.unpack(block(b"", 3), BLOCK, 3) == BlockHeader(0, 3, end=True)


@given(
    st.integers(0, PAYLOAD), st.integers(0, 2**32 - 1), st.booleans(), st.booleans(), st.binary(max_size=40)
)
def test_a_block_header_comes_back_as_it_was_written(size, sequence, end, incomplete, rest):
    block = bytearray(16) + rest
    written = BlockHeader(size, sequence, end, incomplete)
    written.pack_into(block)
    if size == 0 and not end:
        with pytest.raises(MalformedData):
            BlockHeader.unpack(bytes(block), BLOCK, sequence)
    else:
        assert BlockHeader.unpack(bytes(block), BLOCK, sequence) == written


@given(st.binary(min_size=16, max_size=16), st.integers(0, 2**32 - 1), st.sampled_from([0, 15, BLOCK]))
@example(bytes(16), 0, BLOCK)
def test_garbage_is_no_block_header(data, sequence, length):
    with pytest.raises(MalformedData):
        BlockHeader.unpack(data, length, sequence)


@given(st.binary(min_size=8, max_size=8), st.integers(0, 2**32 - 1))
def test_whatever_follows_the_magic_is_a_header_or_malformed(rest, sequence):
    try:
        found = BlockHeader.unpack(header.BLOCK_MAGIC + rest, BLOCK, sequence)
    except MalformedData:
        return
    assert found.sequence == sequence
    assert 0 <= found.size <= PAYLOAD


def test_a_content_header_has_its_bytes_in_order():
    made = ContentHeader(header.MEDIA_LABEL, STREAM.bytes, 1626103418, 103, 5).pack()
    assert made.hex(" ", 8) == (
        "63ee149fcdf29b0c 2a05bf3cb030aa39 0000000011114222 8333444455556600 "
        "7a5eec6000000000 6700000005000000"
    )
    assert ContentHeader.unpack(made + b"data").part == 5


@pytest.mark.parametrize("size", [0, 65537])
def test_a_content_header_announces_1_to_65536_bytes(size):
    with pytest.raises(MalformedData, match="MediaContentHeader: got unexpected size"):
        ContentHeader(header.FILE, STREAM.bytes, 0, size).check(header.FILE)


def test_a_content_header_of_another_kind_is_refused():
    with pytest.raises(MalformedData, match="MediaContentHeader: wrong content magic"):
        ContentHeader(header.FILE, STREAM.bytes, 0, 1).check(header.MEDIA_LABEL)


@given(st.binary(max_size=100))
@example(header.CONTENT_MAGIC)
@example(header.CONTENT_MAGIC + bytes(range(60)))
def test_whatever_is_read_as_a_content_header_is_one_or_malformed(data):
    if len(data) >= 48 and data.startswith(header.CONTENT_MAGIC):
        assert ContentHeader.unpack(data).pack() == data[:45] + bytes(3)
    else:
        with pytest.raises(MalformedData, match="MediaContentHeader"):
            ContentHeader.unpack(data)


def test_a_file_without_a_content_header_is_of_unknown_kind():
    assert kind_of(b"") is Kind.UNKNOWN
    assert kind_of(b"plain bytes of a caller, more than 48 of them, and no header") is Kind.UNKNOWN
    assert kind_of(header.content(b"12345678", b"x")) is Kind.UNKNOWN
    assert kind_of(header.content(header.FILE, b"x")) is Kind.FILE


def test_our_file_header_is_sorted_json_behind_a_content_header():
    made = FileHeader("home", {"b": 1, "a": "ä"}).pack(stream_uuid=STREAM, ctime=1626103418)
    assert made[48:].decode() == '{\n  "attributes": {\n    "a": "ä",\n    "b": 1\n  },\n  "name": "home"\n}'
    assert made[:48].hex(" ", 8).startswith(f"63ee149fcdf29b0c {header.FILE.hex()}")
    assert FileHeader.unpack(made + b"the caller's") == (FileHeader("home", {"a": "ä", "b": 1}), len(made))


def test_a_header_takes_now_and_a_fresh_uuid_where_none_is_given():
    one, two = FileHeader("x").pack(), FileHeader("x").pack()
    assert one != two
    assert ContentHeader.unpack(one).ctime > 1_600_000_000


@pytest.mark.parametrize(
    "attributes", [{"a": b"bytes"}, {"a": float("nan")}, {"a": "\ud800"}, {"a": "x" * 65536}]
)
def test_a_header_that_cannot_be_written_is_an_invalid_option(attributes):
    with pytest.raises(InvalidOption):
        FileHeader("x", attributes).pack()


def test_a_content_magic_has_eight_bytes():
    with pytest.raises(InvalidOption, match="8 bytes, not 3"):
        header.content(b"abc", b"data")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b'{"name": 1}', "name is missing or not a string"),
        (b'{"attributes": []}', "attributes is not an object"),
        (b"[]", "not an object"),
        (b"\xff", "unable to parse file header"),
        (b"[" * 60000, "unable to parse file header"),
        (b'{"name": "\\ud800"}', "unable to parse file header"),
        (b'{"name": NaN}', "unable to parse file header"),
        (b'{"attributes": ' + b'{"a":' * 20 + b"1" + b"}" * 21, "levels deep"),
    ],
)
def test_a_file_header_that_is_not_what_we_write_is_malformed(data, text):
    with pytest.raises(MalformedData, match=text):
        FileHeader.unpack(header.content(header.FILE, data))


def test_a_file_header_that_is_cut_off_is_malformed():
    made = FileHeader("home").pack()
    for length in (0, 47, 48, len(made) - 1):
        with pytest.raises(MalformedData):
            FileHeader.unpack(made[:length])


@given(st.binary(max_size=200), st.integers(0, 2**32 - 1))
def test_whatever_is_read_as_our_file_header_is_one_or_malformed(data, size):
    start = ContentHeader(header.FILE, STREAM.bytes, 0, size).pack()
    for payload in (start + data, header.content(header.FILE, data)):
        try:
            FileHeader.unpack(payload)
        except MalformedData:
            continue


@given(
    st.text(max_size=50).filter(lambda text: text.isprintable()),
    st.dictionaries(st.text("abc"), st.one_of(st.booleans(), st.integers(), st.text("xyzä"))),
)
def test_a_file_header_comes_back_as_it_was_written(name, attributes):
    made = FileHeader(name, attributes or None)
    packed = made.pack()
    assert FileHeader.unpack(packed) == (made, len(packed))
