"""Files made objects: verified on their way, new or not at all, large ones in parts.

Each object says in its metadata which run made it and what it holds. So an answer that was lost is
no riddle: an object that is there already is ours with this content, or it is somebody else's.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections import deque
from itertools import groupby
from typing import TYPE_CHECKING

from dataguard.errors import ConflictError, NotFoundError, StoreUnreachableError
from dataguard.model.dataclass import dataclass
from dataguard.stores.hashing import digester
from dataguard.stores.objectreplies import etag_of, failure, text_of
from dataguard.stores.objectrequest import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import BinaryIO

    from dataguard.model.digest import Algorithm
    from dataguard.stores.objectclient import ObjectClient
    from dataguard.stores.objectconnection import Reply

__all__ = [
    "PART_BYTES",
    "Parcel",
    "Sent",
    "Terms",
    "Uploader",
    "changed",
    "known",
    "named_by",
    "sums_of",
    "unread",
    "written_by",
]

PART_BYTES = 16 << 20
_WIDTH = 8
_ATTEMPTS = 3
_OK = range(200, 300)
_THERE = (409, 412)
_GARBLED = frozenset(
    {
        "BadDigest",
        "IncompleteBody",
        "InvalidDigest",
        "RequestTimeout",
        "SignatureDoesNotMatch",
        "XAmzContentSHA256Mismatch",
        "XAmzContentChecksumMismatch",
    }
)
"""What servers answer where other bytes came than were sent."""

_RUN = "x-amz-meta-dataguard-run"
_DIGEST = "x-amz-meta-dataguard-digest"


@dataclass(frozen=True, slots=True)
class Parcel:
    """A file that is to be an object: `path` below the run's directory, `digest` in hex."""

    key: bytes
    path: bytes
    size: int
    digest: str


@dataclass(frozen=True, slots=True)
class Sent:
    """A file that is an object now."""

    parcel: Parcel
    version_id: str | None
    etag: str | None


@dataclass(frozen=True, slots=True)
class Terms:
    """How objects of a run are written.

    `claim` is what they say of whose they are. `conditional`: the server honours If-None-Match;
    `sha256`: it takes such a checksum, and keeps it. Content-MD5 is sent either way, and verified
    by every server.
    """

    claim: str
    algorithm: Algorithm
    conditional: bool
    sha256: bool


def sums_of(data: bytes, *, sha256: bool) -> tuple[tuple[str, str], ...]:
    """Return the headers by which a server knows that what came is what was sent."""
    md5 = hashlib.md5(data, usedforsecurity=False).digest()
    headers = [("content-md5", b64encode(md5).decode())]
    if sha256:
        checksum = b64encode(hashlib.sha256(data).digest()).decode()
        headers.append(("x-amz-checksum-sha256", checksum))
    return tuple(headers)


def named_by(claim: str, digest: str) -> tuple[tuple[str, str], ...]:
    """Return the metadata by which an object of a run is known again."""
    return (_RUN, claim), (_DIGEST, digest)


def written_by(headers: Mapping[str, str], claim: str, digest: str | None = None) -> bool:
    """Whether the headers of an object say that a run wrote it, and wrote this."""
    return headers.get(_RUN) == claim and digest in (None, headers.get(_DIGEST))


class Uploader:
    """Uploads the files of one run.

    All methods raise:
        ConflictError: somebody else's object is there, or a file is not what was hashed any more.
        DeniedError: these credentials may not do it.
        StoreUnreachableError: the server does not answer, or the file cannot be read.
    """

    def __init__(
        self, client: ObjectClient, terms: Terms, open_file: Callable[[bytes], BinaryIO]
    ) -> None:
        """`open_file` opens a path below the run's directory, through no link."""
        self._client = client
        self._terms = terms
        self._open = open_file
        self._digest = digester(terms.algorithm)

    def send(self, parcels: Iterable[Parcel], there: frozenset[bytes]) -> Iterator[Sent]:
        """Upload files and yield each as it is there; those whose keys are `there` are looked at.

        Where a run goes on with what it began, what is there and is its own stays as it is.
        """
        for is_large, group in groupby(parcels, lambda one: one.size > PART_BYTES):
            if is_large:
                from dataguard.stores.objectparts import in_parts  # noqa: PLC0415  few are large

                for one in group:
                    known = self.there(one) if one.key in there else None
                    yield known or in_parts(self._client, self._terms, one, self._open)
            else:
                yield from self._small(group, there)

    def there(self, one: Parcel) -> Sent | None:
        """Return a file as it is there already; None where there is nothing."""
        return known(self._client, self._terms, one)

    def _small(self, parcels: Iterable[Parcel], there: frozenset[bytes]) -> Iterator[Sent]:
        waiting: deque[Parcel | Sent] = deque()

        def requests() -> Iterator[Request]:
            for one in parcels:
                known = self.there(one) if one.key in there else None
                waiting.append(known or one)
                if known is None:
                    yield self._request(one)

        def before() -> Iterator[Sent]:
            while waiting and isinstance(waiting[0], Sent):
                found = waiting.popleft()
                if isinstance(found, Sent):
                    yield found

        for reply in self._client.ask_many(requests(), _WIDTH):
            yield from before()
            one = waiting.popleft()
            if isinstance(one, Parcel):
                yield self._settled(one, reply)
        yield from before()

    def _request(self, one: Parcel) -> Request:
        data = self._read(one)
        headers = [*sums_of(data, sha256=self._terms.sha256)]
        headers += named_by(self._terms.claim, one.digest)
        if self._terms.conditional:
            headers.append(("if-none-match", "*"))
        return Request("PUT", one.key, (), tuple(headers), data)

    def _read(self, one: Parcel) -> bytes:
        try:
            with self._open(one.path) as file:
                data = file.read(one.size + 1)
        except OSError as err:
            raise unread(one, err) from err
        if self._digest(data).hex() != one.digest:
            raise changed(one)
        return data

    def _settled(self, one: Parcel, reply: Reply) -> Sent:
        """Return what became of a file; where an answer leaves that open, look, and try again."""
        for attempt in range(1, _ATTEMPTS + 1):
            found = self._found(one, reply, is_last=attempt == _ATTEMPTS)
            if found is not None:
                return found
            reply = self._client.send(self._request(one))
        raise StoreUnreachableError(f"{self._client.named(one.key)} cannot be written")

    def _found(self, one: Parcel, reply: Reply, *, is_last: bool) -> Sent | None:
        """Return a file that is there after this reply; None where another attempt may help."""
        headers = reply.headers
        try:
            body = self._client.whole(reply)
        except StoreUnreachableError:
            return self.there(one)
        if reply.status in _OK:
            return Sent(one, headers.get("x-amz-version-id"), etag_of(headers))
        if reply.status in _THERE:
            return self.there(one)
        if text_of(body, "Code") in _GARBLED and not is_last:
            return None
        raise failure(reply.status, body, self._client.named(one.key))


def known(client: ObjectClient, terms: Terms, one: Parcel) -> Sent | None:
    """Return a file as it is there already; None where there is nothing.

    Raises:
        ConflictError: there is something else.
    """
    try:
        reply = client.ask(Request("HEAD", one.key))
    except NotFoundError:
        return None
    headers = reply.headers
    is_ours = written_by(headers, terms.claim, one.digest)
    if not is_ours or headers.get("content-length") != str(one.size):
        raise ConflictError(
            f"{client.named(one.key)} is there already, and is not this run's",
            hint="nobody else may write below the place of a run",
        )
    return Sent(one, headers.get("x-amz-version-id"), etag_of(headers))


def unread(one: Parcel, err: OSError) -> StoreUnreachableError:
    """Return what is said of a file that cannot be read."""
    name = one.path.decode("utf-8", "backslashreplace")
    return StoreUnreachableError(f"cannot read the output {name}: {err.strerror}")


def changed(one: Parcel) -> ConflictError:
    """Return what is said of a file that is not what was hashed."""
    name = one.path.decode("utf-8", "backslashreplace")
    return ConflictError(f"the output {name} changed while it was uploaded")
