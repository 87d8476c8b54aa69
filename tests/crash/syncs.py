# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every place in the program that synchronises something, found in the source.

A name is the one that `ledger.site` gives to the same place while it runs: the line that wants the
synchronisation, and the lines of the helpers behind it.  The helpers are the functions of
`tapeds.filesystem` and `Folder.sync`: what they synchronise, they synchronise for their caller, so
that each caller is a place of its own.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import tapeds

ROOT = Path(tapeds.__file__).parent
SOURCES = (
    *sorted((ROOT / "vtape").glob("*.py")),
    ROOT / "drive" / "virtual.py",
    ROOT / "state" / "files.py",
    ROOT / "worker" / "intent.py",
)
_HELPERS = ROOT / "filesystem.py"
_PRIMITIVES = {"fsync", "fdatasync"}


@dataclass
class Place:
    """One call that synchronises: itself, or through a helper."""

    lines: tuple[str, ...]
    unless: frozenset[str] = field(default_factory=frozenset)
    """Parameters of the helper that switch it off when they are False."""


def places() -> list[str]:
    """The names of all of them in `SOURCES`."""
    helpers = _helpers()
    found: list[str] = []
    for source in SOURCES:
        helper = "sync" if source.name == "folder.py" else ""
        for call, _ in _calls(ast.parse(source.read_text()), without=helper):
            for place in _behind(call, source, helpers):
                found.append(" > ".join(place.lines))
    return found


def _helpers() -> dict[str, list[Place]]:
    """What each helper synchronises, by the name under which it is called."""
    tree = ast.parse(_HELPERS.read_text())
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    known: dict[str, list[Place]] = {}
    while True:
        before = sum(map(len, known.values()))
        for name, function in functions.items():
            parameters = {argument.arg for argument in (*function.args.args, *function.args.kwonlyargs)}
            known[name] = [
                Place(place.lines, place.unless | (guards & parameters))
                for call, guards in _calls(function)
                for place in _behind(call, _HELPERS, known)
            ]
        if sum(map(len, known.values())) == before:
            break
    folder = ast.parse((ROOT / "vtape" / "folder.py").read_text())
    for node in ast.walk(folder):
        if isinstance(node, ast.ClassDef) and node.name == "Folder":
            methods = {each.name: each for each in node.body if isinstance(each, ast.FunctionDef)}
            calls = [call for call, _ in _calls(methods["sync"]) if _called(call) in _PRIMITIVES]
            known["sync"] = [Place((f"folder.py:{call.lineno}",)) for call in calls]
    return {name: found for name, found in known.items() if found}


def _behind(call: ast.Call, source: Path, helpers: dict[str, list[Place]]) -> Iterator[Place]:
    """What ``call`` in ``source`` synchronises."""
    here = f"{source.name}:{call.lineno}"
    name = _called(call)
    if name in _PRIMITIVES:
        yield Place((here,))
        return
    if name == "sync" and not _is_folder(call, source):
        return
    constants = {word.arg: word.value for word in call.keywords if isinstance(word.value, ast.Constant)}
    switched_off = {name for name, constant in constants.items() if constant.value is False}
    for place in helpers.get(name, ()):
        if not place.unless & switched_off:
            yield Place((here, *place.lines))


def _called(call: ast.Call) -> str:
    match call.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def _is_folder(call: ast.Call, source: Path) -> bool:
    """Whether ``X.sync()`` is `Folder.sync`: X is called ``_folder``, or it is a Folder's own ``self``."""
    match call.func:
        case ast.Attribute(value=ast.Attribute(attr="_folder")):
            return True
        case ast.Attribute(value=ast.Name(id="self")):
            return source.name == "folder.py"
    return False


def _calls(
    tree: ast.AST, guards: frozenset[str] = frozenset(), *, without: str = ""
) -> Iterator[tuple[ast.Call, frozenset[str]]]:
    """Every call in ``tree`` with the names in the conditions around it; none in a function ``without``."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.FunctionDef) and child.name == without:
            continue
        around = guards
        if isinstance(tree, ast.If) and child is not tree.test:
            names = {node.id for node in ast.walk(tree.test) if isinstance(node, ast.Name)}
            around = guards | names
        if isinstance(child, ast.Call):
            yield child, around
        yield from _calls(child, around, without=without)
