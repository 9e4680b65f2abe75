"""Names of a version in a bucket, listed in pieces: whoever goes on gets what comes after."""

from __future__ import annotations

import os
from itertools import islice

import pyarrow as pa
import pytest

from dataguard.core.columns import text_paths
from dataguard.model.digest import Algorithm, DigestPlan
from dataguard.model.objects import ObjectPlace
from dataguard.model.schema import observed_schema
from dataguard.model.served import ServedTree
from dataguard.model.tree import Looks
from dataguard.mounts.fuse import FuseBackend
from dataguard.stores.manifests import ManifestStore
from support.mountcleanup import needs_fuse, needs_mounts, swept

pytest.importorskip("botocore")
from dataguard.actions.servedobjects import Objects

XXH3 = Algorithm.XXH3_128
FILES = [b"%04d" % number for number in range(500) if number != 100]
PATHS = sorted([*FILES, b"0100-/a", b"0100/a", b"0100/b/c", b"0100/d", b"z/e"])
NAMES = list(dict.fromkeys(path.partition(b"/")[0].decode() for path in PATHS))


@pytest.fixture
def shown(tmp_path):
    text, raw = text_paths(pa.array(PATHS, pa.binary()))
    facts = {
        "path": text,
        "path_raw": raw,
        "kind": ["f"] * len(PATHS),
        "size": [1] * len(PATHS),
        "digest": [bytes(16)] * len(PATHS),
        "etag": [path.hex() for path in PATHS],
    }
    schema = observed_schema(XXH3, objects=True)
    nothing = {False: [0] * len(PATHS), True: [None] * len(PATHS)}
    columns = [
        facts[field.name]
        if field.name in ("path", "path_raw")
        else pa.array(facts.get(field.name, nothing[field.nullable]), field.type)
        for field in schema
    ]
    with ManifestStore(str(tmp_path)).draft(DigestPlan(XXH3), objects=True) as draft:
        draft.add(pa.RecordBatch.from_arrays(columns, schema=schema))
        published = draft.publish()
    return ServedTree(
        home=str(tmp_path),
        root=published.root,
        algorithm=XXH3,
        sheet=published.sheet,
        place="s3://bucket/gold",
        objects=ObjectPlace(),
        bytes=len(PATHS),
        files=len(PATHS),
        looks=Looks(),
        cache=str(tmp_path / "cache"),
        group=None,
        blocks=0,
    )


@pytest.mark.parametrize("each", [1, 2, 3, 70, 1000])
@pytest.mark.parametrize(
    ("path", "names"), [("/", NAMES), ("/0100", ["a", "b", "d"]), ("/0100/b", ["c"])]
)
def test_names_go_on_behind_the_one_that_was_listed_last(shown, path, names, each):
    objects = Objects(shown, lambda: (0, 0, 0), -1, -1)
    found, offsets = [], [0]
    while piece := list(islice(objects.readdir_with_offset(path, offsets[-1], 0), each)):
        found += [name for name, _, _ in piece]
        offsets += [offset for _, _, offset in piece]
    assert [".", "..", *names] == found
    assert sorted(set(offsets)) == offsets


@needs_mounts
@needs_fuse
def test_kernel_lists_every_name_once(shown, tmp_path):
    source = tmp_path / shown.name
    source.write_text(shown.text())
    top = tmp_path.resolve() / "work"
    top.mkdir()
    with swept(top):
        FuseBackend(str(tmp_path / "state")).make(str(source), str(top / "faces"))
        for _ in range(2):
            assert sorted(NAMES) == sorted(os.listdir(top / "faces"))
        assert ["a", "b", "d"] == sorted(os.listdir(top / "faces" / "0100"))
        assert 0o100444 == os.stat(top / "faces" / "0100" / "b" / "c").st_mode
