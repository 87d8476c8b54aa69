# SPDX-License-Identifier: LGPL-2.1-or-later
"""What all verbs share: the common options, a command behind ``--``, the way into the event loop.

Verbs are ``async def``; the event loop and the bus are loaded only when one runs, so that help and
completion stay quick.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tapeds.cli.settings import Settings

if TYPE_CHECKING:
    IntType = click.ParamType[int]
    TextType = click.ParamType[str]
else:
    # Not generic before click 8.4.
    IntType = TextType = click.ParamType


class Number(IntType):
    """A whole number, not below ``least``."""

    name = "number"

    def __init__(self, least: int) -> None:
        self._least = least

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        text = str(value)
        if not text.isdecimal() or int(text) < self._least:
            self.fail(f"{text} is no number from {self._least} on", param, ctx)
        return int(text)


F = TypeVar("F", bound=Callable[..., Any])
Body = Callable[..., Coroutine[Any, Any, int | None]]

COMMAND = "tapeds.command"  # where `Verb` keeps the words behind "--"


def _set(name: str, value: Any) -> Callable[[click.Context, click.Parameter, Any], None]:
    def callback(context: click.Context, _parameter: click.Parameter, given: Any) -> None:
        if given:
            setattr(context.ensure_object(Settings), name, given if value is None else value)

    return callback


def common_options(*, hidden: bool = False) -> list[click.Option]:
    """The options that stand before or behind any verb."""

    def flag(*spelled: str, name: str, value: bool, text: str) -> click.Option:
        return click.Option(
            spelled, is_flag=True, expose_value=False, callback=_set(name, value), help=text, hidden=hidden
        )

    return [
        flag("--json", name="json", value=True, text="Print one JSON document."),
        flag("-q", "--quiet", name="quiet", value=True, text="No progress, no words about success."),
        flag("-v", "--verbose", name="verbose", value=True, text="Name the D-Bus error of a failure."),
        click.Option(
            ["--address"],
            metavar="ADDRESS",
            expose_value=False,
            callback=_set("address", None),
            help="The bus, instead of the system bus.",
            hidden=hidden,
        ),
        flag(
            "--no-interactive",
            name="interactive",
            value=False,
            text="Fail where polkit would ask for a password.",
        ),
    ]


class Verb(click.Command):
    """A verb: takes the common options too, and keeps what stands behind ``--`` apart."""

    def __init__(self, *arguments: Any, takes_command: bool = False, **attributes: Any) -> None:
        attributes.setdefault(
            "epilog", "The options of `tapectl --help`, such as --json, may stand here too."
        )
        super().__init__(*arguments, **attributes)
        self.takes_command = takes_command
        self.params += common_options(hidden=True)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if self.takes_command and "--" in args:
            end = args.index("--")
            ctx.meta[COMMAND] = args[end + 1 :]
            args = args[:end]
        return super().parse_args(ctx, args)


def command_words() -> list[str] | None:
    """The words behind ``--``; None where there is no ``--``."""
    found: list[str] | None = click.get_current_context().meta.get(COMMAND)
    return found


def verb(name: str, **attributes: Any) -> Callable[[Body], click.Command]:
    """Make ``body(client, **arguments)`` the verb ``name``."""

    def decorate(body: Body) -> click.Command:
        @functools.wraps(body)
        def callback(**arguments: Any) -> int:
            from tapeds.cli.client import run

            return run(click.get_current_context().ensure_object(Settings), body, arguments)

        return click.command(name, cls=Verb, **attributes)(callback)

    return decorate


def mute_flag(option: str, name: str, text: str) -> Callable[[F], F]:
    """A flag for completion scripts, which want no words about failure."""

    def callback(context: click.Context, _parameter: click.Parameter, given: bool) -> bool:
        context.ensure_object(Settings).mute = given
        return given

    return click.option(option, name, is_flag=True, callback=callback, help=text)


def drive_argument(body: F) -> F:
    """A verb ``VERB [DRIVE]``."""
    return click.argument("drive", metavar="[DRIVE]", required=False)(body)


def words(metavar: str) -> Callable[[F], F]:
    """A verb ``VERB [DRIVE] THIS THAT``; `remote.pick` sorts them."""
    return click.argument("words", nargs=-1, metavar=metavar)


yes_option = click.option("--yes", is_flag=True, help="Do not ask; what would be destroyed is destroyed.")
