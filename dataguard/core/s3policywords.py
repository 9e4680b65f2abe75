"""What is said beside a policy for an object store: how to apply it, and what it leaves open."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, assert_never

from dataguard.model.objectpolicy import LockMode, PolicyForm, StoreDialect

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dataguard.model.objectpolicy import BucketPart, PolicyRequest, Retention

__all__ = ["apply_commands", "left_open", "remarks"]

_FILE = "policy.json"
_NAME = "dataguard-gold"
_RETAIN = "put-object-retention --key KEY --version-id VERSION_ID"

_PROOF = "anything, unless the server enforces it: only `dataguard policy verify` proves that"
_BEYOND = (
    "lifecycle rules that are there already: they expire objects on the server's own behalf",
    "reads, and copies of gold to other places",
)
_WAYS_ROUND = {
    StoreDialect.AWS: (
        "the root user of the bucket's account, who can always remove the policy",
        "S3 Batch Operations and replication that run as an exempt role",
    ),
    StoreDialect.CEPH: (
        "system users, radosgw-admin, and whoever reaches the OSDs",
        "users of the same name in another tenant: aws:username has no tenant",
    ),
    StoreDialect.MINIO: (
        "the root credentials of the server, and whoever may administer its users",
        "users, service accounts and groups to which the policy is not attached",
    ),
    StoreDialect.SEAWEEDFS: (
        "whoever reaches the filer, volume or master ports: they do not ask for policies",
    ),
}
_LOCK_LEAVES = (
    "a new version over a locked object: whoever reads without a version id gets the new bytes",
    "delete markers: the object vanishes from plain listings while its locked version stays",
    "writes of new keys below the prefix",
)


def left_open(request: PolicyRequest) -> tuple[str, ...]:
    """Return what the policy does not stop."""
    match request.form:
        case PolicyForm.OBJECT_LOCK:
            return (*_LOCK_LEAVES, *_lock_ends(request.retention), _PROOF)
        case PolicyForm.IAM_POLICY:
            whom: tuple[str, ...] = ("identities to which it is not attached",)
        case PolicyForm.BUCKET_POLICY if set(request.controlling) == set(request.exempt):
            whom = ("the exempt, who may write gold, remove this policy and suspend versioning",)
        case PolicyForm.BUCKET_POLICY:
            whom = ("the exempt, who may write gold; the admins, who may remove this policy",)
        case _:
            assert_never(request.form)
    return (*whom, *_WAYS_ROUND[request.dialect], *_BEYOND, _PROOF)


def remarks(request: PolicyRequest, *, widened: Sequence[BucketPart]) -> tuple[str, ...]:
    """Return what is to be known before it is applied."""
    said = [
        f"in {part.place} a character that means something in policies stands for any one character"
        for part in widened
    ]
    if request.form is PolicyForm.BUCKET_POLICY:
        last = "the account's root user alone" if request.dialect is StoreDialect.AWS else "nobody"
        who = ", ".join(request.controlling)
        said.append("it replaces the bucket's policy: put statements that are there into it first")
        said.append(f"unless one of these may change it, {last} can, its admin included: {who}")
    if request.form is PolicyForm.OBJECT_LOCK:
        said.append("object lock needs versioning, and some servers take it at creation only")
    return tuple(said)


def apply_commands(request: PolicyRequest, document: Mapping[str, object]) -> tuple[str, ...]:
    """Return the commands that apply a document saved as policy.json, and prove it."""
    to = f" --endpoint-url {shlex.quote(request.endpoint)}" if request.endpoint else ""
    bucket = shlex.quote(request.parts[0].bucket)
    proof = tuple(
        f"dataguard policy verify {shlex.quote(part.place)} --profile JOB_PROFILE"
        for part in request.parts
    )
    match request.form:
        case PolicyForm.BUCKET_POLICY:
            before = f"aws s3api get-bucket-policy --bucket {bucket}{to}"
            put = f"aws s3api put-bucket-policy --bucket {bucket} --policy file://{_FILE}{to}"
            return (before, put, *proof)
        case PolicyForm.IAM_POLICY:
            return (*_attached(request.dialect, to), *proof)
        case PolicyForm.OBJECT_LOCK:
            return _locked(bucket, document, request.retention, to)
        case _:
            assert_never(request.form)


def _attached(dialect: StoreDialect, to: str) -> tuple[str, ...]:
    if dialect is StoreDialect.MINIO:
        return (
            f"mc admin policy create ALIAS {_NAME} {_FILE}",
            f"mc admin policy attach ALIAS {_NAME} --user JOB_USER",
        )
    put = f"aws iam put-user-policy --user-name JOB_USER --policy-name {_NAME}"
    return (f"{put} --policy-document file://{_FILE}{to}",)


def _locked(
    bucket: str, document: Mapping[str, object], retention: Retention, to: str
) -> tuple[str, ...]:
    """Return commands for the bucket, and the one for an object version that is there already."""
    until = f'{{"Mode":"{str(retention.mode).upper()}","RetainUntilDate":"RETAIN_UNTIL"}}'
    rule = shlex.quote(json.dumps(document, separators=(",", ":")))
    calls = (
        f"put-bucket-versioning --bucket {bucket} --versioning-configuration Status=Enabled",
        f"put-object-lock-configuration --bucket {bucket} --object-lock-configuration {rule}",
        f"{_RETAIN} --bucket {bucket} --retention '{until}'",
    )
    return tuple(f"aws s3api {call}{to}" for call in calls)


def _lock_ends(retention: Retention) -> tuple[str, ...]:
    ends = (
        f"anything, once {retention.days} days have passed since an object was written",
        "deletes of object versions that were there before: each needs a retention of its own",
    )
    if retention.mode is LockMode.GOVERNANCE:
        return ("whoever has s3:BypassGovernanceRetention", *ends)
    return ends
