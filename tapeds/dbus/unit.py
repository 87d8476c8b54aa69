# SPDX-License-Identifier: LGPL-2.1-or-later
"""Asking systemd what becomes of our own unit.  Ref: org.freedesktop.systemd1(5)."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import Any

from tapeds.buslib import Bus, CallError, unwrap

SECONDS = 2.0

_NAME = "org.freedesktop.systemd1"
_PATH = "/org/freedesktop/systemd1"
_NO_JOB = 0

log = logging.getLogger(__name__)


async def is_restarting(bus: Bus) -> bool:
    """Whether this process is stopped in order to be started again; False where nobody says so in time."""
    try:
        async with asyncio.timeout(SECONDS):
            return await _job_type(bus) == "restart"
    except TimeoutError:
        log.warning("systemd does not say whether this is a restart: it has not answered in %g s", SECONDS)
    except CallError as exc:
        log.info("systemd does not say whether this is a restart: %s", exc.text)
    except (LookupError, TypeError, ValueError) as exc:
        log.warning("systemd does not say whether this is a restart: its answer is no job (%s)", exc)
    return False


async def _job_type(bus: Bus) -> str:
    """The type of the job of our unit, "" for none."""
    reply = await bus.call(_NAME, _PATH, f"{_NAME}.Manager", "GetUnitByPID", "u", [os.getpid()])
    number, job = await _get(bus, str(reply.body[0]), "Unit", "Job")
    return "" if number == _NO_JOB else str(await _get(bus, str(job), "Job", "JobType"))


async def _get(bus: Bus, path: str, interface: str, name: str) -> Any:
    wanted = [f"{_NAME}.{interface}", name]
    reply = await bus.call(_NAME, path, "org.freedesktop.DBus.Properties", "Get", "ss", wanted)
    return unwrap(reply.body[0])
