# SPDX-License-Identifier: LGPL-2.1-or-later
"""PropertiesChanged, told at most once per turn of the event loop, and before any answer that follows.

What has changed is found by comparing: whoever changes something says only that, not what.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tapeds.dbus.face import Face
from tapeds.dbus.tree import Plain, Tree

Announce = Callable[[Face, Plain, list[str]], None]
"""Send PropertiesChanged of a face: changed values, names of invalidated properties."""


class Changes:
    """Which faces may have changed, and what their properties said last."""

    def __init__(self, tree: Tree, announce: Announce) -> None:
        self._tree = tree
        self._announce = announce
        self._said: dict[Face, Plain] = {}
        self._touched: dict[Face, None] = {}
        self._flush: asyncio.Handle | None = None

    def begin(self, face: Face) -> None:
        """``face`` is exported now, and its properties are told as they are."""
        self._said[face] = self._tree.announced(face)

    def end(self, face: Face) -> None:
        """``face`` is not exported any more."""
        self._said.pop(face, None)
        self._touched.pop(face, None)

    def touch(self, face: Face) -> None:
        """Something behind ``face`` may have changed."""
        if face not in self._said:
            return
        self._touched[face] = None
        if self._flush is None:
            self._flush = asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        """Tell now what has changed."""
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None
        touched, self._touched = self._touched, {}
        for face in touched:
            self._compare(face)

    def _compare(self, face: Face) -> None:
        said = self._said[face]
        now = self._tree.announced(face)
        changed = {name: value for name, value in now.items() if name not in said or said[name] != value}
        if not changed:
            return
        self._said[face] = now
        about = self._tree.interfaces[face.interface].properties
        invalidated = [name for name in changed if about[name].emits == "invalidates"]
        for name in invalidated:
            del changed[name]
        self._announce(face, changed, invalidated)
