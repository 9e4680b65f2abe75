"""Listings of a bucket, page by page: the next page is asked for before this one is understood."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.errors import NotFoundError, StoreUnreachableError
from dataguard.stores.objectlisting import decoded, parse_page, rows_of, tail_of
from dataguard.stores.objectreplies import failure
from dataguard.stores.objectrequest import Request

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from dataguard.stores.objectclient import ObjectClient
    from dataguard.stores.objectlisting import Listed, Tail
    from dataguard.stores.objectwire import Pending

__all__ = ["Pages"]

_KEYS = "1000"
_OK = 200


class Pages:
    """The pages of one listing. A listing that cannot be completed is an error."""

    def __init__(self, client: ObjectClient, prefix: bytes, *, versions: bool) -> None:
        """Ask for nothing yet."""
        self._client = client
        self._prefix = prefix
        self._versions = versions
        self._plus: bool | None = None
        self._last: tuple[bytes, frozenset[str | None]] = (b"", frozenset())

    def after(self, key: bytes) -> Iterator[pa.RecordBatch]:
        """Yield the rows of each page that has any, of the keys after one."""
        name = "key-marker" if self._versions else "start-after"
        wanted = self._query((name, key)) if key else self._query()
        page = self._first(wanted)
        rounds = _Rounds(wanted)
        while True:
            tail = self._tail(page)
            listed = None
            if b"+" in (tail.key_marker or b""):  # what that means, other keys show
                listed = self._parsed(page)
                self._settle_plus(listed)
            following = self._next(tail)
            if following is not None and rounds.returns(following):
                raise self._endless()
            pending = None if following is None else self._client.begin(following)
            try:
                rows = self._new(self._rows(self._parsed(page) if listed is None else listed))
                if rows.num_rows:
                    yield rows
            except BaseException:  # nobody wants the next page any more
                if pending is not None:
                    pending.drop()
                raise
            if following is None or pending is None:
                return
            page = self._received(pending, following)

    def _query(self, *more: tuple[str, str | bytes]) -> Request:
        fixed: list[tuple[str, str | bytes]] = [("encoding-type", "url"), ("max-keys", _KEYS)]
        fixed.append(("versions", "") if self._versions else ("list-type", "2"))
        if self._prefix:
            fixed.append(("prefix", self._prefix))
        return Request("GET", query=(*fixed, *more))

    def _first(self, wanted: Request) -> bytes:
        reply, body = self._client.answer(wanted)  # which learns the region of the bucket
        if reply.status != _OK:
            raise failure(reply.status, body, self._client.named(None))
        return body

    def _received(self, pending: Pending, wanted: Request) -> bytes:
        reply = self._client.finish(pending)
        try:
            body = self._client.whole(reply)
        except StoreUnreachableError:  # the connection broke in the middle: once more, in peace
            return self._first(wanted)
        if reply.status != _OK:
            raise failure(reply.status, body, self._client.named(None))
        return body

    def _tail(self, page: bytes) -> Tail:
        try:
            return tail_of(page)
        except ValueError as err:
            raise StoreUnreachableError(f"{self._client.named(None)}: {err}") from err

    def _parsed(self, page: bytes) -> Listed:
        try:
            return parse_page(page)
        except ValueError as err:
            raise StoreUnreachableError(f"{self._client.named(None)}: {err}") from err

    def _next(self, tail: Tail) -> Request | None:
        if not tail.is_truncated:
            return None
        if self._versions:
            marker = tail.key_marker
            if marker is not None and tail.is_encoded:
                marker = decoded(marker, plus=bool(self._plus))
            pairs = [("key-marker", marker), ("version-id-marker", tail.version_marker)]
        else:
            pairs = [("continuation-token", tail.token)]
        given = [(name, value) for name, value in pairs if value]
        if not given:
            raise self._endless()
        return self._query(*given)

    def _endless(self) -> StoreUnreachableError:
        return StoreUnreachableError(
            f"{self._client.named(None)}: the listing cannot be completed: the server says "
            "that there is more, and not where"
        )

    def _rows(self, listed: Listed) -> pa.RecordBatch:
        self._settle_plus(listed)
        try:
            return rows_of(listed, plus=bool(self._plus))
        except ValueError as err:
            raise StoreUnreachableError(f"{self._client.named(None)}: {err}") from err

    def _new(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Return the rows of a page without those of the key at its marker that came already."""
        keys, known = rows.column("key"), self._last
        count = rows.num_rows
        if not count:
            return rows
        ids = rows.column("version_id")
        again = 0
        while again < count and keys[again].as_py() == known[0] and ids[again].as_py() in known[1]:
            again += 1
        last = keys[count - 1].as_py()
        row, seen = count - 1, set() if last != known[0] else set(known[1])
        while row >= 0 and keys[row].as_py() == last:
            seen.add(ids[row].as_py())
            row -= 1
        self._last = last, frozenset(seen)
        return rows.slice(again)

    def _settle_plus(self, listed: Listed) -> None:
        """Find out whether the server writes `+` for a space, where a key is the first to ask."""
        if self._plus is not None or not listed.has_plus:
            return
        self._plus = listed.plus
        if self._plus is not None:
            return
        key = listed.first_with_plus
        for plus in (False, True):
            try:
                self._client.head(decoded(key, plus=plus))
            except NotFoundError:
                continue
            self._plus = plus
            return
        self._plus = False


class _Rounds:
    """Notices pages that come again, whatever their number, and keeps one of them (Brent)."""

    def __init__(self, first: Request) -> None:
        self._kept = first
        self._steps = self._until = 1

    def returns(self, following: Request) -> bool:
        """Whether a request was made before, noticed within three rounds."""
        if following == self._kept:
            return True
        self._steps -= 1
        if not self._steps:
            self._kept = following
            self._until *= 2
            self._steps = self._until
        return False
