# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whatever a device sends, a decoder raises Malformed or nothing.

Replies are noise, or real ones that were cut off and had bytes changed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.mutate import below, load_everything
from tapeds.layout import Layout, Malformed
from tapeds.scsi import mam
from tapeds.scsi.log_pages.page import LogPage
from tapeds.scsi.log_pages.supported import supported_pages, supported_subpages
from tapeds.scsi.log_pages.tape_alert import TapeAlertResponse, flags, tape_alert_page
from tapeds.scsi.sense import Sense
from tapeds.scsi.spc.attribute import read_list, read_values
from tapeds.scsi.spc.mode import ModePage, ModeParameters
from tapeds.scsi.spc.opcodes import supported_commands
from tapeds.scsi.spc.vpd import DeviceIdentification
from tapeds.scsi.ssc.density import DensitySupport

load_everything()
GOLDEN = json.loads((Path(__file__).parents[1] / "golden/golden.json").read_text())
REAL = [
    *(bytes.fromhex(text) for text in GOLDEN["responses"].values()),
    *(bytes.fromhex(text) for text in GOLDEN["cdb"].values()),
    bytes.fromhex(GOLDEN["parameter_data"]["mode_select10_default"]),
    bytes.fromhex("00 1e 78 10 00 00 00 08 5e 00 00 00 00 20 00 00 8f 0e c0 80" + 12 * " 00"),
    bytes.fromhex("70 00 05 00 00 00 00 0a 00 00 00 00 24 00 00 cd 01 02"),
    bytes.fromhex("72 00 00 01 00 00 00 10 00 0a 80 00 00 00 00 00 00 04 00 00 04 02 00 80"),
    bytes.fromhex("01 83 00 0c 01 03 00 08 50 05 07 63 12 00 00 01"),
    bytes.fromhex("00 00 00 14 08 00 00 00 00 02 00 06 00 0a 00 00 00 00 00 3c 00 00 08 e8"),
    bytes.fromhex("00 00 00 0d 00 03 80 00 08 00 00 00 00 00 00 00 2a"),
]


def damaged(reply: bytes, length: int, changes: list[tuple[int, int]]) -> bytes:
    data = bytearray(reply)
    for place, value in changes:
        data[place % len(data)] = value
    return bytes(data[:length])


REPLIES = st.one_of(
    st.binary(max_size=300),
    st.builds(
        damaged,
        st.sampled_from(REAL),
        st.integers(0, 120),
        st.lists(st.tuples(st.integers(0, 119), st.integers(0, 255)), max_size=4),
    ),
)


def layouts() -> list[type[Layout]]:
    found = [kind for kind in below(Layout) if issubclass(kind, Layout)]
    return [kind for kind in found if kind.byte_size and kind.__module__.startswith("tapeds.scsi.")]


def pages() -> list[type[LogPage]]:
    found = [kind for kind in below(LogPage) if issubclass(kind, LogPage)]
    return [kind for kind in found if kind.__module__.startswith("tapeds.scsi.")]


def mode6(data: bytes) -> object:
    return every_page(ModeParameters.from_bytes6(data))


def mode10(data: bytes) -> object:
    return every_page(ModeParameters.from_bytes10(data))


def every_page(mode: ModeParameters) -> object:
    mode.to_bytes6(), mode.to_bytes10()
    return [mode.page(kind).to_bytes() for kind in below(ModePage) if issubclass(kind, ModePage)]


def attributes(data: bytes) -> object:
    return [(mam.show(one), mam.number(one)) for one in read_values(data).values()]


DECODERS: dict[str, Callable[[bytes], object]] = {
    **{kind.__name__: kind.from_bytes for kind in (*layouts(), *pages())},
    "each designator": lambda data: DeviceIdentification.from_bytes(b"\0\x83" + data[2:]).designators,
    "each density": lambda data: DensitySupport.from_bytes(data).densities,
    "alerts": lambda data: TapeAlertResponse.from_bytes(b"\x12\0" + data[2:]).alerts,
    "alert flags": flags,
    "TapeAlert page": lambda data: tape_alert_page(b"\x2e\0" + data[2:]),
    "supported pages": lambda data: supported_pages(b"\0\0" + data[2:]),
    "supported subpages": lambda data: supported_subpages(b"\x40\xff" + data[2:]),
    "sense": lambda data: str(Sense.from_bytes(data)),
    "MODE SENSE(6)": mode6,
    "MODE SENSE(10)": mode10,
    "attributes": attributes,
    "attribute list": read_list,
    "commands": supported_commands,
}


def survives(data: bytes) -> None:
    told = []
    for name, decode in DECODERS.items():
        try:
            decode(data)
        except Malformed as exc:
            told.append(str(exc))
        except Exception as exc:
            exc.add_note(f"decoder: {name}")
            raise
    assert all(told), "every error says what is wrong"


@settings(max_examples=150, deadline=None)
@given(REPLIES)
def test_every_decoder_survives_any_reply(data: bytes) -> None:
    survives(data)


@pytest.mark.system
@pytest.mark.timeout(1800)
@settings(max_examples=10_000, deadline=None)
@given(REPLIES)
def test_every_decoder_survives_ten_thousand_replies(data: bytes) -> None:
    survives(data)


def test_a_real_reply_may_end_anywhere() -> None:
    for reply in REAL:
        for length in range(len(reply) + 1):
            survives(reply[:length])
