# SPDX-License-Identifier: LGPL-2.1-or-later
"""READ ATTRIBUTE, WRITE ATTRIBUTE: the cartridge memory.

Ref: [SPC-5].
"""

from __future__ import annotations

from collections.abc import Sequence

from .. import attributes, sense
from ..fields import number
from ..request import Access, Request, Row
from ..sense import Answer
from ..unit import Unit

_VALUES, _LIST, _VOLUMES, _PARTITIONS, _SUPPORTED = 0, 1, 2, 3, 5


def _place(request: Request) -> None:
    for at in (5, 7):  # the first logical volume, the only partition
        if request.cdb[at]:
            raise sense.invalid_cdb(at)


def _values(unit: Unit, request: Request) -> Answer:
    known = _from(request, attributes.present(unit))
    return _list(request, b"".join(each.record() for each in known))


def _identifiers(unit: Unit, request: Request) -> Answer:
    known = _from(request, attributes.present(unit))
    return _list(request, b"".join(each.identifier.to_bytes(2, "big") for each in known))


def _supported(unit: Unit, request: Request) -> Answer:
    # Every attribute has the same identifier whether it has a value or not.
    _place(request)
    unit.present()
    first = request.number(8, 2)
    known = [identifier for identifier in attributes.supported() if identifier >= first]
    return _list(request, b"".join(identifier.to_bytes(2, "big") for identifier in known))


def _one(unit: Unit, request: Request) -> Answer:
    """The lists of logical volumes and of partitions: the first is 0, and there is one."""
    _place(request)
    unit.present()
    return Answer(b"\x00\x02\x00\x01"[: request.number(10, 4)])


def _from(request: Request, known: Sequence[attributes.Attribute]) -> list[attributes.Attribute]:
    _place(request)
    first = request.number(8, 2)
    found = [each for each in known if each.identifier >= first]
    if not found:
        raise sense.invalid_cdb(8)
    return found


def _list(request: Request, body: bytes) -> Answer:
    return Answer((len(body).to_bytes(4, "big") + body)[: request.number(10, 4)])


def _write(unit: Unit, request: Request) -> Answer:
    _place(request)
    length = request.number(10, 4)
    if not length:
        return Answer()
    data = bytes(request.parameters(length))
    if length < 4 or number(data, 0, 4) != length - 4:
        raise sense.list_length_error()
    cartridge = unit.present()
    changes, at = dict(cartridge.chip.attributes), 4
    while at < length:
        if at + 5 > length or at + 5 + number(data, at + 3, 2) > length:
            raise sense.list_length_error()
        end = at + 5 + number(data, at + 3, 2)
        attributes.change(changes, data[at:end], at)
        at = end
    # All of them or none.
    cartridge.chip.attributes = changes
    cartridge.save()
    return Answer(taken=length)


_READ = bytes.fromhex("8c 1f 00 00 00 ff 00 ff ff ff ff ff ff ff 01 00")

ROWS = (
    Row("READ ATTRIBUTE", _READ, Access.MEMORY, _values, "question", action=_VALUES),
    Row("READ ATTRIBUTE", _READ, Access.MEMORY, _identifiers, "question", action=_LIST),
    Row("READ ATTRIBUTE", _READ, Access.MEMORY, _one, "question", action=_VOLUMES),
    Row("READ ATTRIBUTE", _READ, Access.MEMORY, _one, "question", action=_PARTITIONS),
    Row("READ ATTRIBUTE", _READ, Access.MEMORY, _supported, "question", action=_SUPPORTED),
    Row(
        "WRITE ATTRIBUTE",
        bytes.fromhex("8d 01 00 00 00 ff 00 ff 00 00 ff ff ff ff 00 00"),
        Access.MEMORY,
        _write,
        "question",
    ),
)
