"""Writes a small object, with checksums that the server verifies."""

from __future__ import annotations

import hashlib
import zlib
from base64 import b64encode
from typing import TYPE_CHECKING

from dataguard.stores.objectreplies import Written, etag_of
from dataguard.stores.objectrequest import Request

if TYPE_CHECKING:
    from dataguard.stores.objectclient import ObjectClient

__all__ = ["put"]


def put(client: ObjectClient, key: bytes, data: bytes, *, only_new: bool) -> Written:
    """Write a small object; with `only_new` never over another one.

    Raises:
        ConflictError: there is one already.
    """
    reply = client.ask(Request("PUT", key, (), _headers(data, only_new=only_new), data))
    client.whole(reply)
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
