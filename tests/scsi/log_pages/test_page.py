# SPDX-License-Identifier: LGPL-2.1-or-later
"""What all log pages have in common."""

from __future__ import annotations

import pytest

from tapeds.layout import Malformed
from tapeds.scsi.log_pages.page import LogPage, PageHead, counter, flag, octets, parameters, text
from tapeds.scsi.log_pages.supported import supported_pages, supported_subpages


class Some(LogPage, code=0x3E, subpage=0x02):
    """A page of no standard."""

    small: int | None = counter(0x0001)
    large: int | None = counter(0x0102)
    yes: bool | None = flag(0x0003)
    words: str | None = text(0x0004)
    data: bytes | None = octets(0x0005)


def some(body: str, length: int | None = None) -> Some:
    data = bytes.fromhex(body)
    return Some.from_bytes(bytes([0x7E, 0x02, 0, len(data) if length is None else length]) + data)


def test_parameters_have_a_code_a_length_and_a_value() -> None:
    page = some(
        "00 01 03 01 2a  01 02 03 08 00 00 00 01 00 00 00 00  00 03 03 01 01"
        " 00 04 01 03 41 42 20  00 05 02 02 01 02"
    )
    assert page == Some(small=42, large=1 << 32, yes=True, words="AB", data=b"\x01\x02")


def test_a_parameter_that_is_not_reported_is_none() -> None:
    page = some("00 01 03 01 00")
    assert (page.small, page.large, page.yes, page.words, page.data) == (0, None, None, None, None)


def test_a_parameter_that_nobody_asked_for_is_skipped() -> None:
    assert some("77 77 ff 03 01 02 03  00 01 03 02 01 00").small == 256


def test_a_number_of_no_bytes_or_of_nine_is_none() -> None:
    page = some("00 01 03 00  01 02 03 09 01 02 03 04 05 06 07 08 09  00 03 03 00")
    assert (page.small, page.large, page.yes) == (None, None, None)


def test_a_parameter_that_is_cut_short_is_none() -> None:
    assert some("00 01 03 01 2a  01 02 03 08 00 00").large is None


def test_what_lies_beyond_the_announced_length_is_not_read() -> None:
    page = some("00 01 03 01 2a  01 02 03 01 07", length=5)
    assert (page.small, page.large) == (42, None)


def test_a_page_length_has_two_bytes() -> None:
    body = bytes.fromhex("00 09 03 fd") + bytes(0xFD) + bytes.fromhex("00 01 03 01 2a")
    assert parameters(bytes.fromhex("31 00 01 06") + body + b"\0\2\3\1\1", 0x31)[1] == b"\x2a"
    assert 2 not in parameters(bytes.fromhex("31 00 01 06") + body + b"\0\2\3\1\1", 0x31)


def test_a_page_of_another_code_is_malformed() -> None:
    with pytest.raises(Malformed, match="log page 3Fh/02h in place of 3Eh/02h"):
        Some.from_bytes(bytes.fromhex("7f 02 00 00"))
    with pytest.raises(Malformed, match="log page 3Eh/00h in place of 3Eh/02h"):
        Some.from_bytes(bytes.fromhex("3e 00 00 00"))
    with pytest.raises(Malformed):
        Some.from_bytes(b"\x7e")


def test_without_its_flag_the_subpage_byte_means_nothing() -> None:
    assert parameters(bytes.fromhex("8c 07 00 05 00 01 03 01 2a"), 0x0C) == {1: b"\x2a"}
    with pytest.raises(Malformed):
        Some.from_bytes(bytes.fromhex("3e 02 00 00"))
    head = PageHead.from_bytes(bytes.fromhex("40 80 00 00"))
    assert (head.has_subpage, head.code, head.subpage) == (True, 0, 0x80)


def test_supported_pages() -> None:
    assert supported_pages(bytes.fromhex("00 00 00 07 00 02 03 0c 11 12 17 2e")) == [
        0,
        2,
        3,
        0xC,
        0x11,
        0x12,
        0x17,
    ]
    assert supported_pages(bytes.fromhex("00 00 00 02 c1 3f")) == [0x01, 0x3F]


def test_supported_subpages() -> None:
    assert supported_subpages(bytes.fromhex("40 ff 00 06 00 00 00 ff d0 81 17 00")) == [
        (0x00, 0x00),
        (0x00, 0xFF),
        (0x10, 0x81),
    ]
