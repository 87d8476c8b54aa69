# SPDX-License-Identifier: LGPL-2.1-or-later
"""Values as people read them: amounts, times, tables; and as machines do: JSON.

Results go to standard output, everything else to standard error.  Names come from tapes that
somebody else wrote, so nothing reaches a terminal before `printable` has seen it.
"""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tapeds import names

Row = Sequence[str]
Json = dict[str, Any]


def printable(text: object) -> str:
    """``text`` without control characters, which appear as an escape does in source."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in str(text))


def say(line: str) -> None:
    """A line to the person, on standard error."""
    print(line, file=sys.stderr, flush=True)


def tell(line: str) -> None:
    """A line of the result, on standard output."""
    print(line, flush=True)


# --- amounts and times --------------------------------------------------------------------------


def amount(count: float) -> str:
    """Bytes with three significant digits in units of 1000, as cartridges and drives are sold."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB", "PB"):
        if value < 999.5 or unit == "PB":
            break
        value /= 1000
    if unit == "B":
        return f"{value:.0f} B"
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f} {unit}"


def exact(count: int) -> str:
    """Bytes to the last one: ``209,715,200 bytes``."""
    return f"{count:,} byte{'' if count == 1 else 's'}"


def duration(seconds: float) -> str:
    """``0:03``, ``12:40``, ``3:02:10``."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def moment(seconds: float) -> str:
    """Seconds since the epoch as local time."""
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def plural(count: int, noun: str) -> str:
    """``1 file``, ``1,000 files``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def position(properties: Mapping[str, Any]) -> str:
    """Where the head of a drive stands, from its properties."""
    if not properties.get("PositionKnown"):
        return "unknown"
    block = properties.get("BlockNumber", 0)
    return f"file {properties.get('FileNumber', 0)}" + (f", block {block}" if block else "")


# --- JSON ---------------------------------------------------------------------------------------


def kebab(name: str) -> str:
    """A D-Bus property as a JSON key: ``ConfiguredPath`` is ``configured-path``."""
    parts: list[str] = []
    for index, char in enumerate(name):
        starts = (
            char.isupper()
            and index > 0
            and (name[index - 1].islower() or name[index + 1 : index + 2].islower())
        )
        parts.append(("-" if starts else "") + char.lower())
    return "".join(parts)


def plain(value: Any) -> Any:
    """A value from the bus as JSON knows it: bytes in hex, numbers not known yet as null."""
    if isinstance(value, bytes | bytearray):
        return value.hex()
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if value == names.UNKNOWN and isinstance(value, int):
        return None
    return value


def properties(values: Mapping[str, Any]) -> Json:
    """Properties of an object as one JSON object."""
    return {kebab(name): plain(value) for name, value in values.items()}


def document(value: Any) -> None:
    """The one JSON document of a verb."""
    tell(json.dumps(plain(value), indent=2))


def json_line(value: Any) -> None:
    """One line of a stream of JSON documents (`tapectl monitor`)."""
    tell(json.dumps(plain(value)))


# --- tables -------------------------------------------------------------------------------------


def table(heads: Row, rows: Iterable[Row], *, right: Sequence[str] = ()) -> None:
    """Rows under ``heads``; columns named in ``right`` are numbers.

    A terminal gets the table fitted to its width; a pipe gets every cell whole, columns parted by
    at least two spaces.
    """
    cells = [[printable(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _fitted(heads, cells, right)
        return
    widths = [max(len(head), *(len(row[i]) for row in cells), 0) for i, head in enumerate(heads)]
    for row in ([*heads], *cells):
        padded = (
            cell.rjust(width) if head in right else cell.ljust(width)
            for cell, width, head in zip(row, widths, heads, strict=True)
        )
        tell("  ".join(padded).rstrip())


def _fitted(heads: Row, rows: Sequence[Row], right: Sequence[str]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for head in heads:
        grid.add_column(Text(head), justify="right" if head in right else "left", overflow="fold")
    for row in rows:
        grid.add_row(*(Text(cell) for cell in row))
    Console(highlight=False).print(grid)


def paragraph(text: str, indent: int) -> str:
    """``text`` behind ``indent`` columns, broken to the width of the terminal; in a pipe one line."""
    if not sys.stdout.isatty():
        return text
    width = max(20, shutil.get_terminal_size().columns - indent)
    return f"\n{'':{indent}}".join(textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False))


def facts(pairs: Iterable[tuple[str, str]], *, indent: int = 2) -> None:
    """Names and values, one a line, values under each other; pairs without a value are left out."""
    lines = [(name, printable(value)) for name, value in pairs if value]
    width = max((len(name) for name, _ in lines), default=0)
    for name, value in lines:
        tell(f"{'':{indent}}{name:{width}}  {value}")
