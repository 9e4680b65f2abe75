"""What the replies of an object store mean: what is held, and refusals as errors."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from dataguard.errors import (
    ConflictError,
    DataguardError,
    DeniedError,
    NotFoundError,
    StoreUnreachableError,
)
from dataguard.model.dataclass import dataclass
from dataguard.model.objects import Held, Versioning

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ArchivedError",
    "Written",
    "checksum_of",
    "etag_of",
    "failure",
    "held_of",
    "text_of",
    "versioning_of",
]

_CHECKSUM = "x-amz-checksum-"
_NO_CHECKSUMS = frozenset({"x-amz-checksum-type", "x-amz-checksum-mode"})
_PREFERRED = ("xxhash128", "sha512", "sha256", "md5", "xxhash3", "xxhash64", "crc64nvme", "sha1")
"""The checksum that is kept where an object has several: what says most first."""

_CREDENTIALS = frozenset(
    {"ExpiredToken", "InvalidToken", "InvalidAccessKeyId", "TokenRefreshRequired"}
)
_SKEWED = frozenset({"RequestTimeTooSkewed", "RequestExpired"})
_ARCHIVED = "InvalidObjectState"
_GONE = frozenset({"NoSuchKey", "NoSuchVersion", "NoSuchBucket", "NoSuchUpload"})


class ArchivedError(ConflictError):
    """The object has to be brought back from an archive before it can be read."""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a PUT."""

    version_id: str | None
    etag: str | None


def held_of(headers: Mapping[str, str]) -> Held:
    """Return what the headers of a reply to HEAD say."""
    checksum, kind = checksum_of(headers)
    until = headers.get("x-amz-object-lock-retain-until-date")
    return Held(
        version_id=headers.get("x-amz-version-id"),
        etag=etag_of(headers),
        size=int(headers.get("content-length", "0")),
        last_modified=_moment(headers.get("last-modified")),
        checksum=checksum,
        checksum_type=kind,
        lock_mode=headers.get("x-amz-object-lock-mode", "").lower(),
        retain_until=None if until is None else _iso(until),
        legal_hold=headers.get("x-amz-object-lock-legal-hold") == "ON",
    )


def etag_of(headers: Mapping[str, str]) -> str | None:
    """Return the etag without its quotes; None where there is none."""
    return headers.get("etag", "").strip('"') or None


def checksum_of(headers: Mapping[str, str]) -> tuple[str | None, str | None]:
    """Return the stored checksum as `ALGORITHM:base64` and its type; None where there is none."""
    found = {
        name.removeprefix(_CHECKSUM): value
        for name, value in headers.items()
        if name.startswith(_CHECKSUM) and name not in _NO_CHECKSUMS
    }
    if not found:
        return None, None
    name = next((one for one in _PREFERRED if one in found), min(found))
    value = found[name]
    # A digest of digests of parts says how many there were: `...==-12`.
    told = "COMPOSITE" if re.search(r"-\d+$", value) else None
    return f"{name.upper()}:{value}", headers.get("x-amz-checksum-type", told)


def failure(status: int, body: bytes, named: str) -> DataguardError:
    """Return the error that a refusal means; `named` is what was asked for."""
    code = text_of(body, "Code") or ""
    said = text_of(body, "Message") or code or f"status {status}"
    if code == _ARCHIVED:
        return ArchivedError(f"{named} is archived", hint="restore it to be read, then try again")
    if code in _SKEWED:
        clocks = "this host's clock and the server's differ: timedatectl"
        return DeniedError(f"denied: {named} ({said})", hint=clocks)
    if code in _CREDENTIALS or status in (401, 403):
        return DeniedError(
            f"denied: {named} ({said})",
            hint="check the credentials and the policies: aws sts get-caller-identity",
        )
    if status in (404, 405) or code in _GONE:
        return NotFoundError(f"no object {named}" if code != "NoSuchBucket" else f"no {named}")
    if status in (409, 412):
        return ConflictError(f"{named} is not as expected ({said})")
    return StoreUnreachableError(f"{named}: the server answers {status} ({said})")


def versioning_of(body: bytes) -> Versioning:
    """Return what the versioning configuration of a bucket says."""
    status = text_of(body, "Status")
    return Versioning(status.lower()) if status in ("Enabled", "Suspended") else Versioning.OFF


def text_of(body: bytes, name: str) -> str | None:
    """Return the text of an element of a short document; None where there is none."""
    found = re.search(rf"<{name}>([^<]*)</{name}>".encode(), body)
    return None if found is None else found[1].decode("utf-8", "replace").strip()


def _moment(text: str | None) -> datetime | None:
    try:
        return None if text is None else parsedate_to_datetime(text).astimezone(UTC)
    except ValueError:
        return None


def _iso(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
