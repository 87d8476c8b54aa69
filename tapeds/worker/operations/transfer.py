# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reading and writing tape files: where they go, what stands in the way, and the write intent around it."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from tapeds.errors import DeviceError, EndOfData, InvalidOption, InvalidState, PositionLost, TapeError
from tapeds.media import transfer
from tapeds.media.header import FileHeader, content
from tapeds.media.transfer import ReadPlan, WritePlan
from tapeds.names import Field
from tapeds.worker import identity, recovery
from tapeds.worker.arguments import Arguments
from tapeds.worker.control import Control
from tapeds.worker.knowledge import NO_LABELS
from tapeds.worker.lease import Lease
from tapeds.worker.messages import Json
from tapeds.worker.operations.labels import require_writable
from tapeds.worker.operations.position import count_files

log = logging.getLogger(__name__)

_FIRST_DATA_FILE = 2                  # of a labelled tape, behind media label and media-set label


@dataclass(frozen=True)
class _Order:
    """What a caller wants of a write, beside the plan of the file itself; ``file`` None: append."""

    fd: int
    owned: bool
    plan: WritePlan
    file: int | None
    expect_uuid: str
    expect_file: int | None
    unlabelled: bool


def read_file(lease: Lease, arguments: Arguments, control: Control) -> Json:
    """Read the file before which the head stands into the descriptor."""
    plan = ReadPlan(
        raw_header=arguments.flag("raw-header", default=False),
        digest=arguments.flag("digest", default=False),
    )
    owned = arguments.flag("owned", default=False)
    fd = arguments.descriptor(writing=True)
    arguments.done()
    control.poll()
    lease.require_media()
    if lease.knowledge.position is None:
        raise PositionLost(f"{lease.name}: the position is not proved; rewind or move to a file first")
    try:
        done = transfer.read_file(lease.drive, fd, owned, plan, control, lease.ring)
    except EndOfData as error:
        raise EndOfData(f"{error}; rewind or move to a file first", error.data) from error
    result: Json = {
        "file": done.file,
        "bytes": done.bytes,
        "complete": done.complete,
        "content-kind": str(done.content_kind),
    }
    if done.name:
        result["name"] = done.name
    if done.attributes:
        result["attributes"] = done.attributes
    if done.sha256:
        result["sha256"] = done.sha256
    return result


def write_file(lease: Lease, arguments: Arguments, control: Control) -> Json:
    """Write what comes out of the descriptor as one file: behind the last one, or as ``file``."""
    order = _order(arguments)
    control.allow_commit(digest=order.plan.digest)
    control.poll()
    require_writable(lease)
    identity.prove(lease, order.expect_uuid)
    _check_label_rules(lease, order)
    recovery.repair(lease, control.poll)
    file, removed = _place(lease, order)
    control.poll()
    lease.begin_file(file)
    try:
        done = transfer.write_file(lease.drive, order.fd, order.owned, order.plan, control, lease.ring)
    except TapeError as error:
        _after_failure(lease, file, error)
        error.data.setdefault("files-removed", removed)
        raise
    lease.end_file(file, durable=order.plan.durable or done.early_warning)
    result: Json = {
        "file": done.file,
        "bytes": done.bytes,
        "blocks": done.blocks,
        "complete": done.complete,
        "early-warning": done.early_warning,
        "files-removed": removed,
        "bytes-on-tape": done.bytes_on_tape,
        "waits": done.waits,
        "stops": done.stops,
        "longest-gap": done.longest_gap,
    }
    if done.sha256:
        result["sha256"] = done.sha256
    return result


def _order(arguments: Arguments) -> _Order:
    sha256 = arguments.sha256()
    plan = WritePlan(
        header_bytes=_header_bytes(arguments),
        size=arguments.optional_number("size"),
        commit_on_eof=arguments.flag("commit-on-eof", default=False),
        sha256=sha256,
        digest=arguments.flag("digest", default=False) or bool(sha256),
        durable=arguments.flag("durable", default=True),
    )
    order = _Order(
        fd=arguments.descriptor(writing=False),
        owned=arguments.flag("owned", default=False),
        plan=plan,
        file=arguments.optional_number("file"),
        expect_uuid=arguments.uuid("expect-uuid", ""),
        expect_file=arguments.optional_number("expect-file"),
        unlabelled=arguments.flag("unlabelled", default=False),
    )
    arguments.done()
    return order


def _header_bytes(arguments: Arguments) -> bytes:
    """What stands before the caller's bytes: a header of ours, one of another kind, or none."""
    if arguments.has("content-magic") or arguments.has("header"):
        if arguments.has("name") or arguments.has("attributes"):
            raise InvalidOption("name and attributes make a header; leave content-magic and header out")
        return content(arguments.hex_bytes("content-magic"), arguments.base64_bytes("header"))
    if arguments.has("name") or arguments.has("attributes"):
        return FileHeader(arguments.text("name", ""), arguments.mapping("attributes")).pack()
    return b""


def _check_label_rules(lease: Lease, order: _Order) -> None:
    """Data stand behind two labels, or on a tape of which the caller says that it has none."""
    labels = lease.knowledge.labels or NO_LABELS
    if labels.label is None:
        if not order.unlabelled:
            found = f" ({lease.knowledge.foreign})" if lease.knowledge.foreign else ""
            raise InvalidState(
                f"{lease.tape} has no media label{found}; label it with LabelTape, "
                "or write with unlabelled=true"
            )
        return
    if labels.set_label is None or labels.set_label.unassigned:
        raise InvalidState(f"{lease.tape} has no media-set label; write one first, with WriteMediaSetLabel")
    if order.file is not None and order.file < _FIRST_DATA_FILE:
        raise InvalidState(
            f"file {order.file} of {lease.tape} is a label; write it with LabelTape or WriteMediaSetLabel, "
            f"data from file {_FIRST_DATA_FILE} on"
        )
    if order.file is not None and order.unlabelled and not order.expect_uuid:
        raise InvalidState(
            f"{lease.tape} is labelled, and file {order.file} would be destroyed on the word that it is not;"
            f" give expect-uuid, here {labels.label.uuid}"
        )


def _place(lease: Lease, order: _Order) -> tuple[int, int]:
    """Put the head where the file begins: its number, and how many files it destroys."""
    files = count_files(lease)
    file = files if order.file is None else order.file
    if file > files:
        raise EndOfData(f"{lease.tape} has {files} files; file {file} cannot be written before file {files}")
    if order.expect_file not in (None, file):
        raise InvalidState(
            f"on {lease.tape} this would be file {file}, not file {order.expect_file}; "
            "look what has been written",
            {"file": file},
        )
    position = lease.knowledge.arrive()
    if file == files and position.block:
        lease.drive.write_filemarks(1)            # the last file has none
    elif file < files:
        lease.drive.locate_file(file)
    return file, files - file


def _after_failure(lease: Lease, file: int, error: TapeError) -> None:
    """The transfer has closed the file as incomplete, unless the drive did not let it: then it stays open."""
    try:
        if lease.drive.position().file > file:
            lease.end_file(file, durable=True)
        elif not error.data.get("blocks") and not isinstance(error, DeviceError):
            lease.drop_file(file)
    except TapeError as second:
        log.warning("%s: after %s: %s", lease.name, error.name, second, extra={Field.DRIVE: lease.spec.name})
