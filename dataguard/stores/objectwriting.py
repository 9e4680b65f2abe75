"""Writes a small object, with checksums that the server verifies."""

from __future__ import annotations

import hashlib
import secrets
import zlib
from base64 import b64encode
from typing import TYPE_CHECKING

from dataguard.errors import NotFoundError
from dataguard.stores.objectreplies import Written, etag_of, failure
from dataguard.stores.objectrequest import Request

if TYPE_CHECKING:
    from dataguard.stores.objectclient import ObjectClient
    from dataguard.stores.objectconnection import Reply

__all__ = ["put"]

_OK = range(200, 300)
_THERE = (409, 412)
_MARK = "x-amz-meta-dataguard-attempt"


def put(client: ObjectClient, key: bytes, data: bytes, *, only_new: bool) -> Written:
    """Write a small object; with `only_new` never over another one.

    One that is there already may be this one: the answer to an earlier attempt may be lost. It
    carries a mark of its own, by which it is known again.

    Raises:
        ConflictError: there is another one already.
    """
    mark = ((_MARK, secrets.token_hex(16)),) if only_new else ()
    headers = (*_headers(data, only_new=only_new), *mark)
    reply = client.send(Request("PUT", key, (), headers, data))
    body = client.whole(reply)
    if reply.status in _OK:
        return _written(reply)
    own = _own(client, key, mark) if mark and reply.status in _THERE else None
    if own is None:
        raise failure(reply.status, body, client.named(key))
    return own


def _own(client: ObjectClient, key: bytes, mark: tuple[tuple[str, str], ...]) -> Written | None:
    """Return the object that is there; None where it does not have this mark."""
    try:
        reply = client.ask(Request("HEAD", key))
    except NotFoundError:
        return None
    return _written(reply) if set(mark) <= set(reply.headers.items()) else None


def _written(reply: Reply) -> Written:
    return Written(reply.headers.get("x-amz-version-id"), etag_of(reply.headers))


def _headers(data: bytes, *, only_new: bool = False) -> tuple[tuple[str, str], ...]:
    md5 = hashlib.md5(data, usedforsecurity=False).digest()
    crc = zlib.crc32(data).to_bytes(4, "big")
    headers = [
        ("content-md5", b64encode(md5).decode()),  # every server verifies this one
        ("x-amz-checksum-crc32", b64encode(crc).decode()),
    ]
    if only_new:
        headers.append(("if-none-match", "*"))
    return tuple(headers)
