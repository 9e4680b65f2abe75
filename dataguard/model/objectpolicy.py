"""Policies for object stores: what `policy export` is asked for, and what it prints."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "BucketPart",
    "LockMode",
    "PolicyExport",
    "PolicyForm",
    "PolicyRequest",
    "Retention",
    "StoreDialect",
]


class StoreDialect(StrEnum):
    """How a kind of server reads policies: what one enforces, another stores and ignores."""

    AWS = "aws"
    CEPH = "ceph"
    MINIO = "minio"
    SEAWEEDFS = "seaweedfs"


class PolicyForm(StrEnum):
    """What is exported."""

    BUCKET_POLICY = "s3-bucket-policy"
    IAM_POLICY = "iam-policy"
    OBJECT_LOCK = "object-lock"


class LockMode(StrEnum):
    """Who may end a retention early: those with a permission of their own for it, or nobody."""

    GOVERNANCE = "governance"
    COMPLIANCE = "compliance"


@dataclass(frozen=True, slots=True)
class Retention:
    """For how long new object versions are held."""

    mode: LockMode
    days: int


@dataclass(frozen=True, slots=True)
class BucketPart:
    """The keys below `prefix/` of a bucket; without a prefix all of them."""

    bucket: str
    prefix: str = ""

    @property
    def place(self) -> str:
        """As a location says it, `s3://bucket/prefix`."""
        return f"s3://{self.bucket}/{self.prefix}" if self.prefix else f"s3://{self.bucket}"

    @property
    def below(self) -> str:
        """What the keys begin with."""
        return f"{self.prefix}/" if self.prefix else ""


@dataclass(frozen=True, slots=True)
class PolicyRequest:
    """What policy is wanted for which places.

    `exempt` may write gold; `admins`, or without them the exempt, may change the buckets' settings.
    `endpoint` is where the server is, for the commands; empty for AWS.
    """

    form: PolicyForm
    dialect: StoreDialect
    parts: tuple[BucketPart, ...]
    exempt: tuple[str, ...] = ()
    admins: tuple[str, ...] = ()
    endpoint: str = ""
    retention: Retention = Retention(LockMode.GOVERNANCE, 365)

    @property
    def controlling(self) -> tuple[str, ...]:
        """Who may change the settings of the buckets."""
        return self.admins or self.exempt


@dataclass(frozen=True, slots=True)
class PolicyExport:
    """A policy to apply by hand; `document` is JSON to the letter.

    `apply` are commands in the order in which they are run, with words in capitals to be filled
    in. `does_not_stop` is what it leaves open, `remarks` what it does beyond what was asked.
    """

    form: PolicyForm
    dialect: StoreDialect
    places: tuple[str, ...]
    exempt: tuple[str, ...]
    admins: tuple[str, ...]
    document: Mapping[str, object]
    does_not_stop: tuple[str, ...]
    remarks: tuple[str, ...]
    apply: tuple[str, ...]
