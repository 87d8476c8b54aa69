# SPDX-License-Identifier: LGPL-2.1-or-later
"""The bus: the only room that knows dbus-next or dbus-fast, and the place where their faults are repaired.

A `Bus` is a connection.  Calls that come in are `Incoming`, errors are `CallError` both ways, values of
type "v" are `Variant`.  What the interfaces of tapeds look like stands in `schema`.
"""

from tapeds.buslib.bus import Bus, Subscription
from tapeds.buslib.calls import CallError, Credentials, Error, Incoming, Reply, SignalMessage
from tapeds.buslib.dispatch import Handler
from tapeds.buslib.library import LIBRARY, Variant
from tapeds.buslib.values import check, unwrap

__all__ = [
    "LIBRARY",
    "Bus",
    "CallError",
    "Credentials",
    "Error",
    "Handler",
    "Incoming",
    "Reply",
    "SignalMessage",
    "Subscription",
    "Variant",
    "check",
    "unwrap",
]
