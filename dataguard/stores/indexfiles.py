"""Files that follow from versions, one a version, named by its root: derived, safe to delete."""

from __future__ import annotations

import contextlib
import os
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from dataguard.model.digest import RootDigest

__all__ = ["IndexFiles"]


class IndexFiles:
    """The files of one kind in `state/index/` of a home."""

    def __init__(self, home: str, suffix: str) -> None:
        self._directory = os.path.join(home, "state", "index")
        self._suffix = suffix

    def path(self, root: RootDigest) -> str:
        """Return where the file of a version is, or would be."""
        return os.path.join(self._directory, root.hex + self._suffix)

    def prune(self, roots: Collection[str]) -> None:
        """Remove the files of versions that are not in the catalog any more."""
        with contextlib.suppress(OSError):  # they are in nobody's way
            for name in os.listdir(self._directory):
                if name.endswith(self._suffix) and name.removesuffix(self._suffix) not in roots:
                    os.unlink(os.path.join(self._directory, name))

    @contextlib.contextmanager
    def replacing(self, root: RootDigest) -> Iterator[int]:
        """Hold a new file that takes the place of a version's at the end.

        It is not synced: what a crash leaves of it has another digest than its header says.

        Raises:
            OSError: it cannot be written.
        """
        os.makedirs(self._directory, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=".partial-", dir=self._directory)
        try:
            yield descriptor
            os.fchmod(descriptor, 0o644)
            os.rename(temporary, self.path(root))
        except BaseException:
            os.unlink(temporary)
            raise
        finally:
            os.close(descriptor)
