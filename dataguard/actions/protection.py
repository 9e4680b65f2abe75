"""What is proven to keep this process from writing gold in object stores."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dataguard.core.objectplaces import bucket_of
from dataguard.errors import DeniedError, UsageError
from dataguard.model.canary import Protection
from dataguard.model.objects import ObjectPlace

if TYPE_CHECKING:
    from dataguard.actions.context import Context
    from dataguard.model.canary import CanaryRecord
    from dataguard.model.dataset import Location
    from dataguard.stores.s3identity import Identity

__all__ = ["found_protection", "recorded_place"]


def found_protection(ctx: Context, location: Location) -> Protection:
    """Return what is recorded of canary writes with the credential that a job here would have.

    Nothing is written, and nobody is asked but for the role of temporary keys; where there is no
    record at all nobody looks for credentials.
    """
    place = location.place
    records = ctx.catalog.canaries(place)
    if not records:
        return Protection(place, None)
    try:
        identity = _identity(ctx, place)
        known = identity.caller(os.environ, ask=False).credential
    except (DeniedError, UsageError) as err:
        return Protection(place, None, err.message)
    return Protection(place, _newest(records, identity.access.endpoint, known))


def recorded_place(ctx: Context, place: str) -> ObjectPlace | None:
    """Return how the bucket of a place is reached, as its locations recorded it."""
    known = (one.objects for one in ctx.catalog.locations_at(place) if one.objects is not None)
    return next(known, None)


def _identity(ctx: Context, place: str) -> Identity:
    from dataguard.stores.s3access import access_to  # noqa: PLC0415  only where a bucket is at hand
    from dataguard.stores.s3identity import ordinary_identity  # noqa: PLC0415  as above

    access = access_to(bucket_of(place), ObjectPlace(), recorded_place(ctx, place), os.environ)
    return ordinary_identity(access)


def _newest(
    records: tuple[CanaryRecord, ...], endpoint: str, credential: str
) -> CanaryRecord | None:
    """Return the newest record of a credential at a server; what others proved is no proof."""
    for one in records:
        if (one.endpoint, one.caller.credential) == (endpoint, credential):
            return one
    return None
