# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may do what: every member of the API, called by processes of three kinds of people.

The table is written by hand from the decisions on authorization, not taken from the program.  A
member of the API that has no line here fails the test.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from support.daemon import Daemon
from support.mockpolkit import POLICY, MockPolkit
from support.people import NOBODY, OPERATOR, ROOT, STRANGER, Person, as_, finish, outcome, owning, start
from tapeds.buslib import Bus, Variant
from tapeds.buslib.schema import api

pytestmark = [pytest.mark.system, pytest.mark.requires("root")]

P = "org.tapeds1."
DENIED = "org.freedesktop.DBus.Error.AccessDenied"
ASK = "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"
REFUSED = (DENIED, ASK)
NOT_OWNER = "org.tapeds1.Error.NotOwner"
CONFIG = '[drive.vt0]\ntype = "virtual"\npath = "{0}/vt0"\n[drive.vt1]\ntype = "virtual"\npath = "{0}/vt1"\n'
DRIVE, CHANGER = "/org/tapeds1/drives/vt0", "/org/tapeds1/changers/vt0"
MANAGER = "/org/tapeds1/Manager"
LABEL = {"label-text": Variant("s", "TAPE01")}

NEVER_BY_GROUP = {"media.erase", "session.break"}
EVERYBODY, OWNER, UID_0 = "everybody", "owner", "uid 0"


class Line(NamedTuple):
    """One member (or one way of calling it) and the right that it needs."""

    interface: str
    member: str
    needs: str
    signature: str = "a{sv}"
    body: tuple[Any, ...] = ({},)
    fd: bool = False


B = ({},)
TABLE = [
    # None: anybody on the bus
    Line("Manager", "GetDrives", EVERYBODY),
    Line("Manager", "GetChangers", EVERYBODY),
    Line("Manager", "GetJobs", EVERYBODY),
    Line("Manager", "GetPermissions", EVERYBODY),
    Line("Manager", "GetDriveByName", EVERYBODY, "sa{sv}", ("vt0", {})),
    Line("Manager", "GetChangerByName", EVERYBODY, "sa{sv}", ("vt0", {})),
    Line("Manager", "ScanDevices", EVERYBODY),
    Line("Changer", "GetInventory", EVERYBODY),
    Line("Job", "Wait", EVERYBODY),
    # the service
    Line("Manager", "Reload", "manager.reload"),
    # drives: looking
    Line("Drive", "GetStatus", "drive.inspect"),
    Line("Drive", "CurrentFileNumber", "drive.inspect"),
    # drives: leases
    Line("Drive", "Acquire", "drive.acquire"),
    # drives: moving
    Line("Drive", "Sync", "drive.move"),
    Line("Drive", "Rewind", "drive.move"),
    Line("Drive", "MoveToEom", "drive.move", "ba{sv}", (False, {})),
    Line("Drive", "MoveToEom", "data.write", "ba{sv}", (True, {})),
    Line("Drive", "MoveToLastFile", "drive.move"),
    Line("Drive", "MoveToFile", "drive.move", "ta{sv}", (0, {})),
    Line(
        "Drive",
        "RequestMedia",
        "drive.move",
        "a{sv}a{sv}",
        ({"label-text": Variant("s", "NONE01")}, {"timeout": Variant("t", 1)}),
    ),
    Line("Drive", "ReadLabel", "drive.move"),
    Line("Drive", "EjectMedia", "drive.eject"),
    # data
    Line("Drive", "ReadFile", "data.read"),
    Line("Drive", "ReadFileInto", "data.read", "ha{sv}", (0, {}), fd=True),
    Line("Drive", "ListFiles", "data.read"),
    Line("Drive", "VerifyFile", "data.read", "ta{sv}", (0, {})),
    Line("Drive", "VerifyTape", "data.read"),
    Line("Drive", "WriteFile", "data.write"),
    Line("Drive", "WriteFile", "media.erase", "a{sv}", ({"file": Variant("t", 2)},)),
    Line(
        "Drive", "WriteFileFrom", "data.write", "ha{sv}", (0, {"commit-on-eof": Variant("b", True)}), fd=True
    ),
    Line(
        "Drive",
        "WriteFileFrom",
        "media.erase",
        "ha{sv}",
        (0, {"commit-on-eof": Variant("b", True), "file": Variant("t", 2)}),
        fd=True,
    ),
    # erasing
    Line("Drive", "FormatMedia", "media.erase", "ba{sv}", (True, {})),
    Line("Drive", "LabelTape", "media.erase", "a{sv}a{sv}", (LABEL, {})),
    Line(
        "Drive",
        "WriteMediaSetLabel",
        "media.erase",
        "a{sv}a{sv}",
        ({"pool": Variant("s", "pool1"), "seq-nr": Variant("t", 0)}, {}),
    ),
    # changers
    Line("Changer", "RefreshInventory", "changer.inventory"),
    Line("Changer", "LoadMedia", "changer.move", "sua{sv}", ("NONE01", 0, {})),
    Line("Changer", "LoadSlot", "changer.move", "uua{sv}", (7, 0, {})),
    Line("Changer", "UnloadMedia", "changer.move", "uua{sv}", (0, 0xFFFFFFFF, {})),
    Line("Changer", "TransferMedia", "changer.move", "uua{sv}", (7, 8, {})),
    Line("Changer", "ExportMedia", "changer.move", "sa{sv}", ("NONE01", {})),
    # what belongs to somebody else
    Line("Session", "Renew", OWNER, "ta{sv}", (60, {})),
    Line("Session", "SetStatusText", OWNER, "sa{sv}", ("mine", {})),
    Line("Session", "Release", "session.break"),
    Line("Job", "Cancel", "job.cancel-others"),
    Line("Transfer", "Commit", OWNER, "ta{sv}", (0, {})),
    Line("Transfer", "Abort", OWNER),
]
WRITABLE = {
    ("org.freedesktop.LogControl1", "LogLevel"): "info",
    ("org.freedesktop.LogControl1", "LogTarget"): "console",
}
PEOPLE = [ROOT, OPERATOR, NOBODY]


def answers(uid: int, action: str) -> str:
    """What the shipped policy and rules come to for a caller without a seat."""
    if uid in (OPERATOR.uid, STRANGER.uid) and action.removeprefix(P) not in NEVER_BY_GROUP:
        return "yes"
    return "ask"


def allowed(person: Person, needs: str) -> bool:
    """The expectation: what ``person`` may do to things of which somebody else is the owner."""
    if needs == EVERYBODY:
        return True
    if needs in (OWNER, UID_0):
        return needs == UID_0 and person is ROOT
    return person is ROOT or (person is OPERATOR and needs not in NEVER_BY_GROUP)


class World:
    """A daemon, a mock polkit, and a folder that everybody can reach."""

    def __init__(self, folder: Path) -> None:
        for name in ("vt0", "vt1"):
            (folder / name).mkdir()
        self.daemon = Daemon(folder, CONFIG.format(folder), policy=POLICY)
        self.address = self.daemon.address
        self.polkit = MockPolkit(self.address, folder / "polkit.log", answers)

    def stop(self) -> None:
        self.polkit.stop()
        self.daemon.stop()
        assert "Traceback" not in self.daemon.log()


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    folder = Path(tempfile.mkdtemp(prefix="tapeds-people-"))
    folder.chmod(0o755)
    world = World(folder)
    try:
        yield world
    finally:
        world.stop()
        shutil.rmtree(folder)


def path_of(line: Line, belongings: dict[str, str]) -> str:
    paths = {
        "Manager": MANAGER,
        "Drive": DRIVE,
        "Changer": CHANGER,
        "Session": belongings.get("session", ""),
        "Job": belongings.get("job", ""),
        "Transfer": belongings.get("job", ""),
    }
    return paths[line.interface]


def test_every_member_of_the_api_has_a_line() -> None:
    there = {(interface.name, member) for interface in api().values() for member in interface.methods}
    assert {(P + line.interface, line.member) for line in TABLE} == there
    writable = {
        (interface.name, name)
        for interface in api().values()
        for name, prop in interface.properties.items()
        if prop.access != "read"
    }
    assert set(WRITABLE) == writable


async def call(bus: Bus, line: Line, path: str, *, interactive: bool) -> tuple[str, str]:
    fds = [os.open("/dev/null", os.O_RDWR)] if line.fd else []
    return await outcome(
        bus,
        path,
        P + line.interface,
        line.member,
        line.signature,
        list(line.body),
        fds=fds,
        interactive=interactive,
    )


async def begin_to_write(bus: Bus) -> dict[str, Any]:
    """A lease of the caller on vt1 and a write job inside it; the pipe's end keeps the job waiting."""
    path = "/org/tapeds1/drives/vt1"
    session = (await bus.call("org.tapeds1", path, P + "Drive", "Acquire", "a{sv}", [{}])).body[0]
    options = {"unlabelled": Variant("b", True)}
    reply = await bus.call("org.tapeds1", path, P + "Drive", "WriteFile", "a{sv}", [options])
    return {"session": session, "job": reply.body[0], "fd": reply.fds[0]}


async def end_writing(bus: Bus, made: dict[str, Any]) -> None:
    """Whatever is still there goes."""
    await outcome(bus, made["job"], P + "Job", "Cancel", "a{sv}", [{}])
    await outcome(bus, made["job"], P + "Job", "Wait", "a{sv}", [{}])
    await outcome(bus, made["session"], P + "Session", "Release", "a{sv}", [{}])


async def acquire(bus: Bus) -> str:
    """A lease of the caller on vt0 that outlives its connection."""
    options = {"bind": Variant("s", "none"), "ttl": Variant("t", 60)}
    return (await bus.call("org.tapeds1", DRIVE, P + "Drive", "Acquire", "a{sv}", [options])).body[0]


async def release(bus: Bus, session: str) -> None:
    """Give the lease back, once the job in it has ended."""
    while (await outcome(bus, session, P + "Session", "Release", "a{sv}", [{}]))[
        0
    ] == "org.tapeds1.Error.Busy":
        await asyncio.sleep(0.01)


@pytest.fixture(scope="module")
def loaded(world: World) -> World:
    """Both drives hold a blank tape; the stranger may do what the operator may."""

    async def load(bus: Bus) -> None:
        for name in ("vt0", "vt1"):
            job = (
                await bus.call(
                    "org.tapeds1",
                    f"/org/tapeds1/changers/{name}",
                    P + "Changer",
                    "LoadMedia",
                    "sua{sv}",
                    [f"{name.upper()}X", 0, {"create": Variant("b", True)}],
                )
            ).body[0]
            await bus.call("org.tapeds1", job, P + "Job", "Wait", "a{sv}", [{}])

    as_(ROOT, world.address, load)
    return world


@pytest.mark.parametrize("interactive", [False, True], ids=["plain", "interactive"])
@pytest.mark.parametrize("person", PEOPLE, ids=[person.name for person in PEOPLE])
@pytest.mark.parametrize(
    "line", TABLE, ids=[f"{line.interface}.{line.member}-{line.needs}" for line in TABLE]
)
def test_the_table(loaded: World, line: Line, person: Person, *, interactive: bool) -> None:
    """Things of the stranger are fresh for every line, because some of the calls end them."""
    before = len(loaded.polkit.questions())
    if line.interface not in ("Session", "Job", "Transfer"):
        name, text = as_(
            person, loaded.address, lambda bus: call(bus, line, path_of(line, {}), interactive=interactive)
        )
    else:
        with owning(STRANGER, loaded.address, begin_to_write, end_writing) as made:
            pid, reading = start(
                person,
                loaded.address,
                lambda bus: call(bus, line, path_of(line, made), interactive=interactive),
            )
            if line.member == "Wait":  # the job has to end, and the stranger's does not by itself
                as_(
                    ROOT,
                    loaded.address,
                    lambda bus: outcome(bus, made["job"], P + "Job", "Cancel", "a{sv}", [{}]),
                )
            name, text = finish(pid, reading)
    asked = [q for q in loaded.polkit.questions()[before:] if q.get("uid") == person.uid and "action" in q]
    if allowed(person, line.needs):
        assert name not in (*REFUSED, NOT_OWNER), text
    elif line.needs == OWNER:
        assert name == NOT_OWNER, text
    else:
        assert name == (DENIED if interactive else ASK), text
        assert f"{P}{line.needs}" in text
    if line.member == "GetPermissions" and person is not ROOT:
        assert not any(
            q["interactive"] for q in asked
        )  # it asks for every action, and shows nobody a dialogue
    elif person is ROOT or line.needs in (EVERYBODY, OWNER):
        assert asked == []  # root is not asked about, nor what is free or owned
    else:
        assert {q["action"] for q in asked} <= {f"{P}{line.needs}"}
        assert all(q["kind"] == "system-bus-name" and q["interactive"] == interactive for q in asked)


@pytest.mark.parametrize("person", PEOPLE, ids=[person.name for person in PEOPLE])
@pytest.mark.parametrize("key", sorted(WRITABLE), ids=lambda key: key[1])
def test_only_uid_0_changes_the_log(loaded: World, key: tuple[str, str], person: Person) -> None:
    body = [*key, Variant("s", WRITABLE[key])]
    name, text = as_(
        person,
        loaded.address,
        lambda bus: outcome(
            bus, "/org/freedesktop/LogControl1", "org.freedesktop.DBus.Properties", "Set", "ssv", body
        ),
    )
    assert (name == "") == (person is ROOT), text
    if person is not ROOT:
        assert name == DENIED


@pytest.mark.parametrize("person", PEOPLE, ids=[person.name for person in PEOPLE])
def test_everybody_reads_every_property(loaded: World, person: Person) -> None:
    async def everything(bus: Bus) -> int:
        reply = await bus.call(
            "org.tapeds1", "/org/tapeds1", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects"
        )
        return len(reply.body[0])

    assert as_(person, loaded.address, everything) >= 5  # manager, two drives, two changers


def test_permissions_are_told_without_a_question_to_a_person(loaded: World) -> None:
    async def permissions(bus: Bus) -> dict[str, str]:
        reply = await bus.call("org.tapeds1", MANAGER, P + "Manager", "GetPermissions", "a{sv}", [{}])
        return dict(reply.body[0])

    actions = {f"{P}{line.needs}" for line in TABLE} - {P + EVERYBODY, P + OWNER} | {P + "job.cancel"}
    root, operator, nobody = (as_(person, loaded.address, permissions) for person in PEOPLE)
    assert root == dict.fromkeys(actions, "yes")
    assert nobody == dict.fromkeys(actions, "auth")
    assert operator == {
        action: "auth" if action.removeprefix(P) in NEVER_BY_GROUP else "yes" for action in actions
    }


class TestForeignLease:
    """A lease that belongs to another connection: of another user, and of the same one."""

    @pytest.mark.parametrize(
        ("who", "passed", "expected"),
        [
            (OPERATOR, False, "org.tapeds1.Error.Locked"),
            (OPERATOR, True, ""),
            (NOBODY, True, ASK),
            (ROOT, False, "org.tapeds1.Error.Locked"),
            (ROOT, True, "org.tapeds1.Error.Locked"),
        ],
        ids=[
            "same uid without session",
            "same uid with session",
            "nobody with session",
            "root without session",
            "root with session",
        ],
    )
    def test_use(self, loaded: World, who: Person, *, passed: bool, expected: str) -> None:
        with owning(OPERATOR, loaded.address, acquire, release) as session:
            options = {"session": Variant("o", session)} if passed else {}
            name, text = as_(
                who,
                loaded.address,
                lambda bus: outcome(bus, DRIVE, P + "Drive", "Rewind", "a{sv}", [options]),
            )
        assert name == expected, text
        if expected == "org.tapeds1.Error.Locked":
            assert f"uid {OPERATOR.uid}" in text

    @pytest.mark.parametrize(
        ("who", "expected"),
        [(OPERATOR, ""), (STRANGER, ASK), (ROOT, "")],
        ids=["same uid", "other uid", "root"],
    )
    def test_release(self, loaded: World, who: Person, expected: str) -> None:
        with owning(OPERATOR, loaded.address, acquire, release) as session:
            name, text = as_(
                who,
                loaded.address,
                lambda bus: outcome(bus, session, P + "Session", "Release", "a{sv}", [{}]),
            )
        assert name == expected, text


class TestForeignJob:
    """Cancelling a job: of one's own user from another connection, and of another user."""

    @pytest.mark.parametrize(
        ("who", "action"),
        [(STRANGER, "job.cancel"), (OPERATOR, "job.cancel-others")],
        ids=["same uid", "other uid"],
    )
    def test_cancel_asks_for_the_action_that_fits(self, loaded: World, who: Person, action: str) -> None:
        before = len(loaded.polkit.questions())
        with owning(STRANGER, loaded.address, begin_to_write, end_writing) as made:
            name, text = as_(
                who, loaded.address, lambda bus: outcome(bus, made["job"], P + "Job", "Cancel", "a{sv}", [{}])
            )
        assert name == "", text
        asked = {q["action"] for q in loaded.polkit.questions()[before:] if q.get("uid") == who.uid}
        assert P + action in asked


def test_without_polkit_only_root_is_served(tmp_path: Path) -> None:
    folder = Path(tempfile.mkdtemp(prefix="tapeds-people-"))
    folder.chmod(0o755)
    try:
        for name in ("vt0", "vt1"):
            (folder / name).mkdir()
        daemon = Daemon(folder, CONFIG.format(folder))
        line = next(line for line in TABLE if line.member == "Rewind")
        said = {
            person.name: as_(person, daemon.address, lambda bus: call(bus, line, DRIVE, interactive=True))[0]
            for person in PEOPLE
        }
        daemon.stop()
    finally:
        shutil.rmtree(folder)
    assert said == {"root": "", "operator": DENIED, "nobody": DENIED}
