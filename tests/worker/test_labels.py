# SPDX-License-Identifier: LGPL-2.1-or-later
"""Labels: what is read, what may be written over, and what is asked first."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from support.workers import TAPE, Bench, Peer, Refusal
from tapeds.media.header import BLOCK, HEADER, MEDIA_LABEL, BlockHeader, content

GOLDEN = Path(__file__).parent.parent / "golden"
UUID = "7f42c4dd-9626-4d89-9f2b-c7bc6da7d533"
SET = "9da37a55-aac7-4deb-91c6-482b3b675f30"
OTHER = "11111111-2222-4333-8444-555555555555"


@pytest.fixture
def blank(bench: Bench) -> Peer:
    """A worker with an empty tape in the drive."""
    peer = bench.opened()
    peer.ask("load-media", label_text="TEST01L8", create=True)
    return peer


@pytest.fixture
def labelled(blank: Peer) -> Peer:
    """A worker with a tape that has a media label, and no more."""
    blank.ask("label-tape", label_text="TEST01L8", uuid=UUID, ctime=1626103418)
    return blank


@pytest.fixture
def full(labelled: Peer) -> Peer:
    """A worker with both labels and one file on the tape."""
    labelled.ask("write-media-set-label", uuid=SET, pool="daily", seq_nr=3, ctime=1626103518)
    labelled.write(b"data")
    return labelled


def put_in(bench: Bench, **files: Path | bytes) -> Peer:
    """A worker with a tape in the drive that has ``files``, by number."""
    for number, file in enumerate(files.values()):
        data = file if isinstance(file, bytes) else file.read_bytes()
        bench.tape_file(number).write_bytes(data)
    (bench.tapes / "tape-TEST01L8.json").write_text(json.dumps({"files": len(files)}))
    (bench.tapes / "drive-status.json").write_text('{"current_tape": {"name": "TEST01L8", "pos": 0}}')
    return bench.opened()


# --- reading ------------------------------------------------------------------------------------


def test_an_empty_tape_has_no_labels(blank: Peer) -> None:
    assert blank.ask("read-label") == {}
    assert (blank.state.media_state, blank.state.label_known) == ("unlabeled", True)


def test_labels_are_told_with_their_keys(bench: Bench, full: Peer) -> None:
    full.release()
    full.open(bench.spec())
    assert not full.state.label_known
    assert full.ask("read-label") == {
        "label": {"label-text": "TEST01L8", "uuid": UUID, "ctime": 1626103418},
        "media-set-label": {"uuid": SET, "pool": "daily", "seq-nr": 3, "ctime": 1626103518},
    }
    assert full.state.label_known
    assert (full.state.file, full.state.position_known) == (2, True)
    assert full.state.media == {
        "label-text": "TEST01L8",
        "uuid": UUID,
        "ctime": 1626103418,
        "media-set-uuid": SET,
        "media-set-pool": "daily",
        "seq-nr": 3,
        "write-protected": False,
        "worm": False,
    }


def test_a_pool_in_the_media_label_is_told(bench: Bench) -> None:
    peer = put_in(bench, a=GOLDEN / "label-media-pool.blk")
    assert peer.ask("read-label")["label"]["pool"] == "daily"
    assert peer.state.media["pool"] == "daily"


def test_of_an_encrypted_set_only_the_fingerprint_is_told(bench: Bench) -> None:
    peer = put_in(bench, a=GOLDEN / "label-media.blk", b=GOLDEN / "label-set-encrypted.blk")
    result = peer.ask("read-label")
    assert result["key-fingerprint"].startswith("0e:ab:d4:46:")
    assert set(result["media-set-label"]) == {"uuid", "pool", "seq-nr", "ctime"}


def test_a_tape_of_somebody_else_is_of_unknown_format(bench: Bench) -> None:
    peer = put_in(bench, a=GOLDEN / "stream-ABC.blk")
    with pytest.raises(Refusal, match=f"UnknownFormat: {TAPE}: file 0, block 0: MediaContentHeader"):
        peer.ask("read-label")
    assert (peer.state.media_state, peer.state.label_known) == ("unlabeled", True)


@pytest.mark.damaged_tape("blocks of another program")
def test_a_tape_that_is_no_stream_of_blocks_is_of_unknown_format(bench: Bench) -> None:
    peer = put_in(bench, a=os.urandom(262144))
    with pytest.raises(Refusal, match=f"UnknownFormat: {TAPE}: file 0, block 0: got tape block with unknown"):
        peer.ask("read-label")


@pytest.mark.damaged_tape("a label whose texts are as long as a label can be")
def test_a_label_with_endless_texts_does_not_fill_every_packet(bench: Bench) -> None:
    value = {"ctime": 0, "label_text": "L" * 30_000, "pool": "P" * 30_000, "uuid": UUID}
    payload = content(MEDIA_LABEL, json.dumps(value).encode())
    block = bytearray(BLOCK)
    BlockHeader(len(payload), 0, end=True).pack_into(block)
    block[HEADER : HEADER + len(payload)] = payload
    peer = put_in(bench, a=bytes(block))
    assert peer.ask("read-label")["label"]["label-text"] == "L" * 30_000
    assert peer.state.media["label-text"] == "L" * 256
    assert peer.state.media["pool"] == "P" * 256


# --- the media label ----------------------------------------------------------------------------


def test_a_blank_tape_is_labelled(bench: Bench, blank: Peer) -> None:
    result = blank.ask("label-tape", label_text="TEST01L8", uuid=UUID, ctime=1626103418, pool="daily")
    assert result == {"uuid": UUID, "label-text": "TEST01L8", "media-set-uuid": "", "files-removed": 0}
    assert (blank.state.media_state, blank.state.label_known) == ("loaded", True)
    assert blank.state.media["pool"] == "daily"
    assert (blank.state.file, blank.state.durable_file) == (1, 1)
    assert not bench.intent.exists()
    assert blank.ask("read-label") == {
        "label": {"label-text": "TEST01L8", "uuid": UUID, "ctime": 1626103418, "pool": "daily"}
    }


def test_uuid_and_time_of_a_label_are_made_where_they_are_not_given(blank: Peer) -> None:
    before = int(time.time())
    uuid = blank.ask("label-tape", label_text="TEST01L8")["uuid"]
    label = blank.ask("read-label")["label"]
    assert label["uuid"] == uuid
    assert uuid[14] == "4"
    assert before <= label["ctime"] <= int(time.time())


def test_a_tape_with_files_is_not_labelled_unless_they_may_go(full: Peer) -> None:
    text = "NotEmpty: tape TEST01L8 in drive lto0 holds 3 files; overwrite=true destroys them"
    with pytest.raises(Refusal, match=text):
        full.ask("label-tape", label_text="TEST01L8")
    assert len(full.ask("list-files")["files"]) == 3
    assert full.ask("label-tape", label_text="TEST01L8", overwrite=True)["files-removed"] == 3
    assert len(full.ask("list-files")["files"]) == 1


def test_a_label_goes_only_over_the_tape_that_is_meant(full: Peer) -> None:
    with pytest.raises(Refusal) as refused:
        full.ask("label-tape", label_text="TEST01L8", overwrite=True, expect_uuid=OTHER)
    assert str(refused.value) == (
        f"WrongLabel: tape TEST01L8 in drive lto0 is media {UUID} (label TEST01L8), not media {OTHER}; "
        "load the tape that is meant"
    )
    assert refused.value.data == {"found-uuid": UUID, "found-label-text": "TEST01L8"}
    assert len(full.ask("list-files")["files"]) == 3
    full.ask("label-tape", label_text="TEST01L8", overwrite=True, expect_uuid=UUID)


def test_an_unlabelled_tape_is_not_the_one_that_is_expected(blank: Peer) -> None:
    text = f"WrongLabel: tape TEST01L8 in drive lto0 has no media label, not media {OTHER}"
    with pytest.raises(Refusal, match=text) as refused:
        blank.ask("label-tape", label_text="TEST01L8", expect_uuid=OTHER)
    assert refused.value.data == {"found-uuid": "", "found-label-text": ""}


def test_an_unusable_index_is_mended_by_a_label_over_it(bench: Bench, full: Peer) -> None:
    full.release()
    (bench.tapes / "tape-TEST01L8.json").write_text("{")
    full.open(bench.spec())
    with pytest.raises(Refusal, match=r"MediumError: the index .* is damaged"):
        full.ask("label-tape", label_text="TEST01L8")
    full.ask("label-tape", label_text="TEST01L8", overwrite=True)
    assert len(full.ask("list-files")["files"]) == 1


# --- the media-set label ------------------------------------------------------------------------


def test_a_media_set_label_comes_behind_the_media_label(bench: Bench, labelled: Peer) -> None:
    result = labelled.ask("write-media-set-label", uuid=SET, pool="daily", seq_nr=0)
    assert result == {"uuid": UUID, "label-text": "TEST01L8", "media-set-uuid": SET, "files-removed": 0}
    assert labelled.state.media["media-set-uuid"] == SET
    assert (labelled.state.file, labelled.state.durable_file) == (2, 2)
    assert not bench.intent.exists()


def test_without_a_media_label_there_is_no_media_set_label(blank: Peer) -> None:
    text = "InvalidState: tape TEST01L8 in drive lto0 has no media label; write one first, with LabelTape"
    with pytest.raises(Refusal, match=text):
        blank.ask("write-media-set-label", pool="daily", seq_nr=0)


def test_a_media_set_label_destroys_files_only_where_they_may_go(full: Peer) -> None:
    text = (
        "NotEmpty: tape TEST01L8 in drive lto0 holds 2 files behind its media label; "
        "overwrite=true destroys them"
    )
    with pytest.raises(Refusal, match=text):
        full.ask("write-media-set-label", pool="daily", seq_nr=0)
    result = full.ask("write-media-set-label", pool="daily", seq_nr=0, overwrite=True)
    assert result["files-removed"] == 2
    assert len(full.ask("list-files")["files"]) == 2


def test_a_media_set_label_goes_only_on_the_tape_that_is_meant(labelled: Peer) -> None:
    with pytest.raises(Refusal, match=f"WrongLabel: .* is media {UUID} .*, not media {OTHER}"):
        labelled.ask("write-media-set-label", pool="daily", seq_nr=0, expect_uuid=OTHER)
    labelled.ask("write-media-set-label", pool="daily", seq_nr=0, expect_uuid=UUID)


def test_a_set_that_is_only_reserved_is_written_over_without_asking(bench: Bench) -> None:
    peer = put_in(bench, a=GOLDEN / "label-media.blk", b=GOLDEN / "label-set-unassigned.blk")
    result = peer.ask("write-media-set-label", uuid=SET, pool="daily", seq_nr=0)
    assert result["media-set-uuid"] == SET
    assert result["files-removed"] == 1


def test_a_media_set_label_is_as_proxmox_writes_it(labelled: Peer, bench: Bench) -> None:
    labelled.ask("write-media-set-label", uuid=SET, pool="daily", seq_nr=0, ctime=1626103518)
    written = bench.tape_file(1).read_bytes()
    golden = (GOLDEN / "label-set.blk").read_bytes()
    # Stream UUID and time of the content header are of the day.
    assert (written[:32], written[56:]) == (golden[:32], golden[56:])


# --- the empty tape -----------------------------------------------------------------------------


@pytest.mark.parametrize("fast", [True, False])
def test_format_makes_the_tape_empty(full: Peer, fast: bool) -> None:
    result = full.ask("format-media", fast=fast)
    assert result == {"file": 0, "block": 0, "position-known": True, "files-removed": 3}
    assert full.state.media_state == "unlabeled"
    assert full.ask("list-files") == {"files": [], "more": False}


def test_only_the_tape_that_is_meant_is_formatted(full: Peer) -> None:
    with pytest.raises(Refusal, match="WrongLabel"):
        full.ask("format-media", fast=True, expect_uuid=OTHER)
    assert len(full.ask("list-files")["files"]) == 3
    full.ask("format-media", fast=True, expect_uuid=UUID)


def test_a_tape_that_cannot_be_counted_can_be_formatted(bench: Bench, full: Peer) -> None:
    full.release()
    (bench.tapes / "tape-TEST01L8.json").unlink()
    shutil.copy(GOLDEN / "label-media.blk", bench.tapes / "tape-TEST01L8.json")
    full.open(bench.spec())
    assert not full.state.position_known
    assert full.ask("format-media", fast=True)["files-removed"] == 0
    assert full.ask("list-files") == {"files": [], "more": False}


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("label-tape", {"label_text": "TEST01L8"}),
        ("write-media-set-label", {"pool": "daily", "seq_nr": 0}),
        ("format-media", {"fast": True}),
    ],
)
def test_an_empty_drive_has_nothing_to_label(
    bench: Bench, operation: str, arguments: dict[str, object]
) -> None:
    peer = bench.opened()
    with pytest.raises(Refusal, match="NoMedia: drive lto0 is empty; load a tape first"):
        peer.ask(operation, **arguments)
