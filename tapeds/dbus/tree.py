# SPDX-License-Identifier: LGPL-2.1-or-later
"""The exported objects: path -> interface -> `Face`, and what their properties say."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from tapeds.buslib import CallError, Error, Variant, check
from tapeds.buslib.schema import Interface, Property
from tapeds.dbus import convert
from tapeds.dbus.face import Face

log = logging.getLogger(__name__)

Faces = Mapping[str, Face]
Plain = dict[str, Any]
"""Properties as the getters give them: plain Python values, dictionaries with kebab-case keys."""

_SILENT = frozenset({"false", "const"})


class Tree:
    """All objects.  ``interfaces`` are the XML; a face that does not have its members is refused."""

    def __init__(self, interfaces: Mapping[str, Interface]) -> None:
        self.interfaces = interfaces
        self.careful = False
        """Whether each value is checked before it is sent; it costs, and is due once one did not fit."""
        self._objects: dict[str, Faces] = {}
        self._complained: set[tuple[str, str]] = set()
        self._checked: set[type[Face]] = set()
        self._announced = {
            name: tuple(known.name for known in interface.properties.values() if known.emits not in _SILENT)
            for name, interface in interfaces.items()
        }

    @property
    def paths(self) -> Iterable[str]:
        """The path of every object."""
        return self._objects.keys()

    def add(self, path: str, faces: Iterable[Face]) -> None:
        """Put an object at ``path``.  Raises LookupError for a face that lacks a member of the XML."""
        by_interface = {face.interface: face for face in faces}
        for face in by_interface.values():
            self._check(face)
        self._objects[path] = by_interface

    def remove(self, path: str) -> Faces:
        """Take the object at ``path`` away; its faces, {} when there was none."""
        return self._objects.pop(path, {})

    def faces(self, path: str) -> Faces:
        """The faces of the object at ``path``, {} when there is none."""
        return self._objects.get(path, {})

    def has(self, face: Face) -> bool:
        """Whether ``face`` is exported."""
        return self.faces(face.path).get(face.interface) is face

    def leads_somewhere(self, path: str) -> bool:
        """Whether there is an object at ``path`` or below it."""
        below = path.rstrip("/") + "/"
        return path in self._objects or any(other.startswith(below) for other in self._objects)

    def face(self, path: str, interface: str) -> Face:
        """Raises CallError UnknownObject, UnknownInterface."""
        found = self.faces(path).get(interface)
        if found is None:
            if not self.leads_somewhere(path):
                raise CallError(Error.UNKNOWN_OBJECT, f"there is no object {path}")
            raise CallError(Error.UNKNOWN_INTERFACE, f"{path} has no interface {interface}")
        return found

    def find_property(self, path: str, interface: str, name: str) -> tuple[Face, Property]:
        """The property and its face; an empty ``interface`` means any.  Raises CallError."""
        faces = [self.face(path, interface)] if interface else list(self.faces(path).values())
        if not faces and not self.leads_somewhere(path):
            raise CallError(Error.UNKNOWN_OBJECT, f"there is no object {path}")
        for face in faces:
            if found := self.interfaces[face.interface].properties.get(name):
                return face, found
        within = f" in {interface}" if interface else ""
        raise CallError(Error.UNKNOWN_PROPERTY, f"{path} has no property {name}{within}")

    def value(self, face: Face, name: str) -> Variant:
        """One property as it is sent.  Raises whatever its getter raises."""
        return self._wrap(face, name, face.getters[name]())

    def values(self, face: Face) -> dict[str, Variant]:
        """Every property of ``face`` that can be sent."""
        return self.wrap(face, self._read(face, face.getters))

    def announced(self, face: Face) -> Plain:
        """The properties of ``face`` whose changes are told, as its getters give them."""
        return self._read(face, self._announced[face.interface])

    def wrap(self, face: Face, plain: Plain) -> dict[str, Variant]:
        """``plain`` as it is sent; while `careful`, what does not fit its type is left out."""
        found: dict[str, Variant] = {}
        for name, value in plain.items():
            try:
                variant = self._wrap(face, name, value)
                if self.careful:
                    check("v", [variant])
            except Exception as exc:
                self._complain(face, name, exc)
            else:
                found[name] = variant
        return found

    def _read(self, face: Face, wanted: Iterable[str]) -> Plain:
        found: Plain = {}
        for name in wanted:
            try:
                value = face.getters[name]()
                found[name] = dict(value) if isinstance(value, dict) else value    # it may go on changing
            except Exception as exc:
                self._complain(face, name, exc)
        return found

    def _wrap(self, face: Face, name: str, value: Any) -> Variant:
        kind = self.interfaces[face.interface].properties[name].type
        if kind == "s":
            return Variant("s", convert.text(value))
        if kind == "a{sv}":
            return Variant("a{sv}", convert.to_wire(value))
        return Variant(kind, value)

    def managed(self, root: str) -> dict[str, dict[str, dict[str, Variant]]]:
        """What GetManagedObjects of the object manager at ``root`` answers."""
        below = root.rstrip("/") + "/"
        return {path: self.described(path) for path in self._objects if path.startswith(below)}

    def described(self, path: str) -> dict[str, dict[str, Variant]]:
        """The interfaces of the object at ``path`` with their properties."""
        return {name: self.values(face) for name, face in self.faces(path).items()}

    def _complain(self, face: Face, name: str, exc: Exception) -> None:
        """A getter failed: one entry in the journal for each property, however often it is asked."""
        if (face.interface, name) not in self._complained:
            self._complained.add((face.interface, name))
            log.error("property %s of %s cannot be read", name, face.path, exc_info=exc)

    def _check(self, face: Face) -> None:
        kind = type(face)
        if kind in self._checked:
            return
        about = self.interfaces[face.interface]
        lacking = [name for name in about.methods if not callable(getattr(face, name, None))]
        lacking += [name for name in about.properties if name not in face.getters]
        lacking += [
            f"{name} (write)"
            for name, known in about.properties.items()
            if "write" in known.access and name not in face.setters()
        ]
        if lacking:
            raise LookupError(f"{kind.__name__} lacks {', '.join(lacking)} of {face.interface}")
        self._checked.add(kind)
