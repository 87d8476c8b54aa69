# SPDX-License-Identifier: LGPL-2.1-or-later
"""A worker that does what a script says: ``scripted_worker.py SCRIPT --fd N``, the script in JSON.

The script maps an operation (also ``hello``, ``open``, ``release``, ``commit``, ``hangup``) to steps:
    {"answer": {...}}  Result with this data           {"fail": "NoMedia", "text": "..."}
    {"progress": [done, total]}                        {"state": {...}} changes the state that goes along
    {"log": "text"}    a log record                    {"sleep": seconds}
    {"until": "path"}  deaf until the file exists      {"wait": true} until Cancel, Abort or Commit
    {"die": 9}         by that signal                  {"exit": status}
    {"ignore": 15}     a signal
    {"raw": "text"}    a packet that is no message     {"version": "9"} Hello of that version
    {"fds": "path"}, {"environment": "path"}           writes its descriptors, its environment there
An operation that the script does not name answers with {}.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from dataclasses import replace
from typing import Any

import tapeds
from tapeds.worker import messages as m

RELEASE = -1
NOBODY = -2


class Scripted:
    def __init__(self, sock: socket.socket, script: dict[str, list[dict[str, Any]]]) -> None:
        self.sock = sock
        self.script = script
        self.state = m.DeviceState(vendor="ACME", model="PAPER", device="paper", position_known=True)

    def send(self, message: m.Message) -> None:
        try:
            self.sock.send(m.encode(message))
        except OSError:
            sys.exit(0)

    def receive(self) -> m.Message:
        try:
            data, fds, _, _ = socket.recv_fds(self.sock, m.MAXIMUM, 4)
        except ConnectionResetError:
            data, fds = b"", []         # the peer has closed and not read everything
        for fd in fds:
            os.close(fd)
        if not data:
            self.play("hangup", NOBODY)
            sys.exit(0)
        return m.decode(data)

    def serve(self) -> None:
        if not self.play("hello", NOBODY):
            self.send(m.Hello(tapeds.__version__))
        while True:
            message = self.receive()
            if isinstance(message, m.Open):
                self.state = replace(self.state, device=message.device.path)
                self.play("open", 0) or self.send(m.Result(0, {}, self.state))
            elif isinstance(message, m.Request):
                self.play(message.operation, message.id) or self.send(m.Result(message.id, {}, self.state))
            elif isinstance(message, m.Release):
                self.play("release", RELEASE) or self.send(m.Released())
            elif isinstance(message, m.Ask):
                self.send(m.State(self.state))

    def play(self, name: str, number: int) -> bool:
        """Do the steps of ``name``; whether one of them was an answer."""
        answered = False
        for step in self.script.get(name, []):
            (kind, value), *_ = step.items()
            match kind:
                case "answer":
                    answered = True
                    released = number == RELEASE
                    self.send(m.Released(**value) if released else m.Result(number, value, self.state))
                case "fail":
                    answered = True
                    text, data = step.get("text", ""), step.get("data", {})
                    self.send(m.Failure(number, value, text, data, self.state))
                case "progress":
                    self.send(m.Progress(number, *value, state=self.state))
                case "state":
                    self.state = replace(self.state, **value)
                case "log":
                    self.send(m.Log(30, value, {"TAPEDS_SENSE": "7"}))
                case "sleep":
                    time.sleep(value)
                case "until":
                    while not os.path.exists(value):
                        time.sleep(0.01)
                case "wait":
                    answered = self.wait(number)
                case "die":
                    os.kill(os.getpid(), value)
                case "ignore":
                    signal.signal(value, signal.SIG_IGN)
                case "exit":
                    sys.exit(value)
                case "raw":
                    self.sock.send(value.encode())
                case "version":
                    answered = True
                    self.send(m.Hello(value))
                case "fds":
                    with open(value, "w") as file:
                        file.write("\n".join(os.readlink(f"/proc/self/fd/{fd}") for fd in open_fds()))
                case "environment":
                    with open(value, "w") as file:
                        json.dump(dict(os.environ), file)
        return answered

    def wait(self, number: int) -> bool:
        while True:
            match self.receive():
                case m.Cancel(error=error, text=text):
                    self.send(m.Failure(number, error, text, {"bytes-on-tape": 7}, self.state))
                    return True
                case m.Abort():
                    self.send(m.Taken(number))
                    self.send(m.Failure(number, "Incomplete", "given up", {}, self.state))
                    return True
                case m.Commit(size=size, sha256=sha256):
                    if "commit" in self.script:
                        refusal = self.script["commit"][0]
                        self.send(m.Refused(number, refusal["refuse"], refusal["text"]))
                        continue
                    self.send(m.Taken(number))
                    self.send(m.Result(number, {"bytes": size, "sha256": sha256}, self.state))
                    return True
                case m.Ask():
                    self.send(m.State(self.state))


def open_fds() -> list[int]:
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            os.fstat(int(name))
        except OSError:
            continue                    # the directory that was being listed
        found.append(int(name))
    return found


if __name__ == "__main__":
    fd = int(sys.argv[sys.argv.index("--fd") + 1])
    Scripted(socket.socket(fileno=fd), json.loads(sys.argv[1])).serve()
