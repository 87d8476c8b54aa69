# SPDX-License-Identifier: LGPL-2.1-or-later
"""Manual page, sample file and model say the same."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from pydantic_core import PydanticUndefined

from tapeds.config.load import load
from tapeds.config.models import Config, VirtualDriveConfig, known_keys, size_text

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/man/tapeds.toml.5"
SAMPLE = ROOT / "data/tapeds.toml"

KEYS = {field.alias: field for field in VirtualDriveConfig.model_fields.values()}


def paragraphs() -> dict[str, str]:
    """The tagged paragraphs of the section on virtual drives, by key, without markup."""
    text = PAGE.read_text().replace("\\-", "-").replace("\\(dq", '"')
    section = re.search(r"^\.SS Virtual drives\n(.*?)^\.S[SH] ", text, re.M | re.S)
    assert section is not None
    tagged = re.findall(r"^\.TP\n\.B (\S+)\n(.*?)(?=^\.TP|\Z)", section[1], re.M | re.S)
    return {key: " ".join(re.sub(r"^\.\w+ ", "", body, flags=re.M).split()) for key, body in tagged}


def test_the_manual_page_tells_every_key_in_the_order_of_the_model() -> None:
    assert list(paragraphs()) == list(KEYS) == known_keys(("drive", "vt0"))


@pytest.mark.parametrize("key", list(KEYS))
def test_the_manual_page_tells_the_default_or_that_the_key_is_required(key: str) -> None:
    default = KEYS[key].default
    if default is PydanticUndefined:
        assert paragraphs()[key].endswith("Required.")
    else:
        assert paragraphs()[key].endswith(f"Default: {size_text(default)}.")


@pytest.mark.parametrize("key", ["max-size", "buffer"])
def test_the_range_in_the_manual_page_is_the_range_of_the_model(key: str, tmp_path: Path) -> None:
    low, high = re.search(r"from (\S+) to (\w+)", paragraphs()[key]).groups()
    file = tmp_path / "t.toml"
    for value in (low, high):
        file.write_text(f'[drive.vt0]\ntype = "virtual"\npath = "/a"\n{key} = "{value}"\n')
        assert size_text(getattr(load(str(file)).drives["vt0"], key.replace("-", "_"))) == value


def test_the_manual_page_has_no_key_of_the_top_that_the_model_lacks() -> None:
    assert known_keys(()) == ["drive"]
    assert set(re.findall(r"\[(\w+)\.", PAGE.read_text())) == {"drive"}


def test_every_line_of_the_sample_is_a_comment() -> None:
    assert all(line.startswith("#") for line in SAMPLE.read_text().splitlines())
    assert load(str(SAMPLE)) == Config()


def uncommented() -> str:
    """The sample with its settings switched on: they follow the # without a space."""
    return re.sub(r"^#(?=[\[\w])", "", SAMPLE.read_text(), flags=re.M)


def test_the_sample_shows_every_key_with_its_default(tmp_path: Path) -> None:
    drive = tomllib.loads(uncommented())["drive"]["vt0"]
    assert list(drive) == list(KEYS)
    file = tmp_path / "t.toml"
    file.write_text(uncommented())
    assert load(str(file)).drives["vt0"] == VirtualDriveConfig(type="virtual", path=drive["path"])


def test_the_examples_of_the_manual_page_can_be_loaded(tmp_path: Path) -> None:
    text = PAGE.read_text().replace("\\-", "-")
    main, drop_in = re.findall(r"^\.EX\n(.*?)^\.EE", text, re.M | re.S)
    (tmp_path / "t.toml").write_text(main)
    (tmp_path / "tapeds.d").mkdir()
    (tmp_path / "tapeds.d/50-buffer.toml").write_text(drop_in)
    drive = load(str(tmp_path / "t.toml")).drives["vt0"]
    assert (drive.max_size, drive.buffer) == (1 << 30, 256 << 20)
