# SPDX-License-Identifier: LGPL-2.1-or-later
"""How near the end of the medium is: early warning, programmable early warning.

Ref: [SSC-5].
"""

from __future__ import annotations

from dataclasses import dataclass

from .generation import MEGABYTE
from .pages import mode_pages
from .unit import Unit

_SHARE, _MOST = 20, 256 * MEGABYTE


@dataclass(frozen=True, slots=True)
class Zones:
    """Bytes of tape from the beginning to where each zone begins."""

    programmable: int
    early: int
    end: int


def zones_of(unit: Unit) -> Zones:
    """Those of the loaded medium."""
    end = unit.cartridge.chip.capacity
    width = unit.settings.early_warning
    early = max(0, end - (min(end // _SHARE, _MOST) if width is None else width))
    wanted = mode_pages.programmable_early_warning(unit) * MEGABYTE
    return Zones(max(0, early - wanted) if wanted else end + 1, early, end)
