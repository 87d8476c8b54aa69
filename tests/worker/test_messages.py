# SPDX-License-Identifier: LGPL-2.1-or-later
"""Packets: what is sent arrives as it was, and what is no message is refused."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeds.worker import messages
from tapeds.worker.messages import (
    MAXIMUM,
    Abort,
    Ask,
    Cancel,
    Commit,
    DeviceSpec,
    DeviceState,
    Failure,
    Hello,
    Log,
    Message,
    Open,
    Progress,
    Refused,
    Release,
    Released,
    Request,
    Result,
    State,
    Taken,
)

STATE = DeviceState(serial="1:2", loaded=True, media={"label-text": "TEST01L8"}, file=3, position_known=True)
EVERY: list[Message] = [
    Hello("1.0"),
    Open(DeviceSpec("virtual", "lto0", "/tapes", 4096, "/state/lto0.json", {"max-size": 5})),
    Open(DeviceSpec("virtual", "lto0", "/tapes", 4096, "/state/lto0.json"), DeviceState(serial="1:2")),
    Request(7, "write-file", {"name": "naïve", "size": 2**64 - 1}),
    Cancel(7, "ClientGone", "gone"),
    Commit(7, 12, "ab" * 32),
    Abort(7),
    Ask(),
    Release(),
    Progress(7, 1, 2, "half", file=3, early_warning=True, state=STATE),
    Progress(7, 1),
    Result(7, {"files": [{"number": 0}]}, STATE),
    Failure(7, "NoMedia", "empty", {"file": 1}, STATE),
    Refused(7, "JobFinished", "over"),
    Taken(7),
    State(STATE),
    Released(["sync: Io: no space"]),
    Log(30, "careful", {"TAPEDS_DRIVE": "lto0"}),
]


@pytest.mark.parametrize("message", EVERY, ids=lambda message: type(message).__name__)
def test_a_message_arrives_as_it_was_sent(message: Message) -> None:
    assert messages.decode(messages.encode(message)) == message


def test_every_message_is_in_the_list_above() -> None:
    assert {type(message) for message in EVERY} == set(messages._TYPES.values())


def test_every_field_of_every_message_can_be_checked() -> None:
    every = [*messages._TYPES.values(), DeviceSpec, DeviceState]
    assert {str(item.type) for cls in every for item in fields(cls)} <= set(messages._FITS)


def test_half_a_character_from_a_tape_survives_the_way() -> None:
    message = Request(1, "x", {"name": "\ud800"})
    assert messages.decode(messages.encode(message)) == message


def test_text_that_is_not_ascii_takes_no_more_room_than_utf8_does() -> None:
    text = "ä" * 50_000
    assert len(messages.encode(Request(1, "x", {"name": text}))) < len(text.encode()) + 200


def test_a_message_beyond_the_limit_is_not_sent() -> None:
    with pytest.raises(ValueError, match=f"more than {MAXIMUM}"):
        messages.encode(Request(1, "x", {"name": "x" * MAXIMUM}))


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"\x00",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"{}",
        b'{"type":[]}',
        b'{"type":"Nonsense"}',
        b'{"type":"Ask","more":1}',
        b'{"type":"Request","id":"1","operation":"x"}',
        b'{"type":"Request","id":true,"operation":"x"}',
        b'{"type":"Request","id":1.0,"operation":"x"}',
        b'{"type":"Request","id":1,"operation":null}',
        b'{"type":"Request","id":1,"operation":"x","arguments":[]}',
        b'{"type":"Request","operation":"x"}',
        b'{"type":"Open","device":"/tapes"}',
        b'{"type":"Open","device":{"kind":"virtual"}}',
        b'{"type":"Open","device":{"kind":1,"name":"a","path":"b","buffer_bytes":1,"intent_path":"c"}}',
        b'{"type":"State","state":{"loaded":1}}',
        b'{"type":"Released","failed":[1]}',
        b'{"type":"Request","id":' + b"9" * 5000 + b',"operation":"x"}',
        b"[" * 100_000,
        b'{"type":' * 20_000,
    ],
    ids=lambda packet: repr(packet[:40]),
)
def test_what_is_no_message_is_refused(packet: bytes) -> None:
    with pytest.raises(ValueError, match="not a message"):
        messages.decode(packet)


@given(st.binary(max_size=300))
def test_random_bytes_are_refused_or_a_message(packet: bytes) -> None:
    try:
        messages.decode(packet)
    except ValueError:
        pass


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.sampled_from(sorted(messages._TYPES)),
    st.dictionaries(
        st.sampled_from(["id", "operation", "arguments", "device", "state", "size", "version", "failed"]),
        json_values,
    ),
)
def test_a_message_with_random_fields_is_refused_or_well_formed(kind: str, values: dict[str, Any]) -> None:
    packet = messages.json_bytes({"type": kind, **values})
    try:
        message = messages.decode(packet)
    except ValueError:
        return
    assert messages.encode(messages.decode(messages.encode(message))) == messages.encode(message)
