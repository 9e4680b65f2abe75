"""Every deliberate error of dataguard: one class for each reaction of the caller.

```
DataguardError                 1  internal
├── UsageError                 2  usage
│   └── ConfigurationError     2  configuration
│       └── PolicyError        2  policy
├── NotFoundError             10  not_found
├── ConflictError             11  conflict
├── StoreUnreachableError     12  store_unreachable
│   ├── DeniedError           12  denied
│   └── NoRoomError           12  no_room
├── WrongBytesError            3  wrong_bytes
├── CatalogDamagedError       13  catalog_damaged
├── NotStartedError          125  not_started
└── InterruptError           130  interrupted (143 for SIGTERM)
```

Findings are values, not errors: what is wrong with the data is a result of the command.
"""

from __future__ import annotations

__all__ = [
    "CatalogDamagedError",
    "ConfigurationError",
    "ConflictError",
    "DataguardError",
    "DeniedError",
    "InterruptError",
    "NoRoomError",
    "NotFoundError",
    "NotStartedError",
    "PolicyError",
    "StoreUnreachableError",
    "UsageError",
    "WrongBytesError",
]


class DataguardError(Exception):
    """dataguard could not do its work.

    Attributes:
        message: what happened, to what; lower case, no full stop.
        hint: what to do about it, with a command that can be pasted, or None.
    """

    code = "internal"
    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(DataguardError):
    """The command line asks for something that cannot be done."""

    code = "usage"
    exit_code = 2


class ConfigurationError(UsageError):
    """A configuration or workspace file cannot be read or makes no sense."""

    code = "configuration"


class PolicyError(ConfigurationError):
    """A policy is unreadable, invalid, or forbids what was asked."""

    code = "policy"


class NotFoundError(DataguardError):
    """A dataset, version, workspace, run, finding or location does not exist."""

    code = "not_found"
    exit_code = 10


class ConflictError(DataguardError):
    """The state of the catalog, a workspace or a mount point does not allow this now."""

    code = "conflict"
    exit_code = 11


class StoreUnreachableError(DataguardError):
    """The place where bytes or records are kept does not answer."""

    code = "store_unreachable"
    exit_code = 12


class DeniedError(StoreUnreachableError):
    """The store answers, and does not let these credentials do it."""

    code = "denied"


class NoRoomError(StoreUnreachableError):
    """There is no room for what is to be kept, and nothing that may go to make some."""

    code = "no_room"


class WrongBytesError(DataguardError):
    """A source gave other bytes than those of the version; nothing of them was kept or served."""

    code = "wrong_bytes"
    exit_code = 3


class CatalogDamagedError(DataguardError):
    """The catalog or a manifest is damaged, or written by a newer dataguard."""

    code = "catalog_damaged"
    exit_code = 13


class NotStartedError(DataguardError):
    """`run` did not start the job."""

    code = "not_started"
    exit_code = 125


class InterruptError(DataguardError):
    """A signal ended the command; clean-up has run."""

    code = "interrupted"

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"interrupted by signal {signal_number}")
        self.signal_number = signal_number
        self.exit_code = 128 + signal_number

    def __reduce__(self) -> tuple[type[InterruptError], tuple[int]]:
        """Come out of a worker process as it is: the message alone does not make it again."""
        return type(self), (self.signal_number,)
