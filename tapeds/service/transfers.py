# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reads and writes of tape files: the descriptors, and what a caller may ask of a transfer.

A descriptor has one owner at any time, who closes it whatever happens.  A client's descriptor is
never set to O_NONBLOCK: the flag belongs to the open file, which the client shares.
"""

from __future__ import annotations

import base64
import fcntl
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tapeds import errors, names
from tapeds.jobs.caller import Caller
from tapeds.jobs.job import Job, TransferView
from tapeds.media.header import BLOCK, FileHeader
from tapeds.names import Operation
from tapeds.service.descriptors import Owned

if TYPE_CHECKING:
    from tapeds.service.drives import DriveUnit

PIPE_BYTES = 1 << 20                 # more needs CAP_SYS_RESOURCE

_OPERATIONS = {
    ("read", False): Operation.READ_FILE,
    ("read", True): Operation.READ_FILE_INTO,
    ("write", False): Operation.WRITE_FILE,
    ("write", True): Operation.WRITE_FILE_FROM,
}


async def start(
    unit: DriveUnit,
    direction: str,
    caller: Caller,
    arguments: Mapping[str, Any],
    *,
    session: str,
    fd: int | None,
    detach: bool,
) -> tuple[Job, int | None]:
    """Start a transfer with ``fd``, which is closed here, or with a pipe: the job, and the client's end."""
    writing = direction == "write"
    operation = _OPERATIONS[direction, fd is not None]
    with Owned(fd) as given:
        request = prepare(arguments, owned=fd is None)
        if writing:
            check_order(request, drive=unit.name, kind=unit.type)
        uncommitted = writing and not _says_its_end(request)
        if fd is not None:
            if uncommitted:
                raise errors.InvalidOption(
                    "it must be said before where the data end: give commit-on-eof, size or sha256"
                )
            with unit.shared.admissions.enter(caller) as admission:
                await admission.wait(unit.shared.inspections.check(given, caller, readable=writing))
        ours, client = (given.take(), None) if fd is not None else ends(writing)
    with Owned(ours) as mine, Owned(client) as theirs:
        job = await unit.launch(
            caller,
            operation,
            request,
            session=session,
            detach=detach,
            fd=mine.take(),
            transfer=TransferView(direction, uncommitted=uncommitted),
        )
        return job, theirs.take()


def ends(writing: bool) -> tuple[int, int]:
    """A pipe as (our end, the client's end); ``writing``: the client is to write a tape file."""
    source, sink = pipe()
    return (source, sink) if writing else (sink, source)


def _says_its_end(request: Mapping[str, Any]) -> bool:
    return bool(request.get("commit-on-eof") or request.get("sha256")) or request.get("size") is not None


def prepare(arguments: Mapping[str, Any], *, owned: bool) -> dict[str, Any]:
    """The arguments of the worker's request: a digest is asked for or not."""
    request = dict(arguments)
    digest = request.pop("digest", "none")
    return {**request, "digest": digest in (True, "sha256"), "owned": owned}


def check_order(request: dict[str, Any], *, drive: str, kind: str) -> None:
    """Refuse a write that no file can come of, before there is a job; what is so anyway is taken out.

    ``kind`` is the drive's.  Raises InvalidOption, NotSupported.
    """
    _check_format(request, drive, kind)
    ours = [key for key in ("name", "attributes") if key in request]
    others = [key for key in ("content-magic", "header") if key in request]
    if ours and others:
        raise errors.InvalidOption(
            f"{ours[0]} makes a content header and {others[0]} is of another one; give only one of the two"
        )
    if others == ["header"]:
        raise errors.InvalidOption("header says nothing without its kind; give content-magic, too")
    if ours:
        FileHeader(request.get("name", ""), request.get("attributes")).pack()
    if "file" in request and not (request.get("expect-uuid") or request.get("unlabelled")):
        raise errors.InvalidOption(
            f"file {request['file']} and all behind it would be destroyed;"
            " give expect-uuid, the UUID of the cartridge that is meant, or unlabelled where it has none"
        )
    if "header" in request:                            # as hex it would fill a packet
        request["header"] = base64.b64encode(bytes.fromhex(request["header"])).decode()


def _check_format(request: dict[str, Any], drive: str, kind: str) -> None:
    """What a caller says of blocks: this version writes streams, whose blocks are all alike."""
    wanted = request.pop("format", "stream")
    block_size, framing = request.pop("block-size", None), request.pop("framing", "none")
    if wanted != "stream":
        raise errors.NotSupported(
            f"drive {drive} is {kind}: its tapes hold streams in blocks of {BLOCK} bytes, nothing {wanted};"
            " leave format out"
        )
    for key, given in (("block-size", block_size is not None), ("framing", framing != "none")):
        if given:
            raise errors.InvalidOption(
                f"{key} is for format=raw, a stream has blocks of {BLOCK} bytes without framing; leave it out"
            )


def tell_the_rest(job: Job, error: errors.TapeError) -> None:
    """What a worker that died or hangs did not tell of a write that had begun: nothing of it is proved."""
    transfer = job.transfer
    if transfer is None or transfer.direction != "write" or transfer.file_number == names.UNKNOWN:
        return
    facts = {"file": transfer.file_number, "bytes": job.bytes_done, "complete": False}
    error.data = {**facts, "early-warning": transfer.early_warning, "bytes-on-tape": 0, **error.data}


def pipe() -> tuple[int, int]:
    """A pipe that holds several tape blocks where the system allows it; neither end is inherited."""
    source, sink = os.pipe2(os.O_CLOEXEC)
    try:
        fcntl.fcntl(sink, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    except OSError:
        pass  # the limit of this user's pipes is reached: a smaller one works, slower
    return source, sink
