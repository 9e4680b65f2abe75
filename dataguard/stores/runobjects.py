"""A run's objects in a bucket: claimed before the job, complete with the last of them.

`run.json` is there first and last: it claims the place, and says `complete` when everything else is
there. Nothing that somebody else wrote is replaced or removed.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.errors import ConflictError, NotFoundError, StoreUnreachableError
from dataguard.stores.hashing import digester
from dataguard.stores.objectreplies import etag_of, failure, text_of
from dataguard.stores.objectrequest import Request
from dataguard.stores.objectupload import Terms, Uploader, named_by, sums_of, written_by
from dataguard.stores.rundirectory import RECORD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import BinaryIO

    from dataguard.stores.objectclient import ObjectClient
    from dataguard.stores.objectconnection import Reply
    from dataguard.stores.objectupload import Parcel, Sent

__all__ = ["RunObjects", "told"]

_OK = range(200, 300)
_CONFLICT = (409, 412)
_NOT_TAKEN = (400, 501)
_GARBLED_ATTEMPTS = 3


class RunObjects:
    """The objects below the place of one run; `below` is their prefix, its slash included."""

    def __init__(self, client: ObjectClient, below: bytes, terms: Terms) -> None:
        """Write nothing yet; of `terms` claiming finds out what the server does."""
        self._client = client
        self._below = below
        self._etag: str | None = None
        self._goes_on = False
        self.terms = terms

    def key(self, path: bytes) -> bytes:
        """Return the key of a path."""
        return self._below + path

    def digest(self, data: bytes) -> str:
        """Return the digest of a content in the run's algorithm, in hex."""
        return digester(self.terms.algorithm)(data).hex()

    def claim(self, record: bytes) -> None:
        """Write the record of a run that begins, where nothing is yet.

        Raises:
            ConflictError: there is something, or somebody else claimed it at the same time.
            DeniedError: these credentials may not list or write there.
            StoreUnreachableError: the server does not answer, or does not do as it says.
        """
        if self._there():
            raise self._taken()
        reply = self._put(record, only_new=True)
        if reply.status in _NOT_TAKEN:  # an older server that knows no such checksum
            reply.close()
            self.terms = replace(self.terms, sha256=False)
            reply = self._put(record, only_new=True)
        self._etag = self._written(reply, record)
        self.terms = replace(self.terms, conditional=self._is_conditional(record))
        if not self.terms.conditional:
            self._check_alone((self._below + RECORD.encode(),), most=2)

    def go_on(self, record: bytes) -> None:
        """Take up what this run claimed before; where even that is missing, claim it.

        Raises:
            ConflictError: the record there is not this run's.
        """
        key = self.key(RECORD.encode())
        asked = Request("HEAD", key, (), (("x-amz-checksum-mode", "ENABLED"),))
        try:
            headers = self._client.ask(asked).headers
        except NotFoundError:
            self.claim(record)
            return
        if not written_by(headers, self.terms.claim):
            raise self._taken()
        self._goes_on = True
        self._etag = etag_of(headers)
        self.terms = replace(self.terms, sha256="x-amz-checksum-sha256" in headers)
        self.terms = replace(self.terms, conditional=self._is_conditional(record))

    def upload(
        self, parcels: Iterable[Parcel], open_file: Callable[[bytes], BinaryIO]
    ) -> tuple[Sent, ...]:
        """Upload files and return each as it is there, when all are.

        Raises:
            ConflictError: an object is somebody else's, or a file changed.
            DeniedError: these credentials may not write there.
            StoreUnreachableError: the server does not answer, or a file cannot be read.
        """
        there = frozenset(self._there()) if self._goes_on else frozenset()
        sent = tuple(Uploader(self._client, self.terms, open_file).send(parcels, there))
        self._check(sent)
        return sent

    def finish(self, record: bytes) -> None:
        """Replace the record by the last one, after everything else is there.

        Raises:
            ConflictError: somebody else replaced it.
        """
        if self._goes_on:
            from dataguard.stores.objectparts import abort_uploads  # noqa: PLC0415  rarely needed

            abort_uploads(self._client, self._below)
        reply = self._put(record, only_new=False)
        self._etag = self._written(reply, record)

    def _put(self, record: bytes, *, only_new: bool) -> Reply:
        headers = [*sums_of(record, sha256=self.terms.sha256)]
        headers += named_by(self.terms.claim, _digest(record))
        headers.append(("content-type", "application/json"))
        if only_new:
            headers.append(("if-none-match", "*"))
        elif self.terms.conditional and self._etag:
            headers.append(("if-match", f'"{self._etag}"'))
        request = Request("PUT", self.key(RECORD.encode()), (), tuple(headers), record)
        reply = self._client.send(request)
        for _ in range(_GARBLED_ATTEMPTS - 1):
            if reply.status in _OK or reply.status in (*_CONFLICT, 501, 403):
                break
            reply.close()
            reply = self._client.send(request)
        return reply

    def _written(self, reply: Reply, record: bytes) -> str | None:
        """Return the etag of a record that was written; an answer may have been lost before it."""
        etag = etag_of(reply.headers)
        body = self._client.whole(reply)
        if reply.status in _OK:
            return etag
        key = self.key(RECORD.encode())
        if reply.status in _CONFLICT:
            try:
                headers = self._client.ask(Request("HEAD", key)).headers
            except NotFoundError:
                headers = {}
            if written_by(headers, self.terms.claim, _digest(record)):
                return etag_of(headers)
            raise self._taken()
        raise failure(reply.status, body, self._client.named(key))

    def _is_conditional(self, record: bytes) -> bool:
        """Whether the server refuses a second object of the name, as was asked."""
        reply = self._put(record, only_new=True)
        headers, status = reply.headers, reply.status
        body = self._client.whole(reply)
        if status in _CONFLICT:
            return True
        if status in _OK:
            self._etag = etag_of(headers)
            return False
        if status == 501 or text_of(body, "Code") == "NotImplemented":  # noqa: PLR2004  HTTP's
            return False
        raise failure(status, body, self._client.named(self.key(RECORD.encode())))

    def _there(self) -> list[bytes]:
        """Return the keys below the place of the run."""
        found: list[bytes] = []
        for rows in self._client.list_current(self._below):
            found += rows.column("key").to_pylist()
        return found

    def _check(self, sent: tuple[Sent, ...]) -> None:
        """Compare what is listed with what was sent.

        Raises:
            ConflictError: something else is there.
            StoreUnreachableError: something is not there that the server took.
        """
        listed: dict[bytes, tuple[int, str | None]] = {}
        for rows in self._client.list_current(self._below):
            columns = (rows.column(name).to_pylist() for name in ("key", "size", "etag"))
            listed.update((key, (size, etag)) for key, size, etag in zip(*columns, strict=True))
        for one in sent:
            size, etag = listed.get(one.parcel.key) or self._asked(one)
            if size != one.parcel.size or (one.etag and etag and etag != one.etag):
                named = self._client.named(one.parcel.key)
                raise ConflictError(f"{named} was overwritten while the run was uploaded")
        if not self.terms.conditional:
            self._check_alone(tuple(one.parcel.key for one in sent), most=1)

    def _asked(self, one: Sent) -> tuple[int, str | None]:
        """Look for one that is not listed: some servers lose keys between pages."""
        try:
            facts = self._client.head(one.parcel.key)
        except NotFoundError as err:
            named = self._client.named(one.parcel.key)
            raise StoreUnreachableError(f"{named} is not there, though the server took it") from err
        return facts.size, facts.etag

    def _check_alone(self, keys: tuple[bytes, ...], *, most: int) -> None:
        """Refuse a race that the server did not: nobody else may have written these keys.

        Raises:
            ConflictError: somebody did.
        """
        wanted, count = frozenset(keys), Counter[bytes]()
        for rows in self._client.list_versions(self._below):
            count.update(key for key in rows.column("key").to_pylist() if key in wanted)
        found = next((key for key in keys if count[key] > most), None)
        if found is not None:
            raise ConflictError(
                f"{self._client.named(found)} was written by somebody else at the same time",
                hint="this server ignores conditions; give another --run-id",
            )

    def _taken(self) -> ConflictError:
        return ConflictError(
            f"there is already something at {self._client.named(self._below)}",
            hint="give another --run-id",
        )


def _digest(record: bytes) -> str:
    return hashlib.sha256(record).hexdigest()


def told(terms: Terms) -> Mapping[str, str]:
    """Return what a run's record says of how its objects were written."""
    return {
        "conditional_writes": "honoured" if terms.conditional else "ignored: checked by listings",
        "checksums": "SHA256 and Content-MD5" if terms.sha256 else "Content-MD5",
    }
