"""Images of trees in the node cache: made once for a version and its looks, then shared."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from dataguard.errors import StoreUnreachableError
from dataguard.model.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pyarrow as pa

    from dataguard.model.digest import Algorithm, RootDigest
    from dataguard.model.tree import Looks

__all__ = ["stage", "tree_of"]

_KEY_DIGITS = 16


def tree_of(
    cache: str, root: RootDigest, algorithm: Algorithm, *, sheet: str | None, looks: Looks
) -> Tree:
    """Return which tree shows a version as a location sheet has it, with these looks."""
    said = f"{sheet} {looks.uid} {looks.gid} {looks.directory_mode} {looks.file_mode}"
    key = hashlib.sha256(f"{said} {looks.mtime_ns}".encode()).hexdigest()[:_KEY_DIGITS]
    return Tree(cache, root, algorithm, key)


def stage(tree: Tree, looks: Looks, entries: Callable[[], Iterable[pa.RecordBatch]]) -> bool:
    """Make the image of a tree unless it is there; returns whether that was needed.

    Nobody sees it before it is complete, and a process that is killed leaves nothing. `entries`
    yields the rows of the manifest beside those of the sheet; they must be verified by the end.

    Raises:
        CatalogDamagedError: the manifest or the sheet is damaged.
        ConflictError: a name can be none on a local file system.
        StoreUnreachableError: it cannot be written.
    """
    if os.path.exists(tree.image):
        return False
    directory = os.path.dirname(tree.image)
    try:
        os.makedirs(directory, mode=0o755, exist_ok=True)
        _write(directory, tree.image, looks, entries())
    except OSError as err:
        raise StoreUnreachableError(
            f"cannot write the tree {tree.image}: {err.strerror or err}", hint=f"df {directory}"
        ) from err
    return True


def _write(directory: str, image: str, looks: Looks, entries: Iterable[pa.RecordBatch]) -> None:
    from dataguard.stores.treeimage import write_image  # noqa: PLC0415  where there is none yet

    at = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        nameless = os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        with open(nameless, "w+b") as file:
            write_image(file, entries, looks)
            file.flush()
            os.fchmod(nameless, 0o444)
            os.fsync(nameless)
            _appear(nameless, at, os.path.basename(image))
        os.fsync(at)
    finally:
        os.close(at)


def _appear(nameless: int, directory: int, name: str) -> None:
    with suppress(FileExistsError):  # somebody was faster: it is the same
        # without a descriptor Python calls link(2), which takes the link in proc for the file
        os.link(f"/proc/self/fd/{nameless}", name, dst_dir_fd=directory, follow_symlinks=True)
