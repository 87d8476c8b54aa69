# SPDX-License-Identifier: LGPL-2.1-or-later
"""The host and the service as a whole: scan reload."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapeds import names
from tapeds.cli import render
from tapeds.cli.verb import verb

if TYPE_CHECKING:
    from tapeds.cli.client import Client


@verb("scan", short_help="List the tape devices of this host, configured or not.")
async def scan(client: Client) -> None:
    """List the tape drives and changers of this host, configured or not; none of them is opened."""
    (devices,) = await client.call(names.MANAGER_PATH, names.MANAGER, "ScanDevices")
    if client.settings.json:
        render.document(devices)
        return
    rows = [
        (
            str(entry.get("kind", "?")),
            str(entry.get("configured-as") or "-"),
            " ".join(str(entry.get(key, "")) for key in ("vendor", "model")).strip() or "-",
            str(entry.get("serial") or "-"),
            str(entry.get("by-id") or entry.get("path") or entry.get("device") or "-"),
        )
        for entry in devices
    ]
    render.table(("KIND", "CONFIGURED AS", "MODEL", "SERIAL", "PATH"), rows)
    if not rows:
        render.say("tapectl: this host shows no tape device, and no virtual drive is configured")


@verb("reload", short_help="Have the service read its configuration again.")
async def reload(client: Client) -> None:
    """Have the service read its configuration again; on an error nothing changes."""
    (generation,) = await client.call(names.MANAGER_PATH, names.MANAGER, "Reload")
    manager = await client.properties(names.MANAGER_PATH, names.MANAGER)
    errors = list(manager.get("ConfigErrors", []))
    if client.settings.json:
        render.document({"generation": generation, "config-errors": errors})
        return
    if not client.settings.quiet:
        render.tell(f"the configuration was read, generation {generation}")
    for error in errors:
        render.say(f"tapectl: not yet: {error}")
