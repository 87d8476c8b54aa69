# SPDX-License-Identifier: LGPL-2.1-or-later
"""After an interruption of a lease: the proof that device and tape are those that it had.

While the lease was interrupted nobody watched.  So the head is nowhere until something has moved it
to a known place, and whatever has to do with the tape waits for the proof that it is the same one.
"""

from __future__ import annotations

from tapeds.errors import PositionLost, TapeError, WrongLabel
from tapeds.names import Operation
from tapeds.worker import identity
from tapeds.worker.lease import Lease
from tapeds.worker.messages import DeviceState

_FREE = frozenset(
    {
        "status",
        "inventory",
        "current-file-number",
        Operation.READ_LABEL,               # says which tape it is: that is the way on
        Operation.EJECT_MEDIA,
        Operation.LOAD_MEDIA,
        Operation.LOAD_SLOT,
        Operation.UNLOAD_MEDIA,
        Operation.TRANSFER_MEDIA,
        Operation.EXPORT_MEDIA,
    }
)
"""Operations that do nothing with the tape that is in the drive but move its cartridge or tell its name."""


def same_device(lease: Lease, before: DeviceState | None) -> None:
    """Raises PositionLost when another device is where the one of ``before`` was."""
    if before is not None and before.serial not in ("", lease.drive.serial):
        raise PositionLost(
            f"{lease.name}: {lease.spec.path} is not what the lease had before the restart"
            f" ({lease.drive.serial} now, {before.serial} then);"
            " bring that back, or release the lease and acquire the drive again"
        )


def ask_for(lease: Lease, before: DeviceState | None) -> None:
    """From now on the tape has to be proved to be the one of ``before``."""
    if before is not None:
        lease.knowledge.position = None
        lease.knowledge.before = before


def demand(lease: Lease, operation: str) -> None:
    """Prove the tape before ``operation``, where that is still to be done and matters.

    Raises WrongLabel for another tape, and what reading the label finds.
    """
    before = lease.knowledge.before
    if before is None or operation in _FREE:
        return
    try:
        _prove(lease, before)
    except TapeError as error:
        lease.knowledge.fail(error)
        raise


def _prove(lease: Lease, before: DeviceState) -> None:
    knowledge = lease.knowledge
    if not knowledge.look().loaded:
        return                              # the operation will say what it lacks
    if not before.loaded:
        raise _other(lease, "the drive was empty")
    uuid, text = before.media.get("uuid", ""), before.media.get("label-text", "")
    if before.label_known:
        identity.read_or_none(lease)
        same = knowledge.media_uuid == uuid and (bool(uuid) or knowledge.cartridge == text)
    else:
        same = knowledge.cartridge == text
    if not same:
        error = _other(lease, f"media {uuid} (label {text})" if uuid else f"tape {text or 'without a name'}")
        knowledge.doubt(uuid if before.label_known else None)
        knowledge.before = before
        raise error
    knowledge.before = None


def _other(lease: Lease, then: str) -> WrongLabel:
    label = lease.knowledge.labels.label if lease.knowledge.labels is not None else None
    found = f"{lease.tape} is media {label.uuid}" if label is not None else f"{lease.tape} is another one"
    was = then if then.endswith("empty") else f"{then} was in the drive"
    return WrongLabel(
        f"{found}, but {was} before the restart; read the label to go on with this tape",
        {"found-uuid": label.uuid if label else "", "found-label-text": label.label_text if label else ""},
    )
