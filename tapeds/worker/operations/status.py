# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the drive can say of itself without moving tape."""

from __future__ import annotations

from tapeds.worker.arguments import Arguments
from tapeds.worker.control import Control
from tapeds.worker.lease import Lease
from tapeds.worker.messages import Json


def status(lease: Lease, arguments: Arguments, control: Control) -> Json:
    """The status object of Proxmox, as far as this drive knows it.

    ``write-protect`` is there only when it is true, a position only when it is known.
    """
    arguments.done()
    drive, knowledge = lease.drive, lease.knowledge
    found = knowledge.look()
    result: Json = {
        "vendor": drive.vendor,
        "product": drive.model,
        "revision": drive.revision,
        "blocksize": found.block_size,
    }
    if found.write_protected:
        result["write-protect"] = True
    if found.loaded and knowledge.position is not None:
        position = knowledge.arrive()
        result |= {"file-number": position.file, "block-number": position.block}
    return result
