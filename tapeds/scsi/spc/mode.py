# SPDX-License-Identifier: LGPL-2.1-or-later
"""MODE SENSE and MODE SELECT (6 and 10): header, block descriptor, and the base of all pages."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self, TypeVar

from tapeds.layout import (
    Field,
    Layout,
    Malformed,
    OpenEnum,
    announced,
    bit,
    bits,
    constant,
    raw,
    u8,
    u16,
    u24,
    unnamed,
)
from tapeds.scsi.command import Command, Duration


class PageControl(OpenEnum):
    """Which values of a page."""

    CURRENT = 0
    CHANGEABLE = 1
    DEFAULT = 2
    SAVED = 3


class ModeSense6(Command, opcode=0x1A, size=6, duration=Duration.QUERY):
    """MODE SENSE(6): one page, or all with 3Fh.  Ref: [SPC-5]."""

    no_block_descriptor: bool = bit(1, 3, default=False)             # DBD
    page_control: PageControl = bits(2, 7, 6, PageControl, default=PageControl.CURRENT)
    page: int = bits(2, 5, 0)
    subpage: int = u8(3, default=0)
    allocation_length: int = u8(4)


class ModeSense10(Command, opcode=0x5A, size=10, duration=Duration.QUERY):
    """MODE SENSE(10): one page, or all with 3Fh.  Ref: [SPC-5]."""

    no_block_descriptor: bool = bit(1, 3, default=False)             # DBD
    page_control: PageControl = bits(2, 7, 6, PageControl, default=PageControl.CURRENT)
    page: int = bits(2, 5, 0)
    subpage: int = u8(3, default=0)
    allocation_length: int = u16(7)


class ModeSelect6(Command, opcode=0x15, size=6, duration=Duration.QUERY):
    """MODE SELECT(6): ``page_format`` (PF) says that pages are as in the standard.  Ref: [SPC-5]."""

    page_format: bool = bit(1, 4)
    save: bool = bit(1, 0, default=False)
    parameter_list_length: int = u8(4)


class ModeSelect10(Command, opcode=0x55, size=10, duration=Duration.QUERY):
    """MODE SELECT(10): ``page_format`` (PF) says that pages are as in the standard.  Ref: [SPC-5]."""

    page_format: bool = bit(1, 4)
    save: bool = bit(1, 0, default=False)
    parameter_list_length: int = u16(7)


class ModeHeader6(Layout, size=4):
    """The mode parameter header of the six-byte commands.  Ref: [SPC-5], [SSC-5]."""

    mode_data_length: int = u8(0, default=0)             # of what follows; 0 in MODE SELECT
    medium_type: int = u8(1, default=0)
    write_protected: bool = bit(2, 7, default=False)
    buffered_mode: int = bits(2, 6, 4, default=0)        # 0: GOOD means on tape; 1: in the buffer
    speed: int = bits(2, 3, 0, default=0)
    block_descriptor_length: int = u8(3, default=0)


class ModeHeader10(Layout, size=8):
    """The mode parameter header of the ten-byte commands.  Ref: [SPC-5], [SSC-5]."""

    mode_data_length: int = u16(0, default=0)            # of what follows; 0 in MODE SELECT
    medium_type: int = u8(2, default=0)
    write_protected: bool = bit(3, 7, default=False)
    buffered_mode: int = bits(3, 6, 4, default=0)        # 0: GOOD means on tape; 1: in the buffer
    speed: int = bits(3, 3, 0, default=0)
    block_descriptor_length: int = u16(6, default=0)


class BlockDescriptor(Layout, size=8):
    """The mode parameter block descriptor.  Ref: [SPC-5], [SSC-5]."""

    density: int = u8(0)                                 # 00h: the default, or no medium
    blocks: int = u24(1, default=0)                      # 0: all of the medium
    block_length: int = u24(5, default=0)                # 0: variable


class PageHead(Layout, size=1):
    """How every page begins.  Ref: [SPC-5]."""

    saveable: bool = bit(0, 7, default=False)            # PS; reserved in MODE SELECT
    has_subpage: bool = bit(0, 6)                        # SPF
    code: int = bits(0, 5, 0)
    rest: bytes = raw(1)


class PageSpan(Layout, size=2):
    """How long a page is that has no subpage code."""

    length = announced(1, 1, after=2)


class SubpageSpan(Layout, size=4):
    """How long a page is that has a subpage code."""

    subpage: int = u8(1)
    length = announced(2, 2, after=4)


class ModePage(Layout):
    """Base of all mode pages: what no field names is written back as it was read.

    A field that the device's page does not reach is None.
    """

    code: ClassVar[int]
    subpage: ClassVar[int]
    code_field: ClassVar[Field]
    subpage_flag: ClassVar[Field]
    subpage_field: ClassVar[Field]
    length_field: ClassVar[Field]

    as_read: bytes = unnamed()

    def __init_subclass__(cls, *, code: int, size: int, subpage: int = 0) -> None:
        cls.code, cls.subpage = code, subpage
        cls.code_field = constant(bits(0, 5, 0), code)
        cls.subpage_flag = constant(bits(0, 6, 6), 1 if subpage else 0)
        if subpage:
            cls.subpage_field = constant(u8(1), subpage)
        cls.length_field = announced(2, 2, after=4) if subpage else announced(1, 1, after=2)
        super().__init_subclass__(size=size)


Page = TypeVar("Page", bound=ModePage)


@dataclass(frozen=True)
class ModeParameters:
    """What MODE SENSE returns and MODE SELECT takes: header, block descriptor and pages."""

    medium_type: int = 0                 # of the cartridge; vendors differ
    write_protected: bool = False
    buffered_mode: int = 0
    speed: int = 0
    block: BlockDescriptor | None = None
    pages: tuple[bytes, ...] = ()

    @classmethod
    def from_bytes6(cls, data: bytes) -> Self:
        """The reply to MODE SENSE(6)."""
        header = ModeHeader6.from_bytes(data)
        return cls._of(header, data[ModeHeader6.byte_size : 1 + header.mode_data_length])

    @classmethod
    def from_bytes10(cls, data: bytes) -> Self:
        """The reply to MODE SENSE(10)."""
        header = ModeHeader10.from_bytes(data)
        return cls._of(header, data[ModeHeader10.byte_size : 2 + header.mode_data_length])

    @classmethod
    def _of(cls, header: ModeHeader6 | ModeHeader10, rest: bytes) -> Self:
        length = header.block_descriptor_length
        return cls(
            header.medium_type,
            header.write_protected,
            header.buffered_mode,
            header.speed,
            next(BlockDescriptor.each(rest[:length]), None),
            tuple(_pages(rest[length:])),
        )

    def page(self, kind: type[Page]) -> Page:
        """The page of this kind.  Raises Malformed where it is missing."""
        for data in self.pages:
            if _identity(data) == (kind.code, kind.subpage):
                return kind.from_bytes(data)
        raise Malformed(f"no mode page {kind.code:02X}h/{kind.subpage:02X}h in the reply")

    def with_page(self, page: ModePage) -> Self:
        """The same with this page and no other."""
        return dataclasses.replace(self, pages=(page.to_bytes(),))

    def to_bytes6(self) -> bytes:
        """The parameter list of MODE SELECT(6)."""
        return self._list(ModeHeader6)

    def to_bytes10(self) -> bytes:
        """The parameter list of MODE SELECT(10)."""
        return self._list(ModeHeader10)

    def _list(self, kind: type[ModeHeader6 | ModeHeader10]) -> bytes:
        block = self.block.to_bytes() if self.block else b""
        header = kind(
            medium_type=self.medium_type,
            write_protected=self.write_protected,
            buffered_mode=self.buffered_mode,
            speed=self.speed,
            block_descriptor_length=len(block),
        )
        heads = [dataclasses.replace(PageHead.from_bytes(page), saveable=False) for page in self.pages]
        return header.to_bytes() + block + b"".join(head.to_bytes() for head in heads)


def _pages(data: bytes) -> Iterator[bytes]:
    """The pages in ``data``; a last one that is cut short is among them."""
    while data:
        span = SubpageSpan if PageHead.from_bytes(data).has_subpage else PageSpan
        yield data[: span.length_of(data)]
        end = span.length_of(data)
        data = data[end:] if end else b""


def _identity(page: bytes) -> tuple[int, int]:
    head = PageHead.from_bytes(page)
    if not head.has_subpage:
        return head.code, 0
    return head.code, next((one.subpage for one in SubpageSpan.each(page)), 0)
