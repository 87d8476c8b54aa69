# SPDX-License-Identifier: LGPL-2.1-or-later
"""A worker and somebody to talk to it: as a process, or in a thread where a file system is faked."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import tapeds
from support.powerloss import PowerCut
from tapeds.filesystem import REAL, FileSystem
from tapeds.worker import messages
from tapeds.worker.main import run
from tapeds.worker.messages import (
    MAXIMUM,
    Ask,
    DeviceSpec,
    DeviceState,
    Failure,
    Hello,
    Log,
    Message,
    Open,
    Progress,
    Release,
    Released,
    Request,
    Result,
    State,
)

POWER_CUT = -1                        # the status of a worker in a thread that was cut off
PATIENCE = 30.0                       # seconds after which a worker that says nothing fails the test
MIB = 1024 * 1024
TAPE = "tape TEST01L8 in drive lto0"  # as errors name it


class Refusal(Exception):
    """A request failed: ``name``, ``text`` and ``data`` as the worker told them."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.name}: {failure.message}")
        self.name = failure.name
        self.text = failure.message
        self.data = failure.data
        self.state = failure.state


class Peer:
    """The bus process's part of the conversation, blocking."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.logs: list[Log] = []
        self.progress: list[Progress] = []
        self.state = DeviceState()
        self._last = 0
        sock.settimeout(PATIENCE)

    def send(self, message: Message, descriptors: tuple[int, ...] = ()) -> None:
        socket.send_fds(self.socket, [messages.encode(message)], list(descriptors))

    def receive_any(self) -> Message | None:
        """The next message of any kind; None at the end of the socket."""
        try:
            packet = self.socket.recv(MAXIMUM + 1)
        except ConnectionResetError:
            return None
        return messages.decode(packet) if packet else None

    def receive(self) -> Message | None:
        """The next message that is neither a log line nor progress; None at the end of the socket."""
        while True:
            message = self.receive_any()
            match message:
                case Log():
                    self.logs.append(message)
                case Progress():
                    self.progress.append(message)
                    assert message.state is not None
                    self.state = message.state
                case Result() | Failure() | State():
                    self.state = message.state
                    return message
                case _:
                    return message

    def greet(self) -> None:
        hello = self.receive()
        assert hello == Hello(tapeds.__version__)
        self.send(Hello(tapeds.__version__))

    def begin(self, operation: str, *descriptors: int, **arguments: Any) -> int:
        """Ask for ``operation``; underscores in the names of arguments stand for hyphens."""
        self._last += 1
        values = {key.rstrip("_").replace("_", "-"): value for key, value in arguments.items()}
        self.send(Request(self._last, operation, values), descriptors)
        return self._last

    def end(self, number: int | None = None) -> dict[str, Any]:
        """The result of request ``number``, by default the last one.  Raises Refusal."""
        message = self.receive()
        assert isinstance(message, Result | Failure), message
        assert message.id == (self._last if number is None else number)
        if isinstance(message, Failure):
            raise Refusal(message)
        return message.data

    def ask(self, operation: str, *descriptors: int, **arguments: Any) -> dict[str, Any]:
        return self.end(self.begin(operation, *descriptors, **arguments))

    def open(self, spec: DeviceSpec) -> dict[str, Any]:
        self.send(Open(spec))
        return self.end(0)

    def release(self) -> list[str]:
        self.send(Release())
        released = self.receive()
        assert isinstance(released, Released), released
        return released.failed

    def knowledge(self) -> DeviceState:
        self.send(Ask())
        message = self.receive()
        assert isinstance(message, State), message
        return message.state

    # --- transfers ------------------------------------------------------------------------------

    def write(self, data: bytes = b"data", **arguments: Any) -> dict[str, Any]:
        """Write ``data`` as one file and commit it."""
        read_end, write_end = os.pipe()
        feeder = threading.Thread(target=feed, args=(write_end, data), daemon=True)
        feeder.start()
        number = self.begin("write-file", read_end, owned=False, commit_on_eof=True, **arguments)
        os.close(read_end)
        try:
            return self.end(number)
        finally:
            feeder.join()

    def write_slowly(self, data: bytes, **arguments: Any) -> tuple[int, int]:
        """Begin to write; the number of the request and the end of the pipe for more data."""
        read_end, write_end = os.pipe()
        number = self.begin("write-file", read_end, owned=False, **arguments)
        os.close(read_end)
        remaining = memoryview(data)
        while remaining:
            remaining = remaining[os.write(write_end, remaining) :]
        return number, write_end

    def read(self, **arguments: Any) -> tuple[bytes, dict[str, Any]]:
        """Read the file at the head: its bytes and the result."""
        read_end, write_end = os.pipe()
        number = self.begin("read-file", write_end, owned=False, **arguments)
        os.close(write_end)
        collected: list[bytes] = []
        reader = threading.Thread(target=drain, args=(read_end, collected), daemon=True)
        reader.start()
        try:
            result = self.end(number)
        finally:
            reader.join()
        return b"".join(collected), result

    def wait_for_blocks(self, path: Path, blocks: int) -> None:
        """Wait until the tape file ``path`` has at least ``blocks`` blocks."""
        deadline = time.monotonic() + PATIENCE
        while not path.exists() or path.stat().st_size < blocks * 262144 - 4096:
            assert time.monotonic() < deadline, f"{path} does not grow"
            time.sleep(0.005)


def feed(fd: int, data: bytes) -> None:
    """Put ``data`` into ``fd`` and close it; the reader may go away."""
    try:
        remaining = memoryview(data)
        while remaining:
            remaining = remaining[os.write(fd, remaining) :]
    except BrokenPipeError:
        pass
    finally:
        os.close(fd)


def drain(fd: int, into: list[bytes]) -> None:
    """Read ``fd`` to its end and close it."""
    while data := os.read(fd, MIB):
        into.append(data)
    os.close(fd)


class Bench:
    """A directory for virtual tapes, and workers on it."""

    def __init__(self, path: Path, compiled: Path | None = None) -> None:
        """A bench below ``path``; ``compiled`` is where worker processes keep compiled modules."""
        self._environment = os.environ | {"PYTHONPATH": str(Path(tapeds.__file__).parent.parent)}
        if compiled is not None:
            self._environment.pop("PYTHONDONTWRITEBYTECODE", None)
            self._environment["PYTHONPYCACHEPREFIX"] = str(compiled)
        self.tapes = path / "tapes"
        self.tapes.mkdir()
        self.intent = path / "state" / "lto0.json"
        self.intent.parent.mkdir()
        self.processes: list[subprocess.Popen[bytes]] = []
        self.threads: list[threading.Thread] = []
        self.peers: list[Peer] = []
        self.statuses: list[int] = []

    def spec(self, **changes: Any) -> DeviceSpec:
        values: dict[str, Any] = {
            "kind": "virtual",
            "name": "lto0",
            "path": str(self.tapes),
            "buffer_bytes": 4 * MIB,
            "intent_path": str(self.intent),
            "options": {"max-size": 256 * MIB},
        }
        return DeviceSpec(**(values | changes))

    def process(self) -> Peer:
        """A worker process that has said Hello."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        process = subprocess.Popen(
            [sys.executable, "-m", "tapeds.worker", "--fd", str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(),),
            env=self._environment,
        )
        theirs.close()
        self.processes.append(process)
        return self._peer(ours)

    def thread(self, fs: FileSystem = REAL, *, stop_fd: int = -1) -> Peer:
        """A worker in this process, on the file system ``fs``; a `PowerCut` ends it as a kill would."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

        def body() -> None:
            with theirs:
                try:
                    self.statuses.append(run(theirs, fs, stop_fd=stop_fd))
                except PowerCut:
                    self.statuses.append(POWER_CUT)

        thread = threading.Thread(target=body, daemon=True)
        thread.start()
        self.threads.append(thread)
        return self._peer(ours)

    def _peer(self, sock: socket.socket) -> Peer:
        peer = Peer(sock)
        self.peers.append(peer)
        return peer

    def opened(self, **changes: Any) -> Peer:
        """A worker process that has opened the drive."""
        peer = self.process()
        peer.greet()
        peer.open(self.spec(**changes))
        return peer

    def opened_in_thread(self, fs: FileSystem = REAL, **changes: Any) -> Peer:
        """A worker in this process that has opened the drive."""
        peer = self.thread(fs)
        peer.greet()
        peer.open(self.spec(**changes))
        return peer

    def labelled(self, label: str = "TEST01L8", **changes: Any) -> Peer:
        """A worker process with a tape in the drive that has both labels."""
        peer = self.opened(**changes)
        peer.ask("load-media", label_text=label, create=True)
        peer.ask("label-tape", label_text=label)
        peer.ask("write-media-set-label", pool="default", seq_nr=0)
        return peer

    def kill(self) -> None:
        """SIGKILL to the last worker process."""
        self.processes[-1].kill()
        self.processes[-1].wait()

    def terminate(self) -> None:
        """SIGTERM to the last worker process."""
        self.processes[-1].send_signal(signal.SIGTERM)

    def exit_status(self) -> int:
        """How the last worker process ended."""
        return self.processes[-1].wait(PATIENCE)

    def tape_file(self, number: int, label: str = "TEST01L8") -> Path:
        return self.tapes / f"tapefile-{number}-{label}.json"

    def close(self) -> None:
        for peer in self.peers:
            peer.socket.close()
        for process in self.processes:
            if process.poll() is None:
                process.wait(PATIENCE)
        for thread in self.threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "a worker does not end with its socket"
