# SPDX-License-Identifier: LGPL-2.1-or-later
"""Lists of files in pages, and verification."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.vtapes import tape_block
from support.workers import Bench, Peer, Refusal
from tapeds.media.header import BLOCK, HEADER, BlockHeader, FileHeader
from tapeds.worker import pages
from tapeds.worker.messages import MAXIMUM, Cancel, Result, encode


def file_of_ours(name: str) -> bytes:
    """A complete file of one block."""
    payload = FileHeader(name).pack() + b"data"
    block = bytearray(BLOCK)
    BlockHeader(len(payload), 0, end=True).pack_into(block)
    block[HEADER : HEADER + len(payload)] = payload
    return bytes(block)


def put_in(bench: Bench, names: list[str], **changes: Any) -> Peer:
    """A worker with a tape in the drive that has a file of each of ``names``."""
    for number, name in enumerate(names):
        bench.tape_file(number).write_bytes(file_of_ours(name))
    (bench.tapes / "tape-TEST01L8.json").write_text(json.dumps({"files": len(names)}))
    (bench.tapes / "drive-status.json").write_text('{"current_tape": {"name": "TEST01L8", "pos": 0}}')
    return bench.opened(**changes)


def test_an_empty_tape_has_no_files(bench: Bench) -> None:
    peer = bench.opened()
    peer.ask("load-media", label_text="TEST01L8", create=True)
    assert peer.ask("list-files") == {"files": [], "more": False}


def test_every_file_is_listed_with_kind_name_and_size(bench: Bench) -> None:
    peer = bench.labelled()
    peer.write(b"x" * 300_000, name="one")
    peer.write(b"abc")
    with pytest.raises(Refusal):
        peer.write(b"abc", name="short", size=4)
    assert peer.ask("list-files", first=2, count=10) == {
        "files": [
            {"number": 2, "kind": "file", "name": "one", "bytes": 300_000, "complete": True},
            {"number": 3, "kind": "unknown", "name": "", "bytes": 3, "complete": True},
            {"number": 4, "kind": "file", "name": "short", "bytes": 3, "complete": False},
        ],
        "more": False,
    }
    assert [entry["kind"] for entry in peer.ask("list-files", first=0, count=2)["files"]] == [
        "media-label",
        "media-set-label",
    ]
    assert peer.ask("list-files", first=0, count=2)["more"] is True
    assert peer.ask("list-files", first=99) == {"files": [], "more": False}


def test_2500_files_come_in_three_pages(bench: Bench) -> None:
    peer = put_in(bench, [f"file {number}" for number in range(2500)])
    found: list[dict[str, Any]] = []
    sizes = []
    while True:
        page = peer.ask("list-files", first=len(found), count=2500)
        found += page["files"]
        sizes.append(len(page["files"]))
        if not page["more"]:
            break
    assert sizes == [1000, 1000, 500]
    assert [entry["number"] for entry in found] == list(range(2500))
    assert found[2499] == {
        "number": 2499, "kind": "file", "name": "file 2499", "bytes": 4, "complete": True
    }  # fmt: skip
    assert len(peer.progress) < 100


def test_a_page_of_long_names_ends_where_the_packet_does(bench: Bench) -> None:
    names = [f"{number:03}" + "ä" * 10_000 for number in range(20)]
    peer = put_in(bench, names)
    found: list[str] = []
    while True:
        page = peer.ask("list-files", first=len(found), count=1000)
        assert 0 < len(page["files"]) < 20
        found += [entry["name"] for entry in page["files"]]
        if not page["more"]:
            break
    assert found == names


def test_the_longest_name_there_can_be_is_listed(bench: Bench) -> None:
    name = "x" * 65_000
    peer = put_in(bench, [name])
    assert peer.ask("list-files")["files"][0]["name"] == name


def test_a_page_leaves_room_for_the_state(bench: Bench) -> None:
    entries = [{"name": "n" * 1000, "number": number} for number in range(1000)]
    fitting, more = pages.fit(entries)
    assert more
    peer = bench.opened()
    assert len(encode(Result(1, {"files": fitting, "more": True}, peer.state))) <= MAXIMUM
    assert pages.fit(fitting) == (fitting, False)


def test_a_list_can_be_cancelled(bench: Bench) -> None:
    peer = put_in(bench, [str(number) for number in range(1000)])
    number = peer.begin("list-files")
    peer.send(Cancel(number))
    with pytest.raises(Refusal, match="Cancelled"):
        peer.end(number)
    assert peer.state.position_known


def test_a_good_tape_verifies(bench: Bench) -> None:
    peer = bench.labelled()
    peer.write(b"x" * 300_000, name="one")
    result = peer.ask("verify-tape")
    assert result["files"] == 3
    assert "first-error" not in result
    result = peer.ask("verify-file", file=2)
    assert result["files"] == 1
    assert result["bytes"] > 300_000
    assert result["incomplete"] == 0
    assert peer.state.file == 3


def test_an_incomplete_file_is_counted_by_verification(bench: Bench) -> None:
    peer = bench.labelled()
    with pytest.raises(Refusal, match="Incomplete"):
        peer.write(b"cut", size=1000)
    result = peer.ask("verify-tape")
    assert result["incomplete"] == 1
    assert "first-error" not in result


@pytest.mark.damaged_tape("a block without an end marker")
def test_the_first_error_names_file_and_block(bench: Bench) -> None:
    peer = put_in(bench, ["a", "b", "c"])
    peer.release()
    bench.tape_file(1).write_bytes(bytes(tape_block(0, "x")) + bytes(tape_block(7, "y", end=True)))
    peer.open(bench.spec())
    result = peer.ask("verify-tape")
    assert result["files"] == 3
    assert result["first-error"] == {
        "file": 1,
        "block": 1,
        "text": "file 1, block 1: detected tape block with wrong sequence number (7 != 1)",
    }
    assert peer.ask("verify-file", file=1)["first-error"]["block"] == 1
    assert "first-error" not in peer.ask("verify-file", file=2)


def test_a_file_that_is_not_there_cannot_be_verified(bench: Bench) -> None:
    peer = bench.labelled()
    text = "EndOfData: tape TEST01L8 in drive lto0 has no file 2; list its files first"
    with pytest.raises(Refusal, match=text):
        peer.ask("verify-file", file=2)
    with pytest.raises(Refusal, match=text.replace("file 2", "file 9")):
        peer.ask("verify-file", file=9)


def test_a_verification_can_be_cancelled(bench: Bench) -> None:
    peer = bench.labelled()
    peer.write(b"x" * 50_000_000)
    number = peer.begin("verify-tape")
    peer.send(Cancel(number, "Cancelled", "enough"))
    with pytest.raises(Refusal, match="Cancelled: enough"):
        peer.end(number)
