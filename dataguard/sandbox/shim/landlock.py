"""Landlock: from here on this process and its children write only beneath what is granted.

Rules only ever allow, and hold for a directory with all that lies below it. Only rights to write
are handled; reading, and ioctl on devices (GPUs need it), stay as they are. Chmod, chown, times
and extended attributes are no rights of Landlock: against those the read-only mounts stand. See
landlock(7).
"""

from __future__ import annotations

import errno

from dataguard.sandbox.shim import writable
from dataguard.sandbox.shim.ruleset import Ruleset

__all__ = ["explain", "restrict"]

_ABSENT = {
    errno.ENOSYS: "this kernel has no Landlock (Linux 5.13 or newer)",
    errno.EOPNOTSUPP: "Landlock is not switched on (lsm=... at boot)",
    errno.E2BIG: "16 layers of Landlock are in use already: too many runs within runs",
}


def restrict(
    mode: bytes, marks: list[list[bytes]], places: list[bytes], routed: list[bytes]
) -> str:
    """Confine this process; returns what holds now, in words.

    `protect` leaves all writable but gold, `strict` nothing but `places`. The overlays over what is
    `routed` are writable in both; a rule for one holds in no other file system.

    Raises:
        OSError: Landlock cannot be had; `explain` has words for it.
    """
    rules = Ruleset()
    said = writable.grant_only(rules, places, marks)
    if mode == b"protect":
        said = writable.grant_all_but(rules, marks)
    writable.grant_overlays(rules, routed)
    return f"{said}; {rules.enforce()}"


def explain(err: OSError) -> str:
    """Return why Landlock cannot be had, in words."""
    return _ABSENT.get(err.errno or 0, f"Landlock is refused: {err.strerror}")
