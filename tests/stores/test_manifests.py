from __future__ import annotations

import hashlib
import os
import random
import signal
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corpora.evil_names import EVIL_NAMES
from dataguard.core.columns import raw_paths, text_paths
from dataguard.core.identity import root_digest
from dataguard.errors import CatalogDamagedError, DataguardError, StoreUnreachableError
from dataguard.model.digest import Algorithm, DigestPlan, RootDigest
from dataguard.model.schema import LOCATION_SHEET, ROWS_PER_GROUP, observed_schema
from dataguard.stores.manifests import ManifestStore

XXH3 = Algorithm.XXH3_128
PLAN = DigestPlan(XXH3)
BOTH = DigestPlan(XXH3, (Algorithm.SHA256, Algorithm.BLAKE3))
EPOCH_NS = 1_700_000_000_000_000_000


def observed(paths: list[bytes], plan: DigestPlan = PLAN, *, seed: int = 1) -> pa.RecordBatch:
    """Observed entries with made-up facts; every third is a link, every seventh a directory."""
    rng, count = np.random.default_rng(seed), len(paths)
    kinds = ["d" if n % 7 == 6 else "l" if n % 3 == 2 else "f" for n in range(count)]
    text, raw = text_paths(pa.array(paths, pa.binary()))
    columns = {
        "path": text,
        "path_raw": raw,
        "kind": kinds,
        "size": rng.integers(0, 200_000, count),
        "link_target": [b"to\xff" if kind == "l" else None for kind in kinds],
        "mtime_ns": EPOCH_NS + rng.integers(0, 10**15, count),
        "ctime_ns": EPOCH_NS + rng.integers(0, 10**15, count),
        "inode": 1_000_000 + np.arange(count),
        "mode": [0o100644] * count,
        "uid": [1000] * count,
        "gid": [1000] * count,
        "racy": [False] * count,
        "nlink": [1] * count,
    }
    for name, algorithm in [("digest", plan.main), *((str(a), a) for a in plan.also)]:
        columns[name] = [rng.bytes(algorithm.digest_bytes) for _ in range(count)]
    schema = observed_schema(plan.main, plan.also)
    arrays = [
        c if isinstance(c := columns[field.name], pa.Array) else pa.array(c, field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def realistic(count: int) -> pa.RecordBatch:
    """What an image data set looks like: 100 directories, regular files alone."""
    per = count // 100
    paths = [
        b"train/n%08d/n%08d_%06d.JPEG" % (d, d, n * 37) for d in range(100) for n in range(per)
    ]
    batch = observed(paths)
    kinds = pa.array(["f"] * len(paths), pa.string())
    position = batch.schema.get_field_index("kind")
    links = batch.schema.get_field_index("link_target")
    batch = batch.set_column(position, batch.schema.field("kind"), kinds)
    nothing = pa.nulls(len(paths), pa.binary())
    return batch.set_column(links, batch.schema.field("link_target"), nothing)


def publish(store: ManifestStore, batches: list[pa.RecordBatch], plan: DigestPlan = PLAN):
    with store.draft(plan) as draft:
        for batch in batches:
            draft.add(batch)
        return draft.publish()


def cut(batch: pa.RecordBatch, rows: int) -> list[pa.RecordBatch]:
    return [batch.slice(start, rows) for start in range(0, batch.num_rows, rows)]


def files_below(home: Path) -> list[str]:
    return sorted(str(path.relative_to(home)) for path in home.rglob("*") if path.is_file())


@pytest.fixture
def store(tmp_path):
    return ManifestStore(str(tmp_path))


@pytest.fixture
def shelf(store):
    """A published manifest of evil names with a sheet: the store, its keys, what went in."""
    batch = observed(sorted(EVIL_NAMES), BOTH)
    return store, publish(store, [batch], BOTH), batch


PATHS = st.lists(st.binary(min_size=1, max_size=6).filter(lambda p: b"\0" not in p), unique=True)


@given(PATHS, st.integers(1, 5))
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None
)
def test_what_is_read_is_what_was_added(store, paths, rows):
    batch = observed(sorted(paths), BOTH)
    published = publish(store, cut(batch, rows), BOTH)
    table = pa.Table.from_batches([batch])
    names = ["path", "path_raw", "kind", "size", "digest", "link_target"]
    read = list(store.read_with_sheet(published.root, XXH3, published.sheet))
    expected = table.select([*names, *LOCATION_SHEET.names])
    assert expected.to_pylist() == [row for found in read for row in found.to_pylist()]
    digests = store.read_digest_sheet(published.root, published.digest_sheet, BOTH.also)
    also = [str(algorithm) for algorithm in BOTH.also]
    assert table.select(also).to_pylist() == [r for found in digests for r in found.to_pylist()]


@given(PATHS, st.integers(1, 5), st.sets(st.integers(0, 5)))
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None
)
def test_root_asked_for_on_the_way_is_that_of_what_was_added(store, paths, rows, asked):
    batch = observed(sorted(paths))
    with store.draft(PLAN) as draft:
        for number, piece in enumerate(cut(batch, rows)):
            draft.add(piece)
            if number in asked:
                so_far = batch.slice(0, (number + 1) * rows)
                assert root_digest([so_far], XXH3) == draft.root()
                assert so_far.num_rows == draft.counts[0]
        published = draft.publish()
    assert (root_digest([batch], XXH3), batch.num_rows) == (published.root, published.entries)


def test_root_asked_for_between_row_groups_changes_nothing(tmp_path):
    batch = observed([b"%06d" % n for n in range(1000)])
    repeated = batch.take(pa.array([n % 1000 for n in range(ROWS_PER_GROUP + 1000)]))
    paths = pa.array([b"%08d" % n for n in range(repeated.num_rows)], pa.binary())
    whole = repeated.set_column(0, batch.schema.field("path"), paths.cast(pa.string()))
    keys = []
    for home, asks in (("one", False), ("two", True)):
        with ManifestStore(str(tmp_path / home)).draft(PLAN) as draft:
            for piece in cut(whole, 7_001):
                draft.add(piece)
                if asks:
                    draft.root()
            keys.append(draft.publish())
    assert keys[0] == keys[1]


def test_content_is_what_the_root_covers_and_is_verified_too(shelf):
    store, published, _ = shelf
    content, whole = store.read_content(published.root, XXH3), store.read(published.root, XXH3)
    for found, expected in zip(content, whole, strict=True):
        assert raw_paths(expected).equals(raw_paths(found))
        assert "link_target" not in found.schema.names
        for name in ("path_raw", "kind", "size", "digest"):
            assert expected.column(name).equals(found.column(name))
    other = RootDigest("0" * 64)
    os.rename(store.manifest_path(published.root), store.manifest_path(other))
    with pytest.raises(CatalogDamagedError, match="holds other content"):
        list(store.read_content(other, XXH3))


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 100_000])
def test_content_is_the_same_whatever_the_batches_it_comes_in(shelf, monkeypatch, rows):
    store, published, _ = shelf
    names = ("kind", "size", "digest", "path_raw")
    whole = list(store.read_content(published.root, XXH3))
    monkeypatch.setattr("dataguard.stores.manifests._CONTENT_ROWS", rows)
    pieces = list(store.read_content(published.root, XXH3))
    assert all(piece.num_rows <= rows for piece in pieces)
    assert pa.Table.from_batches(whole).equals(pa.Table.from_batches(pieces))
    assert {"f", "l", "d"} == {kind for piece in pieces for kind in piece["kind"].to_pylist()}
    assert all(piece.column(name).validate(full=True) is None for piece in pieces for name in names)


def test_names_that_are_no_text_come_back_as_bytes(shelf):
    store, published, _ = shelf
    found = [p for b in store.read(published.root, XXH3) for p in raw_paths(b).to_pylist()]
    assert sorted(EVIL_NAMES) == found


def test_published_facts_are_those_of_the_content(shelf):
    store, published, batch = shelf
    sizes = zip(batch.column("kind").to_pylist(), batch.column("size").to_pylist(), strict=True)
    files = [size for kind, size in sizes if kind == "f"]
    facts = (published.entries, published.files, published.bytes)
    assert (batch.num_rows, len(files), sum(files)) == facts
    assert root_digest([batch], XXH3) == published.root
    assert XXH3 is store.algorithm(published.root)
    assert BOTH.also == store.digest_sheet_algorithms(published.root, published.digest_sheet)
    for key in (published.sheet, published.digest_sheet):
        data = Path(store.sheet_path(published.root, key)).read_bytes()
        assert hashlib.sha256(data).hexdigest() == key
        store.verify_sheet(published.root, key)


def test_footer_names_the_format_and_the_content(shelf):
    store, published, batch = shelf
    footer = pq.read_metadata(store.manifest_path(published.root)).metadata
    assert {
        b"dataguard.format": b"manifest/1",
        b"dataguard.root": str(published.root).encode(),
        b"dataguard.algorithm": b"xxh3-128",
        b"dataguard.count": str(batch.num_rows).encode(),
        b"dataguard.bytes": str(published.bytes).encode(),
    } == footer


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_file_is_determined_by_the_content_alone(tmp_path, rows):
    batch = observed([b"%05d" % n for n in range(2000)], BOTH)
    contents = []
    for home, cuts in (("one", [batch]), ("two", cut(batch, rows))):
        store = ManifestStore(str(tmp_path / home))
        publish(store, cuts, BOTH)
        top = tmp_path / home
        contents.append({name: (top / name).read_bytes() for name in files_below(top)})
    assert 3 == len(contents[0])
    assert contents[0] == contents[1]


@pytest.mark.parametrize("rows", [ROWS_PER_GROUP - 1, ROWS_PER_GROUP + 1, 50_000])
def test_row_groups_have_the_rows_of_the_format_whatever_the_batches(tmp_path, rows):
    count = 2 * ROWS_PER_GROUP + 5
    batch = observed([b"%06d" % n for n in range(1000)])
    numbers = np.arange(count)
    paths = pa.array([b"%08d" % n for n in numbers], pa.binary())
    whole = batch.take(pa.array(numbers % 1000))
    whole = whole.set_column(0, batch.schema.field("path"), paths.cast(pa.string()))
    contents = set()
    for home, cuts in (("one", [whole]), ("two", cut(whole, rows))):
        store = ManifestStore(str(tmp_path / home))
        published = publish(store, cuts)
        path = store.manifest_path(published.root)
        metadata = pq.read_metadata(path)
        groups = [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)]
        assert [ROWS_PER_GROUP, ROWS_PER_GROUP, 5] == groups
        contents.add(Path(path).read_bytes())
    assert 1 == len(contents)
    assert groups == [b.num_rows for b in store.read(published.root, XXH3)]


def test_manifest_and_sheet_are_small(store):
    count = 50_000
    published = publish(store, cut(realistic(count), 256))
    assert os.path.getsize(store.manifest_path(published.root)) <= 28 * count
    assert os.path.getsize(store.sheet_path(published.root, published.sheet)) <= 20 * count


def test_empty_content_has_the_golden_root(store):
    published = publish(store, [])
    empty = "dg1:609d6b136ea0192e13c8c00e00e40d05fe4ea8c88d0c4e94f7cd1d9bc0ffa986"
    assert empty == str(published.root)
    assert [] == list(store.read_with_sheet(published.root, XXH3, published.sheet))


def test_files_are_read_only_and_no_draft_is_left(shelf, tmp_path):
    store, published, _ = shelf
    assert [] == list(store.abandoned())
    assert sorted(str(tmp_path / name) for name in files_below(tmp_path)) == sorted(
        store.published()
    )
    assert 0o444 == stat.S_IMODE(os.stat(store.manifest_path(published.root)).st_mode)


def test_discarded_draft_leaves_nothing(store, tmp_path):
    with store.draft(BOTH) as draft:
        draft.add(observed([b"a", b"b"], BOTH))
        assert 3 == len(files_below(tmp_path))
        assert [] == list(store.published())
    assert [] == files_below(tmp_path)


def test_failing_draft_leaves_nothing(store, tmp_path):
    def fill():
        with store.draft(PLAN) as draft:
            draft.add(observed([b"b"]))
            draft.add(observed([b"a"]))
            draft.publish()

    with pytest.raises(CatalogDamagedError, match="path order"):
        fill()
    assert [] == files_below(tmp_path)


def test_entry_without_a_digest_is_refused(store):
    batch = observed([b"a"])
    field = batch.schema.field("digest")
    batch = batch.set_column(4, field, pa.nulls(1, field.type))
    with store.draft(PLAN) as draft, pytest.raises(DataguardError, match="without a digest"):
        draft.add(batch)


def test_same_content_with_other_times_gets_another_sheet_beside_the_first(store):
    one, other = observed([b"a"]), observed([b"a"])
    field = other.schema.get_field_index("mtime_ns")
    other = other.set_column(field, other.schema.field(field), pa.array([5], pa.int64()))
    first, second = publish(store, [one]), publish(store, [other])
    assert first.root == second.root
    assert first.sheet != second.sheet
    assert 2 == len(store.sheets(first.root))
    rows = next(store.read_with_sheet(first.root, XXH3, first.sheet))
    assert one.column("mtime_ns") == rows.column("mtime_ns")


def test_publishing_mends_a_damaged_file_of_the_same_content(shelf):
    store, published, batch = shelf
    path = store.manifest_path(published.root)
    os.chmod(path, 0o644)
    Path(path).write_bytes(b"")
    publish(store, [batch], BOTH)
    store.verify(published.root, XXH3)


WRITER = """
import sys, time
from dataguard.model.digest import Algorithm, DigestPlan
from dataguard.stores.manifests import ManifestStore
draft = ManifestStore(sys.argv[1]).draft(DigestPlan(Algorithm.XXH3_128))
print("ready", flush=True)
time.sleep(60)
"""


def test_draft_of_a_killed_writer_is_abandoned_and_a_live_one_is_not(store, tmp_path):
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert writer.stdout is not None
        assert "ready\n" == writer.stdout.readline()
        with store.draft(PLAN):
            drafts = set(files_below(tmp_path))
            assert 4 == len(drafts)
            assert [] == list(store.abandoned())
            writer.send_signal(signal.SIGKILL)
            writer.wait()
            assert 2 == len(list(store.abandoned()))
        assert 2 == len(list(store.abandoned()))
        assert [] == list(store.published())
        for path in store.abandoned():
            store.remove(path)
            store.remove(path)
        assert [] == files_below(tmp_path)
    finally:
        writer.kill()
        writer.wait()
        if writer.stdout is not None:
            writer.stdout.close()


def test_stray_files_among_the_sheets_are_not_in_the_way(shelf, tmp_path):
    store, _, _ = shelf
    (tmp_path / "sheets/.DS_Store").touch()
    assert 3 == len(list(store.published()))
    assert [] == list(store.abandoned())


def test_home_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnreachableError, match="cannot make"):
        ManifestStore(str(tmp_path / "file")).draft(PLAN)


@pytest.fixture
def full_disk(tmp_path):
    """A file system of 64 KiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    top = tmp_path / "small"
    top.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(top)]
    if subprocess.run(mount, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    yield top
    subprocess.run(["umount", "--lazy", str(top)], check=True)


def test_full_disk_is_an_error_with_a_hint_and_leaves_nothing(full_disk):
    def fill():
        publish(ManifestStore(str(full_disk)), cut(realistic(70_000), 10_000))

    with pytest.raises(DataguardError, match="cannot write") as caught:
        fill()
    assert "nothing was recorded" in (caught.value.hint or "")
    assert [] == files_below(full_disk)


def test_disk_that_is_full_from_the_start_leaves_nothing(full_disk):
    ManifestStore(str(full_disk)).draft(PLAN).__exit__()
    (full_disk / "ballast").write_bytes(bytes(os.statvfs(full_disk).f_bavail * 4096))
    opened = len(os.listdir("/proc/self/fd"))
    with pytest.raises(DataguardError, match="cannot write"):
        ManifestStore(str(full_disk)).draft(PLAN)
    assert ["ballast"] == files_below(full_disk)
    assert opened == len(os.listdir("/proc/self/fd"))


def consume(store: ManifestStore, published) -> list[dict[str, object]]:
    store.algorithm(published.root)
    store.digest_sheet_algorithms(published.root, published.digest_sheet)
    batches = store.read_with_sheet(published.root, XXH3, published.sheet)
    rows = [row for batch in batches for row in batch.to_pylist()]
    digests = store.read_digest_sheet(published.root, published.digest_sheet, BOTH.also)
    return rows + [row for batch in digests for row in batch.to_pylist()]


def test_flipped_and_missing_bytes_are_damage_or_make_no_difference(tmp_path):
    store = ManifestStore(str(tmp_path))
    published = publish(store, [observed(sorted(EVIL_NAMES)[:60], BOTH)], BOTH)
    whole = consume(store, published)
    rng = random.Random(1)
    told = 0
    for path in store.published():
        original = Path(path).read_bytes()
        os.chmod(path, 0o644)
        for position in sorted(rng.sample(range(len(original)), 150)):
            damaged = bytearray(original)
            damaged[position] ^= 1 << rng.randrange(8)
            for data in (bytes(damaged), original[:position]):
                Path(path).write_bytes(data)
                try:
                    assert whole == consume(store, published)
                except CatalogDamagedError:
                    told += 1
        Path(path).write_bytes(original)
    assert whole == consume(store, published)
    assert told > 600


def write(path: str, table: pa.Table, footer: dict[bytes, bytes], *, rows: int = 1 << 20) -> None:
    os.chmod(path, 0o644)
    with pq.ParquetWriter(path, table.schema, store_schema=False) as writer:
        writer.write_table(table, row_group_size=rows)
        writer.add_key_value_metadata(footer)


def rewritten(path: str, change) -> None:
    """Write a Parquet file again with other rows and the same footer keys."""
    write(path, change(pq.read_table(path)), pq.read_metadata(path).metadata)


def with_value(name: str, value: object):
    def change(table: pa.Table) -> pa.Table:
        position = table.schema.get_field_index(name)
        values = [value, *table.column(name).to_pylist()[1:]]
        field = table.schema.field(position).with_nullable(True)
        return table.set_column(position, field, pa.array(values, field.type))

    return change


FORGERIES = {
    "one row less": lambda table: table.slice(1),
    "one row twice": lambda table: pa.concat_tables([table.slice(0, 1), table]),
    "other order": lambda table: table.take([*range(1, table.num_rows), 0]),
    "column missing": lambda table: table.drop_columns(["digest"]),
    "other digest": with_value("digest", bytes(16)),
    "no digest": with_value("digest", None),
    "no path": with_value("path", None),
    "no kind": with_value("kind", None),
    "no size": with_value("size", None),
    "unknown kind": with_value("kind", "x"),
    "long kind": with_value("kind", "ff"),
    "other kind": with_value("kind", "d"),
    "negative size": with_value("size", -1),
    "other path": with_value("path", "\x00"),
    "text as size": lambda table: table.set_column(3, "size", table.column("path")),
    "nothing": lambda table: table.slice(0, 0),
    "no footer": lambda table: table,
}


@pytest.mark.parametrize("name", FORGERIES)
def test_manifest_with_other_content_is_damage(shelf, name):
    store, published, _ = shelf
    path = store.manifest_path(published.root)
    rewritten(path, FORGERIES[name])
    if name == "no footer":
        write(path, pq.read_table(path), {})
    with pytest.raises(CatalogDamagedError):
        store.verify(published.root, XXH3)
    with pytest.raises(CatalogDamagedError):
        list(store.read_with_sheet(published.root, XXH3, published.sheet))


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.slice(1),
        lambda table: pa.concat_tables([table, table]),
        lambda table: table.drop_columns(["inode"]),
    ],
)
def test_sheet_that_does_not_fit_is_damage(shelf, change):
    store, published, _ = shelf
    rewritten(store.sheet_path(published.root, published.sheet), change)
    with pytest.raises(CatalogDamagedError):
        list(store.read_with_sheet(published.root, XXH3, published.sheet))
    with pytest.raises(CatalogDamagedError):
        store.verify_sheet(published.root, published.sheet)


def test_sheet_with_more_row_groups_than_its_manifest_is_damage(shelf):
    store, published, batch = shelf
    path = store.sheet_path(published.root, published.sheet)
    table, footer = pq.read_table(path), pq.read_metadata(path).metadata
    write(path, pa.concat_tables([table, table]), footer, rows=batch.num_rows)
    with pytest.raises(CatalogDamagedError, match="does not fit"):
        list(store.read_with_sheet(published.root, XXH3, published.sheet))


def test_columns_added_by_later_releases_are_kept_out_of_the_way(shelf):
    store, published, batch = shelf
    rewritten(
        store.manifest_path(published.root),
        lambda table: table.append_column("later", pa.array(range(table.num_rows))),
    )
    assert batch.num_rows == sum(b.num_rows for b in store.read(published.root, XXH3))


def test_another_format_is_refused(shelf):
    store, published, _ = shelf
    path = store.manifest_path(published.root)
    write(path, pq.read_table(path), {b"dataguard.format": b"manifest/2"})
    with pytest.raises(CatalogDamagedError, match=r"no manifest/1 but manifest/2"):
        store.verify(published.root, XXH3)


def test_missing_files_are_damage(store):
    root = RootDigest("0" * 64)
    for call in (
        lambda: store.verify(root, XXH3),
        lambda: store.algorithm(root),
        lambda: store.verify_sheet(root, "0" * 64),
        lambda: store.digest_sheet_algorithms(root, "0" * 64),
        lambda: list(store.read_digest_sheet(root, "0" * 64, BOTH.also)),
    ):
        with pytest.raises(CatalogDamagedError):
            call()


def test_readers_that_stop_early_close_their_files(shelf):
    store, published, _ = shelf
    opened = len(os.listdir("/proc/self/fd"))
    rows = store.read_with_sheet(published.root, XXH3, published.sheet)
    next(rows)
    rows.close()
    del rows
    assert opened == len(os.listdir("/proc/self/fd"))


def test_manifest_is_readable_without_dataguard(shelf):
    store, published, batch = shelf
    table = pq.read_table(store.manifest_path(published.root))
    assert batch.num_rows == table.num_rows
    assert batch.column("path").to_pylist() == table.column("path").to_pylist()
