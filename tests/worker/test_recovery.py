# SPDX-License-Identifier: LGPL-2.1-or-later
"""After a crash in a write: what the next start says, and what it makes of the tape."""

from __future__ import annotations

import json
import os
import random
import threading
import time

import pytest

from support.workers import PATIENCE, TAPE, Bench, Peer, Refusal, feed
from tapeds.media.header import BLOCK, PAYLOAD
from tapeds.names import Field, MessageId
from tapeds.worker.messages import Open, Request, Result

DATA = random.Random(9).randbytes(3_000_000)          # 11 full blocks and a rest


@pytest.fixture
def peer(bench: Bench) -> Peer:
    """A worker with a tape that has both labels and one file."""
    peer = bench.labelled()
    peer.write(b"before", name="before")
    return peer


def crash_in_write(bench: Bench, peer: Peer, data: bytes = DATA, **arguments: object) -> None:
    """Kill the worker when it has written what it can of ``data``."""
    _, source = peer.write_slowly(data, name="lost", **arguments)
    peer.wait_for_blocks(bench.tape_file(3), len(data) // PAYLOAD)
    bench.kill()
    os.close(source)


def reopen(bench: Bench) -> tuple[Peer, str]:
    """The next worker, and what it says of the crash."""
    peer = bench.process()
    peer.greet()
    return peer, peer.open(bench.spec()).get("recovered", "")


def entries(peer: Peer) -> list[tuple[str, bool]]:
    return [(entry["name"], entry["complete"]) for entry in peer.ask("list-files", first=2)["files"]]


def test_a_killed_worker_leaves_an_incomplete_file(bench: Bench, peer: Peer) -> None:
    crash_in_write(bench, peer)
    assert bench.intent.exists()
    peer, text = reopen(bench)
    # The newest block is without its last page until the next one comes: it is cut off.
    assert text == (
        "the write of file 3 on TEST01L8 was interrupted; "
        "file 3 is closed as incomplete, 10 blocks of it are kept"
    )
    assert not bench.intent.exists()
    assert (peer.state.file, peer.state.position_known, peer.state.in_file) == (4, True, False)
    assert peer.state.durable_file == 4
    assert entries(peer) == [("before", True), ("lost", False)]
    peer.ask("move-to-file", file=3)
    with pytest.raises(Refusal, match=f"Incomplete: {TAPE}: file 3 is marked incomplete") as refused:
        peer.read()
    assert refused.value.data["bytes"] > 9 * PAYLOAD
    assert peer.write(b"after", name="after")["file"] == 4
    assert "first-error" not in peer.ask("verify-tape")


def test_what_is_kept_is_what_was_written(bench: Bench, peer: Peer) -> None:
    crash_in_write(bench, peer)
    peer, _ = reopen(bench)
    peer.ask("move-to-file", file=3)
    read_end, write_end = os.pipe()
    number = peer.begin("read-file", write_end)
    os.close(write_end)
    received = b"".join(iter(lambda: os.read(read_end, 1 << 20), b""))
    os.close(read_end)
    with pytest.raises(Refusal, match="Incomplete"):
        peer.end(number)
    assert DATA.startswith(received)
    assert len(received) > 9 * PAYLOAD


def test_a_worker_killed_before_the_first_block_has_written_nothing(bench: Bench, peer: Peer) -> None:
    _, source = peer.write_slowly(b"few bytes", name="lost")
    while not peer.knowledge().in_file:
        pass
    bench.kill()
    os.close(source)
    peer, text = reopen(bench)
    assert text == "the write of file 3 on TEST01L8 was interrupted; nothing of it was on tape yet"
    assert not bench.intent.exists()
    assert entries(peer) == [("before", True)]


def test_a_worker_killed_behind_the_end_of_a_file_has_lost_nothing(bench: Bench, peer: Peer) -> None:
    peer.write(DATA, name="a", durable=False)
    peer.write(DATA, name="b", durable=False)
    bench.kill()
    peer, text = reopen(bench)
    assert text == "the write of file 3 on TEST01L8 was interrupted; file 4, the last one, is closed"
    assert entries(peer) == [("before", True), ("a", True), ("b", True)]
    assert not bench.intent.exists()


def test_of_a_series_of_files_the_last_one_is_closed(bench: Bench, peer: Peer) -> None:
    peer.write(DATA, name="a", durable=False)
    _, source = peer.write_slowly(DATA, name="lost")
    peer.wait_for_blocks(bench.tape_file(4), 11)
    bench.kill()
    os.close(source)
    peer, text = reopen(bench)
    assert text.endswith("file 4 is closed as incomplete, 10 blocks of it are kept")
    assert entries(peer) == [("before", True), ("a", True), ("lost", False)]


def test_a_file_between_others_that_has_lost_its_end_is_told(bench: Bench, peer: Peer) -> None:
    for name in ("a", "b", "c"):
        peer.write(DATA, name=name, durable=False)
    bench.kill()
    with open(bench.tape_file(4), "r+b") as file:
        file.truncate(11 * BLOCK)                 # as a loss of power may leave it
    peer, text = reopen(bench)
    assert text == (
        "the write of file 3 on TEST01L8 was interrupted; file 5, the last one, is closed; "
        "without an end marker, and so not complete, stay files before it: 4"
    )
    assert entries(peer) == [("before", True), ("a", True), ("b", False), ("c", True)]


def test_a_write_over_other_files_is_closed_where_it_ended(bench: Bench, peer: Peer) -> None:
    for name in ("x", "y", "z"):
        peer.write(b"old", name=name)
    _, source = peer.write_slowly(DATA, name="lost", file=3)
    peer.wait_for_blocks(bench.tape_file(3), 11)
    bench.kill()
    os.close(source)
    peer, text = reopen(bench)
    assert "file 3 is closed as incomplete" in text
    assert entries(peer) == [("before", True), ("lost", False)]


def test_without_a_crash_there_is_nothing_to_say(bench: Bench, peer: Peer) -> None:
    peer.socket.close()
    bench.exit_status()
    assert reopen(bench)[1] == ""


def test_a_block_that_is_none_is_cut_off(bench: Bench, peer: Peer) -> None:
    crash_in_write(bench, peer)
    with open(bench.tape_file(3), "r+b") as file:
        file.seek(7 * BLOCK)
        file.write(bytes(BLOCK))
    peer, text = reopen(bench)
    assert text.endswith("7 blocks of it are kept")
    assert "first-error" not in peer.ask("verify-tape")


def test_a_first_block_that_is_none_leaves_an_empty_file(bench: Bench, peer: Peer) -> None:
    crash_in_write(bench, peer)
    with open(bench.tape_file(3), "r+b") as file:
        file.write(bytes(BLOCK))
    peer, text = reopen(bench)
    assert text.endswith("file 3 is closed as incomplete, 0 blocks of it are kept")
    assert entries(peer) == [("before", True), ("", False)]
    assert "first-error" not in peer.ask("verify-tape")


# --- the wrong tape -----------------------------------------------------------------------------


def put_out(bench: Bench, label: str | None) -> None:
    """Put the tape ``label`` into the drive, or none."""
    current = None if label is None else {"name": label, "pos": 0}
    (bench.tapes / "drive-status.json").write_text(json.dumps({"current_tape": current}))


def test_with_an_empty_drive_the_file_stays_open_until_its_tape_comes(bench: Bench, peer: Peer) -> None:
    crash_in_write(bench, peer)
    put_out(bench, None)
    peer, text = reopen(bench)
    assert text == (
        "the write of file 3 on TEST01L8 was interrupted; drive lto0 is empty, so it is still open: "
        "load TEST01L8 to have it closed"
    )
    assert bench.intent.exists()
    peer.ask("load-media", label_text="TEST01L8")
    assert not bench.intent.exists()
    (line,) = [line for line in peer.logs if Field.MESSAGE_ID in line.fields]
    assert line.message.endswith("file 3 is closed as incomplete, 10 blocks of it are kept")
    assert line.fields[Field.MESSAGE_ID] == MessageId.RECOVERED
    assert line.fields[Field.DRIVE] == "lto0"
    assert line.fields[Field.LABEL] == "TEST01L8"
    assert entries(peer) == [("before", True), ("lost", False)]


@pytest.mark.damaged_tape("a torn block of a tape that has not come back yet")
def test_with_another_tape_the_file_stays_open(bench: Bench, peer: Peer) -> None:
    (bench.tapes / "tape-TEST02L8.json").write_text('{"files": 0}')
    crash_in_write(bench, peer)
    put_out(bench, "TEST02L8")
    peer, text = reopen(bench)
    assert text == (
        "the write of file 3 on TEST01L8 was interrupted; TEST02L8 is in drive lto0, so it is still open: "
        "load TEST01L8 to have it closed"
    )
    assert peer.state.position_known
    assert bench.intent.exists()


@pytest.mark.damaged_tape("a torn block of a tape that has not come back yet")
def test_a_sync_of_another_tape_forgets_nothing(bench: Bench, peer: Peer) -> None:
    (bench.tapes / "tape-TEST02L8.json").write_text('{"files": 0}')
    crash_in_write(bench, peer)
    put_out(bench, "TEST02L8")
    peer, _ = reopen(bench)
    peer.ask("sync")
    assert peer.release() == []
    assert json.loads(bench.intent.read_text())["label-text"] == "TEST01L8"


def test_a_write_to_another_tape_says_what_it_leaves_behind(bench: Bench, peer: Peer) -> None:
    (bench.tapes / "tape-TEST02L8.json").write_text('{"files": 0}')
    crash_in_write(bench, peer)
    put_out(bench, "TEST02L8")
    peer, _ = reopen(bench)
    peer.write(b"x", unlabelled=True)
    assert any("file 3 of TEST01L8 was never closed" in line.message for line in peer.logs)
    peer.ask("load-media", label_text="TEST01L8")
    # A file without an end marker is not complete, and the next one comes after it.
    assert entries(peer) == [("before", True), ("lost", False)]
    assert peer.write(b"y")["file"] == 4


def test_a_tape_that_was_labelled_anew_is_another_tape(bench: Bench, peer: Peer) -> None:
    crash_in_write(bench, peer)
    intent = bench.intent.read_text()
    bench.intent.unlink()
    peer, _ = reopen(bench)
    peer.ask("label-tape", label_text="TEST01L8", overwrite=True)
    peer.release()
    bench.intent.write_text(intent)
    peer, text = reopen(bench)
    assert "tape TEST01L8 in drive lto0 has another media label, so it is still open" in text
    assert bench.intent.exists()


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [("format-media", {"fast": True}), ("label-tape", {"label_text": "TEST01L8", "overwrite": True})],
)
def test_a_tape_made_empty_has_nothing_left_to_close(
    bench: Bench, peer: Peer, operation: str, arguments: dict[str, object]
) -> None:
    crash_in_write(bench, peer)
    other = {"media-uuid": "11111111-2222-4333-8444-555555555555"}
    bench.intent.write_text(json.dumps(json.loads(bench.intent.read_text()) | other))
    peer, _ = reopen(bench)
    assert bench.intent.exists()
    peer.ask(operation, **arguments)
    assert not bench.intent.exists()


# --- what cannot be closed ----------------------------------------------------------------------


@pytest.mark.damaged_tape("a file that could not be closed")
def test_durable_blocks_that_cannot_be_read_are_left_alone(bench: Bench, peer: Peer) -> None:
    crash_in_write(bench, peer)
    intent = json.loads(bench.intent.read_text())
    bench.intent.write_text(json.dumps(intent | {"blocks": 9}))
    with open(bench.tape_file(3), "r+b") as file:
        file.seek(7 * BLOCK)
        file.write(bytes(BLOCK))
    size = bench.tape_file(3).stat().st_size // BLOCK * BLOCK
    peer, text = reopen(bench)
    assert text == (
        "the write of file 3 on TEST01L8 was interrupted; "
        "only 7 of 9 blocks known to be durable can be read, so file 3 was left as it is: verify the tape"
    )
    assert bench.tape_file(3).stat().st_size == size
    assert not bench.intent.exists()
    assert peer.write(b"next")["file"] == 4


def test_on_a_full_tape_the_file_stays_without_an_end_marker(bench: Bench) -> None:
    peer = bench.labelled(options={"max-size": 8 * BLOCK})
    peer.write(b"before", name="before")
    blocks = bench.tape_file(2).read_bytes()
    peer.release()
    full = b"".join(
        blocks[:8] + (PAYLOAD << 8).to_bytes(4, "little") + number.to_bytes(4, "little") + bytes(PAYLOAD)
        for number in range(7)
    )
    bench.tape_file(3).write_bytes(full)
    (bench.tapes / "tape-TEST01L8.json").write_text('{"files": 4}')
    bench.intent.write_text(
        json.dumps({"name": "lto0", "label-text": "TEST01L8", "media-uuid": "", "file": 3, "blocks": 0})
    )
    text = peer.open(bench.spec(options={"max-size": 8 * BLOCK}))["recovered"]
    assert text.endswith("the tape is full, so file 3 stays without an end marker and reads as incomplete")
    assert not bench.intent.exists()
    peer.ask("move-to-file", file=3)
    with pytest.raises(Refusal, match=f"Incomplete: {TAPE}: file 3: detected tape stream without end marker"):
        peer.read()


def test_an_intent_that_cannot_be_understood_is_told_and_the_drive_can_be_used(
    bench: Bench, peer: Peer
) -> None:
    peer.release()
    bench.intent.write_text("nonsense")
    text = peer.open(bench.spec())["recovered"]
    assert text.startswith(f"the write intent {bench.intent} cannot be understood")
    assert peer.state.position_known
    peer.write(b"x")
    assert not bench.intent.exists()


def test_a_tape_that_cannot_be_read_is_told_and_the_intent_stays(bench: Bench, peer: Peer) -> None:
    crash_in_write(bench, peer)
    bench.tape_file(0).rename(bench.tapes / "elsewhere")
    peer, text = reopen(bench)
    (bench.tapes / "elsewhere").rename(bench.tape_file(0))
    assert text.startswith("the write of file 3 on TEST01L8 was interrupted and is not closed: ")
    assert "is missing; put it back" in text
    assert bench.intent.exists()
    assert not peer.state.position_known
    with pytest.raises(Refusal, match="PositionLost: drive lto0: the position is not proved; rewind or move"):
        peer.read()
    # The next write closes it first.
    peer.release()
    peer.open(bench.spec())
    assert peer.write(b"after", name="after")["file"] == 4
    assert entries(peer) == [("before", True), ("lost", False), ("after", True)]


def test_a_recovery_answers_while_it_reads(bench: Bench, peer: Peer) -> None:
    peer.write(random.Random(1).randbytes(60_000_000), durable=False)
    bench.kill()
    peer = bench.process()
    peer.greet()
    peer.send(Open(bench.spec()))
    state = peer.knowledge()
    assert state.loaded
    peer.send(Request(5, "rewind"))
    with pytest.raises(Refusal, match="Busy"):
        peer.end(5)
    assert "the last one, is closed" in peer.end(0)["recovered"]


def test_sigterm_in_a_recovery_leaves_it_to_the_next_start(bench: Bench, peer: Peer) -> None:
    peer.write(random.Random(1).randbytes(60_000_000), durable=False)
    bench.kill()
    peer = bench.process()
    peer.greet()
    peer.send(Open(bench.spec()))
    peer.knowledge()
    bench.terminate()
    text = peer.end(0)["recovered"]
    assert text.endswith("is not closed: the worker was told to stop by SIGTERM; try again")
    assert bench.exit_status() == 0
    assert bench.intent.exists()
    assert "the last one, is closed" in reopen(bench)[1]


def test_many_kills_in_a_row_lose_nothing(bench: Bench, peer: Peer) -> None:
    """Kill at arbitrary moments: whatever was answered is there, nothing else calls itself complete."""
    chance = random.Random(10)
    told = ["before"]
    for round_ in range(8):
        number = 0
        read_end, write_end = os.pipe()
        feeder = threading.Thread(target=feed, args=(write_end, DATA * 4))
        peer.begin("write-file", read_end, name=f"lost {round_}", commit_on_eof=True)
        os.close(read_end)
        feeder.start()
        time.sleep(chance.random() * 0.03)
        bench.kill()
        feeder.join(PATIENCE)
        answer = peer.receive()
        if isinstance(answer, Result):
            told.append(f"lost {round_}")
        peer, _ = reopen(bench)
        complete = [name for name, whole in entries(peer) if whole]
        assert [name for name in complete if name in told] == told
        assert "first-error" not in peer.ask("verify-tape")
        number += 1
    assert peer.write(b"x")["complete"] is True
