# SPDX-License-Identifier: LGPL-2.1-or-later
"""The one place that builds a `Drive` and its `Changer` from what the service asks for."""

from __future__ import annotations

from dataclasses import dataclass

from tapeds.changer.base import Changer
from tapeds.changer.virtual import VirtualChanger
from tapeds.drive.base import Drive
from tapeds.drive.virtual import VirtualDrive
from tapeds.errors import InvalidOption, NotSupported
from tapeds.filesystem import FileSystem
from tapeds.vtape import TapeDirectory
from tapeds.worker.messages import DeviceSpec

_VIRTUAL_MAX_SIZE = 64 * 1024 * 1024      # as Proxmox has it


@dataclass(frozen=True)
class Devices:
    """What was opened; ``changer`` is None where the drive has none of its own."""

    drive: Drive
    changer: Changer | None


def open_devices(spec: DeviceSpec, fs: FileSystem) -> Devices:
    """Open the device of ``spec``.  Closing the drive gives everything back.

    Raises DeviceGone, OpenFailed, Locked, Io; NotSupported for a kind this version does not know.
    """
    match spec.kind:
        case "virtual":
            return _virtual(spec, fs)
        case kind:
            raise NotSupported(f"drive {spec.name}: this version knows no type {kind!r}; use virtual")


def _virtual(spec: DeviceSpec, fs: FileSystem) -> Devices:
    """One directory with two faces."""
    max_size = spec.options.get("max-size", _VIRTUAL_MAX_SIZE)
    if not isinstance(max_size, int) or isinstance(max_size, bool) or max_size < 1:
        raise InvalidOption(f"drive {spec.name}: max-size is {max_size!r}; give a number of bytes")
    directory = TapeDirectory(fs, spec.path, name=spec.name)
    return Devices(VirtualDrive(directory, max_size=max_size), VirtualChanger(directory))
