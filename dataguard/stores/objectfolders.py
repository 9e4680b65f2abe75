"""Objects with the names of folders, which servers that walk directories may leave out of pages.

SeaweedFS 4.48 loses `a` beside `a/b` where a page of a listing ends between the two. So each folder
that is seen is asked for by its name, whatever the listing says of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.core.columns import flag_column, joined, raw_paths
from dataguard.core.kernels import kept
from dataguard.core.merge import by_path
from dataguard.stores.objectlisting import Listed, rows_of
from dataguard.stores.objectreplies import held_of
from dataguard.stores.objectrequest import Request

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

    from dataguard.model.objects import Held
    from dataguard.stores.objectclient import ObjectClient

__all__ = ["NamedFolders", "with_named"]

_UNDER_WAY = 8
_OK = 200
_MOMENT = "%Y-%m-%dT%H:%M:%SZ"
_ABSENT = frozenset({404, 405})


class NamedFolders:
    """The objects that have the name of a folder of a listing, the folders below a prefix alone.

    Held in memory: few objects have others below them.
    """

    def __init__(self, client: ObjectClient, prefix: bytes) -> None:
        """Ask for nothing yet."""
        self._client = client
        self._prefix = prefix
        self._asked: set[bytes] = set()
        self._found: dict[bytes, Held] = {}

    def look(self, page: pa.RecordBatch) -> None:
        """Ask for the folders of a page that are new, but for those that the page itself lists.

        Raises:
            DeniedError: it may not be asked for them.
            StoreUnreachableError: the server does not answer.
        """
        keys: list[bytes] = page.column("key").to_pylist()
        folders = self._folders(keys)
        new = sorted(folders - self._asked - set(keys) - self._found.keys())
        # Folders come one after the other: what goes on is in the page before.
        self._asked = folders
        requests = (Request("HEAD", key) for key in new)
        for key, reply in zip(new, self._client.ask_many(requests, _UNDER_WAY), strict=True):
            if reply.status == _OK:
                self._found[key] = held_of(reply.headers)
            elif reply.status not in _ABSENT:
                raise self._client.failure_of(reply, key)

    def rows(self) -> pa.RecordBatch:
        """Return what was found, as rows of a listing in key order."""
        keys = sorted(self._found)
        found = [self._found[key] for key in keys]
        count = len(found)
        moments = [one.last_modified for one in found]
        columns: dict[str, list[bytes | None]] = {
            "Key": [*keys],
            "Size": [b"%d" % one.size for one in found],
            "ETag": [one.etag.encode() if one.etag else None for one in found],
            "VersionId": [None] * count,  # as of listings without versions: asked for with others
            "LastModified": [f"{one:{_MOMENT}}".encode() if one else None for one in moments],
        }
        for name in ("IsLatest", "StorageClass", "ChecksumAlgorithm", "ChecksumType"):
            columns[name] = [None] * count
        return rows_of(Listed(columns, [False] * count, is_encoded=False), plus=False)

    def _folders(self, keys: Iterable[bytes]) -> set[bytes]:
        found: set[bytes] = set()
        for key in keys:
            at = key.rfind(b"/")
            while at > len(self._prefix) and key[:at] not in found:
                found.add(key[:at])
                at = key.rfind(b"/", 0, at)
        return found


def with_named(
    entries: Iterable[pa.RecordBatch], named: pa.RecordBatch
) -> Iterator[pa.RecordBatch]:
    """Yield entries in path order, with those of `named` among them that were not listed.

    Both have to be in that order.
    """
    waiting: list[bytes] = raw_paths(named).to_pylist()
    done = 0
    for batch in entries:
        if done == len(waiting):
            yield batch
            continue
        paths = raw_paths(batch)
        through, start = paths[len(paths) - 1].as_py(), done
        while done < len(waiting) and waiting[done] <= through:
            done += 1
        here = named.slice(start, done - start)
        listed = set(paths.to_pylist()) if done > start else set()
        lost = kept(here, flag_column(bytes(path not in listed for path in waiting[start:done])))
        yield by_path(joined([batch, lost])) if lost.num_rows else batch
    if done < len(waiting):
        yield named.slice(done)
