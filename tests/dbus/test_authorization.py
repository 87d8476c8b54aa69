# SPDX-License-Identifier: LGPL-2.1-or-later
"""The table of who may do what, against a table written down a second time."""

from __future__ import annotations

import pytest

from tapeds.buslib.schema import api, parse
from tapeds.dbus import authorization
from tapeds.dbus.authorization import METHODS, Question, Relation, Who, decide

OWNER = Question((), {}, Relation.OWNER)
SAME_USER = Question((), {}, Relation.SAME_USER)
OTHER = Question((), {}, Relation.OTHER)

EVERYBODY = """
    Manager.GetDrives Manager.GetChangers Manager.GetJobs Manager.GetDriveByName Manager.GetChangerByName
    Manager.GetPermissions Manager.ScanDevices Changer.GetInventory Job.Wait
"""
BY_ACTION = {
    "drive.inspect": "Drive.GetStatus Drive.CurrentFileNumber",
    "drive.acquire": "Drive.Acquire",
    "drive.move": """
        Drive.Sync Drive.Rewind Drive.MoveToLastFile Drive.MoveToFile Drive.RequestMedia Drive.ReadLabel
    """,
    "drive.eject": "Drive.EjectMedia",
    "data.read": "Drive.ReadFile Drive.ReadFileInto Drive.ListFiles Drive.VerifyFile Drive.VerifyTape",
    "data.write": "Drive.WriteFile Drive.WriteFileFrom",
    "media.erase": "Drive.FormatMedia Drive.LabelTape Drive.WriteMediaSetLabel",
    "changer.inventory": "Changer.RefreshInventory",
    "changer.move": """
        Changer.LoadMedia Changer.LoadSlot Changer.UnloadMedia Changer.TransferMedia Changer.ExportMedia
    """,
    "manager.reload": "Manager.Reload",
}


def member(text: str) -> tuple[str, str]:
    interface, _, name = text.rpartition(".")
    return f"org.tapeds1.{interface}", name


@pytest.mark.parametrize("text", EVERYBODY.split())
def test_everybody_may(text: str) -> None:
    assert decide(METHODS[member(text)], OTHER) is None


@pytest.mark.parametrize(
    ("action", "text"), [(a, t) for a, texts in BY_ACTION.items() for t in texts.split()]
)
def test_polkit_is_asked_for(action: str, text: str) -> None:
    assert decide(METHODS[member(text)], OTHER) == f"org.tapeds1.{action}"


@pytest.mark.parametrize(
    "text", ["Session.Renew", "Session.SetStatusText", "Transfer.Commit", "Transfer.Abort"]
)
def test_only_the_owner_may(text: str) -> None:
    assert decide(METHODS[member(text)], OTHER) is Who.OWNER


def test_release_of_somebody_elses_lease_breaks_it() -> None:
    rule = METHODS[member("Session.Release")]
    assert decide(rule, OWNER) is None
    assert decide(rule, OTHER) == "org.tapeds1.session.break"


def test_cancel_is_free_for_the_owner_and_graver_for_other_users() -> None:
    rule = METHODS[member("Job.Cancel")]
    assert decide(rule, OWNER) is None
    assert decide(rule, SAME_USER) == "org.tapeds1.job.cancel"
    assert decide(rule, OTHER) == "org.tapeds1.job.cancel-others"


def test_move_to_eom_that_closes_an_open_file_is_a_write() -> None:
    rule = METHODS[member("Drive.MoveToEom")]
    assert decide(rule, Question((False,), {}, Relation.OTHER)) == "org.tapeds1.drive.move"
    assert decide(rule, Question((True,), {}, Relation.OTHER)) == "org.tapeds1.data.write"


@pytest.mark.parametrize("text", ["Drive.WriteFile", "Drive.WriteFileFrom"])
def test_a_write_that_begins_at_a_given_file_erases(text: str) -> None:
    assert (
        decide(METHODS[member(text)], Question((), {"file": 0}, Relation.OTHER)) == "org.tapeds1.media.erase"
    )


def test_every_method_stands_in_the_table_above_too() -> None:
    special = {
        "Session.Renew",
        "Session.SetStatusText",
        "Transfer.Commit",
        "Transfer.Abort",
        "Session.Release",
        "Job.Cancel",
        "Drive.MoveToEom",
    }
    listed = {*EVERYBODY.split(), *special, *(text for texts in BY_ACTION.values() for text in texts.split())}
    assert {member(text) for text in listed} == set(METHODS)


def test_erasing_and_breaking_are_asked_every_time() -> None:
    assert {"org.tapeds1.media.erase", "org.tapeds1.session.break"} == authorization.NEVER_REMEMBERED


def test_the_table_covers_the_api() -> None:
    authorization.check(api())


def test_the_table_has_no_row_that_the_api_does_not_have() -> None:
    interfaces = api()
    assert {(n, m) for n, known in interfaces.items() for m in known.methods} == set(METHODS)
    assert {n: set(known.properties) for n, known in interfaces.items()} == {
        name: set(known) for name, known in authorization.READABLE.items()
    }


@pytest.mark.parametrize(
    "xml",
    [
        '<method name="SelfDestruct"/>',
        '<property name="Secret" type="s" access="read"/>',
        '<property name="State" type="s" access="readwrite"/>',
    ],
)
def test_a_member_without_a_row_is_refused_by_name(xml: str) -> None:
    grown = parse(f'<node><interface name="org.tapeds1.Drive">{xml}</interface></node>')
    with pytest.raises(LookupError, match=r"org\.tapeds1\.Drive\.(SelfDestruct|Secret|State \(write\))"):
        authorization.check(grown)
