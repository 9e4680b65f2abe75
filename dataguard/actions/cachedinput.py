"""Whether a job that reads from the node cache reads its version: the cache's files, not gold's."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from dataguard.actions.cachedtree import tree_at
from dataguard.actions.cacheplaces import cache_for
from dataguard.actions.comparison import Comparison
from dataguard.core.columns import raw_paths
from dataguard.errors import CatalogDamagedError
from dataguard.model.audit import AuditLevel
from dataguard.model.cache import Wanted
from dataguard.model.finding import Code, Finding
from dataguard.model.span import WHOLE
from dataguard.stores.sightings import Sightings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    import pyarrow as pa

    from dataguard.actions.context import Context
    from dataguard.model.dataset import Location, Version
    from dataguard.stores.nodecache import NodeCache

__all__ = ["compare_cached"]


def compare_cached(ctx: Context, version: Version, location: Location) -> Comparison:
    """Compare the contents that a mount from the cache shows with what they were when verified.

    A file that changed since it was filled, or went, is a finding. Nothing is read: names, sizes
    and times are those of the image, which nobody can write.

    Raises:
        ConfigurationError: the settings of the cache make no sense.
        StoreUnreachableError: the cache cannot be looked at.
    """
    started = ctx.clock()
    found, damage = Sightings(), None
    with closing(cache_for(ctx, version.dataset)) as cache:
        shown = tree_at(ctx, cache, version.dataset, version.number, location.place)
        try:
            for path in _wrong(cache, shown.rows(ctx), version):
                found.add(_finding(ctx, version, path, started))
        except CatalogDamagedError as err:
            found, damage = Sightings(), err
    return Comparison(
        version=version,
        location=location,
        level=AuditLevel.QUICK,
        span=WHOLE,
        started=started,
        baseline=True,
        checked_files=version.files,
        checked_bytes=0,
        findings=found,
        unreadable=(),
        damage=damage,
    )


def _wrong(
    cache: NodeCache, batches: Iterator[pa.RecordBatch], version: Version
) -> Iterator[bytes]:
    """Yield the files whose content in the cache is not as it was when it was verified."""
    for batch in batches:
        paths = raw_paths(batch).to_pylist()
        columns = (batch.column(name).to_pylist() for name in ("kind", "size", "digest"))
        rows = zip(paths, *columns, strict=True)
        files = [
            (path, Wanted(version.algorithm, digest, size))
            for path, kind, size, digest in rows
            if kind == "f" and size
        ]
        there = cache.paths_of(wanted for _, wanted in files)
        yield from (path for (path, _), at in zip(files, there, strict=True) if at is None)


def _finding(ctx: Context, version: Version, path: bytes, moment: datetime) -> Finding:
    code = Code.DG101
    return Finding(
        code=code,
        severity=ctx.policy.severity_of(code),
        path=path,
        message="its copy in the node cache is not what was verified: unmount, then mount it again",
        first_seen=moment,
        last_seen=moment,
        dataset=version.dataset,
        version=version.number,
        evidence={"source": "node cache"},
    )
