r"""Outputs in object stores: which places can be told from gold, and what else they are called.

A key is only as literal as the server takes it: some walk directories, so `a//b`, `a/../b` and
`a\b` may be other keys than they seem. And a bucket has more names than one. What cannot be told
from gold by its name is no place for outputs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dataguard.core.objectplaces import bucket_of, is_objects, normal_place
from dataguard.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["all_names", "bucket_in_host", "output_place", "run_place"]

_ALIAS = re.compile(r".*(-s3alias|--ol-s3|--op-s3|-opl-s3|\.mrap)", re.IGNORECASE)
_AWS_HOST = re.compile(r"(?P<bucket>.+)\.s3[.-].*amazonaws\.com(\.cn)?")
_TRICKS = ("%2f", "%2e", "%5c", "%25", "\\")
_HINT = "write s3://bucket/prefix, with the name of the bucket itself"


def output_place(written: str) -> str:
    """Return the one text of a place for outputs in an object store.

    Law: `output_place(output_place(p)) == output_place(p)`.

    Raises:
        UsageError: it is none, or its name may mean another place than it says.
    """
    if written.lower().startswith("arn:") or "://arn:" in written.lower():
        raise UsageError(f"cannot tell which bucket {written} is", hint=_HINT)
    place = normal_place(written)
    bucket, prefix = bucket_of(place), place.removeprefix(f"s3://{bucket_of(place)}")
    if _ALIAS.fullmatch(bucket):
        raise UsageError(
            f"cannot tell which bucket `{bucket}` is: it is the alias of an access point",
            hint=_HINT,
        )
    reason = _why_ambiguous(prefix)
    if reason:
        raise UsageError(f"cannot tell which keys {written} means: {reason}", hint=_HINT)
    return place


def run_place(place: str, run_id: str) -> str:
    """Return where the objects of a run are."""
    return f"{place}/runs/{run_id}"


def all_names(place: str) -> tuple[str, ...]:
    """Return what a place in an object store is called, too many names rather than too few.

    Endpoints are not part of a name: the same bucket answers at several, so buckets of one name are
    taken for one bucket. Hosts have no case, so neither have buckets here.
    """
    if not is_objects(place):
        try:
            place = normal_place(place)
        except UsageError:
            return (place,)
    bucket = bucket_of(place)
    rest = place.removeprefix(f"s3://{bucket}")
    return tuple(dict.fromkeys((place, f"s3://{bucket.lower()}{rest}")))


def bucket_in_host(endpoint: str, buckets: Iterable[str]) -> str | None:
    """Return the bucket that an endpoint names by its host, or None.

    Requests go there, whatever bucket their paths say. `buckets` are those that are known; hosts of
    AWS are known by their form.
    """
    host = (urlsplit(endpoint).hostname or "").lower()
    aws = _AWS_HOST.fullmatch(host)
    if aws is not None and not aws["bucket"].startswith(("dualstack", "bucket.vpce-")):
        return aws["bucket"]
    return next((one for one in buckets if host.startswith(f"{one.lower()}.")), None)


def _why_ambiguous(prefix: str) -> str:
    """Return why servers may differ on what a prefix is, its first slash included; or nothing."""
    parts = prefix.split("/")[1:]
    if any(part in ("", ".", "..") for part in parts):
        return "a part is empty, `.` or `..`"
    if any(trick in prefix.lower() for trick in _TRICKS):
        return "it has a backslash or an encoded character"
    if not prefix.isprintable():
        return "it has characters that cannot be printed"
    return ""
