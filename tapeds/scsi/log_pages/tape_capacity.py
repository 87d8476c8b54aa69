# SPDX-License-Identifier: LGPL-2.1-or-later
"""31h Tape Capacity, a page of LTO-5 and LTO-6 drives."""

from __future__ import annotations

from tapeds.scsi.log_pages.page import LogPage, counter


class TapeCapacity(LogPage, code=0x31):
    """Tape Capacity (31h), in MiB; the alternate partition is number 1.  Ref: [IBM-LTO]."""

    remaining_mib: int | None = counter(0x0001)
    alternate_remaining_mib: int | None = counter(0x0002)
    maximum_mib: int | None = counter(0x0003)
    alternate_maximum_mib: int | None = counter(0x0004)
