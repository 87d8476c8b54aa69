# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writing a file: where it goes, what stands in the way, what is told of it."""

from __future__ import annotations

import hashlib
import json
import os
import random
import socket
import struct
from base64 import b64encode

import pytest

from support.workers import MIB, TAPE, Bench, Peer, Refusal
from tapeds.worker.messages import Commit, Taken

DATA = random.Random(3).randbytes(700_000)
OTHER = "11111111-2222-4333-8444-555555555555"


@pytest.fixture
def peer(bench: Bench) -> Peer:
    """A worker with a tape that has both labels."""
    return bench.labelled()


def names(peer: Peer) -> list[str]:
    return [entry["name"] for entry in peer.ask("list-files")["files"][2:]]


# --- appending ----------------------------------------------------------------------------------


def test_a_file_goes_behind_the_last_one(bench: Bench, peer: Peer) -> None:
    peer.write(DATA, name="first")
    peer.ask("rewind")
    result = peer.write(DATA, name="second")
    assert {key: result[key] for key in result if key not in ("waits", "stops", "longest-gap")} == {
        "file": 3,
        "bytes": 700_000,
        "blocks": 3,
        "complete": True,
        "early-warning": False,
        "files-removed": 0,
        "bytes-on-tape": 700_000,
    }
    assert names(peer) == ["first", "second"]
    assert not bench.intent.exists()


def test_what_is_written_is_what_is_read(peer: Peer) -> None:
    peer.write(DATA, name="a name", attributes={"host": "srv1", "level": 3})
    peer.ask("move-to-file", file=2)
    data, result = peer.read()
    assert data == DATA
    assert result == {
        "file": 2,
        "bytes": 700_000,
        "complete": True,
        "content-kind": "file",
        "name": "a name",
        "attributes": {"host": "srv1", "level": 3},
    }


def test_without_a_header_the_bytes_are_the_payload(peer: Peer) -> None:
    peer.write(DATA)
    peer.ask("move-to-file", file=2)
    data, result = peer.read()
    assert data == DATA
    assert result["content-kind"] == "unknown"


def test_a_header_of_another_kind_is_built_from_magic_and_data(peer: Peer) -> None:
    peer.write(b"entries", content_magic="6d31636dd70283bf", header=b64encode(b'{"store": "a"}').decode())
    peer.ask("move-to-file", file=2)
    data, result = peer.read()
    assert result["content-kind"] == "chunk-archive"
    assert data[:16].hex() == "63ee149fcdf29b0c6d31636dd70283bf"
    assert struct.unpack_from("<I", data, 40) == (14,)
    assert data[48:] == b'{"store": "a"}entries'


def test_an_empty_file_is_a_file(peer: Peer) -> None:
    result = peer.write(b"")
    assert (result["bytes"], result["blocks"], result["complete"]) == (0, 1, True)


def test_the_digest_is_told_where_it_was_asked_for(peer: Peer) -> None:
    digest = hashlib.sha256(DATA).hexdigest()
    assert peer.write(DATA, name="x", digest=True)["sha256"] == digest
    assert peer.write(DATA, sha256=digest.upper())["sha256"] == digest
    assert "sha256" not in peer.write(DATA)


def test_a_file_of_another_digest_is_closed_as_incomplete(peer: Peer) -> None:
    with pytest.raises(Refusal, match=rf"Incomplete: {TAPE}: the SHA-256 .* is .*, not 0000") as refused:
        peer.write(DATA, sha256="00" * 32)
    assert refused.value.data["complete"] is False
    assert refused.value.data["files-removed"] == 0
    assert peer.ask("list-files")["files"][2]["complete"] is False
    assert peer.state.position_known


def test_a_file_has_the_size_that_was_announced(peer: Peer) -> None:
    assert peer.write(DATA, size=700_000)["bytes"] == 700_000
    with pytest.raises(Refusal, match=f"Incomplete: {TAPE}: the data are longer than the 699999 bytes"):
        peer.write(DATA, size=699_999)
    with pytest.raises(Refusal, match=f"Incomplete: {TAPE}: the data ended after 700000 bytes of the 700001"):
        peer.write(DATA, size=700_001)


def test_our_own_pipe_end_is_written_from_too(peer: Peer) -> None:
    read_end, write_end = os.pipe()
    number = peer.begin("write-file", read_end, owned=True, name="x")
    os.close(read_end)
    os.write(write_end, b"bytes")
    peer.send(Commit(number, 5))
    assert peer.receive() == Taken(number)
    assert peer.end(number)["bytes"] == 5
    os.close(write_end)


# --- durability ---------------------------------------------------------------------------------


def test_done_is_durable(bench: Bench, peer: Peer) -> None:
    peer.write(DATA)
    assert (peer.state.durable_file, peer.state.durable_block, peer.state.in_file) == (3, 0, False)
    assert not bench.intent.exists()


def test_a_file_that_need_not_be_durable_is_not_called_so(bench: Bench, peer: Peer) -> None:
    peer.write(DATA, durable=False)
    assert (peer.state.file, peer.state.durable_file) == (3, 2)
    assert json.loads(bench.intent.read_text())["file"] == 2


def test_one_intent_covers_a_series_of_files(bench: Bench, peer: Peer) -> None:
    peer.write(DATA, durable=False)
    before = bench.intent.stat().st_ino
    for _ in range(5):
        peer.write(DATA, durable=False)
    assert bench.intent.stat().st_ino == before
    assert peer.state.durable_file == 2
    peer.write(DATA)
    assert peer.state.durable_file == 9
    assert not bench.intent.exists()


def test_the_intent_says_what_is_being_written(bench: Bench, peer: Peer) -> None:
    number, source = peer.write_slowly(DATA)
    peer.wait_for_blocks(bench.tape_file(2), 1)
    assert json.loads(bench.intent.read_text()) == {
        "name": "lto0",
        "label-text": "TEST01L8",
        "media-uuid": peer.state.media["uuid"],
        "file": 2,
        "blocks": 0,
    }
    peer.send(Commit(number, len(DATA)))
    assert peer.receive() == Taken(number)
    peer.end(number)
    os.close(source)
    assert not bench.intent.exists()


def test_without_a_place_for_the_intent_nothing_is_written(bench: Bench, peer: Peer) -> None:
    peer.release()
    bench.intent.parent.rmdir()
    bench.intent.parent.write_text("in the way")
    peer.open(bench.spec())
    with pytest.raises(Refusal, match=r"Io: cannot write the write intent .*; nothing is written without it"):
        peer.write(DATA)
    assert not bench.tape_file(2).exists()


# --- files that go ------------------------------------------------------------------------------


def test_a_file_can_be_written_over_and_all_behind_it_goes(peer: Peer) -> None:
    for name in ("a", "b", "c"):
        peer.write(DATA, name=name)
    result = peer.write(DATA, name="new", file=3)
    assert (result["file"], result["files-removed"]) == (3, 2)
    assert names(peer) == ["a", "new"]
    assert peer.state.durable_file == 4


def test_the_file_behind_the_last_one_removes_none(peer: Peer) -> None:
    assert peer.write(DATA, file=2)["files-removed"] == 0
    assert peer.write(DATA, file=3)["files-removed"] == 0


def test_a_file_further_on_cannot_be_written(peer: Peer) -> None:
    text = "EndOfData: tape TEST01L8 in drive lto0 has 2 files; file 4 cannot be written before file 2"
    with pytest.raises(Refusal, match=text):
        peer.write(DATA, file=4)


@pytest.mark.parametrize("file", [0, 1])
def test_the_labels_are_never_written_over_by_data(peer: Peer, file: int) -> None:
    text = (
        f"InvalidState: file {file} of tape TEST01L8 in drive lto0 is a label; "
        "write it with LabelTape or WriteMediaSetLabel, data from file 2 on"
    )
    with pytest.raises(Refusal, match=text):
        peer.write(DATA, file=file)
    with pytest.raises(Refusal, match=text):
        peer.write(DATA, file=file, unlabelled=True)
    assert len(peer.ask("list-files")["files"]) == 2


def test_files_that_went_are_told_of_a_failed_write_too(peer: Peer) -> None:
    peer.write(DATA)
    peer.write(DATA)
    with pytest.raises(Refusal, match="Incomplete") as refused:
        peer.write(DATA, file=2, size=1)
    assert refused.value.data["files-removed"] == 2


# --- what the caller expects --------------------------------------------------------------------


def test_only_the_tape_that_is_meant_is_written(peer: Peer) -> None:
    uuid = peer.state.media["uuid"]
    with pytest.raises(Refusal, match="WrongLabel") as refused:
        peer.write(DATA, expect_uuid=OTHER)
    assert str(refused.value) == (
        f"WrongLabel: tape TEST01L8 in drive lto0 is media {uuid} (label TEST01L8), not media {OTHER}; "
        "load the tape that is meant"
    )
    assert refused.value.data == {"found-uuid": uuid, "found-label-text": "TEST01L8"}
    assert len(peer.ask("list-files")["files"]) == 2
    peer.write(DATA, expect_uuid=uuid)


def test_a_labelled_tape_is_not_destroyed_on_the_word_that_it_has_no_label(peer: Peer) -> None:
    uuid = peer.state.media["uuid"]
    peer.write(DATA)
    with pytest.raises(Refusal, match=f"InvalidState: .* is labelled.* give expect-uuid, here {uuid}"):
        peer.write(DATA, file=2, unlabelled=True)
    assert len(peer.ask("list-files")["files"]) == 3
    assert peer.write(DATA, file=2, unlabelled=True, expect_uuid=uuid)["files-removed"] == 1


def test_the_file_has_the_number_that_is_expected_or_is_not_written(peer: Peer) -> None:
    peer.write(DATA, expect_file=2)
    text = (
        "InvalidState: on tape TEST01L8 in drive lto0 this would be file 3, not file 2; "
        "look what has been written"
    )
    with pytest.raises(Refusal, match=text) as refused:
        peer.write(DATA, expect_file=2)
    assert refused.value.data == {"file": 3}
    assert len(peer.ask("list-files")["files"]) == 3


def test_a_fresh_lease_reads_the_label_first(bench: Bench, peer: Peer) -> None:
    uuid = peer.state.media["uuid"]
    peer.release()
    peer.open(bench.spec())
    assert not peer.state.label_known
    peer.write(DATA, expect_uuid=uuid)
    assert peer.state.label_known
    assert peer.state.media["uuid"] == uuid


# --- labels that are missing --------------------------------------------------------------------


def test_without_a_media_set_label_nothing_is_written(bench: Bench) -> None:
    peer = bench.opened()
    peer.ask("load-media", label_text="TEST01L8", create=True)
    peer.ask("label-tape", label_text="TEST01L8")
    text = (
        "InvalidState: tape TEST01L8 in drive lto0 has no media-set label; "
        "write one first, with WriteMediaSetLabel"
    )
    with pytest.raises(Refusal, match=text):
        peer.write(DATA)
    with pytest.raises(Refusal, match=text):
        peer.write(DATA, unlabelled=True)
    assert len(peer.ask("list-files")["files"]) == 1


def test_a_set_that_is_only_reserved_is_no_set(bench: Bench) -> None:
    peer = bench.opened()
    peer.ask("load-media", label_text="TEST01L8", create=True)
    peer.ask("label-tape", label_text="TEST01L8")
    peer.ask("write-media-set-label", uuid="0" * 32, pool="daily", seq_nr=0)
    with pytest.raises(Refusal, match="has no media-set label; write one first, with WriteMediaSetLabel"):
        peer.write(DATA)


def test_a_tape_without_label_takes_data_only_where_that_is_meant(bench: Bench) -> None:
    peer = bench.opened()
    peer.ask("load-media", label_text="TEST01L8", create=True)
    text = (
        "InvalidState: tape TEST01L8 in drive lto0 has no media label; "
        "label it with LabelTape, or write with unlabelled=true"
    )
    with pytest.raises(Refusal, match=text):
        peer.write(DATA)
    assert peer.write(DATA, unlabelled=True)["file"] == 0
    assert peer.write(DATA, unlabelled=True)["file"] == 1
    assert peer.write(DATA, unlabelled=True, file=0)["files-removed"] == 2


def test_a_tape_with_other_data_says_what_was_found(bench: Bench) -> None:
    peer = bench.opened()
    peer.ask("load-media", label_text="TEST01L8", create=True)
    peer.write(DATA, unlabelled=True)
    peer.release()
    peer.open(bench.spec())
    with pytest.raises(Refusal, match=r"has no media label \(file 0, block 0: .*\); label it with LabelTape"):
        peer.write(DATA)
    assert peer.write(DATA, unlabelled=True)["file"] == 1


def test_a_descriptor_that_will_not_do_leaves_nothing_open(bench: Bench, peer: Peer) -> None:
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with left, right, pytest.raises(Refusal, match="InvalidFileDescriptor: the socket is not a stream"):
        peer.ask("write-file", left.fileno(), commit_on_eof=True)
    assert not peer.state.in_file
    assert not bench.intent.exists()
    assert peer.write(DATA)["file"] == 2


def test_a_descriptor_that_will_not_do_forgets_no_file_before(bench: Bench, peer: Peer) -> None:
    peer.write(DATA, durable=False)
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with left, right, pytest.raises(Refusal, match="InvalidFileDescriptor"):
        peer.ask("write-file", left.fileno(), commit_on_eof=True)
    assert json.loads(bench.intent.read_text())["file"] == 2


def test_an_empty_drive_takes_nothing(bench: Bench) -> None:
    peer = bench.opened()
    with pytest.raises(Refusal, match="NoMedia: drive lto0 is empty; load a tape first"):
        peer.write(DATA)


# --- the end of the tape ------------------------------------------------------------------------


def test_a_full_tape_tells_how_much_is_on_it(bench: Bench) -> None:
    peer = bench.labelled(options={"max-size": 10 * 262144})
    data = random.Random(4).randbytes(6 * MIB)
    with pytest.raises(Refusal, match=f"EndOfMedia: {TAPE}: the tape is full: file 2") as refused:
        peer.write(data, name="big")
    facts = refused.value.data
    assert facts["complete"] is False
    assert facts["early-warning"] is True
    assert facts["bytes"] == facts["bytes-on-tape"]
    assert 0 < facts["bytes-on-tape"] < len(data)
    assert any(progress.early_warning for progress in peer.progress)
    assert not bench.intent.exists()
    peer.ask("move-to-file", file=2)
    with pytest.raises(Refusal, match=f"Incomplete: {TAPE}: file 2 is marked incomplete") as incomplete:
        peer.read()
    assert incomplete.value.data["bytes"] == facts["bytes-on-tape"]


def test_progress_tells_the_file_and_never_more_often_than_needed(peer: Peer) -> None:
    peer.write(random.Random(5).randbytes(30 * MIB), name="x", size=30 * MIB)
    first = peer.progress[0]
    assert (first.file, first.done, first.total) == (2, 0, 30 * MIB)
    assert first.state is not None
    assert first.state.in_file
    done = [progress.done for progress in peer.progress]
    assert done == sorted(done)
    assert len(done) < 30


def test_small_transfers_need_no_large_ring(bench: Bench) -> None:
    peer = bench.labelled(buffer_bytes=1024 * MIB)
    peer.write(DATA)
    with open(f"/proc/{bench.processes[-1].pid}/status") as status:
        resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    assert resident < 64 * 1024
