# SPDX-License-Identifier: LGPL-2.1-or-later
"""Making everything durable, and giving the device back."""

from __future__ import annotations

import logging

from tapeds.errors import TapeError
from tapeds.names import Field
from tapeds.worker import recovery
from tapeds.worker.lease import Lease

log = logging.getLogger(__name__)


def synchronize(lease: Lease, poll: recovery.Poll) -> None:
    """Close an open file, make everything written durable, and let the intent go."""
    recovery.repair(lease, poll)
    _sync(lease)


def release(lease: Lease) -> list[str]:
    """Give the device back: mark an open file incomplete, sync, close.

    Each step is tried even if the one before failed; what failed is told, step by step.
    """
    failed = []
    for step, action in (
        ("mark the open file incomplete", _mark_open_file),
        ("sync", _sync),
        ("close", _close),
    ):
        try:
            action(lease)
        except TapeError as error:
            failed.append(f"{step}: {error.name}: {error}")
            fields = {Field.DRIVE: lease.spec.name}
            log.warning("%s: release: %s failed: %s", lease.name, step, error, extra=fields)
    lease.drop_ring()
    return failed


def _mark_open_file(lease: Lease) -> None:
    if lease.knowledge.in_file:
        recovery.repair(lease, _never)


def _sync(lease: Lease) -> None:
    knowledge = lease.knowledge
    if knowledge.undurable:
        lease.drive.write_filemarks(0)
        knowledge.synchronized()
    if lease.intents.begun_here and not knowledge.in_file:
        lease.let_intent_go()


def _close(lease: Lease) -> None:
    lease.drive.close()


def _never() -> None:
    """A release cannot be stopped."""
