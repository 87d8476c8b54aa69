# SPDX-License-Identifier: LGPL-2.1-or-later
"""A polkit that answers by a table: (uid of the subject, action) -> yes, ask or no.

It says what the shipped actions and rules say for callers without a seat: the group's member may
what the rules file allows, everybody else is asked for a password, and nobody ever gives one.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tapeds.buslib import Bus, Incoming, unwrap

NAME = "org.freedesktop.PolicyKit1"
POLICY = (
    f'<policy user="root"><allow own="{NAME}"/></policy>'
    f'<policy context="default"><allow send_destination="{NAME}"/></policy>'
)
Answer = Callable[[int, str], str]  # (uid, action) -> "yes" | "ask" | "no"


class MockPolkit:
    """A process that owns polkit's name at ``address`` until `stop`; ``log`` gets each question."""

    def __init__(self, address: str, log: Path, answer: Answer) -> None:
        self.log = log
        log.touch()
        reading, writing = os.pipe()
        self._pid = os.fork()
        if not self._pid:
            try:
                asyncio.run(_serve(address, log, answer, writing))
            finally:
                os._exit(1)
        os.close(writing)
        ready = os.read(reading, 1)
        os.close(reading)
        if not ready:
            raise RuntimeError("the mock polkit did not start")

    def questions(self) -> list[dict[str, Any]]:
        """What was asked so far: action, uid, details, interactive, cancellation, or a cancelled id."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def stop(self) -> None:
        """Leave the bus."""
        if self._pid:
            os.kill(self._pid, 9)
            os.waitpid(self._pid, 0)
            self._pid = 0


async def _serve(address: str, log: Path, answer: Answer, ready: int) -> None:
    bus = await Bus.connect(address)

    def write(entry: dict[str, Any]) -> None:
        with log.open("a") as stream:
            stream.write(json.dumps(entry) + "\n")

    async def check(call: Incoming) -> None:
        subject, action, details, flags, cancellation = (unwrap(value) for value in call.body)
        uid = (await bus.credentials(subject[1]["name"])).uid
        write(
            {
                "action": action,
                "uid": uid,
                "kind": subject[0],
                "details": details,
                "interactive": bool(flags & 1),
                "cancellation": cancellation,
            }
        )
        said = answer(uid, action)
        if said == "hang":
            return
        # Nobody sits at a screen: a dialogue that may be shown ends without a password.
        challenge = said == "ask" and not flags & 1
        bus.reply(call, "(bba{ss})", [[said == "yes", challenge, {}]])

    def handle(call: Incoming) -> None:
        if call.member == "CheckAuthorization":
            bus.run(call, check(call))
        elif call.member == "CancelCheckAuthorization":
            write({"cancelled": call.body[0]})
            bus.reply(call)
        else:
            bus.fail(call, "org.freedesktop.DBus.Error.UnknownMethod", str(call.member))

    bus.serve(handle)
    await bus.request_name(NAME)
    os.write(ready, b"!")
    await asyncio.Event().wait()
