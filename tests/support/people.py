# SPDX-License-Identifier: LGPL-2.1-or-later
"""Doing something as somebody else: a process of ours that has given up our rights for good.

It is a fork, so that it needs to read no file of the checkout that the other user may not read.
"""

from __future__ import annotations

import asyncio
import grp
import json
import os
import pwd
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tapeds.buslib import Bus, CallError

Work = Callable[[Bus], Awaitable[Any]]


@dataclass(frozen=True)
class Person:
    """Who a process is."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...] = ()


def _system_user(role: str, name: str, *groups: int) -> Person:
    """A user that every Debian system has; a bus talks only to users that exist."""
    entry = pwd.getpwnam(name)
    return Person(role, entry.pw_uid, entry.pw_gid, groups)


ROOT = Person("root", 0, 0)
OPERATOR = _system_user("operator", "backup", grp.getgrnam("tape").gr_gid)
NOBODY = _system_user("nobody", "nobody")
STRANGER = _system_user("stranger", "games")


def become(person: Person) -> None:
    """Be ``person`` from now on, with no way back."""
    if person.uid == os.geteuid():
        return
    os.setgroups(person.groups)
    os.setresgid(person.gid, person.gid, person.gid)
    os.setresuid(person.uid, person.uid, person.uid)


def start(person: Person, address: str, work: Work) -> tuple[int, int]:
    """Begin ``work`` with a bus connection of ``person``; the pid and the descriptor of its result."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    status = 1
    try:
        os.close(reading)
        become(person)

        async def main() -> Any:
            bus = await Bus.connect(address)
            try:
                return await work(bus)
            finally:
                await bus.close()

        result = json.dumps(asyncio.run(main())).encode()
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(result)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def finish(pid: int, reading: int) -> Any:
    """The result of what was started."""
    with os.fdopen(reading, "rb") as pipe:
        result = pipe.read()
    _, status = os.waitpid(pid, 0)
    assert status == 0, f"the other process ended with status {status}; its error is above"
    return json.loads(result)


def as_(person: Person, address: str, work: Work) -> Any:
    """What ``work`` returns when ``person`` does it."""
    return finish(*start(person, address, work))


async def outcome(
    bus: Bus, path: str, interface: str, member: str, signature: str, body: list[Any], **how: Any
) -> tuple[str, str]:
    """("", "") for a reply, else the error's name and text."""
    try:
        reply = await bus.call("org.tapeds1", path, interface, member, signature, body, timeout=30, **how)
    except CallError as exc:
        return exc.name, exc.text
    for fd in reply.fds:
        os.close(fd)
    return "", ""


@contextmanager
def owning(
    person: Person,
    address: str,
    begin: Callable[[Bus], Awaitable[Any]],
    end: Callable[[Bus, Any], Awaitable[None]],
) -> Iterator[Any]:
    """What ``begin`` made on a connection of ``person``; ``end`` tidies up on the same connection."""
    told, telling = os.pipe()
    going, go = os.pipe()

    async def work(bus: Bus) -> None:
        os.close(go)
        made = await begin(bus)
        os.write(telling, json.dumps(made).encode())
        await asyncio.to_thread(os.read, going, 1)
        await end(bus, made)

    process = start(person, address, work)
    os.close(telling)
    os.close(going)
    try:
        made = os.read(told, 65536)
        os.close(told)
        yield json.loads(made or b"null")
    finally:
        os.close(go)
        finish(*process)
