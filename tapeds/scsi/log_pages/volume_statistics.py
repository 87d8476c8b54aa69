# SPDX-License-Identifier: LGPL-2.1-or-later
"""17h Volume Statistics: the life of the loaded medium, as its own memory keeps it."""

from __future__ import annotations

from tapeds.layout import Layout, announced, u16, u32
from tapeds.scsi.log_pages.page import LogPage, counter, flag, octets, parsed, text

UNKNOWN = 0xFFFFFFFF


class PartitionRecord(Layout, size=8):
    """One partition's number and amount.  Ref: [SSC-5]."""

    length = announced(0, 1, after=1)
    partition: int = u16(2)
    amount: int = u32(4)


ByPartition = dict[int, int | None]
"""Partition to amount; None where the drive cannot say (of 0203h: end of data is unknown)."""


def _by_partition(value: bytes) -> ByPartition:
    records = PartitionRecord.each(value)
    return {one.partition: None if one.amount == UNKNOWN else one.amount for one in records}


class VolumeStatistics(LogPage, code=0x17):
    """Volume Statistics (17h).  MB are 10^6 bytes.  Ref: [SSC-5]."""

    valid: bool | None = flag(0x0000)
    mounts: int | None = counter(0x0001)
    datasets_written: int | None = counter(0x0002)
    recovered_write_errors: int | None = counter(0x0003)
    unrecovered_write_errors: int | None = counter(0x0004)
    suspended_writes: int | None = counter(0x0005)                   # servo errors
    fatal_suspended_writes: int | None = counter(0x0006)
    datasets_read: int | None = counter(0x0007)
    recovered_read_errors: int | None = counter(0x0008)
    unrecovered_read_errors: int | None = counter(0x0009)
    suspended_reads: int | None = counter(0x000A)
    fatal_suspended_reads: int | None = counter(0x000B)
    last_mount_unrecovered_write_errors: int | None = counter(0x000C)
    last_mount_unrecovered_read_errors: int | None = counter(0x000D)
    last_mount_mb_written: int | None = counter(0x000E)
    last_mount_mb_read: int | None = counter(0x000F)
    lifetime_mb_written: int | None = counter(0x0010)
    lifetime_mb_read: int | None = counter(0x0011)
    write_compression_percent: int | None = counter(0x0012)          # 100 times the ratio
    read_compression_percent: int | None = counter(0x0013)
    mount_milliseconds: int | None = counter(0x0014)
    ready_milliseconds: int | None = counter(0x0015)
    native_mb: int | None = counter(0x0016)
    used_native_mb: int | None = counter(0x0017)
    application: str | None = text(0x0018)
    life_percent: int | None = counter(0x0019)
    serial: str | None = text(0x0040)
    lot: str | None = text(0x0041)
    barcode: str | None = text(0x0042)
    manufacturer: str | None = text(0x0043)
    licence: str | None = text(0x0044)
    personality: str | None = text(0x0045)
    write_protected: bool | None = flag(0x0080)
    worm: bool | None = flag(0x0081)
    beginning_passes: int | None = counter(0x0101)
    middle_passes: int | None = counter(0x0102)
    first_encrypted: bytes | None = octets(0x0200)       # all FFh: none; FFh...FEh: unknown
    first_unencrypted: bytes | None = octets(0x0201)
    native_mb_by_partition: ByPartition | None = parsed(0x0202, _by_partition)
    used_mb_by_partition: ByPartition | None = parsed(0x0203, _by_partition)
    remaining_mb_by_partition: ByPartition | None = parsed(0x0204, _by_partition)
