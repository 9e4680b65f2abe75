"""What every store must do: inherit `StoreContract` and say how a tree is made."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pytest
import xxhash
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from corpora.evil_names import EVIL_NAMES
from dataguard.core.columns import raw_paths
from dataguard.errors import NotFoundError
from dataguard.model.digest import Algorithm, DigestPlan
from dataguard.model.entry import Obstacle, Unreadable
from dataguard.model.schema import observed_schema
from dataguard.model.span import Span

if TYPE_CHECKING:
    from dataguard.stores.interface import Scanned, Store

__all__ = ["Link", "Rows", "StoreContract", "collect", "digest_of"]

PLAN = DigestPlan(Algorithm.XXH3_128)


class Link(NamedTuple):
    """A symlink in a tree; a file is its bytes, an empty directory None, a FIFO an obstacle."""

    target: bytes


Tree = dict[bytes, bytes | Link | Obstacle | None]


class Rows(NamedTuple):
    """Everything a scan yielded."""

    table: pa.Table
    unreadable: list[Unreadable]
    files_read: int
    bytes_read: int

    @property
    def paths(self) -> list[bytes]:
        return [p for b in self.table.to_batches() for p in raw_paths(b).to_pylist()]

    def column(self, name: str) -> dict[bytes, object]:
        return dict(zip(self.paths, self.table.column(name).to_pylist(), strict=True))


def collect(pieces: object, plan: DigestPlan = PLAN) -> Rows:
    listed: list[Scanned] = list(pieces)  # type: ignore[call-overload]
    objects = any("etag" in p.entries.schema.names for p in listed)
    table = pa.Table.from_batches(
        [p.entries for p in listed], observed_schema(plan.main, plan.also, objects=objects)
    )
    return Rows(
        table,
        [item for piece in listed for item in piece.unreadable],
        sum(piece.files_read for piece in listed),
        sum(piece.bytes_read for piece in listed),
    )


def digest_of(algorithm: Algorithm, data: bytes) -> bytes:
    if algorithm is Algorithm.XXH3_128:
        return xxhash.xxh3_128_digest(data)
    if algorithm is Algorithm.BLAKE3:
        return blake3(data).digest()
    return hashlib.new(algorithm.value, data).digest()


TREE: Tree = {
    b"a": None,
    b"a-b": b"x",
    b"b-c": b"y",
    b"b.d/e": b"",
    b"b/c": b"hello\n",
    b"b/c d/\xff\n": b"odd",
    b"broken": Link(b"nowhere"),
    b"leaves \xfe": Link(b"../out\nside"),
    b"loop": Link(b"loop"),
    b"to b": Link(b"b"),
}


BORDERS: Tree = {
    b"a": None,
    b"a!": b"1",
    b"a-/b": b"3",
    b"a-b": None,
    b"a0": b"4",
    b"b-/x": b"5",
    b"b/-": None,
    b"b/a/\xff/c": b"6",
    b"b/a0": Link(b"a"),
    b"b0": None,
    b"c/a": Obstacle.FIFO,
    b"c/a-": b"7",
    b"c0": Obstacle.FIFO,
    b"\xfe\xff/\n": b"8",
}
CUTS = st.sampled_from(sorted(BORDERS)) | st.text("abc-/0\xff", max_size=6).map(
    lambda text: text.encode("latin-1")
)


def spans_between(cuts: list[bytes]) -> list[Span]:
    """Return the spans that follow one another, cut after these paths."""
    ends = sorted({cut for cut in cuts if cut})
    return [Span(*ends_of) for ends_of in zip([b"", *ends], [*ends, None], strict=True)]


class StoreContract:
    """The laws of `Store`."""

    @pytest.fixture
    def made(self, tmp_path):
        """Return a function that makes a store of a tree."""
        raise NotImplementedError

    @pytest.fixture
    def absent(self, tmp_path):
        """Return a store of a place that does not exist."""
        raise NotImplementedError

    objects = False
    """Whether entries are objects: regular files alone, with the columns of objects."""

    def fitted(self, tree: Tree) -> Tree:
        """Return what such a store can hold of a tree."""
        return tree

    def remove(self, store: Store, path: bytes) -> None:
        """Take a file away."""
        raise NotImplementedError

    def snapshot(self, store: Store) -> object:
        """Return everything that must not change at the place."""
        raise NotImplementedError

    @pytest.mark.parametrize("read", [True, False])
    def test_entries_come_once_in_bytewise_path_order(self, made, read):
        rows = collect(made(self.fitted(TREE)).scan(PLAN, read=read))
        assert sorted(self.fitted(TREE)) == rows.paths
        assert [] == rows.unreadable

    def test_kinds_sizes_and_targets_are_what_they_are(self, made):
        rows = collect(made(self.fitted(TREE)).scan(PLAN, read=False))
        kinds = {bytes: "f", Link: "l", type(None): "d"}
        assert {p: kinds[type(t)] for p, t in self.fitted(TREE).items()} == rows.column("kind")
        sizes = {
            p: len(t.target if isinstance(t, Link) else t or b"")
            for p, t in self.fitted(TREE).items()
        }
        assert sizes == rows.column("size")
        targets = {
            p: t.target if isinstance(t, Link) else None for p, t in self.fitted(TREE).items()
        }
        assert targets == rows.column("link_target")

    def test_paths_that_are_no_text_are_kept_raw(self, made):
        if self.objects:
            pytest.skip("keys are UTF-8")
        rows = collect(made(self.fitted(TREE)).scan(PLAN, read=False))
        odd = {b"b/c d/\xff\n", b"leaves \xfe"}
        assert {p: p if p in odd else None for p in self.fitted(TREE)} == rows.column("path_raw")
        assert "b/c d/\\xff\n" == rows.column("path")[b"b/c d/\xff\n"]

    @pytest.mark.parametrize("main", [Algorithm.XXH3_128, Algorithm.BLAKE3, Algorithm.SHA256])
    def test_digests_are_those_of_the_content(self, made, main):
        also = tuple(a for a in Algorithm if a is not main)
        plan = DigestPlan(main, also)
        rows = collect(made(self.fitted(TREE)).scan(plan, read=True), plan)
        assert observed_schema(main, also, objects=self.objects) == rows.table.schema
        for name, algorithm in [("digest", main), *((str(a), a) for a in also)]:
            expected = {
                path: bytes(algorithm.digest_bytes)
                if thing is None
                else digest_of(algorithm, thing.target if isinstance(thing, Link) else thing)
                for path, thing in self.fitted(TREE).items()
            }
            assert expected == rows.column(name)

    def test_files_that_are_not_read_have_no_digest(self, made):
        rows = collect(made(self.fitted(TREE)).scan(PLAN, read=False))
        assert {p for p, t in self.fitted(TREE).items() if isinstance(t, bytes)} == {
            path for path, digest in rows.column("digest").items() if digest is None
        }
        assert (0, 0) == (rows.files_read, rows.bytes_read)

    def test_files_and_bytes_read_are_counted(self, made):
        rows = collect(made(self.fitted(TREE)).scan(PLAN, read=True))
        files = [thing for thing in self.fitted(TREE).values() if isinstance(thing, bytes)]
        assert (len(files), sum(map(len, files))) == (rows.files_read, rows.bytes_read)

    def test_reading_what_was_scanned_gives_the_same_rows(self, made):
        store = made(self.fitted(TREE))
        listed = store.scan(PLAN, read=False)
        assert collect(store.scan(PLAN, read=True)) == collect(
            store.read((piece.entries for piece in listed), PLAN)
        )

    def test_reading_takes_the_asked_paths_alone(self, made):
        paths = sorted(self.fitted(TREE))
        store = made(self.fitted(TREE))
        whole = collect(store.scan(PLAN, read=False)).table.combine_chunks().to_batches()[0]
        last = len(paths) - 1
        chosen = [whole.slice(0, 2), whole.slice(last, 1)]
        assert [*paths[:2], paths[last]] == collect(store.read(chosen, PLAN)).paths

    def test_what_is_gone_when_it_is_read_is_listed(self, made):
        store = made({b"a": b"1", b"d/b": b"2", b"d/c": b"3"})
        listed = [piece.entries for piece in store.scan(PLAN, read=False)]
        self.remove(store, b"d/b")
        rows = collect(store.read(listed, PLAN))
        assert [b"a", b"d/c"] == rows.paths
        assert [(b"d/b", Obstacle.VANISHED)] == [(u.path, u.obstacle) for u in rows.unreadable]

    @pytest.mark.parametrize("read", [True, False])
    def test_what_cannot_be_read_is_listed_and_the_rest_is_there(self, made, read):
        if self.objects:
            pytest.skip("nothing in a bucket is no object")
        fifos: Tree = {b"b/fifo": Obstacle.FIFO, b"z": Obstacle.FIFO}
        rows = collect(made({**self.fitted(TREE), **fifos}).scan(PLAN, read=read))
        assert sorted(self.fitted(TREE)) == rows.paths
        assert sorted(fifos.items()) == [(u.path, u.obstacle) for u in rows.unreadable]

    def test_nothing_at_the_place_changes(self, made):
        store = made(self.fitted({**TREE, b"fifo": Obstacle.FIFO}))
        before = self.snapshot(store)
        collect(store.scan(PLAN, read=True))
        assert before == self.snapshot(store)

    def test_every_evil_name_survives(self, made):
        tree: Tree = {name: b"top " + name for name in EVIL_NAMES}
        tree |= {b"d\n\xff/" + name + b"/" + name: name for name in EVIL_NAMES}
        tree = self.fitted(tree)
        rows = collect(made(tree).scan(PLAN, read=True))
        assert sorted(tree) == rows.paths
        expected = {p: digest_of(Algorithm.XXH3_128, t) for p, t in tree.items()}
        assert expected == rows.column("digest")

    def test_many_entries_come_in_bounded_pieces(self, made):
        count = 1100 if self.objects else 3000  # a page of a listing holds a thousand
        store = made({b"%04d" % number: b"" for number in range(count)})
        rows = [piece.entries.num_rows for piece in store.scan(PLAN, read=True)]
        assert count == sum(rows)
        assert max(rows) <= 1024

    def test_scans_of_spans_that_follow_one_another_give_the_whole_scan(self, made):
        borders = self.fitted(BORDERS)
        store = made(borders)
        whole = collect(store.scan(PLAN, read=True))

        @given(st.lists(CUTS, max_size=5))
        @settings(deadline=None, max_examples=10 if self.objects else 100)
        def law(cuts):
            scans = [store.scan(PLAN, read=True, span=span) for span in spans_between(cuts)]
            parts = [piece for scan in scans for piece in scan]
            assert whole == collect(parts)

        law()

    def test_a_scan_stays_inside_its_span(self, made):
        borders = self.fitted(BORDERS)
        store = made(borders)

        @given(CUTS, CUTS)
        @settings(deadline=None, max_examples=10 if self.objects else 100)
        def law(one, other):
            span = Span(min(one, other), max(one, other))
            rows = collect(store.scan(PLAN, read=False, span=span))
            inside = sorted(filter(span.contains, borders))
            fifos = [path for path in inside if borders[path] is Obstacle.FIFO]
            assert [path for path in inside if path not in fifos] == rows.paths
            assert fifos == [item.path for item in rows.unreadable]

        law()

    def test_an_empty_place_has_no_entries(self, made):
        rows = collect(made({}).scan(PLAN, read=True))
        assert ([], []) == (rows.paths, rows.unreadable)

    def test_a_place_that_is_not_there_is_not_found(self, absent):
        with pytest.raises(NotFoundError):
            list(absent.scan(PLAN, read=True))
