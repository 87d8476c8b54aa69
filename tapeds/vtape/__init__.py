# SPDX-License-Identifier: LGPL-2.1-or-later
"""A directory of virtual tapes, as Proxmox Backup's virtual drive keeps it.

`TapeDirectory` is the directory under its lock: which tapes there are and which one is in the
drive.  `Tape` is that one with a head over it.  The virtual drive and the virtual changer are two
faces of one `TapeDirectory`.

========================== ================================================================
``.drive.lck``             held (flock) as long as the directory is open
``drive-status.json``      ``{"current_tape": null}``, or name and position of the loaded tape
``tape-LABEL.json``        index of a tape: ``{"files": N}``; an empty file counts as 0
``tapefile-N-LABEL.json``  the blocks of file N, nothing between them
``.tapeds-slots.json``     slot numbers, ours alone: Proxmox looks for ``tape-*.json``
========================== ================================================================
"""

from __future__ import annotations

from tapeds.vtape.directory import TapeDirectory
from tapeds.vtape.layout import BLOCK, is_label
from tapeds.vtape.tape import Tape

__all__ = ["BLOCK", "Tape", "TapeDirectory", "is_label"]
