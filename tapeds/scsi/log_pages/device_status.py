# SPDX-License-Identifier: LGPL-2.1-or-later
"""11h DT Device Status: what the drive is doing, asked without disturbing it."""

from __future__ import annotations

from tapeds.layout import Layout, OpenEnum, bit, u8
from tapeds.scsi.log_pages.page import LogPage, counter, record


class Activity(OpenEnum):
    """What the drive is doing.  Ref: [ADC-4]."""

    NONE = 0x00
    CLEANING = 0x01
    LOADING = 0x02
    UNLOADING = 0x03
    OTHER_MEDIUM = 0x04
    READING = 0x05
    WRITING = 0x06
    LOCATING = 0x07
    REWINDING = 0x08
    ERASING = 0x09
    FORMATTING = 0x0A
    CALIBRATING = 0x0B
    OTHER = 0x0C
    MICROCODE_UPDATE = 0x0D
    READING_ENCRYPTED = 0x0E
    WRITING_ENCRYPTED = 0x0F
    DIAGNOSTICS = 0x10


class VeryHighFrequency(Layout, size=4):
    """VHF data, parameter 0000h.  Where ``valid`` is not set the rest means nothing.  Ref: [ADC-4]."""

    prevented: bool = bit(0, 7, default=False)           # PAMR: removal is prevented
    host_initiated_unload: bool = bit(0, 6, default=False)           # HUI
    memory_accessible: bool = bit(0, 5, default=False)   # MACC: the memory in the cartridge
    compressing: bool = bit(0, 4, default=False)         # CMPR
    write_protected: bool = bit(0, 3, default=False)     # WRTP
    cleaning_requested: bool = bit(0, 2, default=False)  # CRQST
    cleaning_required: bool = bit(0, 1, default=False)   # CRQRD
    valid: bool = bit(0, 0, default=False)               # DINIT
    in_transition: bool = bit(1, 7, default=False)       # INXTN
    robot_may_access: bool = bit(1, 5, default=False)    # RAA
    present: bool = bit(1, 4, default=False)             # MPRSNT
    seated: bool = bit(1, 2, default=False)              # MSTD
    threaded: bool = bit(1, 1, default=False)            # MTHRD
    mounted: bool = bit(1, 0, default=False)             # MOUNTED
    activity: Activity = u8(2, Activity, default=Activity.NONE)
    vendor_data: bool = bit(3, 7, default=False)         # VS
    encryption_changed: bool = bit(3, 5, default=False)  # TDDEC
    encryption_parameters: bool = bit(3, 4, default=False)           # EPP
    encryption_requested: bool = bit(3, 3, default=False)            # ESR
    recovery_requested: bool = bit(3, 2, default=False)  # RRQST
    interface_changed: bool = bit(3, 1, default=False)   # INTFC
    alert_changed: bool = bit(3, 0, default=False)       # TAFC: read page 12h


class DeviceStatus(LogPage, code=0x11):
    """DT Device Status (11h).  Ref: [ADC-4]."""

    vhf: VeryHighFrequency | None = record(0x0000, VeryHighFrequency)
    polling_delay_ms: int | None = counter(0x0001)       # not more often than this
