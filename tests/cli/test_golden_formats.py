from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest

from dataguard.core.columns import raw_paths
from dataguard.model.digest import Algorithm, RootDigest
from dataguard.stores.manifests import ManifestStore

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "format-1"
XXH3 = RootDigest("c2314baab0140e072e3f847bf26957d7a9bd7a2f81cae682aa8afa76c3a003dd")
SHA256 = RootDigest("9402093eedefc1ca1694abb75937cd504958572d926931562df03785e438070e")
ROOTS = [(XXH3, Algorithm.XXH3_128), (SHA256, Algorithm.SHA256)]
ENTRIES = [
    (b"a-b", "f", 1, None),
    (b"a/b", "f", 5, None),
    (b"broken", "l", 8, b"target \xff"),
    ("caf\u00e9".encode(), "f", 5, None),
    (b"caf\xe9", "f", 6, None),
    (b"dir/empty", "d", 0, None),
    (b"dir/\xff\xfe", "f", 5000, None),
    (b"empty file", "f", 0, None),
    (b"link", "l", 3, b"a/b"),
    (b"new\nline", "f", 1, None),
]
CONTENTS = {
    b"a-b": b"x",
    b"a/b": b"deep\n",
    "caf\u00e9".encode(): b"utf8\n",
    b"caf\xe9": b"latin\n",
    b"dir/\xff\xfe": b"z" * 5000,
    b"empty file": b"",
    b"new\nline": b"1",
}


@pytest.fixture
def store():
    return ManifestStore(str(GOLDEN))


def column(batches, name):
    return [value for batch in batches for value in batch.column(name).to_pylist()]


@pytest.mark.parametrize(("root", "algorithm"), ROOTS)
def test_manifest_of_format_1_is_read(store, root, algorithm):
    batches = list(store.read(root, algorithm))
    paths = [path for batch in batches for path in raw_paths(batch).to_pylist()]
    columns = (column(batches, name) for name in ("kind", "size", "link_target"))
    assert sorted(ENTRIES) == [*zip(paths, *columns, strict=True)]
    assert algorithm == store.algorithm(root)


@pytest.mark.parametrize(("root", "algorithm"), ROOTS)
def test_location_sheet_of_format_1_is_read(store, root, algorithm):
    sheets = {Path(path).stem for path in store.sheets(root)}
    for key in sheets:
        store.verify_sheet(root, key)
    (location,) = [k for k in sheets if k[:8] in ("0f524000", "b1a168aa")]
    batches = list(store.read_with_sheet(root, algorithm, location))
    modes = column(batches, "mode")
    kinds = {"f": stat.S_ISREG, "l": stat.S_ISLNK, "d": stat.S_ISDIR}
    assert all(kinds[k](m) for k, m in zip(column(batches, "kind"), modes, strict=True))


def test_digest_sheet_of_format_1_is_read(store):
    (key,) = [Path(p).stem for p in store.sheets(SHA256) if Path(p).stem.startswith("95f8a327")]
    assert (Algorithm.XXH3_128,) == store.digest_sheet_algorithms(SHA256, key)
    digests = column(store.read_digest_sheet(SHA256, key, (Algorithm.XXH3_128,)), "xxh3-128")
    assert column(store.read(XXH3, Algorithm.XXH3_128), "digest") == digests


@pytest.mark.parametrize(("root", "algorithm"), ROOTS)
def test_same_tree_has_the_same_root_today(world, root, algorithm):
    shutil.rmtree(world.gold)
    top = os.fsencode(world.gold) + b"/"
    for path, content in CONTENTS.items():
        os.makedirs(os.path.dirname(top + path), exist_ok=True)
        with open(top + path, "xb") as file:
            file.write(content)
    os.mkdir(top + b"dir/empty")
    os.symlink(b"a/b", top + b"link")
    os.symlink(b"target \xff", top + b"broken")
    assert str(root) == world.register("--digest", str(algorithm))["root"]
