# SPDX-License-Identifier: LGPL-2.1-or-later
"""Mode pages of tape drives: 0Fh, 10h with its extension, 1Dh."""

from __future__ import annotations

from tapeds.layout import OpenEnum, bit, bits, u8, u16, u24, u32
from tapeds.scsi.spc.mode import ModePage


class DataCompression(ModePage, code=0x0F, size=16):
    """Data Compression.  Ref: [SSC-5]."""

    enabled: bool = bit(2, 7)                            # DCE
    capable: bool = bit(2, 6, default=False)             # DCC
    decompression_enabled: bool = bit(3, 7, default=False)           # DDE
    compression_algorithm: int | None = u32(4, default=None)
    decompression_algorithm: int | None = u32(8, default=None)


class DeviceConfiguration(ModePage, code=0x10, size=16):
    """Device Configuration.  Ref: [SSC-5]."""

    active_partition: int | None = u8(3, default=None)
    write_full_ratio: int | None = u8(4, default=None)
    read_empty_ratio: int | None = u8(5, default=None)
    write_delay_100ms: int | None = u16(6, default=None)             # then a started buffer is written out
    block_identifiers: bool | None = bit(8, 6, default=None)         # LOIS: the drive knows LOCATE
    synchronize_at_early_warning: bool | None = bit(10, 3, default=None)     # SEW
    software_write_protection: bool | None = bit(10, 2, default=None)        # SWP
    early_warning_size: int | None = u24(11, default=None)           # buffer size at early warning
    select_compression: int | None = u8(14, default=None)
    worm_tamper_read_enable: int | None = bits(15, 7, 6, default=None)       # WTRE
    only_if_reserved: bool | None = bit(15, 5, default=None)         # OIR
    rewind_on_reset: int | None = bits(15, 4, 3, default=None)       # ROR: 1 rewinds, 2 stays
    associated_write_protection: bool | None = bit(15, 2, default=None)      # ASOCWP
    persistent_write_protection: bool | None = bit(15, 1, default=None)      # PERSWP
    permanent_write_protection: bool | None = bit(15, 0, default=None)       # PRMWP


class WriteMode(OpenEnum):
    """Where the drive lets data be written."""

    OVERWRITE_ALLOWED = 0
    APPEND_ONLY = 1


class DeviceConfigurationExtension(ModePage, code=0x10, subpage=0x01, size=32):
    """Device Configuration Extension.  Ref: [SSC-5]."""

    write_mode: WriteMode | None = bits(5, 7, 4, WriteMode, default=None)
    short_erase_mode: int | None = bits(5, 3, 0, default=None)
    programmable_early_warning_mb: int | None = u16(6, default=None)         # PEWS; 0: none


class MediumConfiguration(ModePage, code=0x1D, size=32):
    """Medium Configuration.  Ref: [SSC-5]."""

    worm: bool = bit(2, 0)                               # WORMM
    label_restrictions: int | None = u8(4, default=None)
    filemark_restrictions: int | None = u8(5, default=None)
