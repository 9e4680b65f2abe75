"""What it means that an object is not as it was pinned: created, overwritten, deleted, or gone."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum

from dataguard.core.chain import format_time
from dataguard.core.verdicts import Difference
from dataguard.model.dataclass import dataclass
from dataguard.model.finding import Code

__all__ = ["ObjectChange", "Seen", "VersionRow", "verdict"]

_UNVERSIONED = (None, "null")
"""Versions that are overwritten in place."""


class ObjectChange(StrEnum):
    """What was done to a key."""

    CREATED = "created"
    OVERWRITTEN = "overwritten"
    DELETED = "deleted"
    VERSION_GONE = "version_gone"


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One version of a key, or a delete marker; `modified_ms` since 1970, None where not told."""

    version_id: str | None
    etag: str | None
    size: int | None
    modified_ms: int | None
    is_marker: bool = False

    @property
    def is_fixed(self) -> bool:
        """Whether this is a version that nobody can overwrite."""
        return self.version_id not in _UNVERSIONED


@dataclass(frozen=True, slots=True)
class Seen:
    """What stands at a key now; `kept`: whether the pinned version is there, None: not known."""

    newest: VersionRow
    kept: bool | None


def verdict(path: bytes, pinned: VersionRow | None, seen: Seen | None) -> Difference | None:
    """Return what differs at a key, as a write; None where nothing does.

    `pinned` is None for a key that is not part of the version, `seen` where no version is left.
    """
    newest = None if seen is None else seen.newest
    if pinned is None:
        return None if newest is None or newest.is_marker else _created(path, newest)
    kept = None if seen is None else seen.kept
    if newest is not None and _is_same(pinned, newest):
        return None
    if newest is None or (pinned.is_fixed and kept is False):
        return _gone(path, pinned, newest)
    if newest.is_marker:
        return _deleted(path, pinned, newest, kept=kept)
    return _overwritten(path, pinned, newest, kept=kept)


def _is_same(pinned: VersionRow, newest: VersionRow) -> bool:
    if newest.is_marker:
        return False
    if newest.is_fixed:
        return pinned.version_id == newest.version_id
    if pinned.is_fixed and newest.version_id is not None:
        return False
    looks = pinned.size == newest.size and pinned.etag == newest.etag
    return looks and _second(pinned) == _second(newest)


def _second(one: VersionRow) -> int | None:
    """Return the time of a change as every reply tells it."""
    return None if one.modified_ms is None else one.modified_ms // 1000


def _created(path: bytes, newest: VersionRow) -> Difference:
    evidence = _evidence(ObjectChange.CREATED, Code.DG103, None, newest)
    return Difference(Code.DG301, path, "the object is not part of the version", evidence)


def _overwritten(
    path: bytes, pinned: VersionRow, newest: VersionRow, *, kept: bool | None
) -> Difference:
    code = Code.DG601 if pinned.is_fixed else Code.DG101
    evidence = _evidence(ObjectChange.OVERWRITTEN, code, pinned, newest, kept=kept)
    same = pinned.etag is not None and pinned.etag == newest.etag and pinned.size == newest.size
    evidence["same_etag"] = same
    message = "the object was overwritten"
    if same:
        message += ", with the same etag"
    elif not pinned.is_fixed:
        message += ", and no version of it was pinned"
    return Difference(Code.DG301, path, message + _kept_words(pinned, kept), evidence)


def _deleted(
    path: bytes, pinned: VersionRow, newest: VersionRow, *, kept: bool | None
) -> Difference:
    evidence = _evidence(ObjectChange.DELETED, Code.DG602, pinned, newest, kept=kept)
    message = "a delete marker hides the object" + _kept_words(pinned, kept)
    return Difference(Code.DG301, path, message, evidence)


def _gone(path: bytes, pinned: VersionRow, newest: VersionRow | None) -> Difference:
    if pinned.is_fixed:
        change, code = ObjectChange.VERSION_GONE, Code.DG603
        message = "the pinned version of the object is gone"
    else:
        change, code = ObjectChange.DELETED, Code.DG102
        message = "the object is gone"
    evidence = _evidence(change, code, pinned, newest, kept=False)
    return Difference(Code.DG301, path, message, evidence)


def _kept_words(pinned: VersionRow, kept: bool | None) -> str:
    if kept and pinned.is_fixed:
        return "; the pinned version is kept"
    return ""


def _evidence(
    change: ObjectChange,
    code: Code,
    pinned: VersionRow | None,
    newest: VersionRow | None,
    *,
    kept: bool | None = None,
) -> dict[str, object]:
    evidence: dict[str, object] = {"change": str(change), "finding": code.name}
    if pinned is not None:
        evidence |= _facts("expected", pinned)
        evidence["pinned_version_kept"] = "unknown" if kept is None else kept
    if newest is not None:
        evidence |= _facts("observed", newest)
        if newest.is_marker:
            evidence["delete_marker"] = True
    return evidence


def _facts(which: str, one: VersionRow) -> dict[str, object]:
    found: dict[str, object | None] = {
        f"{which}_version": one.version_id,
        f"{which}_etag": one.etag,
        f"{which}_size": one.size,
    }
    if one.modified_ms is not None:
        moment = datetime.fromtimestamp(one.modified_ms / 1000, UTC)
        found[f"{which}_modified"] = format_time(moment)
    return {name: value for name, value in found.items() if value is not None}
