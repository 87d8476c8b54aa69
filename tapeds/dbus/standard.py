# SPDX-License-Identifier: LGPL-2.1-or-later
"""The interfaces of the D-Bus specification: Introspectable, Peer, Properties, ObjectManager.

They are answered at once, out of the tree; only ``Properties.Set`` is left to the server, which
must ask first who is calling.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tapeds import names
from tapeds.buslib import CallError, Error, Incoming
from tapeds.buslib.schema import Interface, Method, parse
from tapeds.dbus import introspect
from tapeds.dbus.tree import Tree

PROPERTIES = "org.freedesktop.DBus.Properties"
INTROSPECTABLE = "org.freedesktop.DBus.Introspectable"
PEER = "org.freedesktop.DBus.Peer"
OBJECT_MANAGER = "org.freedesktop.DBus.ObjectManager"

_XML = """
<node>
 <interface name="org.freedesktop.DBus.Introspectable">
  <method name="Introspect"><arg name="xml_data" type="s" direction="out"/></method>
 </interface>
 <interface name="org.freedesktop.DBus.Peer">
  <method name="Ping"/>
  <method name="GetMachineId"><arg name="machine_uuid" type="s" direction="out"/></method>
 </interface>
 <interface name="org.freedesktop.DBus.Properties">
  <method name="Get">
   <arg name="interface_name" type="s" direction="in"/>
   <arg name="property_name" type="s" direction="in"/>
   <arg name="value" type="v" direction="out"/>
  </method>
  <method name="GetAll">
   <arg name="interface_name" type="s" direction="in"/>
   <arg name="properties" type="a{sv}" direction="out"/>
  </method>
  <method name="Set">
   <arg name="interface_name" type="s" direction="in"/>
   <arg name="property_name" type="s" direction="in"/>
   <arg name="value" type="v" direction="in"/>
  </method>
  <signal name="PropertiesChanged">
   <arg name="interface_name" type="s"/>
   <arg name="changed_properties" type="a{sv}"/>
   <arg name="invalidated_properties" type="as"/>
  </signal>
 </interface>
 <interface name="org.freedesktop.DBus.ObjectManager">
  <method name="GetManagedObjects">
   <arg name="objects" type="a{oa{sa{sv}}}" direction="out"/>
  </method>
  <signal name="InterfacesAdded">
   <arg name="object" type="o"/>
   <arg name="interfaces" type="a{sa{sv}}"/>
  </signal>
  <signal name="InterfacesRemoved">
   <arg name="object" type="o"/>
   <arg name="interfaces" type="as"/>
  </signal>
 </interface>
</node>
"""

MACHINE_ID_FILES = ("/etc/machine-id", "/var/lib/dbus/machine-id")


class Standard:
    """Answers to the standard interfaces of every object in ``tree``."""

    def __init__(self, tree: Tree, machine_id_files: tuple[str, ...] = MACHINE_ID_FILES) -> None:
        self._tree = tree
        self._machine_id_files = machine_id_files
        self.interfaces: Mapping[str, Interface] = parse(_XML)
        self._answers: dict[tuple[str, str], Callable[[Incoming], Any]] = {
            (INTROSPECTABLE, "Introspect"): self._introspect,
            (PEER, "Ping"): lambda call: (),
            (PEER, "GetMachineId"): self._machine_id,
            (PROPERTIES, "Get"): self._get,
            (PROPERTIES, "GetAll"): self._get_all,
            (OBJECT_MANAGER, "GetManagedObjects"): self._managed_objects,
        }

    def method(self, call: Incoming) -> tuple[str, Method] | None:
        """The standard method that ``call`` means; a call without an interface may mean any."""
        for name in (call.interface,) if call.interface else self.interfaces:
            interface = self.interfaces.get(name)
            if interface is not None and (method := interface.methods.get(call.member)):
                return name, method
        return None

    def answer(self, call: Incoming, interface: str) -> tuple[Any, ...]:
        """The out arguments.  Raises CallError."""
        if interface != PEER and not self._tree.leads_somewhere(call.path):
            raise CallError(Error.UNKNOWN_OBJECT, f"there is no object {call.path}")
        result: tuple[Any, ...] = self._answers[interface, call.member](call)
        return result

    def _introspect(self, call: Incoming) -> tuple[str]:
        faces = self._tree.faces(call.path)
        here = [INTROSPECTABLE, PEER]
        if faces:
            here.append(PROPERTIES)
        if call.path == names.ROOT_PATH:
            here.append(OBJECT_MANAGER)
        interfaces = [self.interfaces[name] for name in here] + [
            self._tree.interfaces[name] for name in faces
        ]
        return (introspect.node_xml(interfaces, introspect.children(call.path, self._tree.paths)),)

    def _machine_id(self, call: Incoming) -> tuple[str]:
        for path in self._machine_id_files:
            try:
                with open(path, encoding="ascii") as file:
                    return (file.read().strip(),)
            except OSError:
                continue  # the next place may have it
        raise CallError("org.freedesktop.DBus.Error.FileNotFound", "this machine has no machine id")

    def _get(self, call: Incoming) -> tuple[Any]:
        interface, name = call.body
        face, about = self._tree.find_property(call.path, interface, name)
        return (self._tree.value(face, about.name),)

    def _get_all(self, call: Incoming) -> tuple[Any]:
        (interface,) = call.body
        if interface in self.interfaces:
            return ({},)
        faces = self._tree.faces(call.path)
        wanted = [self._tree.face(call.path, interface)] if interface else list(faces.values())
        return ({name: value for face in wanted for name, value in self._tree.values(face).items()},)

    def _managed_objects(self, call: Incoming) -> tuple[Any]:
        if call.path != names.ROOT_PATH:
            text = f"the object manager is {names.ROOT_PATH}, not {call.path}"
            raise CallError(Error.UNKNOWN_INTERFACE, text)
        return (self._tree.managed(names.ROOT_PATH),)
