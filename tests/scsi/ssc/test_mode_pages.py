# SPDX-License-Identifier: LGPL-2.1-or-later
"""Mode pages of tape drives."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.lone import lone_flags_decode
from tapeds.layout import Malformed
from tapeds.scsi.spc.mode import ModePage
from tapeds.scsi.ssc.mode_pages import (
    DataCompression,
    DeviceConfiguration,
    DeviceConfigurationExtension,
    MediumConfiguration,
    WriteMode,
)

PAGES: list[type[ModePage]] = [
    DataCompression,
    DeviceConfiguration,
    DeviceConfigurationExtension,
    MediumConfiguration,
]


def test_data_compression() -> None:
    page = DataCompression.from_bytes(bytes.fromhex("0f 0e 00 00 01 02 03 84 05 06 07 88 00 00 00 00"))
    assert (page.compression_algorithm, page.decompression_algorithm) == (0x01020384, 0x05060788)
    flags = {"enabled": (2, 0x80), "capable": (2, 0x40), "decompression_enabled": (3, 0x80)}
    lone_flags_decode(DataCompression, "0f 0e" + 14 * " 00", flags)


def test_data_compression_is_changed_by_one_bit_and_everything_else_stays() -> None:
    read = bytes.fromhex("8f 0e 7f ff 01 02 03 04 05 06 07 08 f1 f2 f3 f4")
    page = DataCompression.from_bytes(read)
    assert not page.enabled
    changed = dataclasses.replace(page, enabled=True).to_bytes()
    assert changed.hex(" ") == "8f 0e ff ff 01 02 03 04 05 06 07 08 f1 f2 f3 f4"


def test_a_page_made_new_has_code_and_length() -> None:
    page = DataCompression(
        enabled=True, decompression_enabled=True, compression_algorithm=1, decompression_algorithm=1
    )
    assert page.to_bytes().hex(" ") == "0f 0e 80 80 00 00 00 01 00 00 00 01 00 00 00 00"
    extension = DeviceConfigurationExtension(
        write_mode=WriteMode.APPEND_ONLY, short_erase_mode=2, programmable_early_warning_mb=0x0182
    )
    assert extension.to_bytes().hex(" ") == "50 01 00 1c 00 12 01 82" + 24 * " 00"
    assert MediumConfiguration(worm=True).to_bytes().hex(" ") == "1d 1e 01" + 29 * " 00"


def test_device_configuration() -> None:
    page = DeviceConfiguration.from_bytes(bytes.fromhex("10 0e 00 81 82 83 01 84 00 00 00 01 02 85 86 00"))
    assert (page.active_partition, page.write_full_ratio, page.read_empty_ratio) == (0x81, 0x82, 0x83)
    assert page.write_delay_100ms == 0x0184
    assert (page.early_warning_size, page.select_compression) == (0x010285, 0x86)
    flags = {
        "block_identifiers": (8, 0x40),
        "synchronize_at_early_warning": (10, 0x08),
        "software_write_protection": (10, 0x04),
        "only_if_reserved": (15, 0x20),
        "associated_write_protection": (15, 0x04),
        "persistent_write_protection": (15, 0x02),
        "permanent_write_protection": (15, 0x01),
    }
    lone_flags_decode(DeviceConfiguration, "10 0e" + 14 * " 00", flags)


def test_byte_15_holds_two_numbers_of_two_bits() -> None:
    page = DeviceConfiguration.from_bytes(bytes.fromhex("10 0e" + 13 * " 00" + " 90"))
    assert (page.worm_tamper_read_enable, page.rewind_on_reset) == (2, 2)
    page = DeviceConfiguration.from_bytes(bytes.fromhex("10 0e" + 13 * " 00" + " 48"))
    assert (page.worm_tamper_read_enable, page.rewind_on_reset) == (1, 1)


def test_device_configuration_extension() -> None:
    page = DeviceConfigurationExtension.from_bytes(bytes.fromhex("50 01 00 1c 00 12 01 82" + 24 * " 00"))
    assert (page.write_mode, page.short_erase_mode) == (WriteMode.APPEND_ONLY, 2)
    assert page.programmable_early_warning_mb == 0x0182
    page = DeviceConfigurationExtension.from_bytes(bytes.fromhex("50 01 00 1c 00 99 00 00" + 24 * " 00"))
    assert (page.write_mode, page.short_erase_mode) == (9, 9)


def test_medium_configuration() -> None:
    page = MediumConfiguration.from_bytes(bytes.fromhex("9d 1e 01 00 01 02" + 26 * " 00"))
    assert (page.worm, page.label_restrictions, page.filemark_restrictions) == (True, 1, 2)
    page = MediumConfiguration.from_bytes(bytes.fromhex("1d 1e fe ff 81 82" + 26 * " 00"))
    assert (page.worm, page.label_restrictions, page.filemark_restrictions) == (False, 0x81, 0x82)
    lone_flags_decode(MediumConfiguration, "1d 1e" + 30 * " 00", {"worm": (2, 0x01)})


def test_a_medium_configuration_without_its_first_byte_is_malformed() -> None:
    with pytest.raises(Malformed, match="no worm in 2 bytes"):
        MediumConfiguration.from_bytes(bytes.fromhex("1d 1e"))


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        (DataCompression, "8f 0e 80", "4f 0e 80"),
        (DataCompression, "0f 0e 80", "0e 0e 80"),
        (DeviceConfiguration, "90 0e 80", "50 0e 80"),
        (MediumConfiguration, "9d 1e 80", "5d 1e 80"),
        (DeviceConfigurationExtension, "d0 01 00 1c", "10 01 00 1c"),
        (DeviceConfigurationExtension, "50 01 00 1c", "50 02 00 1c"),
    ],
)
def test_another_page_is_malformed(kind: type[ModePage], right: str, wrong: str) -> None:
    kind.from_bytes(bytes.fromhex(right))
    with pytest.raises(Malformed):
        kind.from_bytes(bytes.fromhex(wrong))


def test_a_page_ends_where_it_says() -> None:
    page = DataCompression.from_bytes(bytes.fromhex("0f 06 80 80 00 00 00 01 ff ff ff ff ff ff ff ff"))
    assert (page.compression_algorithm, page.decompression_algorithm) == (1, None)
    assert page.to_bytes().hex(" ") == "0f 06 80 80 00 00 00 01"
    configuration = DeviceConfiguration.from_bytes(bytes.fromhex("10 04 00 01 02 03 00 07 00 00"))
    assert (configuration.read_empty_ratio, configuration.write_delay_100ms) == (3, None)
    medium = MediumConfiguration.from_bytes(bytes.fromhex("1d 03 01 00 05 06"))
    assert (medium.label_restrictions, medium.filemark_restrictions) == (5, None)
    extension = DeviceConfigurationExtension.from_bytes(bytes.fromhex("50 01 00 02 00 12 01 82 00"))
    assert (extension.short_erase_mode, extension.programmable_early_warning_mb) == (2, None)


def test_a_field_that_the_device_does_not_have_cannot_be_set() -> None:
    page = DataCompression.from_bytes(bytes.fromhex("0f 06 80 80 00 00 00 01"))
    with pytest.raises(ValueError, match="decompression_algorithm is not among the 8 bytes"):
        dataclasses.replace(page, decompression_algorithm=1).to_bytes()


@given(kind=st.sampled_from(PAGES), noise=st.binary(min_size=32, max_size=32), saveable=st.booleans())
def test_what_is_read_is_written_back(kind: type[ModePage], noise: bytes, saveable: bool) -> None:
    head = 4 if kind.subpage else 2
    first = kind.code | 0x40 * bool(kind.subpage) | 0x80 * saveable
    size = kind.byte_size
    start = bytes([first, kind.subpage, 0, size - 4]) if kind.subpage else bytes([first, size - 2])
    page = start + noise[head:size]
    assert kind.from_bytes(page).to_bytes() == page


@given(
    enabled=st.booleans(),
    capable=st.booleans(),
    algorithm=st.integers(0, 0xFFFFFFFF),
    other=st.integers(0, 0xFFFFFFFF),
)
def test_what_is_written_is_read_back(enabled: bool, capable: bool, algorithm: int, other: int) -> None:
    page = DataCompression(
        enabled=enabled,
        capable=capable,
        decompression_enabled=not enabled,
        compression_algorithm=algorithm,
        decompression_algorithm=other,
    )
    assert dataclasses.replace(DataCompression.from_bytes(page.to_bytes()), as_read=b"") == page
