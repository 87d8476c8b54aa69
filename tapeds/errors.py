# SPDX-License-Identifier: LGPL-2.1-or-later
"""The error tree.  A class name is the D-Bus error name; its docstring is its manual.

Errors are grouped by remedy: ask differently (`RequestError`), load, unload, wait or ask
somebody (`StateError`), call the operator (`DeviceError`).  Every text names the object and
ends without a full stop.
"""

from __future__ import annotations

from collections.abc import Mapping

Value = bool | int | float | str | bytes | dict[str, object]
Data = Mapping[str, Value]
"""Further facts of an error, by kebab-case key; they become part of a job's ``ResultData``."""


class TapeError(Exception):
    """Everything that tapeds reports to a caller.

    ``data`` holds further facts (for example ``bytes-on-tape``), kebab-case keys.
    """

    def __init__(self, message: str, data: Data | None = None) -> None:
        super().__init__(message)
        self.data: dict[str, Value] = dict(data or {})

    @property
    def name(self) -> str:
        """The last part of the D-Bus error name."""
        return type(self).__name__


class Failed(TapeError):
    """Something failed that has no name of its own."""


class Internal(TapeError):
    """A fault in tapeds itself; the journal has the details."""


# --- ask differently -------------------------------------------------------------------------


class RequestError(TapeError):
    """The request itself is wrong: ask differently."""


class InvalidOption(RequestError):
    """An option is unknown, has the wrong type or an impossible value."""


class InvalidConfig(RequestError):
    """The configuration cannot be used; file, key and remedy are named."""


class InvalidFileDescriptor(RequestError):
    """The descriptor is missing, of the wrong kind or opened for the wrong direction."""


class NotSupported(RequestError):
    """The device cannot do this at all."""


class NoSuchDrive(RequestError):
    """No drive of this name is configured."""


class NoSuchChanger(RequestError):
    """No changer of this name is configured."""


class NoChanger(RequestError):
    """The drive has no changer."""


class NotOwner(RequestError):
    """Only the owner of the session or job may do this."""


class LimitsExceeded(RequestError):
    """The caller holds too many sessions or jobs; release some first (standard D-Bus name)."""


class KeyNotFound(RequestError):
    """No key of this fingerprint is known."""


class JobFinished(RequestError):
    """The job has already ended."""


class AlreadyCancelled(RequestError):
    """The job is already being cancelled."""


class AlreadyAcquired(RequestError):
    """The caller already holds a session on this drive."""


class AccessDenied(RequestError):
    """The caller is not authorized (sent under the standard D-Bus name)."""


class InteractiveAuthorizationRequired(RequestError):
    """Authorization needs a dialogue and the caller did not allow one (standard D-Bus name)."""


# --- load, unload, wait, ask somebody --------------------------------------------------------


class StateError(TapeError):
    """The request is fine, but not now: load, unload or wait."""


class InvalidState(StateError):
    """The drive or tape is in a state in which this cannot be done; the text says what to do first."""


class NotPresent(StateError):
    """The configured device is not there."""


class Busy(StateError):
    """A job is running on the device."""


class Locked(StateError):
    """Somebody else holds the lease or the lock file; the text names uid and pid if known."""


class Timeout(StateError):
    """The time given by the caller ran out."""


class Cancelled(StateError):
    """The job was cancelled."""


class NoMedia(StateError):
    """The drive is empty, or no cartridge of that label is there."""


class EmptyMedia(StateError):
    """The tape holds no label and no data."""


class WrongLabel(StateError):
    """Another tape is in the drive than the caller expects."""


class NotEmpty(StateError):
    """The tape holds files that this would destroy; ``overwrite`` is the remedy."""


class WriteProtected(StateError):
    """The medium or the drive refuses writes."""


class EndOfData(StateError):
    """There is no such file: the tape's data ends before it."""


class EndOfMedia(StateError):
    """The tape is full; ``bytes-on-tape`` says from where to go on, on the next cartridge."""


class UnexpectedFilemark(StateError):
    """A filemark stands where a file should begin."""


class Incomplete(StateError):
    """The transfer ended early; the file on tape is marked incomplete."""


class ClientGone(StateError):
    """The caller went away before the work was done."""


class PositionLost(StateError):
    """The position of the tape is no longer proved; rewind or locate first."""


class BlockTooLarge(StateError):
    """A block on the tape is longer than the drive or the caller's limit allows."""


# --- call the operator -----------------------------------------------------------------------


class DeviceError(TapeError):
    """The device or the medium failed: call the operator."""


class OpenFailed(DeviceError):
    """The device could not be opened."""


class DeviceGone(DeviceError):
    """The device vanished."""


class DeviceFailed(DeviceError):
    """The device reported a failure; ``sense-key``, ``asc`` and ``ascq`` tell which."""


class ReadFailed(DeviceError):
    """Data could not be read back."""


class MediumError(DeviceError):
    """The medium is damaged where it was read or written."""


class MalformedData(DeviceError):
    """The blocks on tape break the rules of the tape format."""


class UnknownFormat(DeviceError):
    """The tape was not written by tapeds or Proxmox Backup."""


class Encryption(DeviceError):
    """A key could not be set, or data could not be decrypted."""


class Io(DeviceError):
    """The operating system reported an input or output error."""


def by_name(name: str) -> type[TapeError]:
    """The class called ``name``; `Failed` for an unknown name."""
    found = globals().get(name)
    if isinstance(found, type) and issubclass(found, TapeError):
        return found
    return Failed


def all_errors() -> dict[str, type[TapeError]]:
    """Every class that may reach a caller, by name; grouping classes are left out."""
    groups = {"TapeError", "RequestError", "StateError", "DeviceError"}
    return {
        name: value
        for name, value in globals().items()
        if isinstance(value, type) and issubclass(value, TapeError) and name not in groups
    }
