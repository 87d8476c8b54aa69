# SPDX-License-Identifier: LGPL-2.1-or-later
"""A tape drive of files: a device server for SCSI stream commands that has nothing in common with `scsi`.

It parses CDBs and builds its answers with byte code of its own, written from the standards, so
that a wrong bit is not wrong at both ends.  `device.Device` is the door.
"""

from __future__ import annotations

from .device import Device, NotPossible
from .faults import BadScript
from .queue import Response
from .unit import Settings

__all__ = ["BadScript", "Device", "NotPossible", "Response", "Settings"]
