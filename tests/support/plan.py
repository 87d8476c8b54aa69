# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tree in docs/architecture.md: every room and file with the first line of its docstring.

``./dev plan`` writes it anew; a test holds the page against the folders.
"""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/architecture.md"
BEGIN, END = "```\ntapeds/\n", "```\n"


def _says(path: Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    return text.splitlines()[0].rstrip(".").replace("``", "`") if text else ""


def _files(folder: Path, indent: str, width: int) -> list[str]:
    paths = sorted(path for path in folder.glob("*.py") if path.name != "__init__.py")
    return [f"{indent}{path.name:<{width - 1}} {_says(path)}" for path in paths]


def _rooms(folder: Path, indent: str, width: int) -> list[str]:
    lines = []
    for room in sorted(path.parent for path in folder.glob("*/__init__.py")):
        lines.append(f"{indent}{room.name + '/':<{width}}{_says(room / '__init__.py')}")
        lines += _files(room, indent + "  ", width - 2)
        lines += _rooms(room, indent + "  ", width - 2)
    return lines


def tree() -> str:
    """The block as it has to be."""
    package = ROOT / "tapeds"
    lines = _files(package, "  ", 22) + _rooms(package, "  ", 22)
    return BEGIN + "\n".join(lines) + "\n" + END


def parts() -> tuple[str, str, str]:
    """The page before the block, the block, and the page behind it."""
    page = PAGE.read_text()
    start = page.index(BEGIN)
    end = page.index(END, start + len(BEGIN)) + len(END)
    return page[:start], page[start:end], page[end:]


def main() -> None:
    """Write the block anew."""
    before, _, after = parts()
    PAGE.write_text(before + tree() + after)


if __name__ == "__main__":
    main()
