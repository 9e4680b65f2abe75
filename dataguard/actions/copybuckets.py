"""Copies of gold in buckets: found by size and etag; only what these leave open is read."""

from __future__ import annotations

import os
from collections import deque
from dataclasses import field
from typing import TYPE_CHECKING

from dataguard.actions.copyfindings import findings_of_copies
from dataguard.actions.goldetags import GoldRow, gold_etags, has_digest_etags, is_digest
from dataguard.actions.objectplaces import access_of
from dataguard.actions.resolution import is_readable
from dataguard.core.columns import flag_column, numbers
from dataguard.core.copyaccount import account
from dataguard.core.kernels import kept
from dataguard.core.numeric import np
from dataguard.core.objectplaces import bucket_of, is_objects, normal_place, prefix_of
from dataguard.core.objectsigns import etag_marks
from dataguard.engines.fitted import fit
from dataguard.errors import DeniedError, NotFoundError, StoreUnreachableError
from dataguard.model.copies import (
    CopiesResult,
    Copy,
    CopyKind,
    ListedPath,
    SkippedPlace,
)
from dataguard.model.dataclass import dataclass
from dataguard.model.dataset import LocationState
from dataguard.model.digest import Algorithm
from dataguard.model.entry import Obstacle, Unreadable
from dataguard.model.medium import Medium
from dataguard.model.objects import Pin, Versioning
from dataguard.stores.manifestrows import paths_at
from dataguard.stores.objectclient import ObjectClient
from dataguard.stores.objectfolders import NamedFolders
from dataguard.stores.objectprobe import probe
from dataguard.stores.objectread import ObjectUnit, Read, has_checksum, read_unit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pyarrow as pa

    from dataguard.actions.context import Context
    from dataguard.actions.goldetags import GoldEtags
    from dataguard.core.goldindex import GoldIndex
    from dataguard.core.wantedsizes import Sizes

__all__ = ["copies_in_buckets"]

_ROWS = 128
_BYTES = 32 << 20


def copies_in_buckets(
    ctx: Context,
    places: tuple[str, ...],
    index: GoldIndex,
    sizes: Sizes,
    *,
    expired: Callable[[], bool],
) -> CopiesResult:
    """Return the copies of gold below some prefixes; what lies in a location of gold is left out.

    Raises:
        CatalogDamagedError: a manifest is damaged.
        NotFoundError: there is no such bucket, or nothing below a prefix.
        UsageError: a place is no bucket, or the extra is not installed.
    """
    wanted = tuple(dict.fromkeys(_outermost([normal_place(place) for place in places])))
    etags = gold_etags(ctx, index)
    fit(ctx.engine, Medium.UNKNOWN)
    searches = []
    for place in wanted:
        one = _Search(ctx, place, index, etags, sizes, expired)
        searches.append(one)
        one.run()
    return _result(ctx, index, searches)


def _outermost(places: list[str]) -> Iterator[str]:
    for one in places:
        if not any(one != other and one.startswith(other + "/") for other in places):
            yield one


@dataclass(slots=True)
class _Repeat:
    """One key that repeats gold: in how many of its versions, and what shows that."""

    row: GoldRow
    size: int
    version_id: str | None
    by: str
    versions: int = 0
    current: bool = False


@dataclass(slots=True)
class _Candidate:
    """One version of a key, of a size that occurs in gold."""

    pin: Pin
    mark: int
    is_latest: bool


@dataclass(slots=True)
class _Search:
    """One prefix on its way: what was listed, what is a copy, what could not be read."""

    ctx: Context
    place: str
    index: GoldIndex
    etags: GoldEtags
    sizes: Sizes
    expired: Callable[[], bool]
    scanned: int = 0
    candidates: int = 0
    read: int = 0
    read_bytes: int = 0
    complete: bool = True
    repeats: dict[bytes, _Repeat] = field(default_factory=dict)
    unreadable: list[Unreadable] = field(default_factory=list)
    skipped: list[SkippedPlace] = field(default_factory=list)
    _gold: tuple[bytes, ...] = ()
    _digests: bool | None = None
    _all_versions: bool = False
    _by_checksum: bool = False

    def run(self) -> None:
        """Look through the prefix; what the server refuses in the middle is a gap."""
        client = ObjectClient(access_of(self.ctx, self.place))
        try:
            self._gold = self._gold_prefixes(client)
            if not prefix_of(self.place).startswith(self._gold):
                self._look(client)
        except DeniedError as err:
            self._fail(Obstacle.DENIED, err.message)
        except StoreUnreachableError as err:
            self._fail(Obstacle.IO_ERROR, err.message)
        finally:
            client.close()

    def _look(self, client: ObjectClient) -> None:
        able = probe(client, prefix_of(self.place))
        self._all_versions = able.versions_listed and able.ordered
        if not self._all_versions and able.versioning is not Versioning.OFF:
            reason = "older versions of its keys: the server does not list them reliably"
            self.skipped.append(SkippedPlace(self.place.encode(), reason))
        algorithms = self.index.algorithms or (Algorithm.XXH3_128,)
        held: deque[list[_Candidate]] = deque()
        self._by_checksum = has_checksum(algorithms, able.checksums)
        units = self._units(client, algorithms, held)
        for _, read in self.ctx.engine.map(read_unit, units):
            self._take(held.popleft(), read, algorithms)

    def _fail(self, obstacle: Obstacle, message: str) -> None:
        self.unreadable.append(Unreadable(self.place.encode(), obstacle, message))
        self.complete = False

    def _gold_prefixes(self, client: ObjectClient) -> tuple[bytes, ...]:
        """Return the prefixes of gold in this bucket; what lies there is the original."""
        found = []
        for one in self.ctx.catalog.active_locations():
            if not is_objects(one.place) or bucket_of(one.place) != client.access.bucket:
                continue
            if access_of(self.ctx, one.place).endpoint == client.access.endpoint:
                found.append(prefix_of(one.place))
                reason = f"the location of {one.dataset}@{one.version}"
                if (one.place + "/").startswith(self.place + "/") or (self.place + "/").startswith(
                    one.place + "/"
                ):
                    self.skipped.append(SkippedPlace(one.place.encode(), reason))
        return tuple(dict.fromkeys(found))

    def _units(
        self,
        client: ObjectClient,
        algorithms: tuple[Algorithm, ...],
        held: deque[list[_Candidate]],
    ) -> Iterator[ObjectUnit]:
        """Yield what has to be read; what etags tell is taken note of on the way."""
        waiting: list[_Candidate] = []
        size = 0
        for one in self._suspects(client):
            if waiting and (len(waiting) == _ROWS or size + one.pin.size > _BYTES):
                held.append(waiting)
                yield self._unit(client, waiting, algorithms)
                waiting, size = [], 0
            waiting.append(one)
            size += one.pin.size
        if waiting:
            held.append(waiting)
            yield self._unit(client, waiting, algorithms)

    def _unit(
        self,
        client: ObjectClient,
        waiting: Sequence[_Candidate],
        algorithms: tuple[Algorithm, ...],
    ) -> ObjectUnit:
        pins = tuple(one.pin for one in waiting)
        return ObjectUnit(client.access, b"", pins, algorithms, self._by_checksum)

    def _pages(self, client: ObjectClient) -> Iterator[pa.RecordBatch]:
        prefix = prefix_of(self.place)
        if self._all_versions:
            yield from client.list_versions(prefix)
            return
        folders = NamedFolders(client, prefix)
        for page in client.list_current(prefix):
            folders.look(page)
            yield page
        yield folders.rows()

    def _suspects(self, client: ObjectClient) -> Iterator[_Candidate]:
        for page in self._pages(client):
            if self.expired():
                self.complete = False
                return
            for one in self._wanted(page):
                gold = self.etags.find(one.mark, one.pin.size)
                if gold is not None:
                    self._note(one, gold, "etag")
                elif self._is_open(client, one.pin):
                    yield one

    def _wanted(self, page: pa.RecordBatch) -> Iterator[_Candidate]:
        """Yield the versions of a page that have a size of gold, and do not lie in gold."""
        if not page.num_rows:
            return
        is_object = ~numbers(page.column("is_delete_marker"))
        page = page if is_object.all() else kept(page, flag_column(bytes(is_object)))
        keys = page.column("key").to_pylist()
        outside = np.fromiter((not key.startswith(self._gold) for key in keys), bool, len(keys))
        self.scanned += int(outside.sum())
        rows = np.flatnonzero(self.sizes.wanted(numbers(page.column("size"))) & outside).tolist()
        self.candidates += len(rows)
        names = ("version_id", "etag", "size", "is_latest")
        versions, etags, sizes, latest = (page.column(name).to_pylist() for name in names)
        marks = etag_marks([etags[row] for row in rows]).tolist() if rows else []
        for row, mark in zip(rows, marks, strict=True):
            pin = Pin(keys[row], versions[row], etags[row], sizes[row])
            yield _Candidate(pin, mark, latest[row] is not False)

    def _is_open(self, client: ObjectClient, pin: Pin) -> bool:
        """Whether another etag than gold's does not prove another content."""
        if not is_digest(pin.etag) or self.etags.is_unknown(pin.size):
            return True
        if self._digests is None:
            try:
                self._digests = has_digest_etags(client, pin)
            except (DeniedError, NotFoundError):
                self._digests = False
        return not self._digests

    def _take(
        self, asked: Sequence[_Candidate], read: Read, algorithms: tuple[Algorithm, ...]
    ) -> None:
        self.read += read.files_read
        self.read_bytes += read.bytes_read
        self.ctx.progress.advance(len(asked), read.bytes_read)
        for gap in read.unreadable:
            if gap.obstacle is not Obstacle.VANISHED:
                path = f"s3://{bucket_of(self.place)}/".encode() + gap.path
                self.unreadable.append(Unreadable(path, gap.obstacle, gap.detail))
                self.complete = False
        known = np.flatnonzero(np.frombuffer(read.known, np.uint8))
        sizes = np.array([asked[row].pin.size for row in known.tolist()], np.int64)
        for algorithm, digests in zip(algorithms, read.digests, strict=True):
            words = np.frombuffer(digests, np.uint64).reshape(len(asked), -1)[known]
            hits = self.index.find(algorithm, sizes, words)
            firsts, at = np.unique(hits.queries, return_index=True)
            for query, hit in zip(firsts.tolist(), at.tolist(), strict=True):
                gold = GoldRow(int(hits.versions[hit]), int(hits.rows[hit]))
                self._note(asked[int(known[query])], gold, str(algorithm))

    def _note(self, one: _Candidate, gold: GoldRow, by: str) -> None:
        pin = one.pin
        found = self.repeats.get(pin.key)
        if found is None:
            found = self.repeats[pin.key] = _Repeat(gold, pin.size, pin.version_id, by)
        elif not self._all_versions:  # the name of a folder, listed and asked for
            return
        found.versions += 1
        found.current = found.current or one.is_latest


def _result(ctx: Context, index: GoldIndex, searches: Sequence[_Search]) -> CopiesResult:
    copies = sorted(_copies(ctx, index, searches), key=lambda one: one.path)
    places = [one.place for one in searches]

    def place_of(path: bytes) -> str:
        text = os.fsdecode(path)
        return next(place for place in places if text.startswith(place + "/"))

    return CopiesResult(
        complete=all(one.complete for one in searches),
        places=tuple(ListedPath(place.encode()) for place in places),
        copies=tuple(copies),
        folders=(),
        groups=(),
        account=account(copies, {}, place_of, ctx.clock()),
        bytes=sum(one.bytes for one in copies),
        reclaimable=sum(one.reclaimable for one in copies),
        scanned=sum(one.scanned for one in searches),
        candidates=sum(one.candidates for one in searches),
        read=sum(one.read for one in searches),
        read_bytes=sum(one.read_bytes for one in searches),
        gold_files=index.files,
        skipped=tuple(gap for one in searches for gap in one.skipped),
        unreadable=tuple(gap for one in searches for gap in one.unreadable),
        findings=findings_of_copies(ctx, copies),
    )


def _copies(ctx: Context, index: GoldIndex, searches: Sequence[_Search]) -> Iterator[Copy]:
    found = [
        (f"s3://{bucket_of(search.place)}/".encode() + key, one)
        for search in searches
        for key, one in search.repeats.items()
    ]
    for number, version in enumerate(index.versions):
        own = [(path, one) for path, one in found if one.row.version == number]
        if not own:
            continue
        manifest = ctx.manifests.manifest_path(version.root)
        entries = paths_at(manifest, [one.row.row for _, one in own])
        home = _home(ctx, version.dataset, version.number)
        for (path, one), entry in zip(own, entries, strict=True):
            evidence: dict[str, object] = {
                "proved_by": one.by,
                "versions": one.versions,
                "current": one.current,
            }
            if one.version_id is not None:
                evidence["version_id"] = one.version_id
            yield Copy(
                path=path,
                kind=CopyKind.EXACT,
                dataset=version.dataset,
                version=version.number,
                entry=entry,
                original=None if home is None else home + entry,
                bytes=one.size,
                reclaimable=one.size * one.versions,
                evidence=evidence,
            )


def _home(ctx: Context, dataset: str, number: int) -> bytes | None:
    """Return where a version lies, in a bucket before directories, with a slash at the end."""
    active = [
        one
        for one in ctx.catalog.locations(dataset, number)
        if one.state is LocationState.ACTIVE and is_readable(one, ctx.actor.host)
    ]
    active.sort(key=lambda one: not is_objects(one.place))
    return os.fsencode(active[0].place).rstrip(b"/") + b"/" if active else None
