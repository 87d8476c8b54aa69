# SPDX-License-Identifier: LGPL-2.1-or-later
"""The `Control` behind the transfers of `tapeds.media`: what arrives while a request is being done.

Cancel, Commit, Abort and Ask are taken between two blocks.  A new `Request` is refused as Busy.
`Release`, the end of the socket and SIGTERM stop the request first; the release follows.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from tapeds.errors import Cancelled, ClientGone, Incomplete, TapeError, all_errors
from tapeds.media import control as media
from tapeds.worker.knowledge import Knowledge
from tapeds.worker.link import Link, Packet
from tapeds.worker.messages import (
    Abort,
    Ask,
    Cancel,
    Commit,
    DeviceState,
    Failure,
    Message,
    Open,
    Progress,
    Refused,
    Release,
    Request,
    State,
    Taken,
)

_PROGRESS_SECONDS = 0.5
_BLANK = DeviceState()
_DIGEST_LENGTH = 64                   # hex digits of a SHA-256


class Control:
    """Stands between one request and the peer.

    ``poll``, ``wait`` and ``report`` are `tapeds.media.control.Control`.  Each cause to stop is raised
    once: the code that closes the file behind it may poll again.
    """

    def __init__(self, link: Link, request: int) -> None:
        self.commit: media.Commit | None = None
        self.release_asked = False
        self.knowledge: Knowledge | None = None
        self._link = link
        self._request = request
        self._writes = False
        self._digest = False
        self._stopped = False
        self._due = 0.0
        self._shown = (False, False)

    # --- tapeds.media.control.Control ---------------------------------------------------------

    def poll(self) -> None:
        """Take what has arrived.  Raises Cancelled, ClientGone, Incomplete when asked to stop."""
        while (packet := self._link.receive()) is not None:
            self._take(packet)
        if self._link.ended:
            self._stop(_end_of(self._link))

    def wait(self, fd: int, *, writing: bool) -> None:
        """Wait until ``fd`` is ready or a message has come.  Raises as `poll`."""
        if not self._link.wait(fd, writing=writing):
            self.poll()

    def report(
        self,
        done: int,
        total: int = 0,
        *,
        file: int | None = None,
        early_warning: bool = False,
        message: str = "",
    ) -> None:
        """Tell how far the request is: twice a second, when the head is there, and at early warning."""
        now = time.monotonic()
        shown = (file is not None, early_warning)
        if now < self._due and shown == self._shown:
            return
        self._due = now + _PROGRESS_SECONDS
        self._shown = shown
        self._link.offer(
            Progress(self._request, done, total, message, file, early_warning, state=self.state())
        )

    # --- the worker's side --------------------------------------------------------------------

    def state(self) -> DeviceState:
        """The last knowledge."""
        return self.knowledge.state() if self.knowledge is not None else _BLANK

    def allow_commit(self, *, digest: bool) -> None:
        """The request writes a file: it can be committed, if ``digest`` also with a SHA-256."""
        self._writes, self._digest = True, digest

    def _stop(self, cause: TapeError) -> None:
        if not self._stopped:
            self._stopped = True
            raise cause

    def _take(self, packet: Packet) -> None:
        packet.close_descriptors()
        match packet.message:
            case Cancel(id=self._request, error=error, text=text):
                self._stop(all_errors().get(error, Cancelled)(text or "cancelled by the caller"))
            case Commit() as commit:
                self._answer(commit.id, self._refuse_commit(commit))
            case Abort() as abort:
                refusal = self._refuse(abort.id)
                self._answer(abort.id, refusal)
                if refusal is None:
                    self._stop(Incomplete("the caller has given up the transfer"))
            case Ask():
                self._link.send(State(self.state()))
            case Release():
                self.release_asked = True
                self._stop(Cancelled("the device is being released"))
            case other:
                if answer := refusal_of(other, self.state):
                    self._link.send(answer)

    def _answer(self, request: int, refusal: tuple[str, str] | None) -> None:
        self._link.send(Taken(request) if refusal is None else Refused(request, *refusal))

    def _refuse(self, request: int) -> tuple[str, str] | None:
        """Why ``request`` cannot be committed or aborted: error name and text."""
        if request != self._request:
            return "JobFinished", f"request {request} is not running any more; start another transfer"
        if not self._writes:
            return "InvalidState", f"request {request} writes no file; cancel it instead"
        if self._stopped:
            return "AlreadyCancelled", f"request {request} is being stopped; wait for its end"
        return None

    def _refuse_commit(self, commit: Commit) -> tuple[str, str] | None:
        """Take ``commit``, or say why not."""
        if refusal := self._refuse(commit.id):
            return refusal
        if self.commit is not None:
            size = self.commit.size
            return "InvalidState", f"the transfer was committed with {size} bytes; wait for its end"
        if commit.size < 0:
            return "InvalidOption", f"size {commit.size} is negative; give the number of bytes written"
        if commit.sha256 and not self._digest:
            return "InvalidOption", "sha256 needs a transfer that was started with digest=sha256"
        if commit.sha256 and not is_digest(commit.sha256):
            return "InvalidOption", "sha256 is not 32 bytes long; give the SHA-256 of the bytes written"
        self.commit = media.Commit(commit.size, commit.sha256)
        return None


def is_digest(text: str) -> bool:
    """Whether ``text`` is a SHA-256 in hex."""
    return len(text) == _DIGEST_LENGTH and all(char in "0123456789abcdef" for char in text)


def refusal_of(message: Message, state: Callable[[], DeviceState]) -> Message | None:
    """The answer to ``message``, which cannot be done now; None where none is due."""
    match message:
        case Request(id=number):
            text = "another request is being done; wait for its end"
            return Failure(number, "Busy", text, {}, state())
        case Open():
            return Failure(0, "InvalidState", "a device is open already; release it first", {}, state())
        case Commit(id=number) | Abort(id=number):
            return Refused(number, "JobFinished", f"request {number} is not running any more")
        case _:
            return None               # a cancel that came too late, or what only a worker says


def _end_of(link: Link) -> TapeError:
    if link.stopping:
        return Cancelled("the worker was told to stop by SIGTERM; try again")
    return ClientGone("the service has gone away; wait until it is back, then start the transfer again")
