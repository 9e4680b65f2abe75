"""What must hold of a copy and its original at the moment in which something is done about it."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass
from dataguard.model.reclaim import Reason
from dataguard.stores.hashing import new_hash
from dataguard.stores.openfile import forget, is_cold
from dataguard.stores.reclaimlook import state_of
from dataguard.stores.soleuse import Use, take_sole

if TYPE_CHECKING:
    from dataguard.model.digest import Algorithm
    from dataguard.model.reclaim import ReclaimStep

__all__ = [
    "Gold",
    "LeftAloneError",
    "check_digest",
    "check_equal",
    "check_ours",
    "check_untouched",
    "refuse_digest",
]

_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Gold:
    """What the version says of the original: the digest of its manifest.

    It is `trusted` where its baseline vouches for it; else its bytes are read before blocks are
    shared.
    """

    algorithm: Algorithm
    digest: bytes
    trusted: bool


class LeftAloneError(Exception):
    """A file is left as it is; converted to a value before anybody else sees it."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def check_ours(step: ReclaimStep, copy: int) -> None:
    """Take a file for ourselves, and make sure that it is what the plan was made for.

    Raises:
        LeftAloneError: somebody has it open, or it was touched since.
    """
    use = take_sole(copy)
    if use is not Use.SOLE:
        raise LeftAloneError(Reason.IN_USE if use is Use.SHARED else Reason.UNKNOWN_USE)
    check_untouched(step, copy)


def check_untouched(step: ReclaimStep, copy: int) -> None:
    """Make sure that a file is what the plan was made for: its mode, names and attributes too.

    Raises:
        LeftAloneError: it was touched since.
    """
    now = state_of(os.fstat(copy))
    before = step.state
    facts = (now.device, now.inode, now.size, now.mtime_ns, now.ctime_ns)
    if facts != (before.device, before.inode, before.size, before.mtime_ns, before.ctime_ns):
        raise LeftAloneError(Reason.CHANGED)


def check_equal(copy: int, target: bytes, gold: Gold) -> None:
    """Make sure that a file and what a link will show are equal, and what the version has.

    Raises:
        LeftAloneError: they are not.
        OSError: one cannot be read.
    """
    descriptor = _regular(target)
    try:
        digest, at = new_hash(gold.algorithm)(), 0
        cold = is_cold(descriptor)
        while True:
            mine, theirs = os.pread(copy, _PIECE, at), os.pread(descriptor, _PIECE, at)
            if mine != theirs:
                raise LeftAloneError(Reason.DIFFERENT)
            if not mine:
                break
            digest.update(memoryview(mine))
            at += len(mine)
        if cold:
            forget(descriptor)
        refuse_digest(digest.digest(), gold.digest)
    finally:
        os.close(descriptor)


def _regular(path: bytes) -> int:
    """Open a regular file; what else may be there by now is looked at, and not opened."""
    found = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(found).st_mode):
            raise LeftAloneError(Reason.UNVERIFIED, "it is no regular file")
        return os.open(b"/proc/self/fd/%d" % found, os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(found)


def check_digest(original: int, gold: Gold) -> None:
    """Make sure that an original has the bytes of the version.

    Raises:
        LeftAloneError: it has not.
        OSError: it cannot be read.
    """
    digest, at = new_hash(gold.algorithm)(), 0
    cold = is_cold(original)
    while piece := os.pread(original, _PIECE, at):
        digest.update(memoryview(piece))
        at += len(piece)
    if cold:
        forget(original)
    refuse_digest(digest.digest(), gold.digest)


def refuse_digest(found: bytes, wanted: bytes) -> None:
    """Refuse bytes with another digest than the version's.

    Raises:
        LeftAloneError: it is another.
    """
    if found != wanted:
        raise LeftAloneError(Reason.UNVERIFIED, "its bytes are not those of the version")
