# SPDX-License-Identifier: LGPL-2.1-or-later
"""Finding a bus and saying who we are.

Ref: D-Bus Specification, "Authentication Protocol" and "Server Addresses"
"""

from __future__ import annotations

import asyncio
import os
import re
import socket

from tapeds.buslib.calls import CallError, Error

SYSTEM_BUS = "unix:path=/var/run/dbus/system_bus_socket"
_LONGEST_LINE = 16 * 1024


def system_address() -> str:
    """Where the system bus is, or what ``DBUS_SYSTEM_BUS_ADDRESS`` puts in its place."""
    return os.environ.get("DBUS_SYSTEM_BUS_ADDRESS") or SYSTEM_BUS


def socket_names(address: str) -> list[str]:
    """The names of the sockets in ``address``, in the order in which they are to be tried.

    Raises CallError NoServer when it names none.
    """
    names = []
    for one in address.split(";"):
        transport, _, options = one.partition(":")
        if transport != "unix":
            continue
        values = dict(option.partition("=")[::2] for option in options.split(","))
        if "path" in values:
            names.append(_unescape(values["path"]))
        elif "abstract" in values:
            names.append("\0" + _unescape(values["abstract"]))
    if not names:
        raise CallError(Error.NO_SERVER, f"{address!r} names no Unix socket of a bus")
    return names


def _unescape(value: str) -> str:
    plain = re.sub(rb"%([0-9A-Fa-f]{2})", lambda code: bytes.fromhex(code[1].decode()), value.encode())
    return os.fsdecode(plain)


async def connect(address: str) -> socket.socket:
    """A socket that is connected to ``address`` and authenticated.  Raises CallError NoServer, AuthFailed."""
    loop = asyncio.get_running_loop()
    failure: OSError | None = None
    for name in socket_names(address):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            await loop.sock_connect(sock, name)
            await _authenticate(sock)
        except OSError as exc:
            sock.close()
            failure = exc
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise CallError(Error.NO_SERVER, f"no bus answers at {address}: {failure}") from failure


async def _authenticate(sock: socket.socket) -> None:
    uid = str(os.geteuid()).encode().hex()
    await _ask(sock, f"\0AUTH EXTERNAL {uid}", "OK")
    await _ask(sock, "NEGOTIATE_UNIX_FD", "AGREE_UNIX_FD")
    await asyncio.get_running_loop().sock_sendall(sock, b"BEGIN\r\n")


async def _ask(sock: socket.socket, line: str, wanted: str) -> None:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, line.encode() + b"\r\n")
    answer = b""
    while not answer.endswith(b"\r\n"):                # nothing follows a line before we say BEGIN
        data = await loop.sock_recv(sock, 1024)
        answer += data
        if not data or len(answer) > _LONGEST_LINE:
            raise CallError(Error.AUTH_FAILED, f"the bus ended the conversation at {line.split()[0]!r}")
    if answer.split()[0].decode("ascii", "replace") != wanted:
        raise CallError(Error.AUTH_FAILED, f"the bus answered {answer.decode('ascii', 'replace').strip()!r}")
