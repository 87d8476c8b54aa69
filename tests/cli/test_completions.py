# SPDX-License-Identifier: LGPL-2.1-or-later
"""Completion scripts offer what tapectl takes, and the drives and jobs that are there."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from cli import tree

Complete = Callable[..., list[str]]


@pytest.fixture
def stand_in(tmp_path: Path) -> Path:
    """A program that answers as tapectl does when completion asks."""
    program = tmp_path / "tapectl"
    program.write_text(
        """#!/bin/sh
echo "$*" >>"$(dirname "$0")/asked"
case "$*" in
    *"drives --names") printf 'lto0\\nvt0\\nvt1\\n' ;;
    *"jobs --ids") printf '7\\n12\\n' ;;
    *) exit 1 ;;
esac
"""
    )
    program.chmod(0o755)
    return program


@pytest.fixture
def bash(root: Path, stand_in: Path) -> Complete:
    """What bash would offer for the last of these words."""

    def complete(*words: str) -> list[str]:
        line = [str(stand_in), *words]
        code = f"""
source {shlex.quote(str(root / "data/completions/tapectl"))}
COMP_WORDS=({" ".join(shlex.quote(word) for word in line)})
COMP_CWORD={len(line) - 1}
_tapectl 2>&1
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
        done = subprocess.run(
            ["bash", "--norc", "-c", code], capture_output=True, text=True, check=True, cwd=stand_in.parent
        )
        return done.stdout.split()

    return complete


@pytest.mark.requires("bash")
def test_bash_offers_every_verb_and_no_other(bash: Complete) -> None:
    assert sorted(bash("")) == sorted(name for name, _ in tree.verbs())


@pytest.mark.requires("bash")
def test_bash_offers_every_option_of_every_verb(bash: Complete) -> None:
    for name, command in tree.verbs():
        offered = {word for word in bash(name, "--") if word != "--"}
        common = {word for word in tree.COMMON if word.startswith("--")} | {"--help"}
        assert offered == tree.options(command) | common, name


@pytest.mark.requires("bash")
@pytest.mark.parametrize(
    "verb", ["status", "rewind", "seek", "read", "write", "load", "label", "lock", "inventory"]
)
def test_bash_offers_the_drives_that_are_there(bash: Complete, verb: str) -> None:
    assert [word for word in bash(verb, "vt") if word.startswith("vt")] == ["vt0", "vt1"]
    assert "lto0" in bash("--json", verb, "")


@pytest.mark.requires("bash")
def test_bash_offers_the_jobs_that_run(bash: Complete) -> None:
    assert bash("cancel", "") == ["7", "12"]
    assert bash("wait", "1") == ["12"]


@pytest.mark.requires("bash")
def test_bash_asks_the_bus_of_the_command_line(bash: Complete, stand_in: Path) -> None:
    bash("--address", "unix:path=/run/other", "status", "")
    assert (stand_in.parent / "asked").read_text() == "--address unix:path=/run/other drives --names\n"


@pytest.mark.requires("bash")
def test_bash_offers_files_where_files_are_wanted(bash: Complete, tmp_path: Path) -> None:
    (tmp_path / "data.tar").touch()
    assert bash("write", "vt0", "dat") == ["data.tar"]
    assert bash("read", "vt0", "-o", "dat") == ["data.tar"]
    assert bash("write", "vt0", "--size", "") == []


@pytest.mark.requires("bash")
def test_bash_offers_commands_behind_two_dashes(bash: Complete, tmp_path: Path) -> None:
    (tmp_path / "data.tar").touch()
    assert "bash" in bash("write", "vt0", "--", "bas")
    assert bash("write", "vt0", "--", "cat", "dat") == ["data.tar"]


@pytest.mark.requires("zsh")
def test_zsh_knows_every_verb_and_every_option(root: Path) -> None:
    text = (root / "data/completions/_tapectl").read_text()
    known = re.findall(r"^        '([a-z-]+):", text, re.MULTILINE)
    assert sorted(known) == sorted(name for name, _ in tree.verbs())
    for name, command in tree.verbs():
        branch = re.search(
            rf"^                (?:[a-z|-]+\|)?{name}(?:\|[a-z|-]+)?\)(.*?);;", text, re.MULTILINE | re.DOTALL
        )
        offered = set(re.findall(r"(--[a-z0-9-]+)[\[}]", branch.group(1))) if branch else set()
        assert offered == tree.options(command), name


@pytest.mark.requires("zsh")
def test_zsh_offers_verbs_and_live_drives(root: Path, stand_in: Path, tmp_path: Path) -> None:
    """A real zsh on a pseudo-terminal of its own completes what is typed."""
    script = tmp_path / "drive.zsh"
    script.write_text(
        f"""
zmodload zsh/zpty
zpty -b shell zsh -f -i
zpty -w shell "PROMPT= RPROMPT=; fpath=({root}/data/completions \\$fpath); path=({stand_in.parent} \\$path)"
zpty -w shell "autoload -U compinit && compinit -u -d {tmp_path}/dump; zstyle ':completion:*' list-prompt ''"
zpty -w shell "LISTMAX=1000; bindkey '^I' complete-word; unsetopt zle_bracketed_paste automenu; print READY"
typeset out
while zpty -r shell out '*READY*' && [[ $out != *$'\\n'READY* ]]; do :; done
lines=('tapectl --address unix:path=/x status l' 'tapectl read-' 'tapectl rewind v' 'tapectl cancel '
    'tapectl erase --f')
for typed in "${{lines[@]}}"; do
    zpty -w -n shell "$typed"$'\\t\\t'
    sleep 1
    out=
    while zpty -r -t shell chunk; do out+=$chunk; done
    print -r -- "<$typed> ${{out//[$'\\e\\r\\n']/ }}"
    zpty -w -n shell $'\\C-u'
    sleep 0.2
    while zpty -r -t shell chunk; do :; done
done
zpty -d shell
"""
    )
    done = subprocess.run(["zsh", "-f", str(script)], capture_output=True, text=True, timeout=60, check=False)
    answers = dict(re.findall(r"^<(.*?)> (.*)$", done.stdout, re.MULTILINE))
    assert "read-label" in answers["tapectl read-"], done.stdout + done.stderr
    assert "vt0" in answers["tapectl rewind v"]
    assert "vt1" in answers["tapectl rewind v"]
    assert "12" in answers["tapectl cancel "]
    assert "--full" in answers["tapectl erase --f"]
    assert "lto0" in answers["tapectl --address unix:path=/x status l"]
    assert "--address unix:path=/x drives --names" in (tmp_path / "asked").read_text().splitlines()
