# SPDX-License-Identifier: LGPL-2.1-or-later
"""What differs between LTO generations: densities, speeds, and how long things take.

Ref: [IBM-LTO] for density codes, speed matching, and the published timeouts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class Density:
    """A recording format, as REPORT DENSITY SUPPORT describes it.  ``megabytes`` is the native capacity."""

    code: int
    name: str
    description: str
    bits_per_mm: int
    tracks: int
    megabytes: int
    metres: int
    cartridge_type: int
    """Medium type of mode parameter headers; a WORM cartridge has C in the low half."""


LTO7 = Density(0x5C, "U-732", "Ultrium 7/32T", 19107, 3584, 6_000_000, 960, 0x78)
LTO8 = Density(0x5E, "U-832", "Ultrium 8/32T", 20668, 6656, 12_000_000, 960, 0x88)
LTO9 = Density(0x60, "U-932", "Ultrium 9/32T", 21445, 8960, 18_000_000, 1035, 0x98)


@dataclass(frozen=True, slots=True)
class Generation:
    """One kind of drive.  Times are in seconds, speeds in MB/s from slow to fast."""

    name: str
    digit: int
    densities: tuple[Density, ...]
    """What it reads and writes; the last one is its own."""
    speeds: tuple[float, ...]
    buffer_megabytes: int
    load: float
    unload: float
    whole_tape: float
    """From one end of the tape to the other."""
    erase: float
    format: float
    optimisation: float
    """What the first load of a new cartridge takes; 0 where cartridges need none."""
    timeouts: Mapping[str, int]

    @property
    def density(self) -> Density:
        """The format that it writes by choice."""
        return self.densities[-1]


_COMMON = {
    "question": 60,
    "rewind": 600,
    "load": 960,
    "format": 3000,
    "write": 1500,
    "filemarks": 1620,
}

GENERATIONS: Mapping[str, Generation] = {
    "LTO-8": Generation(
        name="LTO-8",
        digit=8,
        densities=(LTO7, LTO8),
        speeds=(112, 135, 157.5, 180, 203, 226, 249.5, 273, 306.4, 318, 341, 365),
        buffer_megabytes=1000,
        load=15.0,
        unload=24.0,
        whole_tape=110.0,
        erase=33_000.0,
        format=60.0,
        optimisation=0.0,
        timeouts={**_COMMON, "locate": 2880, "read": 2280, "erase": 54896},
    ),
    "LTO-9": Generation(
        name="LTO-9",
        digit=9,
        densities=(LTO8, LTO9),
        speeds=(177, 203, 223, 244, 263, 284, 305, 325, 347, 366, 385, 408),
        buffer_megabytes=1000,
        load=17.0,
        unload=30.0,
        whole_tape=110.0,
        erase=45_000.0,
        format=60.0,
        optimisation=3000.0,
        # LOAD UNLOAD may have to wait for the optimisation of a new cartridge.
        timeouts={**_COMMON, "load": 7920, "locate": 2940, "read": 2340, "erase": 74341, "format": 7920},
    ),
}

DENSITIES: Mapping[str, Density] = {"LTO-7": LTO7, "LTO-8": LTO8, "LTO-9": LTO9}
"""Of cartridges, by generation."""
