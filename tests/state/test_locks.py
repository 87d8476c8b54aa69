# SPDX-License-Identifier: LGPL-2.1-or-later
"""Lock files, against other processes."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tapeds import errors
from tapeds.state import locks

Elsewhere = Callable[..., Callable[[], None]]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def taken(path: Path) -> locks.Lock:
    lock = locks.try_lock(str(path))
    assert lock is not None
    return lock


# --- taking and giving back ----------------------------------------------------------------------


def descriptors() -> int:
    """How many are open in this process."""
    return len(os.listdir("/proc/self/fd"))


def test_a_lock_is_taken_by_one_only(tmp_path: Path) -> None:
    lock = taken(tmp_path / "a")
    before = descriptors()
    assert locks.try_lock(str(tmp_path / "a")) is None
    assert descriptors() == before
    lock.release()
    taken(tmp_path / "a").release()


def test_a_lock_keeps_other_processes_out(tmp_path: Path) -> None:
    attempt = (
        "import fcntl, os, sys\n"
        "try: fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
        "except BlockingIOError: sys.exit(3)\n"
    )
    command = [sys.executable, "-c", attempt, str(tmp_path / "a")]
    with taken(tmp_path / "a"):
        assert subprocess.run(command, check=False).returncode == 3
    assert subprocess.run(command, check=False).returncode == 0


@pytest.mark.parametrize("kind", ["exclusive", "shared"])
def test_other_processes_keep_us_out(tmp_path: Path, elsewhere: Elsewhere, kind: str) -> None:
    release = elsewhere(tmp_path / "a", kind)
    assert locks.try_lock(str(tmp_path / "a")) is None
    release()
    taken(tmp_path / "a").release()


def test_a_released_lock_has_no_descriptor_and_can_be_released_again(tmp_path: Path) -> None:
    lock = taken(tmp_path / "a")
    fd = lock.fileno()
    assert os.get_inheritable(fd) is False
    lock.release()
    assert lock.fileno() == -1
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)
    with taken(tmp_path / "b") as other:
        lock.release()                     # must not close whatever has the number now
        os.fstat(other.fileno())


def test_a_lock_ends_with_its_block(tmp_path: Path) -> None:
    with taken(tmp_path / "a") as lock:
        assert lock.path == str(tmp_path / "a")
    taken(tmp_path / "a").release()


def test_a_lock_held_by_a_descriptor_of_a_former_process_is_taken_over(tmp_path: Path) -> None:
    former = taken(tmp_path / "a")
    adopted = locks.Lock(former.path, os.dup(former.fileno()))
    former.release()
    assert locks.try_lock(str(tmp_path / "a")) is None
    adopted.release()
    taken(tmp_path / "a").release()


# --- the file ------------------------------------------------------------------------------------


def test_the_file_stays_empty_and_is_never_deleted(tmp_path: Path) -> None:
    with taken(tmp_path / "a"):
        first = (tmp_path / "a").stat()
    with taken(tmp_path / "a"):
        assert (tmp_path / "a").stat().st_ino == first.st_ino
    assert first.st_size == 0
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_the_file_is_for_the_group_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        taken(tmp_path / "a").release()
    finally:
        os.umask(before)
    assert mode(tmp_path / "a") == 0o660


def test_the_file_never_has_another_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    real = os.link

    def link(source: str, goal: str) -> None:
        seen.append(mode(Path(source)))
        assert not Path(goal).exists()
        real(source, goal)

    monkeypatch.setattr(os, "link", link)
    taken(tmp_path / "a").release()
    assert seen == [0o660]


def test_a_file_that_exists_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "a").chmod(0o600)
    taken(tmp_path / "a").release()
    assert mode(tmp_path / "a") == 0o600


@pytest.mark.requires("root")
def test_the_file_belongs_to_the_group_of_the_directory(tmp_path: Path) -> None:
    os.chown(tmp_path, -1, 26)
    taken(tmp_path / "a").release()
    assert (tmp_path / "a").stat().st_gid == 26


@pytest.mark.parametrize(("code", "survives"), [(1, True), (22, True), (5, False)])
def test_a_group_that_we_may_not_give_is_no_reason_to_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, survives: bool
) -> None:
    real = os.stat

    class OtherGroup:
        st_gid = 12345

    def refuse(*_: int) -> None:
        raise OSError(code, os.strerror(code))

    def other(path: str, **more: bool) -> Any:
        return OtherGroup() if path == str(tmp_path) else real(path, **more)

    monkeypatch.setattr(os, "stat", other)
    monkeypatch.setattr(os, "fchown", refuse)
    if survives:
        taken(tmp_path / "a").release()
    else:
        with pytest.raises(errors.Io):
            locks.try_lock(str(tmp_path / "a"))
        assert list(tmp_path.iterdir()) == []


def test_somebody_who_makes_the_file_first_has_made_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.link

    def late(source: str, goal: str) -> None:
        Path(goal).touch()
        real(source, goal)

    monkeypatch.setattr(os, "link", late)
    with taken(tmp_path / "a") as lock:
        assert os.path.samestat(os.fstat(lock.fileno()), (tmp_path / "a").stat())
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_what_a_crash_left_behind_does_not_become_a_second_name_of_a_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[str] = []
    real = os.link
    monkeypatch.setattr(os, "link", lambda source, goal: (used.append(source), real(source, goal)))
    with taken(tmp_path / "a"):
        stem, number = used[0].rsplit("-", 1)
        real(tmp_path / "a", f"{stem}-{int(number) + 1}")
        taken(tmp_path / "b").release()
        assert used[1] == f"{stem}-{int(number) + 1}"
        assert not os.path.samefile(tmp_path / "a", tmp_path / "b")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a", "b"]


def test_a_file_removed_between_open_and_lock_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = locks.fcntl.flock
    removed: list[int] = []

    def flock(fd: int, kind: int) -> None:
        real(fd, kind)
        if not removed:
            removed.append(os.fstat(fd).st_ino)
            (tmp_path / "a").unlink()

    monkeypatch.setattr(locks.fcntl, "flock", flock)
    with taken(tmp_path / "a") as lock:
        assert os.path.samestat(os.fstat(lock.fileno()), (tmp_path / "a").stat())
        assert locks.try_lock(str(tmp_path / "a")) is None


def test_a_file_removed_again_and_again_is_io(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks.fcntl, "flock", lambda *_: (tmp_path / "a").unlink())
    before = descriptors()
    with pytest.raises(errors.Io, match=f"lock file {tmp_path}/a is removed again and again"):
        locks.try_lock(str(tmp_path / "a"))
    assert descriptors() == before


# --- failures ------------------------------------------------------------------------------------


def a_link(path: Path) -> str:
    (path.parent / "goal").touch()
    path.symlink_to(path.parent / "goal")
    return "Too many levels of symbolic links"


def a_fifo(path: Path) -> str:
    os.mkfifo(path)
    return "it is not a regular file"


def a_directory(path: Path) -> str:
    path.mkdir()
    return "it is not a regular file"


@pytest.mark.parametrize("make", [a_link, a_fifo, a_directory])
def test_what_is_no_regular_file_is_io(tmp_path: Path, make: Callable[[Path], str]) -> None:
    text = make(tmp_path / "a")
    before = descriptors()
    with pytest.raises(errors.Io, match=f"lock file {tmp_path}/a: {text}"):
        locks.try_lock(str(tmp_path / "a"))
    assert descriptors() == before


def test_a_missing_directory_is_io(tmp_path: Path) -> None:
    with pytest.raises(errors.Io, match="No such file or directory"):
        locks.try_lock(str(tmp_path / "b" / "a"))


def test_a_directory_that_is_closed_meanwhile_is_io(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, **_: bool) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a").touch()
    monkeypatch.setattr(os, "stat", refuse)
    before = descriptors()
    with pytest.raises(errors.Io, match=f"lock file {tmp_path}/a: Permission denied"):
        locks.try_lock(str(tmp_path / "a"))
    assert descriptors() == before


@pytest.mark.parametrize("ask", [locks.try_lock, locks.probe])
def test_a_lock_that_the_kernel_refuses_is_io(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ask: Callable[[str], Any]
) -> None:
    def refuse(*_: int) -> None:
        raise OSError(37, "No locks available")

    (tmp_path / "a").touch()
    monkeypatch.setattr(locks.fcntl, "flock", refuse)
    before = descriptors()
    with pytest.raises(errors.Io, match=f"lock file {tmp_path}/a: No locks available"):
        ask(str(tmp_path / "a"))
    assert descriptors() == before


# --- asking --------------------------------------------------------------------------------------


def test_a_lock_that_nobody_holds_is_free(tmp_path: Path) -> None:
    taken(tmp_path / "a").release()
    assert locks.probe(str(tmp_path / "a")) is False


def test_asking_makes_no_file(tmp_path: Path) -> None:
    assert locks.probe(str(tmp_path / "a")) is False
    assert locks.probe(str(tmp_path / "b" / "a")) is False
    assert list(tmp_path.iterdir()) == []


def test_our_own_lock_is_held(tmp_path: Path) -> None:
    with taken(tmp_path / "a"):
        assert locks.probe(str(tmp_path / "a")) is True


def test_a_lock_of_another_process_is_held(tmp_path: Path, elsewhere: Elsewhere) -> None:
    release = elsewhere(tmp_path / "a")
    assert locks.probe(str(tmp_path / "a")) is True
    release()
    assert locks.probe(str(tmp_path / "a")) is False


def test_two_may_ask_at_once(tmp_path: Path, elsewhere: Elsewhere) -> None:
    elsewhere(tmp_path / "a", "shared")
    assert locks.probe(str(tmp_path / "a")) is False


def test_asking_where_we_may_not_look_is_io(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("a")
    with pytest.raises(errors.Io, match="symbolic links"):
        locks.probe(str(tmp_path / "a"))


# --- several -------------------------------------------------------------------------------------


def test_several_locks_are_taken_in_order_and_released_in_reverse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [str(tmp_path / name) for name in "cab"]
    held = locks.try_all(paths)
    assert isinstance(held, locks.LockSet)
    assert [lock.path for lock in held.locks] == paths
    released: list[str] = []
    real = locks.Lock.release
    monkeypatch.setattr(locks.Lock, "release", lambda self: (released.append(self.path), real(self)))
    held.release()
    held.release()
    assert released == paths[::-1]
    assert [locks.probe(path) for path in paths] == [False] * 3


def test_when_one_is_held_elsewhere_it_is_named_and_none_taken(tmp_path: Path, elsewhere: Elsewhere) -> None:
    paths = [str(tmp_path / name) for name in "abc"]
    elsewhere(tmp_path / "b")
    assert locks.try_all(paths) == paths[1]
    assert [locks.probe(path) for path in paths] == [False, True, False]
    assert not (tmp_path / "c").exists()


def test_when_one_fails_none_is_taken(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    with pytest.raises(errors.Io):
        locks.try_all([str(tmp_path / "a"), str(tmp_path / "b")])
    assert locks.probe(str(tmp_path / "a")) is False


def test_a_lock_can_be_added_and_goes_first(tmp_path: Path) -> None:
    with locks.LockSet([taken(tmp_path / "a")]) as held:
        held.add(taken(tmp_path / "b"))
        assert [os.path.basename(lock.path) for lock in held.locks] == ["a", "b"]
    assert held.locks == ()
    assert [locks.probe(str(tmp_path / name)) for name in "ab"] == [False, False]


# --- who -----------------------------------------------------------------------------------------


def test_a_lock_of_ours_is_told_with_uid_and_pid() -> None:
    error = locks.locked("drive vt0", locks.Holder(1000, 4711))
    assert str(error) == "drive vt0 is locked by uid 1000, pid 4711; wait until it is released"
    assert error.data == {"uid": 1000, "pid": 4711}
    assert error.name == "Locked"


def test_an_unknown_pid_is_left_out() -> None:
    assert str(locks.locked("drive vt0", locks.Holder(1000))) == (
        "drive vt0 is locked by uid 1000; wait until it is released"
    )


def test_a_lock_of_somebody_else_is_external() -> None:
    error = locks.locked("drive vt0")
    assert str(error) == "drive vt0 is locked by another program (external); wait for it or end it"
    assert error.data == {}


# --- from a former process ------------------------------------------------------------------------


def test_a_lock_of_a_former_process_is_taken_over_and_never_free(tmp_path: Path) -> None:
    path = tmp_path / "a"
    former = taken(path)
    fd = os.dup(former.fileno())
    former.release()
    assert locks.probe(str(path))
    with locks.adopt(str(path), fd) as lock:
        assert lock.fileno() == fd
        assert locks.try_lock(str(path)) is None
    assert not locks.probe(str(path))


@pytest.mark.parametrize("why", ["another file", "removed", "locked by another", "missing"])
def test_a_descriptor_that_is_not_the_lock_is_closed(tmp_path: Path, why: str) -> None:
    path, other = tmp_path / "a", tmp_path / "b"
    before = descriptors()
    with taken(other if why == "another file" else path) as lock:
        fd = os.dup(lock.fileno())
        if why == "removed":
            path.rename(other)
            path.touch()
        elif why == "locked by another":
            os.close(fd)
            fd = os.open(path, os.O_RDONLY)
        elif why == "missing":
            path.unlink()
        else:
            path.touch()
        assert locks.adopt(str(path), fd) is None
    assert descriptors() == before
