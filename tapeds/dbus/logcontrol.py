# SPDX-License-Identifier: LGPL-2.1-or-later
"""``org.freedesktop.LogControl1``, for ``systemctl service-log-level``.

Ref: org.freedesktop.LogControl1(5).
"""

from __future__ import annotations

from collections.abc import Mapping

from tapeds import journal, names
from tapeds.dbus.face import Face, Getter, Setter


class LogControlFace(Face):
    interface = names.LOG_CONTROL

    def __init__(self) -> None:
        super().__init__(names.LOG_CONTROL_PATH)

    def properties(self) -> Mapping[str, Getter]:
        return {
            "LogLevel": journal.level,
            "LogTarget": journal.target,
            "SyslogIdentifier": lambda: names.SYSLOG_IDENTIFIER,
        }

    def setters(self) -> Mapping[str, Setter]:
        return {"LogLevel": journal.set_level, "LogTarget": journal.set_target}
