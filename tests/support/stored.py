# SPDX-License-Identifier: LGPL-2.1-or-later
"""Starts a program as systemd does: with the descriptors that its store holds, from 3 on, and their names.

python stored.py SOCKET COMMAND...: whoever listens on the socket gives names and descriptors.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sys

_FIRST = 3                                # SD_LISTEN_FDS_START
_MOST = 64


def _begin(where: str, command: list[str]) -> None:
    """Become ``command``, with the descriptors of the store as descriptors 3, 4, …."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.connect(where)
        data, fds, _, _ = socket.recv_fds(sock, 65536, _MOST)
    names = json.loads(data)
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100) for fd in fds]
    for fd in fds:
        os.close(fd)                      # recv_fds leaves them inheritable
    for number, fd in enumerate(high):
        os.dup2(fd, _FIRST + number)
    if names:
        os.environ.update(
            LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(names)), LISTEN_FDNAMES=":".join(names)
        )
    os.execvp(command[0], command)


if __name__ == "__main__":
    _begin(sys.argv[1], sys.argv[2:])
