# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is remembered across a restart."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from support.powerloss import Disk, Recorder, images
from tapeds import errors
from tapeds.filesystem import REAL
from tapeds.state import records

LABEL = records.LastLabel(label_text="TAPE01", uuid="u", seen=1, pool="daily", seq_nr=2)
MARKER = records.OpenMarker(name="vt0", type="virtual", path="/srv/vt0", since=5, pid=7)
SESSION = records.SessionRecord(id=3, drive="vt0", owner=":1.5", owner_uid=1000, binding="none", expires=9)


@pytest.fixture
def labels(tmp_path: Path) -> records.Records[records.LastLabel]:
    return records.last_labels(REAL, str(tmp_path))


@pytest.mark.parametrize(
    ("store", "file", "record"),
    [
        (records.last_labels, "labels/vt0.json", LABEL),
        (records.open_markers, "open/vt0", MARKER),
        (records.sessions, "sessions/vt0.json", SESSION),
    ],
)
def test_a_record_comes_back_as_it_was(
    tmp_path: Path, store: Callable[..., Any], file: str, record: records.Record
) -> None:
    store(REAL, str(tmp_path)).put("vt0", record)
    assert (tmp_path / file).is_file()
    assert store(REAL, str(tmp_path)).get("vt0") == record
    assert store(REAL, str(tmp_path)).all() == ({"vt0": record}, [])


def test_a_record_is_json_with_kebab_case_keys(
    labels: records.Records[records.LastLabel], tmp_path: Path
) -> None:
    labels.put("vt0", LABEL)
    assert json.loads((tmp_path / "labels/vt0.json").read_text()) == {
        "label-text": "TAPE01",
        "uuid": "u",
        "seen": 1,
        "ctime": 0,
        "pool": "daily",
        "media-set-uuid": "",
        "media-set-pool": "",
        "seq-nr": 2,
    }


def test_a_newer_record_takes_the_place_of_the_older(labels: records.Records[records.LastLabel]) -> None:
    labels.put("vt0", LABEL)
    newer = LABEL.model_copy(update={"label_text": "TAPE02"})
    labels.put("vt0", newer)
    assert labels.all() == ({"vt0": newer}, [])


def test_a_forgotten_record_is_gone(labels: records.Records[records.LastLabel]) -> None:
    labels.put("vt0", LABEL)
    labels.put("vt1", LABEL)
    labels.remove("vt0")
    labels.remove("vt0")
    assert labels.get("vt0") is None
    assert labels.names() == ["vt1"]


def test_asking_makes_nothing(labels: records.Records[records.LastLabel], tmp_path: Path) -> None:
    assert labels.get("vt0") is None
    assert labels.all() == ({}, [])
    labels.remove("vt0")
    assert list(tmp_path.iterdir()) == []


def test_temporary_and_foreign_files_are_no_records(
    labels: records.Records[records.LastLabel], tmp_path: Path
) -> None:
    labels.put("vt0", LABEL)
    for name in (".vt1.json.new", "vt1.json.new", "vt1", ".vt1.json"):
        (tmp_path / "labels" / name).write_text("{")
    assert labels.all() == ({"vt0": LABEL}, [])


def test_a_temporary_file_is_no_open_marker(tmp_path: Path) -> None:
    markers = records.open_markers(REAL, str(tmp_path))
    markers.put("vt0", MARKER)
    (tmp_path / "open/.vt1.new").write_text("{")
    assert markers.names() == ["vt0"]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "Invalid JSON"),
        ("{", "Invalid JSON"),
        ("[]", "Input should be an object"),
        ('{"label-text": "A", "seen": 1}', "uuid: Field required"),
        ('{"label-text": "A", "uuid": "u", "seen": "soon"}', "seen: Input should be a valid integer"),
        ('{"label-text": "A\xff', "Invalid JSON"),
    ],
)
def test_a_damaged_record_is_told_and_harms_no_other(
    labels: records.Records[records.LastLabel], tmp_path: Path, text: str, what: str
) -> None:
    labels.put("vt0", LABEL)
    (tmp_path / "labels/vt1.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(errors.Io, match=f"labels/vt1.json is damaged \\({what}"):
        labels.get("vt1")
    found, problems = labels.all()
    assert found == {"vt0": LABEL}
    assert len(problems) == 1
    assert problems[0].startswith(f"{tmp_path}/labels/vt1.json is damaged (")
    assert problems[0].endswith("); look at it, then remove it")


def test_a_record_of_a_newer_version_is_read_as_far_as_it_is_known(
    labels: records.Records[records.LastLabel], tmp_path: Path
) -> None:
    labels.put("vt0", LABEL)
    file = tmp_path / "labels/vt0.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "barcode": "X"}))
    assert labels.get("vt0") == LABEL


def test_a_record_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        LABEL.pool = "weekly"  # type: ignore[misc]


def test_a_directory_that_cannot_be_listed_is_io(
    labels: records.Records[records.LastLabel], tmp_path: Path
) -> None:
    (tmp_path / "labels").write_text("")
    with pytest.raises(errors.Io, match="labels: Not a directory"):
        labels.all()


def test_an_intent_of_a_worker_is_read(tmp_path: Path) -> None:
    (tmp_path / "drives").mkdir()
    (tmp_path / "drives/vt0.json").write_text(
        '{"name": "vt0", "label-text": "TAPE01", "media-uuid": "u", "file": 4, "blocks": 17}'
    )
    intents, problems = records.intents(REAL, str(tmp_path)).all()
    assert problems == []
    assert intents == {
        "vt0": records.Intent(name="vt0", label_text="TAPE01", media_uuid="u", file=4, blocks=17)
    }


def test_a_record_is_whole_or_not_there_at_every_loss_of_power(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    recorder = Recorder(tmp_path)
    markers = records.open_markers(recorder, str(tmp_path))
    markers.put("vt0", MARKER)
    put = len(recorder.log)
    markers.remove("vt0")
    kept = 0
    for image in images(recorder.log, recorder.initial, more_expected=[put]):
        content = image.files.get(markers.path("vt0"))
        if content is not None:
            assert records.OpenMarker.model_validate_json(content.bytes()) == MARKER
            kept += image.position == put
        else:
            assert image.position != put, "the record was to be durable"
    assert kept
    disk = Disk(recorder.initial)
    for change in recorder.log:
        disk.advance(change)
    assert [set(image.files) for image in disk.images()] == [set()]
