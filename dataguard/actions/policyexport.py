"""`policy export`: policies that have an object store keep gold from being written."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.actions.protection import recorded_place
from dataguard.core.objectplaces import bucket_of, is_objects, normal_place
from dataguard.core.paths import is_inside
from dataguard.core.s3policy import bucket_part, policy_export
from dataguard.errors import UsageError
from dataguard.model.objectpolicy import PolicyForm, PolicyRequest, StoreDialect
from dataguard.model.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from dataguard.actions.context import Context
    from dataguard.model.objectpolicy import PolicyExport, Retention

__all__ = ["export", "places_of"]


def export(
    ctx: Context,
    form: PolicyForm,
    dialect: StoreDialect | None,
    written: tuple[str, ...],
    *,
    exempt: tuple[str, ...],
    admins: tuple[str, ...],
    retention: Retention,
    endpoint: str = "",
) -> PolicyExport:
    """Return a policy for places in object stores, or for the datasets that lie there.

    Changes nothing, here or in the store.

    Raises:
        NotFoundError: a reference means nothing.
        UsageError: a place is in no object store, or no such policy can be made.
    """
    places = [place for one in written for place in places_of(ctx, one)]
    parts = tuple(bucket_part(place) for place in dict.fromkeys(places))
    server = endpoint or _recorded_endpoint(ctx, places)
    request = PolicyRequest(
        form=form,
        dialect=_dialect(dialect, server),
        parts=parts,
        exempt=exempt,
        admins=admins,
        endpoint=server,
        retention=retention,
    )
    made = policy_export(request)
    missed = tuple(_missed(ctx, places, form))
    return replace(made, remarks=(*made.remarks, *missed))


def places_of(ctx: Context, written: str) -> tuple[str, ...]:
    """Return the places in object stores that are meant: a URL, or where a version lies.

    Raises:
        NotFoundError: a reference means nothing.
        UsageError: the version lies in no object store.
    """
    if "://" in written:
        return (normal_place(written),)
    version = ctx.catalog.resolve(Reference.parse(written))
    found = ctx.catalog.locations(version.dataset, version.number)
    places = tuple(dict.fromkeys(o.place for o in found if is_objects(o.place)))
    if not places:
        raise UsageError(
            f"{version.reference} lies in no object store",
            hint=f"a local source is protected by `dataguard seal {version.reference}`",
        )
    return places


def _recorded_endpoint(ctx: Context, places: Iterable[str]) -> str:
    """Return where the first place was registered; empty for AWS, and where it was not."""
    known = (recorded_place(ctx, place) for place in places)
    return next((one.endpoint for one in known if one is not None), "")


def _dialect(given: StoreDialect | None, endpoint: str) -> StoreDialect:
    """Return the dialect; that of AWS is enforced by AWS, and fails open elsewhere."""
    if given is None and endpoint:
        known = "|".join(StoreDialect)
        raise UsageError(
            f"which policies does {endpoint} enforce? its dialect is needed",
            hint=f"--dialect {known}",
        )
    return given or StoreDialect.AWS


def _missed(ctx: Context, covered: Sequence[str], form: PolicyForm) -> Iterator[str]:
    """Yield what else is gold in these buckets: applying the policy takes theirs away."""
    if form is PolicyForm.OBJECT_LOCK:  # of the whole bucket, wherever gold lies in it
        return
    why = "a bucket has one policy"
    if form is PolicyForm.IAM_POLICY:
        why = "one of the same name is replaced"
    buckets = {bucket_of(place) for place in covered}
    for place in dict.fromkeys(one.place for one in ctx.catalog.active_locations()):
        if not is_objects(place) or bucket_of(place) not in buckets:
            continue
        if not any(is_inside(place, one) for one in covered):
            yield f"gold at {place} is not covered: name it too, {why}"
