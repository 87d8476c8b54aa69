# SPDX-License-Identifier: LGPL-2.1-or-later
"""Introspection data of a node: its interfaces as the XML has them, and the nodes below it."""

from __future__ import annotations

from collections.abc import Iterable

from tapeds.buslib.schema import Interface

_HEADER = (
    '<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"\n'
    ' "http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">\n'
)


def node_xml(interfaces: Iterable[Interface], children: Iterable[str]) -> str:
    """One object: its ``interfaces`` and the names of the nodes below it."""
    parts = [interface.xml for interface in interfaces]
    parts += [f'<node name="{child}"/>' for child in children]
    return _HEADER + "\n".join(["<node>", *parts, "</node>", ""])


def children(path: str, paths: Iterable[str]) -> list[str]:
    """The names directly below ``path`` of nodes that lead to ``paths``, sorted."""
    prefix = path.rstrip("/") + "/"
    below = (other[len(prefix) :] for other in paths if other.startswith(prefix))
    return sorted({rest.split("/")[0] for rest in below if rest})
