"""The client of one bucket: the only thing that talks to an object store."""

from __future__ import annotations

import re
import time
from collections import deque
from contextlib import closing
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from dataguard.errors import ConflictError, StoreUnreachableError
from dataguard.stores.objectconnection import BrokenError
from dataguard.stores.objectreplies import etag_of, failure, held_of, text_of, versioning_of
from dataguard.stores.objectrequest import Request
from dataguard.stores.objectsigning import EMPTY_SHA256, Signer, encoded_path, encoded_query
from dataguard.stores.objectwire import Outgoing, Wire
from dataguard.stores.s3credentials import keys_for

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    import pyarrow as pa

    from dataguard.errors import DataguardError
    from dataguard.model.objects import Held, Pin, Versioning
    from dataguard.stores.objectconnection import Reply
    from dataguard.stores.objectreplies import Written
    from dataguard.stores.objectsigning import Keys
    from dataguard.stores.objectwire import Pending
    from dataguard.stores.s3access import Access

__all__ = ["ObjectClient"]

_OK = range(200, 300)
_ANY_REGION = "us-east-1"
_REGION = re.compile(r"[a-z0-9-]{1,40}")
_MOVED = frozenset({301, 307, 400, 403})
_PARTIAL = 206
_BROKEN_MAX = 3
"""How often a body, or the rest of it, is asked for again before it is given up."""
_DOCUMENT_MOST = 64 << 20
"""Bytes of a document: a page of the longest keys has a tenth of that."""


class ObjectClient:
    """One bucket; keys are bytes, taken literally. May be inherited by forked processes.

    All methods raise:
        NotFoundError: the bucket, the key or the version does not exist.
        DeniedError: these credentials may not do it.
        ConflictError: the object is not what the pin says (any more), is archived, or is there.
        StoreUnreachableError: the server does not answer, or not in its protocol.
    """

    def __init__(self, access: Access, *, pause: Callable[[float], None] = time.sleep) -> None:
        """Connect to nothing yet; `pause` waits between attempts."""
        self.access = access
        self._pause = pause
        self._region = access.region

    def list_versions(self, prefix: bytes, *, after: bytes = b"") -> Iterator[pa.RecordBatch]:
        """Yield every version and delete marker of the keys below a prefix, a page at a time.

        Columns: `LISTING` of model/schema.py. The newest version of a key comes first; keys come
        in the server's order, which is bytewise but with some servers in each page alone.
        `after`: only keys that sort after this whole key.
        """
        from dataguard.stores.objectpages import Pages  # noqa: PLC0415  loads Arrow

        return Pages(self, prefix, versions=True).after(after)

    def list_current(self, prefix: bytes, *, after: bytes = b"") -> Iterator[pa.RecordBatch]:
        """Yield the objects below a prefix, a page at a time, with `version_id` null."""
        from dataguard.stores.objectpages import Pages  # noqa: PLC0415  as above

        return Pages(self, prefix, versions=False).after(after)

    def head(self, key: bytes, version_id: str | None = None) -> Held:
        """Return what is known of an object or of one version of it, checksums included."""
        query = _of_version(version_id)
        request = Request("HEAD", key, query, (("x-amz-checksum-mode", "ENABLED"),))
        return held_of(self.ask(request).headers)

    def read(self, pin: Pin, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yield the bytes of what is pinned, in pieces; exactly those asked for, or an error."""
        end = pin.size if length is None else min(start + length, pin.size)
        if start < end or not pin.size:
            yield from self.part(self.ask(self.reading(pin, start, end)), pin, start, end)

    def part(self, reply: Reply, pin: Pin, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes of a range, to which this is the reply; go on where it breaks off."""
        broken = 0
        while True:
            skip = self.check_read(reply, pin, start, end)
            with closing(reply):  # also where nobody wants the rest
                try:
                    for piece in reply.pieces():
                        wanted = piece[skip : skip + end - start]
                        if end == pin.size and len(piece) > skip + len(wanted):
                            raise ConflictError(f"{self.named(pin.key)} has more than {end} bytes")
                        skip = max(skip - len(piece), 0)
                        start += len(wanted)
                        yield wanted
                        if start == end and (end < pin.size or "content-length" in reply.headers):
                            break
                except BrokenError as err:
                    broken += 1
                    if broken > _BROKEN_MAX:
                        raise StoreUnreachableError(f"{self.named(pin.key)}: {err}") from err
                else:
                    if start != end:
                        raise ConflictError(f"{self.named(pin.key)} ends {end - start} bytes early")
                    return
            reply = self.ask(self.reading(pin, start, end))

    def reading(self, pin: Pin, start: int, end: int) -> Request:
        """Return the request for a range of what is pinned."""
        headers = [("x-amz-checksum-mode", "ENABLED")]
        if pin.etag and not pin.is_versioned:  # what has no such version may be overwritten
            headers.append(("if-match", f'"{pin.etag}"'))
        if (start, end) != (0, pin.size):
            headers.append(("range", f"bytes={start}-{end - 1}"))
        return Request("GET", pin.key, _of_version(pin.version_id), tuple(headers))

    def heading(self, pin: Pin) -> Request:
        """Return the request for what the server says of what is pinned."""
        return replace(self.reading(pin, 0, pin.size), method="HEAD")

    def check_read(self, reply: Reply, pin: Pin, start: int, end: int) -> int:
        """Return how many bytes come before those asked for: servers may ignore ranges.

        Raises:
            ConflictError: the object has another size, etag or version.
        """
        headers = reply.headers
        told = headers.get("content-length")
        etag = etag_of(headers)
        version = headers.get("x-amz-version-id", pin.version_id)
        whole = reply.status != _PARTIAL
        asked = f"bytes {start}-{end - 1}/{pin.size}"
        sizes = pin.size if whole else end - start
        reason = None
        if told is not None and int(told) != sizes:
            reason = f"it sends {told} bytes, not {sizes}"
        elif pin.etag and etag and etag != pin.etag:
            reason = f"its etag is {etag}, not {pin.etag}"
        elif pin.version_id and version != pin.version_id:
            reason = f"its version is {version}, not {pin.version_id}"
        elif not whole and headers.get("content-range", asked) != asked:
            reason = f"it sends {headers['content-range']}, not {asked}"
        if reason is not None:
            reply.close()
            raise ConflictError(f"{self.named(pin.key)} is not what was pinned: {reason}")
        return start if whole else 0

    def put(self, key: bytes, data: bytes, *, only_new: bool = False) -> Written:
        """Write a small object with a checksum; with `only_new` never over another one."""
        from dataguard.stores.objectwriting import put  # noqa: PLC0415  most clients only read

        return put(self, key, data, only_new=only_new)

    def delete(self, key: bytes, version_id: str | None = None) -> None:
        """Delete an object (in a versioned bucket: put a delete marker), or one version."""
        self.ask(Request("DELETE", key, _of_version(version_id))).close()

    def versioning(self) -> Versioning:
        """Return whether the bucket is versioned."""
        return versioning_of(self.text(Request("GET", query=(("versioning", ""),))))

    def policy(self) -> str | None:
        """Return the bucket's policy document; None where there is none."""
        reply, body = self.answer(Request("GET", query=(("policy", ""),)))
        if reply.status in _OK:
            return body.decode("utf-8", "replace")
        if text_of(body, "Code") == "NoSuchBucketPolicy":
            return None
        raise failure(reply.status, body, self.named(None))

    def lock(self) -> str | None:
        """Return the bucket's object lock configuration as XML; None where it has none."""
        reply, body = self.answer(Request("GET", query=(("object-lock", ""),)))
        if reply.status in _OK:
            return body.decode() if b"<ObjectLockEnabled>Enabled" in body else None
        if text_of(body, "Code") == "ObjectLockConfigurationNotFoundError":
            return None
        raise failure(reply.status, body, self.named(None))

    def ask(self, request: Request) -> Reply:
        """Return the reply to a request, its body still to be read; refusals are errors."""
        reply = self.send(request)
        if reply.status not in _OK:
            raise self.failure_of(reply, request.key)
        return reply

    def ask_many(self, requests: Iterable[Request], width: int) -> Generator[Reply]:
        """Yield the reply to each request, in order, with so many under way; none is an error yet.

        A reply is to be read, or closed, before the next one is asked for.
        """
        asked: deque[tuple[Request, str]] = deque()

        def outgoing() -> Iterator[Outgoing]:
            for request in requests:
                asked.append((request, self._signer.region))
                yield self.outgoing(request)

        for reply in self._wire.ask_many(outgoing(), width):
            yield self._where_wanted(*asked.popleft(), reply)

    def begin(self, request: Request) -> Pending:
        """Send a request; its reply is to be asked for with `finish`."""
        return self._wire.begin(self.outgoing(request))

    def finish(self, pending: Pending) -> Reply:
        """Return the reply to a request that was sent, whatever it is."""
        return self._wire.finish(pending)

    def whole(self, reply: Reply) -> bytes:
        """Return the body of a reply that is a document."""
        try:
            return reply.whole(_DOCUMENT_MOST)
        except BrokenError as err:
            raise StoreUnreachableError(f"{self.named(None)}: {err}") from err

    def answer(self, request: Request) -> tuple[Reply, bytes]:
        """Return the reply to a request that may be made again, whatever it is, with its body."""
        broken = 0
        while True:
            reply = self.send(request)
            try:
                return reply, reply.whole(_DOCUMENT_MOST)
            except BrokenError as err:
                broken += 1
                if broken > _BROKEN_MAX:
                    raise StoreUnreachableError(f"{self.named(request.key)}: {err}") from err

    def text(self, request: Request) -> bytes:
        """Return the body of the reply to a request that may be made again; refusals are errors."""
        reply, body = self.answer(request)
        if reply.status not in _OK:
            raise failure(reply.status, body, self.named(request.key))
        return body

    def send(self, request: Request) -> Reply:
        """Return the reply to a request, whatever it is, where the bucket's region wants it."""
        region = self._signer.region
        return self._where_wanted(request, region, self._wire.ask(self.outgoing(request)))

    def _where_wanted(self, request: Request, asked: str, reply: Reply) -> Reply:
        """Return the reply of the bucket's region, where this one names another than was asked."""
        region = reply.headers.get("x-amz-bucket-region", "")
        if reply.status not in _MOVED or region == asked or not _REGION.fullmatch(region):
            return reply
        reply.close()
        if region != self._signer.region:
            self._region = region
            self.__dict__.pop("_signer", None)
            if not self.access.endpoint:
                self.__dict__.pop("_wire", None)
        return self._wire.ask(self.outgoing(request))

    def failure_of(self, reply: Reply, key: bytes | None) -> DataguardError:
        """Return the error that a reply means."""
        return failure(reply.status, self.whole(reply), self.named(key))

    def outgoing(self, request: Request) -> Outgoing:
        """Return a request as it is sent, to be signed at each attempt."""
        return Outgoing(lambda: self._made(request), bodiless=request.method == "HEAD")

    @property
    def region(self) -> str:
        """The region of the bucket, as far as its server told; empty where nobody named one."""
        return self._region

    def named(self, key: bytes | None) -> str:
        """Return the URL of a key, or of the bucket, for messages."""
        name = "" if key is None else "/" + key.decode("utf-8", "backslashreplace")
        return f"s3://{self.access.bucket}{name}"

    def close(self) -> None:
        """Close what is open; the client can be used again."""
        self._wire.close()

    @cached_property
    def _keys(self) -> Callable[[], Keys | None]:
        return keys_for(self.access)

    @cached_property
    def _signer(self) -> Signer:
        return Signer(self._region or _ANY_REGION)

    @cached_property
    def _wire(self) -> Wire:
        return Wire(replace(self.access, region=self._region).peer, pause=self._pause)

    def _made(self, request: Request) -> bytes:
        before = "" if self.access.is_virtual else f"/{self.access.bucket}"
        path = before if request.key is None else f"{before}/{encoded_path(request.key)}"
        path = path or "/"
        query = encoded_query(request.query)
        headers = {"host": self._wire.peer.name, **dict(request.headers)}
        if self.access.requester_pays:
            headers["x-amz-request-payer"] = "requester"
        if request.body or request.method in ("PUT", "POST"):
            headers["content-length"] = str(len(request.body))
        keys = self._keys()
        if keys is not None:
            moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
            digest = _sha256(request.body) if request.body else EMPTY_SHA256
            headers = self._signer.headers(
                (request.method, path, query),
                headers,
                body_sha256=digest,
                keys=keys,
                moment=moment,
            )
        target = f"{path}?{query}" if query else path
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"{request.method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + request.body


def _of_version(version_id: str | None) -> tuple[tuple[str, str | bytes], ...]:
    return (("versionId", version_id),) if version_id else ()


def _sha256(data: bytes) -> str:
    import hashlib  # noqa: PLC0415

    return hashlib.sha256(data).hexdigest()
