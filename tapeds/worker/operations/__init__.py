# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a worker can be asked for: one function per operation, by the name that a request carries.

Each gets the lease it works on, its arguments, and the control that tells it to stop; it returns the
data of the result, JSON with kebab-case keys, bytes as hex, but ``header``, which may be long, as
base64.  An argument that it does not know is refused before anything moves.

======================= =============================================================================
operation               arguments -> data
======================= =============================================================================
sync                    -> nothing
rewind                  -> POSITION
move-to-eom             write-missing-eof -> POSITION
move-to-last-file       -> POSITION
move-to-file            file -> POSITION
current-file-number     -> file
status                  -> vendor, product, revision, blocksize, write-protect?, file-number?, block-number?
read-label              -> nothing for an empty tape, else label, media-set-label?, key-fingerprint?
label-tape              label-text, uuid?, ctime?, pool?, overwrite?, expect-uuid? -> LABELS
write-media-set-label   pool, seq-nr, uuid?, ctime?, overwrite?, expect-uuid? -> LABELS
format-media            fast, expect-uuid? -> POSITION, files-removed
eject-media             -> nothing
read-file               raw-header?, digest?, owned?, one descriptor
                        -> file, bytes, complete, content-kind, name?, attributes?, sha256?
write-file              owned?, name?, attributes?, content-magic?, header?, size?, commit-on-eof?, sha256?,
                        digest?, durable?, file?, expect-uuid?, expect-file?, unlabelled?, one descriptor
                        -> file, bytes, blocks, complete, early-warning, files-removed, bytes-on-tape,
                        waits, stops, longest-gap, sha256?
list-files              first?, count? -> files, more; a page of at most 1,000 files
verify-file             file -> files, bytes, incomplete, first-error?
verify-tape             -> files, bytes, incomplete, first-error?
inventory               first? -> elements, more?; a page as large as a packet
load-media              label-text, create? -> elements, more?
load-slot               slot -> elements, more?
unload-media            slot? -> elements, more?
transfer-media          from, to -> elements, more?
export-media            label-text -> slot, elements, more?
======================= =============================================================================

POSITION is file, block, position-known; LABELS is uuid, label-text, media-set-uuid, files-removed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tapeds.errors import (
    EndOfData,
    EndOfMedia,
    Incomplete,
    MalformedData,
    NotSupported,
    TapeError,
    UnexpectedFilemark,
    UnknownFormat,
)
from tapeds.names import Operation
from tapeds.worker.arguments import Arguments
from tapeds.worker.control import Control
from tapeds.worker.lease import Lease
from tapeds.worker.messages import Json
from tapeds.worker.operations import changer, contents, labels, position, status, transfer

# Raised by rooms that know a file and a block, but not which tape is in the drive.
_OF_THE_TAPE = (
    EndOfData,
    EndOfMedia,
    Incomplete,
    MalformedData,
    UnexpectedFilemark,
    UnknownFormat,
)

_OPERATIONS: Mapping[str, Callable[[Lease, Arguments, Control], Json]] = {
    Operation.SYNC: position.sync,
    Operation.REWIND: position.rewind,
    Operation.MOVE_TO_EOM: position.move_to_eom,
    Operation.MOVE_TO_LAST_FILE: position.move_to_last_file,
    Operation.MOVE_TO_FILE: position.move_to_file,
    "current-file-number": position.current_file_number,
    "status": status.status,
    Operation.READ_LABEL: labels.read_label,
    Operation.LABEL_TAPE: labels.label_tape,
    Operation.WRITE_MEDIA_SET_LABEL: labels.write_set_label,
    Operation.FORMAT_MEDIA: labels.format_media,
    Operation.EJECT_MEDIA: changer.eject_media,
    Operation.READ_FILE: transfer.read_file,
    Operation.WRITE_FILE: transfer.write_file,
    Operation.LIST_FILES: contents.list_files,
    Operation.VERIFY_FILE: contents.verify_file,
    Operation.VERIFY_TAPE: contents.verify_tape,
    "inventory": changer.inventory,
    Operation.LOAD_MEDIA: changer.load_media,
    Operation.LOAD_SLOT: changer.load_slot,
    Operation.UNLOAD_MEDIA: changer.unload_media,
    Operation.TRANSFER_MEDIA: changer.transfer_media,
    Operation.EXPORT_MEDIA: changer.export_media,
}


def perform(operation: str, lease: Lease, arguments: Arguments, control: Control) -> Json:
    """Do ``operation`` and bring the knowledge of the device up to date.  Raises TapeError."""
    function = _OPERATIONS.get(operation)
    if function is None:
        raise NotSupported(f"{lease.name} knows no operation {operation!r}")
    tape = lease.tape
    try:
        data = function(lease, arguments, control)
    except TapeError as error:
        lease.knowledge.fail(error)
        if isinstance(error, _OF_THE_TAPE) and lease.name not in str(error):
            raise type(error)(f"{tape}: {error}", error.data) from error
        raise
    try:
        lease.knowledge.settle()
    except TapeError as error:
        lease.knowledge.fail(error)           # what was done is done
    return data
