# SPDX-License-Identifier: LGPL-2.1-or-later
"""Moving the tape, and knowing where it is."""

from __future__ import annotations

import pytest

from support.workers import TAPE, Bench, Peer, Refusal

AT_START = {"file": 0, "block": 0, "position-known": True}


@pytest.fixture
def peer(bench: Bench) -> Peer:
    """A worker on a tape with both labels and two files."""
    peer = bench.labelled()
    peer.write(b"one")
    peer.write(b"two")
    return peer


def test_rewind_goes_to_the_first_block(peer: Peer) -> None:
    assert peer.ask("rewind") == AT_START
    assert (peer.state.file, peer.state.block, peer.state.position_known) == (0, 0, True)


def test_move_to_file_goes_to_its_first_block(peer: Peer) -> None:
    assert peer.ask("move-to-file", file=3) == {"file": 3, "block": 0, "position-known": True}
    assert peer.read()[0] == b"two"


def test_one_behind_the_last_file_is_the_end_of_data(peer: Peer) -> None:
    assert peer.ask("move-to-file", file=4)["file"] == 4
    with pytest.raises(Refusal, match="EndOfData"):
        peer.read()


def test_a_file_that_is_not_there_is_refused_and_the_head_stays(peer: Peer) -> None:
    peer.ask("rewind")
    with pytest.raises(Refusal, match=f"EndOfData: {TAPE} has 4 files, no file 5; list its files first"):
        peer.ask("move-to-file", file=5)
    assert (peer.state.file, peer.state.position_known) == (0, True)


@pytest.mark.parametrize("mend", [True, False])
def test_the_end_of_data_is_behind_the_last_file(peer: Peer, mend: bool) -> None:
    peer.ask("rewind")
    assert peer.ask("move-to-eom", write_missing_eof=mend) == {"file": 4, "block": 0, "position-known": True}


def test_the_last_file_is_the_one_before_the_end(peer: Peer) -> None:
    assert peer.ask("move-to-last-file")["file"] == 3
    assert peer.read()[0] == b"two"


def test_an_empty_tape_has_no_last_file(bench: Bench) -> None:
    peer = bench.opened()
    peer.ask("load-media", label_text="TEST01L8", create=True)
    with pytest.raises(Refusal, match="EmptyMedia: tape TEST01L8 in drive lto0 holds no file; write one"):
        peer.ask("move-to-last-file")


def test_the_drive_says_in_which_file_the_head_stands(peer: Peer) -> None:
    assert peer.ask("current-file-number") == {"file": 4}
    peer.ask("move-to-file", file=2)
    assert peer.ask("current-file-number") == {"file": 2}
    peer.read()
    assert peer.ask("current-file-number") == {"file": 3}


@pytest.mark.parametrize(
    "operation",
    ["sync", "rewind", "move-to-last-file", "current-file-number", "read-label", "list-files", "verify-tape"],
)
def test_an_empty_drive_has_no_position(bench: Bench, operation: str) -> None:
    peer = bench.opened()
    with pytest.raises(Refusal, match="NoMedia: drive lto0 is empty; load a tape first"):
        peer.ask(operation)
    assert not peer.state.position_known


def test_the_position_is_kept_from_one_lease_to_the_next(bench: Bench, peer: Peer) -> None:
    peer.ask("move-to-file", file=3)
    peer.release()
    peer.open(bench.spec())
    assert (peer.state.file, peer.state.block, peer.state.position_known) == (3, 0, True)
    assert peer.read()[0] == b"two"


def test_sync_makes_what_was_written_durable(bench: Bench, peer: Peer) -> None:
    peer.write(b"three", durable=False)
    assert peer.state.durable_file == 4
    assert bench.intent.exists()
    assert peer.ask("sync") == {}
    assert (peer.state.durable_file, peer.state.durable_block) == (5, 0)
    assert not bench.intent.exists()


def test_sync_says_nothing_of_what_was_not_written_in_this_lease(bench: Bench, peer: Peer) -> None:
    peer.release()
    peer.open(bench.spec())
    peer.ask("sync")
    assert peer.state.durable_file == 0


def test_the_status_has_the_keys_that_the_drive_knows(bench: Bench) -> None:
    peer = bench.opened()
    known = {"vendor": "tapeds", "product": "virtual", "revision": "1", "blocksize": 262144}
    assert peer.ask("status") == known
    peer.ask("load-media", label_text="TEST01L8", create=True)
    assert peer.ask("status") == known | {"file-number": 0, "block-number": 0}


def test_capacity_and_what_remains_of_it_are_told(peer: Peer) -> None:
    assert peer.state.capacity_bytes == 256 * 1024 * 1024
    assert peer.state.remaining_bytes == 256 * 1024 * 1024 - 4 * 262144
    assert peer.state.block_size == 262144
