"""What locks and bucket policies stop on the servers of the tests, and what they do not.

"Denied" is never taken from an exception alone: the object is read again.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

GOLD = b"gold"
DAY = timedelta(days=1)


@pytest.fixture
def admin(objectserver):
    with objectserver.client(objectserver.admin) as client:
        yield client


@pytest.fixture
def registrar(objectserver):
    with objectserver.client(objectserver.registrar) as client:
        yield client


@pytest.fixture
def trainer(objectserver):
    with objectserver.client(objectserver.trainer) as client:
        yield client


def get(s3, bucket, key="gold/a", **arguments):
    return s3.get_object(Bucket=bucket, Key=key, **arguments)["Body"].read()


def denied(call, **arguments):
    """Whether this is refused with 403; the code beside it is no standard."""
    try:
        answer = call(**arguments)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 403:
            raise
        return True
    return bool(answer.get("Errors"))


# --- locks --------------------------------------------------------------------------------------


@pytest.fixture
def locked(objectserver, make_bucket):
    return make_bucket(objectserver, locked=True)


@pytest.fixture
def until():
    return (datetime.now(UTC) + 2 * DAY).replace(microsecond=0)


def lock(registrar, bucket, until, mode):
    return registrar.put_object(
        Bucket=bucket,
        Key="gold/a",
        Body=GOLD,
        ObjectLockMode=mode,
        ObjectLockRetainUntilDate=until,
    )["VersionId"]


def retain(client, bucket, version, until, mode, **arguments):
    return denied(
        client.put_object_retention,
        Bucket=bucket,
        Key="gold/a",
        VersionId=version,
        Retention={"Mode": mode, "RetainUntilDate": until},
        **arguments,
    )


def remove(client, bucket, version, **arguments):
    return denied(client.delete_object, Bucket=bucket, Key="gold/a", VersionId=version, **arguments)


def test_bucket_with_a_lock_is_versioned_and_says_both(registrar, locked):
    configuration = registrar.get_object_lock_configuration(Bucket=locked)
    assert "Enabled" == configuration["ObjectLockConfiguration"]["ObjectLockEnabled"]
    assert "Enabled" == registrar.get_bucket_versioning(Bucket=locked)["Status"]


def test_bucket_without_a_lock_says_so(registrar, bucket):
    with pytest.raises(ClientError, match="ObjectLockConfigurationNotFoundError"):
        registrar.get_object_lock_configuration(Bucket=bucket)


@pytest.mark.parametrize("mode", ["GOVERNANCE", "COMPLIANCE"])
def test_locked_version_cannot_be_removed_or_released_early(registrar, locked, until, mode):
    version = lock(registrar, locked, until, mode)
    assert remove(registrar, locked, version)
    assert retain(registrar, locked, version, until - DAY, mode)
    assert GOLD == get(registrar, locked, VersionId=version)
    head = registrar.head_object(Bucket=locked, Key="gold/a", VersionId=version)
    assert (mode, until) == (head["ObjectLockMode"], head["ObjectLockRetainUntilDate"])


def test_governance_gives_way_to_who_may_bypass_it(admin, registrar, locked, until):
    version = lock(registrar, locked, until, "GOVERNANCE")
    bypass = {"BypassGovernanceRetention": True}
    assert not retain(admin, locked, version, until - DAY, "GOVERNANCE", **bypass)
    assert not remove(admin, locked, version, **bypass)
    with pytest.raises(ClientError, match="NoSuch"):
        get(registrar, locked, VersionId=version)


def test_compliance_gives_way_to_nobody_and_only_grows(admin, registrar, locked, until):
    version = lock(registrar, locked, until, "COMPLIANCE")
    bypass = {"BypassGovernanceRetention": True}
    assert retain(admin, locked, version, until - DAY, "COMPLIANCE", **bypass)
    assert retain(admin, locked, version, until, "GOVERNANCE", **bypass)
    assert remove(admin, locked, version, **bypass)
    assert not retain(admin, locked, version, until + DAY, "COMPLIANCE")
    assert GOLD == get(registrar, locked, VersionId=version)


def test_legal_hold_keeps_a_version_until_it_is_lifted(admin, registrar, locked):
    version = registrar.put_object(
        Bucket=locked, Key="gold/a", Body=GOLD, ObjectLockLegalHoldStatus="ON"
    )["VersionId"]
    assert remove(admin, locked, version, BypassGovernanceRetention=True)
    assert GOLD == get(registrar, locked, VersionId=version)
    registrar.put_object_legal_hold(
        Bucket=locked, Key="gold/a", VersionId=version, LegalHold={"Status": "OFF"}
    )
    assert not remove(registrar, locked, version)


def test_default_retention_locks_what_is_written_later(admin, registrar, locked):
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
    admin.put_object_lock_configuration(
        Bucket=locked, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )
    version = registrar.put_object(Bucket=locked, Key="gold/a", Body=GOLD)["VersionId"]
    assert remove(registrar, locked, version)


def test_lock_stops_neither_overwriting_nor_a_delete_marker(registrar, trainer, locked, until):
    """The trap: "locked" is not "unchanged"; who asks for the key gets something else."""
    version = lock(registrar, locked, until, "COMPLIANCE")
    trainer.put_object(Bucket=locked, Key="gold/a", Body=b"poisoned")
    assert b"poisoned" == get(registrar, locked)
    trainer.delete_object(Bucket=locked, Key="gold/a")
    assert "Contents" not in registrar.list_objects_v2(Bucket=locked)
    assert GOLD == get(registrar, locked, VersionId=version)


def test_versioning_of_a_locked_bucket_cannot_be_suspended(objectserver, admin, locked):
    objectserver.needs("versioning held by locks")
    with pytest.raises(ClientError, match="InvalidBucketState"):
        admin.put_bucket_versioning(Bucket=locked, VersioningConfiguration={"Status": "Suspended"})


# --- policies -----------------------------------------------------------------------------------


def deny_writes(admin, bucket, **principals):
    """Deny all that changes objects below gold/, by wildcards, as the lists of actions age."""
    statement = {
        "Effect": "Deny",
        "Action": ["s3:Put*", "s3:Delete*", "s3:Abort*"],
        "Resource": f"arn:aws:s3:::{bucket}/gold/*",
        **principals,
    }
    document = {"Version": "2012-10-17", "Statement": [statement]}
    admin.put_bucket_policy(Bucket=bucket, Policy=json.dumps(document))


@pytest.fixture
def guarded(objectserver, admin, trainer, bucket):
    """Gold and an output, written before writes to gold were denied to the trainer."""
    for key in ("gold/a", "out/a"):
        trainer.put_object(Bucket=bucket, Key=key, Body=GOLD)
    deny_writes(admin, bucket, Principal={"AWS": objectserver.trainer.arn})
    return bucket


WRITES = {
    "put": lambda s3, at: s3.put_object(**at, Body=b"x"),
    "put of a new key": lambda s3, at: s3.put_object(Bucket=at["Bucket"], Key="gold/b", Body=b"x"),
    "delete": lambda s3, at: s3.delete_object(**at),
    "delete of a version": lambda s3, at: s3.delete_object(
        **at, VersionId=s3.head_object(**at)["VersionId"]
    ),
    "delete of many": lambda s3, at: s3.delete_objects(
        Bucket=at["Bucket"], Delete={"Objects": [{"Key": at["Key"]}]}
    ),
    "parts": lambda s3, at: s3.create_multipart_upload(**at),
    "copy": lambda s3, at: s3.copy_object(
        **at, CopySource={"Bucket": at["Bucket"], "Key": "out/a"}
    ),
    "tags": lambda s3, at: s3.put_object_tagging(
        **at, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]}
    ),
    "tags off": lambda s3, at: s3.delete_object_tagging(**at),
    "acl": lambda s3, at: s3.put_object_acl(**at, ACL="private"),
}


@pytest.mark.parametrize("write", WRITES)
def test_denied_write_changes_nothing(registrar, trainer, guarded, write):
    before = registrar.list_object_versions(Bucket=guarded, Prefix="gold/")["Versions"]
    assert denied(lambda **at: WRITES[write](trainer, at), Bucket=guarded, Key="gold/a")
    after = registrar.list_object_versions(Bucket=guarded, Prefix="gold/")
    assert before == after["Versions"]
    assert "DeleteMarkers" not in after
    assert "Uploads" not in registrar.list_multipart_uploads(Bucket=guarded)


def test_reads_and_other_prefixes_stay_free_under_a_deny(trainer, registrar, guarded):
    assert GOLD == get(trainer, guarded)
    assert 1 == trainer.list_objects_v2(Bucket=guarded, Prefix="gold/")["KeyCount"]
    trainer.put_object(Bucket=guarded, Key="out/b", Body=b"x")
    assert not denied(registrar.put_object, Bucket=guarded, Key="gold/new", Body=b"x")


def test_many_deletes_answer_200_though_gold_was_refused(objectserver, registrar, guarded):
    """The trap that swallows denials: the refusal is a row in an answer that says 200."""
    objectserver.needs("denials row by row")
    with objectserver.client(objectserver.trainer) as trainer:
        answer = trainer.delete_objects(
            Bucket=guarded, Delete={"Objects": [{"Key": "gold/a"}, {"Key": "out/a"}]}
        )
    assert ["gold/a"] == [row["Key"] for row in answer["Errors"]]
    assert ["out/a"] == [row["Key"] for row in answer["Deleted"]]
    assert GOLD == get(registrar, guarded)


def test_everybody_but_the_registrar_is_denied_by_name(admin, registrar, trainer, bucket):
    registrar.put_object(Bucket=bucket, Key="gold/a", Body=GOLD)
    condition = {"StringNotLike": {"aws:username": ["registrar"]}}
    deny_writes(admin, bucket, Principal="*", Condition=condition)
    assert denied(trainer.put_object, Bucket=bucket, Key="gold/a", Body=b"x")
    assert not denied(registrar.put_object, Bucket=bucket, Key="gold/b", Body=b"x")
    assert GOLD == get(trainer, bucket)


def test_deny_on_objects_leaves_the_bucket_open(trainer, registrar, guarded):
    """The trap: who may set up buckets suspends versioning under a policy that guards objects."""
    assert not denied(
        trainer.put_bucket_versioning,
        Bucket=guarded,
        VersioningConfiguration={"Status": "Suspended"},
    )
    assert "Suspended" == registrar.get_bucket_versioning(Bucket=guarded)["Status"]
