"""Whether a seal is still there: what audits say of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.core.align import differing
from dataguard.core.columns import kind_mask
from dataguard.core.directories import entered, parents
from dataguard.core.numeric import np
from dataguard.core.sealing import notice
from dataguard.core.verdicts import Difference
from dataguard.model.audit import AuditLevel
from dataguard.model.finding import Code
from dataguard.model.policy import Seal
from dataguard.model.seal import SEAL_GONE
from dataguard.stores.sealcheck import SealCheck

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataguard.actions.context import Context
    from dataguard.core.align import Window
    from dataguard.model.dataset import Location
    from dataguard.model.seal import SealRecord

__all__ = ["SealWatch"]


class SealWatch:
    """Looks after the seal of one place while it is compared, window by window.

    At the quick level of an immutable seal the flags of directories are looked at, and those of
    the files whose change time or inode is not the baseline's: a flag cannot be cleared without
    moving the change time. At the full level all are. Of a seal by mode the comparison itself
    tells the modes of files; here are those of directories. Opens no file.
    """

    def __init__(self, ctx: Context, location: Location, level: AuditLevel) -> None:
        self._record = ctx.catalog.seal(location.place)
        self._notice = notice(self._record, ctx.clock())
        self._full = level is AuditLevel.FULL
        self._place = location.place
        self._at: bytes | None = None

    def notices(self) -> Iterator[Difference]:
        """Yield what is to be said of the seal as a whole."""
        if self._notice and self._record is not None:
            yield _difference(b"", self._notice, self._record, notice=True)

    def lost(self, window: Window, *, baseline: bool) -> list[Difference]:
        """Return the entries and directories of a window that lost their seal.

        What is gone or cannot be looked at is said by the comparison.
        """
        record = self._record
        if record is None or record.holds is Seal.NONE or not window.left.num_rows:
            return []
        with SealCheck(self._place, record.holds) as check:
            found = [path for path in self._directories(window) if not check.holds(path)]
            if record.kind is Seal.IMMUTABLE:
                found += [path for path in self._files(window, baseline) if not check.holds(path)]
        said = SEAL_GONE[record.kind]
        return [_difference(path, said, record) for path in dict.fromkeys(found)]

    def _directories(self, window: Window) -> Iterator[bytes]:
        """Yield the directories that are entered in a window, each once over all windows."""
        for parent in parents(window.left_paths):
            yield from entered(self._at, parent)
            self._at = parent
        # Within a window each directory is named once: its last path tells which are open.
        self._at = window.left_paths[len(window.left_paths) - 1].as_py().rpartition(b"/")[0]

    def _files(self, window: Window, baseline: bool) -> Iterator[bytes]:
        if self._full or not baseline:
            chosen = np.ones(len(window.left_rows), dtype=bool)
        else:
            chosen = differing(window, "ctime_ns") | differing(window, "inode")
        chosen &= ~kind_mask(window.left, "l")[window.left_rows]
        for row in window.left_rows[chosen]:
            yield window.left_paths[int(row)].as_py()


def _difference(path: bytes, said: str, record: SealRecord, *, notice: bool = False) -> Difference:
    evidence = {"seal": str(record.kind), "state": str(record.state), "notice": notice}
    return Difference(Code.DG105, path, said, evidence)
