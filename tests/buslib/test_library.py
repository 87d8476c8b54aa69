# SPDX-License-Identifier: LGPL-2.1-or-later
"""The choice of library, how little of it is loaded, and what it may keep."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from support import rawbus

CHECKOUT = Path(__file__).parents[2]

REPORT = """
import sys
import tapeds.buslib
from tapeds.buslib import schema
print(tapeds.buslib.LIBRARY)
print(*sorted(name for name in sys.modules if name.startswith("dbus_")))
"""


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if key != "TAPEDS_DBUS"}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=CHECKOUT,
                          env={**clean, "PYTHONPATH": str(CHECKOUT), **environment}, timeout=60)


def test_dbus_next_is_the_default() -> None:
    assert run(REPORT).stdout.splitlines()[0] == "dbus_next"


@pytest.mark.parametrize("library", ["dbus_next", "dbus_fast"])
def test_the_environment_chooses_and_only_the_codec_is_loaded(library: str) -> None:
    chosen, modules = run(REPORT, TAPEDS_DBUS=library).stdout.splitlines()
    assert chosen == library
    loaded = {name.removeprefix(library) for name in modules.split()}
    assert {".message", ".signature", "._private.unmarshaller"} <= loaded
    assert not loaded & {"", ".aio", ".glib", ".service", ".message_bus", ".proxy_object", ".introspection"}


def test_another_library_is_refused_by_name() -> None:
    result = run(REPORT, TAPEDS_DBUS="dbus_python")
    assert result.returncode != 0
    assert "TAPEDS_DBUS is 'dbus_python', but must be one of dbus_next, dbus_fast" in result.stderr


@pytest.mark.parametrize("library", ["dbus_next", "dbus_fast"])
def test_whoever_imports_the_library_later_gets_all_of_it(library: str) -> None:
    result = run(f"import tapeds.buslib, {library}.aio; assert {library}.Variant is tapeds.buslib.Variant; "
                 f"print({library}.aio.MessageBus.__name__)", TAPEDS_DBUS=library)
    assert result.stdout == "MessageBus\n"


def body_of(room: ModuleType, signature: str, body: list[object]) -> bytes:
    """The bytes of a body."""
    message = room.library.encode(4, 1, path="/a", interface="a.b", member="C", signature=signature,
                                  body=body)
    return bytes(message[room.wire.lengths(message, 0)[0] :])


def test_signatures_sent_by_strangers_do_not_fill_the_memory(room: ModuleType) -> None:
    for number in range(2_000):
        kind = "".join("syqiutxd"[number >> shift & 7] for shift in range(0, 12, 3)) + "v"
        body = body_of(room, "v", [room.Variant("a(" + kind + ")", [])])
        room.library.decode("<", "v", body, 1_000)
    if room.LIBRARY == "dbus_next":
        assert len(room.library._signature.SignatureTree._cache) <= 256
    else:
        assert room.library._signature.get_signature_tree.cache_info().currsize <= 260


def test_long_signatures_count_as_many_values(room: ModuleType) -> None:
    kind = "a(" + "y" * 250 + ")"
    body = body_of(room, "av", [[room.Variant(kind, []) for _ in range(50)]])
    assert len(room.library.decode("<", "av", body, 100_000)[0]) == 50
    if room.LIBRARY == "dbus_next":
        with pytest.raises(room.library.TooManyValues):
            room.library.decode("<", "av", body, 10_000)


BODIES = {
    "cut off": ("s", rawbus.string("hello")[:-3]),
    "cut off in a number": ("su", rawbus.string("hello") + b"\0\0\1"),
    "without a signature": ("", rawbus.string("hello")),
    "missing": ("s", b""),
    "of a type that is none": ("?", b"\0" * 8),
    "no text": ("s", rawbus.string(b"\xff")),
}


@pytest.mark.parametrize("what", BODIES)
def test_a_body_that_cannot_be_read_is_one_kind_of_error(room: ModuleType, what: str) -> None:
    signature, body = BODIES[what]
    with pytest.raises(ValueError, match="message"):
        room.library.decode("<", signature, body, 100)


def test_an_empty_body_is_no_values(room: ModuleType) -> None:
    assert room.library.decode("<", "", b"", 0) == []
