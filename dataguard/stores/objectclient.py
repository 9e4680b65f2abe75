"""The client of one bucket: the only thing that talks to an object store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    import pyarrow as pa

    from dataguard.model.objects import Pin, Versioning
    from dataguard.stores.s3access import Access

__all__ = ["ObjectClient", "ObjectFacts", "Written"]


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """What a server says of one object without giving its content.

    `checksum` is `ALGORITHM:base64` in the words of S3 (`XXHASH128:...`), `checksum_type`
    `FULL_OBJECT` or `COMPOSITE`; both None where the server told none. `storage_class` is empty
    for the ordinary one. Locks: `lock_mode` is `GOVERNANCE`, `COMPLIANCE` or None.
    """

    key: bytes
    size: int
    etag: str | None
    version_id: str | None
    last_modified: datetime | None
    checksum: str | None = None
    checksum_type: str | None = None
    storage_class: str = ""
    lock_mode: str | None = None
    retain_until: datetime | None = None
    legal_hold: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a PUT."""

    version_id: str | None
    etag: str | None


class ObjectClient:
    """One bucket; keys are bytes, taken literally. Made anew in each process, never inherited.

    All methods raise:
        NotFoundError: the bucket, the key or the version does not exist.
        DeniedError: these credentials may not do it.
        ConflictError: the object is not what the pin says (any more), or is there already.
        StoreUnreachableError: the server does not answer, or not in its protocol.
    """

    def __init__(self, access: Access) -> None:
        """Connect to nothing yet."""
        self.access = access

    def list_versions(self, prefix: bytes, *, after: bytes = b"") -> Iterator[pa.RecordBatch]:
        """Yield every version and delete marker of the keys below a prefix, in key order.

        Columns: `LISTING` of model/schema.py. The newest version of a key comes first.
        `after`: only keys that sort after this whole key.
        """
        raise NotImplementedError

    def list_current(self, prefix: bytes, *, after: bytes = b"") -> Iterator[pa.RecordBatch]:
        """Yield the objects below a prefix, in key order, with `version_id` null."""
        raise NotImplementedError

    def head(self, key: bytes, version_id: str | None = None) -> ObjectFacts:
        """Return what is known of an object or of one version of it, checksums included."""
        raise NotImplementedError

    def attributes(self, key: bytes, version_id: str | None = None) -> ObjectFacts:
        """Return the same by GetObjectAttributes; only where the capabilities have it."""
        raise NotImplementedError

    def read(self, pin: Pin, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yield the bytes of what is pinned, in pieces; exactly those asked for, or an error."""
        raise NotImplementedError

    def put(self, key: bytes, data: bytes, *, only_new: bool = False) -> Written:
        """Write a small object with a checksum; with `only_new` never over another one."""
        raise NotImplementedError

    def put_stream(self, key: bytes, pieces: Iterator[bytes], *, only_new: bool = False) -> Written:
        """Write an object of any size, in parts where it is large; complete or absent."""
        raise NotImplementedError

    def delete(self, key: bytes, version_id: str | None = None) -> None:
        """Delete an object (in a versioned bucket: put a delete marker), or one version."""
        raise NotImplementedError

    def versioning(self) -> Versioning:
        """Return whether the bucket is versioned."""
        raise NotImplementedError

    def has_lock(self) -> bool | None:
        """Return whether the bucket has an object lock; None where the server does not say."""
        raise NotImplementedError

    def policy(self) -> str | None:
        """Return the bucket's policy document; None where there is none."""
        raise NotImplementedError
