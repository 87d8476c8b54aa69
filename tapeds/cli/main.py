# SPDX-License-Identifier: LGPL-2.1-or-later
"""``tapectl``: the tree of verbs, and the one place where failures become words and an exit status."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import click

from tapeds import __version__
from tapeds.cli import render
from tapeds.cli.failure import Exit, Failure
from tapeds.cli.settings import Settings
from tapeds.cli.verb import common_options

# Where each verb stands, in the order of the help.  Only the verb that runs is loaded.
SUBJECTS: dict[str, tuple[tuple[str, str], ...]] = {
    "Drives": (
        ("drives", "drive"),
        ("status", "drive"),
        ("rewind", "drive"),
        ("seek", "drive"),
        ("eod", "drive"),
        ("eject", "drive"),
        ("lock", "lock"),
    ),
    "Tapes and their files": (
        ("read-label", "label"),
        ("label", "label"),
        ("erase", "label"),
        ("ls", "data"),
        ("write", "write"),
        ("read", "read"),
        ("verify", "data"),
        ("sync", "drive"),
    ),
    "Changers": (
        ("inventory", "changer"),
        ("load", "changer"),
        ("unload", "changer"),
        ("transfer", "changer"),
        ("export", "changer"),
        ("request", "changer"),
    ),
    "Jobs": (("jobs", "jobs"), ("wait", "jobs"), ("cancel", "jobs"), ("monitor", "monitor")),
    "The service": (("doctor", "doctor"), ("scan", "system"), ("reload", "system")),
}
_FOUND_IN = {verb: module for verbs in SUBJECTS.values() for verb, module in verbs}


class Tapectl(click.Group):
    """The tree of verbs; each module is loaded when its verb is wanted."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_FOUND_IN)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _FOUND_IN:
            return None
        module = importlib.import_module(f"tapeds.cli.{_FOUND_IN[cmd_name]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(len(name) for name in _FOUND_IN)
        for subject, verbs in SUBJECTS.items():
            rows = []
            for name, _ in verbs:
                command = self.get_command(ctx, name)
                if command is not None:
                    rows.append((name.ljust(width), command.get_short_help_str(100)))
            with formatter.section(subject):
                formatter.write_dl(rows)


tapectl = Tapectl(
    "tapectl",
    params=common_options(),
    subcommand_metavar="VERB [ARGUMENT]...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    help="""Use the tape drives of this host through the tape drive service.

    DRIVE may be left out where only one is configured, or where TAPEDS_DRIVE names it.
    `tapectl VERB --help` tells more.""",
    epilog="""Exit status: 0 done, 1 failed, 2 wrong usage, 3 refused, 4 busy or locked, 5 no tape,
    6 incomplete, 130 cancelled.""",
)

click.version_option(__version__)(tapectl)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``tapectl`` and give its exit status."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    settings = Settings()
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        status = tapectl.main(words or ["--help"], "tapectl", standalone_mode=False, obj=settings)
        sys.stdout.flush()
        return int(status or 0)
    except Failure as failure:
        return _failed(failure, settings)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.UsageError as error:
        return _misused(error)
    except (click.Abort, KeyboardInterrupt):
        return Exit.CANCELLED
    except BrokenPipeError:
        # Whoever read our output has seen enough; there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.FAILED
    except Exception as error:
        if settings.verbose:
            traceback.print_exc()
        render.say(f"tapectl: a fault of tapectl itself: {type(error).__name__}: {error}")
        if not settings.verbose:
            render.say("  try: the same with --verbose, and report what it says")
        return Exit.FAILED


def _failed(failure: Failure, settings: Settings) -> int:
    """Say what went wrong and what helps."""
    if settings.mute:
        return failure.exit_status
    named = f" ({failure.full_name})" if settings.verbose and failure.full_name else ""
    render.say(f"tapectl: {render.printable(failure.text)}{named}")
    if failure.left:
        render.say(f"  {render.printable(failure.left)}")
    if failure.remedy:
        render.say(f"  try: {failure.remedy}")
    if settings.json:
        facts: dict[str, Any] = {
            "error": failure.name or None,
            "text": failure.text,
            "exit-status": int(failure.exit_status),
            **({"data": failure.data} if failure.data else {}),
        }
        render.document(facts)
    return failure.exit_status


def _misused(error: click.UsageError) -> int:
    """Say what was wrong with the words of the person."""
    if error.ctx is not None:
        render.say(error.ctx.get_usage())
    render.say(f"tapectl: {render.printable(error.format_message())}")
    return Exit.USAGE


if __name__ == "__main__":
    sys.exit(main())
