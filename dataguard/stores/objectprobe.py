"""What the server of a bucket can do, found out by looking: nothing is written.

Conditional writes show themselves only by writing: a run that writes finds out itself.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.errors import ConflictError, DeniedError, NotFoundError, StoreUnreachableError
from dataguard.model.objects import Capabilities, Versioning
from dataguard.stores.objectreplies import failure, versioning_of
from dataguard.stores.objectrequest import Request

if TYPE_CHECKING:
    from dataguard.stores.objectclient import ObjectClient

__all__ = ["probe"]

_OK = 200
_UNKNOWN_HERE = 405
"""What some answer to a question about the bucket that they do not know."""
_LISTED = 100
_MUDDLED = ("seaweedfs",)
"""Servers that list keys in the order of a tree of directories, not bytewise.

Their pages of versions go on after the key that sorts last, and silently leave out all that the
tree has behind it (SeaweedFS 4.48: of 2,000 versions 1,001 were listed). So their versions are
asked for one by one.
"""


def probe(client: ObjectClient, prefix: bytes) -> Capabilities:
    """Return what a bucket does, with the objects below a prefix as samples.

    Raises:
        NotFoundError: there is no such bucket, or nothing below the prefix.
        DeniedError: the objects may not be listed.
        StoreUnreachableError: the server does not answer.
    """
    reply, body = client.answer(Request("GET", query=(("versioning", ""),)))
    muddled = reply.headers.get("server", "").lower().startswith(_MUDDLED)
    told = reply.status == _OK
    if not told and reply.status != _UNKNOWN_HERE:
        error = failure(reply.status, body, client.named(None))
        if isinstance(error, NotFoundError):
            raise error
    found = Capabilities(
        versioning=versioning_of(body) if told else Versioning.UNKNOWN,
        versions_listed=not muddled and _lists_versions(client, prefix),
        lock=_has_lock(client),
        ordered=not muddled,
    )
    found = _by_sample(client, prefix, found)
    if found.literal_keys is False:  # it has directories, whatever name it goes by behind a proxy
        found = replace(found, versions_listed=False, ordered=False)
    return found


def _lists_versions(client: ObjectClient, prefix: bytes) -> bool:
    query: tuple[tuple[str, str | bytes], ...] = (("versions", ""), ("max-keys", "1"))
    reply, body = client.answer(Request("GET", query=(*query, ("prefix", prefix))))
    return reply.status == _OK and b"<ListVersionsResult" in body


def _has_lock(client: ObjectClient) -> bool | None:
    try:
        return client.lock() is not None
    except (DeniedError, NotFoundError, ConflictError, StoreUnreachableError):
        return None


def _by_sample(client: ObjectClient, prefix: bytes, found: Capabilities) -> Capabilities:
    key = _sample(client, prefix)
    try:
        facts = client.head(key)
    except (DeniedError, NotFoundError, ConflictError):
        return found  # reading it will say why
    checksums = () if facts.checksum is None else (facts.checksum.partition(":")[0],)
    return replace(found, checksums=checksums, literal_keys=_keeps(client, key))


def _sample(client: ObjectClient, prefix: bytes) -> bytes:
    """Return the key of an object, of one with a slash in its path where the first page has any."""
    keys: list[bytes] = []
    for page in client.list_current(prefix):
        keys = [key for key in page.column("key").to_pylist() if key != prefix][:_LISTED]
        if keys:
            break
    if not keys:
        raise NotFoundError(f"no objects below {client.named(prefix.rstrip(b'/') or None)}")
    return next((key for key in keys if b"/" in key), keys[0])


def _keeps(client: ObjectClient, key: bytes) -> bool | None:
    """Whether a key with a slash too many is another key; None where nobody says."""
    if b"//" in key:
        return True
    other = key.replace(b"/", b"//", 1) if b"/" in key else b"/" + key
    with suppress(DeniedError, ConflictError):
        try:
            client.head(other)
        except NotFoundError:
            return True
        return False
    return None
