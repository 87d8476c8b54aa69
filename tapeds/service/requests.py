# SPDX-License-Identifier: LGPL-2.1-or-later
"""Asking for a medium: load it by label, else ask a person, and look again until it is there.

The device is closed while a person is waited for, so that others can put a cartridge in; the
drive's locks stay.  Whoever asks is told once for each new reason, not once for each look.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from tapeds import errors
from tapeds.jobs.caller import Caller
from tapeds.jobs.job import Job, Result
from tapeds.jobs.tasklog import fields
from tapeds.names import Field, MessageId, Operation
from tapeds.service import operations
from tapeds.service.leases import Hold
from tapeds.service.workers import Call

if TYPE_CHECKING:
    from tapeds.service.drives import DriveUnit

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wanted:
    """The medium that is asked for; the uuid decides where it is given."""

    label_text: str
    uuid: str

    @classmethod
    def of(cls, media: Mapping[str, Any]) -> Wanted:
        """What a caller describes.  Raises InvalidOption."""
        for key in media:
            if key not in ("label-text", "uuid"):
                raise errors.InvalidOption(f"a medium has no {key!r}; give label-text, uuid or both")
        wanted = cls(str(media.get("label-text", "")), _uuid(str(media.get("uuid", ""))))
        if not wanted.label_text and not wanted.uuid:
            raise errors.InvalidOption("which medium is wanted? give label-text, uuid or both")
        return wanted

    def __str__(self) -> str:
        if self.label_text and self.uuid:
            return f"'{self.label_text}' ({self.uuid})"
        return f"'{self.label_text or self.uuid}'"

    def is_it(self, label: Mapping[str, Any]) -> bool:
        """Whether the tape with this media label is the one."""
        if self.uuid:
            return label.get("uuid") == self.uuid
        return label.get("label-text") == self.label_text


def _uuid(text: str) -> str:
    """``text`` as labels have it, with hyphens and in lower case; "" stays.  Raises InvalidOption."""
    try:
        return str(UUID(text)) if text else ""
    except ValueError as exc:
        raise errors.InvalidOption(f"{text!r} is no uuid; give 32 hex digits, hyphens or not") from exc


@dataclass(frozen=True)
class Finding:
    """Why the medium is not there; equal findings are asked about once."""

    reason: str              # no-medium empty-tape wrong-label read-failed open-failed not-in-library
    found_label_text: str = ""
    found_uuid: str = ""
    last_error: str = ""

    def __str__(self) -> str:
        match self.reason:
            case "no-medium":
                return "the drive is empty"
            case "not-in-library":
                return "the drive is empty, and there is no such cartridge in its changer"
            case "empty-tape":
                return "found empty media without label (please label all tapes first)"
            case "wrong-label" if not self.found_uuid:
                return f"wrong media {self.found_label_text}, which has no label on tape"
            case "wrong-label":
                return f"wrong media label {self.found_label_text} ({self.found_uuid})"
            case "read-failed":
                return f"tape read failed - {self.last_error}"
        return f"tape open failed - {self.last_error}"


async def start(
    unit: DriveUnit,
    caller: Caller,
    wanted: Wanted,
    *,
    session: str,
    detach: bool,
    timeout: int,
    interval: int,
) -> Job:
    """The job that gets ``wanted`` into the drive.  ``timeout`` 0 is for ever; both are seconds."""
    if interval < 1:
        raise errors.InvalidOption("an interval of 0 seconds would never rest; give 1 or more")
    if not session and unit.session is None:
        unit.shared.sessions.check_limit(caller)
    hold = await unit.enter(caller, Operation.REQUEST_MEDIA, session)
    request = MediaRequest(unit, hold, wanted, detach=detach, timeout=timeout, interval=interval)
    return await unit.begin(caller, Operation.REQUEST_MEDIA, hold, request.run, detach=detach)


class MediaRequest:
    """A request in hand; also what cancels its job."""

    def __init__(
        self, unit: DriveUnit, hold: Hold, wanted: Wanted, *, detach: bool, timeout: int, interval: int
    ) -> None:
        self._unit = unit
        self._hold = hold
        self._wanted = wanted
        self._detach = detach
        self._timeout = timeout
        self._interval = interval
        self._news = asyncio.Event()
        self._stop: errors.TapeError | None = None
        self._call: Call | None = None
        self._since = 0                     # when somebody was asked first

    def poke(self) -> None:
        """A cartridge was moved: look now."""
        self._news.set()

    def cancel(self, error: str, text: str) -> None:
        """Give up."""
        self._stop = errors.by_name(error)(text)
        self._news.set()
        if self._call is not None:
            self._call.cancel(error, text)

    async def commit(self, size: int, sha256: str) -> None:
        """Raises InvalidState."""
        raise errors.InvalidState("a request for a medium takes no data")

    async def abort(self) -> None:
        """Raises InvalidState."""
        raise errors.InvalidState("a request for a medium is no transfer; cancel it")

    async def run(self, job: Job) -> Result:
        """The body of the job; it begins with the drive open and its turn taken."""
        unit = self._unit
        unit.request = self
        job.facts.update(self._facts())
        job.attach(self)
        try:
            unit.retell()
            label = await self._until_found(job)
            return self._found(job, label)
        except errors.TapeError as exc:
            outcome = "timeout" if isinstance(exc, errors.Timeout) else "canceled"
            self._resolved(job, outcome)
            raise
        finally:
            unit.request = None
            await unit.over(job, self._hold)

    async def _until_found(self, job: Job) -> Result:
        unit = self._unit
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout if self._timeout else None
        asked: Finding | None = None
        while True:
            self._news.clear()
            found = await self._look()
            self._check()
            if not isinstance(found, Finding):
                return found
            if found != asked:
                asked = found
                self._ask(job, found)
            await unit.close()
            unit.turn.release()
            try:
                await self._rest(deadline)
            finally:
                await unit.turn.acquire()
            self._check()
            if deadline is not None and loop.time() >= deadline:
                raise errors.Timeout(
                    f"media {self._wanted} did not come into drive {unit.name} in {self._timeout} s: {asked}"
                )

    async def _rest(self, deadline: float | None) -> None:
        seconds = float(self._interval)
        if deadline is not None:
            seconds = min(seconds, max(0.0, deadline - asyncio.get_running_loop().time()))
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return

    async def _look(self) -> Finding | Result:
        """What is in the drive, once the changer has tried to make it the right one."""
        unit = self._unit
        try:
            await unit.open()
        except errors.TapeError as exc:
            return Finding("open-failed", last_error=str(exc))
        here = await self._read()
        text = self._label_text()
        if not isinstance(here, Finding) or not text or unit.media.get("label-text") == text:
            return here
        try:
            await self._ask_worker(Operation.LOAD_MEDIA, {"label-text": text, "create": False})
        except errors.NoMedia:
            return Finding("not-in-library") if here.reason == "no-medium" else here
        except errors.NotSupported:
            return here
        except errors.TapeError as exc:
            self._check()
            return Finding("open-failed", last_error=f"could not load tape into drive - {exc}")
        return await self._read()

    async def _read(self) -> Finding | Result:
        try:
            data = await self._ask_worker(Operation.READ_LABEL, {})
        except errors.NoMedia:
            return Finding("no-medium")
        except errors.EmptyMedia:
            return self._unlabelled()
        except errors.TapeError as exc:
            self._check()
            self._unit.failed(exc)
            return Finding("read-failed", last_error=str(exc))
        label = data.get("label")
        if not label:
            return self._unlabelled()
        if self._wanted.is_it(label):
            return dict(label)
        return Finding("wrong-label", str(label.get("label-text", "")), str(label.get("uuid", "")))

    def _unlabelled(self) -> Finding:
        """Nothing on tape says which one it is; the cartridge itself may say that it is another."""
        text, wanted = str(self._unit.media.get("label-text", "")), self._label_text()
        return Finding("wrong-label", text) if text and wanted and text != wanted else Finding("empty-tape")

    def _label_text(self) -> str:
        """The label text of what is wanted, "" while it is known by its uuid alone."""
        return self._wanted.label_text or self._unit.shared.labels.get(self._wanted.uuid, "")

    async def _ask_worker(self, operation: str, arguments: dict[str, Any]) -> Result:
        self._call = self._unit.handle.request(operation, arguments)
        try:
            data = await self._unit.whole(await self._call.result())
        finally:
            self._call = None
        self._unit.done(operations.row(operation), arguments, data)
        return data

    def _check(self) -> None:
        if self._stop is not None:
            raise self._stop

    def _ask(self, job: Job, finding: Finding) -> None:
        unit, wanted = self._unit, self._wanted
        self._since = self._since or int(unit.shared.clock() * 1_000_000)
        prompt: Result = {
            "reason": finding.reason,
            "label-text": wanted.label_text,
            "uuid": wanted.uuid,
            "found-label-text": finding.found_label_text,
            "found-uuid": finding.found_uuid,
            "last-error": str(finding),
            "since": self._since,
        }
        message = MessageId.WRONG_MEDIA if finding.reason == "wrong-label" else MessageId.MEDIA_REQUESTED
        log.warning(
            "please insert media %s into drive '%s': %s",
            wanted,
            unit.name,
            finding,
            extra=fields(job, MESSAGE_ID=message, **self._facts()),
        )
        job.enter("waiting", f"please insert media {wanted} into drive '{unit.name}'", prompt)
        unit.retell()
        unit.shared.media_requested.emit((unit, job, prompt))

    def _found(self, job: Job, label: Result) -> Result:
        unit, hold = self._unit, self._hold
        session = hold.session
        if session is None:
            session = unit.shared.sessions.open(
                unit,
                hold.caller,
                binding="none" if self._detach else "client",
                ttl=int(unit.shared.timings.detached_lease) if self._detach else 0,
                reason=f"media {self._wanted} requested by {job}",
            )
            self._hold = Hold(hold.caller, "acquire", session)
            unit.lease.replace(hold, self._hold)
        log.info(
            "found media label %s (%s) in drive '%s'",
            label["label-text"],
            label["uuid"],
            unit.name,
            extra=fields(
                job,
                MESSAGE_ID=MessageId.MEDIA_FOUND,
                TAPEDS_LABEL=str(label["label-text"]),
                TAPEDS_MEDIA_UUID=str(label["uuid"]),
            ),
        )
        self._resolved(job, "found")
        job.enter("finishing")
        return {"uuid": label["uuid"], "label-text": label["label-text"], "session": session.path}

    def _resolved(self, job: Job, outcome: str) -> None:
        if self._since:
            self._unit.shared.media_request_resolved.emit((self._unit, job, outcome))

    def _facts(self) -> dict[str, str]:
        return {Field.LABEL: self._wanted.label_text, Field.MEDIA_UUID: self._wanted.uuid}
