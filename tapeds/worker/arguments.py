# SPDX-License-Identifier: LGPL-2.1-or-later
"""The arguments of a request, read with their types; errors are InvalidOption, InvalidFileDescriptor."""

from __future__ import annotations

import base64
import fcntl
import os
import re
import stat

from tapeds.errors import InvalidFileDescriptor, InvalidOption
from tapeds.worker.control import is_digest
from tapeds.worker.messages import Json

_UINT64 = 2**64 - 1
_INT64 = 2**63 - 1
_SAFE_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")


class Arguments:
    """The arguments of one request.  Each is asked for once; `done` refuses what nobody asked for."""

    def __init__(self, values: Json, descriptors: list[int]) -> None:
        self._values = dict(values)
        self._descriptors = descriptors
        self._descriptor_taken = False

    def done(self) -> None:
        """Everything has been asked for."""
        for key in self._values:
            raise InvalidOption(f"{key}: there is no such argument here; leave it out")
        if self._descriptors and not self._descriptor_taken:
            raise InvalidFileDescriptor("this request takes no descriptor; send none")

    def flag(self, key: str, default: bool | None = None) -> bool:
        """A truth value."""
        value = self._take(key, default)
        if not isinstance(value, bool):
            raise InvalidOption(f"{key} is {value!r}; give true or false")
        return value

    def number(self, key: str, default: int | None = None) -> int:
        """An unsigned number of 64 bits."""
        return self._number(key, default, 0, _UINT64)

    def signed(self, key: str, default: int) -> int:
        """A signed number of 64 bits."""
        return self._number(key, default, -_INT64 - 1, _INT64)

    def optional_number(self, key: str) -> int | None:
        """An unsigned number of 64 bits, or None where it was left out."""
        return self.number(key) if key in self._values else None

    def text(self, key: str, default: str | None = None) -> str:
        """Text that can be stored."""
        value = self._take(key, default)
        if not isinstance(value, str):
            raise InvalidOption(f"{key} is {value!r}; give text")
        try:
            value.encode()
        except UnicodeEncodeError as exc:
            raise InvalidOption(f"{key} holds half a character; give UTF-8 text") from exc
        return value

    def label_text(self, key: str = "label-text") -> str:
        """A label text: 2 to 32 characters that are safe in names of files."""
        value = self.text(key)
        if not 2 <= len(value) <= 32 or _SAFE_ID.fullmatch(value) is None:
            raise InvalidOption(
                f"{key} {value!r} will not do; give 2 to 32 letters, digits, '.', '_' or '-', "
                "beginning with a letter, digit or '_'"
            )
        return value

    def uuid(self, key: str, default: str | None = None) -> str:
        """A UUID in its usual form, 36 lower-case characters; "" where it was left out."""
        if key not in self._values and default is not None:
            return default
        value = self.text(key).lower()
        if _UUID.fullmatch(value) is None:
            raise InvalidOption(f"{key} {value!r} is no UUID; give 32 hex digits, with hyphens or without")
        digits = value.replace("-", "")
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

    def hex_bytes(self, key: str) -> bytes:
        """Bytes written in hex; empty where they were left out."""
        value = self.text(key, "")
        try:
            return bytes.fromhex(value)
        except ValueError as exc:
            raise InvalidOption(f"{key} is not hex; give two hex digits for each byte") from exc

    def base64_bytes(self, key: str) -> bytes:
        """Bytes written in base64, for those that may be many; empty where they were left out."""
        value = self.text(key, "")
        try:
            return base64.b64decode(value, validate=True)
        except ValueError as exc:
            raise InvalidOption(f"{key} is not base64; give bytes encoded so") from exc

    def sha256(self, key: str = "sha256") -> str:
        """A SHA-256 in hex, "" where it was left out."""
        value = self.text(key, "").lower()
        if value and not is_digest(value):
            raise InvalidOption(f"{key} is not 32 bytes long; give the SHA-256 of the bytes")
        return value

    def mapping(self, key: str) -> Json | None:
        """A mapping, or None where it was left out."""
        value = self._values.pop(key, None)
        if value is not None and not isinstance(value, dict):
            raise InvalidOption(f"{key} is {value!r}; give a mapping")
        return value

    def has(self, key: str) -> bool:
        """Whether ``key`` was given and not asked for yet."""
        return key in self._values

    def descriptor(self, *, writing: bool) -> int:
        """The one descriptor that came along, open for the direction; it stays its owner's to close."""
        if len(self._descriptors) != 1:
            count = len(self._descriptors)
            raise InvalidFileDescriptor(f"a transfer takes one descriptor, not {count}; send exactly one")
        self._descriptor_taken = True
        fd = self._descriptors[0]
        mode = os.fstat(fd).st_mode
        if not (stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)):
            raise InvalidFileDescriptor("the descriptor is no pipe, regular file or stream socket; send one")
        access = fcntl.fcntl(fd, fcntl.F_GETFL) & (os.O_ACCMODE | os.O_PATH)
        if access not in (os.O_RDWR, os.O_WRONLY if writing else os.O_RDONLY):
            direction = "writing" if writing else "reading"
            raise InvalidFileDescriptor(f"the descriptor is not open for {direction}; open it so")
        return fd

    def _take(self, key: str, default: object) -> object:
        if key in self._values:
            return self._values.pop(key)
        if default is None:
            raise InvalidOption(f"{key} is missing; give it")
        return default

    def _number(self, key: str, default: int | None, least: int, most: int) -> int:
        value = self._take(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise InvalidOption(f"{key} is {value!r}; give a whole number from {least} to {most}")
        return value
