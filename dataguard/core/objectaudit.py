"""What listings of a bucket, and answers about pinned objects, mean: the DG6xx codes."""

from __future__ import annotations

import binascii
from base64 import b64decode
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from dataguard.core.align import differing
from dataguard.core.columns import numbers
from dataguard.core.kernels import present
from dataguard.core.verdicts import Difference
from dataguard.model.digest import Algorithm
from dataguard.model.finding import Code
from dataguard.model.objects import Versioning

if TYPE_CHECKING:
    from dataguard.core.align import Window
    from dataguard.model.objects import Asked, Held, Pin

__all__ = [
    "Stored",
    "doubtful",
    "extra_object",
    "listed_change",
    "other_content",
    "pin_difference",
    "stored",
    "versioning_difference",
]

_SAME_FUNCTION = {"XXHASH128": Algorithm.XXH3_128, "SHA256": Algorithm.SHA256}
_FULL = "FULL_OBJECT"


class Stored(StrEnum):
    """What a checksum that the server keeps says of what was registered."""

    SAME = "same"
    OTHER = "other"
    UNTOLD = "untold"
    """There is none, or none of a kind that was recorded."""


def doubtful(window: Window, *, versions: bool) -> np.ndarray:
    """Return for each matched pair whether the listing does not show what was pinned.

    With `versions` the version ids count too; a pinned one that is not told is doubtful.
    """
    names = {"size", "etag"} & set(window.left.schema.names)
    found = np.zeros(len(window.left_rows), dtype=bool)
    for name in names:
        found |= differing(window, name)
    if versions and "version_id" in window.left.schema.names:
        found |= differing(window, "version_id")
        pinned = numbers(present(window.left.column("version_id")))[window.left_rows]
        told = numbers(present(window.right.column("version_id")))[window.right_rows]
        found |= pinned & ~told
    return found


def listed_change(path: bytes, pin: Pin, listed: Held | None) -> Difference:
    """Return what a listing alone shows: an object that is gone, or has other content."""
    if listed is None:
        evidence: dict[str, object] = {"size": pin.size, "etag": pin.etag}
        return Difference(Code.DG102, path, "no object has this key any more", evidence)
    message = "the object was overwritten: its size or etag is not what was registered"
    return Difference(Code.DG601, path, message, _between(pin, listed))


def extra_object(path: bytes, listed: Held) -> Difference:
    """Return that an object is there which is not part of the version."""
    evidence: dict[str, object] = {"size": listed.size, "etag": listed.etag}
    if listed.version_id is not None:
        evidence["version_id"] = listed.version_id
    return Difference(Code.DG103, path, "the object is not part of the version", evidence)


def pin_difference(path: bytes, pin: Pin, asked: Asked, *, newest: bool) -> Difference | None:
    """Return what became of a pinned object; None where nothing did.

    `newest` tells whether the newest object of the key was asked for.
    """
    held = asked.pinned
    if held is None:
        return _gone(path, pin, asked)
    if held.size != pin.size or (pin.etag and held.etag and held.etag != pin.etag):
        message = "the object was overwritten: its size or etag is not what was registered"
        return Difference(Code.DG601, path, message, _between(pin, held))
    if not newest or pin.version_id is None:
        return None
    if asked.newest is None:
        message = "a delete marker hides it from whoever names no version; the version is there"
        evidence: dict[str, object] = {"version_id": pin.version_id, "told": asked.marker}
        return Difference(Code.DG602, path, message, evidence)
    if asked.newest.version_id in (None, pin.version_id):
        return None
    message = "a newer version lies over it, and is what everybody reads who names none"
    return Difference(Code.DG601, path, message, _between(pin, asked.newest))


def other_content(path: bytes, pin: Pin, expected: bytes, observed: bytes) -> Difference:
    """Return that what is pinned was read and is something else."""
    evidence: dict[str, object] = {
        "expected_digest": expected.hex(),
        "observed_digest": observed.hex(),
        "version_id": pin.version_id,
        "etag": pin.etag,
    }
    message = "the content differs although version and etag are the registered ones: bit rot"
    return Difference(Code.DG107, path, message, evidence)


def stored(held: Held, known: str | None, digest: bytes, algorithm: Algorithm) -> Stored:
    """Return what the server's checksum of a version says, beside the registered one or digest."""
    kind, _, value = (held.checksum or "").partition(":")
    if not value:
        return Stored.UNTOLD
    if known is not None and known.partition(":")[0] == kind:
        return Stored.SAME if known == held.checksum else Stored.OTHER
    if _SAME_FUNCTION.get(kind) is not algorithm or held.checksum_type != _FULL:
        return Stored.UNTOLD
    try:
        return Stored.SAME if b64decode(value, validate=True) == digest else Stored.OTHER
    except binascii.Error:
        return Stored.OTHER


def versioning_difference(versioning: Versioning, *, pinned: bool) -> Difference | None:
    """Return that a bucket keeps no versions any more, on which the pins of a place rely."""
    if not pinned or versioning in (Versioning.ENABLED, Versioning.UNKNOWN):
        return None
    words = "suspended" if versioning is Versioning.SUSPENDED else "off"
    message = f"versioning of the bucket is {words}: what is overwritten now is lost"
    return Difference(Code.DG604, b"", message, {"versioning": str(versioning)})


def _gone(path: bytes, pin: Pin, asked: Asked) -> Difference:
    if not pin.is_versioned and asked.newest is None:
        return listed_change(path, pin, None)
    evidence: dict[str, object] = {"version_id": pin.version_id, "size": pin.size, "etag": pin.etag}
    over = asked.newest
    if over is None:
        return Difference(Code.DG603, path, "the pinned version was deleted for good", evidence)
    same = (over.size, over.etag) == (pin.size, pin.etag)
    evidence |= _between(pin, over)
    message = "the pinned version was deleted for good; another one has the key"
    message += ", of the same size and etag" if same else ""
    return Difference(Code.DG603, path, message, evidence)


def _between(pin: Pin, held: Held) -> dict[str, object]:
    evidence: dict[str, object] = {
        "expected_size": pin.size,
        "observed_size": held.size,
        "expected_etag": pin.etag,
        "observed_etag": held.etag,
    }
    if pin.version_id is not None:
        evidence["expected_version_id"] = pin.version_id
    if held.version_id is not None:
        evidence["observed_version_id"] = held.version_id
    if held.last_modified is not None:
        evidence["observed_last_modified"] = held.last_modified.isoformat()
    return evidence
