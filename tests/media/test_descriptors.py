# SPDX-License-Identifier: LGPL-2.1-or-later
"""What each kind of descriptor does when nothing is there, and when its other end is gone."""

from __future__ import annotations

import os
import select
import socket

import pytest

from tapeds.errors import ClientGone, InvalidFileDescriptor, Io
from tapeds.media.descriptors import open_sink, open_source


def buffers(*sizes):
    return [memoryview(bytearray(size)) for size in sizes]


def without_nowait(opened):
    """As on a kernel that does not know RWF_NOWAIT of pipes."""
    opened.nowait = False
    return opened


PIPES = [
    pytest.param(lambda open_end, fd: open_end(fd, owned=True), id="own pipe"),
    pytest.param(lambda open_end, fd: open_end(fd, owned=False), id="pipe"),
    pytest.param(lambda open_end, fd: without_nowait(open_end(fd, owned=False)), id="pipe, old kernel"),
]


@pytest.mark.parametrize("make", PIPES)
def test_a_pipe_gives_what_is_there_then_nothing_then_its_end(pipe, make):
    source = make(open_source, pipe.reader)
    areas = buffers(3, 10)
    assert source.read(areas) is None
    pipe.give(b"abcdef")
    assert source.read(areas) == 6
    assert (bytes(areas[0]), bytes(areas[1][:3])) == (b"abc", b"def")
    assert source.read(areas) is None
    pipe.close(pipe.writer)
    assert source.read(areas) == 0


@pytest.mark.parametrize("make", PIPES)
def test_a_pipe_takes_what_fits_then_nothing(pipe, make):
    sink = make(open_sink, pipe.writer)
    data = buffers(1 << 20)
    total = 0
    while (count := sink.write(data)) is not None:
        assert count > 0
        total += count
    assert total == 1 << 20
    assert len(os.read(pipe.reader, 1 << 19)) == 1 << 19
    assert sink.write(data)


@pytest.mark.parametrize("make", PIPES)
def test_a_pipe_without_reader_says_that_the_client_is_gone(pipe, make):
    sink = make(open_sink, pipe.writer)
    pipe.close(pipe.reader)
    with pytest.raises(ClientGone, match="the other end of the data was closed; keep it open"):
        sink.write(buffers(100))


def test_only_our_own_pipe_end_is_set_non_blocking(pipe):
    open_source(pipe.reader, owned=False).close()
    assert os.get_blocking(pipe.reader)
    open_source(pipe.reader, owned=True).close()
    assert not os.get_blocking(pipe.reader)
    assert os.get_blocking(pipe.writer)


def test_a_kernel_that_does_not_know_nowait_of_pipes_is_asked_once(pipe, monkeypatch):
    calls = []

    def preadv(fd, areas, offset, flags):
        calls.append(flags)
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "preadv", preadv)
    source = open_source(pipe.reader, owned=False)
    pipe.give(b"abc")
    assert source.read(buffers(2)) == 2
    assert source.read(buffers(2)) == 1
    assert source.read(buffers(2)) is None
    assert calls == [os.RWF_NOWAIT]


def test_a_socket_gives_and_takes_without_waiting(sockets):
    ours, theirs = sockets
    both = open_source(ours.fileno(), owned=False)
    areas = buffers(4, 4)
    assert both.read(areas) is None
    theirs.sendall(b"abcdef")
    assert both.read(areas) == 6
    assert bytes(areas[1][:2]) == b"ef"
    theirs.shutdown(socket.SHUT_WR)
    assert both.read(areas) == 0
    sink = open_sink(ours.fileno(), owned=False)
    while sink.write(buffers(1 << 16)) is not None:
        pass
    assert theirs.recv(1 << 16)
    assert os.get_blocking(ours.fileno())
    both.close()
    sink.close()
    ours.sendall(b"")                       # the descriptor itself is still open


def test_a_socket_whose_peer_is_gone_says_so(sockets):
    ours, theirs = sockets
    sink = open_sink(ours.fileno(), owned=False)
    theirs.close()
    with pytest.raises(ClientGone):
        sink.write(buffers(100))
    sink.close()


def test_a_socket_that_was_reset_says_that_the_client_is_gone(sockets):
    ours, theirs = sockets
    ours.sendall(b"never read")
    theirs.close()
    source = open_source(ours.fileno(), owned=False)
    with pytest.raises(ClientGone):
        source.read(buffers(100))
    source.close()


def test_a_regular_file_is_read_and_written_from_where_it_stands(tmp_path):
    path = tmp_path / "data"
    path.write_bytes(b"0123456789")
    with path.open("r+b") as file:
        fd = file.fileno()
        os.lseek(fd, 4, os.SEEK_SET)
        areas = buffers(4)
        source = open_source(fd, owned=False)
        assert source.read(areas) == 4
        assert bytes(areas[0]) == b"4567"
        assert open_sink(fd, owned=False).write([memoryview(b"AB"), memoryview(b"CD")]) == 4
        assert source.read(areas) == 0
        source.close()
    assert path.read_bytes() == b"01234567ABCD"


def test_a_descriptor_for_the_other_direction_is_an_io_error(pipe, tmp_path):
    with pytest.raises(Io, match="the caller's descriptor: Bad file descriptor"):
        open_source(pipe.writer, owned=False).read(buffers(1))
    with pytest.raises(Io, match="the caller's descriptor: Bad file descriptor"):
        open_sink(pipe.reader, owned=False).write(buffers(1))
    path = tmp_path / "data"
    path.touch()
    with path.open("rb") as file, pytest.raises(Io):
        open_sink(file.fileno(), owned=False).write(buffers(1))


def test_what_is_no_pipe_file_or_stream_socket_is_refused():
    with open("/dev/null", "rb") as null, pytest.raises(InvalidFileDescriptor, match="neither a pipe"):
        open_source(null.fileno(), owned=False)
    one, two = socket.socketpair(type=socket.SOCK_SEQPACKET)
    with one, two, pytest.raises(InvalidFileDescriptor, match="not a stream socket"):
        open_source(one.fileno(), owned=False)
    with pytest.raises(InvalidFileDescriptor):
        open_source(1 << 20, owned=False)


def test_a_pipe_on_an_old_kernel_is_written_in_pieces_that_cannot_block(pipe):
    sink = without_nowait(open_sink(pipe.writer, owned=False))
    assert sink.write(buffers(1 << 20)) == select.PIPE_BUF
