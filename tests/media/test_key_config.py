# SPDX-License-Identifier: LGPL-2.1-or-later
"""The key config object."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeds.media.json_text import BadJson, dump
from tapeds.media.key_config import KeyConfig, Pbkdf2, Scrypt


@pytest.mark.parametrize("name", ["key_config_scrypt", "key_config_pbkdf2"])
def test_a_golden_key_config_comes_back_as_it_was(golden, name):
    value = golden["crypto"][name]
    assert KeyConfig.from_json(value).to_json() == value


def test_the_parts_of_a_key_config_are_named(golden):
    config = KeyConfig.from_json(golden["crypto"]["key_config_scrypt"])
    assert config.kdf == Scrypt(65536, 8, 1, bytes(range(0x40, 0x60)))
    assert config.created == "2021-07-12T17:23:38+02:00"
    assert config.hint == "tape pw 2020"
    assert config.fingerprint == golden["crypto"]["fingerprint"]
    assert len(config.data) == 64
    assert isinstance(KeyConfig.from_json(golden["crypto"]["key_config_pbkdf2"]).kdf, Pbkdf2)


def test_a_key_without_passphrase_is_32_bytes(golden):
    value = golden["crypto"]["key_config_scrypt"] | {"kdf": None, "data": "AAEC" * 10 + "AAE="}
    config = KeyConfig.from_json(value)
    assert config.kdf is None
    assert len(config.data) == 32
    assert config.to_json()["kdf"] is None
    del value["fingerprint"], value["hint"], value["kdf"]
    assert KeyConfig.from_json(value).to_json() == value | {"kdf": None}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"kdf": "Scrypt"}, "kdf is not an object"),
        ({"kdf": {}}, "kdf is neither null, Scrypt nor PBKDF2"),
        ({"kdf": {"Argon2": {}}}, "kdf is neither null, Scrypt nor PBKDF2"),
        ({"kdf": {"Scrypt": {}, "PBKDF2": {}}}, "kdf is neither null, Scrypt nor PBKDF2"),
        ({"kdf": {"Scrypt": {"n": 0, "r": 8, "p": 1, "salt": ""}}}, "n is missing or not a whole number"),
        ({"kdf": {"Scrypt": {"n": 2, "r": True, "p": 1, "salt": ""}}}, "r is missing or not a whole number"),
        ({"kdf": {"PBKDF2": {"iter": 1, "salt": "not base64"}}}, "salt is not base64"),
        ({"kdf": {"PBKDF2": {"iter": 1, "salt": "ä"}}}, "salt is not base64"),
        ({"kdf": None}, "data has 64 bytes instead of 32"),
        ({"data": "AAAA"}, "data has 3 bytes instead of 64"),
        ({"created": "2021-07-12 17:23:38"}, "created is not a time"),
        ({"modified": "2021-13-12T17:23:38Z"}, "modified is not a time"),
        ({"modified": None}, "modified is missing"),
        ({"fingerprint": "0e:ab"}, "fingerprint is not a fingerprint"),
        ({"hint": 5}, "hint is missing or not a string"),
    ],
)
def test_a_wrong_key_config_is_refused(golden, change, text):
    with pytest.raises(BadJson, match=text):
        KeyConfig.from_json(golden["crypto"]["key_config_scrypt"] | change)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=5,
)
KEYS = st.sampled_from(["kdf", "created", "modified", "data", "fingerprint", "hint"])


@given(st.dictionaries(KEYS, JSON), st.sampled_from(["Scrypt", "PBKDF2"]), JSON)
def test_whatever_is_read_as_a_key_config_is_one_or_refused(golden, change, kdf, inner):
    base = golden["crypto"]["key_config_pbkdf2"]
    for value in (change, base | change, base | {"kdf": {kdf: inner}}):
        try:
            made = KeyConfig.from_json(value)
        except BadJson:
            continue
        assert KeyConfig.from_json(json.loads(dump(made.to_json()))) == made
