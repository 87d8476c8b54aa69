# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every span of time that the service waits for something."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Timings:
    """All in seconds."""

    lock: float = 10.0              # a job waits so long for another program's lock
    lock_poll: float = 0.1          # between two looks at a lock that somebody has
    query: float = 3.0              # GetStatus waits so long for an idle drive, then tells the last knowledge
    hello: float = 20.0             # from the start of a worker to its first message
    idle: float = 30.0              # a worker without device lives so long
    grace: float = 5.0              # from SIGTERM to SIGKILL of a worker without device
    ping: float = 15.0              # a working worker that says nothing so long is asked
    patience: float = 180.0         # and after so long it is given up
    linger: float = 60.0            # a job that has ended can be asked so long
    recovery: float = 20.0          # the start waits so long for what the last run left behind
    detached_lease: float = 600.0   # the lease of a detached request for a medium lives so long
