# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who asks: one connection to the bus and the user behind it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Caller:
    """``name`` is the unique name of the connection (``:1.42``); ``pid`` is 0 when not known."""

    name: str
    uid: int
    pid: int = 0

    def __str__(self) -> str:
        return f"uid {self.uid} (pid {self.pid})" if self.pid else f"uid {self.uid}"
