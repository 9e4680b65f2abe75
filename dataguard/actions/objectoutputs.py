"""Outputs of runs in buckets: claimed before the job, uploaded after it, complete or absent."""

from __future__ import annotations

import io
import json
import os
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.core.objectoutputs import bucket_in_host
from dataguard.core.objectplaces import bucket_of, is_objects, prefix_of
from dataguard.errors import StoreUnreachableError, UsageError
from dataguard.model.digest import Algorithm
from dataguard.model.objects import ObjectPlace
from dataguard.stores.objectclient import ObjectClient
from dataguard.stores.objectupload import Parcel, Terms
from dataguard.stores.rundirectory import MANIFEST
from dataguard.stores.runobjects import RunObjects
from dataguard.stores.s3access import access_to
from dataguard.stores.s3credentials import check_extra

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dataguard.actions.context import Context
    from dataguard.actions.outputs import Outputs
    from dataguard.model.run import RunOutput
    from dataguard.stores.objectupload import Sent
    from dataguard.stores.rundirectory import RunDirectory
    from dataguard.stores.s3access import Access

__all__ = ["check_reach", "encoded", "objects_of_run", "output_access", "upload", "upload_manifest"]


def output_access(ctx: Context, place: str) -> Access:
    """Return how the bucket of a place for outputs is reached: as configured, as its gold is.

    Raises:
        UsageError: an endpoint is no URL of one, or the extra is not installed.
    """
    check_extra()
    bucket = bucket_of(place)
    return access_to(bucket, ObjectPlace(), _recorded(ctx, bucket), os.environ)


def check_reach(ctx: Context, place: str) -> None:
    """Refuse a place that would be reached by an endpoint which names a bucket of its own.

    What is written to `s3://a/b` by the host of bucket `c` is written to `c`.

    Raises:
        UsageError: so it would; or as `output_access`.
    """
    access = output_access(ctx, place)
    known = [
        bucket_of(one.place) for one in ctx.catalog.active_locations() if is_objects(one.place)
    ]
    found = bucket_in_host(access.endpoint, [access.bucket, *known])
    if found is not None:
        raise UsageError(
            f"the endpoint {access.endpoint} is that of bucket `{found}`: "
            f"cannot tell where {place} is",
            hint="set AWS_ENDPOINT_URL to the endpoint of the server",
        )


@contextmanager
def objects_of_run(ctx: Context, place: str, claim: str, algorithm: str) -> Iterator[RunObjects]:
    """Give the objects at the place of a run.

    Raises:
        UsageError: as `check_reach`.
    """
    check_reach(ctx, place)
    terms = Terms(claim, Algorithm(algorithm), conditional=True, sha256=True)
    with closing(ObjectClient(output_access(ctx, place))) as client:
        yield RunObjects(client, prefix_of(place), terms)


def upload(objects: RunObjects, directory: RunDirectory, outputs: Outputs, place: str) -> Outputs:
    """Upload what a run wrote; returns the same with where it is now.

    Links and empty directories are no objects: they stand in the manifest alone.

    Raises:
        ConflictError: an object is somebody else's, or a file changed since it was hashed.
        DeniedError: these credentials may not write there.
        StoreUnreachableError: the server does not answer, or a file cannot be read.
    """
    with directory.reading() as open_file:
        parcels = [Parcel(objects.key(o.path), o.path, o.size, o.digest) for o in outputs.files]
        sent = objects.upload(parcels, open_file)
    return replace(outputs, files=tuple(_placed(outputs.files, sent, place)))


def upload_manifest(objects: RunObjects, outputs: Outputs, source: str) -> None:
    """Upload the manifest of a run's outputs, unless the job wrote a file of that name.

    Raises:
        DeniedError, StoreUnreachableError: as `upload`.
    """
    name = MANIFEST.encode()
    if any(one.path == name for one in outputs.files):
        return
    try:
        with open(source, "rb") as file:
            data = file.read()
    except OSError as err:
        raise StoreUnreachableError(f"cannot read {source}: {err.strerror}") from err
    parcel = Parcel(objects.key(name), name, len(data), objects.digest(data))
    objects.upload([parcel], lambda _: io.BytesIO(data))


def encoded(record: Mapping[str, object]) -> bytes:
    """Return a record as the bytes of its object."""
    return json.dumps(record, indent=2).encode() + b"\n"


def _placed(files: Iterable[RunOutput], sent: Iterable[Sent], place: str) -> Iterator[RunOutput]:
    for one, there in zip(files, sent, strict=True):
        url = f"{place}/{one.path.decode('utf-8', 'backslashreplace')}"
        yield replace(one, url=url, version_id=there.version_id, etag=there.etag)


def _recorded(ctx: Context, bucket: str) -> ObjectPlace | None:
    """Return how the gold in a bucket is reached, where all of it is reached in one way."""
    found = {
        (one.objects.endpoint, one.objects.region, one.objects.profile)
        for one in ctx.catalog.active_locations()
        if one.objects is not None and bucket_of(one.place) == bucket
    }
    if len(found) != 1:
        return None
    endpoint, region, profile = found.pop()
    return ObjectPlace(endpoint=endpoint, region=region, profile=profile)
