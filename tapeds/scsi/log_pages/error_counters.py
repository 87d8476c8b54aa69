# SPDX-License-Identifier: LGPL-2.1-or-later
"""02h Write and 03h Read Error Counters."""

from __future__ import annotations

from tapeds.scsi.log_pages.page import LogPage, counter


class WriteErrorCounters(LogPage, code=0x02):
    """Write Error Counters (02h).  Ref: [SPC-5]."""

    corrected_without_delay: int | None = counter(0x0000)
    corrected_with_delay: int | None = counter(0x0001)
    rewrites: int | None = counter(0x0002)
    corrected: int | None = counter(0x0003)
    algorithm_processed: int | None = counter(0x0004)
    bytes_processed: int | None = counter(0x0005)
    uncorrected: int | None = counter(0x0006)


class ReadErrorCounters(LogPage, code=0x03):
    """Read Error Counters (03h).  Ref: [SPC-5]."""

    corrected_without_delay: int | None = counter(0x0000)
    corrected_with_delay: int | None = counter(0x0001)
    rereads: int | None = counter(0x0002)
    corrected: int | None = counter(0x0003)
    algorithm_processed: int | None = counter(0x0004)
    bytes_processed: int | None = counter(0x0005)
    uncorrected: int | None = counter(0x0006)
