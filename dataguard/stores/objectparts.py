"""Large files uploaded in parts: gone on with after a kill, complete or absent."""

from __future__ import annotations

import hashlib
import html
import re
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataguard.errors import ConflictError, NotFoundError, StoreUnreachableError
from dataguard.stores.hashing import new_hash
from dataguard.stores.objectreplies import etag_of, failure, text_of
from dataguard.stores.objectrequest import Request
from dataguard.stores.objectupload import (
    PART_BYTES,
    Sent,
    changed,
    known,
    named_by,
    sums_of,
    unread,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import BinaryIO

    from dataguard.stores.hashing import Hash
    from dataguard.stores.objectclient import ObjectClient
    from dataguard.stores.objectupload import Parcel, Terms

__all__ = ["abort_uploads", "in_parts"]

_PARTS_MAX = 10_000
_MIB = 1 << 20
_ATTEMPTS = 3
_OK = range(200, 300)
_LISTED = 1000


@dataclass(frozen=True, slots=True)
class _Part:
    """A part that the server has; `sha256` in base64, empty where the server takes none."""

    number: int
    etag: str
    md5: bytes
    sha256: str

    @property
    def listed(self) -> str:
        """How it is named when the object is made."""
        told = f"<ChecksumSHA256>{self.sha256}</ChecksumSHA256>" if self.sha256 else ""
        number = f"<PartNumber>{self.number}</PartNumber>"
        return f'<Part>{number}<ETag>"{self.etag}"</ETag>{told}</Part>'


def in_parts(
    client: ObjectClient, terms: Terms, one: Parcel, open_file: Callable[[bytes], BinaryIO]
) -> Sent:
    """Upload a file in parts; those that an upload before brought are not sent again.

    Raises:
        ConflictError: somebody else's object is there, or the file is not what was hashed.
        StoreUnreachableError: the server does not answer, or the file cannot be read.
    """
    upload, have = _begun(client, terms, one)
    digest = new_hash(terms.algorithm)()
    try:
        with open_file(one.path) as file:
            parts = [
                _part(client, terms, one, (upload, number), data, have=have.get(number))
                for number, data in enumerate(_pieces(file, one.size, digest), 1)
            ]
    except OSError as err:
        raise unread(one, err) from err
    if digest.digest().hex() != one.digest:
        client.send(Request("DELETE", one.key, (("uploadId", upload),))).close()
        raise changed(one)
    return _completed(client, terms, one, upload, parts)


def abort_uploads(client: ObjectClient, prefix: bytes) -> int:
    """Abort every upload below a prefix that nobody goes on with; returns how many there were.

    Raises:
        DeniedError: these credentials may not.
    """
    found = list(_uploads(client, prefix))
    for key, upload in found:
        client.send(Request("DELETE", key, (("uploadId", upload),))).close()
    return len(found)


def _begun(client: ObjectClient, terms: Terms, one: Parcel) -> tuple[str, Mapping[int, str]]:
    """Return an upload of this file with the etags of the parts it has; a new one has none."""
    for key, upload in _uploads(client, one.key):
        if key == one.key:
            try:
                return upload, dict(_parts(client, key, upload))
            except NotFoundError:
                continue
    headers = named_by(terms.claim, one.digest)
    if terms.sha256:
        headers = (*headers, ("x-amz-checksum-algorithm", "SHA256"))
    started = client.text(Request("POST", one.key, (("uploads", ""),), headers))
    upload = text_of(started, "UploadId") or ""
    if not upload:
        raise StoreUnreachableError(f"{client.named(one.key)}: the server names no upload")
    return upload, {}


def _part(
    client: ObjectClient,
    terms: Terms,
    one: Parcel,
    place: tuple[str, int],
    data: bytes,
    *,
    have: str | None,
) -> _Part:
    """Upload a part, unless the server has it."""
    upload, number = place
    sums = dict(sums_of(data, sha256=terms.sha256))
    md5, etag = hashlib.md5(data, usedforsecurity=False), have
    if have != md5.hexdigest():
        query = (("partNumber", str(number)), ("uploadId", upload))
        request = Request("PUT", one.key, query, tuple(sums.items()), data)
        reply = client.send(request)
        for _ in range(_ATTEMPTS - 1):
            if reply.status != 400:  # noqa: PLR2004  what a part meets that was spoilt on its way
                break
            reply.close()
            reply = client.send(request)
        if reply.status not in _OK:
            raise client.failure_of(reply, one.key)
        etag = etag_of(reply.headers) or ""
        client.whole(reply)
    return _Part(number, etag or "", md5.digest(), sums.get("x-amz-checksum-sha256", ""))


def _completed(
    client: ObjectClient, terms: Terms, one: Parcel, upload: str, parts: list[_Part]
) -> Sent:
    """Have an object made of parts, and read back that it is made of these.

    The answer to an earlier attempt may be lost, and the object there.
    """
    listed = "".join(part.listed for part in parts)
    body = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
    headers = (("if-none-match", "*"),) if terms.conditional else ()
    reply = client.send(Request("POST", one.key, (("uploadId", upload),), headers, body))
    status, why = reply.status, None
    try:
        said = client.whole(reply)
    except StoreUnreachableError as err:
        said, why = b"", err
    found = known(client, terms, one)
    if found is not None:
        _check_made(client, found, parts)
        return found
    if why is not None:
        raise why
    # Long completions answer 200 before it is known what comes of them.
    raise failure(status if status not in _OK else 500, said, client.named(one.key))


def _composite(parts: list[_Part]) -> str:
    """Return the checksum of an object of parts: that of theirs, and how many; empty without."""
    if not all(part.sha256 for part in parts):
        return ""
    joined = hashlib.sha256(b"".join(b64decode(part.sha256) for part in parts)).digest()
    return f"{b64encode(joined).decode()}-{len(parts)}"


def _check_made(client: ObjectClient, found: Sent, parts: list[_Part]) -> None:
    """Compare what the server keeps of an object's parts with those that were sent.

    An object of others is removed again: whoever goes on would take it for this one.

    Raises:
        ConflictError: it is made of others, or in another order.
    """
    version = found.version_id
    kept = client.head(found.parcel.key, version)
    checksum = (kept.checksum or "").removeprefix("SHA256:")
    if _differ(checksum, _composite(parts)) or _differ(found.etag or "", _etag(parts)):
        client.delete(found.parcel.key, version)
        named = client.named(found.parcel.key)
        raise ConflictError(f"{named} is not what was sent: its parts are others, or in disorder")


def _differ(kept: str, expected: str) -> bool:
    """Whether both are of parts, and not of the same."""
    return "-" in kept and "-" in expected and kept != expected


def _etag(parts: list[_Part]) -> str:
    """Return the etag of an object of parts; empty where these have none of their MD5.

    Servers that encrypt name them by something else.
    """
    if any(part.etag != part.md5.hex() for part in parts):
        return ""
    joined = hashlib.md5(b"".join(part.md5 for part in parts), usedforsecurity=False)
    return f"{joined.hexdigest()}-{len(parts)}"


def _pieces(file: BinaryIO, size: int, digest: Hash) -> Iterator[bytes]:
    """Yield the parts of a file, always the same for a size, and digest them."""
    length = max(PART_BYTES, -(-size // _PARTS_MAX // _MIB) * _MIB)
    left = size + 1  # one more byte shows that it grew
    while left and (data := file.read(min(length, left))):
        digest.update(memoryview(data))
        left -= len(data)
        yield data


def _uploads(client: ObjectClient, prefix: bytes) -> Iterator[tuple[bytes, str]]:
    """Yield the uploads below a prefix that are neither completed nor aborted."""
    more: tuple[tuple[str, str | bytes], ...] = ()
    for _ in range(_LISTED):
        page = client.text(Request("GET", query=(("uploads", ""), ("prefix", prefix), *more)))
        for block in re.findall(rb"<Upload>(.*?)</Upload>", page, re.DOTALL):
            key, upload = text_of(block, "Key"), text_of(block, "UploadId")
            if key and upload:
                yield html.unescape(key).encode(), html.unescape(upload)
        markers = (("key-marker", "NextKeyMarker"), ("upload-id-marker", "NextUploadIdMarker"))
        found = ((name, html.unescape(text_of(page, said) or "")) for name, said in markers)
        following = tuple((name, value) for name, value in found if value)
        if text_of(page, "IsTruncated") != "true" or not following or following == more:
            return
        more = following
    raise ConflictError(f"{client.named(prefix)} has too many unfinished uploads")


def _parts(client: ObjectClient, key: bytes, upload: str) -> Iterator[tuple[int, str]]:
    """Yield number and etag of the parts that an upload has."""
    marker = "0"
    while True:
        query = (("uploadId", upload), ("part-number-marker", marker))
        page = client.text(Request("GET", key, query))
        for block in re.findall(rb"<Part>(.*?)</Part>", page, re.DOTALL):
            number, etag = text_of(block, "PartNumber"), text_of(block, "ETag")
            if number and etag:
                yield int(number), html.unescape(etag).strip('"')
        following = text_of(page, "NextPartNumberMarker") or ""
        if text_of(page, "IsTruncated") != "true" or not following.isdigit() or following == marker:
            return
        marker = following
