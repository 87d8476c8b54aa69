# SPDX-License-Identifier: LGPL-2.1-or-later
"""A crash at every single call of the file system, and a loss of power after it."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from support.powerloss import PowerCut, Recorder, images
from support.workers import Bench, Peer, Refusal
from tapeds.filesystem import FileSystem
from tapeds.media.header import PAYLOAD

pytestmark = pytest.mark.system

DATA = random.Random(12).randbytes(2 * PAYLOAD + 1000)          # three blocks
SIZES = {"before": 6, "a": len(DATA), "b": len(DATA), "c": 5, "new": len(DATA)}



class Told:
    """What the worker has told so far: ``names`` are the files that are on tape."""

    def __init__(self, now: Callable[[], int] = lambda: 0) -> None:
        self.names = ["before"]
        self.durable = [(0, ["before"])]
        """At which moments, by ``now``, which files were durable."""
        self._now = now

    def written(self, name: str, *, durable: bool = True) -> None:
        self.names.append(name)
        if durable:
            self.synchronised()

    def synchronised(self) -> None:
        self.durable.append((self._now(), list(self.names)))

    def may_go(self, name: str) -> None:
        """From here on ``name`` and what is behind it need not be there any more."""
        del self.names[self.names.index(name) :]
        self.synchronised()


Script = Callable[[Peer, Told], None]


def a_series_of_writes(peer: Peer, told: Told) -> None:
    """Write files, durable and not."""
    peer.write(DATA, name="a")
    told.written("a")
    peer.write(DATA, name="b", durable=False)
    told.written("b", durable=False)
    peer.write(b"short", name="c", durable=False)
    told.written("c", durable=False)
    peer.ask("sync")
    told.synchronised()
    with pytest.raises(Refusal, match="Incomplete"):
        peer.write(DATA, name="short of one byte", size=len(DATA) + 1)


def a_write_over_others(peer: Peer, told: Told) -> None:
    """Write in the place of a file that is there."""
    peer.write(DATA, name="a")
    told.written("a")
    told.may_go("a")
    peer.write(DATA, name="new", file=3)
    told.written("new")


def labels(peer: Peer, told: Told) -> None:
    """Label the tape anew, and write."""
    told.may_go("before")
    peer.ask("label-tape", label_text="TEST01L8", overwrite=True)
    peer.ask("write-media-set-label", pool="other", seq_nr=0)
    peer.write(DATA, name="a")
    told.written("a")


class Scene:
    """A tape with both labels and one file, and copies of it to try things on."""

    def __init__(self, tmp_path: Path) -> None:
        self._root = tmp_path
        (tmp_path / "template").mkdir()
        self._template = Bench(tmp_path / "template")
        peer = self._template.opened_in_thread()
        peer.ask("load-media", label_text="TEST01L8", create=True)
        peer.ask("label-tape", label_text="TEST01L8")
        peer.ask("write-media-set-label", pool="default", seq_nr=0)
        peer.write(b"before", name="before")
        self._template.close()

    def bench(self) -> Bench:
        """A fresh copy; the one before is removed."""
        bench = Bench(self.folder("copy"))
        shutil.copytree(self._template.tapes, bench.tapes, dirs_exist_ok=True)
        return bench

    def folder(self, name: str) -> Path:
        """The empty folder ``name``."""
        path = self._root / name
        if path.exists():
            shutil.rmtree(path)
        path.mkdir()
        return path


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def run(bench: Bench, script: Script, fs: FileSystem, told: Told | None = None) -> list[str]:
    """Run ``script`` as far as it goes; the names of the files that must be on tape."""
    told = told or Told()
    peer = bench.thread(fs)
    try:
        peer.greet()
        peer.open(bench.spec())
        script(peer, told)
        peer.release()
    except (AssertionError, BrokenPipeError, ConnectionResetError):
        pass  # the worker has been cut off
    peer.socket.close()
    bench.threads[-1].join()
    return told.names


def check(bench: Bench, told: list[str]) -> str:
    """Start again and look: nothing is missing, nothing is called complete that is not, all is usable."""
    peer = bench.thread(Recorder())
    peer.greet()
    recovered: str = peer.open(bench.spec()).get("recovered", "")
    assert "not closed" not in recovered
    assert not bench.intent.exists()
    assert "first-error" not in peer.ask("verify-tape")
    files = peer.ask("list-files", first=2)["files"]
    complete = [entry["name"] for entry in files if entry["complete"]]
    assert [name for name in complete if name in told] == told
    for entry in files:
        assert not entry["complete"] or entry["bytes"] == SIZES[entry["name"]]
    if peer.ask("list-files")["files"][1:]:
        expected = len(files) + 2
        assert peer.write(b"after", name="after")["file"] == expected
    assert peer.release() == []
    peer.socket.close()
    bench.threads[-1].join()
    return recovered


def cut_at(call: int) -> Callable[[int, str], None]:
    def before(number: int, name: str) -> None:
        if number == call:
            raise PowerCut

    return before


SCRIPTS = pytest.mark.parametrize(
    "script", [a_series_of_writes, a_write_over_others, labels], ids=lambda script: script.__name__
)


@SCRIPTS
def test_a_kill_at_any_call_loses_nothing_that_was_answered(scene: Scene, script: Script) -> None:
    recorder = Recorder()
    bench = scene.bench()
    told = run(bench, script, recorder)
    assert check(bench, told) == ""
    sentences = set()
    for call in range(recorder.calls):
        bench = scene.bench()
        cut = Recorder(before=cut_at(call))
        told = run(bench, script, cut)
        assert bench.statuses == [-1], call
        cut.release()
        sentences.add(check(bench, told).rpartition("; ")[2])
    assert {text[:24] for text in sentences} >= {"", "nothing of it was on tap"}
    if script is not labels:
        assert any(text.endswith("blocks of it are kept") for text in sentences)
    assert recorder.calls > 50


def test_a_kill_at_any_call_of_a_recovery_is_mended_by_the_next(scene: Scene) -> None:
    def crash() -> Bench:
        bench = scene.bench()
        blocks = 0

        def third_block(number: int, name: str) -> None:
            nonlocal blocks
            blocks += name == "pwritev"
            if blocks == 3:
                raise PowerCut

        cut = Recorder(before=third_block)
        run(bench, a_series_of_writes, cut)
        cut.release()
        return bench

    def open_and_release(peer: Peer, told: Told) -> None:
        """Nothing but a recovery."""

    bench = crash()
    recorder = Recorder()
    run(bench, open_and_release, recorder)
    assert not bench.intent.exists()
    assert recorder.calls > 20
    for call in range(recorder.calls):
        bench = crash()
        cut = Recorder(before=cut_at(call))
        run(bench, open_and_release, cut)
        cut.release()
        check(bench, ["before"])


def check_after_loss_of_power(bench: Bench, must: list[str]) -> None:
    """Start again and look: what ``must`` be is complete, and whatever calls itself so is whole."""
    peer = bench.thread(Recorder())
    peer.greet()
    recovered = peer.open(bench.spec()).get("recovered", "")
    assert not bench.intent.exists()
    fault = peer.ask("verify-tape").get("first-error")
    if fault is not None:
        assert fault["text"].endswith("without end marker")
        assert f"stay files before it: {fault['file']}" in recovered
    files = peer.ask("list-files", first=2)["files"]
    complete = [entry["name"] for entry in files if entry["complete"]]
    assert [name for name in complete if name in must] == must
    assert set(complete) <= set(SIZES)
    for entry in files:
        assert not entry["complete"] or entry["bytes"] == SIZES[entry["name"]]
    assert peer.release() == []
    peer.socket.close()
    bench.threads[-1].join()


@SCRIPTS
def test_a_loss_of_power_at_any_moment_loses_nothing_durable(scene: Scene, script: Script) -> None:
    bench = scene.bench()
    recorder = Recorder(bench.tapes, bench.intent.parent)
    told = Told(now=lambda: len(recorder.log))
    run(bench, script, recorder, told)
    count = 0
    for image in images(recorder.log, recorder.initial, more_expected=[moment for moment, _ in told.durable]):
        must = [names for moment, names in told.durable if moment <= image.position][-1]
        lost = scene.folder("lost")
        fresh = Bench(lost)
        image.write_to(lost, bench.tapes.parent)
        try:
            check_after_loss_of_power(fresh, must)
        except AssertionError as exc:
            raise AssertionError(f"after {image.position} changes, lost: {image.lost}") from exc
        count += 1
    assert count > 100
