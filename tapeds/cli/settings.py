# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the person asked of every verb alike."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Settings:
    """The common options.  They may stand before the verb or behind it."""

    address: str | None = None  # None: DBUS_SYSTEM_BUS_ADDRESS, else the system bus
    interactive: bool = True  # polkit may ask for a password
    json: bool = False  # one JSON document on standard output instead of text
    quiet: bool = False  # no progress and no words about success
    mute: bool = False  # no words about failure either: for completion
    verbose: bool = False  # D-Bus error names; a traceback for a fault of tapectl itself
