# SPDX-License-Identifier: LGPL-2.1-or-later
"""SHA-256, loaded when the first transfer wants it: OpenSSL is a fifth of an idle worker's memory."""

from __future__ import annotations

from typing import Protocol


class Digest(Protocol):
    """What is used of a hash object."""

    def update(self, data: bytes | memoryview, /) -> None: ...
    def hexdigest(self) -> str: ...


def new_sha256() -> Digest:
    """The digest of nothing yet."""
    import hashlib

    return hashlib.sha256()
