"""Policies for object stores: whom they deny what, by a naive reader of policies."""

from __future__ import annotations

import re
from dataclasses import replace
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguard.core.s3policy import bucket_part, key_pattern, policy_export
from dataguard.errors import UsageError
from dataguard.model.objectpolicy import (
    BucketPart,
    LockMode,
    PolicyForm,
    PolicyRequest,
    Retention,
    StoreDialect,
)

ROLE = "arn:aws:iam::111122223333:role/dataguard-registrar"
ADMIN = "arn:aws:iam::111122223333:role/dataguard-admin"
PART = BucketPart("data", "gold/faces")
NAMED = {StoreDialect.CEPH: "registrar", StoreDialect.SEAWEEDFS: "registrar"}
WRITES = (
    *("s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutObjectTagging"),
    *("s3:PutObjectAcl", "s3:PutObjectRetention", "s3:BypassGovernanceRetention"),
    *("s3:AbortMultipartUpload", "s3:RestoreObject"),
)
CONTROLS = (
    *("s3:PutBucketPolicy", "s3:DeleteBucketPolicy", "s3:PutBucketVersioning", "s3:DeleteBucket"),
    *("s3:PutLifecycleConfiguration", "s3:PutBucketAcl", "s3:PutReplicationConfiguration"),
    *("s3:PutBucketObjectLockConfiguration", "s3:PutBucketOwnershipControls"),
)
READS = ("s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket", "s3:GetBucketPolicy")


def matches(pattern, text):
    """Patterns as the specification of policies has them: `*` and `?` alone mean something."""
    parts = ("." if c == "?" else ".*" if c == "*" else re.escape(c) for c in pattern)
    return re.fullmatch("".join(parts), text, re.DOTALL) is not None


def denied(document, who, action, resource):
    """Whether a statement denies it; `who` are the condition keys that a request has."""
    return any(
        any(matches(a, action) for a in one["Action"])
        and any(matches(r, resource) for r in one["Resource"])
        and all(
            not any(fnmatchcase(who.get(key, ""), p) for p in values)
            for operator in one.get("Condition", {}).values()
            for key, values in operator.items()
        )
        for one in document["Statement"]
    )


def bucket_policy(dialect, parts, **options):
    return policy_export(_request(PolicyForm.BUCKET_POLICY, dialect, parts, options))


def iam_policy(dialect, parts, **options):
    return policy_export(_request(PolicyForm.IAM_POLICY, dialect, parts, options))


def object_lock(dialect, parts, retention):
    request = _request(PolicyForm.OBJECT_LOCK, dialect, parts, {})
    return policy_export(replace(request, retention=retention))


def _request(form, dialect, parts, options):
    given = {key: tuple(value) for key, value in options.items()}
    return PolicyRequest(form, dialect, tuple(parts), **given)


def exported(dialect, **options):
    return bucket_policy(dialect, [PART], exempt=[NAMED.get(dialect, ROLE)], **options).document


def identity(name, arn=None):
    return {
        "aws:username": name,
        "aws:PrincipalArn": arn or f"arn:aws:iam::111122223333:user/{name}",
    }


APPLIED = (StoreDialect.AWS, StoreDialect.CEPH, StoreDialect.SEAWEEDFS)


@pytest.mark.parametrize("dialect", APPLIED)
def test_everybody_but_the_exempt_is_denied_writes_and_settings(dialect):
    document = exported(dialect)
    registrar = identity("registrar", ROLE)
    for who in (identity("trainer"), {}, {"aws:PrincipalArn": ADMIN}):
        for action in WRITES:
            assert denied(document, who, action, "arn:aws:s3:::data/gold/faces/a"), action
        for action in CONTROLS:
            assert denied(document, who, action, "arn:aws:s3:::data"), action
    for action, resource in (
        *((a, "arn:aws:s3:::data/gold/faces/a") for a in WRITES),
        *((a, "arn:aws:s3:::data") for a in CONTROLS),
    ):
        assert not denied(document, registrar, action, resource)


@pytest.mark.parametrize("dialect", APPLIED)
def test_reads_and_other_prefixes_stay_open(dialect):
    document = exported(dialect)
    trainer = identity("trainer")

    assert not any(denied(document, trainer, a, "arn:aws:s3:::data/gold/faces/a") for a in READS)
    assert not any(denied(document, trainer, a, "arn:aws:s3:::data") for a in READS)
    assert not denied(document, trainer, "s3:PutObject", "arn:aws:s3:::data/gold/faces2/a")
    assert not denied(document, trainer, "s3:PutObject", "arn:aws:s3:::data/outputs/a")


def test_two_are_exempt_also_where_a_negated_operator_holds_for_any_of_its_values():
    """As Ceph 16 reads them: with both names in one list it would deny both."""
    document = bucket_policy(StoreDialect.CEPH, [PART], exempt=["registrar", "admin"]).document
    for name, expected in (("registrar", False), ("admin", False), ("trainer", True)):
        verdicts = [
            all(
                any(value != name for value in one["Condition"][operator]["aws:username"])
                for operator in one["Condition"]
            )
            for one in document["Statement"]
        ]
        assert [expected, expected] == verdicts
    with pytest.raises(UsageError, match="no more"):
        bucket_policy(StoreDialect.CEPH, [PART], exempt=["a", "b", "c"])


def test_admins_alone_change_settings_where_they_are_named():
    document = exported(StoreDialect.AWS, admins=[ADMIN])
    bucket = "arn:aws:s3:::data"

    assert denied(document, identity("r", ROLE), "s3:PutBucketPolicy", bucket)
    assert not denied(document, identity("a", ADMIN), "s3:PutBucketPolicy", bucket)
    assert denied(document, identity("a", ADMIN), "s3:PutObject", f"{bucket}/gold/faces/a")


@given(
    prefix=st.text(st.characters(codec="utf-8"), min_size=1),
    key=st.text(st.characters(codec="utf-8")),
)
def test_pattern_covers_every_key_below_a_prefix(prefix, key):
    assert matches(key_pattern(BucketPart("b", prefix)), f"{prefix}/{key}")
    assert "$" not in key_pattern(BucketPart("b", prefix))


@given(prefix=st.text("ab*?$/{}", max_size=6), other=st.text("ab*?$/{}", max_size=6))
def test_pattern_covers_no_prefix_that_differs_in_an_ordinary_character(prefix, other):
    part = BucketPart("b", prefix)
    ordinary = len(prefix) == len(other) and any(
        a != b and a not in "*?$" for a, b in zip(prefix, other, strict=True)
    )
    if prefix and ordinary:
        assert not matches(key_pattern(part), f"{other}/k")


@given(
    st.text(min_size=1).filter(lambda t: "/" not in t), st.text().filter(lambda t: t[-1:] != "/")
)
def test_places_come_back_as_they_were(bucket, prefix):
    part = BucketPart(bucket, prefix)

    assert bucket_part(part.place) == part


@pytest.mark.parametrize("dialect", APPLIED)
def test_nobody_exempt_is_refused(dialect):
    with pytest.raises(UsageError, match="lock everybody out") as caught:
        bucket_policy(dialect, [PART], exempt=[])

    assert caught.value.hint.startswith("--exempt ")


def test_bucket_policy_is_refused_where_it_is_stored_and_not_applied():
    with pytest.raises(UsageError, match="does not apply it") as caught:
        bucket_policy(StoreDialect.MINIO, [PART], exempt=["registrar"])

    assert "--as iam-policy --dialect minio s3://data/gold/faces" in caught.value.hint


PATTERNS = ("*", "reg*", "registra?", "", "${aws:username}", "a b")


@pytest.mark.parametrize("dialect", list(StoreDialect))
@pytest.mark.parametrize("principal", PATTERNS)
def test_principal_that_could_exempt_more_than_one_is_refused(dialect, principal):
    with pytest.raises(UsageError):
        iam_policy(dialect, [PART], exempt=[principal])


def test_session_is_refused_in_favour_of_its_role():
    session = "arn:aws:sts::111122223333:assumed-role/dataguard-registrar/monday"
    with pytest.raises(UsageError, match="session"):
        bucket_policy(StoreDialect.AWS, [PART], exempt=[session])


def test_arn_of_a_user_is_its_name_where_names_are_compared():
    by_arn = bucket_policy(
        StoreDialect.SEAWEEDFS, [PART], exempt=["arn:aws:iam::000000000000:user/registrar"]
    )

    assert exported(StoreDialect.SEAWEEDFS) == by_arn.document


def test_policy_of_an_identity_denies_it_without_a_condition():
    document = iam_policy(StoreDialect.MINIO, [PART]).document

    assert denied(document, {}, "s3:PutObject", "arn:aws:s3:::data/gold/faces/a")
    assert denied(document, {}, "s3:PutBucketPolicy", "arn:aws:s3:::data")
    assert not any("Principal" in one or "Condition" in one for one in document["Statement"])


def test_several_places_of_one_bucket_share_a_policy_and_of_several_do_not():
    both = [PART, BucketPart("data", "gold/cars")]
    document = bucket_policy(StoreDialect.AWS, both, exempt=[ROLE]).document

    assert denied(document, {}, "s3:PutObject", "arn:aws:s3:::data/gold/cars/a")
    with pytest.raises(UsageError, match="several buckets"):
        bucket_policy(StoreDialect.AWS, [PART, BucketPart("other")], exempt=[ROLE])


@pytest.mark.parametrize("dialect", list(StoreDialect))
def test_every_policy_says_what_it_does_not_stop_and_that_only_a_canary_proves_it(dialect):
    lock = object_lock(dialect, [PART], Retention(LockMode.GOVERNANCE, 30))
    for export in (iam_policy(dialect, [PART]), lock):
        assert "dataguard policy verify" in export.does_not_stop[-1]
        assert len(set(export.does_not_stop)) == len(export.does_not_stop) >= 5
        assert export.apply


def test_lock_says_who_can_end_it_early():
    bypass = "whoever has s3:BypassGovernanceRetention"
    governed, complied = (
        object_lock(StoreDialect.AWS, [PART], Retention(mode, 30)).does_not_stop
        for mode in LockMode
    )

    assert bypass in governed
    assert bypass not in complied
    with pytest.raises(UsageError, match="a day at least"):
        object_lock(StoreDialect.AWS, [PART], Retention(LockMode.GOVERNANCE, 0))
