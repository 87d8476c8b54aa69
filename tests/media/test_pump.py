# SPDX-License-Identifier: LGPL-2.1-or-later
"""The ring: bytes go in and come out in order, and never two at one place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeds.media.header import BLOCK, PAYLOAD
from tapeds.media.pump import Inflow, Outflow, Ring

SIZES = st.one_of(
    st.integers(1, 3), st.sampled_from([PAYLOAD - 1, PAYLOAD, PAYLOAD + 1]), st.integers(1, 5 * PAYLOAD)
)


def fill(inflow, data):
    """Put as much of ``data`` into ``inflow`` as it takes; return how much."""
    count = 0
    for area in inflow.room():
        part = data[count : count + len(area)]
        area[: len(part)] = part
        count += len(part)
    inflow.took(count)
    return count


def test_a_ring_is_page_aligned_blocks_of_the_size_asked_for():
    ring = Ring(1 << 20)
    assert len(ring.blocks) == 4
    assert {len(block) for block in ring.blocks} == {BLOCK}
    assert {len(payload) for payload in ring.payloads} == {PAYLOAD}


def test_a_ring_is_never_too_small_to_work():
    assert len(Ring(0).blocks) == 4


@given(st.integers(0, PAYLOAD), st.lists(st.tuples(st.booleans(), SIZES), max_size=30))
def test_bytes_come_out_of_the_inflow_in_the_order_they_went_in(make_ring, noise, head, steps):
    inflow = Inflow(make_ring(6), b"h" * head)
    source = noise(1 << 23)
    expected = bytearray(b"h" * head)
    taken = 0
    for writes, size in steps:
        if writes:
            if inflow.full:
                block, length = inflow.first()
                assert length == PAYLOAD
                assert block[16:] == expected[:PAYLOAD]
                del expected[:PAYLOAD]
                inflow.drop()
        else:
            count = fill(inflow, source[taken : taken + size])
            expected += source[taken : taken + count]
            taken += count
        assert inflow.at_hand == len(expected)
        assert inflow.full == len(expected) // PAYLOAD
    while inflow.full:
        assert inflow.first()[0][16:] == expected[:PAYLOAD]
        del expected[:PAYLOAD]
        inflow.drop()
    block, length = inflow.first()
    assert block[16 : 16 + length] == expected


@given(SIZES, st.integers(0, 5 * PAYLOAD))
def test_what_is_cut_off_the_inflow_is_gone_from_its_end(make_ring, noise, size, surplus):
    inflow = Inflow(make_ring(8))
    source = noise(size)
    taken = 0
    while taken < size:
        taken += fill(inflow, source[taken:])
    kept = max(0, size - surplus)
    inflow.cut(size - kept)
    assert inflow.at_hand == kept
    more = fill(inflow, b"after")
    assert more == 5
    rest = bytearray()
    while inflow.full:
        rest += inflow.first()[0][16:]
        inflow.drop()
    block, length = inflow.first()
    assert rest + block[16 : 16 + length] == source[:kept] + b"after"
    while inflow.room():
        fill(inflow, bytes(5 * PAYLOAD))
    assert inflow.full == inflow.capacity      # no block was lost


@pytest.mark.parametrize("limit", [-1, 0, 1, PAYLOAD, PAYLOAD + 1, 100 * PAYLOAD])
def test_the_room_of_an_inflow_keeps_to_a_limit(make_ring, limit):
    inflow = Inflow(make_ring(16), b"head")
    assert sum(map(len, inflow.room(limit))) == max(0, min(limit, 5 * PAYLOAD - 4))


def test_a_full_ring_has_no_room(make_ring):
    inflow = Inflow(make_ring(4))
    assert inflow.capacity == 3
    total = 0
    while inflow.room():
        total += fill(inflow, bytes(5 * PAYLOAD))
    assert total == inflow.at_hand == 3 * PAYLOAD
    inflow.drop()
    assert sum(map(len, inflow.room())) == PAYLOAD


def test_a_block_that_was_written_is_filled_again_first():
    ring = Ring(16 * BLOCK)
    inflow = Inflow(ring)
    used = set()
    for _ in range(100):
        fill(inflow, bytes(PAYLOAD))
        used.add(ring.blocks.index(inflow.first()[0]))
        inflow.drop()
    assert len(used) == 1


@given(st.lists(st.tuples(st.booleans(), SIZES), max_size=40))
def test_bytes_come_out_of_the_outflow_in_the_order_they_went_in(make_ring, noise, steps):
    outflow = Outflow(make_ring(4))
    source = noise(PAYLOAD)
    expected = bytearray()
    for reads, size in steps:
        if reads:
            if outflow.free:
                start, end = size % PAYLOAD, PAYLOAD - size % 7
                outflow.block()[16:] = source
                outflow.add(start, end)
                expected += source[start : max(start, end)]
        else:
            areas = outflow.first()
            data = b"".join(areas)
            assert expected.startswith(data)
            count = min(size, len(data))
            outflow.sent(count)
            del expected[:count]
        assert (outflow.pending > 0) is bool(expected)
    while outflow.pending:
        data = b"".join(outflow.first())
        assert expected.startswith(data)
        outflow.sent(len(data))
        del expected[: len(data)]
    assert not expected
    assert (outflow.free, outflow.pending) == (4, 0)
