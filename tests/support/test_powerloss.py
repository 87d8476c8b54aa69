# SPDX-License-Identifier: LGPL-2.1-or-later
"""The file system that loses power: what it keeps and what it loses."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from support.powerloss import PAGE, Content, PowerCut, Recorder, images
from tapeds.filesystem import replace_file, sync_directory


def left(recorder: Recorder, root: Path) -> set[tuple[tuple[str, bytes], ...]]:
    """Every directory that a loss of power at the very end may leave: names and contents."""
    end = len(recorder.log)
    return {
        tuple(sorted((os.path.relpath(path, root), content.bytes()) for path, content in image.files.items()))
        for image in images(recorder.log, recorder.initial, since=end)
    }


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    (tmp_path / "old").write_bytes(b"old")
    return Recorder(tmp_path)


def written(recorder: Recorder, path: Path, data: bytes, *, sync: bool) -> None:
    fd = recorder.open(str(path), os.O_WRONLY | os.O_CREAT, 0o644)
    recorder.write(fd, data)
    if sync:
        recorder.fdatasync(fd)
    recorder.close(fd)


def test_what_was_there_before_is_durable(recorder: Recorder, tmp_path: Path) -> None:
    assert left(recorder, tmp_path) == {(("old", b"old"),)}


def test_a_new_file_may_be_there_or_not_whole_or_not(recorder: Recorder, tmp_path: Path) -> None:
    written(recorder, tmp_path / "new", b"1234", sync=False)
    old = ("old", b"old")
    assert left(recorder, tmp_path) == {
        (old,),
        (("new", b"1234"), old),
        (("new", b""), old),
        (("new", b"12"), old),
    }


def test_a_synchronised_file_may_still_lack_its_name(recorder: Recorder, tmp_path: Path) -> None:
    written(recorder, tmp_path / "new", b"1234", sync=True)
    assert left(recorder, tmp_path) == {(("old", b"old"),), (("new", b"1234"), ("old", b"old"))}
    sync_directory(recorder, str(tmp_path))
    assert left(recorder, tmp_path) == {(("new", b"1234"), ("old", b"old"))}


def test_names_are_removed_and_changed_by_the_directory_s_synchronisation(
    recorder: Recorder, tmp_path: Path
) -> None:
    recorder.replace(str(tmp_path / "old"), str(tmp_path / "new"))
    assert left(recorder, tmp_path) == {(("old", b"old"),), (("new", b"old"),)}
    recorder.unlink(str(tmp_path / "new"))
    assert (("old", b"old"),) in left(recorder, tmp_path)
    sync_directory(recorder, str(tmp_path))
    assert left(recorder, tmp_path) == {()}


def test_of_two_writes_either_may_be_lost_alone(recorder: Recorder, tmp_path: Path) -> None:
    fd = recorder.open(str(tmp_path / "old"), os.O_RDWR)
    recorder.pwritev(fd, (b"A",), 0)
    recorder.pwritev(fd, (b"B", b"C"), 3)
    recorder.close(fd)
    assert left(recorder, tmp_path) == {
        (("old", data),) for data in (b"old", b"AldBC", b"oldBC", b"Ald", b"AldB")
    }


def test_truncating_may_be_lost_alone(recorder: Recorder, tmp_path: Path) -> None:
    fd = recorder.open(str(tmp_path / "old"), os.O_RDWR)
    recorder.ftruncate(fd, 1)
    recorder.pwritev(fd, (b"x",), 1)
    recorder.close(fd)
    assert left(recorder, tmp_path) == {(("old", data),) for data in (b"old", b"ox", b"oxd", b"o")}


@pytest.mark.parametrize(
    ("sync", "expected"), [(True, {b"old", b"new!"}), (False, {b"old", b"new!", b"", b"ne"})]
)
def test_a_file_replaced_without_synchronising_may_be_torn(
    recorder: Recorder, tmp_path: Path, sync: bool, expected: set[bytes]
) -> None:
    replace_file(
        recorder,
        str(tmp_path / "old"),
        b"new!",
        temporary=str(tmp_path / "tmp"),
        durable=sync,
        name_durable=False,
    )
    assert {dict(state)["old"] for state in left(recorder, tmp_path)} == expected


def test_every_moment_is_looked_at_and_no_state_twice(recorder: Recorder, tmp_path: Path) -> None:
    written(recorder, tmp_path / "new", b"1234", sync=True)
    states = list(images(recorder.log, recorder.initial))
    assert len(states) == len({state.key() for state in states})
    assert {state.position for state in states} <= set(range(len(recorder.log) + 1))


def test_a_state_is_given_again_when_more_is_expected(recorder: Recorder, tmp_path: Path) -> None:
    written(recorder, tmp_path / "new", b"1234", sync=True)
    end = len(recorder.log)
    once = list(images(recorder.log, recorder.initial))
    again = list(images(recorder.log, recorder.initial, more_expected={end}))
    assert len(again) > len(once)
    assert again[-1].position == end


def test_an_image_becomes_real_files(recorder: Recorder, tmp_path: Path) -> None:
    data = b"a" * PAGE + bytes(3 * PAGE) + b"z"
    written(recorder, tmp_path / "new", data, sync=True)
    sync_directory(recorder, str(tmp_path))
    (last,) = images(recorder.log, recorder.initial, since=len(recorder.log))
    target = tmp_path / "target"
    target.mkdir()
    last.write_to(target, tmp_path)
    assert {path.name: path.read_bytes() for path in target.iterdir()} == {"old": b"old", "new": data}


def test_a_call_may_fail_or_be_the_last(tmp_path: Path) -> None:
    def trouble(number: int, name: str) -> None:
        if name == "unlink":
            raise OSError(5, "Input/output error")
        if number == 2:
            raise PowerCut

    recorder = Recorder(tmp_path, before=trouble)
    with pytest.raises(OSError, match="Input/output error"):
        recorder.unlink(str(tmp_path / "x"))
    fd = recorder.open(str(tmp_path / "x"), os.O_WRONLY | os.O_CREAT, 0o644)
    with pytest.raises(PowerCut):
        recorder.write(fd, b"x")
    recorder.release()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)
    assert (tmp_path / "x").read_bytes() == b""


def test_a_synchronisation_can_be_made_void(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, ignore_sync=lambda site: True)
    written(recorder, tmp_path / "new", b"12", sync=True)
    assert (("new", b""),) in left(recorder, tmp_path)
    (site,) = recorder.sync_sites
    assert site.startswith("test_powerloss.py:")


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.write(PAGE + 3, b"xyz", []),
        lambda content: content.write(2 * PAGE + 7, b"y" * PAGE, []),
        lambda content: content.write(5, b"", []),
        lambda content: content.truncate(PAGE + 1),
        lambda content: content.truncate(5 * PAGE + 5),
    ],
)
def test_content_in_pages_is_content(tmp_path: Path, change: Callable[[Content], None]) -> None:
    """What `Content` makes of a change is what a real file makes of it."""
    start = bytes(range(256)) * 40
    recorder = Recorder(tmp_path)
    written(recorder, tmp_path / "file", start, sync=True)
    sync_directory(recorder, str(tmp_path))

    class Real:
        def write(self, offset: int, data: bytes, pages: list[bytes | None]) -> None:
            recorder.pwritev(fd, (data,), offset)

        def truncate(self, length: int) -> None:
            recorder.ftruncate(fd, length)

    fd = recorder.open(str(tmp_path / "file"), os.O_RDWR)
    change(Real())
    recorder.fsync(fd)
    recorder.close(fd)
    assert left(recorder, tmp_path) == {(("file", (tmp_path / "file").read_bytes()),)}
