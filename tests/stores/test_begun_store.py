from __future__ import annotations

from contracts.store import PLAN, collect
from dataguard.engines.serial import SerialEngine
from dataguard.model.digest import Algorithm, DigestPlan
from dataguard.model.span import Span
from dataguard.stores.begun import BegunStore
from dataguard.stores.local import LocalStore


class Counted(LocalStore):
    """A store that counts its scans."""

    def __init__(self, place):
        super().__init__(str(place), host="h", spread=SerialEngine().map)
        self.scans = 0

    def scan(self, plan, *, read, span=Span()):  # noqa: B008  frozen
        self.scans += 1
        return super().scan(plan, read=read, span=span)


def paths(pieces):
    return collect(pieces).paths


def test_first_whole_scan_is_the_one_that_was_begun_and_later_ones_are_new(tmp_path):
    (tmp_path / "a").write_bytes(b"a")
    counted = Counted(tmp_path)
    store = BegunStore(counted, PLAN)
    assert 1 == counted.scans
    assert [b"a"] == paths(store.scan(PLAN, read=True))
    assert 1 == counted.scans
    (tmp_path / "b").write_bytes(b"b")
    assert [b"a", b"b"] == paths(store.scan(PLAN, read=True))
    assert 2 == counted.scans


def test_other_scans_are_not_taken_for_the_one_that_was_begun(tmp_path):
    (tmp_path / "a").write_bytes(b"a")
    counted = Counted(tmp_path)
    store = BegunStore(counted, PLAN)
    other = DigestPlan(Algorithm.SHA256, ())
    assert [b"a"] == paths(store.scan(PLAN, read=False))
    assert [] == paths(store.scan(PLAN, read=True, span=Span(b"a", None)))
    assert 32 == len(collect(store.scan(other, read=True), other).column("digest")[b"a"])
    assert 4 == counted.scans
    assert [b"a"] == paths(store.scan(PLAN, read=True))
    assert 4 == counted.scans
