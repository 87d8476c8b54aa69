# SPDX-License-Identifier: LGPL-2.1-or-later
"""File and drop-ins to one `Config`; whatever is wrong is told in one go, and nothing is changed by it."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from tapeds import errors, names
from tapeds.config import problems
from tapeds.config.models import Config, known_keys
from tapeds.config.problems import Location

Table = dict[str, Any]

DROP_INS = "tapeds.d"
_PLACE = re.compile(r" \(at line (\d+), column (\d+)\)$")
_AT_END = " (at end of document)"


def load(path: str | None = None) -> Config:
    """The configuration in ``path`` (by default `names.CONFIG_FILE`) and in ``tapeds.d/*.toml`` beside it.

    Drop-ins are taken in the order of their names: each may add sections and override single keys.
    Files that are not there are the defaults.  Raises InvalidConfig: one line for each problem,
    which names file, key path and remedy (`lines` takes them apart).
    """
    main = names.CONFIG_FILE if path is None else path
    sources = _Sources()
    for file in _files(main, sources.faults):
        sources.read(file)
    config, faults = _validate(sources)
    if faults or config is None:
        raise errors.InvalidConfig("\n".join(faults))
    return config


def lines(error: errors.InvalidConfig) -> list[str]:
    """The problems in ``error``, one by one."""
    return str(error).splitlines()


class _Sources:
    """The tables of all files as one, and which file each key came from."""

    def __init__(self) -> None:
        self.data: Table = {}
        self.faults: list[str] = []        # of files that could not be read or parsed
        self._origins: dict[Location, str] = {}

    def read(self, file: str) -> None:
        """Lay ``file`` over what is there."""
        try:
            with open(file, "rb") as stream:
                raw = stream.read()
        except FileNotFoundError:
            return
        except OSError as exc:
            self.faults.append(_unreadable(file, "file", exc))
            return
        try:
            self._merge(self.data, tomllib.loads(raw.decode()), file, ())
        except UnicodeDecodeError as exc:
            line = raw.count(b"\n", 0, exc.start) + 1
            self.faults.append(f"{file}: line {line}: not UTF-8; save the file as UTF-8")
        except (ValueError, RecursionError) as exc:
            self.faults.append(_not_toml(file, raw, exc))

    def _merge(self, into: Table, table: Table, file: str, location: Location) -> None:
        for key, value in table.items():
            here = (*location, key)
            old = into.get(key)
            if isinstance(value, dict) and isinstance(old, dict):
                self._merge(old, value, file, here)
                continue
            self._origins[here] = file
            into[key] = {} if isinstance(value, dict) else value
            if isinstance(value, dict):
                self._merge(into[key], value, file, here)

    def problem(self, location: Location, text: str) -> str:
        """One line about the key at ``location``."""
        return f"{self._origin(location)}: {problems.key_path(location)}: {text}"

    def _origin(self, location: Location) -> str:
        tables = (location[:length] for length in range(len(location), 0, -1))
        return next(self._origins[table] for table in tables if table in self._origins)

    def drop(self, location: Location) -> None:
        """Forget the key at ``location``."""
        table = self.data
        for part in location[:-1]:
            table = table[part]
        del table[location[-1]]


def _files(main: str, faults: list[str]) -> Iterator[str]:
    yield main
    directory = os.path.join(os.path.dirname(main), DROP_INS)
    try:
        entries = sorted(os.listdir(directory))
    except FileNotFoundError:
        return
    except OSError as exc:
        faults.append(_unreadable(directory, "directory", exc))
        return
    for entry in entries:
        if entry.endswith(".toml") and not entry.startswith("."):
            yield os.path.join(directory, entry)


def _validate(sources: _Sources) -> tuple[Config | None, list[str]]:
    faults = list(sources.faults)
    for location in problems.unknown_keys(sources.data):
        known = known_keys(location[:-1])
        faults.append(sources.problem(location, problems.unknown_key(location[-1], known)))
        sources.drop(location)
    faults.extend(_same_paths(sources))
    try:
        return Config.model_validate(sources.data), faults
    except ValidationError as exc:
        for error in exc.errors(include_url=False):
            # What is missing may stand in the file that could not be read.
            if not (error["type"] == "missing" and sources.faults):
                faults.append(sources.problem(problems.location_of(error), problems.sentence(error)))
        return None, faults


def _same_paths(sources: _Sources) -> Iterator[str]:
    drives = sources.data.get("drive")
    seen: dict[str, str] = {}
    for name, table in drives.items() if isinstance(drives, dict) else ():
        path = table.get("path") if isinstance(table, dict) else None
        if not isinstance(path, str):
            continue
        first = seen.setdefault(names.lock_name(path), name)
        if first != name:
            yield sources.problem(
                ("drive", name, "path"),
                f"{problems.shown(path)} is the path of drive {first}; give each drive its own",
            )


def _unreadable(path: str, kind: str, exc: OSError) -> str:
    return f"{path}: cannot be read ({exc.strerror}); it must be a {kind} that the service may read"


def _not_toml(file: str, raw: bytes, exc: ValueError | RecursionError) -> str:
    text, place = str(exc), ""
    last_line = raw.rstrip().count(b"\n") + 1
    if match := _PLACE.search(text):
        text, place = text[: match.start()], f"line {match[1]}, column {match[2]}: "
    elif text.endswith(_AT_END):
        text, place = text[: -len(_AT_END)], f"line {last_line}: "
    return f"{file}: {place}not TOML: {text}"
