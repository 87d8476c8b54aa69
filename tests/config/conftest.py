# SPDX-License-Identifier: LGPL-2.1-or-later
"""A configuration directory to write files into."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tapeds import errors
from tapeds.config import load as loading
from tapeds.config.models import Config


class Folder:
    """Stands for /etc/tapeds."""

    def __init__(self, path: Path) -> None:
        self.main = path / "tapeds.toml"
        self.drop_ins = path / "tapeds.d"

    def write(self, text: str) -> Path:
        self.main.write_text(text)
        return self.main

    def drop_in(self, name: str, text: str) -> Path:
        self.drop_ins.mkdir(exist_ok=True)
        file = self.drop_ins / name
        file.write_text(text)
        return file

    def load(self) -> Config:
        return loading.load(str(self.main))

    def problems(self) -> list[str]:
        with pytest.raises(errors.InvalidConfig) as caught:
            self.load()
        return loading.lines(caught.value)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture
def problem(folder: Folder) -> Callable[[str], str]:
    """The one problem of a configuration text, without the name of the file."""

    def find(text: str) -> str:
        file = folder.write(text)
        found = folder.problems()
        assert len(found) == 1, found
        assert found[0].startswith(f"{file}: ")
        return found[0].removeprefix(f"{file}: ")

    return find
