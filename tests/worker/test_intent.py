# SPDX-License-Identifier: LGPL-2.1-or-later
"""The write intent on disk."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from support.powerloss import Recorder, SyncDirectory, SyncFile
from tapeds.errors import Io, MalformedData
from tapeds.filesystem import REAL
from tapeds.state import records
from tapeds.worker.intent import Intent, IntentFile

INTENT = Intent("lto0", "TEST01L8", "7f42c4dd-9626-4d89-9f2b-c7bc6da7d533", 5, 3)


def intent_file(folder: Path) -> IntentFile:
    return IntentFile(REAL, str(folder / "lto0.json"))


def test_what_is_begun_is_found_after_a_restart(tmp_path: Path) -> None:
    intent_file(tmp_path).begin(INTENT)
    found = intent_file(tmp_path)
    assert found.load() == INTENT
    assert found.pending == INTENT
    assert not found.begun_here


def test_nothing_is_found_where_nothing_was_begun(tmp_path: Path) -> None:
    assert intent_file(tmp_path).load() is None


def test_the_service_reads_what_the_worker_writes(tmp_path: Path) -> None:
    (tmp_path / "drives").mkdir()
    intent_file(tmp_path / "drives").begin(INTENT)
    record = records.intents(REAL, str(tmp_path)).get("lto0")
    assert record is not None
    assert (record.name, record.label_text, record.file, record.blocks) == ("lto0", "TEST01L8", 5, 3)


def test_content_and_name_are_durable_once_it_is_begun(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    IntentFile(recorder, str(tmp_path / "lto0.json")).begin(INTENT)
    kinds = [type(change) for change in recorder.log]
    assert kinds[-1] is SyncDirectory
    assert SyncFile in kinds


def test_a_series_of_files_needs_one_intent(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    intents = IntentFile(recorder, str(tmp_path / "lto0.json"))
    intents.begin(INTENT)
    calls = recorder.calls
    intents.begin(Intent("lto0", INTENT.label_text, INTENT.media_uuid, 6))
    intents.begin(Intent("lto0", INTENT.label_text, INTENT.media_uuid, 5, 3))
    assert recorder.calls == calls
    assert intents.pending == INTENT


@pytest.mark.parametrize(
    "other",
    [
        Intent("lto0", INTENT.label_text, INTENT.media_uuid, 4),
        Intent("lto0", INTENT.label_text, INTENT.media_uuid, 5, 0),
        Intent("lto0", "TEST02L8", INTENT.media_uuid, 9),
        Intent("lto0", INTENT.label_text, "", 9),
    ],
    ids=["earlier file", "earlier block", "other cartridge", "other label"],
)
def test_what_is_not_covered_is_written(tmp_path: Path, other: Intent) -> None:
    intents = intent_file(tmp_path)
    intents.begin(INTENT)
    intents.begin(other)
    assert intent_file(tmp_path).load() == other


def test_another_tape_left_open_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    intents = intent_file(tmp_path)
    intents.begin(INTENT)
    intents.begin(Intent("lto0", "TEST02L8", "", 0))
    assert "file 5 of TEST01L8 was never closed after an interrupted write" in caplog.text


def test_it_goes_when_everything_is_durable(tmp_path: Path) -> None:
    intents = intent_file(tmp_path)
    intents.begin(INTENT)
    intents.clear()
    assert os.listdir(tmp_path) == []
    assert intents.pending is None
    intents.clear()


def test_one_that_somebody_removed_is_gone_all_the_same(tmp_path: Path) -> None:
    intents = intent_file(tmp_path)
    intents.begin(INTENT)
    os.unlink(intents.path)
    intents.clear()
    assert intents.pending is None


def test_one_that_cannot_be_removed_is_told_and_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(number: int, name: str) -> None:
        if name == "unlink":
            raise OSError(errno.EROFS, "Read-only file system")

    intents = IntentFile(Recorder(tmp_path, before=broken), str(tmp_path / "lto0.json"))
    intents.begin(INTENT)
    intents.clear()
    assert "cannot remove the write intent" in caplog.text
    assert intents.pending == INTENT


@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace"])
def test_one_that_cannot_be_written_stops_the_write(tmp_path: Path, call: str) -> None:
    def broken(number: int, name: str) -> None:
        if name == call:
            raise OSError(errno.ENOSPC, "No space left on device")

    intents = IntentFile(Recorder(tmp_path, before=broken), str(tmp_path / "lto0.json"))
    with pytest.raises(Io) as raised:
        intents.begin(INTENT)
    assert str(raised.value) == (
        f"cannot write the write intent {tmp_path}/lto0.json: No space left on device; "
        "nothing is written without it"
    )
    assert intents.pending is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b"[" * 10_000,
        b"\xff",
        json.dumps({"name": "a", "label-text": "b", "media-uuid": "c", "file": -1, "blocks": 0}).encode(),
        json.dumps({"name": "a", "label-text": "b", "media-uuid": "c", "file": True, "blocks": 0}).encode(),
        json.dumps({"name": 1, "label-text": "b", "media-uuid": "c", "file": 1, "blocks": 0}).encode(),
    ],
    ids=lambda content: repr(content[:20]),
)
def test_one_that_cannot_be_understood_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "lto0.json").write_bytes(content)
    with pytest.raises(MalformedData, match=r"the write intent .*/lto0\.json .*; verify the tape"):
        intent_file(tmp_path).load()


def test_one_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "lto0.json").mkdir()
    with pytest.raises(Io, match=r"cannot read the write intent .*: Is a directory"):
        intent_file(tmp_path).load()
