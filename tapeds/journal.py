# SPDX-License-Identifier: LGPL-2.1-or-later
"""The log: structured entries in the journal, or plain lines on stderr where there is no journal.

    log = logging.getLogger(__name__)
    log.info("loaded %s", label, extra={Field.DRIVE: name, Field.LABEL: label})

Bytes are never shown, neither in texts nor in fields: they may be a key.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TextIO

from tapeds import errors
from tapeds.names import SYSLOG_IDENTIFIER, Field, MessageId

SOCKET = "/run/systemd/journal/socket"

NOTICE = 25
ALERT = 60
EMERG = 70
LEVELS = {                                   # as syslog names them, in order of priority 0 to 7
    "emerg": EMERG,
    "alert": ALERT,
    "crit": logging.CRITICAL,
    "err": logging.ERROR,
    "warning": logging.WARNING,
    "notice": NOTICE,
    "info": logging.INFO,
    "debug": logging.DEBUG,
}
JOURNAL = "journal"
CONSOLE = "console"
TARGETS = {JOURNAL: JOURNAL, CONSOLE: CONSOLE, "stderr": CONSOLE}

_ABOUT_JOB = (Field.JOB, Field.OPERATION, Field.DRIVE, Field.CHANGER)
_ABOUT_MEDIUM = (Field.JOB, Field.DRIVE, Field.LABEL, Field.MEDIA_UUID)
MESSAGE_FIELDS: dict[str, tuple[str, ...]] = {
    MessageId.JOB_STARTED: (*_ABOUT_JOB, Field.CALLER_UID, Field.CALLER),
    MessageId.JOB_FINISHED: (*_ABOUT_JOB, Field.BYTES, Field.RESULT),
    MessageId.JOB_FAILED: (*_ABOUT_JOB, Field.BYTES, Field.ERROR),
    MessageId.JOB_PROGRESS: (*_ABOUT_JOB, Field.BYTES),
    MessageId.MEDIA_REQUESTED: _ABOUT_MEDIUM,
    MessageId.WRONG_MEDIA: _ABOUT_MEDIUM,
    MessageId.MEDIA_FOUND: _ABOUT_MEDIUM,
    MessageId.DRIVE_PRESENT: (Field.DRIVE, Field.PATH),
    MessageId.DRIVE_ABSENT: (Field.DRIVE, Field.PATH),
    MessageId.LEASE_BROKEN: (Field.DRIVE, Field.CALLER_UID, Field.CALLER),
    MessageId.TAPE_ALERT: (Field.DRIVE,),
    MessageId.CONFIG_ERROR: (),
    MessageId.RECOVERED: (Field.DRIVE,),
}
"""The fields that the catalog's text of each message uses; every entry with that id carries all of them."""

NOT_SAID = "-"
"""Value of a field that an entry must carry and whoever logged did not say."""

Send = Callable[..., Any]

_FIELD = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_OF_RECORDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_PLAIN_VALUE = re.compile(r"[^\s\"'=\x00-\x1f\x7f]+")
_FORMATTER = logging.Formatter()


class Relayed(Protocol):
    """A log record of a worker, as it came over the socket."""

    @property
    def level(self) -> int: ...
    @property
    def message(self) -> str: ...
    @property
    def fields(self) -> Mapping[str, Any]: ...


class Handler(logging.Handler):
    """Sends each record to the target of the moment."""

    def __init__(self, identifier: str, *, stream: TextIO | None = None, send: Send | None = None) -> None:
        """``stream`` takes the lines (by default stderr), ``send`` the entries (by default the journal)."""
        super().__init__()
        self.identifier = identifier
        self.target = CONSOLE
        self._stream = stream
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        """Send ``record``; a mistake in it is told beside it and harms nobody."""
        try:
            text = _text(record)
            fields, wrong = _fields(record)
            self._write(record, text, fields)
            if wrong:
                self._write(record, _complaint(wrong), {})
        except (OSError, ValueError, TypeError, KeyError, IndexError):
            self.handleError(record)

    def use(self, target: str) -> None:
        """Send to ``target`` from now on.  Raises InvalidOption."""
        known = TARGETS.get(target)
        if known is None:
            raise errors.InvalidOption(f"log target {target} is not known; use {', '.join(TARGETS)}")
        if known == JOURNAL and self._send is None:
            if not os.path.exists(SOCKET):
                raise errors.InvalidOption("log target journal: no journal runs on this machine; use console")
            self._send = _journal_send()
        self.target = known

    def _write(self, record: logging.LogRecord, text: str, fields: dict[str, str]) -> None:
        if self.target == JOURNAL and self._send is not None:
            try:
                self._send(
                    text,
                    PRIORITY=str(priority(record.levelno)),
                    SYSLOG_IDENTIFIER=self.identifier,
                    LOGGER=record.name,
                    CODE_FILE=record.pathname,
                    CODE_LINE=record.lineno,
                    CODE_FUNC=record.funcName or "",
                    **fields,
                )
                return
            except OSError:
                pass  # the journal is away: better on stderr than lost
        (self._stream or sys.stderr).write(line(record.levelno, text, fields) + "\n")


def priority(level: int) -> int:
    """The syslog priority, 0 (emerg) to 7 (debug), of a level of `logging`."""
    for number, value in enumerate(LEVELS.values()):
        if level >= value:
            return number
    return len(LEVELS) - 1


def line(level: int, text: str, fields: Mapping[str, str]) -> str:
    """One entry as one line: LEVEL text FIELD=value, without fields that say nothing.

    What would break the line is written as an escape.
    """
    parts = [list(LEVELS)[priority(level)].upper(), _one_line(text)]
    for name, value in fields.items():
        if value in ("", NOT_SAID):
            continue
        shown = value if _PLAIN_VALUE.fullmatch(value) else '"' + _one_line(value).replace('"', '\\"') + '"'
        parts.append(f"{name}={shown}")
    return " ".join(parts)


_handler = Handler(SYSLOG_IDENTIFIER)
_level = "info"


def setup(
    identifier: str = SYSLOG_IDENTIFIER,
    level: str = "info",
    *,
    stream: TextIO | None = None,
    send: Send | None = None,
) -> Handler:
    """Log under ``identifier`` from now on, instead of whatever was set up before; the handler is in place.

    The target is the journal where stderr goes there anyway (as in a unit), else stderr.
    """
    global _handler
    logging.root.removeHandler(_handler)
    _handler = Handler(identifier, stream=stream, send=send)
    logging.root.addHandler(_handler)
    logging.root.setLevel(logging.WARNING)   # of libraries only what an operator should see
    set_level(level)
    set_target(JOURNAL if _in_journal() else CONSOLE)
    return _handler


def level() -> str:
    """The level of the log, as syslog names it."""
    return _level


def set_level(name: str) -> None:
    """Log entries of level ``name`` and graver ones.  Raises InvalidOption."""
    global _level
    if name not in LEVELS:
        raise errors.InvalidOption(f"log level {name} is not known; use {', '.join(LEVELS)}")
    _level = name
    logging.getLogger("tapeds").setLevel(LEVELS[name])
    _handler.setLevel(LEVELS[name])


def target() -> str:
    """Where the log goes: `JOURNAL` or `CONSOLE`."""
    return _handler.target


def set_target(name: str) -> None:
    """Send the log to ``name``, one of `TARGETS`.  Raises InvalidOption."""
    _handler.use(name)


def identifier() -> str:
    """The SYSLOG_IDENTIFIER of all entries."""
    return _handler.identifier


def relay(record: Relayed) -> None:
    """Log what a worker logged, under the logger ``tapeds.worker``."""
    log = logging.getLogger("tapeds.worker")
    if log.isEnabledFor(record.level):
        local = logging.LogRecord(log.name, record.level, "worker", 0, "%s", (record.message,), None)
        vars(local).update({name: value for name, value in record.fields.items() if name not in _OF_RECORDS})
        log.handle(local)


def _in_journal() -> bool:
    """Whether stderr is a stream of the journal.  Ref: systemd.exec(5), $JOURNAL_STREAM."""
    try:
        status = os.fstat(2)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}" and os.path.exists(SOCKET)


def _journal_send() -> Send:
    from systemd import journal  # memory: not where the log goes to stderr

    send: Send = journal.send
    return send


def _text(record: logging.LogRecord) -> str:
    if isinstance(record.args, Mapping):
        arguments: Any = {key: _safe(value) for key, value in record.args.items()}
    else:
        arguments = tuple(_safe(value) for value in record.args or ())
    text = str(record.msg) % arguments if arguments else str(record.msg)
    if record.exc_info:
        text = f"{text}\n{_FORMATTER.formatException(record.exc_info)}"
    return text


def _fields(record: logging.LogRecord) -> tuple[dict[str, str], list[str]]:
    """The fields of ``record``, and the names among its extras that the journal would drop without a word."""
    found: dict[str, str] = {}
    wrong: list[str] = []
    for name, value in vars(record).items():
        if name in _OF_RECORDS:
            continue
        if _FIELD.fullmatch(name):
            found[name] = str(_safe(value))
        else:
            wrong.append(name)
    for name in MESSAGE_FIELDS.get(found.get(Field.MESSAGE_ID, ""), ()):
        found.setdefault(name, NOT_SAID)
    return found, wrong


def _safe(value: Any) -> Any:
    """``value`` without bytes: they may be a key, and a log is read by many."""
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if isinstance(value, Mapping):
        return {key: _safe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return tuple(_safe(item) for item in value)
    return value


def _complaint(names: list[str]) -> str:
    listed = ", ".join(repr(name) for name in names)
    return f"the entry above has fields the journal would drop: {listed}; names are A-Z, 0-9 and _"


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
