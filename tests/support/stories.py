# SPDX-License-Identifier: LGPL-2.1-or-later
"""Helpers of tests that are played in an event loop, with a service and its client on a private bus."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

from support.privatebus import PrivateBus

SERVICE = "org.example.Service"
PATH = "/org/example"
INTERFACE = "org.example.Interface"


def play(story: Awaitable[None]) -> None:
    """Run a test's story in an event loop of its own."""
    async def limited() -> None:
        await asyncio.wait_for(story, 120)

    asyncio.run(limited())


async def pair(room: ModuleType, bus: PrivateBus, handler: Callable[[Any], None]) -> tuple[Any, Any]:
    """A service that owns `SERVICE` and gives its calls to ``handler``, and a client."""
    service, client = await room.Bus.connect(bus.address), await room.Bus.connect(bus.address)
    await service.request_name(SERVICE)
    service.serve(handler)
    return service, client


def open_fds() -> set[str]:
    """The descriptors that this process holds, with what they are."""
    gc.collect()
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{number} {os.readlink(f'/proc/self/fd/{number}')}")
        except FileNotFoundError:
            pass                       # the descriptor of the directory itself
    return found


async def until(condition: Callable[[], bool]) -> None:
    """Return when ``condition`` holds; `play` ends a test in which it never does."""
    while not condition():
        await asyncio.sleep(0.005)


async def until_left(bus: Any, name: str) -> None:
    """Return when nobody owns ``name`` any more."""
    driver = "org.freedesktop.DBus"
    while (await bus.call(driver, "/", driver, "NameHasOwner", "s", [name])).body[0]:
        await asyncio.sleep(0.005)
