"""Any tree is shown by its image as it is; a million names take little memory."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataguard.model.digest import Algorithm, RootDigest
from dataguard.model.tree import Looks
from dataguard.mounts.cas import CasBackend
from dataguard.stores.trees import stage, tree_of
from support.cachedtrees import needs_images
from support.entrybatches import batches_of, directory, file, link
from support.mountcleanup import swept

pytestmark = needs_images

XXH3 = Algorithm.XXH3_128
MANY = """
import itertools, sys
import numpy as np
from dataguard.core.columns import (binary_column, fixed_column, letter_column, number_column,
    text_paths)
from dataguard.model.digest import Algorithm, RootDigest
from dataguard.model.schema import manifest_schema
from dataguard.model.tree import Looks
from dataguard.stores.trees import stage, tree_of
import pyarrow as pa

def batches(count, each=50_000):
    for start in range(0, count, each):
        names = [b"%04d/%09d.jpg" % (n // 1000, n) for n in range(start, start + each)]
        text, raw = text_paths(binary_column(names))
        digests = fixed_column([b"%016d" % n for n in range(each)], 16)
        nulls = binary_column([None] * each)
        columns = [text, raw, letter_column(b"f" * each),
                   number_column(np.arange(each) + 1), digests, nulls]
        yield pa.RecordBatch.from_arrays(columns, schema=manifest_schema(Algorithm.XXH3_128))

tree = tree_of(sys.argv[1], RootDigest("0" * 64), Algorithm.XXH3_128, sheet=None, looks=Looks())
stage(tree, Looks(), lambda: batches(int(sys.argv[2])))
print(tree.image)
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM:"))
print(int(peak.split()[1]) >> 10)  # the process's own; ru_maxrss has its parent's as well
"""

names = st.binary(min_size=1, max_size=9).filter(lambda n: not {0, 47} & set(n) and n.strip(b"."))
paths = st.lists(names, min_size=1, max_size=4).map(b"/".join)
sizes = st.sampled_from([0, 1, 4095, 4096, 1 << 33])


@st.composite
def trees(draw):
    """Files, links and empty directories; no file where another needs a directory."""
    taken = sorted(draw(st.sets(paths, max_size=40)))
    ends = [p for p in taken if not any(other.startswith(p + b"/") for other in taken)]
    entries = []
    for path in ends:
        kind = draw(st.sampled_from("fffld"))
        if kind == "f":
            entries.append(file(path, None, size=draw(sizes)))
        elif kind == "l":
            entries.append(link(path, draw(st.binary(min_size=1, max_size=200).filter(no_nul))))
        else:
            entries.append(directory(path))
    return [with_digest(entry) for entry in entries]


def no_nul(data):
    return b"\0" not in data


def with_digest(entry):
    """Give a file some content for its digest; its size stays."""
    return entry if entry.kind != "f" else file(entry.path, b"any", size=entry.size)


@contextmanager
def shown(entries, cuts):
    with tempfile.TemporaryDirectory() as top, swept(os.path.realpath(top)) as place:
        os.makedirs(f"{place}/cache/xxh3-128")
        tree = tree_of(f"{place}/cache", RootDigest("0" * 64), XXH3, sheet=None, looks=Looks())
        stage(tree, Looks(), lambda: iter(batches_of(entries, cuts)))
        CasBackend().make(tree.image, f"{place}/faces")
        yield os.fsencode(f"{place}/faces")


def found(top):
    """Return what is below a directory as the manifest has it: kind, and size or target."""
    seen = {}
    for where, folders, files in os.walk(top):
        if not folders and not files and where != top:
            seen[os.path.relpath(where, top)] = ("d", 0)
        for name in (*folders, *files):
            path = os.path.join(where, name)
            if os.path.islink(path):
                seen[os.path.relpath(path, top)] = ("l", os.readlink(path))
            elif not os.path.isdir(path):
                seen[os.path.relpath(path, top)] = ("f", os.stat(path).st_size)
    return seen


@settings(max_examples=60, deadline=None)
@given(trees(), st.lists(st.integers(0, 7), max_size=3))
def test_image_shows_what_it_was_made_of(entries, cuts):
    expected = {
        entry.path: (entry.kind, entry.content if entry.kind == "l" else entry.size)
        for entry in entries
    }
    with shown(entries, cuts) as top:
        assert expected == found(top)


@pytest.mark.parametrize("count", [100_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_many_names_take_little_memory_and_are_all_there(tmp_path, count):
    (tmp_path / "cache" / "xxh3-128").mkdir(parents=True)
    command = [sys.executable, "-c", MANY, tmp_path / "cache", str(count)]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    image, peak_mib = done.stdout.splitlines()
    assert int(peak_mib) < 250
    with swept(tmp_path.resolve()):
        target = f"{tmp_path.resolve()}/faces"
        CasBackend().make(image, target)
        assert count // 1000 == len(os.listdir(target))
        last = f"{target}/{(count - 1) // 1000:04}/{count - 1:09}.jpg"
        assert 50_000 == os.stat(last).st_size
        assert 1000 == len(os.listdir(os.path.dirname(last)))
