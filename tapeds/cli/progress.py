# SPDX-License-Identifier: LGPL-2.1-or-later
"""How far a job is: a bar on a terminal, now and then a plain line elsewhere; always on standard error."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Protocol

from tapeds.cli import render

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

    from tapeds.cli.job import Job
    from tapeds.cli.settings import Settings


class Watch(Protocol):
    """Somebody who is told how far a job is."""

    interval: float  # seconds between two calls of `show`

    def show(self, job: Job) -> None: ...

    def note(self, line: str) -> None:
        """A line to the person that stays."""

    def close(self) -> None: ...


def watch(settings: Settings) -> Watch:
    """The display that fits where standard error goes."""
    if settings.quiet:
        return Silence()
    return Bar() if sys.stderr.isatty() else Lines()


class Silence:
    """Nothing but notes."""

    interval = 60.0

    def show(self, job: Job) -> None:
        """Nothing."""

    def note(self, line: str) -> None:
        render.say(line)

    def close(self) -> None:
        """Nothing is shown."""


class Lines:
    """A line at every tenth of the work, or each minute; and whenever a tape is asked for."""

    interval = 1.0
    _least_pause_seconds = 2.0
    _longest_pause_seconds = 60.0

    def __init__(self) -> None:
        self._said_at = time.monotonic()
        self._tenths = 0
        self._asked = ""

    def show(self, job: Job) -> None:
        asked = job.request()
        if asked != self._asked:
            self._asked = asked
            if asked:
                self.note(f"tapectl: {render.printable(asked)}")
        pause = time.monotonic() - self._said_at
        tenths = int(job.fraction() * 10) if job.total() else 0
        if pause >= self._longest_pause_seconds or (
            tenths > self._tenths and pause >= self._least_pause_seconds
        ):
            self._said_at, self._tenths = time.monotonic(), tenths
            self.note(f"tapectl: {job.title()}: {job.summary()}")

    def note(self, line: str) -> None:
        render.say(line)

    def close(self) -> None:
        """Lines need no end."""


class Bar:
    """A progress bar with amount, rate and time left; it goes away with the job."""

    interval = 0.2

    def __init__(self) -> None:
        self._display: RichProgress | None = None
        self._asked = ""

    def show(self, job: Job) -> None:
        if self._display is None:
            self._display = _bar()
            self._display.add_task(**_shown(job))
            self._display.start()
        asked = job.request()
        if asked != self._asked:
            self._asked = asked
            if asked:
                self.note(f"tapectl: {render.printable(asked)}")
        self._display.update(self._display.task_ids[0], **_shown(job))
        self._display.refresh()

    def note(self, line: str) -> None:
        if self._display is None:
            render.say(line)
        else:
            self._display.console.print(line, markup=False, highlight=False)

    def close(self) -> None:
        if self._display is not None:
            self._display.stop()
            self._display = None


def _bar() -> RichProgress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=16),
        TextColumn("{task.fields[percent]}", markup=False),
        TextColumn("{task.fields[summary]}", markup=False),
        console=Console(stderr=True),
        auto_refresh=False,  # the event loop draws: no thread of rich's own
        transient=True,
    )


def _shown(job: Job) -> dict[str, Any]:
    """What the columns of the bar show."""
    known = job.total()
    return {
        "description": render.printable(job.title()),
        "completed": job.fraction() * 1000 if known else 0,
        "total": 1000 if known else None,
        "percent": f"{job.fraction():4.0%}" if known else "",
        "summary": job.summary(percent=False),
    }
