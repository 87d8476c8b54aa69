# SPDX-License-Identifier: LGPL-2.1-or-later
"""Cartridges in and out of the drive."""

from __future__ import annotations

from typing import Any

import pytest

from support.workers import Bench, Peer, Refusal


def drive_of(result: dict[str, Any]) -> dict[str, Any]:
    return next(element for element in result["elements"] if element["kind"] == "drive")


def slots_of(result: dict[str, Any]) -> dict[int, str]:
    return {
        element["number"]: element["label-text"]
        for element in result["elements"]
        if element["kind"] == "slot" and element["full"]
    }


@pytest.fixture
def peer(bench: Bench) -> Peer:
    """A worker with the tape TEST01L8 in the drive, written to, and TEST02L8 on the shelf."""
    peer = bench.labelled("TEST02L8")
    peer.ask("load-media", label_text="TEST01L8", create=True)
    peer.ask("label-tape", label_text="TEST01L8")
    peer.ask("write-media-set-label", pool="default", seq_nr=0)
    return peer


def test_the_inventory_tells_every_element(bench: Bench) -> None:
    peer = bench.opened()
    result = peer.ask("inventory")
    assert drive_of(result) == {
        "kind": "drive",
        "number": 0,
        "address": 0,
        "full": False,
        "label-text": "",
        "accessible": True,
        "vendor": "tapeds",
        "model": "virtual",
        "serial": peer.state.serial,
    }
    assert slots_of(result) == {}
    assert "more" not in result


def test_an_inventory_that_does_not_fit_comes_in_pages(bench: Bench) -> None:
    for number in range(2000):
        (bench.tapes / f"tape-A{number:04}L8.json").write_text('{"files": 0}')
    peer = bench.opened()
    elements: list[dict[str, Any]] = []
    while True:
        result = peer.ask("inventory", first=len(elements))
        elements += result["elements"]
        if not result.get("more"):
            break
    assert len(slots_of({"elements": elements})) == 2000
    assert len(elements) == 2001


def test_a_loaded_tape_is_known_by_its_label_text_only(peer: Peer) -> None:
    result = peer.ask("load-media", label_text="TEST02L8")
    assert drive_of(result)["label-text"] == "TEST02L8"
    assert slots_of(result) == {2: "TEST01L8"}
    assert peer.state.media_state == "loaded"
    assert peer.state.media == {"label-text": "TEST02L8", "write-protected": False, "worm": False}
    assert not peer.state.label_known
    assert (peer.state.file, peer.state.position_known) == (0, True)


def test_an_unknown_tape_is_made_only_where_that_is_meant(peer: Peer) -> None:
    with pytest.raises(Refusal, match=r"NoMedia: there is no tape TEST03L8 in .*; name one that is there"):
        peer.ask("load-media", label_text="TEST03L8")
    assert peer.state.label_known
    assert peer.state.media["label-text"] == "TEST01L8"
    peer.ask("load-media", label_text="TEST03L8", create=True)
    assert peer.state.media["label-text"] == "TEST03L8"


def test_a_slot_can_be_loaded(peer: Peer) -> None:
    assert drive_of(peer.ask("load-slot", slot=1))["label-text"] == "TEST02L8"
    with pytest.raises(Refusal, match="NoMedia: slot 1 of changer lto0 is empty"):
        peer.ask("load-slot", slot=1)
    with pytest.raises(Refusal, match="InvalidOption: changer lto0 has no slot 99"):
        peer.ask("load-slot", slot=99)


def test_an_unloaded_tape_goes_back_or_where_it_is_told(peer: Peer) -> None:
    assert slots_of(peer.ask("unload-media")) == {1: "TEST02L8", 2: "TEST01L8"}
    assert peer.state.media_state == "empty"
    assert not peer.state.position_known
    peer.ask("load-media", label_text="TEST01L8")
    assert slots_of(peer.ask("unload-media", slot=5)) == {1: "TEST02L8", 5: "TEST01L8"}
    with pytest.raises(Refusal, match="NoMedia: drive lto0 is empty; there is nothing to unload"):
        peer.ask("unload-media")


def test_a_tape_moves_from_slot_to_slot(peer: Peer) -> None:
    assert slots_of(peer.ask("transfer-media", from_=1, to=7)) == {7: "TEST02L8"}
    assert peer.state.label_known
    with pytest.raises(Refusal, match="NoMedia: slot 1 of changer lto0 is empty"):
        peer.ask("transfer-media", from_=1, to=3)


def test_a_virtual_drive_exports_nothing(peer: Peer) -> None:
    with pytest.raises(Refusal, match="NotSupported: changer lto0 has no import/export slots"):
        peer.ask("export-media", label_text="TEST02L8")


def test_ejecting_empties_the_drive(peer: Peer) -> None:
    assert peer.ask("eject-media") == {}
    assert peer.state.media_state == "empty"
    assert peer.state.media == {}
    assert peer.ask("eject-media") == {}


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("eject-media", {}),
        ("unload-media", {}),
        ("load-media", {"label_text": "TEST02L8"}),
        ("load-slot", {"slot": 1}),
    ],
)
def test_what_leaves_the_drive_is_durable_first(
    bench: Bench, peer: Peer, operation: str, arguments: dict[str, Any]
) -> None:
    peer.write(b"data", durable=False)
    assert bench.intent.exists()
    peer.ask(operation, **arguments)
    assert not bench.intent.exists()
    assert peer.state.durable_file == 0


def test_the_label_of_another_tape_is_another_matter(peer: Peer) -> None:
    peer.ask("load-media", label_text="TEST02L8")
    peer.write(b"data")
    assert peer.state.media["label-text"] == "TEST02L8"
