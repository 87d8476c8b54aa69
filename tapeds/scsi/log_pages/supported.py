# SPDX-License-Identifier: LGPL-2.1-or-later
"""00h Supported Log Pages, and 00h/FFh with their subpages."""

from __future__ import annotations

from tapeds.layout import Layout, bits, u8
from tapeds.scsi.log_pages.page import body


class SupportedPage(Layout, size=1):
    """One entry of page 00h.  Ref: [SPC-5]."""

    code: int = bits(0, 5, 0)


class SupportedSubpage(Layout, size=2):
    """One entry of page 00h/FFh.  Ref: [SPC-5]."""

    code: int = bits(0, 5, 0)
    subpage: int = u8(1)


def supported_pages(data: bytes) -> list[int]:
    """The codes of the pages that there are.  Raises Malformed for the bytes of another page."""
    return [one.code for one in SupportedPage.each(body(data, 0x00))]


def supported_subpages(data: bytes) -> list[tuple[int, int]]:
    """The codes and subpage codes that there are.  Raises Malformed for the bytes of another page."""
    return [(one.code, one.subpage) for one in SupportedSubpage.each(body(data, 0x00, 0xFF))]
