# SPDX-License-Identifier: LGPL-2.1-or-later
"""A message as bytes, or the reason why no bus would take it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tapeds.buslib import library, values
from tapeds.buslib.calls import CallError, Error

LONGEST = 16 * 1024 * 1024             # dbus-daemon drops whoever sends more than 32 MiB
MOST_FDS = 16                          # and whoever sends more descriptors than this in one message

_NAMES: dict[str, Callable[[str], bool]] = {
    "destination": values.is_bus_name,
    "path": values.is_path,
    "interface": values.is_interface,
    "member": values.is_member,
    "error_name": values.is_interface,
}


def compose(kind: int, serial: int, signature: str, body: Sequence[Any], fds: int,
            header: Mapping[str, Any]) -> bytes:
    """The message; ``fds`` descriptors will go with it.

    Raises CallError: InvalidArgs where names or values are not what they must be, LimitsExceeded
    where there is too much of it.
    """
    if fds > MOST_FDS:
        raise CallError(Error.LIMITS_EXCEEDED, f"a message carries at most {MOST_FDS} descriptors, not {fds}")
    for key, is_valid in _NAMES.items():
        value = header.get(key)
        if value is not None and not is_valid(value):
            raise CallError(Error.INVALID_ARGS, f"{value!r} is no {key.replace('_', ' ')}")
    try:
        checked = values.check(signature, body, fds)
    except values.Mismatch as exc:
        raise CallError(Error.INVALID_ARGS, str(exc)) from exc
    data = library.encode(kind, serial, signature=signature, body=checked, fd_count=fds, **header)
    if len(data) > LONGEST:
        raise CallError(Error.LIMITS_EXCEEDED, f"the message has {len(data)} bytes, more than {LONGEST}")
    return data
