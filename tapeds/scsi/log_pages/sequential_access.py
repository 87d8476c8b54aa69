# SPDX-License-Identifier: LGPL-2.1-or-later
"""0Ch Sequential-Access Device: what went through the drive, capacities, and the size of its buffer."""

from __future__ import annotations

from tapeds.scsi.log_pages.page import LogPage, counter, flag


class SequentialAccess(LogPage, code=0x0C):
    """Sequential-Access Device (0Ch).  Capacities are in units of 10^6 bytes.  Ref: [SSC-5]."""

    received_bytes: int | None = counter(0x0000)         # by WRITE
    written_bytes: int | None = counter(0x0001)          # to the medium, after compression
    read_bytes: int | None = counter(0x0002)             # from the medium, before decompression
    sent_bytes: int | None = counter(0x0003)             # by READ
    native_mb: int | None = counter(0x0004)              # from the beginning to the end of the partition
    native_to_early_warning_mb: int | None = counter(0x0005)
    early_warning_to_end_mb: int | None = counter(0x0006)            # at least
    native_to_position_mb: int | None = counter(0x0007)
    buffer_mb: int | None = counter(0x0008)              # the largest the buffer can be
    cleaning_requested: bool | None = flag(0x0100)
