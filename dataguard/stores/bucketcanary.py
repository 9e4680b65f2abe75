"""Attempts to write gold in a bucket that are harmless where the bucket lets them pass.

Nothing that exists is touched: all object names are one that nobody else has. What leaves nothing
behind is tried first (a multipart upload that is aborted, tags and deletes of a name that does not
exist), what leaves a version or a delete marker only when everything before was refused. The
bucket's settings come last and are written as they were read: Enabled over Enabled, a policy over
itself, and where there is none a statement about the canary's own name, which is taken away again.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from dataguard.core.canary import meaning
from dataguard.model.canary import OPERATIONS
from dataguard.model.dataclass import dataclass
from dataguard.model.mount import Probe, ProbeOutcome, ProbeStep

if TYPE_CHECKING:
    from collections.abc import Callable

    from dataguard.model.objectpolicy import BucketPart

__all__ = ["Canary", "send_canary"]

_NULL = "null"
"""The version id of what was written without versioning: well-formed everywhere."""

_SID = "DataguardCanary"
_NO_POLICY = "NoSuchBucketPolicy"
_LATER = "would leave a trace: not all before was refused"


@dataclass(frozen=True, slots=True)
class Canary:
    """What came of the attempts, and what they left that could not be removed."""

    probe: Probe
    left: tuple[str, ...]


def send_canary(client: Any, part: BucketPart, *, payer: bool = False) -> Canary:
    """Try to write below a place with the credential of an S3 client of botocore.

    A read comes first: where that is refused too, refusals of writes would prove nothing.
    """
    client.meta.events.register("before-sign.s3", _add_md5)
    bench = _Bench(client, part, f"{part.below}.dataguard-canary-{secrets.token_hex(16)}", payer)
    unread = bench.unread()
    if unread:
        failed = (ProbeStep(name, ProbeOutcome.FAILED, unread) for name in OPERATIONS)
        return Canary(Probe(tuple(failed)), ())
    steps: list[ProbeStep] = []
    try:
        _send(bench, steps)
    finally:  # also where a signal ends it
        left = bench.cleared(passed=len(steps) < len(OPERATIONS) or not _none_passed(steps))
    return Canary(Probe(tuple(steps)), left)


def _send(bench: _Bench, steps: list[ProbeStep]) -> None:
    """Make the attempts and note each as it is made."""
    for name, act in bench.traceless().items():
        steps.append(bench.attempt(name, act))
    for name, act in (bench.traces() | bench.settings()).items():
        steps.append(bench.attempt(name, act) if _none_passed(steps) else _not_made(name))


def _add_md5(request: Any, **_: object) -> None:
    """Send the digest that older servers ask for, before they look at who may do it."""
    body = request.body
    if isinstance(body, bytes) and body and "Content-MD5" not in request.headers:
        digest = hashlib.md5(body, usedforsecurity=False).digest()
        request.headers["Content-MD5"] = base64.b64encode(digest).decode()


def _none_passed(steps: list[ProbeStep]) -> bool:
    return all(step.result is not ProbeOutcome.ALLOWED for step in steps)


def _not_made(name: str) -> ProbeStep:
    return ProbeStep(name, ProbeOutcome.SKIPPED, _LATER)


class _NotMadeError(Exception):
    """An attempt that does not apply here (skipped), or cannot be made harmless (failed)."""

    def __init__(self, outcome: ProbeOutcome, why: str) -> None:
        super().__init__(why)
        self.outcome = outcome


class _Bench:
    """Where attempts are made: one name below the place, which nobody else has."""

    def __init__(self, client: Any, part: BucketPart, key: str, payer: bool) -> None:
        self._client = client
        self._part = part
        self._bucket = {"Bucket": part.bucket}
        self._content = self._bucket | ({"RequestPayer": "requester"} if payer else {})
        self._name = {**self._content, "Key": key}
        self._key = key
        self._open: list[dict[str, str]] = []
        self._kept: list[str] = []

    def unread(self) -> str:
        """Return why nothing below the place can be listed; empty where it can."""
        try:
            self._client.list_objects_v2(**self._content, Prefix=self._part.below, MaxKeys=1)
        except ClientError as err:
            return f"reading the place is refused too ({_code(err)}): a refusal proves nothing"
        except BotoCoreError as err:
            return f"no answer: {_plain(err)}"
        return ""

    def attempt(self, operation: str, act: Callable[[], str]) -> ProbeStep:
        """Make an attempt, which returns the error code of an answer that is no error by status."""
        try:
            code = act()
        except _NotMadeError as err:
            return ProbeStep(operation, err.outcome, str(err))
        except ClientError as err:
            return ProbeStep(operation, meaning(_status(err), _code(err)), _code(err))
        except BotoCoreError as err:
            return ProbeStep(operation, ProbeOutcome.FAILED, f"no answer: {_plain(err)}")
        return ProbeStep(operation, meaning(200, code), code or "succeeded")

    def traceless(self) -> dict[str, Callable[[], str]]:
        """Return the attempts that leave nothing, by operation."""
        return {
            "CreateMultipartUpload": self._create_upload,
            "PutObjectTagging": self._tag,
            "DeleteObjectVersion": self._delete_version,
            "DeleteObjects": self._delete_several,
        }

    def traces(self) -> dict[str, Callable[[], str]]:
        """Return those that leave a version or a delete marker of the name."""
        return {"PutObject": self._put, "DeleteObject": self._delete}

    def settings(self) -> dict[str, Callable[[], str]]:
        """Return those that write a bucket's settings as they are."""
        return {"PutBucketVersioning": self._put_versioning, "PutBucketPolicy": self._put_policy}

    def cleared(self, *, passed: bool) -> tuple[str, ...]:
        """Remove whatever there is of the name; return what is there after that.

        Where nothing `passed`, a listing that is refused is no matter.
        """
        try:
            for there in self._there():
                self._remove(there)
            left = [self._said(there) for there in self._there()]
        except (ClientError, BotoCoreError) as err:
            why = _code(err) if isinstance(err, ClientError) else _plain(err)
            left = [f"s3://{self._part.bucket}/{self._key}: cannot tell ({why})"] if passed else []
        return (*self._kept, *left)

    def _create_upload(self) -> str:
        made = self._client.create_multipart_upload(**self._name)
        upload = {"UploadId": str(made["UploadId"])}
        if not self._undone(self._client.abort_multipart_upload, **self._name, **upload):
            self._open.append(upload)
        return ""

    def _tag(self) -> str:
        try:
            self._client.put_object_tagging(**self._name, Tagging={"TagSet": []})
        except ClientError as err:
            if meaning(_status(err), _code(err)) is ProbeOutcome.ALLOWED:
                why = f"{_code(err)}: some look for the name first, and then for the right"
                raise _NotMadeError(ProbeOutcome.SKIPPED, why) from err
            raise
        return ""

    def _delete_version(self) -> str:
        self._client.delete_object(**self._name, VersionId=_NULL)
        return ""

    def _delete_several(self) -> str:
        wanted = {"Objects": [{"Key": self._key, "VersionId": _NULL}]}
        done = self._client.delete_objects(**self._content, Delete=wanted)
        return str(done["Errors"][0].get("Code", "")) if done.get("Errors") else ""

    def _put(self) -> str:
        self._client.put_object(**self._name, Body=b"", IfNoneMatch="*")
        return ""

    def _delete(self) -> str:
        self._client.delete_object(**self._name)
        return ""

    def _put_versioning(self) -> str:
        status = self._versioning()
        if status != "Enabled":
            raise _NotMadeError(ProbeOutcome.SKIPPED, "not versioned: it would be switched on")
        self._client.put_bucket_versioning(
            **self._bucket, VersioningConfiguration={"Status": status}
        )
        return ""

    def _versioning(self) -> str:
        """Return what versioning is set to; empty where it never was, or the store has none."""
        try:
            return str(self._client.get_bucket_versioning(**self._bucket).get("Status") or "")
        except ClientError as err:
            if meaning(_status(err), _code(err)) is ProbeOutcome.SKIPPED:
                return ""
            why = f"versioning cannot be read ({_code(err)}), nor set as it is"
            raise _NotMadeError(ProbeOutcome.FAILED, why) from err

    def _put_policy(self) -> str:
        try:
            policy = self._client.get_bucket_policy(**self._bucket)["Policy"]
        except ClientError as err:
            if _code(err) != _NO_POLICY:
                why = f"the policy cannot be read ({_code(err)}), nor written as it is"
                raise _NotMadeError(ProbeOutcome.FAILED, why) from err
            self._client.put_bucket_policy(**self._bucket, Policy=self._inert())
            if not self._undone(self._client.delete_bucket_policy, **self._bucket):
                self._kept.append(f"s3://{self._part.bucket}: a policy `{_SID}`")
            return ""
        self._client.put_bucket_policy(**self._bucket, Policy=policy)
        return ""

    def _inert(self) -> str:
        """Return a policy about nothing but a name that nobody has."""
        statement = {
            "Sid": _SID,
            "Effect": "Deny",
            "Principal": "*",
            "Action": ["s3:PutObject"],
            "Resource": [
                f"arn:aws:s3:::{self._part.bucket}/.dataguard-canary-{secrets.token_hex(16)}"
            ],
        }
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    def _there(self) -> list[dict[str, str]]:
        """Return versions, delete markers and uploads of the name."""
        only = {"Prefix": self._key}
        listed = self._client.list_object_versions(**self._content, **only)
        rows = [*listed.get("Versions", ()), *listed.get("DeleteMarkers", ())]
        found = [{"VersionId": str(row.get("VersionId") or _NULL)} for row in rows]
        return [*found, *self._uploads(only)]

    def _uploads(self, only: dict[str, str]) -> list[dict[str, str]]:
        """Return the uploads that the server lists, or those that would not be aborted."""
        try:
            listed = self._client.list_multipart_uploads(**self._content, **only)
        except ClientError:
            return self._open
        rows = [row for row in listed.get("Uploads", ()) if row["Key"] == self._key]
        return [{"UploadId": str(row["UploadId"])} for row in rows]

    def _remove(self, there: dict[str, str]) -> None:
        upload = "UploadId" in there
        undo = self._client.abort_multipart_upload if upload else self._client.delete_object
        if self._undone(undo, **self._name, **there) and upload:
            self._open = [one for one in self._open if one != there]

    def _undone(self, undo: Callable[..., object], **words: str) -> bool:
        """Take something back; returns whether the server says so."""
        try:
            undo(**words)
        except (ClientError, BotoCoreError):
            return False
        return True

    def _said(self, there: dict[str, str]) -> str:
        (kind, name), *_ = there.items()
        return f"s3://{self._part.bucket}/{self._key} ({kind} {name})"


def _status(err: ClientError) -> int:
    return int(err.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _code(err: ClientError) -> str:
    return str(err.response.get("Error", {}).get("Code", "unknown"))


def _plain(err: BotoCoreError) -> str:
    text = str(err).rstrip(".")
    return text[:1].lower() + text[1:]
