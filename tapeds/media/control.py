# SPDX-License-Identifier: LGPL-2.1-or-later
"""The door `Control`: what the caller may say while its tape is moving.

Whoever runs a transfer stands behind it and knows the caller; this room knows neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Commit:
    """The caller's word that its file is whole: ``size`` bytes, with this ``sha256`` (hex, or empty)."""

    size: int
    sha256: str = ""


class Control(Protocol):
    """Asked between blocks.  `poll` and `wait` raise Cancelled, ClientGone, Incomplete, … to end the work."""

    commit: Commit | None
    """What the caller has committed so far."""

    def poll(self) -> None:
        """Take what the caller has said since the last call."""

    def wait(self, fd: int, *, writing: bool) -> None:
        """Wait until ``fd`` can be read (or written), or the caller has said something.

        The other end's hanging up counts as ready.  ``fd`` -1: wait for the caller's word only.
        """

    def report(
        self,
        done: int,
        total: int = 0,
        *,
        file: int | None = None,
        early_warning: bool = False,
        message: str = "",
    ) -> None:
        """Tell how far the work is; cheap enough for every block.  ``total`` 0: not known."""
