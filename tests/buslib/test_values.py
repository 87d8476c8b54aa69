# SPDX-License-Identifier: LGPL-2.1-or-later
"""What does not fit its type is refused before it is sent; a bus would end the connection over it."""

from __future__ import annotations

import math
from collections import OrderedDict
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.privatebus import PrivateBus
from support.stories import INTERFACE, PATH, SERVICE, pair, play


def nested(room: ModuleType, depth: int) -> Any:
    """``depth`` variants, one in the other."""
    value = room.Variant("y", 7)
    for _ in range(depth - 1):
        value = room.Variant("v", value)
    return value


def changed(room: ModuleType) -> Any:
    """A variant whose value was exchanged after it was made."""
    variant = room.Variant("as", ["a"])
    variant.value = [1]
    return variant


WRONG: dict[str, tuple[str, Any, str]] = {
    "text for a number": ("u", "7", "needs an int, not str"),
    "a truth for a number": ("u", True, "needs an int, not bool"),
    "a number for a truth": ("b", 1, "needs a bool, not int"),
    "nothing": ("s", None, "needs a str, not NoneType"),
    "bytes for text": ("s", b"x", "needs a str, not bytes"),
    "text for bytes": ("ay", "x", "needs bytes, not str"),
    "numbers for bytes": ("ay", [1, 2], "needs bytes, not list"),
    "a byte too high": ("y", 256, "256 does not fit type 'y'"),
    "below zero": ("t", -1, "-1 does not fit type 't'"),
    "a long number": ("x", 2**63, "does not fit type 'x'"),
    "text for a fraction": ("d", "0.5", "needs a float, not str"),
    "an embedded zero": ("s", "a\0b", "must not contain a zero"),
    "half a character": ("s", "\ud800", "must be valid Unicode"),
    "no path": ("o", "", "is no object path"),
    "a path with a line feed": ("o", "/a\n", "is no object path"),
    "a path with an empty element": ("o", "/a//b", "is no object path"),
    "no signature": ("g", "a", "it ends too early"),
    "a signature of no type": ("g", "?", "'?' is no type"),
    "a dictionary for a list": ("as", {"a": 1}, "needs a list, not dict"),
    "a list for a dictionary": ("a{ss}", [("a", "b")], "needs a dict, not list"),
    "a wrong value in a dictionary": ("a{ss}", {"a": 1}, "['a']: needs a str, not int"),
    "a wrong key in a dictionary": ("a{ss}", {1: "a"}, "[1]: needs a str, not int"),
    "a wrong value deep inside": ("a{sa(su)}", {"a": [["x", 1], ["y", "z"]]}, "['a'][1][1]: needs an int"),
    "a structure that is too short": ("(su)", ["x"], "needs 2 values, not 1"),
    "a bare value for a variant": ("v", "x", "needs a Variant, not str"),
    "bare options": ("a{sv}", {"a": 1}, "['a']: needs a Variant, not int"),
    "a descriptor that does not go with it": ("h", 0, "descriptor 0 is not among the 0"),
    "a number that is no index": ("h", -1, "-1 does not fit type 'u'"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_value_is_refused_with_its_place(room: ModuleType, what: str) -> None:
    kind, value, text = WRONG[what]
    with pytest.raises(room.values.Mismatch) as caught:
        room.check("s" + kind, ["first", value])
    assert str(caught.value).startswith(f"value 1 ({kind})")
    assert text in str(caught.value)


@pytest.mark.parametrize(("kind", "text"), [
    ("", "needs 0 values, not 1"), ("ss", "needs 2 values, not 1"), ("a", "it ends too early"),
    ("(s", "it ends too early"), ("()", "')' is no type"), ("{sv}", "'{' is no type"),
    ("a{vs}", "basic type"), ("a{sss}", "one key and one value"), ("a{s}", "is no type"),
    ("é", "is no type"), ("s" * 256, "at most 255"),
    ("a" * 33 + "y", "too many containers"), ("(" * 33 + "y" + ")" * 33, "too many containers"),
])
def test_an_impossible_signature_is_refused(room: ModuleType, kind: str, text: str) -> None:
    with pytest.raises(room.values.Mismatch, match=text.replace("(", r"\(").replace(")", r"\)")):
        room.check(kind, ["x"])


def test_a_variant_is_checked_again_when_it_is_sent(room: ModuleType) -> None:
    with pytest.raises(room.values.Mismatch, match=r"\[0\]: needs a str, not int"):
        room.check("v", [changed(room)])


def test_variants_within_variants_end_somewhere(room: ModuleType) -> None:
    assert room.check("v", [nested(room, 30)])
    with pytest.raises(room.values.Mismatch, match="too many containers"):
        room.check("v", [nested(room, 40)])


def test_tuples_may_stand_for_lists(room: ModuleType) -> None:
    assert room.check("a(su)as", [(("a", 1), ("b", 2)), ("c",)]) == [[["a", 1], ["b", 2]], ["c"]]
    assert room.check("ay", [bytearray(b"x")]) == [b"x"]
    assert room.check("d", [3]) == [3.0]
    assert room.check("a{sv}", [OrderedDict(a=room.Variant("s", "b"))])[0]["a"].value == "b"


def test_unwrap_leaves_no_variant(room: ModuleType) -> None:
    variant = room.Variant
    options = {"b": variant("v", variant("ay", b"c"))}
    value = {"a": variant("a{sv}", options), "d": [variant("(st)", ["e", 1])]}
    assert room.unwrap(value) == {"a": {"b": b"c"}, "d": [["e", 1]]}


SENDABLE_WRONGS = [key for key in WRONG if WRONG[key][0] != "h"]


@pytest.mark.parametrize("what", SENDABLE_WRONGS)
def test_a_wrong_value_never_ends_the_connection(room: ModuleType, daemon: PrivateBus, what: str) -> None:
    kind, value, _ = WRONG[what]

    async def story() -> None:
        service, client = await pair(room, daemon, lambda call: service.reply(call, kind, [value]))
        for attempt in (
            client.call(SERVICE, PATH, INTERFACE, "Do", kind, [value]),      # in a call
            client.call(SERVICE, PATH, INTERFACE, "Do"),                     # in a reply: its caller is told
        ):
            with pytest.raises(room.CallError) as caught:
                await attempt
            assert caught.value.name == "org.freedesktop.DBus.Error.InvalidArgs"
        with pytest.raises(room.CallError):
            service.emit(PATH, INTERFACE, "Signal", kind, [value])
        service.serve(lambda call: service.reply(call))
        await client.call(SERVICE, PATH, INTERFACE, "Do")

    play(story())


@pytest.mark.parametrize("where", ["destination", "path", "interface", "member"])
@pytest.mark.parametrize("text", ["", "a b", "line\n", "/a/", "a" * 300, ":", "a..b", "1.2", "nul\0"])
def test_an_impossible_name_never_ends_the_connection(
    room: ModuleType, daemon: PrivateBus, where: str, text: str
) -> None:
    async def story() -> None:
        service, client = await pair(room, daemon, lambda call: service.reply(call))
        good = {"destination": SERVICE, "path": PATH, "interface": INTERFACE, "member": "Do"}
        with pytest.raises(room.CallError) as caught:
            await client.call(**{**good, where: text})
        assert caught.value.name == "org.freedesktop.DBus.Error.InvalidArgs"
        await client.call(**good)

    play(story())


def test_the_longest_names_and_deepest_values_are_taken_by_the_bus(room: ModuleType, bus: PrivateBus) -> None:
    async def story() -> None:
        service, client = await pair(room, bus, lambda call: service.reply(call, call.signature, call.body))
        member, path = "M" * 255, "/" + "p" * 255
        deep: Any = 1
        for _ in range(31):
            deep = [deep]
        for kind, value in (
            ("v", nested(room, 31)), ("a" * 31 + "u", deep), ("d", math.inf), ("s", "\U0010ffff\ufffe"),
        ):
            reply = await client.call(SERVICE, path, INTERFACE, member, kind, [value])
            assert reply.body == [value]

    play(story())


def test_what_no_bus_would_take_is_too_long(room: ModuleType, bus: PrivateBus) -> None:
    async def story() -> None:
        def handler(call: Any) -> None:
            if call.member == "Long":
                service.reply(call, "ay", [bytes(40 * 1024 * 1024)])
            else:
                service.reply(call)

        service, client = await pair(room, bus, handler)
        with pytest.raises(room.CallError) as caught:
            await client.call(SERVICE, PATH, INTERFACE, "Long")
        assert caught.value.name == "org.freedesktop.DBus.Error.LimitsExceeded"
        with pytest.raises(room.CallError) as caught:
            await client.call(SERVICE, PATH, INTERFACE, "Do", "h" * 17, list(range(17)), fds=[1] * 17)
        assert caught.value.name == "org.freedesktop.DBus.Error.LimitsExceeded"
        await client.call(SERVICE, PATH, INTERFACE, "Do", "h" * 16, list(range(16)), fds=[1] * 16)

    play(story())


_texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
_leaves = st.one_of(
    st.tuples(st.just("s"), _texts), st.tuples(st.just("t"), st.integers(0, 2**64 - 1)),
    st.tuples(st.just("x"), st.integers(-(2**63), 2**63 - 1)), st.tuples(st.just("b"), st.booleans()),
    st.tuples(st.just("ay"), st.binary()), st.tuples(st.just("d"), st.floats(allow_nan=False)),
    st.tuples(st.just("as"), st.lists(_texts)), st.tuples(st.just("a(ts)"), st.lists(
        st.tuples(st.integers(0, 2**64 - 1), _texts).map(list))),
)


@given(st.dictionaries(_texts, _leaves), st.lists(_leaves))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_is_read(room: ModuleType, options: dict[str, Any], values: list[Any]) -> None:
    body = [
        {key: room.Variant(kind, value) for key, (kind, value) in options.items()},
        [room.Variant("v", room.Variant(kind, value)) for kind, value in values],
    ]
    data = room.library.encode(4, 1, path="/a", interface="a.b", member="C", signature="a{sv}av",
                               body=room.check("a{sv}av", body))
    header, length = room.wire.lengths(data, 0)
    assert header + length == len(data)
    assert room.library.decode("<", "a{sv}av", data[header:], 1_000_000) == body
