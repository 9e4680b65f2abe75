"""Single rows of a manifest: the same that reading all of it gives."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataguard.cli import main
from dataguard.core.columns import raw_paths
from dataguard.errors import CatalogDamagedError
from dataguard.model.span import Span
from dataguard.stores import draft
from dataguard.stores.heartbeat import Heartbeats
from dataguard.stores.lookup import Lookup
from dataguard.stores.manifests import ManifestStore


@pytest.fixture(scope="module")
def registered(tmp_path_factory):
    """A manifest of several row groups with its sheet, and all its paths."""
    top = tmp_path_factory.mktemp("lookup")
    for number in range(300):
        file = top / "gold" / f"d{number % 7}" / f"{number}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"%d" % number)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATAGUARD_HOME", str(top / "home"))
        patch.setattr(draft, "ROWS_PER_GROUP", 64)
        assert 0 == main(["register", "faces", str(top / "gold"), "-q"])
    store = ManifestStore(str(top / "home"))
    name = next((top / "home" / "manifests").glob("*.parquet")).stem
    sheet = next((top / "home" / "sheets" / name).glob("*.parquet")).stem
    from dataguard.model.digest import Algorithm, RootDigest

    root = RootDigest(name)
    lookup = Lookup(store, root, Algorithm.XXH3_128, sheet)
    rows = list(store.read_with_sheet(root, Algorithm.XXH3_128, sheet))
    assert len(rows) > 2
    return lookup, {p: row for b in rows for p, row in zip(paths(b), b.to_pylist(), strict=True)}


def paths(batch):
    return raw_paths(batch).to_pylist()


def found(batches):
    return {p: row for b in batches for p, row in zip(paths(b), b.to_pylist(), strict=True)}


NAMES = st.builds(lambda d, f: b"d%d/%d" % (d, f), st.integers(0, 8), st.integers(0, 320))
AT_WILL = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)


@AT_WILL
@given(names=st.lists(NAMES | st.binary(min_size=1, max_size=3), unique=True).map(sorted))
def test_rows_at_paths_are_those_of_the_manifest(registered, names):
    lookup, rows = registered
    expected = {name: rows[name] for name in names if name in rows}
    assert expected == found(lookup.at(names))


@AT_WILL
@given(after=NAMES | st.just(b""), through=NAMES | st.none())
def test_rows_within_a_span_are_those_of_the_manifest(registered, after, through):
    lookup, rows = registered
    span = Span(after, through)
    expected = {path: row for path, row in rows.items() if span.contains(path)}
    assert expected == found(lookup.within(span))


def test_manifest_that_is_missing_is_damage(tmp_path):
    from dataguard.model.digest import Algorithm, RootDigest

    with pytest.raises(CatalogDamagedError):
        Lookup(ManifestStore(str(tmp_path)), RootDigest("0" * 64), Algorithm.XXH3_128, None)


def test_heartbeat_that_is_half_written_is_none(tmp_path):
    beats = Heartbeats(str(tmp_path), "host")
    assert beats.read("/gold") is None
    directory = tmp_path / "state" / "watch" / "host"
    directory.mkdir(parents=True)
    with open(beats._file("/gold"), "w", encoding="utf-8") as file:
        file.write('{"place": "/go')
    assert beats.read("/gold") is None
