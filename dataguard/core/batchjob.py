"""The description of a job that has S3 compute checksums of pinned versions, as AWS takes it."""

from __future__ import annotations

import hashlib
import re
import shlex
from typing import TYPE_CHECKING

from dataguard.core.objectplaces import bucket_of, prefix_of
from dataguard.errors import UsageError
from dataguard.model.digest import Algorithm

if TYPE_CHECKING:
    from datetime import datetime

    from dataguard.model.batchjob import BatchManifest, BatchRequest
    from dataguard.model.dataset import Version

__all__ = ["JOB", "MANIFEST", "checksum_of", "job_commands", "job_document", "job_remarks"]

JOB = "job.json"
MANIFEST = "manifest.csv"

_SINGLE_PUT_MOST = 5 << 30
"""What one PUT takes; the etag of what is uploaded in parts is no MD5."""

_ASKED = {Algorithm.XXH3_128: "XXHASH128", Algorithm.SHA256: "SHA256"}
_ROLE = re.compile(r"arn:(aws[a-z-]*):iam::(\d{12}):role/[\w+=,.@/-]+", re.ASCII)
_NO_ROLE = ("aws", "ACCOUNT", "arn:aws:iam::ACCOUNT:role/ROLE")
_NO_PLACE = "s3://BUCKET/PREFIX"
_PRIORITY = 10
_DESCRIPTION_MOST = 256
_TOKEN_DIGITS = 32


def checksum_of(version: Version) -> str:
    """Return the checksum of AWS that is a version's digest.

    Raises:
        UsageError: it computes none that is.
    """
    if version.algorithm not in _ASKED:
        raise UsageError(
            f"S3 computes no {version.algorithm}, the digest of {version.reference}",
            hint=f"dataguard audit {version.reference} --level 3 --slice 1/30, or --level 4",
        )
    return _ASKED[version.algorithm]


def job_document(
    request: BatchRequest,
    version: Version,
    place: str,
    manifest: BatchManifest | None,
    at: datetime,
) -> dict[str, object]:
    """Return what `aws s3control create-job --cli-input-json` takes.

    A job with the same token is made once, however often it is submitted: a later description has
    another one. Without a manifest, in a dry run, its etag is a word in capitals.

    Raises:
        UsageError: the role is none.
    """
    partition, account, role = _parties(request)
    bucket, key = _manifest_key(request)
    etag = "ETAG" if manifest is None else manifest.md5
    operation = {"ChecksumAlgorithm": checksum_of(version), "ChecksumType": "FULL_OBJECT"}
    said = f"{version.root} {place} {etag} {at.isoformat()}"
    return {
        "AccountId": account,
        "ConfirmationRequired": False,
        "ClientRequestToken": hashlib.sha256(said.encode()).hexdigest()[:_TOKEN_DIGITS],
        "Description": f"dataguard audit of {version.reference}"[:_DESCRIPTION_MOST],
        "Manifest": {
            "Location": {"ETag": etag, "ObjectArn": f"arn:{partition}:s3:::{bucket}/{key}"},
            "Spec": {
                "Fields": ["Bucket", "Key", "VersionId"],
                "Format": "S3BatchOperations_CSV_20180820",
            },
        },
        "Operation": {"S3ComputeObjectChecksum": operation},
        "Priority": _PRIORITY,
        "Report": {
            "Bucket": f"arn:{partition}:s3:::{bucket}",
            "Enabled": True,
            "ExpectedBucketOwner": account,
            "Format": "Report_CSV_20180820",
            "Prefix": key.rpartition("/")[0],
            "ReportScope": "AllTasks",
        },
        "RoleArn": role,
    }


def job_commands(request: BatchRequest, region: str) -> tuple[str, ...]:
    """Return what uploads the manifest and submits the job, to be run in the files' directory."""
    bucket, key = _manifest_key(request)
    where = f" --region {shlex.quote(region)}" if region else ""
    there = f"--bucket {shlex.quote(bucket)} --key {shlex.quote(key)}"
    return (
        f"cd {shlex.quote(request.directory)}",
        f"aws s3api put-object {there} --body {MANIFEST} --query ETag{where}",
        f"aws s3control create-job --cli-input-json file://{JOB}{where}",
    )


def job_remarks(
    request: BatchRequest, manifest: BatchManifest | None, endpoint: str
) -> tuple[str, ...]:
    """Return what is to be known before the job is submitted."""
    other = f"where the upload prints another etag than {JOB} has (keys of KMS), put that into it"
    found = [
        "nothing was submitted and nothing was checked: S3 computes the checksums, for a fee",
        other,
    ]
    if endpoint:
        found.append(f"{endpoint} has to be AWS: other stores have no Batch Operations")
    if manifest is not None and manifest.size > _SINGLE_PUT_MOST:
        found.append(f"{MANIFEST} is too large for one PUT: upload it in parts, and put the etag")
    if not (request.role and request.place):
        found.append(f"words in capitals in {JOB} are to be filled in: --batch-role, --batch-place")
    return tuple(found)


def _parties(request: BatchRequest) -> tuple[str, str, str]:
    """Return the partition, the account and the role of a job."""
    if not request.role:
        return _NO_ROLE
    found = _ROLE.fullmatch(request.role)
    if found is None:
        raise UsageError(
            f"`{request.role}` is no ARN of a role",
            hint="--batch-role arn:aws:iam::111122223333:role/NAME",
        )
    return found[1], found[2], request.role


def _manifest_key(request: BatchRequest) -> tuple[str, str]:
    place = request.place or _NO_PLACE
    prefix = prefix_of(place).decode("utf-8", "surrogateescape")
    return bucket_of(place), f"{prefix}{MANIFEST}"
