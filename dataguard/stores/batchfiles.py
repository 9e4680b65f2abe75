"""The files of a job of S3 Batch Operations: a directory that is complete or absent."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dataguard.errors import ConflictError, StoreUnreachableError, UsageError
from dataguard.model.batchjob import BatchManifest
from dataguard.stores.objectrows import pins_of
from dataguard.stores.objectsigning import encoded_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import pyarrow as pa

__all__ = ["check_target", "new_directory", "write_manifest", "write_text"]

_SPOILS = frozenset('",\r\n')


def check_target(directory: str) -> None:
    """Make sure that a directory can be made: there is nothing of its name, and a parent.

    Raises:
        ConflictError: something has its name.
        UsageError: the parent is no directory, or is not to be written.
    """
    if os.path.lexists(directory):
        raise ConflictError(
            f"{directory} is there already: nothing is replaced",
            hint="name a directory that is not there yet",
        )
    parent = os.path.dirname(directory)
    if not os.path.isdir(parent) or not os.access(parent, os.W_OK):
        raise UsageError(f"cannot write the job {directory}", hint=f"ls -ld {parent}")


@contextmanager
def new_directory(directory: str, may_appear: Callable[[], None]) -> Iterator[str]:
    """Hold a directory that gets its name at the end, durable; before that it has another one.

    `may_appear` is asked last, and ends it with an error of its own where it must not.

    Raises:
        ConflictError: something got its name meanwhile.
        UsageError: it cannot be written.
    """
    parent, name = os.path.split(directory)
    try:
        draft = tempfile.mkdtemp(prefix=f".{name[:100]}-", suffix=".partial", dir=parent)
        try:
            yield draft
            may_appear()
            _sync(draft)
            os.chmod(draft, 0o777 & ~_umask())
            os.rename(draft, directory)  # never over something: the draft is not empty
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        _sync(parent)
    except FileExistsError as err:
        raise ConflictError(f"{directory} appeared meanwhile: nothing is replaced") from err
    except OSError as err:
        raise UsageError(f"cannot write the job {directory}: {err.strerror or err}") from err


def write_manifest(
    path: str, bucket: str, prefix: bytes, entries: Iterable[pa.RecordBatch]
) -> BatchManifest:
    """Write bucket, key and version of each entry as rows of a CSV file, keys encoded as in URLs.

    Raises:
        OSError: it cannot be written.
        StoreUnreachableError: an entry is held by no version that can stand there.
    """
    md5, objects, size = hashlib.md5(usedforsecurity=False), 0, 0
    with open(path, "xb") as file:
        for batch in entries:
            rows = _rows(bucket, prefix, batch)
            md5.update(rows)
            size += file.write(rows)
            objects += batch.num_rows
        file.flush()
        os.fsync(file.fileno())
    return BatchManifest(objects, size, md5.hexdigest())


def write_text(path: str, text: str) -> None:
    """Write a new file, durable.

    Raises:
        OSError: it cannot be written.
    """
    with open(path, "x", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _rows(bucket: str, prefix: bytes, batch: pa.RecordBatch) -> bytes:
    rows = []
    for pin in pins_of(batch, prefix):
        if not pin.version_id or not _SPOILS.isdisjoint(pin.version_id):
            key = pin.key.decode("utf-8", "backslashreplace")
            raise StoreUnreachableError(
                f"s3://{bucket}/{key} is held by no version that a job could name",
                hint="--level 3 --slice 1/30 reads the objects instead",
            )
        rows.append(f"{bucket},{encoded_path(pin.key)},{pin.version_id}\n")
    return "".join(rows).encode()


def _sync(directory: str) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
