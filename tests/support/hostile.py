# SPDX-License-Identifier: LGPL-2.1-or-later
"""A hostile client of the service: it says what no library would say, and more of it than is decent.

As a program, ``python tests/support/hostile.py ADDRESS SECONDS [ATTACK…]``: one attack after the
other, from the first again, until the seconds are over; 0 seconds are each attack once and whole.
It needs nothing but the socket.
"""

from __future__ import annotations

import os
import struct
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from support import rawbus
from support.rawbus import RawClient

SERVICE = "org.tapeds1"
ROOT = "/org/tapeds1"
MANAGER_PATH = "/org/tapeds1/Manager"
MANAGER = "org.tapeds1.Manager"
DRIVE = "org.tapeds1.Drive"
SESSION = "org.tapeds1.Session"
PROPERTIES = "org.freedesktop.DBus.Properties"
OBJECT_MANAGER = "org.freedesktop.DBus.ObjectManager"
FOR_EVER = 0xFFFFFFFF

SECONDS = 3.0
"""So long an attacker waits for a reply: whoever floods is not owed one to each call."""

NOTHING = struct.pack("<II", 0, 0)
"""An empty ``a{sv}`` at the beginning of a body."""

Value = tuple[str, object]
"""A type and a value of it."""


class Body:
    """The body of a message, value by value."""

    def __init__(self) -> None:
        self.data = b""

    def add(self, kind: str, value: object) -> Body:
        """Append a value of one of the few types that are needed here."""
        match kind, value:
            case "s" | "o", str():
                self.data = rawbus.align(self.data, 4) + rawbus.string(value)
            case "u" | "h", int():
                self.data = rawbus.align(self.data, 4) + struct.pack("<I", value)
            case "b", bool():
                self.data = rawbus.align(self.data, 4) + struct.pack("<I", value)
            case "t", int():
                self.data = rawbus.align(self.data, 8) + struct.pack("<Q", value)
            case "ay", bytes():
                self.data = rawbus.align(self.data, 4) + struct.pack("<I", len(value)) + value
            case "v", (str(inner), within):
                self.data += rawbus.signature(inner)
                self.add(inner, within)
            case "a{sv}", dict():
                self._dictionary(value)
            case _:
                raise TypeError(f"{value!r} as {kind}")
        return self

    def _dictionary(self, entries: Mapping[str, Value]) -> None:
        self.data = rawbus.align(self.data, 4)
        at = len(self.data)
        self.data = rawbus.align(self.data + bytes(4), 8)
        begin = len(self.data)
        for key, value in entries.items():
            self.data = rawbus.align(self.data, 8)
            self.add("s", key).add("v", value)
        self.data = self.data[:at] + struct.pack("<I", len(self.data) - begin) + self.data[at + 4 :]


def body(kinds: str, *values: object) -> bytes:
    """A body; ``kinds`` are its types, separated by blanks."""
    made = Body()
    for kind, value in zip(kinds.split(), values, strict=True):
        made.add(kind, value)
    return made.data


class Clock:
    """How long an attack may last."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    def runs(self) -> bool:
        """Whether there is time left."""
        return time.monotonic() < self._until

    def times(self, count: int) -> Iterator[int]:
        """Numbers up to ``count``, as long as there is time."""
        for number in range(count):
            if not self.runs():
                return
            yield number


class Attacker(RawClient):
    """A connection that wants none of the descriptors that it is given."""

    def receive(self) -> rawbus.Answer:
        answer = super().receive()
        while answer.fds:
            os.close(answer.fds.pop())
        return answer


@contextmanager
def connected(address: str) -> Iterator[Attacker]:
    """A connection; the bus may end it at any time."""
    client = Attacker(address, SECONDS)
    try:
        yield client
    except (ConnectionError, TimeoutError):
        pass  # dropped, or no longer listened to: that is the bus's way of defending itself
    finally:
        client.close()


def drives(client: RawClient) -> list[str]:
    """The object paths of all drives."""
    reply = client.ask(SERVICE, MANAGER_PATH, MANAGER, "GetDrives", "a{sv}", NOTHING)
    found, at, end = [], 4, 4 + struct.unpack_from("<I", reply.body)[0]
    while at < end:
        at += -at % 4
        length = struct.unpack_from("<I", reply.body, at)[0]
        found.append(reply.body[at + 4 : at + 4 + length].decode())
        at += length + 5
    return found


def call(client: RawClient, path: str, interface: str, member: str, kind: str = "", data: bytes = b"",
         **how: object) -> int:
    """Call a method of the service; the answer is nobody's business."""
    return client.call(SERVICE, path, interface, member, kind, data, **how)


def ping(client: RawClient) -> None:
    """Wait until everything so far has been answered."""
    client.ask(SERVICE, MANAGER_PATH, PROPERTIES, "Get", "ss", rawbus.strings(MANAGER, "Version"))


# --- attacks -------------------------------------------------------------------------------------

Attack = Callable[[str, Clock], None]
ATTACKS: dict[str, Attack] = {}


def attack(function: Attack) -> Attack:
    """Enter ``function`` into `ATTACKS`."""
    ATTACKS[function.__name__.replace("_", "-")] = function
    return function


@attack
def unknown_header_fields(address: str, clock: Clock) -> None:
    """Fields that the specification does not know yet; dbus-daemon drops the sender of some."""
    fields = [
        rawbus.header_field(10, "s", rawbus.string("container")),
        rawbus.header_field(200, "s", rawbus.string("future")),
        rawbus.header_field(200, "as", struct.pack("<I", 6) + rawbus.string("x")),
        rawbus.header_field(255, "v", b"\1u\0\0" + struct.pack("<I", 7)),
    ]
    for number in clock.times(40):
        with connected(address) as client:
            client.ask(SERVICE, MANAGER_PATH, MANAGER, "GetDrives", "a{sv}", NOTHING,
                       more=[fields[number % len(fields)]])


@attack
def descriptors_for_nobody(address: str, clock: Clock) -> None:
    """As many descriptors as a message may carry, to methods that take none."""
    with connected(address) as client, open(os.devnull, "rb") as null:
        for _ in clock.times(100):
            call(client, MANAGER_PATH, MANAGER, "GetDrives", "a{sv}", NOTHING, fds=[null.fileno()] * 16)
            call(client, MANAGER_PATH, MANAGER, "NoSuchMethod", fds=[null.fileno()] * 16)
            call(client, "/nowhere", MANAGER, "GetDrives", "a{sv}", NOTHING, fds=[null.fileno()] * 16)
            client.call(SERVICE, MANAGER_PATH, MANAGER, "GetDrives", "a{sv}", NOTHING,
                        fds=[null.fileno()] * 16, flags=rawbus.NO_REPLY)
        ping(client)


@attack
def descriptors_in_options(address: str, clock: Clock) -> None:
    """A descriptor as the value of an option, known and unknown."""
    with connected(address) as client, open(os.devnull, "rb") as null:
        drive = drives(client)[0]
        for _ in clock.times(100):
            for key in ("timeout", "reason", "secret"):
                data = body("a{sv}", {key: ("h", 0)})
                call(client, drive, DRIVE, "Acquire", "a{sv}", data, fds=[null.fileno()])
            nested = body("a{sv}", {"attributes": ("a{sv}", {"inner": ("v", ("h", 0))})})
            call(client, drive, DRIVE, "WriteFile", "a{sv}", nested, fds=[null.fileno()])
        ping(client)


@attack
def descriptors_that_are_not_there(address: str, clock: Clock) -> None:
    """Indexes of descriptors that did not come, beyond those that did, and of others' (0 is our stdin)."""
    with connected(address) as client, open(os.devnull, "rb") as null:
        drive = drives(client)[0]
        for _ in clock.times(50):
            for index in (0, 1, 15, 16, 255, 0x7FFFFFFF, 0xFFFFFFFF):
                data = body("h a{sv}", index, {"commit-on-eof": ("b", True)})
                call(client, drive, DRIVE, "WriteFileFrom", "ha{sv}", data)
                call(client, drive, DRIVE, "ReadFileInto", "ha{sv}", body("h a{sv}", index or 1, {}),
                     fds=[null.fileno()])
        ping(client)


@attack
def descriptors_of_another_type(address: str, clock: Clock) -> None:
    """A descriptor comes along, and the body says that it is something else."""
    with connected(address) as client, open(os.devnull, "rb") as null:
        drive = drives(client)[0]
        for _ in clock.times(100):
            for kind, data in (
                ("ua{sv}", body("u a{sv}", 0, {})),
                ("va{sv}", body("v a{sv}", ("h", 0), {})),
                ("a{sv}", NOTHING),
                ("", b""),
                ("h", body("h", 0)),
                ("hh", body("h h", 0, 0)),
                ("a{sv}h", body("a{sv} h", {}, 0)),
            ):
                call(client, drive, DRIVE, "WriteFileFrom", kind, data, fds=[null.fileno()])
        ping(client)


@attack
def wrong_signatures(address: str, clock: Clock) -> None:
    """Arguments of every other type."""
    with connected(address) as client:
        drive = drives(client)[0]
        for _ in clock.times(50):
            for member in ("Acquire", "GetStatus", "Rewind", "MoveToFile", "LabelTape", "RequestMedia"):
                call(client, drive, DRIVE, member)
                call(client, drive, DRIVE, member, "s", rawbus.string("please"))
                call(client, drive, DRIVE, member, "ay", body("ay", b"\xff" * 100))
                call(client, drive, DRIVE, member, "v", body("v", ("u", 7)))
                call(client, drive, DRIVE, member, "a{sv}a{sv}a{sv}", NOTHING * 3)
            call(client, drive, PROPERTIES, "Get", "s", rawbus.string(DRIVE))
            call(client, drive, PROPERTIES, "Set", "ssv", body("s s v", DRIVE, "Name", ("s", "mine")))
            call(client, drive, OBJECT_MANAGER, "GetManagedObjects", "u", body("u", 1))
        ping(client)


@attack
def nested_variants(address: str, clock: Clock) -> None:
    """As deep as the specification allows, and deeper."""
    for _ in clock.times(20):
        for depth in (10, 60, 63, 64, 65, 200):
            with connected(address) as client:
                value: Value = ("u", 7)
                for _ in range(depth):
                    value = ("v", value)
                drive = drives(client)[0]
                client.ask(SERVICE, drive, DRIVE, "Acquire", "a{sv}", body("a{sv}", {"reason": value}))
                client.ask(SERVICE, drive, PROPERTIES, "Set", "ssv", body("s s v", DRIVE, "Name", value))


@attack
def signals_at_the_service(address: str, clock: Clock) -> None:
    """Fifty thousand signals for its unique name alone; some pretend to be the bus's own."""
    with connected(address) as client:
        owner = client.ask(*rawbus.BUS, "GetNameOwner", "s", rawbus.string(SERVICE)).text
        noise = b""
        for interface, member in (
            ("org.example.Noise", "Noise"),
            ("org.freedesktop.DBus", "NameOwnerChanged"),
            ("org.freedesktop.DBus.Properties", "PropertiesChanged"),
            ("org.freedesktop.systemd1.Manager", "JobRemoved"),
        ):
            fields = rawbus.call_fields(owner, "/org/freedesktop/DBus", interface, member, "sss")
            data = rawbus.strings(client.name, client.name, "")
            noise += rawbus.frame(rawbus.SIGNAL, client.serial(), fields, data)
        for _ in clock.times(50_000 // 100):
            client.send(noise * 25)
        ping(client)


@attack
def calls_without_reply(address: str, clock: Clock) -> None:
    """Twenty thousand calls, cheap and dear ones, whose answers are not wanted."""
    with connected(address) as client:
        drive = drives(client)[0]
        blocks = [
            rawbus.frame(rawbus.CALL, client.serial(), fields, data, flags=rawbus.NO_REPLY)
            for fields, data in (
                (rawbus.call_fields(SERVICE, ROOT, OBJECT_MANAGER, "GetManagedObjects"), b""),
                (rawbus.call_fields(SERVICE, drive, DRIVE, "GetStatus", "a{sv}"), NOTHING),
                (rawbus.call_fields(SERVICE, drive, PROPERTIES, "GetAll", "s"), rawbus.string(DRIVE)),
                (rawbus.call_fields(SERVICE, MANAGER_PATH, MANAGER, "NoSuchMethod"), b""),
            )
        ]
        for _ in clock.times(20_000 // 100):
            client.send(b"".join(blocks) * 25)
        ping(client)


@attack
def replies_that_nobody_reads(address: str, clock: Clock) -> None:
    """The longest reply there is, two thousand times, and no look at the socket."""
    with connected(address) as client:
        for _ in clock.times(20):
            for _ in range(100):
                call(client, ROOT, OBJECT_MANAGER, "GetManagedObjects")
        while clock.runs() and not _has_input(client):
            time.sleep(0.01)
        time.sleep(0.2)


@attack
def signals_that_nobody_reads(address: str, clock: Clock) -> None:
    """Two thousand signals and more for one who asked for all of them and does not look."""
    with connected(address) as deaf, connected(address) as client:
        deaf.ask(*rawbus.BUS, "AddMatch", "s", rawbus.string(f"type='signal',sender='{SERVICE}'"))
        drive = drives(client)[0]
        lease = body("a{sv}", {"bind": ("s", "none"), "ttl": ("t", 20)})
        session = client.ask(SERVICE, drive, DRIVE, "Acquire", "a{sv}", lease)
        if session.error_name:
            return
        for number in clock.times(2_000):                  # each changes a property
            data = body("t a{sv}", 20 + number % 2, {})
            client.ask(SERVICE, session.text, SESSION, "Renew", "ta{sv}", data)
        client.ask(SERVICE, session.text, SESSION, "Release", "a{sv}", NOTHING)


@attack
def paths_that_do_not_exist(address: str, clock: Clock) -> None:
    """Objects, interfaces and members that are not there, each with another name."""
    with connected(address) as client:
        for number in clock.times(2_000):
            call(client, f"{ROOT}/drives/no{number}", DRIVE, "GetStatus", "a{sv}", NOTHING)
            call(client, f"/a/b{number}/c", "org.freedesktop.DBus.Introspectable", "Introspect")
            call(client, MANAGER_PATH, f"org.example.I{number}", "Do")
            if number % 50 == 0:
                ping(client)
        ping(client)


@attack
def long_messages(address: str, clock: Clock) -> None:
    """Everything that a bus lets through: megabytes of bytes, and a hundred thousand small values."""
    megabytes = 8
    many = b"".join(rawbus.align(rawbus.string(f"{number:05}"), 4) for number in range(100_000))
    for _ in clock.times(3):
        with connected(address) as client:
            drive = drives(client)[0]
            data = body("a{sv}", {"reason": ("ay", bytes(megabytes << 20))})
            call(client, drive, DRIVE, "Acquire", "a{sv}", data)
            call(client, drive, DRIVE, "Acquire", "a{sv}", body("a{sv}", {"reason": ("s", "x" * 150_000)}))
            call(client, drive, DRIVE, "GetStatus", "as", struct.pack("<I", len(many)) + many)
            options: dict[str, Value] = {f"key-{number}": ("u", number) for number in range(5_000)}
            call(client, drive, DRIVE, "GetStatus", "a{sv}", body("a{sv}", options))
            ping(client)


@attack
def connections_that_come_and_go(address: str, clock: Clock) -> None:
    """Three hundred connections that ask and do not wait for the answer, or begin and do not end."""
    with connected(address) as client:
        paths = drives(client)
    for number in clock.times(300):
        with connected(address) as client:
            drive = paths[number % len(paths)]
            call(client, drive, DRIVE, "GetStatus", "a{sv}", NOTHING)
            call(client, ROOT, OBJECT_MANAGER, "GetManagedObjects")
            if number % 10 == 0:
                call(client, drive, DRIVE, "Acquire", "a{sv}", NOTHING)
                call(client, drive, DRIVE, "WriteFile", "a{sv}", NOTHING)


@attack
def leases_in_floods(address: str, clock: Clock) -> None:
    """Acquire, hundreds of times, for ever, from several connections that then go."""
    patient = body("a{sv}", {"timeout": ("u", FOR_EVER)})
    for _ in clock.times(3):
        clients = [Attacker(address, SECONDS) for _ in range(5)]
        paths = drives(clients[0])
        for number, client in enumerate(clients):
            for _ in range(300):
                call(client, paths[number % len(paths)], DRIVE, "Acquire", "a{sv}", patient)
        try:
            ping(clients[0])
        except (ConnectionError, TimeoutError):
            pass  # the bus has limits, too
        for client in clients:
            client.close()


@attack
def transfers_in_floods(address: str, clock: Clock) -> None:
    """Writes and reads whose pipes nobody uses, started hundreds of times."""
    for _ in clock.times(3):
        with connected(address) as client:
            paths = drives(client)
            for _ in range(100):
                for drive in paths:
                    call(client, drive, DRIVE, "WriteFile", "a{sv}", NOTHING)
                    call(client, drive, DRIVE, "ReadFile", "a{sv}", NOTHING)
            ping(client)


def _has_input(client: RawClient) -> bool:
    try:
        return bool(client.sock.recv(1, 0x02 | 0x40))          # MSG_PEEK | MSG_DONTWAIT
    except BlockingIOError:
        return False


def main(address: str, seconds: float, names: list[str]) -> None:
    """Attack."""
    attacks = [ATTACKS[name] for name in names] or list(ATTACKS.values())
    if not seconds:
        for one in attacks:
            one(address, Clock(120.0))
        return
    whole = Clock(seconds)
    slice_seconds = max(0.2, seconds / len(attacks))
    while whole.runs():
        for one in attacks:
            if whole.runs():
                one(address, Clock(slice_seconds))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), sys.argv[3:])
