# SPDX-License-Identifier: LGPL-2.1-or-later
"""Media label and media-set label, of both generations."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeds.errors import (
    EmptyMedia,
    InvalidOption,
    InvalidState,
    MalformedData,
    UnexpectedFilemark,
    UnknownFormat,
    WriteProtected,
)
from tapeds.media import header, label
from tapeds.media.key_config import KeyConfig
from tapeds.media.label import Labels, MediaLabel, MediaSetLabel, read_labels

LABEL_STREAM = uuid.UUID("00000000-1111-4222-8333-444455556600")
SET_STREAM = uuid.UUID("00000001-1111-4222-8333-444455556601")


@pytest.fixture
def media_label(golden):
    return MediaLabel("TEST01L8", golden["inputs"]["media_uuid"], golden["inputs"]["ctime"])


@pytest.fixture
def set_label(golden):
    return MediaSetLabel(golden["inputs"]["set_uuid"], "daily", 0, golden["inputs"]["ctime"] + 100)


@pytest.fixture
def write(drive):
    """Write a media label of the golden stream, then the set label if there is one."""

    def write(one, two=None):
        label.write_media_label(drive, one, stream_uuid=LABEL_STREAM, ctime=1626103418)
        if two is not None:
            label.write_media_set_label(drive, two, stream_uuid=SET_STREAM, ctime=1626103418)
        return drive

    return write


# --- golden ---------------------------------------------------------------------------------------


def test_a_media_label_is_reproduced_byte_for_byte(write, media_label, golden_file):
    assert write(media_label).tape[0].blocks == [golden_file("label-media.blk")]


def test_a_media_label_with_pool_is_reproduced_byte_for_byte(write, media_label, golden_file):
    assert write(replace(media_label, pool="daily")).tape[0].blocks == [golden_file("label-media-pool.blk")]


def test_a_media_set_label_is_reproduced_byte_for_byte(write, media_label, set_label, golden_file):
    assert write(media_label, set_label).tape[1].blocks == [golden_file("label-set.blk")]


def test_an_unassigned_media_set_label_is_reproduced_byte_for_byte(
    drive, media_label, set_label, golden_file
):
    label.write_media_label(drive, media_label)
    empty = replace(set_label, uuid=label.UNASSIGNED, ctime=1626103418)
    label.write_media_set_label(drive, empty, stream_uuid=SET_STREAM, ctime=1626103418)
    assert drive.tape[1].blocks == [golden_file("label-set-unassigned.blk")]
    assert empty.unassigned


def test_an_encrypted_media_set_label_is_reproduced_byte_for_byte(
    write, media_label, set_label, golden, golden_file
):
    locked = replace(
        set_label,
        encryption_key_fingerprint=golden["crypto"]["fingerprint"],
        key_config=KeyConfig.from_json(golden["crypto"]["key_config_scrypt"]),
    )
    assert write(media_label, locked).tape[1].blocks == [golden_file("label-set-encrypted.blk")]


def test_the_golden_tape_has_both_labels(golden_tape, media_label, set_label):
    assert read_labels(golden_tape) == Labels(replace(media_label, pool="daily"), set_label)
    assert golden_tape.position().file == 2


@pytest.mark.parametrize("name", ["label-set.blk", "label-set-unassigned.blk", "label-set-encrypted.blk"])
def test_a_golden_media_set_label_is_read(make_drive, golden, golden_file, name):
    drive = make_drive([[golden_file("label-media.blk")], [golden_file(name)]])
    found = read_labels(drive).set_label
    assert found is not None
    assert (found.pool, found.seq_nr) == ("daily", 0)
    assert found.unassigned == (name == "label-set-unassigned.blk")
    if name == "label-set-encrypted.blk":
        assert found.encryption_key_fingerprint == golden["crypto"]["fingerprint"]
        assert found.key_config == KeyConfig.from_json(golden["crypto"]["key_config_scrypt"])


# --- reading --------------------------------------------------------------------------------------


def test_an_empty_tape_has_no_labels(drive):
    assert read_labels(drive) == Labels(None, None)


def test_a_tape_may_have_a_media_label_alone(make_drive, golden_file, media_label):
    drive = make_drive([[golden_file("label-media.blk")]])
    assert read_labels(drive) == Labels(media_label, None)


def test_labels_are_read_from_the_beginning_wherever_the_head_stands(golden_tape):
    golden_tape.locate_file(4)
    assert read_labels(golden_tape).label is not None


def test_a_filemark_at_the_beginning_is_told(make_drive):
    with pytest.raises(UnexpectedFilemark, match="got unexpected filemark at BOT"):
        read_labels(make_drive([[]]))


def test_a_filemark_after_the_label_is_told(make_drive, golden_file):
    with pytest.raises(UnexpectedFilemark, match="got unexpected filemark after label"):
        read_labels(make_drive([[golden_file("label-media.blk")], []]))


@pytest.mark.parametrize("first", [b"ustar" + bytes(507), bytes(262144), bytes(300000)])
def test_a_foreign_tape_is_of_unknown_format(make_drive, first):
    with pytest.raises(UnknownFormat, match="file 0, block 0"):
        read_labels(make_drive([[first]]))


def test_a_tape_of_plain_data_is_of_unknown_format(make_drive, blocks_of):
    with pytest.raises(UnknownFormat, match="MediaContentHeader: wrong magic"):
        read_labels(make_drive([blocks_of(b"data of a caller" * 10)]))
    with pytest.raises(UnknownFormat, match="MediaContentHeader: failed to fill whole buffer"):
        read_labels(make_drive([blocks_of(b"")]))


def test_a_tape_that_begins_with_an_archive_is_of_unknown_format(make_drive, blocks_of):
    with pytest.raises(UnknownFormat, match="MediaContentHeader: wrong content magic"):
        read_labels(make_drive([blocks_of(header.content(header.FILE, b"{}"))]))


def label_file(value, magic=header.MEDIA_LABEL):
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return header.ContentHeader(magic, LABEL_STREAM.bytes, 0, len(data)).pack() + data


GOOD = {"label_text": "TEST01L8", "uuid": "7f42c4dd-9626-4d89-9f2b-c7bc6da7d533", "ctime": 0}
GOOD_SET = {"pool": "daily", "seq_nr": 3, "uuid": "9da37a55-aac7-4deb-91c6-482b3b675f30", "ctime": 0}


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (label_file(b""), "MediaContentHeader: got unexpected size"),
        (label_file(b" " * 65537), "MediaContentHeader: got unexpected size"),
        (label_file(GOOD)[:-1], "MediaContentHeader: failed to fill whole buffer"),
        (label_file(GOOD) + b"x", "got unexpected data after label"),
        (label_file(GOOD) + bytes(600000), "got unexpected data after label"),
        (label_file(b"not json"), "unable to parse drive label - "),
        (label_file(b'"text"'), "unable to parse drive label - not an object"),
        (label_file("x"), "unable to parse drive label - "),
        (label_file(GOOD | {"ctime": "0"}), "unable to parse drive label - ctime"),
        (label_file(GOOD | {"ctime": 2**63}), "unable to parse drive label - ctime"),
        (label_file(GOOD | {"ctime": True}), "unable to parse drive label - ctime"),
        (label_file(GOOD | {"uuid": "7f42"}), "unable to parse drive label - uuid is not a UUID"),
        (label_file(GOOD | {"label_text": None}), "unable to parse drive label - label_text"),
        (label_file(GOOD | {"pool": 1}), "unable to parse drive label - pool"),
    ],
)
def test_a_media_label_that_breaks_a_rule_is_refused_with_its_text(make_drive, blocks_of, payload, text):
    with pytest.raises(MalformedData, match=f"file 0, block 0: {text}") as caught:
        read_labels(make_drive([blocks_of(payload)]))
    assert caught.value.data == {"file": 0, "block": 0}


SET = header.MEDIA_SET_LABEL


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (label_file(GOOD_SET), "MediaContentHeader: wrong content magic"),
        (b"x" * 48, "MediaContentHeader: wrong magic"),
        (label_file(b"{", SET), "unable to parse media set label - "),
        (label_file(GOOD_SET | {"pool": None}, SET), "unable to parse media set label - pool"),
        (label_file(GOOD_SET | {"seq_nr": -1}, SET), "unable to parse media set label - seq_nr"),
        (label_file(GOOD_SET | {"seq_nr": 2**64}, SET), "unable to parse media set label - seq_nr"),
        (label_file(GOOD_SET | {"key-config": {}}, SET), "unable to parse media set label - data"),
        (label_file(GOOD_SET | {"key-config": 1}, SET), "unable to parse media set label - key-config"),
        (label_file(GOOD_SET, SET) + b"x", "got unexpected data after media set label"),
    ],
)
def test_a_media_set_label_that_breaks_a_rule_is_refused_with_its_text(
    make_drive, blocks_of, golden_file, payload, text
):
    with pytest.raises(MalformedData, match=f"file 1, block 0: {text}") as caught:
        read_labels(make_drive([[golden_file("label-media.blk")], blocks_of(payload)]))
    assert caught.value.data == {"file": 1, "block": 0}


def test_a_label_without_end_marker_is_refused(make_drive, block, golden_file):
    torn = block(label_file(GOOD), flags=0)
    with pytest.raises(MalformedData, match="file 0, block 1: detected tape stream without end marker"):
        read_labels(make_drive([[torn]]))
    torn = block(label_file(GOOD_SET, SET), flags=0)
    with pytest.raises(MalformedData, match="file 1, block 1: detected tape stream without end marker"):
        read_labels(make_drive([[golden_file("label-media.blk")], [torn]]))


def test_unknown_keys_and_any_order_of_keys_are_accepted():
    value = {"zz": [1], **dict(reversed(GOOD.items())), "pool": None}
    value["uuid"] = value["uuid"].replace("-", "").upper()
    found = label.parse_media_label(label_file(value))
    assert found == MediaLabel("TEST01L8", GOOD["uuid"], 0, None)


def test_a_fingerprint_may_come_without_colons(golden):
    fingerprint = golden["crypto"]["fingerprint"]
    value = GOOD_SET | {"encryption_key_fingerprint": fingerprint.replace(":", "").upper()}
    assert label.parse_media_set_label(label_file(value, SET)).encryption_key_fingerprint == fingerprint


@given(st.binary(max_size=300))
@settings(max_examples=300)
def test_garbage_is_no_label(data):
    for payload in (data, label_file(data), label_file(data, SET)):
        for parse in (label.parse_media_label, label.parse_media_set_label):
            with pytest.raises(MalformedData):
                parse(payload)


@given(st.data())
@settings(max_examples=300)
def test_a_damaged_label_is_a_label_or_malformed(golden_file, data):
    name = data.draw(st.sampled_from(["label-media-pool.blk", "label-set-encrypted.blk"]))
    block = golden_file(name)
    payload = bytearray(block[16 : 16 + int.from_bytes(block[9:12], "little")])
    for _ in range(data.draw(st.integers(1, 3))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    del payload[data.draw(st.integers(0, 2 * len(payload))) :]
    parse = label.parse_media_label if "media-pool" in name else label.parse_media_set_label
    try:
        found = parse(bytes(payload))
    except MalformedData:
        return
    if isinstance(found, MediaSetLabel) and not (found.encryption_key_fingerprint and found.key_config):
        found = replace(found, encryption_key_fingerprint=None, key_config=None)
    assert type(found).from_json(found.to_json()) == found


@given(st.binary(max_size=40), st.integers(0, 262144 - 40), st.integers(0, 2))
def test_a_tape_with_a_damaged_block_gives_labels_or_a_named_error(golden_file, make_drive, data, at, which):
    files = [[golden_file("label-media.blk")], [golden_file("label-set-encrypted.blk")]]
    for file in range(2):
        if which in (file, 2):
            bad = bytearray(files[file][0])
            bad[at : at + len(data)] = data
            files[file] = [bytes(bad)]
    try:
        found = read_labels(make_drive(files))
    except (MalformedData, UnknownFormat):
        return
    assert isinstance(found.label, MediaLabel)
    assert isinstance(found.set_label, MediaSetLabel)


# --- writing --------------------------------------------------------------------------------------


def test_a_media_label_is_written_at_the_beginning_and_durable(golden_tape, media_label):
    golden_tape.locate_file(3)
    label.write_media_label(golden_tape, media_label)
    assert golden_tape.synchronised
    assert len(golden_tape.tape) == 1
    assert read_labels(golden_tape) == Labels(media_label, None)


def test_a_media_set_label_is_written_as_file_1_wherever_the_head_stands(golden_tape, set_label):
    golden_tape.locate_file(4)
    label.write_media_set_label(golden_tape, replace(set_label, seq_nr=7))
    assert golden_tape.synchronised
    assert len(golden_tape.tape) == 2
    found = read_labels(golden_tape).set_label
    assert found is not None
    assert found.seq_nr == 7


def test_a_media_set_label_needs_a_media_label_before_it(drive, set_label):
    with pytest.raises(EmptyMedia, match=r"media is empty \(no label\)"):
        label.write_media_set_label(drive, set_label)


def test_a_drive_that_does_not_arrive_at_file_1_gets_no_media_set_label(golden_tape, set_label):
    golden_tape.locate_file = lambda file: golden_tape.rewind()
    with pytest.raises(InvalidState, match=r"got wrong file number \(0 != 1\)"):
        label.write_media_set_label(golden_tape, set_label)
    assert len(golden_tape.tape) == 5


def test_a_fingerprint_without_key_config_is_refused_before_anything_is_written(
    golden_tape, set_label, golden
):
    bad = replace(set_label, encryption_key_fingerprint=golden["crypto"]["fingerprint"])
    with pytest.raises(InvalidOption, match="missing encryption key config"):
        label.write_media_set_label(golden_tape, bad)
    assert golden_tape.writes == 0


def test_a_key_config_without_fingerprint_is_left_out(write, media_label, set_label, golden, golden_file):
    config = KeyConfig.from_json(golden["crypto"]["key_config_scrypt"])
    assert write(media_label, replace(set_label, key_config=config)).tape[1].blocks == [
        golden_file("label-set.blk")
    ]


def test_a_label_text_that_is_no_text_is_refused_before_anything_is_written(golden_tape, media_label):
    with pytest.raises(InvalidOption, match="the label cannot be written as JSON"):
        label.write_media_label(golden_tape, replace(media_label, label_text="\ud800"))
    assert golden_tape.writes == 0


def test_a_write_protected_tape_keeps_its_label(golden_tape, media_label):
    golden_tape.write_protected = True
    with pytest.raises(WriteProtected):
        label.write_media_label(golden_tape, replace(media_label, label_text="OTHER"))
    found = read_labels(golden_tape).label
    assert found is not None
    assert found.label_text == "TEST01L8"
