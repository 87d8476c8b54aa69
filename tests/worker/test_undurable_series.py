# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files that a killed worker had not made durable: the next one does, before it forgets the intent."""

from __future__ import annotations

from pathlib import Path

from support.powerloss import Disk, PowerCut, Recorder
from support.workers import Bench, Peer
from tapeds.media.header import PAYLOAD

DATA = b"undurable" * (2 * PAYLOAD // 9)                     # two blocks


def what_a_loss_of_power_leaves(recorder: Recorder, path: Path) -> int:
    """How long the file ``path`` is when nothing survives that was not synchronised."""
    disk = Disk(recorder.initial)
    for change in recorder.log:
        disk.advance(change)
    return next(disk.images()).files[str(path)].size


def killed_after_an_undurable_file(bench: Bench) -> Recorder:
    """File 2 is answered with durable=false, then the worker is killed; the record goes on."""
    killing = False

    def before(call: int, name: str) -> None:
        if killing:
            raise PowerCut

    recorder = Recorder(bench.tapes, bench.intent.parent, before=before)
    peer = opened(bench, recorder)
    peer.ask("load-media", label_text="TEST01L8", create=True)
    peer.write(DATA, durable=False, unlabelled=True)
    killing = True
    peer.begin("rewind")
    assert peer.receive() is None
    killing = False
    recorder.release()
    return recorder


def opened(bench: Bench, recorder: Recorder) -> Peer:
    peer = bench.thread(recorder)
    peer.greet()
    peer.open(bench.spec())
    return peer


def test_what_a_killed_worker_left_in_the_cache_is_durable_once_its_intent_is_gone(bench: Bench) -> None:
    recorder = killed_after_an_undurable_file(bench)
    path = bench.tape_file(0)
    whole = path.stat().st_size
    assert what_a_loss_of_power_leaves(recorder, path) < whole
    opened(bench, recorder)
    assert not bench.intent.exists()
    assert what_a_loss_of_power_leaves(recorder, path) == whole
