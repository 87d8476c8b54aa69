# SPDX-License-Identifier: LGPL-2.1-or-later
"""`journalctl TAPEDS_JOB=N` is the task log: asked of a real journald, with the shipped catalog."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tapeds.names import MessageId

pytestmark = [pytest.mark.system, pytest.mark.requires("root", "journalctl", "busctl")]


def test_the_journal_of_a_job_has_its_fields_and_its_explanation(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        ["unshare", "--mount", sys.executable, str(Path(__file__).parent / "inside.py"), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": f"{root}:{root / 'tests'}"},
        text=True,
        stdout=subprocess.PIPE,
        timeout=120,
        check=True,
    )
    said = json.loads(done.stdout.splitlines()[-1])
    began, ended = said["entries"][0], said["entries"][-1]
    assert began["MESSAGE_ID"] == MessageId.JOB_STARTED
    assert ended["MESSAGE_ID"] == MessageId.JOB_FINISHED
    for entry in (began, ended):
        assert entry["SYSLOG_IDENTIFIER"] == "tapedsd"
        assert entry["TAPEDS_JOB"] == "1"
        assert entry["TAPEDS_OPERATION"] == "load-media"
        assert entry["TAPEDS_DRIVE"] == "vt0"
        assert entry["TAPEDS_CALLER_UID"] == "0"
    assert ended["TAPEDS_RESULT"] == "done"
    assert "Subject: Job 1 (load-media) has begun" in said["first"]
    assert "Subject: Job 1 (load-media) has ended: done" in said["first"]
    assert "Subject: Job 2 (load-media) has failed: NoMedia" in said["failed"]
    assert "ABSENT" in said["failed"]
