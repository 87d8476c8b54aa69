# SPDX-License-Identifier: LGPL-2.1-or-later
"""The service dies in the middle of a write: its worker closes the file, and the next start tells."""

from __future__ import annotations

import os

from support.workers import Bench, Peer
from tapeds.media.header import PAYLOAD


def deserted(bench: Bench, peer: Peer) -> None:
    """Three blocks of file 2 are on tape when the socket ends; the worker has ended, too."""
    _, source = peer.write_slowly(bytes(3 * PAYLOAD), name="lost")
    peer.wait_for_blocks(bench.tape_file(2), 3)
    peer.socket.close()
    assert bench.exit_status() == 0
    os.close(source)


def test_the_next_start_tells_of_the_file_that_a_deserted_worker_has_closed(bench: Bench) -> None:
    deserted(bench, bench.labelled())
    peer = bench.process()
    peer.greet()
    assert peer.open(bench.spec()) == {
        "recovered": "the write of file 2 on TEST01L8 was interrupted; file 2, the last one, is closed"
    }
    assert not bench.intent.exists()
    assert [entry["complete"] for entry in peer.ask("list-files")["files"]] == [True, True, False]


def test_what_was_told_is_not_told_again(bench: Bench) -> None:
    deserted(bench, bench.labelled())
    for expected in (1, 0):
        peer = bench.process()
        peer.greet()
        assert len(peer.open(bench.spec())) == expected
        peer.release()
        peer.socket.close()
        bench.exit_status()
