# SPDX-License-Identifier: LGPL-2.1-or-later
"""Names that others must find too: lock files, object paths, journal fields and message ids."""

from __future__ import annotations

import re
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeds import names

# --- lock files ----------------------------------------------------------------------------------


def systemd_escape(*paths: str) -> list[str]:
    """What systemd makes of each path."""
    done = subprocess.run(
        ["systemd-escape", "--path", "--", *paths], capture_output=True, check=True, encoding="utf-8"
    )
    return done.stdout.rstrip("\n").split(" ")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/dev/tape/by-id/scsi-12345-sg", "dev-tape-by\\x2did-scsi\\x2d12345\\x2dsg"),
        ("/srv/vt0", "srv-vt0"),
        ("/srv/vt0/", "srv-vt0"),
        ("//srv//./vt0", "srv-vt0"),
        ("/", "-"),
        ("/.hidden/.x", "\\x2ehidden-.x"),
        ("/a:b_c.d", "a:b_c.d"),
        ("/a b", "a\\x20b"),
        ("/é", "\\xc3\\xa9"),
        ("/a\\b", "a\\x5cb"),
    ],
)
@pytest.mark.requires("systemd-escape")
def test_a_lock_is_named_after_its_path_as_systemd_escapes_it(path: str, name: str) -> None:
    assert names.lock_name(path) == name
    assert systemd_escape(path) == [name]


_PART = st.text(
    st.one_of(
        st.sampled_from("aZ09._-:@\\~ \tä€😀"),
        st.characters(min_codepoint=32, exclude_characters="/", exclude_categories=["Cs"]),
    ),
    min_size=1,
    max_size=12,
)
_PATH = st.lists(_PART.filter(lambda part: part != ".."), min_size=1, max_size=5).map(
    lambda parts: "/" + "/".join(parts)
)


@pytest.mark.requires("systemd-escape")
@settings(max_examples=40, deadline=None)
@given(st.lists(_PATH, min_size=1, max_size=20))
def test_every_path_gets_the_name_that_systemd_escape_gives_it(paths: list[str]) -> None:
    assert [names.lock_name(path) for path in paths] == systemd_escape(*paths)


@given(_PATH)
def test_the_name_of_a_lock_is_one_file_name(path: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9:_.\\-]+", names.lock_name(path))


def unescape(name: str) -> str:
    """The path that a name stands for."""
    slashed = name.replace("-", "/").encode()
    plain = re.sub(rb"\\x(..)", lambda match: bytes.fromhex(match[1].decode()), slashed)
    return "/" + plain.decode()


@given(_PATH)
def test_two_paths_never_share_a_name(path: str) -> None:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    assert unescape(names.lock_name(path)) == "/" + "/".join(parts) or not parts


# --- object paths --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "element"),
    [
        ("vt0", "vt0"),
        ("0vt", "_30vt"),
        ("a-b.c_d", "a_2db_2ec_5fd"),
        ("_", "_5f"),
        ("", "_"),
        ("é", "_c3_a9"),
        ("9", "_39"),
    ],
)
def test_a_name_is_one_element_of_an_object_path(name: str, element: str) -> None:
    assert names.path_element(name) == element


@given(st.text(), st.text())
def test_two_names_never_share_an_element(first: str, second: str) -> None:
    assert (names.path_element(first) == names.path_element(second)) == (first == second)


@given(st.text())
def test_an_element_has_only_what_the_bus_allows(name: str) -> None:
    assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", names.path_element(name))


def test_objects_lie_below_the_root() -> None:
    assert names.drive_path("lto-0") == "/org/tapeds1/drives/lto_2d0"
    assert names.changer_path("lib0") == "/org/tapeds1/changers/lib0"
    assert names.job_path(17) == "/org/tapeds1/jobs/17"
    assert names.session_path(3) == "/org/tapeds1/sessions/3"


# --- journal -------------------------------------------------------------------------------------


def constants(of: type) -> dict[str, str]:
    return {name: value for name, value in vars(of).items() if not name.startswith("_")}


def test_fields_are_upper_case_and_ours_but_for_the_message_id() -> None:
    for value in constants(names.Field).values():
        assert re.fullmatch(r"MESSAGE_ID|TAPEDS_[A-Z_]+", value)


def test_message_ids_are_128_bits_and_differ() -> None:
    values = list(constants(names.MessageId).values())
    assert all(re.fullmatch(r"[0-9a-f]{32}", value) for value in values)
    assert len(set(values)) == len(values)


def test_operations_are_their_names_in_kebab_case() -> None:
    for name, value in constants(names.Operation).items():
        assert value == name.lower().replace("_", "-")


@pytest.mark.parametrize("name", ["lto0", "a-b.c", "_x_", "0abc", "t\u00e4pe", ""])
def test_a_path_gives_the_name_back(name: str) -> None:
    assert names.name_of(names.drive_path(name)) == name
