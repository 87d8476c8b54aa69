# SPDX-License-Identifier: LGPL-2.1-or-later
"""Lists that travel in packets: as much as fits, and whether that is all."""

from __future__ import annotations

from tapeds.worker.messages import MAXIMUM, Json, json_bytes

_ROOM = MAXIMUM - 16 * 1024           # beside the list a packet holds the state and a few keys


def fit(entries: list[Json]) -> tuple[list[Json], bool]:
    """As many of the first ``entries`` as fit into a packet, and whether there are more."""
    room = _ROOM
    for index, entry in enumerate(entries):
        room -= len(json_bytes(entry)) + 1
        if room < 0:
            return entries[:index], True
    return entries, False
