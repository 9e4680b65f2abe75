"""`gold://` as those read it who have never heard of it: data frames, Arrow, caches, workers."""

from __future__ import annotations

import json
import multiprocessing
import os
import threading

import fsspec
import pyarrow as pa
import pyarrow.dataset
import pyarrow.fs
import pyarrow.parquet
import pytest

from dataguard.hooks.goldfilesystem import GoldFileSystem
from dataguard.stores.pinnedsource import ChangedGoldError
from support.mountcleanup import as_user

HEAD = "vision/faces@1"
COLUMNS = {"name": ["a", "b", "c"], "label": [1, 2, 3]}


@pytest.fixture
def tables(unregistered):
    """The tree with tables in it."""
    gold = unregistered
    for number in range(3):
        place = gold.tree / "parts" / f"{number}.parquet"
        place.parent.mkdir(exist_ok=True)
        pyarrow.parquet.write_table(pa.table(COLUMNS), place)
    (gold.tree / "lines.jsonl").write_text('{"a": 1}\n{"a": 2}\n')
    gold.grown_old()
    gold.register()
    return gold


@pytest.mark.usefixtures("tables")
def test_pandas_reads_every_form():
    pandas = pytest.importorskip("pandas")
    assert 2 == len(pandas.read_csv(f"gold://{HEAD}/labels.csv"))
    found = pandas.read_parquet(f"gold://{HEAD}/parts/0.parquet")
    assert COLUMNS == found.to_dict("list")
    options = {"storage_options": {"verify": True}}
    assert 2 == len(pandas.read_json(f"gold://{HEAD}/lines.jsonl", lines=True, **options))
    assert 9 == len(pandas.read_parquet(f"gold://{HEAD}/parts", **options))
    with pytest.raises(OSError, match="read-only"):
        found.to_csv(f"gold://{HEAD}/new.csv")
    with pytest.raises(OSError, match="read-only"):
        found.to_parquet(f"gold://{HEAD}/new.parquet")


@pytest.mark.parametrize("verify", [False, True])
def test_arrow_reads_files_and_datasets(tables, verify):
    fs = tables.fs(verify=verify)
    one = pyarrow.parquet.read_table(f"{HEAD}/parts/1.parquet", filesystem=fs)
    assert COLUMNS == one.to_pydict()
    whole = pyarrow.dataset.dataset(f"{HEAD}/parts", filesystem=fs, format="parquet")
    assert 9 == whole.count_rows() == whole.to_table().num_rows


def test_arrow_reads_by_url(tables):
    tables.fs()
    found, path = pyarrow.fs.FileSystem.from_uri(f"fsspec+gold://{HEAD}/parts/1.parquet")
    assert COLUMNS == pyarrow.parquet.read_table(path, filesystem=found).to_pydict()


def test_polars_reads(tables):
    polars = pytest.importorskip("polars")
    with fsspec.open(f"gold://{HEAD}/parts/2.parquet") as file:
        assert COLUMNS == polars.read_parquet(file).to_dict(as_series=False)
    with fsspec.open(f"gold://{HEAD}/labels.csv") as file:
        assert 2 == polars.read_csv(file).height
    dataset = pyarrow.dataset.dataset(f"{HEAD}/parts", filesystem=tables.fs(), format="parquet")
    assert 9 == polars.scan_pyarrow_dataset(dataset).collect().height


@pytest.mark.parametrize("cache", ["simplecache", "filecache"])
def test_caches_of_fsspec_are_filled_by_it(gold, cache, tmp_path):
    options = {cache: {"cache_storage": str(tmp_path / cache)}, "gold": {"verify": True}}
    with fsspec.open(f"{cache}::gold://{HEAD}/labels.csv", **options) as file:
        assert (gold.tree / "labels.csv").read_bytes() == file.read()
    assert os.listdir(tmp_path / cache)
    (gold.tree / "a@b").write_bytes(b"AT")
    with pytest.raises(ChangedGoldError):
        fsspec.open(f"{cache}::gold://{HEAD}/a@b", **options).open()
    with (
        pytest.raises(OSError, match="read-only"),
        fsspec.open(f"{cache}::gold://{HEAD}/new", "wb", **options) as file,
    ):
        file.write(b"x")


def test_archives_are_read_through_it(unregistered):
    import zipfile

    with zipfile.ZipFile(unregistered.tree / "a.zip", "w") as archive:
        archive.writestr("inside.txt", "within")
    unregistered.register()
    unregistered.fs()
    with fsspec.open(f"zip://inside.txt::gold://{HEAD}/a.zip") as file:
        assert b"within" == file.read()


def test_compressed_files_are_opened(unregistered):
    import gzip

    (unregistered.tree / "a.gz").write_bytes(gzip.compress(b"small"))
    unregistered.register()
    unregistered.fs()
    with fsspec.open(f"gold://{HEAD}/a.gz", compression="infer") as file:
        assert b"small" == file.read()


# --- workers --------------------------------------------------------------------------------------


def read_all(fs, paths, answers):
    answers.put([fs.cat_file(path) for path in paths])


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_of_a_data_loader_read(gold, method):
    """After use in the parent, which is where clients with threads of their own hang.

    A fork server has the environment of whatever started it first, and so another home.
    """
    fs = gold.fs(verify=True)
    paths = [f"{HEAD}/train/{number:04}.jpg" for number in range(5)]
    expected = [fs.cat_file(path) for path in paths]
    context = multiprocessing.get_context(method)
    answers = context.Queue()
    workers = [
        context.Process(target=read_all, args=(fs, paths, answers), daemon=True) for _ in range(3)
    ]
    for worker in workers:
        worker.start()
    try:
        assert [expected] * 3 == [answers.get(timeout=60) for _ in workers]
        for worker in workers:
            worker.join(60)
            assert 0 == worker.exitcode
    finally:
        for worker in workers:
            if worker.is_alive():
                worker.kill()


def test_forked_workers_read_files_that_the_parent_opened(gold):
    with gold.fs().open(f"{HEAD}/labels.csv") as file:
        pid = os.fork()
        if not pid:
            os._exit(0 if file.read() == (gold.tree / "labels.csv").read_bytes() else 1)
        assert 0 == os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_threads_share_what_is_known(gold):
    fs, seen = gold.fs(), []

    def read():
        own = GoldFileSystem()
        seen.append((own.cat_file(f"{HEAD}/a@b"), own._gold.versions))
        seen.extend((fs.cat_file(f"{HEAD}/a@b"), fs._gold.versions) for _ in range(50))

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {b"at"} == {data for data, _ in seen}
    assert 1 == len({id(versions) for _, versions in seen})
    assert 8 * 51 == len(seen)


def test_ordinary_users_read_what_they_may_read(gold):
    """Who may not write the catalog, nor open files without a trace in their access times."""
    (gold.tree / "train/0004.jpg").chmod(0o600)
    for above in (gold.top, *gold.top.parents):
        if os.stat(above).st_mode & 0o005 != 0o005:
            os.chmod(above, 0o755)
    gold.fs().cat_file(f"{HEAD}/a@b")  # what is imported late is imported as root

    def act():
        fs = gold.fs()
        try:
            fs.cat_file(f"{HEAD}/train/0004.jpg")
        except PermissionError as err:
            denied = str(err)
        data = fs.cat_file(f"{HEAD}/a@b") + fs.open(f"{HEAD}/labels.csv").read()
        return json.dumps([data.decode(), denied])

    data, denied = json.loads(as_user(act, uid=12345))
    assert "at" + (gold.tree / "labels.csv").read_text() == data
    assert "Permission denied" in denied


def test_open_files_are_no_more_than_were_opened(gold):
    fs, before = gold.fs(), len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        fs.cat_file(f"{HEAD}/a@b")
        fs.open(f"{HEAD}/a@b").close()
        fs.cat_file(f"{HEAD}/a@b", 1)
    assert before == len(os.listdir("/proc/self/fd"))
