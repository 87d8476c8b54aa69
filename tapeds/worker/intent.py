# SPDX-License-Identifier: LGPL-2.1-or-later
"""The write intent: a file on disk that says which file on tape is being written.

It is durable before the first block goes to the tape and goes away once the file is closed and
durable.  A start that finds one has been preceded by a crash; `tapeds.worker.recovery` reads it.
"""

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass

from tapeds.errors import Io, MalformedData
from tapeds.filesystem import FileSystem, replace_file

log = logging.getLogger(__name__)

_LONGEST = 64 * 1024                  # bytes; an intent has a few hundred


@dataclass(frozen=True)
class Intent:
    """Everything before block ``blocks`` of ``file`` is durable; what follows may be open or missing."""

    name: str                         # of the drive, as configured
    label_text: str                   # of the cartridge, "" when the drive does not know it
    media_uuid: str                   # of the media label, "" for an unlabelled tape
    file: int
    blocks: int = 0

    def same_medium(self, other: Intent) -> bool:
        """Whether both speak of one cartridge."""
        return (self.label_text, self.media_uuid) == (other.label_text, other.media_uuid)


class IntentFile:
    """The place where the intent of one drive is kept.

    ``pending`` is what it says, ``begun_here`` whether this lease has something to do with that.
    """

    def __init__(self, fs: FileSystem, path: str) -> None:
        self.path = path
        self.pending: Intent | None = None
        self.begun_here = False
        self._fs = fs

    def load(self) -> Intent | None:
        """Read the file, once at the start.  Raises MalformedData, Io."""
        try:
            fd = self._fs.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise self._failed("read", exc) from exc
        try:
            try:
                data = self._fs.pread(fd, _LONGEST, 0)
            finally:
                self._fs.close(fd)
        except OSError as exc:
            raise self._failed("read", exc) from exc
        self.pending = _parse(data, self.path)
        return self.pending

    def begin(self, intent: Intent) -> None:
        """Make ``intent`` durable, unless the pending one covers it already.  Raises Io."""
        pending = self.pending
        self.begun_here = True
        if pending is not None:
            if not pending.same_medium(intent):
                log.warning(
                    "file %d of %s was never closed after an interrupted write; it reads as incomplete",
                    pending.file,
                    pending.label_text or "another tape",
                )
            elif (pending.file, pending.blocks) <= (intent.file, intent.blocks):
                return
        self._write(intent)

    def clear(self) -> None:
        """Everything is durable: remove the file.

        The removal itself need not be durable, nor need it work: an intent that is still there at the
        next start speaks of a file that is closed, and goes then.
        """
        if self.pending is None:
            return
        try:
            self._fs.unlink(self.path)
        except FileNotFoundError:
            pass  # somebody has tidied up; there is nothing to remove
        except OSError as exc:
            log.warning("cannot remove the write intent %s: %s; no data are lost", self.path, exc.strerror)
            return
        self.pending = None
        self.begun_here = False

    def _write(self, intent: Intent) -> None:
        value = {
            "name": intent.name,
            "label-text": intent.label_text,
            "media-uuid": intent.media_uuid,
            "file": intent.file,
            "blocks": intent.blocks,
        }
        try:
            replace_file(
                self._fs, self.path, json.dumps(value, indent=2).encode(), temporary=f"{self.path}.new"
            )
        except OSError as exc:
            raise self._failed("write", exc) from exc
        self.pending = intent

    def _failed(self, what: str, exc: OSError) -> Io:
        why = exc.strerror or exc
        return Io(f"cannot {what} the write intent {self.path}: {why}; nothing is written without it")


def _parse(data: bytes, path: str) -> Intent:
    try:
        value = json.loads(data)
        texts = [value["name"], value["label-text"], value["media-uuid"]]
        numbers = [value["file"], value["blocks"]]
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        raise MalformedData(f"the write intent {path} cannot be understood ({exc}); verify the tape") from exc
    whole = all(type(number) is int and number >= 0 for number in numbers)
    if not whole or not all(isinstance(text, str) for text in texts):
        raise MalformedData(f"the write intent {path} has values of wrong types; verify the tape")
    return Intent(*texts, *numbers)
