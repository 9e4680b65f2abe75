"""Trees of versions whose content lies in a node cache: how they look, and where they are."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from dataguard.model.digest import Algorithm, RootDigest

__all__ = ["Looks", "Tree", "data_of"]

_TREES = "trees"


@dataclass(frozen=True, slots=True)
class Looks:
    """What the manifest and the sheet don't say of files and directories.

    Files of a sheet without modes, owners or times take these; directories and links always do.
    """

    uid: int = 0
    gid: int = 0
    directory_mode: int = 0o555
    file_mode: int = 0o444
    mtime_ns: int = 0


@dataclass(frozen=True, slots=True)
class Tree:
    """The tree of one version with certain looks in the cache at `cache`, an absolute path.

    What looks the same has the same `key`, whoever mounts it.
    """

    cache: str
    root: RootDigest
    algorithm: Algorithm
    key: str

    @property
    def image(self) -> str:
        """Where its image is, or will be."""
        name = f"{self.root.hex}-{self.key}.erofs"
        return os.path.join(self.cache, _TREES, str(self.algorithm), name)


def data_of(image: str) -> str:
    """Return the directory in which the contents are that an image names.

    Law: `data_of(tree.image)` is the directory of the tree's algorithm in its cache.
    """
    rest, algorithm = os.path.split(os.path.dirname(image))
    return os.path.join(os.path.dirname(rest), algorithm)
