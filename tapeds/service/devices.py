# SPDX-License-Identifier: LGPL-2.1-or-later
"""From a section of the configuration to what a worker is given; the one place that looks at its kind."""

from __future__ import annotations

import os

from tapeds.config.models import DriveConfig
from tapeds.service.shared import Directories
from tapeds.state.records import INTENTS
from tapeds.worker.messages import DeviceSpec


def spec_of(name: str, config: DriveConfig, dirs: Directories) -> DeviceSpec:
    """What the worker of drive ``name`` works on."""
    return DeviceSpec(
        kind=config.type,
        name=name,
        path=config.path,
        buffer_bytes=config.buffer,
        intent_path=str(dirs.state / INTENTS / f"{name}.json"),
        options={"max-size": config.max_size},
    )


def is_there(spec: DeviceSpec) -> bool:
    """Whether something is where the drive is configured; opens nothing, but may wait for a file system."""
    return os.path.isdir(spec.path)
