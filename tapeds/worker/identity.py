# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which tape is in the drive: its labels read, and compared with what the caller expects."""

from __future__ import annotations

from tapeds.errors import (
    BlockTooLarge,
    Incomplete,
    MalformedData,
    UnexpectedFilemark,
    UnknownFormat,
    WrongLabel,
)
from tapeds.media.label import Labels, read_labels
from tapeds.worker.knowledge import NO_LABELS
from tapeds.worker.lease import Lease

NO_LABEL = (UnknownFormat, MalformedData, Incomplete, UnexpectedFilemark, BlockTooLarge)
"""What reading the labels of a tape that has none, but data, may end in."""


def read(lease: Lease) -> Labels:
    """Read both labels and remember them; the head is then behind them.

    Raises NoMedia, one of `NO_LABEL` for a tape with other data, DeviceError.
    """
    lease.require_media()
    knowledge = lease.knowledge
    try:
        labels = read_labels(lease.drive)
    except NO_LABEL as error:
        knowledge.learn_foreign(str(error))
        raise
    knowledge.learn(labels)
    return labels


def prove(lease: Lease, expect_uuid: str = "") -> Labels:
    """The labels of the tape, read unless they are known, and the proof that it is the right one.

    A tape without a media label has none of them.  Without cartridge memory the label is the proof:
    after a failure it is read again, and must be the one that was there before.
    Raises WrongLabel, NoMedia, DeviceError.
    """
    lease.require_media()
    knowledge = lease.knowledge
    labels = knowledge.labels
    if labels is None:
        before = knowledge.identity
        labels = read_or_none(lease)
        if before not in (None, knowledge.media_uuid):
            knowledge.doubt(before)
            held = f"media {before}" if before else "a tape without a media label"
            raise _wrong(lease, labels, f"but {held} was in the drive before; read the label to go on")
    if expect_uuid and expect_uuid != knowledge.media_uuid:
        raise _wrong(lease, labels, f"not media {expect_uuid}; load the tape that is meant")
    return labels


def read_or_none(lease: Lease) -> Labels:
    """As `read`; a tape with other data has no labels."""
    try:
        return read(lease)
    except NO_LABEL:
        return NO_LABELS


def _wrong(lease: Lease, labels: Labels, but: str) -> WrongLabel:
    label = labels.label
    if label is None:
        nothing = {"found-uuid": "", "found-label-text": ""}
        return WrongLabel(f"{lease.tape} has no media label, {but}", nothing)
    return WrongLabel(
        f"{lease.tape} is media {label.uuid} (label {label.label_text}), {but}",
        {"found-uuid": label.uuid, "found-label-text": label.label_text},
    )
