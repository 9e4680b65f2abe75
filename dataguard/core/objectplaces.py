"""Places in object stores: `s3://bucket/prefix`, the keys below `prefix/`."""

from __future__ import annotations

import re

from dataguard.errors import UsageError

__all__ = ["alias_of", "bucket_of", "is_objects", "normal_place", "prefix_of"]

_SCHEME = "s3://"
_OTHER_NAMES = ("s3a://", "s3n://")
_SCHEMES = frozenset({"s3", "s3a", "s3n"})
_BUCKET = r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]"
_HINT = "write s3://bucket/prefix"


def is_objects(place: str) -> bool:
    """Whether a place lies in an object store that dataguard reads."""
    return place.startswith(_SCHEME)


def alias_of(url: str) -> str:
    """Return the `s3://` name of what a URL means where it is in a bucket, else the URL itself.

    Nothing is refused: this is for places that are compared with gold, however they are written.
    """
    scheme, mark, rest = url.partition("://")
    if not mark or scheme.lower() not in _SCHEMES:
        return url
    return _SCHEME + (rest.rstrip("/") or rest)


def normal_place(written: str) -> str:
    """Return the one text of a place in an object store.

    Law: `normal_place(normal_place(p)) == normal_place(p)`. The prefix is kept to the letter: keys
    are no paths, and `..` or `//` in them mean nothing else than themselves.

    Raises:
        UsageError: it is no such place.
    """
    place = written
    for name in _OTHER_NAMES:
        if place.startswith(name):
            place = _SCHEME + place.removeprefix(name)
    if not place.startswith(_SCHEME):
        raise UsageError(f"cannot use {written}: only s3:// of all URLs", hint=_HINT)
    bucket, _, prefix = place.removeprefix(_SCHEME).partition("/")
    if not re.fullmatch(_BUCKET, bucket) or ".." in bucket:
        raise UsageError(f"`{bucket}` is no name of a bucket", hint=_HINT)
    prefix = prefix.removesuffix("/")
    if written.endswith("//"):
        raise UsageError(f"{written} ends in more than one slash", hint=_HINT)
    return f"{_SCHEME}{bucket}/{prefix}" if prefix else f"{_SCHEME}{bucket}"


def bucket_of(place: str) -> str:
    """Return the bucket of a normal place."""
    return place.removeprefix(_SCHEME).partition("/")[0]


def prefix_of(place: str) -> bytes:
    """Return what the keys of a normal place begin with: its prefix and a slash, or nothing."""
    prefix = place.removeprefix(_SCHEME).partition("/")[2]
    return prefix.encode("utf-8", "surrogateescape") + b"/" if prefix else b""
