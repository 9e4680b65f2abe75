"""The mounts of this process, read from `/proc/self/mountinfo`."""

from __future__ import annotations

from dataguard.core.mounttable import MountTable, parse
from dataguard.errors import DataguardError

__all__ = ["MountTable", "mount_id_of", "parse", "read"]

_TABLE = "/proc/self/mountinfo"


def read() -> MountTable:
    """Return the mounts of this process now.

    Raises:
        DataguardError: proc is not mounted or has another form.
    """
    try:
        with open(_TABLE, "rb") as stream:
            return parse(stream.read())
    except OSError as err:
        raise DataguardError(
            f"cannot read {_TABLE}: {err.strerror}", hint="mount proc: mount -t proc proc /proc"
        ) from err


def mount_id_of(descriptor: int) -> int:
    """Return the id of the mount through which a file was opened.

    Raises:
        DataguardError: proc does not say.
    """
    place = f"/proc/self/fdinfo/{descriptor}"
    try:
        with open(place, "rb") as stream:
            fields = dict(line.split(b":", 1) for line in stream if b":" in line)
        return int(fields[b"mnt_id"])
    except (OSError, KeyError, ValueError) as err:
        raise DataguardError(f"cannot read the mount id from {place}: {err}") from err
