# SPDX-License-Identifier: LGPL-2.1-or-later
"""Dictionaries of callers: known keys, right types, sensible values."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tapeds import names
from tapeds.buslib import Variant, schema
from tapeds.buslib.schema import api
from tapeds.dbus import options
from tapeds.errors import InvalidOption

DRIVE = names.DRIVE


def parse(member: str, argument: str = "options", **given: Any) -> options.Options:
    return options.parse(
        DRIVE, member, argument, {key.replace("_", "-"): Variant(*v) for key, v in given.items()}
    )


def test_defaults_are_filled_in_and_the_rest_is_absent() -> None:
    assert parse("Acquire") == {
        "auth.no_user_interaction": False,
        "session": "/",
        "bind": "client",
        "ttl": 0,
        "timeout": 10,
        "reason": "",
    }
    assert "size" not in parse("WriteFile")


def test_a_given_value_replaces_the_default() -> None:
    assert parse("Acquire", ttl=("t", 60))["ttl"] == 60


def test_an_unknown_key_is_an_error_that_names_the_nearest_known_one() -> None:
    with pytest.raises(InvalidOption, match=r"WriteFile has no option 'durabel'; did you mean 'durable'\?"):
        parse("WriteFile", durabel=("b", True))


def test_an_unknown_key_without_a_near_one_is_answered_by_all_there_are() -> None:
    with pytest.raises(
        InvalidOption, match=r"Rewind has no option 'xyzzy'; there are auth\.no_user_interaction, session"
    ):
        parse("Rewind", xyzzy=("b", True))


def test_a_wrong_type_is_an_error_that_names_both() -> None:
    with pytest.raises(InvalidOption, match="option size of WriteFile is of type t, not s"):
        parse("WriteFile", size=("s", "12"))


@pytest.mark.parametrize(
    ("member", "given", "complaint"),
    [
        ("Acquire", {"bind": ("s", "uid")}, "must be client or none, not 'uid'"),
        ("ReadFile", {"digest": ("s", "md5")}, "must be none or sha256, not 'md5'"),
        ("WriteFileFrom", {"sha256": ("ay", b"123")}, "must be 32 bytes long, not 3"),
        ("WriteFile", {"content_magic": ("ay", b"123")}, "must be 8 bytes long, not 3"),
        ("WriteFile", {"header": ("ay", bytes(65537))}, "must be 0 to 65536 bytes long, not 65537"),
        ("WriteFile", {"format": ("s", "tar")}, "must be stream or raw, not 'tar'"),
        ("WriteFile", {"framing": ("s", "u16")}, "must be none or u32le, not 'u16'"),
        ("WriteFile", {"expect_uuid": ("s", "TAPE01")}, "cannot be 'TAPE01'; give 32 hex digits"),
    ],
)
def test_an_impossible_value_is_an_error(member: str, given: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InvalidOption, match=complaint):
        parse(member, **given)


def test_a_label_needs_its_text() -> None:
    with pytest.raises(InvalidOption, match="LabelTape needs the key of label label-text, of type s"):
        parse("LabelTape", "label", pool=("s", "default"))


@pytest.mark.parametrize("text", ["A", "A" * 33, "TAPE 01", "-TAPE", "TÄPE"])
def test_a_label_text_is_a_safe_name_of_2_to_32_characters(text: str) -> None:
    with pytest.raises(InvalidOption):
        parse("LabelTape", "label", label_text=("s", text))


def test_a_label_text_that_will_not_do_is_told_what_would() -> None:
    with pytest.raises(InvalidOption, match="cannot be 'TAPE 01'; give letters, digits"):
        parse("LabelTape", "label", label_text=("s", "TAPE 01"))


def test_a_misspelt_key_of_a_label_is_an_error() -> None:
    with pytest.raises(InvalidOption, match=r"no key of label 'label-txt'; did you mean 'label-text'\?"):
        parse("LabelTape", "label", label_txt=("s", "TAPE01"))


def test_every_member_of_drive_and_changer_takes_a_session() -> None:
    for interface in (names.DRIVE, names.CHANGER):
        for member in api()[interface].methods:
            assert options.OPTIONS[interface, member]["session"].type == "o", member


def test_every_member_takes_auth_no_user_interaction() -> None:
    for rows in options.OPTIONS.values():
        assert rows["auth.no_user_interaction"].type == "b"


def test_the_tables_cover_the_api() -> None:
    options.check(api())


def test_the_tables_have_no_row_that_the_api_does_not_have() -> None:
    methods = {(name, member) for name, interface in api().items() for member in interface.methods}
    assert set(options.OPTIONS) == methods
    assert {(interface, member) for interface, member, _ in options.ARGUMENTS} <= methods


def test_a_dictionary_without_a_row_is_refused_by_name() -> None:
    xml = '<method name="Rewind"><arg name="extras" type="a{sv}" direction="in"/></method>'
    with pytest.raises(LookupError, match=r"org\.tapeds1\.Drive\.Rewind extras"):
        options.check(schema.parse(f'<node><interface name="org.tapeds1.Drive">{xml}</interface></node>'))


def documented(text: str) -> dict[tuple[str, str, str], dict[str, str]]:
    """The keys and types that the API book promises, by interface, member and argument."""
    found: dict[tuple[str, str, str], dict[str, str]] = {}
    interface = ""
    commented = r'<!--((?:(?!-->).)*)-->\s*<(interface|method) name="([\w.]+)"'
    for match in re.finditer(commented, text, re.DOTALL):
        book, kind, name = match.groups()
        if kind == "interface":
            interface = name
            continue
        if book.count("<interface"):
            continue
        for argument in re.finditer(r"(?ms)^ *@(options|label|media):(.*?)(?=^ *@|\Z)", book):
            keys = re.findall(r"^ {8}([a-z0-9-]+) \((\w+(?:\{sv\})?)\):", argument[2], re.MULTILINE)
            found[interface, name, argument[1]] = dict(keys)
            if alike := re.search(r"As (\w+)\(\)", argument[2]):
                found[interface, name, argument[1]] = found[interface, alike[1], argument[1]]
    return found


def test_the_tables_and_the_api_book_name_the_same_keys_and_types() -> None:
    book = documented(schema.api_xml())
    assert len(book) == len(options.OPTIONS) + len(options.ARGUMENTS)
    everywhere = {options.NO_INTERACTION, options.SESSION}
    for (interface, member, argument), keys in book.items():
        rows = options.OPTIONS[interface, member] if argument == "options" else (
            options.ARGUMENTS[interface, member, argument]
        )
        table = {key: row.type for key, row in rows.items() if key not in everywhere}
        keys.pop(options.SESSION, None)
        assert table == keys, f"{interface}.{member} {argument}"
