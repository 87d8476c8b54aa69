# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which drive is meant, and under which lease."""

from __future__ import annotations

from cli.fake_service import FakeService
from cli.runner import Inside
from tapeds import names

VT0, LTO0 = names.drive_path("vt0"), names.drive_path("lto0")


def test_the_drive_that_is_named_wins(service: FakeService, inside: Inside) -> None:
    inside.well("rewind", "lto0", TAPEDS_DRIVE="vt0")
    assert [call.path for call in service.called("Rewind")] == [LTO0]


def test_else_the_drive_of_the_environment(service: FakeService, inside: Inside) -> None:
    inside.well("rewind", TAPEDS_DRIVE="lto0")
    assert [call.path for call in service.called("Rewind")] == [LTO0]


def test_else_the_only_one(service: FakeService, inside: Inside) -> None:
    del service.drives["lto0"]
    inside.well("rewind", TAPEDS_DRIVE="")
    assert [call.path for call in service.called("Rewind")] == [VT0]


def test_with_several_the_person_has_to_say(service: FakeService, inside: Inside) -> None:
    done = inside("rewind", TAPEDS_DRIVE="")
    assert done.returncode == 2
    assert "which drive? Configured are lto0, vt0; name one, or set TAPEDS_DRIVE" in done.stderr
    assert service.called("Rewind") == []


def test_without_any_there_is_nothing_to_choose(service: FakeService, inside: Inside) -> None:
    service.drives.clear()
    done = inside("rewind", TAPEDS_DRIVE="")
    assert done.returncode == 1
    assert done.stderr.startswith("tapectl: no drive is configured\n")


def test_an_unknown_name_is_wrong_usage(inside: Inside) -> None:
    assert inside("rewind", "lto9").returncode == 2


def test_the_drive_may_stand_before_what_is_wanted_or_be_left_out(
    service: FakeService, inside: Inside
) -> None:
    inside.well("seek", "lto0", "7")
    inside.well("seek", "7")
    assert [(c.path, c.arguments[0]) for c in service.called("MoveToFile")] == [(LTO0, 7), (VT0, 7)]


def test_a_drive_alone_is_not_taken_for_what_is_wanted(service: FakeService, inside: Inside) -> None:
    for words in (["label", "lto0"], ["load", "lto0"], ["write", "lto0"], ["request", "lto0"]):
        done = inside(*words)
        assert done.returncode == 2, words
        assert "lto0 is a drive; " in done.stderr
    assert {call.member for call in service.calls} <= {"GetDrives"}


def test_too_many_words_are_refused(inside: Inside) -> None:
    done = inside("seek", "vt0", "7", "8")
    assert done.returncode == 2
    assert "wanted are [DRIVE] FILE; 3 given" in done.stderr


# --- the lease of the environment -----------------------------------------------------------------


def test_the_lease_of_the_environment_goes_with_every_call_for_its_drive(
    service: FakeService, inside: Inside
) -> None:
    lease = service.lease(VT0)
    for words in (
        ["rewind"],
        ["read-label"],
        ["ls"],
        ["eject"],
        ["status"],
        ["verify", "--file", "2"],
        ["sync"],
    ):
        inside(*words, TAPEDS_SESSION=lease)
    asked = {"Rewind", "ReadLabel", "ListFiles", "EjectMedia", "GetStatus", "VerifyFile", "Sync"}
    options = {
        call.member: call.arguments[-1].get("session") for call in service.calls if call.member in asked
    }
    assert options == dict.fromkeys(asked, lease)


def test_steps_that_belong_together_take_a_lease_of_their_own(service: FakeService, inside: Inside) -> None:
    inside("erase", "--yes")
    (acquired,), (erased,) = service.called("Acquire"), service.called("FormatMedia")
    assert acquired.arguments[0] == {"bind": "client", "reason": "tapectl erase"}
    assert erased.arguments[-1]["session"].startswith("/org/tapeds1/sessions/")
    assert len(service.called("Release")) == 1


def test_with_a_lease_of_the_environment_they_take_none(service: FakeService, inside: Inside) -> None:
    lease = service.lease(VT0)
    inside("erase", "--yes", TAPEDS_SESSION=lease)
    assert service.called("Acquire") == []
    assert service.called("Release") == []
    assert service.called("FormatMedia")[0].arguments[-1] == {"session": lease}


def test_the_lease_of_another_drive_stays_out_of_it(service: FakeService, inside: Inside) -> None:
    inside.well("rewind", "lto0", TAPEDS_SESSION=service.lease(VT0))
    assert service.called("Rewind")[0].arguments == [{}]


def test_a_lease_that_is_gone_is_passed_on_so_that_its_user_learns_of_it(
    service: FakeService, inside: Inside
) -> None:
    gone = "/org/tapeds1/sessions/99"
    service.plan("Rewind", refused=(names.ERROR_PREFIX + "Locked", "it has ended"))
    assert inside("rewind", TAPEDS_SESSION=gone).returncode == 4
    assert service.called("Rewind")[0].arguments == [{"session": gone}]
