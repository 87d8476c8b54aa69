# SPDX-License-Identifier: LGPL-2.1-or-later
"""Operations that move the tape, and those that ask where it is."""

from __future__ import annotations

from tapeds.errors import EmptyMedia, EndOfData
from tapeds.worker import recovery, release
from tapeds.worker.arguments import Arguments
from tapeds.worker.control import Control
from tapeds.worker.lease import Lease
from tapeds.worker.messages import Json


def sync(lease: Lease, arguments: Arguments, control: Control) -> Json:
    """Make everything written durable."""
    arguments.done()
    lease.require_media()
    release.synchronize(lease, control.poll)
    return {}


def rewind(lease: Lease, arguments: Arguments, control: Control) -> Json:
    """Go to the beginning of the tape."""
    arguments.done()
    control.poll()
    lease.require_media()
    lease.drive.rewind()
    return lease.where()


def move_to_eom(lease: Lease, arguments: Arguments, control: Control) -> Json:
    """Go behind the last file.  ``write-missing-eof``: end a file there that has no filemark."""
    mend = arguments.flag("write-missing-eof")
    arguments.done()
    control.poll()
    lease.require_media()
    if mend:
        recovery.repair(lease, control.poll)
    lease.drive.locate_end()
    if mend and lease.knowledge.arrive().block:
        lease.drive.write_filemarks(1)
    return lease.where()


def move_to_last_file(lease: Lease, arguments: Arguments, control: Control) -> Json:
    """Go to the first block of the last file."""
    arguments.done()
    control.poll()
    lease.require_media()
    files = count_files(lease)
    if files == 0:
        raise EmptyMedia(f"{lease.tape} holds no file; write one first")
    lease.drive.locate_file(files - 1)
    return lease.where()


def move_to_file(lease: Lease, arguments: Arguments, control: Control) -> Json:
    """Go to the first block of ``file``."""
    file = arguments.number("file")
    arguments.done()
    control.poll()
    lease.require_media()
    try:
        lease.drive.locate_file(file)
    except EndOfData as error:
        raise EndOfData(f"{error}; list its files first", error.data) from error
    return lease.where()


def current_file_number(lease: Lease, arguments: Arguments, control: Control) -> Json:
    """The file in which the head stands, as the drive says now."""
    arguments.done()
    lease.require_media()
    return {"file": lease.drive.position().file}


def count_files(lease: Lease) -> int:
    """Go behind the last file and count; one that has no filemark is counted too."""
    lease.drive.locate_end()
    end = lease.knowledge.arrive()
    return end.file + 1 if end.block else end.file
