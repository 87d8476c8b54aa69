# SPDX-License-Identifier: LGPL-2.1-or-later
"""A device that is opened in the middle of a lease has to be what the lease had."""

from __future__ import annotations

import shutil

import pytest

from support.workers import TAPE, Bench, Peer, Refusal
from tapeds.worker.messages import DeviceState, Open


def reopened(bench: Bench, before: DeviceState) -> Peer:
    """A new worker that has opened the drive and is to prove that it is the one of ``before``."""
    peer = bench.process()
    peer.greet()
    peer.send(Open(bench.spec(), before))
    peer.end(0)
    return peer


def interrupted(bench: Bench) -> DeviceState:
    """What was known of the drive, whose label was read, when its worker ended."""
    peer = bench.labelled()
    known = peer.knowledge()
    assert known.label_known
    assert peer.release() == []
    return known


def test_the_same_tape_is_proved_by_the_first_use_and_found_again_by_moving(bench: Bench) -> None:
    peer = reopened(bench, interrupted(bench))
    assert (peer.state.to_prove, peer.state.position_known, peer.state.label_known) == (True, False, False)
    with pytest.raises(Refusal) as refusal:
        peer.read()
    assert (refusal.value.name, refusal.value.state.to_prove) == ("PositionLost", False)
    assert peer.ask("rewind") == {"file": 0, "block": 0, "position-known": True}
    assert peer.write()["file"] == 2


def test_another_tape_is_refused_until_its_label_is_read(bench: Bench) -> None:
    known = interrupted(bench)
    other = bench.opened()
    other.ask("load-media", label_text="OTHER1L8", create=True)
    other.ask("label-tape", label_text="OTHER1L8")
    other.release()
    peer = reopened(bench, known)
    for operation, arguments in (
        ("rewind", {}), ("list-files", {}), ("verify-tape", {}), ("format-media", {"fast": True}),
        ("label-tape", {"label_text": "NEW", "overwrite": True}), ("move-to-file", {"file": 0}),
    ):  # fmt: skip
        with pytest.raises(Refusal) as refusal:
            peer.ask(operation, **arguments)
        assert refusal.value.name == "WrongLabel"
        assert TAPE.replace("TEST01L8", "OTHER1L8") in refusal.value.text
        assert f"but media {known.media['uuid']} (label TEST01L8) was in the drive" in refusal.value.text
        assert refusal.value.text.endswith("read the label to go on with this tape")
        assert refusal.value.data["found-label-text"] == "OTHER1L8"
        assert refusal.value.state.to_prove
    assert peer.ask("read-label")["label"]["label-text"] == "OTHER1L8"
    assert not peer.state.to_prove
    peer.ask("rewind")


def test_a_tape_that_lost_its_label_is_another_one(bench: Bench) -> None:
    known = interrupted(bench)
    other = bench.opened()
    other.ask("format-media", fast=True)
    other.release()
    peer = reopened(bench, known)
    with pytest.raises(Refusal, match=f"{TAPE} is another one, but media .* was in the drive"):
        peer.ask("rewind")


def test_a_tape_whose_label_was_not_read_is_known_by_its_cartridge(bench: Bench) -> None:
    interrupted(bench)
    peer = reopened(bench, DeviceState(loaded=True, media={"label-text": "TEST01L8"}))
    peer.ask("rewind")
    peer.release()
    peer = reopened(bench, DeviceState(loaded=True, media={"label-text": "TEST02L8"}))
    with pytest.raises(Refusal, match="but tape TEST02L8 was in the drive before the restart"):
        peer.ask("rewind")


def test_what_the_lease_loads_itself_needs_no_proof(bench: Bench) -> None:
    known = interrupted(bench)
    peer = reopened(bench, known)
    peer.ask("load-media", label_text="OTHER1L8", create=True)
    assert not peer.state.to_prove
    peer.ask("rewind")


def test_another_device_is_not_opened(bench: Bench) -> None:
    known = interrupted(bench)
    away = bench.tapes.rename(bench.tapes.with_name("away"))
    bench.tapes.mkdir()
    with pytest.raises(Refusal) as refusal:
        reopened(bench, known)
    assert refusal.value.name == "PositionLost"
    assert f"drive lto0: {bench.tapes} is not what the lease had before the restart" in refusal.value.text
    shutil.rmtree(bench.tapes)                # its lock file was made
    away.rename(bench.tapes)
    reopened(bench, known).ask("rewind")
