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

from support.powerloss import Disk, Image, Recorder, SyncDirectory, images
from tapeds import errors
from tapeds.filesystem import REAL
from tapeds.state import files, locks


def work(fs: Any, directory: Path, name: str) -> None:
    """One of the things that are done to ``a`` in ``directory``."""
    path = str(directory / "a")
    if name == "write":
        files.write_text(fs, path, "new")
    else:
        files.remove(fs, path)


def record(directory: Path, old: str | None, name: str, **how: Any) -> Recorder:
    """The record of doing ``name``, from a durable beginning."""
    for entry in directory.iterdir():
        entry.unlink()
    if old is not None:
        (directory / "a").write_text(old)
    recorder = Recorder(directory, **how)
    work(recorder, directory, name)
    return recorder


def found(image: Image, directory: Path) -> str | None:
    """What a loss of power has left of ``a``."""
    content = image.files.get(str(directory / "a"))
    return None if content is None else content.bytes().decode()


def at_last(recorder: Recorder, directory: Path) -> set[str | None]:
    """What a loss of power right after the work may leave of ``a``."""
    disk = Disk(recorder.initial)
    for change in recorder.log:
        disk.advance(change)
    return {found(image, directory) for image in disk.images()}


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


@pytest.mark.parametrize(("name", "result"), [("write", "new"), ("remove", None)])
def test_what_was_done_survives_a_loss_of_power(tmp_path: Path, name: str, result: str | None) -> None:
    assert at_last(record(tmp_path, "old", name), tmp_path) == {result}


def test_a_first_text_survives_a_loss_of_power(tmp_path: Path) -> None:
    assert at_last(record(tmp_path, None, "write"), tmp_path) == {"new"}


@pytest.mark.parametrize(("name", "count"), [("write", 2), ("remove", 1)])
def test_no_synchronisation_may_go(tmp_path: Path, name: str, count: int) -> None:
    whole = record(tmp_path, "old", name)
    assert len(whole.sync_sites) == count
    for site in whole.sync_sites:
        without = record(tmp_path, "old", name, ignore_sync=lambda other, site=site: other == site)
        assert at_last(without, tmp_path) > at_last(whole, tmp_path), f"{site} is not needed"


@pytest.mark.parametrize("old", [None, "old"])
@pytest.mark.parametrize(("name", "result"), [("write", "new"), ("remove", None)])
def test_power_lost_at_any_moment_leaves_the_old_or_the_new(
    tmp_path: Path, old: str | None, name: str, result: str | None
) -> None:
    recorder = record(tmp_path, old, name)
    left = {found(image, tmp_path) for image in images(recorder.log, recorder.initial)}
    assert left <= {old, result}


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize(("name", "result"), [("write", "new"), ("remove", None)])
def test_a_failure_of_any_call_is_io_and_leaves_the_old_or_the_new(
    tmp_path: Path, code: int, name: str, result: str | None
) -> None:
    path = tmp_path / "a"
    for point in range(record(tmp_path, "old", name).calls):

        def fail(number: int, call: str, point: int = point) -> None:
            if number == point:
                raise OSError(code, os.strerror(code))

        path.write_text("old")
        recorder = Recorder(tmp_path, before=fail)
        with pytest.raises(errors.Io, match=f"/a: {os.strerror(code)}$"):
            work(recorder, tmp_path, name)
        recorder.release()
        assert (path.read_text() if path.exists() else None) in ("old", result)
        assert {entry.name for entry in tmp_path.iterdir()} <= {"a"}, f"left by a failure of call {point}"


def test_a_file_that_cannot_be_read_is_io(tmp_path: Path) -> None:
    with pytest.raises(errors.Io, match="Is a directory"):
        files.read_text(REAL, str(tmp_path))
    (tmp_path / "a").write_text("")
    with pytest.raises(errors.Io, match="Not a directory"):
        files.read_text(REAL, str(tmp_path / "a" / "b"))


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


def test_the_name_of_a_new_directory_is_durable(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    files.make_directory(recorder, str(tmp_path / "a"))
    assert [change.path for change in recorder.log if isinstance(change, SyncDirectory)] == [str(tmp_path)]


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


def test_texts_that_were_left_behind_are_found(text: files.StateText, tmp_path: Path) -> None:
    for name, said in (("vt1", "busy"), ("vt0", "rewinding"), ("idle", "")):
        text.set(name, said)
    (tmp_path / "drives" / ".vt2.new").write_text("half of a te")
    assert text.left_over() == ["vt0", "vt1"]
    with pytest.raises(errors.Io, match="elsewhere: No such file or directory"):
        files.StateText(REAL, str(tmp_path / "elsewhere")).left_over()


def test_asking_about_an_unknown_drive_makes_nothing(text: files.StateText, tmp_path: Path) -> None:
    assert text.get("nobody", str(tmp_path / "lock")) == ""
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["drives"]


def test_a_drive_that_is_locked_and_says_nothing_has_no_text(text: files.StateText, tmp_path: Path) -> None:
    with locks.try_lock(str(tmp_path / "lock")) as _:
        assert text.get("vt0", str(tmp_path / "lock")) == ""
    assert not (tmp_path / "drives" / "vt0").exists()


def test_a_file_that_cannot_be_closed_is_an_error_of_ours(tmp_path: Path) -> None:
    class ClosesBadly:
        def __getattr__(self, name: str) -> Any:
            return getattr(REAL, name)

        def close(self, fd: int) -> None:
            os.close(fd)
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    (tmp_path / "a").write_text("text")
    with pytest.raises(errors.Io, match="a: Input/output error"):
        files.read_text(ClosesBadly(), str(tmp_path / "a"))
