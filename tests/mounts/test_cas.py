"""Mounts from a node cache: what they show is the version, whole, and nothing else."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from mountrecords import record_of

from contracts.mounting import MountContract
from corpora.evil_names import make_tree
from corpora.odd_trees import make_odd_tree
from dataguard.core.mountplan import status
from dataguard.errors import ConflictError, StoreUnreachableError
from dataguard.model.digest import Algorithm
from dataguard.model.mount import Backend
from dataguard.model.mountpoint import MountStatus
from dataguard.model.tree import Looks, data_of
from dataguard.mounts.cas import CasBackend
from dataguard.mounts.view import look
from support.cachedtrees import cached_tree, needs_images, scanned
from support.mountcleanup import as_user, mounts_below

pytestmark = needs_images

CONTENT = ["path", "path_raw", "kind", "size", "digest", "link_target"]


class Cached(CasBackend):
    """The backend with a cache that is filled from whatever is to be mounted."""

    def make(self, source, target):
        if not os.path.isdir(source):
            raise StoreUnreachableError(f"cannot open {source}")
        cache = os.path.join(os.path.dirname(os.path.dirname(target)), "cache")
        return super().make(cached_tree(source, cache).image, target)


class TestCas(MountContract):
    @pytest.fixture
    def backend(self):
        return Cached()

    @pytest.fixture
    def record(self, area, target):
        return cas_record(target, cached_tree(area / "gold", area / "cache"))

    @pytest.fixture(autouse=True)
    def known(self, monkeypatch):
        """Have the contract's own records name the image, as the records of `mount` do."""
        monkeypatch.setattr("contracts.mounting.record_of", self.record_of_image)

    @staticmethod
    def record_of_image(source, target, backend):
        cache = os.path.join(os.path.dirname(os.path.dirname(target)), "cache")
        return record_of(cached_tree(source, cache).image, target, backend)

    def test_what_is_made_is_known_by_the_directory_it_shows(self, area, backend, target, record):
        made = backend.make(str(area / "gold"), target)
        assert (record.root_device, record.root_inode) == (made.root_device, made.root_inode)


def cas_record(target, tree):
    return record_of(tree.image, target, Backend.CAS)


def mounted(area, **how):
    tree = cached_tree(area / "gold", area / "cache", **how)
    target = str(area / "data" / "faces")
    made = CasBackend().make(tree.image, target)
    return target, replace(cas_record(target, tree), mount_id=made.mount_id)


def rows(directory, columns, algorithm=Algorithm.XXH3_128):
    return [
        row for batch in scanned(directory, algorithm) for row in batch.select(columns).to_pylist()
    ]


@pytest.mark.parametrize("algorithm", [Algorithm.XXH3_128, Algorithm.SHA256, Algorithm.BLAKE3])
def test_tree_of_odd_shapes_is_shown_whole(area, algorithm):
    (area / "gold" / "odd").mkdir()
    make_odd_tree(area / "gold" / "odd")
    make_tree(os.fsencode(area / "gold" / "evil"))
    target, _ = mounted(area, algorithm=algorithm)
    expected = rows(area / "gold", CONTENT, algorithm)
    assert len(expected) > 300
    assert expected == rows(target, CONTENT, algorithm)


def test_files_have_times_owners_and_modes_of_the_sheet_without_write_bits(area):
    os.chmod(area / "gold" / "a", 0o750)
    os.chown(area / "gold" / "a", 1234, 2345)
    os.utime(area / "gold" / "a", ns=(1, -1_500_000_001))
    os.utime(area / "gold" / "dir" / "b", ns=(1, 4_102_444_800_123_456_789))
    target, _ = mounted(area, looks=Looks(uid=7, gid=8, directory_mode=0o550))
    seen = os.stat(f"{target}/a")
    assert (0o100550, 1234, 2345) == (seen.st_mode, seen.st_uid, seen.st_gid)
    assert -1_500_000_001 == seen.st_mtime_ns
    assert 4_102_444_800_123_456_789 == os.stat(f"{target}/dir/b").st_mtime_ns
    top = os.stat(target)
    assert (0o40550, 7, 8, 3) == (top.st_mode, top.st_uid, top.st_gid, top.st_nlink)


@pytest.mark.parametrize("names", [1, 2, 150, 151, 152, 153, 5000])
def test_directory_of_any_length_is_read_and_searched(area, names):
    wide = area / "gold" / "wide"
    wide.mkdir()
    for number in range(names):
        (wide / f"{number:07}-name").write_bytes(b"%d" % number)
    target, _ = mounted(area)
    assert sorted(os.listdir(wide)) == sorted(os.listdir(f"{target}/wide"))
    for number in (0, names // 2, names - 1):
        with open(f"{target}/wide/{number:07}-name", "rb") as file:
            assert b"%d" % number == file.read()
    assert not os.path.exists(f"{target}/wide/{names:07}-name")


@pytest.mark.parametrize("length", [1, 3000, 3999, 4000, 4030, 4031, 4032, 4033, 4095])
def test_link_of_any_length_is_read(area, length):
    for number in range(5):
        os.symlink("x" * length, area / "gold" / f"link {number}")
    target, _ = mounted(area)
    assert ["x" * length] * 5 == [os.readlink(f"{target}/link {n}") for n in range(5)]


def test_content_that_is_not_in_the_cache_cannot_be_opened(area):
    target, _ = mounted(area, without=(b"dir/b",))
    assert 5 == os.stat(f"{target}/dir/b").st_size
    with pytest.raises(FileNotFoundError):
        open(f"{target}/dir/b", "rb").close()


def test_ordinary_user_reads_a_cache_that_is_closed_to_him(area):
    os.chmod(area / "gold" / "a", 0o644)
    target, _ = mounted(area)
    os.chmod(area / "cache", 0o700)
    for place in (area, *area.parents):
        if not os.stat(place).st_mode & 0o001:
            os.chmod(place, os.stat(place).st_mode | 0o011)

    def read():
        with open(f"{target}/a", "rb") as file:
            return file.read()

    assert "b'hello\\n'" == as_user(lambda: repr(read()))


def test_mount_is_live_and_named_in_the_table(area):
    target, record = mounted(area)
    assert MountStatus.LIVE is status(record, look(target), record.boot_id)
    CasBackend().undo(record)
    assert MountStatus.MISSING is status(record, look(target), record.boot_id)


def test_mount_of_another_tree_is_told_from_it(area):
    target, record = mounted(area)
    other = cached_tree(area / "gold" / "dir", area / "other")
    assert MountStatus.REPLACED is status(cas_record(target, other), look(target), "this-boot")
    with pytest.raises(ConflictError, match="something else"):
        CasBackend().undo(cas_record(target, other))
    assert [target] == mounts_below(area)
    assert record.mount_id is not None


def test_only_one_mount_is_made(area):
    target, _ = mounted(area)
    assert [target] == mounts_below(area)


def test_file_in_use_survives_the_unmount(area):
    target, record = mounted(area)
    with open(f"{target}/a", "rb") as file:
        CasBackend().undo(record)
        assert b"hello\n" == file.read()


def test_image_that_others_could_have_written_is_refused(area):
    tree = cached_tree(area / "gold", area / "cache")
    for change in (lambda: os.chmod(tree.image, 0o666), lambda: os.chown(tree.image, 65534, 0)):
        change()
        with pytest.raises(ConflictError, match="written by others"):
            CasBackend().make(tree.image, str(area / "data" / "faces"))
    assert [] == mounts_below(area)


def test_contents_are_beside_the_images(area):
    tree = cached_tree(area / "gold", area / "cache")
    assert str(area / "cache" / "xxh3-128") == data_of(tree.image)


def test_ordinary_user_cannot_mount_images():
    assert "no CAP_SYS_ADMIN" in as_user(lambda: CasBackend().unavailable())


@pytest.mark.parametrize("release", ["6.12.41-deb13", "5.15.0", "6.13-rc1"])
def test_older_kernel_is_said_to_be_one(monkeypatch, release):
    told = os.uname()
    monkeypatch.setattr(os, "uname", lambda: os.uname_result((*told[:2], release, *told[3:])))
    assert f"Linux {release} is older than 6.14" == CasBackend().unavailable()


@pytest.mark.parametrize("release", ["6.14", "6.14-rc1", "7.0.0", "10.1+"])
def test_newer_kernel_will_do(monkeypatch, release):
    told = os.uname()
    monkeypatch.setattr(os, "uname", lambda: os.uname_result((*told[:2], release, *told[3:])))
    assert CasBackend().unavailable() is None
