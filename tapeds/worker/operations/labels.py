# SPDX-License-Identifier: LGPL-2.1-or-later
"""Labels: read, write, and the empty tape that comes before one."""

from __future__ import annotations

import time
from uuid import uuid4

from tapeds.errors import InvalidState, MediumError, NotEmpty, WriteProtected
from tapeds.media.label import Labels, MediaLabel, MediaSetLabel, write_media_label, write_media_set_label
from tapeds.worker import identity
from tapeds.worker.arguments import Arguments
from tapeds.worker.control import Control
from tapeds.worker.knowledge import NO_LABELS
from tapeds.worker.lease import Lease
from tapeds.worker.messages import Json
from tapeds.worker.operations.position import count_files


def read_label(lease: Lease, arguments: Arguments, control: Control) -> Json:
    """Both labels; nothing for an empty tape."""
    arguments.done()
    control.poll()
    labels = identity.read(lease)
    lease.knowledge.arrive()
    if labels.label is None:
        return {}
    media = labels.label
    label: Json = {"label-text": media.label_text, "uuid": media.uuid, "ctime": media.ctime}
    if media.pool is not None:
        label["pool"] = media.pool
    result: Json = {"label": label}
    group = labels.set_label
    if group is not None:
        result["media-set-label"] = {
            "uuid": group.uuid,
            "pool": group.pool,
            "seq-nr": group.seq_nr,
            "ctime": group.ctime,
        }
        if group.encryption_key_fingerprint:
            result["key-fingerprint"] = group.encryption_key_fingerprint
    return result


def label_tape(lease: Lease, arguments: Arguments, control: Control) -> Json:
    """Make the tape empty and write its media label, which is file 0."""
    label = MediaLabel(
        label_text=arguments.label_text(),
        uuid=arguments.uuid("uuid", "") or str(uuid4()),
        ctime=arguments.signed("ctime", int(time.time())),
        pool=arguments.text("pool", "") or None,
    )
    overwrite = arguments.flag("overwrite", default=False)
    expect = arguments.uuid("expect-uuid", "")
    arguments.done()
    control.poll()
    require_writable(lease)
    if expect:
        identity.prove(lease, expect)
    files = _count_what_goes(lease, forgiving=overwrite)
    if files and not overwrite:
        raise NotEmpty(f"{lease.tape} holds {_count(files)}; overwrite=true destroys them")
    control.poll()
    lease.begin_file(0)
    lease.drive.format(fast=True)
    write_media_label(lease.drive, label)
    lease.end_file(0, durable=True)
    lease.knowledge.learn(Labels(label, None))
    lease.where()
    return {
        "uuid": label.uuid,
        "label-text": label.label_text,
        "media-set-uuid": "",
        "files-removed": files,
    }


def write_set_label(lease: Lease, arguments: Arguments, control: Control) -> Json:
    """Write the media-set label, which is file 1, behind the media label; everything behind it goes."""
    group = MediaSetLabel(
        uuid=arguments.uuid("uuid", "") or str(uuid4()),
        pool=arguments.text("pool"),
        seq_nr=arguments.number("seq-nr"),
        ctime=arguments.signed("ctime", int(time.time())),
    )
    overwrite = arguments.flag("overwrite", default=False)
    expect = arguments.uuid("expect-uuid", "")
    arguments.done()
    control.poll()
    require_writable(lease)
    labels = identity.prove(lease, expect)
    if labels.label is None:
        raise InvalidState(f"{lease.tape} has no media label; write one first, with LabelTape")
    files = count_files(lease)
    kept = 2 if labels.set_label is not None and labels.set_label.unassigned else 1
    if files > kept and not overwrite:
        behind = _count(files - 1)
        raise NotEmpty(f"{lease.tape} holds {behind} behind its media label; overwrite=true destroys them")
    control.poll()
    lease.begin_file(1)
    lease.drive.locate_file(1)
    write_media_set_label(lease.drive, group)
    lease.end_file(1, durable=True)
    lease.knowledge.learn(Labels(labels.label, group))
    lease.where()
    return {
        "uuid": labels.label.uuid,
        "label-text": labels.label.label_text,
        "media-set-uuid": group.uuid,
        "files-removed": max(files - 1, 0),
    }


def format_media(lease: Lease, arguments: Arguments, control: Control) -> Json:
    """Make the tape empty."""
    fast = arguments.flag("fast")
    expect = arguments.uuid("expect-uuid", "")
    arguments.done()
    control.poll()
    require_writable(lease)
    if expect:
        identity.prove(lease, expect)
    files = _count_what_goes(lease, forgiving=True)
    control.poll()
    lease.drive.format(fast=fast)
    lease.knowledge.erased()
    lease.forget_intent()
    lease.knowledge.learn(NO_LABELS)
    return {**lease.where(), "files-removed": files}


def require_writable(lease: Lease) -> None:
    """Raises WriteProtected, NoMedia."""
    lease.require_media()
    if lease.knowledge.look().write_protected:
        raise WriteProtected(f"{lease.tape} is write-protected; slide its tab, or load another tape")


def _count_what_goes(lease: Lease, *, forgiving: bool) -> int:
    """How many files the tape holds; if ``forgiving``, 0 for one so damaged that they cannot be counted."""
    try:
        return count_files(lease)
    except MediumError:
        if forgiving:
            return 0
        raise


def _count(files: int) -> str:
    return "1 file" if files == 1 else f"{files} files"
