"""Places in object stores: how they are reached, and their stores."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dataguard.actions.protection import recorded_place
from dataguard.core.objectplaces import bucket_of, prefix_of
from dataguard.engines.fitted import fit
from dataguard.engines.serial import SerialEngine
from dataguard.errors import PolicyError
from dataguard.model.medium import Medium
from dataguard.model.objects import ObjectPlace, Versioning
from dataguard.model.policy import Wanted
from dataguard.stores.local import exclusion
from dataguard.stores.objectclient import ObjectClient
from dataguard.stores.objectprobe import probe
from dataguard.stores.objects import ObjectStore
from dataguard.stores.s3access import Access, access_to
from dataguard.stores.s3credentials import check_extra

if TYPE_CHECKING:
    from dataguard.actions.context import Context
    from dataguard.model.dataset import Location

__all__ = ["access_of", "look_at", "open_objects", "store_at"]


def access_of(ctx: Context, place: str, asked: ObjectPlace | None = None) -> Access:
    """Return how the bucket of a place is reached: as asked, as configured, as recorded.

    Raises:
        UsageError: an endpoint is no URL of one, or the extra is not installed.
    """
    return _access(place, asked, recorded_place(ctx, place))


def look_at(ctx: Context, place: str, asked: ObjectPlace | None) -> ObjectPlace:
    """Return how a bucket is reached and what it does, found out now by looking.

    Raises:
        NotFoundError: there is no such bucket, or nothing below the prefix.
        PolicyError: the policy requires versions, and the bucket keeps none.
        StoreUnreachableError: the server does not answer, or denies it.
        UsageError: as `access_of`.
    """
    access = access_of(ctx, place, asked)
    client = ObjectClient(access)
    try:
        found = probe(client, prefix_of(place))
    finally:
        client.close()
    required = ctx.policy.objects.versioning is Wanted.REQUIRED
    if required and found.versioning is not Versioning.ENABLED:
        raise PolicyError(
            f"the policy `{ctx.policy.name}` requires versioned buckets; versioning of "
            f"s3://{access.bucket} is {found.versioning}",
            hint="aws s3api put-bucket-versioning --versioning-configuration Status=Enabled "
            f"--bucket {access.bucket}",
        )
    return ObjectPlace(
        endpoint=access.endpoint,
        region=client.region,
        profile=access.profile,
        anonymous=access.anonymous,
        requester_pays=access.requester_pays,
        capabilities=found,
    )


def open_objects(
    ctx: Context,
    place: str,
    exclude: tuple[str, ...] = (),
    *,
    found: ObjectPlace | None = None,
    by_checksum: bool = False,
) -> ObjectStore:
    """Return the store of a place in an object store.

    `found` is what was just looked at; else what was recorded counts. With `by_checksum` objects
    whose digest the server keeps are not read.

    Raises:
        UsageError: as `access_of`; or a pattern is not valid.
    """
    fit(ctx.engine, Medium.UNKNOWN)  # each worker has many requests under way: one a core
    recorded = recorded_place(ctx, place)
    able = found or recorded or ObjectPlace()
    return ObjectStore(
        place,
        _access(place, found, recorded),
        able.capabilities,
        spread=ctx.engine.map,
        sorting=os.path.join(ctx.settings.home.value, "state"),
        excluded=exclusion(exclude),
        by_checksum=by_checksum,
    )


def store_at(ctx: Context, location: Location, exclude: tuple[str, ...]) -> ObjectStore:
    """Return the store of a location for a thread of its own: asks no catalog and no engine.

    Raises:
        UsageError: as `access_of`; or a pattern is not valid.
    """
    recorded = location.objects or ObjectPlace()
    return ObjectStore(
        location.place,
        _access(location.place, None, recorded),
        recorded.capabilities,
        spread=SerialEngine().map,
        sorting=os.path.join(ctx.settings.home.value, "state"),
        excluded=exclusion(exclude),
    )


def _access(place: str, asked: ObjectPlace | None, recorded: ObjectPlace | None) -> Access:
    check_extra()
    return access_to(bucket_of(place), asked or ObjectPlace(), recorded, os.environ)
