# SPDX-License-Identifier: LGPL-2.1-or-later
"""TapeAlert: 64 flags, and the pages that carry them: 12h TapeAlert Response, 2Eh TapeAlert."""

from __future__ import annotations

import enum

from tapeds.layout import Layout, bit, raw
from tapeds.scsi.log_pages.page import LogPage, parameters, record


class Severity(enum.Enum):
    """How bad a flag is."""

    INFORMATION = "I"
    WARNING = "W"
    CRITICAL = "C"
    NONE = ""                            # of a reserved flag


class TapeAlert(enum.IntEnum):
    """Table: number, severity and name of each flag.  Ref: [SSC-5]."""

    severity: Severity
    title: str

    def __new__(cls, number: int, severity: str, title: str) -> TapeAlert:
        """One row."""
        member = int.__new__(cls, number)
        member._value_ = number
        member.severity = Severity(severity)
        member.title = title
        return member

    READ_WARNING = 1, "W", "Read warning"
    WRITE_WARNING = 2, "W", "Write warning"
    HARD_ERROR = 3, "W", "Hard error"
    MEDIA = 4, "C", "Media"
    READ_FAILURE = 5, "C", "Read failure"
    WRITE_FAILURE = 6, "C", "Write failure"
    MEDIA_LIFE = 7, "W", "Media life"
    NOT_DATA_GRADE = 8, "W", "Not data grade"
    WRITE_PROTECT = 9, "C", "Write protect"
    NO_REMOVAL = 10, "I", "No removal"
    CLEANING_MEDIA = 11, "I", "Cleaning media"
    UNSUPPORTED_FORMAT = 12, "I", "Unsupported format"
    RECOVERABLE_MECHANICAL_CARTRIDGE_FAILURE = 13, "C", "Recoverable mechanical cartridge failure"
    UNRECOVERABLE_MECHANICAL_CARTRIDGE_FAILURE = 14, "C", "Unrecoverable mechanical cartridge failure"
    MEMORY_CHIP_FAILURE = 15, "W", "Memory chip in cartridge failure"
    FORCED_EJECT = 16, "C", "Forced eject"
    READ_ONLY_FORMAT = 17, "W", "Read only format"
    DIRECTORY_CORRUPTED_ON_LOAD = 18, "W", "Tape directory corrupted on load"
    NEARING_MEDIA_LIFE = 19, "I", "Nearing media life"
    CLEANING_REQUIRED = 20, "C", "Cleaning required"
    CLEANING_REQUESTED = 21, "W", "Cleaning requested"
    EXPIRED_CLEANING_MEDIA = 22, "C", "Expired cleaning media"
    INVALID_CLEANING_TAPE = 23, "C", "Invalid cleaning tape"
    RETENSION_REQUESTED = 24, "W", "Retension requested"
    DUAL_PORT_INTERFACE_ERROR = 25, "W", "Dual port interface error"
    COOLING_FAN_FAILING = 26, "W", "Cooling fan failing"
    POWER_SUPPLY_FAILURE = 27, "W", "Power supply failure"
    POWER_CONSUMPTION = 28, "W", "Power consumption"
    DRIVE_MAINTENANCE = 29, "W", "Drive maintenance"
    HARDWARE_A = 30, "C", "Hardware A"
    HARDWARE_B = 31, "C", "Hardware B"
    INTERFACE = 32, "W", "Interface"
    EJECT_MEDIA = 33, "C", "Eject media"
    MICROCODE_UPDATE_FAILURE = 34, "W", "Microcode update failure"
    DRIVE_HUMIDITY = 35, "W", "Drive humidity"
    DRIVE_TEMPERATURE = 36, "W", "Drive temperature"
    DRIVE_VOLTAGE = 37, "W", "Drive voltage"
    PREDICTIVE_FAILURE = 38, "C", "Predictive failure"
    DIAGNOSTICS_REQUIRED = 39, "W", "Diagnostics required"
    LOADER_HARDWARE_A = 40, "C", "Loader hardware A"
    LOADER_STRAY_TAPE = 41, "C", "Loader stray tape"
    LOADER_HARDWARE_B = 42, "W", "Loader hardware B"
    LOADER_DOOR = 43, "C", "Loader door"
    LOADER_HARDWARE_C = 44, "C", "Loader hardware C"
    LOADER_MAGAZINE = 45, "C", "Loader magazine"
    LOADER_PREDICTIVE_FAILURE = 46, "W", "Loader predictive failure"
    EXTERNAL_ENCRYPTION_COMMUNICATION = 47, "W", "External data encryption control - communications failure"
    EXTERNAL_ENCRYPTION_KEY_MANAGER = 48, "W", "External data encryption control - key manager returned error"
    DIMINISHED_NATIVE_CAPACITY = 49, "W", "Diminished native capacity"
    LOST_STATISTICS = 50, "W", "Lost statistics"
    DIRECTORY_INVALID_AT_UNLOAD = 51, "W", "Tape directory invalid at unload"
    SYSTEM_AREA_WRITE_FAILURE = 52, "C", "Tape system area write failure"
    SYSTEM_AREA_READ_FAILURE = 53, "C", "Tape system area read failure"
    NO_START_OF_DATA = 54, "C", "No start of data"
    LOADING_FAILURE = 55, "C", "Loading failure"
    UNRECOVERABLE_UNLOAD_FAILURE = 56, "C", "Unrecoverable unload failure"
    AUTOMATION_INTERFACE_FAILURE = 57, "C", "Automation interface failure"
    FIRMWARE_FAILURE = 58, "W", "Firmware failure"
    WORM_INTEGRITY_CHECK_FAILED = 59, "W", "WORM medium - integrity check failed"
    WORM_OVERWRITE_ATTEMPTED = 60, "W", "WORM medium - overwrite attempted"
    ENCRYPTION_POLICY_VIOLATION = 61, "W", "Encryption policy violation"
    RESERVED_62 = 62, "", "Reserved (3Eh)"
    RESERVED_63 = 63, "", "Reserved (3Fh)"
    RESERVED_64 = 64, "", "Reserved (40h)"


def flags(data: bytes) -> frozenset[TapeAlert]:
    """The flags in 8 bytes; the highest bit of the first one is flag 1.  Also of VPD page B2h."""
    return frozenset(
        flag for flag in TapeAlert if flag <= 8 * len(data) and data[(flag - 1) // 8] & 0x80 >> (flag - 1) % 8
    )


class Raised(Layout, size=8):
    """Parameter 0000h of page 12h."""

    flags: bytes | None = raw(0, 8, default=None)


class TapeAlertResponse(LogPage, code=0x12):
    """TapeAlert Response (12h): reading it clears nothing.  Ref: [ADC-4]."""

    raised: Raised | None = record(0x0000, Raised)

    @property
    def alerts(self) -> frozenset[TapeAlert] | None:
        """The flags that are set; None where the drive does not say."""
        return None if self.raised is None or self.raised.flags is None else flags(self.raised.flags)


class AlertParameter(Layout, size=1):
    """One parameter of page 2Eh: its code is the number of the flag.  Ref: [SSC-5]."""

    raised: bool = bit(0, 0, default=False)


def tape_alert_page(data: bytes) -> frozenset[TapeAlert]:
    """The flags that are set in page 2Eh, which the drive clears by the asking.

    Raises Malformed for the bytes of another page.
    """
    found = parameters(data, 0x2E)
    return frozenset(
        flag for flag in TapeAlert if AlertParameter.from_bytes(found.get(flag, b"")).raised
    )
