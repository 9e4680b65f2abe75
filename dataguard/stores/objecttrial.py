"""What the server of a bucket does with writes, tried out below a scratch prefix.

Looking does not show whether a condition is honoured, a wrong checksum refused or a key kept as it
is: older servers answer 200 and do something else. So this writes a few small objects, and removes
every version of them again. It is for places that are there to be written, never for gold.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import xxhash

from dataguard.errors import ConflictError, DataguardError, NotFoundError, StoreUnreachableError
from dataguard.model.objects import Versioning
from dataguard.stores.objectlisting import parse_page, rows_of, tail_of
from dataguard.stores.objectrequest import Request

if TYPE_CHECKING:
    from dataguard.model.objects import Capabilities
    from dataguard.stores.objectclient import ObjectClient
    from dataguard.stores.objectreplies import Written

__all__ = ["try_out"]

_OK = range(200, 300)
_BODY = b"dataguard tries out what this server does\n"
_PAGE = "2"

# In bytewise order. A server that walks directories lists d/a first, and in pages loses one.
_BESIDE = (b"d-1", b"d.x", b"d/a", b"d/b", b"d0")


class _Sum(NamedTuple):
    """A checksum algorithm with what it gives for the body that is written."""

    name: str
    value: bytes


_SUMS = (
    _Sum("SHA256", hashlib.sha256(_BODY).digest()),
    _Sum("XXHASH128", xxhash.xxh3_128(_BODY).digest()),
)


def try_out(
    client: ObjectClient, scratch: bytes, found: Capabilities, *, token: str
) -> Capabilities:
    """Return what was found by looking, completed by what writing shows.

    Objects are written below `scratch` under names with `token`, which nobody else uses; all are
    gone afterwards. Where versions cannot be removed, as in buckets whose default is to retain
    them, nothing is tried, and nothing is known more than before.

    Raises:
        DeniedError: these credentials may not write there, or not remove what they wrote.
        NotFoundError: there is no such bucket.
        StoreUnreachableError: the server does not answer.
    """
    lock = client.lock() if found.lock is not False else None
    if lock is not None and "<DefaultRetention>" in lock:
        return found
    below = b"%b.dataguard-probe-%b/" % (scratch, token.encode())
    trial = _Trial(client, below, unnamed=None if found.versioning is Versioning.OFF else "null")
    try:
        return trial.outcome(found)
    finally:
        trial.clean()


class _Trial:
    """The objects of one trial, each removed at its end."""

    def __init__(self, client: ObjectClient, below: bytes, *, unnamed: str | None) -> None:
        """Write nothing yet; `unnamed` is the version of what was written without one."""
        self._client = client
        self._below = below
        self._unnamed = unnamed  # where versioning is suspended, a plain delete leaves a marker
        self._written: list[tuple[bytes, str | None]] = []

    def outcome(self, found: Capabilities) -> Capabilities:
        """Try one thing after the other."""
        first = self._put(b"condition")
        versioned = first.version_id not in (None, "null")
        if versioned and found.versioning is Versioning.UNKNOWN:
            found = replace(found, versioning=Versioning.ENABLED)
        kept = tuple(one.name for one in _SUMS if self._keeps(one))
        return replace(
            found,
            conditional_writes=self._is_conditional(),
            checksums=tuple(dict.fromkeys((*found.checksums, *kept))),
            verifies_checksums=self._verifies(_SUMS[0]),
            attributes=self._has_attributes(),
            literal_keys=self._is_literal(),
            ordered=self._is_ordered(versions=versioned),
        )

    def clean(self) -> None:
        """Remove what was written, each version of it; a failure is one only after all were tried.

        Raises:
            DeniedError: something may not be removed.
        """
        failed: list[DataguardError] = []
        for key, version in reversed(self._written):
            try:
                self._client.delete(key, version or self._unnamed)
            except NotFoundError:
                continue
            except DataguardError as err:
                failed.append(err)
        if failed:
            raise failed[0]

    def _put(self, name: bytes, *, only_new: bool = False) -> Written:
        key = self._below + name
        written = self._client.put(key, _BODY, only_new=only_new)
        self._written.append((key, written.version_id))
        return written

    def _is_conditional(self) -> bool:
        try:
            self._put(b"condition", only_new=True)
        except ConflictError:
            return True
        return False

    def _put_with(self, one: _Sum, value: bytes, name: bytes) -> bool:
        """Whether an object is taken with such a checksum."""
        key = self._below + name
        header = f"x-amz-checksum-{one.name.lower()}"
        headers = ((header, b64encode(value).decode()),)
        reply = self._client.send(Request("PUT", key, (), headers, _BODY))
        self._client.whole(reply)
        if reply.status not in _OK:
            return False
        self._written.append((key, reply.headers.get("x-amz-version-id")))
        return True

    def _keeps(self, one: _Sum) -> bool:
        name = b"sum-" + one.name.encode()
        if not self._put_with(one, one.value, name):
            return False
        told = self._client.head(self._below + name).checksum
        return told == f"{one.name}:{b64encode(one.value).decode()}"

    def _verifies(self, one: _Sum) -> bool:
        return not self._put_with(one, bytes(len(one.value)), b"wrong")

    def _has_attributes(self) -> bool:
        try:
            self._client.attributes(self._below + b"condition")
        except (StoreUnreachableError, NotFoundError, ConflictError):
            return False
        return True

    def _is_literal(self) -> bool:
        self._put(b"l//x")
        try:
            self._client.head(self._below + b"l/x")
        except NotFoundError:
            return self._listed(b"l", versions=False) == [b"l//x"]
        return False

    def _is_ordered(self, *, versions: bool) -> bool:
        """Whether small pages bring each key, in order; some servers lose keys between pages."""
        for name in _BESIDE:
            self._put(name)
        listed = self._listed(b"d", versions=versions)
        return tuple(dict.fromkeys(listed)) == _BESIDE

    def _listed(self, start: bytes, *, versions: bool) -> list[bytes]:
        """Return the names that begin so, in pages of two, at most as many as there can be."""
        names: list[bytes] = []
        more: tuple[tuple[str, str | bytes], ...] = ()
        for _ in range(2 * len(_BESIDE)):
            page = self._client.text(self._page_request(start, more, versions=versions))
            try:
                tail, rows = tail_of(page), rows_of(parse_page(page), plus=False)
            except ValueError as err:
                raise StoreUnreachableError(f"{self._client.named(None)}: {err}") from err
            keys: list[bytes] = rows.column("key").to_pylist()
            names += [key.removeprefix(self._below) for key in keys]
            if not tail.is_truncated:
                break
            markers = (
                ("key-marker", tail.key_marker),
                ("version-id-marker", tail.version_marker),
                ("continuation-token", tail.token),
            )
            more = tuple((name, value) for name, value in markers if value)
        return names

    def _page_request(
        self, start: bytes, more: tuple[tuple[str, str | bytes], ...], *, versions: bool
    ) -> Request:
        kind = ("versions", "") if versions else ("list-type", "2")
        fixed: tuple[tuple[str, str | bytes], ...] = (kind, ("max-keys", _PAGE))
        return Request("GET", query=(*fixed, ("prefix", self._below + start), *more))
