"""`audit --batch-job`: the description of a job that has S3 read pinned versions where they lie."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.actions.footprint import gold_of, refuse_written
from dataguard.core.batchjob import (
    JOB,
    MANIFEST,
    checksum_of,
    job_commands,
    job_document,
    job_remarks,
)
from dataguard.core.objectplaces import bucket_of, is_objects, normal_place, prefix_of
from dataguard.core.paths import is_inside
from dataguard.errors import NotFoundError, PolicyError, UsageError
from dataguard.model.batchjob import BatchJob
from dataguard.model.dataclass import dataclass
from dataguard.model.dataset import LocationState
from dataguard.model.objects import ObjectPlace
from dataguard.model.reference import Reference
from dataguard.stores.batchfiles import check_target, new_directory, write_manifest, write_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    import pyarrow as pa

    from dataguard.actions.context import Context
    from dataguard.model.batchjob import BatchManifest, BatchRequest
    from dataguard.model.dataset import Location, Version

__all__ = ["describe_job"]


def describe_job(
    ctx: Context, reference: str, request: BatchRequest, *, dry_run: bool = False
) -> BatchJob:
    """Write what S3 Batch Operations need to compute the checksums of a version's objects.

    A new directory, complete or absent, with the list of exactly the pinned versions and the job.
    No request is made, to S3 or to anybody.

    Raises:
        CatalogDamagedError: the manifest or its sheet cannot be trusted.
        ConflictError: the directory is there.
        NotFoundError: the reference means nothing, or its version lies in no bucket now.
        PolicyError: a file, or the report of the job, would lie in gold.
        UsageError: the version is not pinned there, S3 computes no such digest, the role is none,
            or the files cannot be written.
    """
    version = ctx.catalog.resolve(Reference.parse(reference))
    checksum_of(version)
    source = _chosen(ctx, version)
    location = source.location
    wanted = replace(
        request,
        directory=os.path.abspath(request.directory),
        place=_outside(ctx, request.place) if request.place else "",
    )
    refuse_written(ctx, "the job", wanted.directory)
    check_target(wanted.directory)
    now = ctx.clock()
    if dry_run:
        return _described(wanted, source, None, now)
    with new_directory(
        wanted.directory, lambda: refuse_written(ctx, "the job", wanted.directory)
    ) as draft:
        manifest = write_manifest(
            os.path.join(draft, MANIFEST),
            bucket_of(location.place),
            prefix_of(location.place),
            _entries(ctx, version, location),
        )
        job = _described(wanted, source, manifest, now)
        write_text(os.path.join(draft, JOB), json.dumps(job.document, indent=2) + "\n")
    return job


@dataclass(frozen=True, slots=True)
class _Source:
    """A version at the location whose objects are meant; `others` are where it lies besides."""

    version: Version
    location: Location
    others: tuple[str, ...]


def _chosen(ctx: Context, version: Version) -> _Source:
    """Return where a job finds the objects: at AWS if any location is there."""
    there = [
        one
        for one in ctx.catalog.locations(version.dataset, version.number)
        if one.state is LocationState.ACTIVE and is_objects(one.place)
    ]
    if not there:
        raise NotFoundError(
            f"{version.reference} lies in no bucket now",
            hint=f"`dataguard show {version.reference}` tells where it is",
        )
    pinned = [one for one in there if _how(one).pinned]
    if not pinned:
        raise UsageError(
            f"{there[0].place} is {_how(there[0]).pinned_words}: a job could not name what was "
            "registered",
            hint=f"dataguard audit {version.reference} --level 4",
        )
    chosen = min(pinned, key=lambda one: bool(_how(one).endpoint))
    return _Source(version, chosen, tuple(one.place for one in there if one is not chosen))


def _how(location: Location) -> ObjectPlace:
    return location.objects or ObjectPlace()


def _outside(ctx: Context, written: str) -> str:
    """Return the place of a job's own files, which is not in gold.

    Raises:
        PolicyError: it is.
        UsageError: it is no place in a bucket.
    """
    place = normal_place(written)
    for area in gold_of(ctx.catalog):
        if is_inside(place, area.place):
            raise PolicyError(
                f"the report {place} is inside gold: `{area.place}` is {area.source}",
                hint="--batch-place s3://BUCKET/PREFIX outside of gold",
            )
    return place


def _entries(ctx: Context, version: Version, location: Location) -> Iterator[pa.RecordBatch]:
    if location.sheet is None:
        raise UsageError(
            f"{location.place}: it is not recorded what pins its objects",
            hint="register the location again",
        )
    return ctx.manifests.read_with_sheet(version.root, version.algorithm, location.sheet)


def _described(
    request: BatchRequest, source: _Source, manifest: BatchManifest | None, now: datetime
) -> BatchJob:
    version, location = source.version, source.location
    how = _how(location)
    others = tuple(f"another location is not in it: {place}" for place in source.others)
    return BatchJob(
        dataset=version.dataset,
        version=version.number,
        root=str(version.root),
        location=location.place,
        checksum=checksum_of(version),
        objects=version.files if manifest is None else manifest.objects,
        bytes=version.bytes,
        manifest=os.path.join(request.directory, MANIFEST),
        manifest_size=None if manifest is None else manifest.size,
        manifest_md5=None if manifest is None else manifest.md5,
        job=os.path.join(request.directory, JOB),
        made=now,
        document=job_document(request, version, location.place, manifest, now),
        remarks=(*job_remarks(request, manifest, how.endpoint), *others),
        apply=job_commands(request, how.region),
        dry_run=manifest is None,
    )
