# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which signals are wanted, and from whom.

Ref: D-Bus Specification, "Match Rules"
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tapeds.buslib.calls import SignalMessage
from tapeds.buslib.wire import Frame

BUS = "org.freedesktop.DBus"
BUS_PATH = "/org/freedesktop/DBus"


@dataclass(frozen=True)
class Rule:
    """What a signal must be like; None: anything."""

    sender: str | None = None
    path: str | None = None
    path_namespace: str | None = None
    interface: str | None = None
    member: str | None = None
    arg0: str | None = None

    def text(self) -> str:
        """The rule as the bus wants it."""
        parts = ["type='signal'"]
        for key in ("sender", "path", "path_namespace", "interface", "member", "arg0"):
            value = getattr(self, key)
            if value is not None:
                parts.append(f"{key}='" + value.replace("'", "'\\''") + "'")
        return ",".join(parts)

    def matches(self, frame: Frame, owners: dict[str, str] | None) -> bool:
        """Whether ``frame`` is meant, ``arg0`` apart.

        ``owners``: the connections behind well-known names; None: any connection may have one.
        """
        if self.member is not None and frame.member != self.member:
            return False
        if self.interface is not None and frame.interface != self.interface:
            return False
        if self.path is not None and frame.path != self.path:
            return False
        if self.path_namespace is not None and not _lies_under(frame.path, self.path_namespace):
            return False
        if self.sender is None or (owners is None and is_well_known(self.sender)):
            return True
        return frame.sender == (owners or {}).get(self.sender, self.sender)


def _lies_under(path: str, namespace: str) -> bool:
    return namespace == "/" or path == namespace or path.startswith(namespace + "/")


def is_well_known(name: str | None) -> bool:
    """Whether ``name`` has to be looked up to know the connection that sends under it."""
    return name is not None and not name.startswith(":") and name != BUS


@dataclass(eq=False)
class Wish:
    """One subscription: a rule and who is told."""

    rule: Rule
    callback: Callable[[SignalMessage], None]
    open: bool = True


class Wishes:
    """All subscriptions of a connection, and the owners of the names they mention."""

    def __init__(self) -> None:
        self._all: list[Wish] = []
        self._followers: dict[str, int] = {}           # well-known names, how many wishes mention them
        self._owners: dict[str, str] = {}              # their owners; "" while nobody owns one

    def add(self, wish: Wish) -> None:
        """Tell ``wish`` of every matching signal from now on."""
        self._all.append(wish)

    def remove(self, wish: Wish) -> None:
        """Tell ``wish`` nothing more, not even what waits already."""
        wish.open = False
        if wish in self._all:
            self._all.remove(wish)

    def possible(self, frame: Frame) -> bool:
        """Whether some wish may be fulfilled by ``frame``, whoever has the names by the time it is there."""
        return any(wish.rule.matches(frame, None) for wish in self._all)

    def matching(self, frame: Frame) -> list[Wish]:
        """The wishes that ``frame`` may fulfil; ``arg0`` is still to be compared."""
        return [wish for wish in self._all if wish.rule.matches(frame, self._owners)]

    def follow(self, name: str) -> bool:
        """Keep the owner of ``name`` from now on; True if it was not kept before."""
        count = self._followers.get(name, 0)
        self._followers[name] = count + 1
        return count == 0

    def unfollow(self, name: str) -> bool:
        """The opposite; True if nobody needs the owner of ``name`` any more."""
        self._followers[name] -= 1
        if self._followers[name]:
            return False
        del self._followers[name]
        self._owners.pop(name, None)
        return True

    def learn_owner(self, name: str, owner: str) -> None:
        """The bus answered that ``owner`` has ``name``; what it announced meanwhile is newer."""
        if name in self._followers:
            self._owners.setdefault(name, owner)

    def change_owner(self, name: str, owner: str) -> None:
        """The bus announced that ``owner`` has ``name`` now; "": nobody."""
        if name in self._followers:
            self._owners[name] = owner
