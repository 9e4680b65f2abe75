"""Writes objects: with a checksum that the server verifies, complete or not at all."""

from __future__ import annotations

import hashlib
import zlib
from base64 import b64encode
from contextlib import suppress
from typing import TYPE_CHECKING

from dataguard.errors import DataguardError, StoreUnreachableError
from dataguard.stores.objectreplies import Written, failure, text_of
from dataguard.stores.objectrequest import Request

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dataguard.stores.objectclient import ObjectClient

__all__ = ["PART_BYTES", "put", "put_stream"]

PART_BYTES = 16 << 20
_OK = 200


def put(client: ObjectClient, key: bytes, data: bytes, *, only_new: bool) -> Written:
    """Write a small object; with `only_new` never over another one.

    Raises:
        ConflictError: there is one already.
    """
    reply = client.ask(Request("PUT", key, (), _headers(data, only_new=only_new), data))
    client.whole(reply)
    etag = reply.headers.get("etag", "").strip('"')
    return Written(reply.headers.get("x-amz-version-id"), etag or None)


def put_stream(
    client: ObjectClient, key: bytes, pieces: Iterable[bytes], *, only_new: bool
) -> Written:
    """Write an object of any size, in parts where it is large.

    Raises:
        ConflictError: with `only_new`, there is one already.
    """
    parts = _parts(pieces)
    first = next(parts, b"")
    second = next(parts, None)
    if second is None:
        return put(client, key, first, only_new=only_new)
    return _in_parts(client, key, (first, second), parts, only_new=only_new)


def _in_parts(
    client: ObjectClient,
    key: bytes,
    begun: tuple[bytes, ...],
    rest: Iterator[bytes],
    *,
    only_new: bool,
) -> Written:
    # Not `text`, which asks again: an upload that nobody knows of would be left behind.
    started = client.whole(client.ask(Request("POST", key, (("uploads", ""),))))
    upload = text_of(started, "UploadId")
    if not upload:
        raise StoreUnreachableError(f"{client.named(key)}: the server names no upload")
    try:
        tags: list[str] = []
        for source in (begun, rest):
            for data in source:
                query = (("partNumber", str(len(tags) + 1)), ("uploadId", upload))
                reply = client.ask(Request("PUT", key, query, _headers(data), data))
                client.whole(reply)
                tags.append(reply.headers.get("etag", "").strip('"'))
        return _completed(client, key, upload, tags, only_new=only_new)
    except BaseException:
        # What was sent of it is not left behind: parts are stored, and paid for, unseen.
        with suppress(DataguardError):  # what went wrong first is what is said
            client.send(Request("DELETE", key, (("uploadId", upload),))).close()
        raise


def _completed(
    client: ObjectClient, key: bytes, upload: str, tags: list[str], *, only_new: bool
) -> Written:
    listed = "".join(
        f'<Part><PartNumber>{number}</PartNumber><ETag>"{tag}"</ETag></Part>'
        for number, tag in enumerate(tags, 1)
    )
    body = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
    headers = (("if-none-match", "*"),) if only_new else ()
    reply = client.ask(Request("POST", key, (("uploadId", upload),), headers, body))
    said = client.whole(reply)
    if b"<Error>" in said:  # a completion that takes long answers 200 before it is known
        raise _refused(said, client.named(key))
    etag = (text_of(said, "ETag") or "").replace("&quot;", "").replace("&#34;", "").strip('"')
    return Written(reply.headers.get("x-amz-version-id"), etag or None)


def _refused(said: bytes, named: str) -> DataguardError:
    status = (
        412
        if text_of(said, "Code") in ("PreconditionFailed", "ConditionalRequestConflict")
        else 500
    )
    return failure(status, said, named)


def _parts(pieces: Iterable[bytes]) -> Iterator[bytes]:
    held = bytearray()
    for piece in pieces:
        held += piece
        while len(held) >= PART_BYTES:
            yield bytes(held[:PART_BYTES])
            del held[:PART_BYTES]
    if held:
        yield bytes(held)


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
