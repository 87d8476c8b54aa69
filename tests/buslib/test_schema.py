# SPDX-License-Identifier: LGPL-2.1-or-later
"""The API book: what stands in it, and that all of it is explained."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tapeds import errors, names
from tapeds.buslib import check, schema

BOOK = schema.api_xml()
EMITS = "org.freedesktop.DBus.Property.EmitsChangedSignal"

METHODS = {
    "org.tapeds1.Manager": "GetDrives GetChangers GetJobs GetDriveByName GetChangerByName ScanDevices "
                           "Reload GetPermissions",
    "org.tapeds1.Drive": "Acquire GetStatus CurrentFileNumber Sync Rewind MoveToEom MoveToLastFile "
                         "MoveToFile ReadLabel LabelTape WriteMediaSetLabel FormatMedia EjectMedia "
                         "RequestMedia ReadFile WriteFile ReadFileInto WriteFileFrom ListFiles VerifyFile "
                         "VerifyTape",
    "org.tapeds1.Session": "Renew Release SetStatusText",
    "org.tapeds1.Job": "Cancel Wait",
    "org.tapeds1.Transfer": "Commit Abort",
    "org.tapeds1.Changer": "GetInventory RefreshInventory LoadMedia LoadSlot UnloadMedia TransferMedia "
                           "ExportMedia",
    "org.freedesktop.LogControl1": "",
}
SIGNALS = {
    "org.tapeds1.Manager": "MediaRequested MediaRequestResolved",
    "org.tapeds1.Drive": "DurabilityLost",
    "org.tapeds1.Session": "Released",
    "org.tapeds1.Job": "Completed",
    "org.tapeds1.Transfer": "",
    "org.tapeds1.Changer": "InventoryChanged",
    "org.freedesktop.LogControl1": "",
}


def members() -> Iterator[tuple[str, str, dict[str, str]]]:
    for interface in schema.api().values():
        for group in (interface.methods, interface.properties, interface.signals):
            for member in group.values():
                yield interface.name, member.name, dict(member.annotations)


def comment_before(interface: str, kind: str, member: str) -> str:
    """The comment that stands immediately before a member."""
    part = BOOK[BOOK.index(f'<interface name="{interface}">'):]
    before = part[: part.index(f'<{kind} name="{member}"')].rstrip()
    assert before.endswith("-->"), f"{interface}.{member} has no comment"
    return before[before.rindex("<!--"):]


def test_the_book_holds_what_is_built_and_nothing_else() -> None:
    api = schema.api()
    assert {name: " ".join(one.methods) for name, one in api.items()} == METHODS
    assert {name: " ".join(one.signals) for name, one in api.items()} == SIGNALS
    assert set(api) == {names.MANAGER, names.DRIVE, names.SESSION, names.JOB, names.TRANSFER, names.CHANGER,
                        names.LOG_CONTROL}
    assert {name: len(one.properties) for name, one in api.items()} == {
        names.MANAGER: 5, names.DRIVE: 26, names.SESSION: 8, names.JOB: 22, names.TRANSFER: 3,
        names.CHANGER: 19, names.LOG_CONTROL: 3,
    }


@pytest.mark.parametrize(("interface", "member"), [(interface, member) for interface, member, _ in members()])
def test_every_member_says_since_when_it_is_there(interface: str, member: str) -> None:
    assert [annotations["org.tapeds1.Since"] for *where, annotations in members()
            if where == [interface, member]] == ["1.0"]


def test_every_member_is_explained_with_its_arguments() -> None:
    for interface in schema.api().values():
        for kind, group in (("method", interface.methods), ("property", interface.properties),
                            ("signal", interface.signals)):
            for member in group.values():
                comment = comment_before(interface.name, kind, member.name)
                assert re.match(rf"<!--\s+{member.name}: \S", comment), f"{interface.name}.{member.name}"
                assert "@since: 1.0" in comment
                args = [*getattr(member, "inputs", ()), *getattr(member, "outputs", ()),
                        *getattr(member, "args", ())]
                for arg in args:
                    assert f"@{arg.name}" in comment, f"{interface.name}.{member.name}: {arg.name}"


def test_every_argument_has_a_name_and_a_type() -> None:
    for interface in schema.api().values():
        for method in interface.methods.values():
            for arg in (*method.inputs, *method.outputs):
                assert re.fullmatch(r"[a-z][a-z_]*", arg.name)
            assert method.inputs[-1] == schema.Arg("options", "a{sv}")
            assert method.in_signature.endswith("a{sv}")
        for signal in interface.signals.values():
            assert all(re.fullmatch(r"[a-z][a-z_]*", arg.name) for arg in signal.args)


def test_the_book_names_every_error() -> None:
    preface = BOOK[: BOOK.index("<node>")]
    standard = {"AccessDenied", "InteractiveAuthorizationRequired", "LimitsExceeded"}
    listed = preface[preface.index("Ask differently:") : preface.index("A failed job")]
    named = re.findall(r"\b[A-Z]\w+\b(?! \w+:|, unload|:| the)", listed)
    assert sorted(named) == sorted(set(errors.all_errors()) - standard)
    assert all(name in preface for name in standard)


def test_properties_say_how_they_change() -> None:
    drive = schema.api()["org.tapeds1.Drive"].properties
    assert drive["Name"] == schema.Property("Name", "s", "read", "const",
                                            {EMITS: "const", "org.tapeds1.Since": "1.0"})
    assert drive["LockHolder"].emits == "false"
    assert drive["State"].emits == "true"
    job = schema.api()["org.tapeds1.Job"].properties
    assert {name for name, one in job.items() if one.emits == "const"} == {
        "Id", "Operation", "Objects", "Owner", "OwnerUID", "Session", "StartTime",
    }


def test_log_control_is_as_systemd_has_it() -> None:
    log_control = schema.api()["org.freedesktop.LogControl1"].properties
    assert [(one.name, one.type, one.access, one.emits) for one in log_control.values()] == [
        ("LogLevel", "s", "readwrite", "false"), ("LogTarget", "s", "readwrite", "false"),
        ("SyslogIdentifier", "s", "read", "false"),
    ]
    assert log_control["LogLevel"].annotations["org.freedesktop.systemd1.Privileged"] == "true"


def test_signatures_are_put_together_from_the_arguments() -> None:
    drive = schema.api()["org.tapeds1.Drive"]
    move, read = drive.methods["MoveToFile"], drive.methods["ReadFile"]
    assert (move.in_signature, move.out_signature) == ("ta{sv}", "o")
    assert (read.in_signature, read.out_signature) == ("a{sv}", "oh")
    assert drive.signals["DurabilityLost"].signature == "tt"
    for interface in schema.api().values():
        for method in interface.methods.values():
            assert check(method.in_signature[:-5], _zeros(method.in_signature[:-5]), fds=1) is not None


def test_an_interface_can_be_shown_again_without_comments() -> None:
    for interface in schema.api().values():
        assert schema.parse(f"<node>{interface.xml}</node>") == {interface.name: interface}
        assert "<!--" not in interface.xml
        assert 'name="org.tapeds1.Since"' in interface.xml


def test_directions_that_are_left_out_mean_in() -> None:
    parsed = schema.parse('<node><interface name="a.B"><method name="M"><arg type="s"/>'
                          '<arg name="x" type="u" direction="out"/></method></interface></node>')
    method = schema.Method("M", (schema.Arg("", "s"),), (schema.Arg("x", "u"),), {})
    assert parsed["a.B"].methods == {"M": method}


def test_the_book_is_found_where_it_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(schema, "__file__", str(tmp_path / "tapeds" / "buslib" / "schema.py"))
    with pytest.raises(FileNotFoundError, match=r"tapeds/dbus/org\.tapeds1\.xml"):
        schema.api_xml()
    for folder in ("dbus", "tapeds/dbus"):             # a checkout, then an installed package
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "org.tapeds1.xml").write_text(folder)
        assert schema.api_xml() == folder


def _zeros(signature: str) -> list[object]:
    values: dict[str, object] = {"s": "", "o": "/", "t": 0, "u": 0, "b": False, "h": 0}
    plain = re.sub(r"a\{sv\}", "D", signature)
    return [{} if code == "D" else values[code] for code in plain]
