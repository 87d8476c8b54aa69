# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the kernel shows of drives and changers, and the directories that are configured as drives.

Only sysfs and names are read, no device is opened; nodes may come and go meanwhile.
Ref: drivers/scsi/scsi_sysfs.c of Linux (type, vendor, model, rev, vpd_pg80).
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

CLASSES = ("scsi_generic", "scsi_tape", "scsi_changer")

_KINDS = {"1": "drive", "8": "changer"}          # peripheral device type.  Ref: [SPC-5]
_SG = re.compile(r"sg\d+")
_TAPE = re.compile(r"nst\d+")                    # without the letter of another mode
_UNIT_SERIAL_NUMBER = 0x80


class Configured(Protocol):
    """The section of a drive, as far as it matters here."""

    @property
    def type(self) -> str: ...
    @property
    def path(self) -> str: ...


@dataclass(frozen=True)
class DeviceNode:
    """One device; texts are "" where nothing is known."""

    kind: str                       # "drive" or "changer"
    type: str                       # "scsi", or the configured type of a directory
    device: str                     # the node to work with: /dev/sgN, or the directory; "" without an sg node
    tape_device: str = ""           # the kernel's own node of a drive, /dev/nstN
    by_id: str = ""                 # a name that stays: /dev/tape/by-id/...
    vendor: str = ""
    model: str = ""
    revision: str = ""
    serial: str = ""
    configured_as: str = ""         # name of the drive
    path: str = ""                  # the path in the configuration
    present: bool = True
    duplicate_of: str = ""          # the device before it that is the same, by serial number or directory


def scan(sysfs: Path, configured: Mapping[str, Configured], *, dev: Path = Path("/dev")) -> list[DeviceNode]:
    """Every tape drive and medium changer below ``sysfs`` (``/sys``), then every configured directory.

    ``configured`` are the drives by name; ``dev`` is where their nodes and ``tape/by-id`` are.
    """
    links = _links(dev)
    nodes = [_scsi_node(place, dev, links) for place in _scsi_devices(sysfs)]
    found = [node for node in nodes if node is not None]
    return [*_marked(found), *_directories(configured)]


def _scsi_devices(sysfs: Path) -> list[Path]:
    """The directory of each SCSI device that has a node of one of the classes, in natural order."""
    places = set()
    for name in CLASSES:
        for entry in _entries(sysfs / "class" / name):
            place = sysfs / "class" / name / entry / "device"
            if place.is_dir():
                places.add(place.resolve())
    return sorted(places, key=_natural)


def _scsi_node(place: Path, dev: Path, links: Mapping[str, list[str]]) -> DeviceNode | None:
    kind = _KINDS.get(_text(place / "type"))
    if kind is None:
        return None
    generic = _child(place / "scsi_generic", _SG)
    tape = _child(place / "scsi_tape", _TAPE)
    serial = _serial(place / "vpd_pg80")
    return DeviceNode(
        kind=kind,
        type="scsi",
        device=str(dev / generic) if generic else "",
        tape_device=str(dev / tape) if tape else "",
        by_id=_stable(links.get(generic, []), serial),
        vendor=_text(place / "vendor"),
        model=_text(place / "model"),
        revision=_text(place / "rev"),
        serial=serial,
    )


def _directories(configured: Mapping[str, Configured]) -> Iterator[DeviceNode]:
    seen: dict[tuple[int, int], str] = {}
    for name, drive in configured.items():
        if drive.type != "virtual":
            continue
        present, twin = False, ""
        try:
            status = os.stat(drive.path)
        except OSError:
            pass  # absent: that is the news
        else:
            present = stat.S_ISDIR(status.st_mode)
            twin = seen.setdefault((status.st_dev, status.st_ino), drive.path)
        yield DeviceNode(
            kind="drive",
            type=drive.type,
            device=drive.path,
            configured_as=name,
            path=drive.path,
            present=present,
            duplicate_of=twin if twin != drive.path else "",
        )


def _marked(nodes: list[DeviceNode]) -> Iterator[DeviceNode]:
    """The nodes, each told which one before it has the same serial number: two paths to one drive."""
    seen: dict[tuple[str, str, str, str], str] = {}
    for node in nodes:
        identity = (node.kind, node.vendor, node.model, node.serial)
        name = node.device or node.tape_device
        first = seen.setdefault(identity, name) if node.serial else name
        yield node if first == name else replace(node, duplicate_of=first)


def _links(dev: Path) -> dict[str, list[str]]:
    """The names in ``tape/by-id``, by the name of the node they lead to."""
    found: dict[str, list[str]] = {}
    directory = dev / "tape" / "by-id"
    for entry in _entries(directory):
        try:
            goal = os.readlink(directory / entry)
        except OSError:
            continue  # no link, or gone
        found.setdefault(os.path.basename(goal), []).append(str(directory / entry))
    return found


def _stable(names: list[str], serial: str) -> str:
    """The best of ``names``: the one made of the unit serial number, which iSCSI targets do not share."""
    return next((name for name in names if serial and serial in name), names[0] if names else "")


def _child(directory: Path, pattern: re.Pattern[str]) -> str:
    return next((name for name in _entries(directory) if pattern.fullmatch(name)), "")


def _entries(directory: Path) -> list[str]:
    try:
        return sorted(os.listdir(directory), key=_natural)
    except OSError:
        return []


def _natural(name: str | Path) -> list[tuple[int, str]]:
    """A key that puts sg10 behind sg9."""
    parts = re.split(r"(\d+)", str(name), flags=re.ASCII)
    return [(int(part), "") if index % 2 else (-1, part) for index, part in enumerate(parts)]


def _text(path: Path) -> str:
    return _printable(_bytes(path))


def _serial(path: Path) -> str:
    """The unit serial number in VPD page 80h: byte 1 page code, bytes 2-3 length.  Ref: [SPC-5]."""
    page = _bytes(path)
    if len(page) < 4 or page[1] != _UNIT_SERIAL_NUMBER:
        return ""
    return _printable(page[4 : 4 + int.from_bytes(page[2:4], "big")])


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""  # half present: the device is coming or going


def _printable(data: bytes) -> str:
    text = data.decode("ascii", errors="replace")
    return "".join(char for char in text if char.isprintable()).strip()
