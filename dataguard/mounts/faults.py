"""The file in which a server of a mount notes what it could not give: one JSON object a line."""

from __future__ import annotations

import json
import os
from base64 import b64decode
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dataguard.core.paths import json_fields
from dataguard.errors import DataguardError
from dataguard.model.fault import Fault, FaultKind

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FAULT_LIMIT", "note_fault", "read_faults"]

FAULT_LIMIT = 10_000
"""Faults that one server notes; a bucket that went must not fill the disk."""


def note_fault(descriptor: int, fault: Fault) -> None:
    """Append a fault to an open file.

    Raises:
        OSError: it cannot be written.
    """
    fields = {
        "time": fault.time.isoformat(),
        "kind": fault.kind.value,
        **json_fields(fault.path),
        "detail": fault.detail,
    }
    os.write(descriptor, json.dumps(fields).encode() + b"\n")


def read_faults(path: str) -> tuple[Fault, ...]:
    """Return the faults in a file, oldest first; none where there is no file.

    Raises:
        DataguardError: it cannot be read, or is no such file.
    """
    try:
        with open(path, encoding="utf-8") as stream:
            return tuple(_faults(stream))
    except FileNotFoundError:
        return ()
    except OSError as err:
        raise DataguardError(f"cannot read {path}: {err.strerror}") from err
    except (ValueError, KeyError, TypeError) as err:
        raise DataguardError(f"cannot understand {path}: {err}", hint=f"rm {path}") from err


def _faults(lines: Iterator[str]) -> Iterator[Fault]:
    for line in lines:
        fields: dict[str, Any] = json.loads(line)
        raw = fields.get("path_b64")
        yield Fault(
            FaultKind(fields["kind"]),
            fields["path"].encode() if raw is None else b64decode(raw),
            fields["detail"],
            datetime.fromisoformat(fields["time"]),
        )
