# SPDX-License-Identifier: LGPL-2.1-or-later
"""Small files through every crash, and the state text that other programs read."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tapeds import errors
from tapeds.filesystem import REAL
from tapeds.state import files, locks

Disk = Callable[..., Any]


@pytest.fixture
def strict_umask() -> Any:
    """The umask of the service's unit."""
    before = os.umask(0o027)
    yield
    os.umask(before)


# --- writing and removing ------------------------------------------------------------------------


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = str(tmp_path / "a")
    files.write_text(REAL, path, "réwind\n")
    assert files.read_text(REAL, path) == "réwind\n"


def test_a_long_text_is_read_whole(tmp_path: Path) -> None:
    text = "0123456789" * 30_000
    files.write_text(REAL, str(tmp_path / "a"), text)
    assert files.read_text(REAL, str(tmp_path / "a")) == text


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    files.make_directory(REAL, str(tmp_path / "d"))
    files.write_text(REAL, str(tmp_path / "d" / "a"), "x")
    files.read_text(REAL, str(tmp_path / "d" / "a"))
    files.remove(REAL, str(tmp_path / "d" / "a"))
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_file_that_is_not_there_reads_as_none(tmp_path: Path) -> None:
    assert files.read_text(REAL, str(tmp_path / "a")) is None
    assert list(tmp_path.iterdir()) == []


def test_the_mode_holds_whatever_the_umask(tmp_path: Path, strict_umask: None) -> None:
    files.write_text(REAL, str(tmp_path / "a"), "x")
    files.write_text(REAL, str(tmp_path / "b"), "x", mode=0o600)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o644
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o600


def test_nothing_else_is_left_in_the_directory(tmp_path: Path) -> None:
    files.write_text(REAL, str(tmp_path / "a"), "1")
    files.write_text(REAL, str(tmp_path / "a"), "2")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_a_written_text_survives_a_loss_of_power(disk: Disk) -> None:
    for old in ({}, {"a": b"old"}):
        there = disk(old)
        files.write_text(there, f"{there.directory}/a", "new")
        assert [outcome.get("a") for outcome in there.outcomes()] == [b"new", b"new"]


@pytest.mark.parametrize("skip", [0, 1])
def test_no_fsync_of_writing_may_go(disk: Disk, skip: int) -> None:
    there = disk({"a": b"old"}, skip=skip)
    files.write_text(there, f"{there.directory}/a", "new")
    assert there.fsyncs == 2
    assert [outcome.get("a") for outcome in there.outcomes()] != [b"new", b"new"]


@pytest.mark.parametrize("old", [None, b"old"])
def test_power_lost_at_any_call_of_writing_leaves_the_old_text_or_the_new(
    disk: Disk, cut: type[BaseException], old: bytes | None
) -> None:
    before = {} if old is None else {"a": old}
    whole = disk(before)
    files.write_text(whole, f"{whole.directory}/a", "new")
    for point in range(len(whole.calls)):
        there = disk(before, cut=point)
        with pytest.raises(cut):
            files.write_text(there, f"{there.directory}/a", "new")
        for outcome in there.outcomes():
            assert outcome.get("a") in (old, b"new"), f"lost at call {point}, {whole.calls[point]}"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_failure_at_any_call_of_writing_is_io_and_leaves_the_old_text_or_the_new(
    disk: Disk, code: int
) -> None:
    whole = disk({"a": b"old"})
    files.write_text(whole, f"{whole.directory}/a", "new")
    for point, name in enumerate(whole.calls):
        there = disk({"a": b"old"})
        with pytest.raises(errors.Io, match=f"/a: {os.strerror(code)}$"):
            files.write_text(Failing(there, point, code), f"{there.directory}/a", "new")
        assert Path(there.directory, "a").read_text() in ("old", "new"), name
        leftovers = set(os.listdir(there.directory)) - {"a"}
        assert not leftovers or name == "unlink", f"{leftovers} left by a failure of {name}"


class Failing:
    """Fails at one call and does it in every other."""

    def __init__(self, fs: Any, point: int, code: int) -> None:
        self._fs, self._point, self._code, self._count = fs, point, code, 0

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> Any:
            self._count += 1
            if self._count - 1 == self._point:
                if name == "close":
                    self._fs.close(*arguments)  # a descriptor is gone also when close() fails
                raise OSError(self._code, os.strerror(self._code))
            return getattr(self._fs, name)(*arguments)

        return call


def test_a_file_that_cannot_be_read_is_io(tmp_path: Path) -> None:
    with pytest.raises(errors.Io, match="Is a directory"):
        files.read_text(REAL, str(tmp_path))
    (tmp_path / "a").write_text("")
    with pytest.raises(errors.Io, match="Not a directory"):
        files.read_text(REAL, str(tmp_path / "a" / "b"))


def test_a_removed_file_stays_removed_through_a_loss_of_power(disk: Disk) -> None:
    there = disk({"a": b"old", "b": b"other"})
    files.remove(there, f"{there.directory}/a")
    assert [set(outcome) for outcome in there.outcomes()] == [{"b"}, {"b"}]


def test_the_fsync_of_removing_may_not_go(disk: Disk) -> None:
    there = disk({"a": b"old"}, skip=0)
    files.remove(there, f"{there.directory}/a")
    assert there.fsyncs == 1
    assert "a" in there.lost()


def test_removing_what_is_not_there_is_fine(tmp_path: Path) -> None:
    files.remove(REAL, str(tmp_path / "a"))
    files.remove(REAL, str(tmp_path / "b" / "a"))


def test_removing_that_fails_is_io(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(errors.Io, match=f"{tmp_path}/a: "):
        files.remove(REAL, str(tmp_path / "a"))


# --- directories ---------------------------------------------------------------------------------


def test_a_directory_has_its_mode_whatever_the_umask(tmp_path: Path, strict_umask: None) -> None:
    files.make_directory(REAL, str(tmp_path / "a"))
    files.make_directory(REAL, f"{tmp_path}/b/", 0o770)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o770


def test_a_directory_that_exists_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a").chmod(0o700)
    (tmp_path / "a" / "x").write_text("")
    files.make_directory(REAL, str(tmp_path / "a"))
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700
    assert (tmp_path / "a" / "x").exists()


def test_a_directory_survives_a_loss_of_power(disk: Disk) -> None:
    there = disk()
    files.make_directory(there, f"{there.directory}/a")
    assert [set(outcome) for outcome in there.outcomes()] == [{"a"}, {"a"}]


def test_the_fsync_of_making_a_directory_may_not_go(disk: Disk) -> None:
    there = disk(skip=0)
    files.make_directory(there, f"{there.directory}/a")
    assert there.fsyncs == 1
    assert there.lost() == {}


def test_a_directory_without_a_parent_is_io(tmp_path: Path) -> None:
    with pytest.raises(errors.Io, match="No such file or directory"):
        files.make_directory(REAL, str(tmp_path / "a" / "b"))


# --- state text ----------------------------------------------------------------------------------


@pytest.fixture
def text(tmp_path: Path) -> files.StateText:
    (tmp_path / "drives").mkdir()
    return files.StateText(REAL, str(tmp_path / "drives"))


def test_the_text_is_told_while_the_lock_is_held_and_not_after(text: files.StateText, tmp_path: Path) -> None:
    lock_path = str(tmp_path / "lock")
    lock = locks.try_lock(lock_path)
    assert lock is not None
    text.set("vt0", "rewinding")
    assert text.get("vt0", lock_path) == "rewinding"
    lock.release()
    assert text.get("vt0", lock_path) == ""
    assert (tmp_path / "drives" / "vt0").read_text() == "rewinding"


def test_an_idle_drive_has_an_empty_file(text: files.StateText, tmp_path: Path) -> None:
    text.set("vt0", "rewinding")
    text.set("vt0", "")
    assert (tmp_path / "drives" / "vt0").read_bytes() == b""


def test_everybody_may_read_the_text(text: files.StateText, tmp_path: Path, strict_umask: None) -> None:
    text.set("vt0", "rewinding")
    assert stat.S_IMODE((tmp_path / "drives" / "vt0").stat().st_mode) == 0o644


def test_a_text_of_another_program_is_told_without_its_line_end(
    text: files.StateText, tmp_path: Path, elsewhere: Callable[..., Any]
) -> None:
    (tmp_path / "drives" / "vt0").write_text("reading label\n")
    release = elsewhere(tmp_path / "lock")
    assert text.get("vt0", str(tmp_path / "lock")) == "reading label"
    release()
    assert text.get("vt0", str(tmp_path / "lock")) == ""


def test_asking_about_an_unknown_drive_makes_nothing(text: files.StateText, tmp_path: Path) -> None:
    assert text.get("nobody", str(tmp_path / "lock")) == ""
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["drives"]


def test_a_drive_that_is_locked_and_says_nothing_has_no_text(text: files.StateText, tmp_path: Path) -> None:
    with locks.try_lock(str(tmp_path / "lock")) as _:
        assert text.get("vt0", str(tmp_path / "lock")) == ""
    assert not (tmp_path / "drives" / "vt0").exists()
