# SPDX-License-Identifier: LGPL-2.1-or-later
"""The man page tells every verb, every option and every exit status, and man(1) likes it."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from cli import tree
from tapeds.cli.failure import Exit


@pytest.fixture
def page(root: Path) -> str:
    return (root / "docs/man/tapectl.1").read_text()


def test_every_verb_has_its_paragraph_with_all_its_options(page: str) -> None:
    paragraphs = re.split(
        r"^\.T[PQ]\n", page.split(".SH VERBS")[1].split(".SH WRITING")[0], flags=re.MULTILINE
    )
    for name, command in tree.verbs():
        here = re.compile(rf"\.B[IR]? {name}(\\~.*)?$", re.MULTILINE)
        starts = [number for number, text in enumerate(paragraphs) if here.match(text)]
        assert starts, f"{name} has no paragraph"
        # The options of write have paragraphs of their own behind it.
        end = starts[-1] + (1 + len(tree.options(command)) if name == "write" else 1)
        text = "".join(paragraphs[starts[0] : end]).replace("\\-", "-")
        missing = {option for option in tree.options(command) if option not in text}
        assert not missing, f"{name}: {missing}"


def test_every_common_option_is_explained(page: str) -> None:
    options = page.split(".SH OPTIONS")[1].split(".SH VERBS")[0].replace("\\-", "-")
    assert all(option in options for option in tree.COMMON)


def test_every_exit_status_is_explained(page: str) -> None:
    told = re.findall(r"^\.B (\d+)$", page.split(".SH EXIT STATUS")[1].split(".SH ENV")[0], re.MULTILINE)
    assert [int(number) for number in told] == [int(status) for status in Exit]


@pytest.mark.requires("man")
def test_man_has_nothing_to_complain_about(root: Path) -> None:
    done = subprocess.run(
        ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", str(root / "docs/man/tapectl.1")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, "MANWIDTH": "80", "LC_ALL": "C.UTF-8"},
    )
    assert done.stderr == ""
