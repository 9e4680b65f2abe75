"""Jobs of S3 Batch Operations that compute checksums of stored objects: what is asked, and made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

__all__ = ["BatchJob", "BatchManifest", "BatchRequest"]


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """What a job is wanted for: the files in `directory`, `place` for the manifest and the report.

    `place` is `s3://bucket/prefix`, `role` the ARN of the role under which the job works; where
    they are empty the job has words in capitals in their place.
    """

    directory: str
    place: str = ""
    role: str = ""


@dataclass(frozen=True, slots=True)
class BatchManifest:
    """A list of versions of objects as it was written; `md5` is in hex, and its etag in most."""

    objects: int
    size: int
    md5: str


@dataclass(frozen=True, slots=True)
class BatchJob:
    """A job that was described, and not submitted: nobody was asked, nothing was checked.

    `document` is what `create-job` takes, `apply` are commands in the order in which they are run,
    with words in capitals to be filled in. `manifest_size` and `manifest_md5` are None in a dry
    run, which writes nothing.
    """

    dataset: str
    version: int
    root: str
    location: str
    checksum: str
    objects: int
    bytes: int
    manifest: str
    manifest_size: int | None
    manifest_md5: str | None
    job: str
    made: datetime
    document: Mapping[str, object]
    remarks: tuple[str, ...]
    apply: tuple[str, ...]
    dry_run: bool
    submitted: bool = False
    complete: bool = False
