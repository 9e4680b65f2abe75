"""`policy verify`: canary writes under the credential of a job, the only proof of a protection."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.actions.policyexport import places_of
from dataguard.actions.protection import recorded_place
from dataguard.actions.recording import record_findings
from dataguard.core.canary import credential_hash
from dataguard.core.exemptions import exempted
from dataguard.core.objectplaces import bucket_of
from dataguard.core.s3policy import bucket_part
from dataguard.errors import NotFoundError
from dataguard.model.canary import Caller, CanaryRecord, CanaryState, VerifyResult
from dataguard.model.finding import Code, Finding, FindingState
from dataguard.model.mount import ProbeOutcome
from dataguard.model.objects import ObjectPlace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dataguard.actions.context import Context
    from dataguard.stores.s3access import Access
    from dataguard.stores.s3identity import Identity

__all__ = ["verify"]


def verify(
    ctx: Context,
    written: str,
    environment: Mapping[str, str],
    *,
    asked: ObjectPlace | None = None,
    prefix: str = "",
) -> VerifyResult:
    """Try to write below a place, take back what got through, and record what came of it.

    The credential is that of `asked.profile`, that which the environment holds under `prefix`, or
    else the one that this process would use; in a directory it is this user. What exists is never
    touched. Only what is proven of an object store is recorded.

    Raises:
        DeniedError: there is no such credential.
        NotFoundError: a reference means nothing, or there is no such directory.
        UsageError: the version lies in no object store, or the extra is not installed.
    """
    if _is_path(written):
        return _verified_here(ctx, os.path.abspath(written))
    places = places_of(ctx, written)
    records = tuple(
        _verified(ctx, place, _identity(ctx, place, environment, asked, prefix), environment)
        for place in places
    )
    with ctx.catalog.transaction() as tx:
        for record in records:
            tx.put_canary(record)
    found = tuple(finding for record in records for finding in _findings(ctx, record))
    record_findings(ctx, found)
    for record in records:
        _resolve(ctx, record)
    return VerifyResult(places, records, found)


def _identity(
    ctx: Context,
    place: str,
    environment: Mapping[str, str],
    asked: ObjectPlace | None,
    prefix: str,
) -> Identity:
    from dataguard.stores.s3access import access_to  # noqa: PLC0415  only where a bucket is at hand
    from dataguard.stores.s3identity import (  # noqa: PLC0415  as above
        check_profile,
        named_identity,
        ordinary_identity,
    )

    wanted = asked or ObjectPlace()
    if wanted.profile:
        check_profile(wanted.profile)
    access = access_to(bucket_of(place), wanted, recorded_place(ctx, place), environment)
    if prefix:
        return named_identity(access, environment, prefix)
    return ordinary_identity(access)


def _verified(
    ctx: Context, place: str, identity: Identity, environment: Mapping[str, str]
) -> CanaryRecord:
    from dataguard.actions.bucketpolicy import document_digest  # noqa: PLC0415  for buckets alone
    from dataguard.actions.objectplaces import access_of  # noqa: PLC0415  as above
    from dataguard.stores.bucketcanary import send_canary  # noqa: PLC0415  loads botocore

    access: Access = identity.access
    readers = (replace(access, profile=access_of(ctx, place).profile), access)
    before = document_digest(readers)
    client = identity.client()
    try:
        canary = send_canary(client, bucket_part(place), payer=access.requester_pays)
    finally:
        client.close()
    stood = before if before is not None and before == document_digest(readers) else None
    return CanaryRecord(
        place=place,
        endpoint=access.endpoint,
        caller=identity.caller(environment),
        verified=ctx.clock(),
        probe=canary.probe,
        actor=ctx.actor,
        left=canary.left,
        policy=stood,
    )


def _is_path(written: str) -> bool:
    return written.startswith(("/", "./", "../")) or written in (".", "..")


def _verified_here(ctx: Context, place: str) -> VerifyResult:
    """Try it as this user on this host, of whom nobody else learns anything by it."""
    from dataguard.mounts.probe import probe_place  # noqa: PLC0415  only for a path

    if not os.path.isdir(place):
        raise NotFoundError(f"no directory {place}", hint="an s3://BUCKET/PREFIX, or a directory")
    who = f"{ctx.actor.user} (uid {ctx.actor.uid}) on {ctx.actor.host}"
    record = CanaryRecord(
        place=place,
        endpoint="",
        caller=Caller(credential_hash(who), who),
        verified=ctx.clock(),
        probe=probe_place(place),
        actor=ctx.actor,
    )
    return VerifyResult((place,), (record,), tuple(_findings(ctx, record)))


def _findings(ctx: Context, record: CanaryRecord) -> Iterator[Finding]:
    """Yield that gold can be written, for each version that lies there."""
    if record.state is not CanaryState.EXPOSED:
        return
    versions = {(one.dataset, one.version) for one in ctx.catalog.locations_at(record.place)}
    if not versions:
        yield _finding(ctx, record, None, None)
    for dataset, version in sorted(versions):
        yield _finding(ctx, record, dataset, version)


def _finding(
    ctx: Context, record: CanaryRecord, dataset: str | None, version: int | None
) -> Finding:
    code, moment = _code(record), record.verified
    passed = [s.operation for s in record.probe.steps if s.result is ProbeOutcome.ALLOWED]
    found = Finding(
        code=code,
        severity=ctx.policy.severity_of(code),
        path=os.fsencode(record.place),
        message=f"{record.caller.name} can write gold there: {', '.join(passed)} got through",
        first_seen=moment,
        last_seen=moment,
        dataset=dataset,
        version=version,
        evidence={
            "caller": record.caller.name,
            "credential": record.caller.credential,
            "endpoint": record.endpoint,
            "allowed": passed,
            "left_behind": list(record.left),
        },
    )
    return exempted(ctx.policy, found)


def _code(record: CanaryRecord) -> Code:
    return Code.DG605 if "://" in record.place else Code.DG402


def _resolve(ctx: Context, record: CanaryRecord) -> None:
    """Resolve what earlier canaries of the same credential found, once all of it is refused."""
    if record.state is not CanaryState.PROTECTED:
        return
    path = os.fsencode(record.place)
    gone = [
        one
        for one in ctx.catalog.findings(states=(FindingState.OPEN,), code=Code.DG605)
        if one.path == path and one.evidence.get("credential") == record.caller.credential
    ]
    if gone:
        with ctx.catalog.transaction() as tx:
            tx.resolve_unseen(gone, "a canary of the same credential was refused")
