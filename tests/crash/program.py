# SPDX-License-Identifier: LGPL-2.1-or-later
"""The worker process of the crash tests: `tapeds.worker.main`, with a file system that can stop."""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path

from crash.page import Page
from crash.points import Points
from tapeds.worker import main

TESTS = str(Path(__file__).parents[1])


def command(folder: Path) -> list[str]:
    """What the daemon starts as its worker; ``folder`` is the page's."""
    code = f"import sys; sys.path.insert(0, {TESTS!r}); from crash.program import worker; worker()"
    return [sys.executable, "-c", code, str(folder)]


def worker() -> None:
    """``FOLDER --fd N``."""
    page = Page(Path(sys.argv.pop(1)))
    page.be_worker()
    main.run = functools.partial(main.run, fs=Points(os, page.hook, count=page.count))
    sys.exit(main.main())
