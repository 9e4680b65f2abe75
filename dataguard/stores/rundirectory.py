"""The directory of a run: its record and its outputs, readable from the start.

The job may write in it, and put links in the place of anything there: dataguard writes by the
directory's descriptor, to new files, and never through a link.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from dataguard.errors import ConflictError, NotFoundError, StoreUnreachableError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "OWN_FILES",
    "RunDirectory",
    "make_private_directory",
    "remove_private_directory",
]

_RECORD = "run.json"
_MANIFEST = "outputs.parquet"
_TEMPORARY = ".dataguard-"
_PRIVATE = "dataguard-"

OWN_FILES = (f"/{_RECORD}", f"/{_TEMPORARY}*")
"""gitignore patterns of what dataguard itself writes into a run's directory."""


class RunDirectory:
    """An open run directory."""

    def __init__(self, path: str) -> None:
        """Open a run directory that exists.

        Raises:
            NotFoundError: there is none, or a link is in its place.
        """
        self.path = path
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._descriptor = os.open(path, flags)
        except OSError as err:
            raise NotFoundError(f"cannot open the run directory {path}: {err.strerror}") from err

    @classmethod
    def make(cls, outputs: str, run_id: str) -> Self:
        """Make `OUTPUTS/runs/<run-id>`.

        Raises:
            ConflictError: a run of this id has been there before.
            StoreUnreachableError: it cannot be made.
        """
        path = os.path.join(outputs, "runs", run_id)
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.mkdir(path)
        except FileExistsError as err:
            raise ConflictError(
                f"there is already a run directory {path}", hint="give another --run-id"
            ) from err
        except OSError as err:
            raise StoreUnreachableError(
                f"cannot make the run directory {path}: {err.strerror}",
                hint="choose an outputs place that you may write",
            ) from err
        return cls(path)

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def remove(self) -> None:
        """Remove the directory while it is empty.

        Raises:
            StoreUnreachableError: it cannot be removed.
        """
        try:
            os.rmdir(self.path)
        except OSError as err:
            raise StoreUnreachableError(f"cannot remove {self.path}: {err.strerror}") from err

    @property
    def identity(self) -> str:
        """Device and inode of the directory."""
        status = os.fstat(self._descriptor)
        return f"{status.st_dev}:{status.st_ino}"

    def is_in_place(self) -> bool:
        """Whether the path still leads to this directory, and not through a link."""
        try:
            there = os.lstat(self.path)
        except OSError:
            return False
        here = os.fstat(self._descriptor)
        return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)

    def write_record(self, record: Mapping[str, object]) -> None:
        """Replace the run's record in one step.

        Raises:
            StoreUnreachableError: it cannot be written.
        """
        self._replace(_RECORD, json.dumps(record, indent=2).encode() + b"\n")

    def write_manifest(self, source: str) -> None:
        """Put a copy of the output manifest beside the record, unless the job wrote one there.

        Raises:
            StoreUnreachableError: it cannot be read or written.
        """
        try:
            with open(source, "rb") as manifest:
                data = manifest.read()
        except OSError as err:
            raise StoreUnreachableError(f"cannot read {source}: {err.strerror}") from err
        self._write(_MANIFEST, data, replace=False)

    def _replace(self, name: str, data: bytes) -> None:
        self._write(name, data, replace=True)

    def _write(self, name: str, data: bytes, *, replace: bool) -> None:
        """Write a file in one step; without `replace` one of that name, the job's, stays."""
        temporary = f"{_TEMPORARY}{secrets.token_hex(8)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        at = self._descriptor
        try:
            with open(os.open(temporary, flags, 0o644, dir_fd=at), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if replace:
                os.rename(temporary, name, src_dir_fd=at, dst_dir_fd=at)
            else:
                with suppress(FileExistsError):
                    os.link(temporary, name, src_dir_fd=at, dst_dir_fd=at)
                os.unlink(temporary, dir_fd=at)
            os.fsync(at)
        except OSError as err:
            raise StoreUnreachableError(
                f"cannot write {os.path.join(self.path, name)}: {err.strerror}"
            ) from err


def make_private_directory(run_id: str) -> str:
    """Make and return a temporary directory for one run alone.

    Raises:
        StoreUnreachableError: it cannot be made.
    """
    try:
        return tempfile.mkdtemp(prefix=f"{_PRIVATE}{run_id}-")
    except OSError as err:
        raise StoreUnreachableError(f"cannot make a temporary directory: {err.strerror}") from err


def remove_private_directory(path: str, run_id: str) -> None:
    """Remove what `make_private_directory` made; any other path is left alone."""
    expected = os.path.join(tempfile.gettempdir(), f"{_PRIVATE}{run_id}-")
    if path.startswith(expected) and "/" not in path.removeprefix(expected):
        shutil.rmtree(path, ignore_errors=True)
