# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reads and writes: whose descriptor it is, which ones will do, and when a file counts as complete."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import socket
from contextlib import suppress

import pytest

from tapeds import errors, names
from tapeds.names import Operation
from tapeds.service import transfers


def open_fds() -> set[int]:
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            os.fstat(int(name))
        except OSError:
            continue                    # the directory that was being listed
        found.add(int(name))
    return found


async def test_what_is_written_through_the_pipe_comes_back_through_the_pipe(house) -> None:
    data = os.urandom(700_000)
    async with house.running() as service:
        drive = service.drives["vt0"]
        await house.label(service)
        written = await house.write(drive, data, name="home.tar", digest="sha256")
        assert (written["file"], written["bytes"], written["complete"]) == (2, 700_000, True)
        assert written["sha256"] == hashlib.sha256(data).hexdigest()
        await house.result(drive.start(house.anna, Operation.MOVE_TO_FILE, {"file": 2}))
        back, read = await house.read(drive)
        assert back == data
        assert (read["name"], read["complete"]) == ("home.tar", True)


async def test_the_job_shows_direction_and_file_and_is_named_as_the_member(house) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        await house.label(service)
        job, fd = await drive.start_write(house.anna, {})
        assert (job.operation, job.transfer.direction) == ("write-file", "write")
        assert job.transfer.file_number in (names.UNKNOWN, 2)
        assert fcntl.fcntl(fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
        assert fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ) >= transfers.PIPE_BYTES or os.geteuid()
        os.write(fd, b"x")
        os.close(fd)
        await job.commit(1)
        await job.wait()
        assert drive.media["label-text"] == "TAPE01"


async def test_end_of_file_without_commit_waits_and_abort_makes_the_file_incomplete(house) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        await house.label(service)
        job, fd = await drive.start_write(house.anna, {})
        os.write(fd, b"half")
        os.close(fd)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(job.wait(), 0.5)
        await job.abort()
        with pytest.raises(errors.Incomplete) as caught:
            await job.wait()
        assert caught.value.data["complete"] is False
        assert (job.result, job.result_data["file"]) == ("failed", 2)


async def test_a_commit_is_refused_with_the_worker_s_reason_and_the_job_goes_on(house) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        await house.label(service)
        job, fd = await drive.start_write(house.anna, {})
        with pytest.raises(errors.InvalidOption, match=rf"^job {job.id} \(write-file\): sha256 needs a"):
            await job.commit(0, "ab" * 32)
        assert job.state == "running"
        os.close(fd)
        await job.commit(0)
        assert (await job.wait())["bytes"] == 0


async def test_a_file_of_the_caller_is_read_and_written_and_its_descriptors_closed(house) -> None:
    source, target = house.base / "in", house.base / "out"
    source.write_bytes(os.urandom(300_000))
    async with house.running() as service:
        drive = service.drives["vt0"]
        await house.label(service)
        before = open_fds()
        fd = os.open(source, os.O_RDONLY)
        job, end = await drive.start_write(house.anna, {"commit-on-eof": True}, fd=fd)
        assert (job.operation, end) == ("write-file-from", None)
        assert (await job.wait())["bytes"] == 300_000
        await house.result(drive.start(house.anna, Operation.MOVE_TO_FILE, {"file": 2}))
        fd = os.open(target, os.O_WRONLY | os.O_CREAT)
        job, end = await drive.start_read(house.anna, {}, fd=fd)
        assert (job.operation, end) == ("read-file-into", None)
        await job.wait()
        assert open_fds() == before
    assert target.read_bytes() == source.read_bytes()


async def test_a_stream_socket_will_do_and_its_flags_stay_as_they_were(house) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        await house.label(service)
        ours, theirs = socket.socketpair()
        flags = fcntl.fcntl(theirs.fileno(), fcntl.F_GETFL)
        job, _ = await drive.start_write(house.anna, {"commit-on-eof": True}, fd=os.dup(theirs.fileno()))
        ours.sendall(b"hello")
        ours.close()
        assert (await job.wait())["bytes"] == 5
        assert fcntl.fcntl(theirs.fileno(), fcntl.F_GETFL) == flags
        theirs.close()


@pytest.fixture
def wrong(tmp_path):
    """Descriptors that will not do: name -> (descriptor, readable, text)."""
    (tmp_path / "file").touch()
    source, sink = os.pipe()
    datagram = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    made = {
        "directory": (os.open(tmp_path, os.O_RDONLY), True, "is a directory; give a pipe"),
        "device": (os.open("/dev/null", os.O_RDWR), True, "is a character device; give a pipe"),
        "path": (os.open(tmp_path / "file", os.O_PATH), True, "opened with O_PATH; open the file itself"),
        "datagrams": (datagram[0].detach(), True, "is a socket of another kind"),
        "for-writing": (sink, True, "not open for reading; open it so"),
        "for-reading": (source, False, "not open for writing; open it so"),
        "event": (os.eventfd(0), True, "of a kind that carries no stream"),
    }
    yield made
    datagram[1].close()
    for fd, _, _ in made.values():
        with suppress(OSError):          # closed by the service
            os.close(fd)


@pytest.mark.parametrize(
    "kind", ["directory", "device", "path", "datagrams", "for-writing", "for-reading", "event"]
)
async def test_a_descriptor_that_will_not_do_is_refused_and_closed(house, wrong, kind) -> None:
    fd, readable, text = wrong[kind]
    async with house.running() as service:
        drive = service.drives["vt0"]
        start = drive.start_write if readable else drive.start_read
        with pytest.raises(errors.InvalidFileDescriptor, match=text):
            await start(house.anna, {"commit-on-eof": True}, fd=fd)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)
        assert service.jobs.all() == []
        assert drive.lock_holder() == ""


async def test_a_caller_s_data_must_have_an_end_that_is_known(house) -> None:
    async with house.running() as service:
        source, sink = os.pipe()
        with pytest.raises(errors.InvalidOption, match="give commit-on-eof, size or sha256"):
            await service.drives["vt0"].start_write(house.anna, {"commit-on-eof": False}, fd=source)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(source)
        os.close(sink)


async def test_no_descriptor_is_left_over_when_the_start_is_refused(house) -> None:
    command = house.scripted(verify_tape=[{"wait": True}])
    async with house.running(worker_command=command) as service:
        drive = service.drives["vt0"]
        job = await drive.start(house.bert, Operation.VERIFY_TAPE, {})
        before = open_fds()
        source, sink = os.pipe()
        for fd in (None, os.dup(source)):
            with pytest.raises(errors.Busy):
                await drive.start_write(house.anna, {"size": 5}, fd=fd)
        with pytest.raises(errors.Busy):
            await drive.start_read(house.anna, {}, fd=os.dup(sink))
        os.close(source)
        os.close(sink)
        assert open_fds() == before
        job.cancel()
        await job.ended()


async def test_the_bus_process_keeps_no_end_of_a_pipe(house) -> None:
    """Or nobody would ever see the other side go."""
    async with house.running() as service:
        drive = service.drives["vt0"]
        await house.label(service)
        job, fd = await drive.start_write(house.anna, {})
        inode = os.fstat(fd).st_ino

        def ends() -> list[int]:
            return [each for each in open_fds() if os.fstat(each).st_ino == inode]

        await house.until(lambda: len(ends()) == 1)
        assert ends() == [fd]
        os.close(fd)
        await job.abort()
        await job.ended()


async def test_a_reader_that_closes_early_ends_the_job_as_client_gone(house) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        await house.label(service)
        await house.write(drive, b"x" * 5_000_000)
        await house.result(drive.start(house.anna, Operation.MOVE_TO_FILE, {"file": 2}))
        job, fd = await drive.start_read(house.anna, {})
        assert len(await asyncio.to_thread(os.read, fd, 1000)) == 1000
        os.close(fd)
        with pytest.raises(errors.ClientGone):
            await job.wait()
        assert (drive.state, drive.lock_holder()) == ("idle", "")


async def test_options_reach_the_worker_as_it_takes_them() -> None:
    prepared = transfers.prepare({"digest": "sha256", "size": 5}, owned=True)
    assert prepared == {"digest": True, "size": 5, "owned": True}
    assert transfers.prepare({"digest": "none"}, owned=False) == {"digest": False, "owned": False}
    assert transfers.prepare({}, owned=False)["digest"] is False


@pytest.mark.parametrize(
    ("order", "error", "text"),
    [
        ({"format": "raw"}, errors.NotSupported, "vt0 is virtual: its tapes hold streams in blocks of"),
        ({"block-size": 65536}, errors.InvalidOption, "block-size is for format=raw"),
        ({"format": "stream", "framing": "u32le"}, errors.InvalidOption, "framing is for format=raw"),
        ({"content-magic": "00" * 8, "name": "x"}, errors.InvalidOption, "give only one of the two"),
        ({"attributes": {}, "header": ""}, errors.InvalidOption, "give only one of the two"),
        ({"header": "00"}, errors.InvalidOption, "give content-magic, too"),
        ({"attributes": {"key": b"bytes"}}, errors.InvalidOption, "give text, numbers, truth values"),
        ({"attributes": {"key": float("nan")}}, errors.InvalidOption, "cannot be written as JSON"),
        ({"attributes": {"key": "x" * 65536}}, errors.InvalidOption, "more than 65536"),
        ({"file": 2}, errors.InvalidOption, "file 2 and all behind it would be destroyed; give expect-uuid"),
    ],
)
async def test_an_order_that_no_file_can_come_of_is_refused_before_there_is_a_job(
    house, order, error, text
) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        before = open_fds()
        source, sink = os.pipe()
        for fd in (None, os.dup(source)):
            with pytest.raises(error, match=text):
                await drive.start_write(house.anna, {"commit-on-eof": True, **order}, fd=fd)
        os.close(source)
        os.close(sink)
        assert open_fds() == before
        assert service.jobs.all() == []


async def test_what_is_so_anyway_may_be_said(house) -> None:
    async with house.running() as service:
        await house.label(service)
        order = {"format": "stream", "framing": "none"}
        assert (await house.write(service.drives["vt0"], b"x", **order))["complete"] is True


async def test_a_header_may_be_as_long_as_the_format_allows(house) -> None:
    header = os.urandom(65536)
    async with house.running() as service:
        drive = service.drives["vt0"]
        await house.label(service)
        kind = {"content-magic": b"ACMEKIND".hex(), "header": header.hex()}
        assert (await house.write(drive, b"data", **kind))["bytes"] == 4
        await house.result(drive.start(house.anna, Operation.MOVE_TO_FILE, {"file": 2}))
        back, _ = await house.read(drive)
        assert back[8:16] == b"ACMEKIND"
        assert back[48:] == header + b"data"


async def test_a_file_is_begun_anew_on_the_cartridge_that_is_meant(house) -> None:
    async with house.running() as service:
        drive = service.drives["vt0"]
        label = await house.label(service)
        await house.write(drive, b"old")
        written = await house.write(drive, b"new", file=2, expect_uuid=label["uuid"])
        assert (written["file"], written["files-removed"]) == (2, 1)


async def test_of_a_write_whose_worker_died_it_is_told_that_nothing_is_proved(house) -> None:
    command = house.scripted(write_file=[{"progress": [300_000, 0]}, {"sleep": 0.1}, {"die": 9}])
    async with house.running(worker_command=command) as service:
        job, fd = await service.drives["vt0"].start_write(house.anna, {})
        job.transfer.file_number = 4
        with pytest.raises(errors.DeviceFailed, match="was killed by signal 9"):
            await job.wait()
        os.close(fd)
        assert job.result_data == {
            "file": 4, "bytes": 300_000, "complete": False, "early-warning": False, "bytes-on-tape": 0,
        }  # fmt: skip


async def test_of_a_write_that_never_began_no_file_is_told(house) -> None:
    command = house.scripted(write_file=[{"die": 9}])
    async with house.running(worker_command=command) as service:
        job, fd = await service.drives["vt0"].start_write(house.anna, {})
        with pytest.raises(errors.DeviceFailed):
            await job.wait()
        os.close(fd)
        assert job.result_data == {}
