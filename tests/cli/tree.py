# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tree of verbs as the tests walk it."""

from __future__ import annotations

from collections.abc import Iterator

import click

from tapeds.cli.main import tapectl
from tapeds.cli.verb import common_options

COMMON = frozenset(name for option in common_options() for name in option.opts)


def verbs() -> Iterator[tuple[str, click.Command]]:
    """Every verb by name."""
    with click.Context(tapectl) as context:
        for name in tapectl.list_commands(context):
            command = tapectl.get_command(context, name)
            assert command is not None
            yield name, command


def options(command: click.Command) -> set[str]:
    """The long options of one verb, without the common ones."""
    return {
        name
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for name in parameter.opts
        if name.startswith("--") and name not in COMMON
    }
