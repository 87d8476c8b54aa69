# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a worker sends, as D-Bus sees it."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tapeds.buslib import Variant, unwrap
from tapeds.dbus import convert

# Every answer a worker gives, as the table of operations has them.
POSITION = {"file": 3, "block": 0, "position-known": True}
WRITTEN = {
    "file": 2,
    "bytes": 5,
    "blocks": 1,
    "complete": True,
    "early-warning": False,
    "files-removed": 0,
    "bytes-on-tape": 5,
    "sha256": "00ff",
    "waits": 1,
    "stops": 0,
    "longest-gap": 0,
}
LABELS = {
    "label": {"label-text": "TAPE01", "uuid": "u", "ctime": 1, "pool": "p"},
    "media-set-label": {"uuid": "u", "pool": "p", "seq-nr": 0, "ctime": 1},
    "key-fingerprint": "f",
}
LABELLED = {"uuid": "u", "label-text": "TAPE01", "media-set-uuid": ""}
READ = {
    "file": 2,
    "bytes": 5,
    "complete": True,
    "name": "a",
    "attributes": {"size": 5},
    "content-kind": "file",
    "sha256": "00ff",
}
LISTED = {
    "files": [{"number": 0, "kind": "media-label", "name": "", "bytes": 9, "complete": True}],
    "more": False,
}
VERIFIED = {"files": 3, "bytes": 9, "incomplete": 1, "first-error": {"file": 2, "block": 7, "text": "torn"}}
ELEMENTS = {
    "elements": [
        {
            "kind": "slot",
            "number": 1,
            "address": 1,
            "state": "full",
            "label-text": "T",
            "source-slot": 1,
            "accessible": True,
            "vendor": "",
            "model": "",
            "serial": "",
            "drive": "/org/tapeds1/drives/lto0",
        }
    ],
    "slot": 4,
}
STATUS = {
    "vendor": "",
    "product": "",
    "revision": "",
    "blocksize": 0,
    "compression": False,
    "buffer-mode": 1,
    "density": "",
    "alert-flags": "",
    "write-protect": True,
    "file-number": 1,
    "block-number": 2,
    "manufactured": 0,
    "bytes-written": 0,
    "bytes-read": 0,
    "medium-passes": 0,
    "medium-wearout": 0.1,
    "volume-mounts": 0,
    "drive-activity": "writing",
    "age-ms": 5,
}
REQUESTED = {"uuid": "u", "label-text": "T", "session": "/org/tapeds1/sessions/1"}
PROMPT = {
    "reason": "no-medium",
    "label-text": "T",
    "uuid": "u",
    "found-label-text": "",
    "found-uuid": "",
    "last-error": "",
    "since": 1,
}
FAILED = {"sense-key": 3, "asc": 0x11, "ascq": 0, "found-uuid": "u", "found-label-text": "T"}


@pytest.mark.parametrize(
    "answer",
    [
        POSITION,
        WRITTEN,
        LABELS,
        LABELLED,
        READ,
        LISTED,
        VERIFIED,
        ELEMENTS,
        STATUS,
        REQUESTED,
        PROMPT,
        FAILED,
    ],
)
def test_every_key_that_a_worker_sends_has_a_type(
    answer: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        assert set(convert.to_wire(answer)) == set(answer)
    assert caplog.records == []


def test_numbers_of_files_are_64_bits_wide() -> None:
    assert convert.to_wire({"file": 3}) == {"file": Variant("t", 3)}


def test_a_digest_is_bytes_on_the_bus_and_hex_in_a_worker() -> None:
    assert convert.to_wire({"sha256": "00ff"}) == {"sha256": Variant("ay", b"\x00\xff")}
    assert convert.to_json({"sha256": b"\x00\xff", "size": 3}) == {"sha256": "00ff", "size": 3}


def test_files_are_a_list_when_listed_and_a_number_when_verified() -> None:
    listed = convert.to_wire(LISTED)["files"]
    assert listed.signature == "aa{sv}"
    assert listed.value[0]["number"] == Variant("t", 0)
    assert convert.to_wire(VERIFIED)["files"] == Variant("t", 3)


def test_elements_are_numbered_with_32_bits() -> None:
    (element,) = convert.to_wires(ELEMENTS["elements"], "elements")  # type: ignore[arg-type]
    assert element["number"] == Variant("u", 1)
    assert convert.to_wire(ELEMENTS)["elements"].value[0]["number"] == Variant("u", 1)


def test_what_is_none_is_left_out() -> None:
    assert convert.to_wire({"file": 3, "name": None}) == {"file": Variant("t", 3)}


def test_attributes_keep_the_types_that_json_has() -> None:
    given = {
        "n": -1,
        "big": 1 << 63,
        "huge": 1 << 64,
        "x": 1.5,
        "t": True,
        "s": "a",
        "l": [1, "b"],
        "d": {"e": None},
    }
    wire = convert.to_wire({"attributes": given})["attributes"]
    kinds = {key: value.signature for key, value in wire.value.items()}
    assert kinds == {"n": "x", "big": "t", "huge": "s", "x": "d", "t": "b", "s": "s", "l": "av", "d": "a{sv}"}
    assert unwrap(wire) == {**given, "huge": str(1 << 64), "d": {"e": ""}}


@pytest.mark.parametrize("evil", ["a\0b", "a\udc80b"])
def test_a_name_from_tape_that_no_string_of_dbus_can_hold_is_mended(evil: str) -> None:
    assert convert.to_wire({"name": evil})["name"].value == "a\N{REPLACEMENT CHARACTER}b"
    attributes = convert.to_wire({"attributes": {evil: [evil]}})["attributes"]
    assert unwrap(attributes) == {"a\N{REPLACEMENT CHARACTER}b": ["a\N{REPLACEMENT CHARACTER}b"]}


def test_an_unknown_key_is_sent_by_its_value_and_noted(caplog: pytest.LogCaptureFixture) -> None:
    assert convert.to_wire({"novelty": 3}) == {"novelty": Variant("x", 3)}
    assert "novelty" in caplog.text


def test_errors_are_called_after_their_class_except_the_standard_ones() -> None:
    assert convert.error_name("NoMedia") == "org.tapeds1.Error.NoMedia"
    assert convert.error_name("AccessDenied") == "org.freedesktop.DBus.Error.AccessDenied"
    assert convert.error_name("InteractiveAuthorizationRequired") == (
        "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"
    )
    assert convert.error_name("") == ""
