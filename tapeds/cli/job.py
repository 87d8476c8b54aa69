# SPDX-License-Identifier: LGPL-2.1-or-later
"""A job as tapectl sees it: its properties, kept up to date, and what they say in words."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from tapeds import names
from tapeds.cli import render

# An operation while it goes on, with the object of the job; the others are called by their names.
_DOING = {
    names.Operation.REWIND: "rewinding",
    names.Operation.MOVE_TO_EOM: "going to the end of data",
    names.Operation.MOVE_TO_FILE: "seeking",
    names.Operation.MOVE_TO_LAST_FILE: "seeking",
    names.Operation.READ_LABEL: "reading the label",
    names.Operation.LABEL_TAPE: "labelling",
    names.Operation.WRITE_MEDIA_SET_LABEL: "labelling",
    names.Operation.FORMAT_MEDIA: "erasing",
    names.Operation.EJECT_MEDIA: "ejecting",
    names.Operation.READ_FILE: "reading",
    names.Operation.READ_FILE_INTO: "reading",
    names.Operation.WRITE_FILE: "writing",
    names.Operation.WRITE_FILE_FROM: "writing",
    names.Operation.LIST_FILES: "listing",
    names.Operation.VERIFY_FILE: "verifying",
    names.Operation.VERIFY_TAPE: "verifying",
    names.Operation.LOAD_MEDIA: "loading",
    names.Operation.LOAD_SLOT: "loading",
    names.Operation.UNLOAD_MEDIA: "unloading",
    names.Operation.TRANSFER_MEDIA: "moving a cartridge",
    names.Operation.EXPORT_MEDIA: "moving a cartridge",
    names.Operation.REFRESH_INVENTORY: "looking at the slots",
    names.Operation.REQUEST_MEDIA: "looking for a tape",
    names.Operation.SYNC: "making data durable",
}

_REASONS = {
    "no-medium": "the drive is empty",
    "empty-tape": "the tape in the drive has no label",
    "wrong-label": "another tape is in the drive",
    "read-failed": "the label cannot be read",
    "open-failed": "the drive cannot be opened",
    "not-in-library": "it is not in the library",
}


class Job:
    """One job.  ``properties`` and ``transfer`` are those of its two interfaces."""

    def __init__(self, path: str, properties: Mapping[str, Any] | None = None) -> None:
        self.path = path
        self.properties: dict[str, Any] = dict(properties or {})
        self.transfer: dict[str, Any] = {}

    def take(self, interface: str, changed: Mapping[str, Any]) -> None:
        """News from PropertiesChanged."""
        if interface == names.JOB:
            self.properties.update(changed)
        elif interface == names.TRANSFER:
            self.transfer.update(changed)

    @property
    def number(self) -> str:
        return self.path.rpartition("/")[2]

    def objects(self) -> list[str]:
        """The names of the drives and changers it works on."""
        return list(dict.fromkeys(names.name_of(path) for path in self.properties.get("Objects", [])))

    def total(self) -> bool:
        """Whether it is known how much there is to do."""
        return bool(self.properties.get("ProgressValid"))

    def fraction(self) -> float:
        return min(1.0, max(0.0, float(self.properties.get("Progress", 0.0))))

    def title(self) -> str:
        """``vt0: writing file 3``."""
        operation = str(self.properties.get("Operation", ""))
        where = ", ".join(self.objects()) or f"job {self.number}"
        if self.properties.get("State") == "canceling":
            return f"{where}: cancelling {operation}"
        if self.request():
            return f"{where}: waiting for {self._wanted()}"
        doing = _DOING.get(operation, operation or "working")
        file = self.transfer.get("FileNumber", names.UNKNOWN)
        return f"{where}: {doing}" + (f" file {file}" if file != names.UNKNOWN else "")

    def request(self) -> str:
        """What the job wants of a person, or ""."""
        prompt = self.properties.get("Prompt") or {}
        if self.properties.get("State") != "waiting" or not prompt:
            return ""
        where = ", ".join(self.objects()) or f"job {self.number}"
        why = _REASONS.get(str(prompt.get("reason")), str(prompt.get("reason", "")))
        found = prompt.get("found-label-text")
        return f"{where}: please insert {self._wanted()}: {why}" + (f" ({found})" if found else "")

    def _wanted(self) -> str:
        prompt = self.properties.get("Prompt") or {}
        return str(prompt.get("label-text") or prompt.get("uuid") or "a tape")

    def summary(self, *, percent: bool = True) -> str:
        """``45%, 1.20 GB of 2.60 GB, 250 MB/s, 0:05 left``, as far as it is known."""
        done, whole, rate = self._bytes()
        parts = [f"{self.fraction():.0%}"] if percent and self.total() else []
        if done or whole:
            parts.append(render.amount(done) + (f" of {render.amount(whole)}" if whole else ""))
        if rate:
            parts.append(f"{render.amount(rate)}/s")
        left = self.seconds_left()
        parts.append(
            f"{render.duration(self.seconds())}" if left is None else f"{render.duration(left)} left"
        )
        return ", ".join(parts)

    def _bytes(self) -> tuple[int, int, int]:
        """Bytes done, bytes in all, bytes a second; a listing counts files instead."""
        if self.properties.get("Operation") == names.Operation.LIST_FILES:
            return 0, 0, 0
        done, whole, rate = (self.properties.get(key, 0) for key in ("BytesDone", "BytesTotal", "Rate"))
        return done, whole, rate

    def seconds(self) -> float:
        """How long it has been running."""
        started = self.properties.get("StartTime", 0)
        return time.time() - started / 1e6 if started else 0.0

    def seconds_left(self) -> float | None:
        expected = self.properties.get("ExpectedEndTime", 0)
        if expected:
            return max(0.0, float(expected) / 1e6 - time.time())
        done, whole, rate = self._bytes()
        return (whole - done) / rate if rate and whole >= done > 0 else None


def on_tape(data: Mapping[str, Any]) -> str:
    """What a write that did not succeed left on the tape, or "" where it tells nothing."""
    if "bytes-on-tape" not in data:
        return ""
    count = render.exact(int(data["bytes-on-tape"]))
    state = "complete" if data.get("complete") else "marked incomplete"
    return f"file {data.get('file', '?')} on the tape holds {count} and is {state}"
