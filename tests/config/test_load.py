# SPDX-License-Identifier: LGPL-2.1-or-later
"""From files to one configuration, and what the operator is told when that fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tapeds import errors, names
from tapeds.config import problems
from tapeds.config.load import load
from tapeds.config.models import Config, VirtualDriveConfig, size_text

Folder = Any                              # of conftest.py
Problem = Callable[[str], str]

VT0 = '[drive.vt0]\ntype = "virtual"\npath = "/srv/vt0"\n'


def test_without_any_file_there_is_no_drive(folder: Folder) -> None:
    assert folder.load() == Config()
    assert Config().drives == {}


def test_an_empty_file_has_the_defaults(folder: Folder) -> None:
    folder.write("")
    assert folder.load() == Config()


def test_the_usual_place_is_taken_when_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "tapeds.toml"
    file.write_text(VT0)
    monkeypatch.setattr(names, "CONFIG_FILE", str(file))
    assert list(load(None).drives) == ["vt0"]


def test_a_virtual_drive_has_defaults(folder: Folder) -> None:
    folder.write(VT0)
    drive = folder.load().drives["vt0"]
    assert drive == VirtualDriveConfig(type="virtual", path="/srv/vt0", max_size=67108864, buffer=67108864)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1048576", 1048576),
        ('"1048576"', 1048576),
        ('"1048576B"', 1048576),
        ('"1M"', 1048576),
        ('"1MiB"', 1048576),
        ('"1 MiB"', 1048576),
        ('" 1024K "', 1048576),
        ('"3GiB"', 3 << 30),
        ('"2T"', 2 << 40),
    ],
)
def test_a_size_is_bytes_or_text_with_a_binary_unit(folder: Folder, text: str, size: int) -> None:
    folder.write(f"{VT0}max-size = {text}\n")
    assert folder.load().drives["vt0"].max_size == size


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0B"), (1, "1B"), (1025, "1025B"), (2048, "2KiB"), (64 << 20, "64MiB"), (3 << 50, "3PiB")],
)
def test_a_size_is_told_in_the_largest_unit_that_divides_it(size: int, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(
    "text", ["true", "1.5e9", '"1MB"', '"1.5G"', '"G"', '""', '"-1M"', '"1 M iB"', '"٣M"', "[1]", "{a = 1}"]
)
def test_what_is_no_size_is_refused(problem: Problem, text: str) -> None:
    said = problem(f"{VT0}max-size = {text}\n")
    assert said.startswith("drive.vt0.max-size: ")
    assert said.endswith('is not a size; write bytes, or a number with KiB, MiB, GiB or TiB, such as "64MiB"')


@pytest.mark.parametrize(
    ("key", "value", "low", "high"),
    [
        ("max-size", "0", "256KiB", "1PiB"),
        ("max-size", "-5", "256KiB", "1PiB"),
        ("max-size", '"2P"', "256KiB", "1PiB"),
        ("buffer", "1", "1MiB", "16GiB"),
        ("buffer", '"17G"', "1MiB", "16GiB"),
    ],
)
def test_a_size_out_of_range_is_told_with_the_range(
    problem: Problem, key: str, value: str, low: str, high: str
) -> None:
    said = problem(f"{VT0}{key} = {value}\n")
    assert said == f"drive.vt0.{key}: {value} is out of range; write {low} to {high}"


# --- keys ---------------------------------------------------------------------------------------


def test_a_misspelt_key_is_told_with_the_nearest_known_one(problem: Problem) -> None:
    assert problem(f"{VT0}max-sise = 1\n") == "drive.vt0.max-sise: is not known; write max-size"


def test_a_key_in_python_spelling_is_not_known(problem: Problem) -> None:
    assert problem(f'{VT0}max_size = "1G"\n') == "drive.vt0.max_size: is not known; write max-size"


def test_the_models_own_word_for_drives_is_not_known(problem: Problem) -> None:
    assert problem('[drives.vt0]\ntype = "virtual"\npath = "/x"\n') == "drives: is not known; write drive"


def test_a_key_like_no_other_is_told_with_all_known_ones(problem: Problem) -> None:
    said = problem(f"{VT0}colour = 1\n")
    assert said == "drive.vt0.colour: is not known; known here: type, path, max-size, buffer"


def test_a_key_that_needs_quotes_is_shown_with_them(problem: Problem) -> None:
    assert problem(f'{VT0}"a.b" = 1\n').startswith('drive.vt0."a.b": is not known')


def test_a_section_inside_a_drive_is_not_known(problem: Problem) -> None:
    assert problem(f"{VT0}[drive.vt0.limits]\na = 1\n").startswith("drive.vt0.limits: is not known")


def test_a_missing_path_is_asked_for(problem: Problem) -> None:
    assert problem('[drive.vt0]\ntype = "virtual"\n') == "drive.vt0.path: is missing; add path = ..."


def test_a_missing_type_is_asked_for(problem: Problem) -> None:
    assert problem('[drive.vt0]\npath = "/srv/a"\n') == "drive.vt0.type: is missing; add type = ..."


def test_an_unknown_type_is_told_with_the_known_ones(problem: Problem) -> None:
    said = problem('[drive.vt0]\ntype = "lto"\npath = "/dev/sg0"\n')
    assert said == 'drive.vt0.type: "lto" is not known; write "virtual"'


@pytest.mark.parametrize(
    ("value", "shown"), [("7", "7"), ("{a = 1}", "a table"), ("1979-05-27", '"1979-05-27"'), ("true", "true")]
)
def test_a_path_that_is_no_text_is_told(problem: Problem, value: str, shown: str) -> None:
    said = problem(f'[drive.vt0]\ntype = "virtual"\npath = {value}\n')
    assert said == f"drive.vt0.path: {shown} is not text; put it in quotes"


def test_a_long_value_is_cut(problem: Problem) -> None:
    said = problem(f'{VT0}buffer = "{"x" * 100}"\n')
    assert said.startswith(f'drive.vt0.buffer: "{"x" * 56}... is not a size')


def test_a_relative_path_is_refused(problem: Problem) -> None:
    said = problem('[drive.vt0]\ntype = "virtual"\npath = "tapes"\n')
    assert said == 'drive.vt0.path: "tapes" is not absolute; write the whole path, beginning with /'


@pytest.mark.parametrize("path", ["/a/../b", "/..", "/a\\nb", "/a\\u0000b"])
def test_a_path_with_dots_or_control_characters_is_refused(problem: Problem, path: str) -> None:
    said = problem(f'[drive.vt0]\ntype = "virtual"\npath = "{path}"\n')
    assert said.endswith('has a part ".." or a control character; write the path without it')


def test_a_path_too_long_for_its_lock_file_is_refused(problem: Problem) -> None:
    said = problem(f'[drive.vt0]\ntype = "virtual"\npath = "/{"-" * 64}"\n')
    assert said.endswith("gives its lock file a name over 255 bytes; use a shorter path")


@pytest.mark.parametrize("name", ["vt0", "_ab", "0-1", "A.b-c_d", "x" * 32])
def test_a_good_name_is_taken(folder: Folder, name: str) -> None:
    folder.write(f'[drive."{name}"]\ntype = "virtual"\npath = "/srv/a"\n')
    assert list(folder.load().drives) == [name]


@pytest.mark.parametrize("name", ["", "ab", "x" * 33, "-ab", ".ab", "a/b", "a b", "vt0é", "vt0\\n"])
def test_a_bad_name_is_refused(problem: Problem, name: str) -> None:
    said = problem(f'[drive."{name}"]\ntype = "virtual"\npath = "/srv/a"\n')
    assert said.startswith("drive.")
    assert "is not a name; use 3 to 32 letters, digits and . _ -" in said


def test_a_value_where_a_section_must_be_is_told(problem: Problem) -> None:
    assert problem("drive = 5\n") == "drive: 5 is no table; write [drive.NAME]"
    assert problem('[drive]\nvt0 = "/srv"\n') == 'drive.vt0: "/srv" is no table; write [drive.vt0]'
    assert problem("[[drive]]\n") == "drive: a list is no table; write [drive.NAME]"


def test_two_drives_on_one_path_are_refused(problem: Problem) -> None:
    said = problem(f'{VT0}[drive.vt1]\ntype = "virtual"\npath = "//srv/./vt0/"\n')
    assert said == 'drive.vt1.path: "//srv/./vt0/" is the path of drive vt0; give each drive its own'


# --- drop-ins -----------------------------------------------------------------------------------


def test_a_drop_in_adds_drives_and_overrides_single_keys(folder: Folder) -> None:
    folder.write(f'{VT0}max-size = "1G"\n')
    folder.drop_in("10-more.toml", '[drive.vt1]\ntype = "virtual"\npath = "/srv/vt1"\n')
    folder.drop_in("20-less.toml", '[drive.vt0]\nmax-size = "1M"\n')
    drives = folder.load().drives
    assert list(drives) == ["vt0", "vt1"]
    assert (drives["vt0"].path, drives["vt0"].max_size) == ("/srv/vt0", 1048576)


def test_drop_ins_are_read_in_the_order_of_their_names(folder: Folder) -> None:
    folder.write(VT0)
    folder.drop_in("9.toml", '[drive.vt0]\nbuffer = "9M"\n')
    folder.drop_in("10.toml", '[drive.vt0]\nbuffer = "10M"\n')
    assert folder.load().drives["vt0"].buffer == 9 << 20


def test_drop_ins_are_read_also_without_the_file(folder: Folder) -> None:
    folder.drop_in("a.toml", VT0)
    assert list(folder.load().drives) == ["vt0"]


@pytest.mark.parametrize("name", [".hidden.toml", "a.toml~", "README", "a.toml.dpkg-old"])
def test_other_files_among_the_drop_ins_are_left_out(folder: Folder, name: str) -> None:
    folder.drop_in(name, "not TOML at all")
    assert folder.load() == Config()


def test_a_bad_key_is_told_with_the_file_that_it_came_from(folder: Folder) -> None:
    folder.write(VT0)
    ten = folder.drop_in("10.toml", "[drive.vt0]\nbufer = 1\n")
    twenty = folder.drop_in("20.toml", "[drive.vt0]\nbuffer = false\n")
    first, second = folder.problems()
    assert first == f"{ten}: drive.vt0.bufer: is not known; write buffer"
    assert second.startswith(f"{twenty}: drive.vt0.buffer: false is not a size")


def test_a_missing_key_is_told_with_the_file_that_began_the_section(folder: Folder) -> None:
    folder.write(VT0)
    ten = folder.drop_in("10.toml", '[drive.vt1]\ntype = "virtual"\n')
    folder.drop_in("20.toml", '[drive.vt1]\nbuffer = "1M"\n')
    assert folder.problems() == [f"{ten}: drive.vt1.path: is missing; add path = ..."]


def test_a_drop_in_that_mends_a_value_is_enough(folder: Folder) -> None:
    folder.write(f"{VT0}buffer = 1\n")
    folder.drop_in("10.toml", '[drive.vt0]\nbuffer = "1M"\n')
    assert folder.load().drives["vt0"].buffer == 1 << 20


def test_a_drop_in_that_takes_another_drives_path_is_refused(folder: Folder) -> None:
    folder.write(f'{VT0}[drive.vt1]\ntype = "virtual"\npath = "/srv/vt1"\n')
    ten = folder.drop_in("10.toml", '[drive.vt1]\npath = "/srv/vt0"\n')
    assert folder.problems() == [
        f'{ten}: drive.vt1.path: "/srv/vt0" is the path of drive vt0; give each drive its own'
    ]


# --- files --------------------------------------------------------------------------------------


def test_a_syntax_error_is_told_with_line_and_column(problem: Problem) -> None:
    assert problem("# one\n\n[drive.vt0\n") == (
        "line 3, column 11: not TOML: Expected ']' at the end of a table declaration"
    )


def test_a_syntax_error_at_the_end_is_told_with_its_line(problem: Problem) -> None:
    assert problem('[drive.vt0]\npath = "/srv').startswith("line 2: not TOML: ")


def test_a_key_given_twice_is_told_with_its_line(problem: Problem) -> None:
    assert problem(f'{VT0}path = "/b"\n').startswith("line 4, column 12: not TOML: ")


def test_text_that_is_not_utf8_is_told_with_its_line(folder: Folder) -> None:
    folder.main.write_bytes(b"# one\n# \xff\n")
    assert folder.problems() == [f"{folder.main}: line 2: not UTF-8; save the file as UTF-8"]


@pytest.mark.parametrize("text", ["a = " + "[" * 10000, f"a = {'9' * 5000}", f"a = {'{a=' * 3000}"])
def test_monstrous_text_is_a_problem_like_any_other(problem: Problem, text: str) -> None:
    assert "not TOML" in problem(text)


def test_a_directory_in_place_of_the_file_is_told(folder: Folder) -> None:
    folder.main.mkdir()
    assert folder.problems() == [
        f"{folder.main}: cannot be read (Is a directory); it must be a file that the service may read"
    ]


def test_a_file_in_place_of_the_drop_in_directory_is_told(folder: Folder) -> None:
    folder.drop_ins.write_text("")
    (said,) = folder.problems()
    assert said == (
        f"{folder.drop_ins}: cannot be read (Not a directory); "
        "it must be a directory that the service may read"
    )


def test_a_file_that_may_not_be_read_is_told(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    import builtins

    folder.write(VT0)
    real = builtins.open

    def refuse(path: Any, *args: Any, **more: Any) -> Any:
        if str(path) == str(folder.main):
            raise PermissionError(13, "Permission denied")
        return real(path, *args, **more)

    monkeypatch.setattr(builtins, "open", refuse)
    assert folder.problems() == [
        f"{folder.main}: cannot be read (Permission denied); it must be a file that the service may read"
    ]


def test_all_problems_of_all_files_are_told_at_once(folder: Folder) -> None:
    folder.write('[drive.vt0]\ntype = "virtual"\npath = "tapes"\nmax-sise = 1\nbuffer = 1\n')
    folder.drop_in("10.toml", "[drive\n")
    folder.drop_in("20.toml", "[drive.a]\ncolour = 1\n")
    told = "\n".join(folder.problems())
    for part in (
        "10.toml: line 1",
        "vt0.max-sise",
        "vt0.path",
        "vt0.buffer",
        "20.toml: drive.a: ",
        "drive.a.colour",
    ):
        assert part in told, part


def test_nothing_is_called_missing_while_a_file_cannot_be_read(folder: Folder) -> None:
    folder.write('[drive.vt0]\ntype = "virtual"\n')
    ten = folder.drop_in("10.toml", '[drive.vt0]\npath = "/srv')
    assert [said.split(":")[0] for said in folder.problems()] == [str(ten)]


def test_a_fault_without_a_text_of_ours_has_that_of_the_library() -> None:
    error = {"type": "int_type", "loc": ("a",), "msg": "Input should be a valid integer", "input": "x"}
    assert problems.sentence(error) == '"x": Input should be a valid integer'


def test_the_texts_end_without_a_full_stop(folder: Folder) -> None:
    folder.write('[drive.vt0]\npath = "a"\nb = 1\n[drive.vt1]\ntype = 1\n')
    assert [said for said in folder.problems() if said.endswith(".") and not said.endswith("...")] == []


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.text(),
        st.lists(
            st.sampled_from(
                [
                    "[drive.vt0]",
                    "[drive]",
                    "[[drive]]",
                    'type="virtual"',
                    'path="/a"',
                    "path=1",
                    "max-size=1",
                    "drive={}",
                    "a.b.c=1979-05-27",
                    "drive.x.y=[]",
                    'buffer="1M"',
                    "[x]",
                ]
            ),
            max_size=8,
        ).map("\n".join),
    )
)
def test_whatever_the_file_holds_it_loads_or_tells_problems(folder: Folder, text: str) -> None:
    folder.main.write_text(text, newline="")
    try:
        folder.load()
    except errors.InvalidConfig as exc:
        for said in str(exc).splitlines():
            assert said.startswith(f"{folder.main}: ")
