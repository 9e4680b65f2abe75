"""Which files one kind of search looks into: those that it did not, or that were changed since."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import field
from typing import TYPE_CHECKING

from dataguard.core.align import align
from dataguard.core.columns import number_column, numbers, raw_paths, truths
from dataguard.core.copies import unchanged
from dataguard.core.extents import bytes_of_others
from dataguard.core.kernels import taken
from dataguard.core.numeric import np
from dataguard.model.copies import Copy
from dataguard.model.dataclass import dataclass
from dataguard.model.entry import Obstacle, Unreadable
from dataguard.stores.looknotes import LookNotes
from dataguard.stores.obstacles import unreadable
from dataguard.stores.pace import pace_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    import pyarrow as pa

    from dataguard.actions.context import Context
    from dataguard.actions.copyfiles import PlaceFiles
    from dataguard.core.align import Window
    from dataguard.model.copies import CopyKind

__all__ = ["Looked", "Looks", "question"]


def question(*parts: object) -> bytes:
    """Return what names a question: all that its answers depend on beside the file."""
    return hashlib.sha256(repr(parts).encode()).hexdigest().encode()


@dataclass(slots=True)
class Looked:
    """The copies that one kind of search found in a place, and what could not be looked at.

    Paths of what could not be are below the place; `opened` counts the files looked into.
    """

    copies: list[Copy] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    opened: int = 0

    def failed(self, path: bytes, err: OSError) -> None:
        """Add a file that cannot be read; one that is not there any more is no copy."""
        gap = unreadable(path, err)
        if gap.obstacle is not Obstacle.VANISHED:
            self.unreadable.append(gap)

    def take(self, looks: Looks) -> None:
        """Add what earlier searches told, and remember what this one does."""
        looks.remember()
        self.copies += looks.told.copies
        self.unreadable += looks.told.unreadable
        self.opened += looks.told.opened


class Looks:
    """The files of a place for one kind of search.

    `told` holds what earlier searches told of files that are as they were then, and counts those
    that have to be looked into.
    """

    def __init__(
        self,
        ctx: Context,
        files: PlaceFiles,
        kind: CopyKind,
        *,
        name: str,
        asked: bytes,
        least: int,
        known: Collection[bytes],
    ) -> None:
        """Look at nothing yet; `known` are absolute paths of files to leave out."""
        self._files = files
        self._kind = kind
        self._least = least
        self._known = known
        place = files.prefix + (b"\0list" if files.is_list else b"")
        home, uid = ctx.settings.home.value, ctx.actor.uid
        self._notes = LookNotes(home, uid, place, name, asked)
        self._windows: list[_Window] = []
        self._rest = align(self._rows(), self._notes.read(), checked=True)
        self._noted: dict[bytes, bytes] = {}
        self.told = Looked()

    def unseen(self, *, paced: bool = True) -> Iterator[bytes]:
        """Yield the relative paths of files to look into, in path order.

        Where `paced`, the next comes when what this process has read is paid for.
        """
        pace = pace_of(self._files.rate) if paced else None
        for window in self._rest:
            for path in self._window(_seen(window)) if window.left.num_rows else ():
                if pace is not None:
                    pace.keep()
                yield path

    def over(self, expired: Callable[[], bool]) -> bool:
        """Whether the time is over; then the rest is unchecked."""
        if not expired():
            return False
        self.told.unreadable.append(Unreadable(b"", Obstacle.ABSENT, "the time was over"))
        return True

    def note(self, path: bytes, copies: Sequence[Copy]) -> None:
        """Remember what was told of a file that was looked into to its end."""
        if self._files.keep:
            said = [_said(one) for one in copies]
            self._noted[path] = json.dumps(said).encode() if said else b""

    def remember(self) -> None:
        """Write down what was noted, with what is known of files that are as they were."""
        if not self._files.keep:
            return
        self._windows += [_seen(one) for one in self._rest if one.left.num_rows]
        kept = [one.kept(self._noted) for one in self._windows]
        self._notes.write((rows for rows, _ in kept), (told for _, told in kept))

    def _rows(self) -> Iterator[pa.RecordBatch]:
        for batch in self._files.roll.batches():
            large = numbers(batch.column("size")) >= self._least
            if large.all():
                yield batch
            elif large.any():
                yield taken(batch, number_column(np.flatnonzero(large)))

    def _window(self, window: _Window) -> Iterator[bytes]:
        if self._files.keep:
            self._windows.append(window)
        prefix = self._files.prefix
        for path, told in zip(window.paths.to_pylist(), window.told, strict=True):
            if prefix + path in self._known:
                continue
            if told is None:
                self.told.opened += 1
                yield path
            elif told:
                self._recall(path, told)

    def _recall(self, path: bytes, told: bytes) -> None:
        """Add what was told of a file, with what it costs now."""
        look = self._files.look
        try:
            state = look.state(path)
            shared = bytes_of_others(look.extents(path, state))
        except OSError as err:
            self.told.failed(path, err)
            return
        frees = max(state.allocated - shared, 0)
        for one in json.loads(told):
            original = one["original"]
            self.told.copies.append(
                Copy(
                    path=self._files.prefix + path,
                    kind=self._kind,
                    dataset=one["dataset"],
                    version=one["version"],
                    entry=base64.b64decode(one["entry"]),
                    original=None if original is None else base64.b64decode(original),
                    bytes=one["bytes"],
                    reclaimable=frees if one["frees"] else 0,
                    state=state,
                    evidence=one["evidence"],
                )
            )


class _Window:
    """Files in one range of paths, and what was told of each: None where that is not known."""

    def __init__(self, rows: pa.RecordBatch, told: list[bytes | None]) -> None:
        self.rows = rows
        self.paths = raw_paths(rows)
        self.told = told

    def kept(self, noted: dict[bytes, bytes]) -> tuple[pa.RecordBatch, list[bytes | None]]:
        """Return the rows to be remembered, and what is said of each."""
        racy = truths(self.rows.column("racy"), null=True).tolist()
        said = [
            noted.get(path) if one is None else one
            for path, one in zip(self.paths.to_pylist(), self.told, strict=True)
        ]
        at = [i for i, one in enumerate(said) if one is not None and not racy[i]]
        kept = taken(self.rows, number_column(np.array(at, np.int64)))
        return kept, [said[i] or None for i in at]


def _seen(window: Window) -> _Window:
    """Return the files on the left with what the right tells of those that are as they were."""
    told: list[bytes | None] = [None] * window.left.num_rows
    if window.right.num_rows and "told" in window.right.schema.names:
        same = unchanged(window)
        left, right = window.left_rows[same], window.right_rows[same]
        said = taken(window.right, number_column(right)).column("told").to_pylist()
        for row, one in zip(left.tolist(), said, strict=True):
            told[row] = one or b""
    return _Window(window.left, told)


def _said(one: Copy) -> dict[str, object]:
    return {
        "dataset": one.dataset,
        "version": one.version,
        "entry": base64.b64encode(one.entry).decode(),
        "original": None if one.original is None else base64.b64encode(one.original).decode(),
        "bytes": one.bytes,
        "frees": one.reclaimable > 0,
        "evidence": dict(one.evidence),
    }
