# SPDX-License-Identifier: LGPL-2.1-or-later
"""The key config: an encryption key under a passphrase, as it travels in a media-set label.

Read, checked and written here; nothing is encrypted or decrypted.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import re
from dataclasses import dataclass
from typing import assert_never

from tapeds.media import json_text
from tapeds.media.json_text import BadJson, Object

_PLAIN_KEY = 32                          # bytes of data without a passphrase: the key
_LOCKED_KEY = 16 + 16 + 32               # with one: IV, tag, encrypted key
_U64 = 2**64 - 1


@dataclass(frozen=True)
class Scrypt:
    """The passphrase goes through scrypt."""

    n: int
    r: int
    p: int
    salt: bytes


@dataclass(frozen=True)
class Pbkdf2:
    """The passphrase goes through PBKDF2-HMAC-SHA256."""

    iterations: int
    salt: bytes


@dataclass(frozen=True)
class KeyConfig:
    """One key and how it is locked; ``kdf`` ``None``: ``data`` is the key itself."""

    kdf: Scrypt | Pbkdf2 | None
    created: str                         # RFC 3339, kept as it was written
    modified: str
    data: bytes
    fingerprint: str | None = None
    hint: str | None = None

    @classmethod
    def from_json(cls, value: Object) -> KeyConfig:
        """The key config in the object ``value``.  Raises BadJson."""
        kdf = _kdf_from_json(json_text.optional_object(value, "kdf"))
        data = _base64(value, "data")
        expected = _PLAIN_KEY if kdf is None else _LOCKED_KEY
        if len(data) != expected:
            raise BadJson(f"data has {len(data)} bytes instead of {expected}")
        return cls(
            kdf,
            _time(value, "created"),
            _time(value, "modified"),
            data,
            json_text.fingerprint(value, "fingerprint"),
            json_text.optional_text(value, "hint"),
        )

    def to_json(self) -> Object:
        """The object as it stands in a label."""
        value: Object = {
            "kdf": _kdf_to_json(self.kdf),
            "created": self.created,
            "modified": self.modified,
            "data": base64.b64encode(self.data).decode(),
        }
        if self.fingerprint is not None:
            value["fingerprint"] = self.fingerprint
        if self.hint is not None:
            value["hint"] = self.hint
        return value


def _kdf_from_json(value: Object | None) -> Scrypt | Pbkdf2 | None:
    if value is None:
        return None
    if len(value) == 1 and (inner := json_text.optional_object(value, "Scrypt")) is not None:
        n, r, p = (json_text.integer(inner, key, 1, _U64) for key in "nrp")
        return Scrypt(n, r, p, _base64(inner, "salt"))
    if len(value) == 1 and (inner := json_text.optional_object(value, "PBKDF2")) is not None:
        return Pbkdf2(json_text.integer(inner, "iter", 1, _U64), _base64(inner, "salt"))
    raise BadJson("kdf is neither null, Scrypt nor PBKDF2")


def _kdf_to_json(kdf: Scrypt | Pbkdf2 | None) -> Object | None:
    match kdf:
        case None:
            return None
        case Scrypt(n, r, p, salt):
            return {"Scrypt": {"n": n, "r": r, "p": p, "salt": base64.b64encode(salt).decode()}}
        case Pbkdf2(iterations, salt):
            return {"PBKDF2": {"iter": iterations, "salt": base64.b64encode(salt).decode()}}
        case _:
            assert_never(kdf)


def _base64(value: Object, key: str) -> bytes:
    try:
        return base64.b64decode(json_text.text(value, key), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise BadJson(f"{key} is not base64: {exc}") from exc


_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)", re.ASCII)


def _time(value: Object, key: str) -> str:
    found = json_text.text(value, key)
    try:
        if not _TIME.fullmatch(found):
            raise ValueError
        datetime.datetime.fromisoformat(found)
    except ValueError:
        raise BadJson(f"{key} is not a time as RFC 3339 writes it") from None
    return found
