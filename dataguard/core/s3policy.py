"""Policies that keep everybody but a few from writing gold in a bucket, as each server reads them.

What is enforced was tried on the servers that `docs/policies.md` lists. A form that a server
stores and ignores is never made for it: the one here fails closed where a server reads it
differently (aws:username is absent for the roles of AWS, so they would be denied, not let through).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dataguard.core.s3policywords import apply_commands, left_open, remarks
from dataguard.errors import UsageError
from dataguard.model.dataclass import dataclass
from dataguard.model.objectpolicy import BucketPart, PolicyExport, PolicyForm, StoreDialect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dataguard.model.objectpolicy import PolicyRequest

__all__ = ["bucket_part", "key_pattern", "policy_export"]

_ARN = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:((user|role)/[\w+=,.@/-]+|root)", re.ASCII)
_NAME = re.compile(r"(?:arn:aws:iam::\w*:user/)?([\w+=,.@-]+)", re.ASCII)
_PLACE = re.compile(r"s3://([^/]+)(?:/(.*))?", re.DOTALL)
_SESSION = ":assumed-role/"

_DATA = ("s3:Put*", "s3:Delete*", "s3:Abort*", "s3:Restore*", "s3:Bypass*")
"""By wildcard, since lists of actions age: what writes, removes, or loosens a lock."""

_CONTROL = ("s3:Put*", "s3:Delete*")
"""On the bucket itself: its policy, versioning, lifecycle, lock, replication, and its end."""

_AWS_DATA = (*_DATA, "s3:Replicate*", "s3:Update*", "s3:ObjectOwnerOverrideToBucketOwner")

# MinIO refuses a policy with a pattern that none of its actions matches, as Restore* and Update*.
_MINIO_DATA = ("s3:Put*", "s3:Delete*", "s3:Abort*", "s3:Bypass*", "s3:Replicate*")
_MINIO_CONTROL = (*_CONTROL, "s3:ForceDelete*")


@dataclass(frozen=True, slots=True)
class _Speech:
    """What a server understands: actions, and the condition that tells the exempt from others.

    `single`: a negated operator holds there where any of its values differs, so that two names in
    one exempt nobody. Then each name has an operator of its own.
    """

    data: tuple[str, ...]
    control: tuple[str, ...]
    operators: tuple[str, ...] = ("StringNotLike",)
    key: str = "aws:username"
    single: bool = False


_SPEECHES = {
    StoreDialect.AWS: _Speech(_AWS_DATA, _CONTROL, ("ArnNotLike",), "aws:PrincipalArn"),
    StoreDialect.CEPH: _Speech(_DATA, _CONTROL, ("StringNotLike", "StringNotEquals"), single=True),
    StoreDialect.MINIO: _Speech(_MINIO_DATA, _MINIO_CONTROL),
    StoreDialect.SEAWEEDFS: _Speech(_DATA, _CONTROL),
}


def bucket_part(place: str) -> BucketPart:
    """Return the part of a bucket that a location names: `bucket_part(p.place) == p`.

    Raises:
        UsageError: it is no `s3://bucket/prefix`.
    """
    found = _PLACE.fullmatch(place)
    if found is None:
        raise UsageError(
            f"{place} is no place in an object store",
            hint="s3://BUCKET/PREFIX, or a dataset in one",
        )
    return BucketPart(found[1], (found[2] or "").removesuffix("/"))


def policy_export(request: PolicyRequest) -> PolicyExport:
    """Return the policy that was asked for, how to apply it, and what it does not stop.

    Raises:
        UsageError: the dialect has no such policies, nobody would be exempt from a bucket policy,
            a principal is not named as the dialect does, places lie in several buckets where one
            policy is for one bucket, or a retention is shorter than a day.
    """
    document = _DOCUMENTS[request.form](request)
    return PolicyExport(
        form=request.form,
        dialect=request.dialect,
        places=tuple(part.place for part in request.parts),
        exempt=request.exempt,
        admins=request.controlling,
        document=document,
        does_not_stop=left_open(request),
        remarks=remarks(request, widened=tuple(p for p in request.parts if _widened(p))),
        apply=apply_commands(request, document),
    )


def key_pattern(part: BucketPart) -> str:
    """Return a pattern of a policy that every key below the prefix matches.

    Characters that mean something in a pattern (`*`, `?`, and `$`, which begins a variable) become
    `?`, one character of any kind: more than the prefix may be denied, never less.
    """
    return re.sub(r"[*?$]", "?", part.below) + "*"


def _bucket_policy(request: PolicyRequest) -> dict[str, object]:
    if request.dialect is StoreDialect.MINIO:
        instead = f"--as {PolicyForm.IAM_POLICY} --dialect minio {request.parts[0].place}"
        raise UsageError(
            "MinIO stores a bucket policy and does not apply it to users who sign in",
            hint=f"dataguard policy export {instead}",
        )
    if not request.exempt:
        raise UsageError(
            "nobody is exempt: the policy would lock everybody out, whoever registers included",
            hint=f"--exempt {_example(request.dialect)}",
        )
    _check_one_bucket(request.parts)
    return _document([{**one, "Principal": "*"} for one in _denials(request)])


def _iam_policy(request: PolicyRequest) -> dict[str, object]:
    """Who is exempt matters only where the policy is attached to a group that they are in."""
    return _document(_denials(request))


def _object_lock(request: PolicyRequest) -> dict[str, object]:
    if request.retention.days < 1:
        raise UsageError("a retention lasts a day at least", hint="--lock-days 365")
    _check_one_bucket(request.parts)
    held = {"Mode": str(request.retention.mode).upper(), "Days": request.retention.days}
    return {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": held}}


_DOCUMENTS = {
    PolicyForm.BUCKET_POLICY: _bucket_policy,
    PolicyForm.IAM_POLICY: _iam_policy,
    PolicyForm.OBJECT_LOCK: _object_lock,
}


def _denials(request: PolicyRequest) -> list[dict[str, object]]:
    """Return what is denied: writes of gold, and changes of the buckets that hold it."""
    speech = _SPEECHES[request.dialect]
    objects = [_resource(f"{part.bucket}/{key_pattern(part)}") for part in request.parts]
    buckets = sorted({_resource(part.bucket) for part in request.parts})
    return [
        _deny("DataguardGold", speech.data, objects)
        | _unless(speech, request.dialect, request.exempt),
        _deny("DataguardBucket", speech.control, buckets)
        | _unless(speech, request.dialect, request.controlling),
    ]


def _widened(part: BucketPart) -> bool:
    return key_pattern(part) != f"{part.below}*"


def _document(statements: list[dict[str, object]]) -> dict[str, object]:
    return {"Version": "2012-10-17", "Statement": statements}


def _deny(sid: str, actions: Sequence[str], resources: Sequence[str]) -> dict[str, object]:
    return {"Sid": sid, "Effect": "Deny", "Action": list(actions), "Resource": list(resources)}


def _unless(speech: _Speech, dialect: StoreDialect, exempt: Sequence[str]) -> dict[str, object]:
    if not exempt:
        return {}
    checked = [_checked(dialect, one) for one in exempt]
    if not speech.single:
        return {"Condition": {speech.operators[0]: {speech.key: checked}}}
    if len(checked) > len(speech.operators):
        raise UsageError(
            f"{dialect} can exempt {len(speech.operators)} users of a policy, and no more",
            hint="let those who register share a user, or make the others --admin",
        )
    pairs = zip(speech.operators, checked, strict=False)
    return {"Condition": {operator: {speech.key: [one]} for operator, one in pairs}}


def _resource(name: str) -> str:
    return f"arn:aws:s3:::{name}"


def _check_one_bucket(parts: Sequence[BucketPart]) -> None:
    buckets = sorted({part.bucket for part in parts})
    if len(buckets) > 1:
        raise UsageError(
            f"the places lie in several buckets: {', '.join(buckets)}",
            hint="export one policy for each bucket",
        )


def _checked(dialect: StoreDialect, principal: str) -> str:
    """Return the one identity that is meant; never a pattern, which could exempt everybody."""
    if dialect is StoreDialect.AWS:
        if _SESSION in principal:
            raise UsageError(
                f"`{principal}` is a session: the policy names its role",
                hint="--exempt arn:aws:iam::ACCOUNT:role/NAME",
            )
        if _ARN.fullmatch(principal) is None:
            raise UsageError(
                f"`{principal}` is not the ARN of a user or role",
                hint=f"--exempt {_example(dialect)}",
            )
        return principal
    named = _NAME.fullmatch(principal)
    if named is None:
        raise UsageError(
            f"`{principal}` is not the name of a user: {dialect} compares names",
            hint=f"--exempt {_example(dialect)}",
        )
    return named[1]


def _example(dialect: StoreDialect) -> str:
    if dialect is StoreDialect.AWS:
        return "arn:aws:iam::111122223333:role/dataguard-registrar"
    return "registrar"
