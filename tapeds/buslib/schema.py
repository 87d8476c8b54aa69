# SPDX-License-Identifier: LGPL-2.1-or-later
"""The API book as values: interfaces, members, argument names, types and annotations."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_FILE = "org.tapeds1.xml"
_EMITS = "org.freedesktop.DBus.Property.EmitsChangedSignal"


@dataclass(frozen=True)
class Arg:
    """A named argument of type ``type``, a complete type of a D-Bus signature."""

    name: str
    type: str


@dataclass(frozen=True)
class Method:
    """What goes into a method and what comes out."""

    name: str
    inputs: tuple[Arg, ...]
    outputs: tuple[Arg, ...]
    annotations: Mapping[str, str]

    @property
    def in_signature(self) -> str:
        """The signature of a call's body."""
        return "".join(arg.type for arg in self.inputs)

    @property
    def out_signature(self) -> str:
        """The signature of a reply's body."""
        return "".join(arg.type for arg in self.outputs)


@dataclass(frozen=True)
class Property:
    """``access`` is read, write or readwrite; ``emits`` is true, false, const or invalidates."""

    name: str
    type: str
    access: str
    emits: str
    annotations: Mapping[str, str]


@dataclass(frozen=True)
class Signal:
    """What a signal carries."""

    name: str
    args: tuple[Arg, ...]
    annotations: Mapping[str, str]

    @property
    def signature(self) -> str:
        """The signature of its body."""
        return "".join(arg.type for arg in self.args)


@dataclass(frozen=True)
class Interface:
    """One interface; ``xml`` is its element as `Introspect` shows it, without comments."""

    name: str
    methods: Mapping[str, Method]
    properties: Mapping[str, Property]
    signals: Mapping[str, Signal]
    annotations: Mapping[str, str]
    xml: str


def parse(xml: str) -> dict[str, Interface]:
    """The interfaces in ``xml``, an introspection document, by name, in the order of the document.

    Raises xml.etree.ElementTree.ParseError, KeyError for what is none.
    """
    interfaces = map(_interface, ET.fromstring(xml).iter("interface"))
    return {one.name: one for one in interfaces}


def _interface(element: ET.Element) -> Interface:
    ET.indent(element)
    element.tail = None
    return Interface(
        element.attrib["name"],
        {one.name: one for one in map(_method, element.iterfind("method"))},
        {one.name: one for one in map(_property, element.iterfind("property"))},
        {one.name: one for one in map(_signal, element.iterfind("signal"))},
        _annotations(element),
        ET.tostring(element, encoding="unicode"),
    )


def _method(element: ET.Element) -> Method:
    args = {direction: tuple(_arg(arg) for arg in element.iterfind("arg")
                             if arg.get("direction", "in") == direction) for direction in ("in", "out")}
    return Method(element.attrib["name"], args["in"], args["out"], _annotations(element))


def _property(element: ET.Element) -> Property:
    annotations = _annotations(element)
    return Property(element.attrib["name"], element.attrib["type"], element.attrib["access"],
                    annotations.get(_EMITS, "true"), annotations)


def _signal(element: ET.Element) -> Signal:
    return Signal(element.attrib["name"], tuple(map(_arg, element.iterfind("arg"))), _annotations(element))


def _arg(element: ET.Element) -> Arg:
    return Arg(element.get("name", ""), element.attrib["type"])


def _annotations(element: ET.Element) -> dict[str, str]:
    return {one.attrib["name"]: one.attrib["value"] for one in element.iterfind("annotation")}


def api_xml() -> str:
    """The API book: it lies in the room ``dbus``, in a checkout at the top.  Raises FileNotFoundError."""
    package = Path(__file__).parents[1]
    places = (package / "dbus" / _FILE, package.parent / "dbus" / _FILE)
    for place in places:
        if place.is_file():
            return place.read_text(encoding="utf-8")
    raise FileNotFoundError(f"the API book is in none of {', '.join(map(str, places))}")


@cache
def api() -> dict[str, Interface]:
    """The interfaces of tapeds."""
    return parse(api_xml())
