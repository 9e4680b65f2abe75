"""The Arrow schemas of manifests and sheets, and their footer keys."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from dataguard.model.digest import Algorithm

__all__ = [
    "LISTING",
    "LOCATION_SHEET",
    "MANIFEST_FORMAT",
    "OBJECT_SHEET",
    "ROWS_PER_GROUP",
    "SHEET_FORMAT",
    "digest_sheet_schema",
    "manifest_schema",
    "observed_schema",
]

MANIFEST_FORMAT = "manifest/1"
SHEET_FORMAT = "sheet/1"
ROWS_PER_GROUP = 65_536
"""Fixed in the format, so that a manifest is determined by its content alone."""

LOCATION_SHEET = pa.schema(
    [
        pa.field("mtime_ns", pa.int64()),
        pa.field("ctime_ns", pa.int64()),
        pa.field("inode", pa.int64()),
        pa.field("mode", pa.int32()),
        pa.field("uid", pa.int64()),
        pa.field("gid", pa.int64()),
        pa.field("racy", pa.bool_()),
    ]
)

OBJECT_SHEET = pa.schema(
    [
        pa.field("version_id", pa.string()),
        pa.field("etag", pa.string()),
        pa.field("last_modified", pa.timestamp("ms", tz="UTC")),
        pa.field("checksum", pa.string()),
        pa.field("checksum_type", pa.string()),
    ]
)
"""The location sheet of objects; `checksum` is `ALGORITHM:base64`, as `XXHASH128:...`."""

LISTING = pa.schema(
    [
        pa.field("key", pa.binary(), nullable=False),
        pa.field("size", pa.int64()),
        pa.field("etag", pa.string()),
        pa.field("version_id", pa.string()),
        pa.field("last_modified", pa.timestamp("ms", tz="UTC")),
        pa.field("is_latest", pa.bool_()),
        pa.field("is_delete_marker", pa.bool_()),
        pa.field("storage_class", pa.string()),
        pa.field("checksum_algorithm", pa.string()),
        pa.field("checksum_type", pa.string()),
    ]
)
"""What a server lists of a bucket; a delete marker has no size and no etag, both null."""


@functools.cache
def manifest_schema(algorithm: Algorithm) -> pa.Schema:
    """Columns of a manifest: what a version contains, in bytewise path order."""
    return pa.schema(
        [
            pa.field("path", pa.string(), nullable=False),
            pa.field("path_raw", pa.binary()),
            pa.field("kind", pa.string(), nullable=False),
            pa.field("size", pa.int64(), nullable=False),
            pa.field("digest", pa.binary(algorithm.digest_bytes)),
            pa.field("link_target", pa.binary()),
        ]
    )


@functools.cache
def observed_schema(
    algorithm: Algorithm, also: tuple[Algorithm, ...] = (), *, objects: bool = False
) -> pa.Schema:
    """Columns of a scan: the manifest's, the location sheet's, `nlink`, additional digests.

    `digest` is null where a file was not read. Objects have the columns of `OBJECT_SHEET` beside
    those of a file: what tells a content from another one stands in both (`core/objectsigns.py`).
    """
    beside = OBJECT_SHEET if objects else ()
    fields = [
        *manifest_schema(algorithm),
        *LOCATION_SHEET,
        *beside,
        pa.field("nlink", pa.int64()),
    ]
    return pa.schema([*fields, *digest_sheet_schema(also)])


def digest_sheet_schema(algorithms: tuple[Algorithm, ...]) -> pa.Schema:
    """One fixed-size binary column for each additional algorithm, named after it."""
    return pa.schema([pa.field(str(a), pa.binary(a.digest_bytes)) for a in algorithms])
