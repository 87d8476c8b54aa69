# SPDX-License-Identifier: LGPL-2.1-or-later
"""Moving cartridges: what leaves the drive is durable first, what comes into it is looked at."""

from __future__ import annotations

from collections.abc import Callable

from tapeds.changer.base import Element
from tapeds.worker import pages, recovery, release
from tapeds.worker.arguments import Arguments
from tapeds.worker.control import Control
from tapeds.worker.lease import Lease
from tapeds.worker.messages import Json

_DRIVE = 0                            # a worker has one drive


def eject_media(lease: Lease, arguments: Arguments, control: Control) -> Json:
    """Put the cartridge out; an empty drive stays empty."""
    arguments.done()
    _exchange(lease, control, lease.drive.unload)
    return {}


def inventory(lease: Lease, arguments: Arguments, control: Control) -> Json:
    """Every element from the ``first`` one on, as far as they fit."""
    first = arguments.number("first", 0)
    arguments.done()
    return _elements(lease, first)


def load_media(lease: Lease, arguments: Arguments, control: Control) -> Json:
    """Load the cartridge ``label-text``; ``create`` makes it where that is possible."""
    label_text = arguments.text("label-text")
    create = arguments.flag("create", default=False)
    arguments.done()
    _exchange(lease, control, lambda: lease.changer.load(label_text, _DRIVE, create=create))
    return _elements(lease)


def load_slot(lease: Lease, arguments: Arguments, control: Control) -> Json:
    """Load what is in ``slot``."""
    slot = arguments.number("slot")
    arguments.done()
    _exchange(lease, control, lambda: lease.changer.load_slot(slot, _DRIVE))
    return _elements(lease)


def unload_media(lease: Lease, arguments: Arguments, control: Control) -> Json:
    """Put the cartridge into ``slot``, by default where it came from."""
    slot = arguments.optional_number("slot")
    arguments.done()
    _exchange(lease, control, lambda: lease.changer.unload(_DRIVE, slot))
    return _elements(lease)


def transfer_media(lease: Lease, arguments: Arguments, control: Control) -> Json:
    """Move a cartridge from slot to slot."""
    source, destination = arguments.number("from"), arguments.number("to")
    arguments.done()
    lease.changer.transfer(source, destination)
    return _elements(lease)


def export_media(lease: Lease, arguments: Arguments, control: Control) -> Json:
    """Move a cartridge to an import/export slot, whose number is told."""
    label_text = arguments.text("label-text")
    arguments.done()
    slot = lease.changer.export(label_text)
    return {"slot": slot, **_elements(lease)}


def _exchange(lease: Lease, control: Control, move: Callable[[], None]) -> None:
    """Make what is in the drive durable, ``move``, and look at what is in the drive then."""
    knowledge = lease.knowledge
    if knowledge.look().loaded:
        release.synchronize(lease, control.poll)
    move()
    knowledge.new_cartridge()
    if knowledge.look().loaded:
        recovery.repair(lease, control.poll)
        knowledge.arrive()


def _elements(lease: Lease, first: int = 0) -> Json:
    elements = [_element(element) for element in lease.changer.inventory()[first:]]
    fitting, more = pages.fit(elements)
    return {"elements": fitting, "more": True} if more else {"elements": fitting}


def _element(element: Element) -> Json:
    value: Json = {
        "kind": element.kind.value,
        "number": element.number,
        "address": element.address,
        "full": element.full,
        "label-text": element.label_text,
        "accessible": element.accessible,
        "vendor": element.vendor,
        "model": element.model,
        "serial": element.serial,
    }
    if element.source_slot is not None:
        value["source-slot"] = element.source_slot
    return value
