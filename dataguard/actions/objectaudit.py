"""Audits a version in a bucket by what its server says; content is read at the full level alone."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import field
from typing import TYPE_CHECKING

from dataguard.actions.bucketpolicy import look_at_policy
from dataguard.actions.observation import WINDOW_ROWS
from dataguard.core.align import align
from dataguard.core.bucketpolicy import joined
from dataguard.core.columns import gather, numbers
from dataguard.core.kernels import present
from dataguard.core.numeric import np
from dataguard.core.objectaudit import (
    Stored,
    doubtful,
    extra_object,
    listed_change,
    other_content,
    pin_difference,
    stored,
    versioning_difference,
)
from dataguard.core.objectlocks import lock_weakness
from dataguard.core.objectplaces import prefix_of
from dataguard.core.verdicts import Difference
from dataguard.errors import (
    ConflictError,
    DeniedError,
    NotFoundError,
    StoreUnreachableError,
)
from dataguard.model.audit import AuditLevel
from dataguard.model.dataclass import dataclass
from dataguard.model.digest import DigestPlan
from dataguard.model.entry import Obstacle, Unreadable
from dataguard.model.finding import Code
from dataguard.model.objects import Held, Pin
from dataguard.model.policy import Lock
from dataguard.stores.objectpins import PinnedObjects
from dataguard.stores.objectrows import pins_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

    from dataguard.actions.bucketpolicy import PolicyLook
    from dataguard.actions.context import Context
    from dataguard.core.align import Window
    from dataguard.model.dataset import Location, Version
    from dataguard.model.digest import Algorithm
    from dataguard.model.objects import Asked
    from dataguard.model.span import Span
    from dataguard.stores.interface import Scanned
    from dataguard.stores.objects import ObjectStore

__all__ = ["ObjectAudit", "Piece"]


@dataclass(slots=True)
class Piece:
    """What came of one range of keys; differences are in path order."""

    differences: list[Difference] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    files: int = 0
    bytes_read: int = 0


class ObjectAudit:
    """One look at a version in a bucket, at a level; memory does not grow with its objects."""

    def __init__(
        self,
        ctx: Context,
        version: Version,
        location: Location,
        level: AuditLevel,
        store: ObjectStore,
        *,
        policies: bool = False,
    ) -> None:
        """Ask for nothing yet; `policies`: compare the bucket's policy document, too."""
        self._ctx = ctx
        self._place = location.place
        self._policies = policies
        self.policy: PolicyLook | None = None
        self._version = version
        self._level = level
        self._store = store
        self._pinned = location.objects is not None and location.objects.pinned
        self._rules = ctx.policy.objects
        self._locks = self._rules.lock is not Lock.NONE
        self._prefix = prefix_of(location.place)
        self._plan = DigestPlan(version.algorithm)
        self._objects = PinnedObjects(store.client.access, self._prefix, ctx.engine.map)
        self._gaps: list[Unreadable] = []
        self._closed: set[bytes] = set()
        self._untold = 0
        self._first_untold = b""

    def pieces(self, expected: Iterable[pa.RecordBatch], span: Span) -> Iterator[Piece]:
        """Yield what differs between what was registered in a span and what is there.

        Raises:
            NotFoundError: there is no such bucket.
            StoreUnreachableError: it cannot be listed.
        """
        if self._level is not AuditLevel.LISTING:
            yield self._of_bucket()
        for window in align(expected, gather(self._entries(span), WINDOW_ROWS)):
            piece = self._of(window)
            piece.differences.sort(key=lambda difference: difference.path)
            yield self._with_gaps(piece)
        yield self._with_gaps(Piece(unreadable=self._unasked()))

    def _entries(self, span: Span) -> Iterator[pa.RecordBatch]:
        if self._level is AuditLevel.LISTING:
            pieces: Iterator[Scanned] = self._store.listed(self._plan, span)
        else:
            pieces = self._store.scan(self._plan, read=False, span=span)
        for piece in pieces:
            self._gaps.extend(piece.unreadable)
            self._closed.update(
                one.path for one in piece.unreadable if one.obstacle is not Obstacle.VANISHED
            )
            self._ctx.progress.advance(piece.entries.num_rows, 0)
            yield piece.entries

    def _with_gaps(self, piece: Piece) -> Piece:
        piece.unreadable = [*self._gaps, *piece.unreadable]
        self._gaps.clear()
        return piece

    def _of(self, window: Window) -> Piece:
        if self._level is AuditLevel.LISTING:
            return self._by_listing(window)
        piece = Piece(_extras(window))
        asks = np.zeros(window.left.num_rows, dtype=bool)
        asks[window.left_rows[doubtful(window, versions=True)]] = True
        asks[window.only_left] = True
        pins = self._pins(window.left)
        lost = self._by_asking(window, pins, asks, piece)
        piece.files = window.left.num_rows - len(lost) - len(piece.unreadable)
        if self._level is AuditLevel.FULL:
            self._by_reading(window.left, pins, lost, piece)
        return piece

    def _by_listing(self, window: Window) -> Piece:
        pins, piece = self._pins(window.left), Piece(_extras(window))
        for row in window.only_left.tolist():
            piece.differences.append(listed_change(self._path(pins[row]), pins[row], None))
        changed = np.flatnonzero(doubtful(window, versions=False))
        for row, listed in _pairs(window, changed):
            piece.differences.append(listed_change(self._path(pins[row]), pins[row], listed))
        piece.files = len(window.left_rows)
        piece.unreadable = self._without_etag(window, pins)
        return piece

    def _without_etag(self, window: Window, pins: list[Pin]) -> list[Unreadable]:
        """Return the objects of which the server lists no etag: their sizes say too little."""
        told = numbers(present(window.right.column("etag")))[window.right_rows]
        rows = window.left_rows[~told].tolist()
        detail = "the server lists no etag of it"
        return [Unreadable(self._path(pins[row]), Obstacle.ABSENT, detail) for row in rows]

    def _by_asking(
        self, window: Window, pins: list[Pin], doubts: np.ndarray, piece: Piece
    ) -> set[int]:
        """Ask about what is doubtful, or everything; return the rows that cannot be read."""
        everything = self._locks or self._level is AuditLevel.CHECKSUMS
        rows = range(len(pins)) if everything else np.flatnonzero(doubts).tolist()
        rows = [row for row in rows if self._path(pins[row]) not in self._closed]
        asked = self._objects.ask(
            ((pins[row], bool(doubts[row])) for row in rows), locks=self._locks
        )
        lost = {row for row, pin in enumerate(pins) if self._path(pin) in self._closed}
        shown = self._shown(window, pins)
        checksums = _Checksums(window.left, self._version.algorithm)
        for row, answer in zip(rows, asked, strict=True):
            pin, path = pins[row], self._path(pins[row])
            if answer.gap is not None:
                piece.unreadable.append(answer.gap)
                piece.differences += shown.get(row, [])
                continue
            found = pin_difference(path, pin, answer, newest=bool(doubts[row]))
            if found is not None:
                piece.differences.append(found)
            if answer.pinned is None or (found is not None and not pin.is_versioned):
                lost.add(row)
                continue
            piece.differences += self._weak_lock(path, answer)
            if self._level is AuditLevel.CHECKSUMS:
                piece.differences += self._by_checksum(path, answer.pinned, checksums, row)
        return lost

    def _shown(self, window: Window, pins: list[Pin]) -> dict[int, list[Difference]]:
        """Return what the listing alone shows of its rows, where the server says no more."""
        changed = np.flatnonzero(doubtful(window, versions=False))
        return {
            row: [listed_change(self._path(pins[row]), pins[row], listed)]
            for row, listed in _pairs(window, changed)
        }

    def _weak_lock(self, path: bytes, answer: Asked) -> list[Difference]:
        held = answer.pinned
        if held is None or not self._locks:
            return []
        words = lock_weakness(held, self._rules, self._ctx.clock())
        if not words:
            return []
        until = None if held.retain_until is None else held.retain_until.isoformat()
        evidence: dict[str, object] = {
            "version_id": held.version_id,
            "lock": held.lock_mode or "none",
            "retain_until": until,
            "wanted": str(self._rules.lock),
        }
        return [Difference(Code.DG605, path, words, evidence)]

    def _by_checksum(
        self, path: bytes, held: Held, known: _Checksums, row: int
    ) -> list[Difference]:
        match stored(held, known.recorded(row), known.digest(row), known.algorithm):
            case Stored.SAME:
                return []
            case Stored.UNTOLD:
                self._untold += 1
                self._first_untold = self._first_untold or path
                return []
        evidence: dict[str, object] = {
            "expected_checksum": known.recorded(row),
            "observed_checksum": held.checksum,
        }
        words = "the checksum that the store keeps of it is not the registered one"
        return [Difference(Code.DG101, path, words, evidence)]

    def _unasked(self) -> list[Unreadable]:
        if not self._untold:
            return []
        detail = (
            f"of {self._untold} objects, this one first, the store keeps no checksum that was "
            "registered: --level 4 reads them"
        )
        return [Unreadable(self._first_untold, Obstacle.ABSENT, detail)]

    def _by_reading(
        self, left: pa.RecordBatch, pins: list[Pin], lost: set[int], piece: Piece
    ) -> None:
        """Read what is pinned, whatever lies over it, and compare it with what was registered."""
        digests = left.column("digest")
        rows = [row for row in range(len(pins)) if row not in lost]
        position, width = 0, self._version.algorithm.digest_bytes
        for read in self._objects.read((pins[row] for row in rows), self._plan):
            self._ctx.progress.advance(0, read.bytes_read)
            piece.bytes_read += read.bytes_read
            piece.unreadable += read.unreadable
            for number, known in enumerate(read.known):
                row = rows[position + number]
                observed = read.digests[0][number * width : (number + 1) * width]
                expected = digests[row].as_py()
                if known and observed != expected:
                    found = other_content(self._path(pins[row]), pins[row], expected, observed)
                    piece.differences.append(found)
            position += len(read.known)

    def _of_bucket(self) -> Piece:
        """Look at what the bucket as a whole does; what it does not tell is a gap."""
        piece, weak = Piece(), []
        with self._gap_in(piece):
            if self._pinned:  # nothing relies on versions where none is pinned
                found = versioning_difference(self._store.client.versioning(), pinned=True)
                piece.differences += [] if found is None else [found]
            weak += self._without_lock()
        if self._policies:
            self.policy = look_at_policy(self._ctx, self._place, self._store.client)
            weak += [self.policy.difference] if self.policy.difference is not None else []
            piece.unreadable += [self.policy.gap] if self.policy.gap is not None else []
        piece.differences += joined(weak)
        return piece

    def _without_lock(self) -> list[Difference]:
        if not self._locks or self._store.client.lock() is not None:
            return []
        self._locks = False  # said once, not of every object
        message = f"the bucket has no object lock; the policy asks for {self._rules.lock}"
        evidence: dict[str, object] = {"wanted": str(self._rules.lock), "lock": "none"}
        return [Difference(Code.DG605, b"", message, evidence)]

    @contextmanager
    def _gap_in(self, piece: Piece) -> Iterator[None]:
        try:
            yield
        except DeniedError as err:
            piece.unreadable.append(Unreadable(b"", Obstacle.DENIED, err.message))
        except (ConflictError, NotFoundError, StoreUnreachableError) as err:
            piece.unreadable.append(Unreadable(b"", Obstacle.IO_ERROR, err.message))

    def _pins(self, left: pa.RecordBatch) -> list[Pin]:
        if "etag" in left.schema.names:
            return list(pins_of(left, self._prefix))
        raise StoreUnreachableError(
            f"{self._store.place}: it is not recorded what pins its objects",
            hint="register the location again",
        )

    def _path(self, pin: Pin) -> bytes:
        return pin.key[len(self._prefix) :]


class _Checksums:
    """What was registered of the rows of a window, to hold the store's checksums against."""

    def __init__(self, left: pa.RecordBatch, algorithm: Algorithm) -> None:
        self.algorithm = algorithm
        self._digests = left.column("digest")
        self._known = left.column("checksum") if "checksum" in left.schema.names else None

    def recorded(self, row: int) -> str | None:
        found: str | None = None if self._known is None else self._known[row].as_py()
        return found

    def digest(self, row: int) -> bytes:
        found: bytes = self._digests[row].as_py()
        return found


def _extras(window: Window) -> list[Difference]:
    paths = window.right_paths
    return [
        extra_object(paths[row].as_py(), _listed(window.right, row))
        for row in window.only_right.tolist()
    ]


def _pairs(window: Window, chosen: np.ndarray) -> Iterator[tuple[int, Held]]:
    """Yield rows of what was expected with what is listed in their place."""
    lefts, rights = window.left_rows[chosen], window.right_rows[chosen]
    for left, right in zip(lefts.tolist(), rights.tolist(), strict=True):
        yield left, _listed(window.right, right)


def _listed(right: pa.RecordBatch, row: int) -> Held:
    names = ("version_id", "etag", "size", "last_modified")
    return Held(*(right.column(name)[row].as_py() for name in names))
