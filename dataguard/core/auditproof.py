"""What an audit of a level proves, in words that claim no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.model.audit import AuditLevel

if TYPE_CHECKING:
    from dataguard.model.objects import ObjectPlace

__all__ = ["what_is_proven"]


def what_is_proven(
    level: AuditLevel, *, is_objects: bool, objects: ObjectPlace | None, locks: bool
) -> str:
    """Return in one sentence what an audit of a level shows where it is complete and clean.

    `locks`: whether a policy asks for a lock. That an object is locked does not say that it is
    unchanged, nor the other way round.
    """
    if not is_objects:
        if level is AuditLevel.FULL:
            return "every byte was read and is what was registered"
        return "sizes, times and inodes are those of the registered files; suspects alone were read"
    if level is AuditLevel.LISTING:
        return "the bucket lists each key with its registered size and etag; nothing was read"
    if objects is not None and objects.pinned:
        there = "each pinned version exists and is the newest of its key"
    else:
        there = "each object has its registered size and etag, and no version holds it"
    lock = "the lock that the policy asks for holds it" if locks else "no lock was asked for"
    return f"{there}; {lock}; {_reading(level)}"


def _reading(level: AuditLevel) -> str:
    if level is AuditLevel.CHECKSUMS:
        return "the checksums that the store keeps are the registered ones; nothing was read"
    if level is AuditLevel.FULL:
        return "every byte of it was read and is what was registered"
    return "nothing was read"
