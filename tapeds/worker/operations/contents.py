# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is on the tape: its files, and whether they keep the rules of the format."""

from __future__ import annotations

from tapeds.errors import EndOfData
from tapeds.media import listing, verify
from tapeds.media.verify import Verified
from tapeds.worker import pages
from tapeds.worker.arguments import Arguments
from tapeds.worker.control import Control
from tapeds.worker.lease import Lease
from tapeds.worker.messages import Json

_MOST = 1000                          # files of one page


def list_files(lease: Lease, arguments: Arguments, control: Control) -> Json:
    """The files from number ``first`` on, at most ``count`` and at most a page of them."""
    first = arguments.number("first", 0)
    count = min(arguments.number("count", _MOST), _MOST)
    arguments.done()
    control.poll()
    lease.require_media()
    files, more = listing.list_files(lease.drive, first, count, control)
    lease.knowledge.arrive()
    entries: list[Json] = [
        {
            "number": entry.number,
            "kind": str(entry.kind),
            "name": entry.name,
            "bytes": entry.bytes,
            "complete": entry.complete,
        }
        for entry in files
    ]
    fitting, cut = pages.fit(entries)
    return {"files": fitting, "more": more or cut}


def verify_file(lease: Lease, arguments: Arguments, control: Control) -> Json:
    """Read ``file`` for nothing but its rules."""
    file = arguments.number("file")
    arguments.done()
    control.poll()
    lease.require_media()
    try:
        verified = verify.verify_file(lease.drive, file, control)
    except EndOfData as exc:
        raise EndOfData(f"{lease.tape} has no file {file}; list its files first") from exc
    lease.knowledge.arrive()
    return _told(verified)


def verify_tape(lease: Lease, arguments: Arguments, control: Control) -> Json:
    """Read every file for nothing but its rules."""
    arguments.done()
    control.poll()
    lease.require_media()
    verified = verify.verify_tape(lease.drive, control)
    lease.knowledge.arrive()
    return _told(verified)


def _told(verified: Verified) -> Json:
    result: Json = {"files": verified.files, "bytes": verified.bytes, "incomplete": verified.incomplete}
    if verified.first_error is not None:
        fault = verified.first_error
        result["first-error"] = {"file": fault.file, "block": fault.block, "text": fault.text}
    return result
