# SPDX-License-Identifier: LGPL-2.1-or-later
"""What happens, as it happens: monitor."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tapeds import names
from tapeds.cli import render
from tapeds.cli.job import Job
from tapeds.cli.verb import verb

if TYPE_CHECKING:
    from tapeds.cli.client import Client, News

# What the line about the end of a job says, and times that machines want.
_TOLD_OTHERWISE = {
    "EndTime", "ExpectedEndTime", "InventoryTime", "Result", "ResultData", "ErrorName", "ErrorMessage",
}  # fmt: skip

_BUS = "org.freedesktop.DBus"


@verb("monitor", short_help="Print what happens, line by line, until Ctrl-C.")
async def monitor(client: Client) -> None:
    """Print every change of drives, changers, jobs and leases, one a line, until Ctrl-C.

    With --json every line is a JSON document of its own. What tapes are wanted is told too: the
    line begins with the drive and the word "wanted".
    """
    show = _as_json if client.settings.json else _as_text
    listening = [
        await client.subscribe(show, sender=names.BUS_NAME, path_namespace=names.ROOT_PATH),
        await client.subscribe(
            show, sender=_BUS, interface=_BUS, member="NameOwnerChanged", arg0=names.BUS_NAME
        ),
    ]
    if not client.settings.quiet:
        render.say("tapectl: watching; Ctrl-C ends")
    await client.until_stopped()
    for subscription in listening:
        await subscription.close()


def _as_json(news: News) -> None:
    render.json_line(
        {
            "time": time.time(),
            "path": news.path,
            "interface": news.interface,
            "member": news.member,
            "body": news.body,
        }
    )


def _as_text(news: News) -> None:
    for line in describe(news.path, news.interface, news.member, news.body):
        render.tell(f"{time.strftime('%H:%M:%S')}  {render.printable(line)}")


def describe(path: str, interface: str, member: str, body: list[Any]) -> list[str]:
    """A signal in words; nothing for one that says nothing to a person."""
    match member:
        case "PropertiesChanged":
            changed = _values(body[1])
            return [f"{_what(path)}: {changed}"] if changed else []
        case "InterfacesAdded":
            return [f"{_what(body[0])}: {_begun(body[1])}"]
        case "InterfacesRemoved":
            return [f"{_what(body[0])}: gone"]
        case "Completed":
            return [f"{_what(path)}: {body[0]}" + (f": {body[2]}" if body[2] else "") + _details(body[3])]
        case "MediaRequested":
            job = Job(body[1], {"State": "waiting", "Objects": [body[0]], "Prompt": body[2]})
            return [f"{_what(body[0])}: wanted: {job.request()}"]
        case "MediaRequestResolved":
            return [f"{_what(body[0])}: wanted no more: {body[2]}"]
        case "Released":
            return [f"{_what(path)}: ended: {body[0]}"]
        case "InventoryChanged":
            return [f"{_what(path)}: {', '.join(map(_element, body[1]))}"] if body[1] else []
        case "DurabilityLost":
            return [f"{_what(path)}: files {body[0]} to {body[1]} did not reach the medium"]
        case "NameOwnerChanged":
            return ["the service is there" if body[2] else "the service is gone"]
        case _:
            return [f"{_what(path)}: {interface}.{member} {body}"]


def _what(path: str) -> str:
    """An object in words: ``drive vt0``, ``job 7``."""
    kind = path.removeprefix(f"{names.ROOT_PATH}/").partition("/")[0]
    word = {"drives": "drive", "changers": "changer", "jobs": "job", "sessions": "lease"}.get(kind)
    return f"{word} {names.name_of(path)}" if word else "service"


def _begun(interfaces: Mapping[str, Mapping[str, Any]]) -> str:
    """What a new object is, in words."""
    if names.JOB in interfaces:
        job = interfaces[names.JOB]
        where = ", ".join(names.name_of(path) for path in job["Objects"])
        return f"{job['Operation']} on {where}, for uid {job['OwnerUID']}"
    if names.SESSION in interfaces:
        session = interfaces[names.SESSION]
        why = f": {session['Reason']}" if session["Reason"] else ""
        return f"on {names.name_of(session['Drive'])}, for uid {session['OwnerUID']}{why}"
    return "new"


def _values(changed: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {_value(value)}" for key, value in changed.items() if key not in _TOLD_OTHERWISE)


def _details(result: Mapping[str, Any]) -> str:
    """The result of a job in brackets."""
    return f" ({', '.join(f'{key} {_value(value)}' for key, value in result.items())})" if result else ""


def _value(value: Any) -> str:
    """A property in a word or two."""
    if isinstance(value, str) and value.startswith(names.ROOT_PATH + "/"):
        return names.name_of(value)
    if isinstance(value, Mapping):
        return " ".join(f"{key}={_value(entry)}" for key, entry in value.items()) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list) and value:
        return f"{len(value)} of them"
    if value in (names.NO_PATH, "", [], names.UNKNOWN):
        return "unknown" if value == names.UNKNOWN else "none"
    return str(value)


def _element(element: Mapping[str, Any]) -> str:
    what = f"{element['kind']} {element['number']}"
    return f"{what} {element.get('label-text') or element.get('state', 'unknown')}"
