"""The directory of a run: its record and its outputs, readable from the start.

The job may write in it, and put links in the place of anything there: dataguard writes by the
directory's descriptor, to new files, and never through a link.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import stat
import tempfile
from contextlib import contextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING, Self

from dataguard.errors import ConflictError, NotFoundError, StoreUnreachableError
from dataguard.stores.descent import Descent
from dataguard.stores.openfile import open_file
from dataguard.stores.removal import remove_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import BinaryIO

__all__ = [
    "MANIFEST",
    "OWN_FILES",
    "RECORD",
    "RunDirectory",
    "make_private_directory",
    "remove_private_directory",
]

RECORD = "run.json"
"""The name of a run's record."""

MANIFEST = "outputs.parquet"
"""The name of the copy of the output manifest."""

_TEMPORARY = ".dataguard-"
_PRIVATE = "dataguard-"

OWN_FILES = (f"/{RECORD}",)
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
            os.rmdir(self.place)
        except OSError as err:
            raise StoreUnreachableError(f"cannot remove {self.path}: {err.strerror}") from err

    @property
    def place(self) -> str:
        """Where the directory is now, whatever its path leads to."""
        return os.readlink(f"/proc/self/fd/{self._descriptor}")

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
        self._write(RECORD, _encoded(record), replace=True)

    def read_record(self) -> Mapping[str, object]:
        """Return the run's record as it was written last.

        Raises:
            ConflictError: something else is in its place, or nothing.
        """
        try:
            found = json.loads(self._content(RECORD) or b"")
        except (OSError, ValueError):
            found = None
        if not isinstance(found, dict):
            raise ConflictError(f"{os.path.join(self.path, RECORD)} is no record of a run any more")
        return found

    def set_aside(self, record: Mapping[str, object]) -> str | None:
        """Give what a job wrote in the place of this record another name, and return that.

        None where the record is as it was written, or was removed. Files of a job are never lost,
        also where they have the name of ours.

        Raises:
            StoreUnreachableError: it cannot be renamed.
        """
        at = self._descriptor
        try:
            written = _encoded(record)
            if self._content(RECORD, len(written) + 1) == written:
                return None
            names = (f"{RECORD}.job{number or ''}" for number in count())
            free = next(name for name in names if not _exists(name, at))
            os.rename(RECORD, free, src_dir_fd=at, dst_dir_fd=at)
        except FileNotFoundError:
            return None
        except OSError as err:
            raise StoreUnreachableError(
                f"cannot rename {os.path.join(self.path, RECORD)}: {err.strerror}"
            ) from err
        return free

    def make_place(self, name: str) -> str:
        """Make a directory in it, of this name or, where the job took that, one like it.

        Raises:
            StoreUnreachableError: it cannot be made.
        """
        for number in count():
            free = f"{name}-{number}" if number else name
            with suppress(FileExistsError):
                return self._made(free)
        raise AssertionError

    def _made(self, name: str) -> str:
        try:
            os.mkdir(name, dir_fd=self._descriptor)
        except FileExistsError:
            raise
        except OSError as err:
            raise StoreUnreachableError(
                f"cannot make {os.path.join(self.path, name)}: {err.strerror}"
            ) from err
        return name

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
        self._write(MANIFEST, data, replace=False)

    @contextmanager
    def reading(self) -> Iterator[Callable[[bytes], BinaryIO]]:
        """Give what opens the files in it by their paths, and follows no link.

        Raises:
            StoreUnreachableError: the directory cannot be read.
        """
        try:
            tree = Descent(f"/proc/self/fd/{self._descriptor}")
        except OSError as err:
            raise StoreUnreachableError(f"cannot read {self.path}: {err.strerror}") from err

        def opened(path: bytes) -> BinaryIO:
            parent, _, name = path.rpartition(b"/")
            return open(open_file(name, tree.open(parent)), "rb")

        with tree:
            yield opened

    def alone(self) -> bool:
        """Keep others from going on with the run while it is open; False where somebody does."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as err:
            raise StoreUnreachableError(f"cannot lock {self.path}: {err.strerror}") from err
        return True

    def clear(self) -> None:
        """Remove the directory with all that is in it, where it still is in its place."""
        if self.is_in_place():
            remove_tree(self.place)

    def _content(self, name: str, most: int = -1) -> bytes | None:
        """Return what a file holds, of a large one not all; None of what is no regular file."""
        if not stat.S_ISREG(os.lstat(name, dir_fd=self._descriptor).st_mode):
            return None
        # A FIFO that came meanwhile is opened without waiting for its other end.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with open(os.open(name, flags, dir_fd=self._descriptor), "rb") as file:
            return file.read(most)

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
            with suppress(OSError):  # why it cannot be written says more
                os.unlink(temporary, dir_fd=at)
            raise StoreUnreachableError(
                f"cannot write {os.path.join(self.path, name)}: {err.strerror}"
            ) from err


def _encoded(record: Mapping[str, object]) -> bytes:
    return json.dumps(record, indent=2).encode() + b"\n"


def _exists(name: str, at: int) -> bool:
    try:
        os.lstat(name, dir_fd=at)
    except FileNotFoundError:
        return False
    return True


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
        parent, name = os.path.split(path)
        remove_tree(os.path.join(os.path.realpath(parent), name))
