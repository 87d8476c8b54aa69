# SPDX-License-Identifier: LGPL-2.1-or-later
"""Numbers and text in byte strings, as the device server reads and writes them; all are big-endian."""

from __future__ import annotations

Bytes = bytes | bytearray | memoryview


def number(data: Bytes, at: int, size: int) -> int:
    """The unsigned number in ``size`` bytes from ``at``."""
    return int.from_bytes(data[at : at + size], "big")


def signed(data: Bytes, at: int, size: int) -> int:
    """The two's complement number in ``size`` bytes from ``at``."""
    return int.from_bytes(data[at : at + size], "big", signed=True)


def store(data: bytearray, at: int, size: int, value: int) -> None:
    """Put ``value`` into ``size`` bytes from ``at``; what does not fit becomes all ones, as counters do."""
    data[at : at + size] = min(value, (1 << (8 * size)) - 1).to_bytes(size, "big")


def ascii_field(text: str, size: int) -> bytes:
    """Left-aligned text, filled with spaces.  Ref: [SPC-5]."""
    return text.encode("ascii")[:size].ljust(size)
