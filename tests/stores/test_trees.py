"""Images of trees: made once, complete or absent, of names that a file system can have."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguard.core.mountable import why_unmountable
from dataguard.errors import CatalogDamagedError, ConflictError, StoreUnreachableError
from dataguard.model.digest import Algorithm, RootDigest
from dataguard.model.tree import Looks, data_of
from dataguard.stores.trees import stage, tree_of
from support.entrybatches import batch_of, batches_of, directory, file, link

ROOT = RootDigest("0" * 64)
ENTRIES = [
    file(b"a-b", b"x"),
    file(b"a/b", b"y" * 100),
    directory(b"a/c"),
    link(b"l", b"a"),
    file(b"z", b""),
]


def tree(place, **facts):
    looks = Looks(**facts)
    return tree_of(str(place), ROOT, Algorithm.XXH3_128, sheet="s", looks=looks), looks


def staged(place, entries, cuts=(), **facts):
    made, looks = tree(place, **facts)
    assert stage(made, looks, lambda: iter(batches_of(entries, list(cuts))))
    with open(made.image, "rb") as image:
        return image.read()


def test_image_is_made_once(tmp_path):
    made, looks = tree(tmp_path)
    asked = []

    def entries():
        asked.append(1)
        yield batch_of(ENTRIES)

    assert [True, False] == [stage(made, looks, entries), stage(made, looks, entries)]
    assert [1] == asked
    assert 0o100444 == os.stat(made.image).st_mode


def test_image_of_a_damaged_manifest_never_appears(tmp_path):
    made, looks = tree(tmp_path)

    def entries():
        yield batch_of(ENTRIES)
        raise CatalogDamagedError("other content")

    with pytest.raises(CatalogDamagedError):
        stage(made, looks, entries)
    assert [] == os.listdir(os.path.dirname(made.image))


def test_many_make_one_image(tmp_path):
    made, looks = tree(tmp_path)
    with ThreadPoolExecutor(4) as threads:
        jobs = [
            threads.submit(stage, made, looks, lambda: iter([batch_of(ENTRIES)])) for _ in range(4)
        ]
        assert any(job.result() for job in jobs)
    assert [os.path.basename(made.image)] == os.listdir(os.path.dirname(made.image))


def test_other_looks_are_another_image(tmp_path):
    assert tree(tmp_path)[0].image != tree(tmp_path, uid=1)[0].image
    assert tree(tmp_path)[0].image == tree(tmp_path)[0].image


def test_place_that_cannot_be_written_is_unreachable(tmp_path):
    (tmp_path / "trees").write_bytes(b"")
    made, looks = tree(tmp_path)
    with pytest.raises(StoreUnreachableError):
        stage(made, looks, lambda: iter([batch_of(ENTRIES)]))


def test_image_leads_to_the_directory_of_its_algorithm(tmp_path):
    assert str(tmp_path / "xxh3-128") == data_of(tree(tmp_path)[0].image)


def test_image_does_not_depend_on_how_entries_come(tmp_path):
    images = {
        staged(tmp_path / str(number), ENTRIES, cuts)[:1200]
        for number, cuts in enumerate([(), (5,), (2, 3)])
    }
    assert 1 == len(images)


@pytest.mark.parametrize(
    "path",
    [b"a//b", b"/a", b"a/", b".", b"..", b"a/./b", b"a/../b", b"a/..", b"n\0l", b"x" * 256],
    ids=ascii,
)
def test_key_that_is_no_path_is_refused(tmp_path, path):
    assert why_unmountable(path) is not None
    made, looks = tree(tmp_path)
    with pytest.raises(ConflictError, match="cannot be mounted"):
        stage(made, looks, lambda: iter([batch_of([file(path, b"x")])]))
    assert [] == os.listdir(os.path.dirname(made.image))


@pytest.mark.parametrize("path", [b"...", b"a/...b", b".a", b"..a/b", b"x" * 255, b"\xff\n", b"a."])
def test_odd_names_that_a_file_system_can_have_are_taken(tmp_path, path):
    assert why_unmountable(path) is None
    assert staged(tmp_path, [file(path, b"x")])


def test_key_that_is_a_file_and_a_directory_is_refused(tmp_path):
    made, looks = tree(tmp_path)
    with pytest.raises(ConflictError, match="a file and a directory"):
        stage(made, looks, lambda: iter([batch_of([file(b"d/a", b"x"), file(b"d/a/b", b"x")])]))


@given(st.binary(min_size=1, max_size=12))
def test_what_is_unmountable_has_a_component_that_is_none(path):
    """Law: a path is refused exactly where one of its names could not be made by mkdir or open."""
    parts = path.split(b"/")
    bad = b"\0" in path or any(part in (b"", b".", b"..") or len(part) > 255 for part in parts)
    assert bad == (why_unmountable(path) is not None)
