# SPDX-License-Identifier: LGPL-2.1-or-later
"""`Face`: one interface of one object, as a class that has no ideas of its own.

Its properties are getters by D-Bus name, its methods are called as the members are.  A method
gets the `Call`, the arguments without ``options``, then the options; it returns the out argument,
or a tuple of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from tapeds.dbus.authorization import Relation
from tapeds.jobs.caller import Caller

Getter = Callable[[], Any]
Setter = Callable[[Any], None]


@dataclass(frozen=True)
class Call:
    """What a method knows of its caller."""

    caller: Caller
    session: str  # the lease named in the option ``session``, "" for none
    take_fd: Callable[[int], int]  # argument "h" -> descriptor, owned by whoever takes it


class Face:
    """The base of all faces."""

    interface: ClassVar[str]

    def __init__(self, path: str) -> None:
        self.path = path
        self.getters: Mapping[str, Getter] = self.properties()

    def properties(self) -> Mapping[str, Getter]:
        """The getter of every property; called once, after the subject is set."""
        return {}

    def setters(self) -> Mapping[str, Setter]:
        """What sets a property, for those that can be written.  A setter raises InvalidOption."""
        return {}

    def details(self, arguments: tuple[Any, ...]) -> Mapping[str, str]:
        """What polkit's rules may look at."""
        return {}

    def relation(self, caller: Caller) -> Relation:
        """What ``caller`` is to this object."""
        return Relation.OTHER

    def lease(self, caller: Caller, session: str) -> str:
        """The path of the lease under which ``caller`` acts here, "" for none."""
        return ""
