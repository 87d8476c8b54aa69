# SPDX-License-Identifier: LGPL-2.1-or-later
"""The files in dbus/ that the bus and polkit read."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tapeds import names
from tapeds.dbus import authorization

DBUS = Path(__file__).parents[2] / "dbus"
DTD = Path("/usr/share/polkit-1/policyconfig-1.dtd")

# any / inactive / active, as the table of the API's description has them
DEFAULTS = {
    "drive.inspect": ("auth_admin_keep", "auth_admin_keep", "yes"),
    "drive.acquire": ("auth_admin", "auth_admin", "auth_admin_keep"),
    "drive.move": ("auth_admin", "auth_admin", "auth_admin_keep"),
    "drive.eject": ("auth_admin", "auth_admin", "yes"),
    "data.read": ("auth_admin", "auth_admin", "auth_admin_keep"),
    "data.write": ("auth_admin", "auth_admin", "auth_admin_keep"),
    "media.erase": ("auth_admin", "auth_admin", "auth_admin"),
    "changer.inventory": ("auth_admin", "auth_admin", "yes"),
    "changer.move": ("auth_admin", "auth_admin", "auth_admin_keep"),
    "manager.reload": ("auth_admin", "auth_admin", "auth_admin_keep"),
    "job.cancel": ("auth_admin", "auth_admin", "yes"),
    "job.cancel-others": ("auth_admin", "auth_admin", "auth_admin_keep"),
    "session.break": ("auth_admin", "auth_admin", "auth_admin"),
}


def _actions() -> dict[str, ElementTree.Element]:
    root = ElementTree.parse(DBUS / "org.tapeds1.policy").getroot()
    return {element.attrib["id"].removeprefix("org.tapeds1."): element for element in root.iter("action")}


def test_every_action_of_the_table_is_in_the_policy_and_no_other() -> None:
    asked = {action.removeprefix("org.tapeds1.") for action in authorization.actions()}
    assert set(_actions()) == asked == set(DEFAULTS)


@pytest.mark.parametrize("action", sorted(DEFAULTS))
def test_an_action_has_the_defaults_of_the_api(action: str) -> None:
    defaults = _actions()[action].find("defaults")
    assert defaults is not None
    found = tuple(defaults.findtext(f"allow_{who}") for who in ("any", "inactive", "active"))
    assert found == DEFAULTS[action]


def test_the_service_user_owns_every_action_so_that_it_may_ask_about_others() -> None:
    for action, element in _actions().items():
        owners = [
            a.text for a in element.iter("annotate") if a.get("key") == "org.freedesktop.policykit.owner"
        ]
        assert owners == ["unix-user:_tapeds"], action


def test_whoever_may_read_or_write_may_also_move_acquire_and_inspect() -> None:
    for action, element in _actions().items():
        implied = [
            a.text for a in element.iter("annotate") if a.get("key") == "org.freedesktop.policykit.imply"
        ]
        wanted = "org.tapeds1.drive.move org.tapeds1.drive.acquire org.tapeds1.drive.inspect"
        assert implied == ([wanted] if action.startswith("data.") else []), action


@pytest.mark.skipif(
    not (shutil.which("xmllint") and DTD.exists()), reason="no xmllint or no DTD of polkit here"
)
def test_the_policy_is_valid_by_the_dtd_of_polkit() -> None:
    command = ["xmllint", "--noout", "--nonet", "--dtdvalid", str(DTD), str(DBUS / "org.tapeds1.policy")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_rules_let_group_tape_do_all_but_erase_and_break() -> None:
    text = (DBUS / "org.tapeds1.rules").read_text()
    allowed = set(re.findall(r'"org\.tapeds1\.([a-z.-]+)"', text))
    assert allowed == set(DEFAULTS) - {"media.erase", "session.break"}
    assert 'subject.isInGroup("tape")' in text


def test_only_root_and_the_service_user_may_own_the_name_and_everybody_may_send() -> None:
    root = ElementTree.parse(DBUS / "org.tapeds1.conf").getroot()
    rules = {
        (*policy.attrib.items(), *allow.attrib.items())
        for policy in root.iter("policy")
        for allow in policy
    }
    assert rules == {
        (("user", "root"), ("own", names.BUS_NAME)),
        (("user", "_tapeds"), ("own", names.BUS_NAME)),
        (("context", "default"), ("send_destination", names.BUS_NAME)),
    }


def test_the_activation_file_starts_the_daemon_with_and_without_systemd() -> None:
    parser = configparser.ConfigParser()
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(DBUS / "org.tapeds1.service")
    assert dict(parser["D-BUS Service"]) == {
        "Name": names.BUS_NAME,
        "Exec": "/usr/sbin/tapedsd",
        "User": "_tapeds",
        "SystemdService": "tapeds.service",
    }
