# SPDX-License-Identifier: LGPL-2.1-or-later
"""The independent reader is itself held against the golden tape and against damage."""

from __future__ import annotations

import ast
import os
import shutil
from pathlib import Path

import pytest

from independent import reader

GOLDEN = Path(__file__).parent.parent / "golden"


def test_it_uses_nothing_but_struct_and_json() -> None:
    source = Path(reader.__file__).read_text()
    modules = {
        alias.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    modules |= {node.module for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)}
    assert modules == {"struct", "json"}
    assert source.count("\n") <= 250


def test_it_reads_the_golden_tapes() -> None:
    tapes = reader.read_directory(str(GOLDEN / "vdrive"), os.listdir(GOLDEN / "vdrive"))
    tape = tapes["TEST01L8"]
    assert [file.kind for file in tape.files] == [
        "media-label",
        "media-set-label",
        "chunk-archive",
        "snapshot-archive",
        "catalog-archive",
    ]
    assert [file.state for file in tape.files] == ["complete"] * 5
    assert tape.media_label["uuid"] == "7f42c4dd-9626-4d89-9f2b-c7bc6da7d533"
    assert tape.set_label["pool"] == "daily"
    assert tapes["TEST02L8"].files == []


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("stream-ABC", "complete"),
        ("stream-empty", "complete"),
        ("stream-exact-one-payload", "complete"),
        ("stream-incomplete", "incomplete"),
        ("stream-no-end-marker", "no-end-marker"),
    ],
)
def test_it_tells_how_a_stream_ends(name: str, state: str) -> None:
    assert reader.File(0, str(GOLDEN / f"{name}.blk")).state == state


@pytest.mark.parametrize(
    ("offset", "fault"),
    [
        (0, "wrong magic number"),
        (12, "sequence number"),
        (8, "flags"),
        (11, "payload of"),
        (262143, "not zero"),
    ],
)
def test_it_notices_one_changed_byte(tmp_path: Path, offset: int, fault: str) -> None:
    damaged = bytearray((GOLDEN / "stream-ABC.blk").read_bytes())
    damaged[offset] ^= 0x7C
    path = tmp_path / "damaged"
    path.write_bytes(damaged)
    file = reader.File(0, str(path))
    assert file.state == "malformed"
    assert fault in file.fault


@pytest.mark.damaged_tape("a file is taken away")
def test_it_notices_a_counted_file_that_is_not_there(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN / "vdrive", tmp_path / "d")
    (tmp_path / "d/tapefile-3-TEST01L8.json").unlink()
    with pytest.raises(OSError, match="tapefile-3"):
        reader.read_directory(str(tmp_path / "d"), os.listdir(tmp_path / "d"))
