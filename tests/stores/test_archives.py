"""Members of archives of every kind are found, and no archive does harm."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import random
import struct
import tarfile
import warnings
import zipfile

import pyarrow as pa
import pytest
import xxhash

from dataguard.core.archivelimits import ArchiveLimits
from dataguard.model.digest import Algorithm
from dataguard.stores.archives import Wanted, look_into

CHANCE = random.Random(5)
GOLD = CHANCE.randbytes(30_000)
SIZES = (len(GOLD),)
OTHER = CHANCE.randbytes(777)
EVIL = [b"../../etc/x", b"/abs", b"new\nline", b"\xff\xfe", b"-rf", b"%0A", b"x" * 300]


def zipped(members, method=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", method) as made:
        warnings.simplefilter("ignore")  # names that occur twice
        for name, content in members:
            made.writestr(name, content)
    return file.getvalue()


def tarred(members, form=tarfile.PAX_FORMAT):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as made:
        for name, content in members:
            text = name if isinstance(name, str) else name.decode("utf-8", "surrogateescape")
            info = tarfile.TarInfo(text)
            info.size = len(content)
            made.addfile(info, io.BytesIO(content))
    return file.getvalue()


def zstd(content):
    return pa.compress(content, codec="zstd", asbytes=True)


@pytest.fixture
def look(tmp_path):
    def look(content, *, sizes=SIZES, **options):
        path = tmp_path / "archive"
        path.write_bytes(content)
        wanted = Wanted(frozenset(sizes).__contains__, (Algorithm.XXH3_128, Algorithm.SHA256))
        descriptor = os.open(path, os.O_RDONLY)
        try:
            found = look_into(descriptor, wanted, **options)
            os.fstat(descriptor)
            return found
        finally:
            os.close(descriptor)

    return look


def found_gold(look):
    digest = xxhash.xxh3_128_digest(GOLD)
    return [one.names for one in look.members if one.digests[0] == digest]


PACKED = {
    "zip": zipped([("a/b", GOLD), ("o", OTHER)]),
    "zip stored": zipped([("a/b", GOLD), ("o", OTHER)], zipfile.ZIP_STORED),
    "zip bzip2": zipped([("a/b", GOLD), ("o", OTHER)], zipfile.ZIP_BZIP2),
    "zip lzma": zipped([("a/b", GOLD), ("o", OTHER)], zipfile.ZIP_LZMA),
    "tar": tarred([("a/b", GOLD), ("o", OTHER)]),
    "tar gnu": tarred([("a/b", GOLD), ("o", OTHER)], tarfile.GNU_FORMAT),
    "tar ustar": tarred([("a/b", GOLD), ("o", OTHER)], tarfile.USTAR_FORMAT),
    "tar.gz": gzip.compress(tarred([("a/b", GOLD), ("o", OTHER)])),
    "tar.bz2": bz2.compress(tarred([("a/b", GOLD), ("o", OTHER)])),
    "tar.xz": lzma.compress(tarred([("a/b", GOLD), ("o", OTHER)])),
    "tar.zst": zstd(tarred([("a/b", GOLD), ("o", OTHER)])),
}


@pytest.mark.parametrize("form", PACKED)
def test_a_member_is_found_in_every_format(look, form):
    found = look(PACKED[form])
    assert ([(b"a/b",)], 1, "") == (found_gold(found), found.others, found.gap)
    (member,) = found.members
    assert 20_000 < member.stored < 31_000  # of random bytes nothing can be saved


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstd])
def test_one_file_that_is_compressed_is_found(look, pack):
    found = look(pack(GOLD))
    assert ([(b"",)], 0, "") == (found_gold(found), found.others, found.gap)
    assert ([], 1) == (found_gold(look(pack(OTHER))), look(pack(OTHER)).others)


def test_archives_inside_archives_are_found_to_the_second_level(look):
    inner = tarred([("deep", GOLD)])
    for outer in (zipped, tarred):
        found = look(outer([("x/in.tar", inner), ("in.zip", zipped([("deep", GOLD)]))]))
        assert [(b"x/in.tar", b"deep"), (b"in.zip", b"deep")] == found_gold(found)
        assert (0, "") == (found.others, found.gap)
    third = zipped([("two", zipped([("three", zipped([("deep", GOLD)]))]))])
    assert ([], 1) == (found_gold(look(third)), look(third).others)


def test_names_are_told_as_they_are_and_nothing_is_unpacked(look, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = look(tarred([(name, GOLD) for name in EVIL]))
    # `tarfile` writes names of tar without a leading slash removed; what is read is what is there.
    assert [(name,) for name in EVIL] == found_gold(found)
    names = [name.decode() for name in EVIL if name.isascii()]
    found = look(zipped([(name, GOLD) for name in names]))
    assert [(name.encode(),) for name in names] == found_gold(found)
    assert ["archive"] == os.listdir(tmp_path)


def test_what_is_no_archive_is_none(look):
    for content in (b"", b"PK", b"text\n" * 500, CHANCE.randbytes(5_000), bytes(2_000)):
        assert look(content) is None


def test_links_and_directories_and_empty_files_are_no_members(look):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as made:
        for kind in (tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo(f"kind{kind!r}")
            info.type, info.linkname = kind, "kind"
            made.addfile(info)
        made.addfile(tarfile.TarInfo("empty"))
    found = look(file.getvalue())
    assert ([], 0, "") == (found.members, found.others, found.gap)


def encrypted():
    """A zip whose first member says that it is encrypted, in both of its headers."""
    content = bytearray(zipped([("secret", GOLD), ("open", GOLD)]))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.index(signature) + offset
        content[at] |= 1
    return bytes(content)


def test_encrypted_members_are_told_as_unread(look):
    found = look(encrypted())
    assert ([(b"open",)], 1) == (found_gold(found), found.others)
    assert "1 of its members are encrypted" == found.gap


@pytest.mark.parametrize("form", PACKED)
def test_a_truncated_archive_is_told_and_never_fatal(look, form):
    whole = PACKED[form]
    for length in range(600, min(len(whole) - 1_100, 32_000), 4_001):
        found = look(whole[:length])
        assert found is not None
        assert found.gap
        assert [] == found_gold(found) or length > 25_000


def test_damage_anywhere_is_never_fatal_and_never_a_false_copy(look):
    chance = random.Random(11)
    for form, whole in PACKED.items():
        for _ in range(25):
            content = bytearray(whole)
            for _ in range(3):
                content[chance.randrange(len(content))] ^= chance.randrange(1, 256)
            found = look(bytes(content))
            for names in found_gold(found) if found is not None else ():
                assert len(names) == 1, form


@pytest.mark.parametrize("cut", [31_232, 32_000, 32_768])
def test_a_tar_without_its_end_is_told(look, cut):
    found = look(PACKED["tar ustar"][:cut])
    assert ([(b"a/b",)], True) == (found_gold(found), bool(found.gap) or cut == 32_768)


def test_what_follows_the_end_of_a_tar_is_not_gold(look):
    whole = tarred([("a", GOLD)])
    assert [0, 1] == [look(whole + rest).others for rest in (bytes(99), OTHER * 20)]


def test_a_damaged_header_in_the_middle_of_a_tar_is_no_end(look):
    content = bytearray(tarred([("one", OTHER), ("two", GOLD)], tarfile.USTAR_FORMAT))
    content[512 + 1024 + 150] ^= 0xFF  # the second header's sum
    found = look(bytes(content))
    assert ([], True) == (found.members, "damaged header" in found.gap)


def test_bombs_end_at_the_limits(look):
    limits = ArchiveLimits(ratio=10, least=1 << 20)
    nothing = bytes(64 << 20)
    sizes = (len(nothing),)
    packed = {
        "gzip": gzip.compress(nothing),
        "zstd": zstd(nothing),
        "zip": zipped([("zeros", nothing)]),
        "tar": gzip.compress(tarred([("zeros", nothing)])),
        "nested": zipped([("in.zip", zipped([("zeros", nothing)]))]),
    }
    for name, content in packed.items():
        found = look(content, sizes=sizes, limits=limits)
        assert ([], True) == (found.members, "more than is looked at" in found.gap), name


def test_many_members_and_large_inner_archives_end_at_the_limits(look):
    many = tarred([(f"{i}", b"x") for i in range(20)])
    assert "more than 10 members" in look(many, limits=ArchiveLimits(members=10)).gap
    inner = zipped([("in.tar", tarred([("deep", GOLD)]))])
    found = look(inner, limits=ArchiveLimits(inner=1 << 10))
    assert ([], True) == (found_gold(found), "too large to be unpacked" in found.gap)


def test_a_name_that_asks_for_memory_is_damage(look):
    info = tarfile.TarInfo("long")
    info.type, info.size = tarfile.XHDTYPE, 1 << 40
    header = info.tobuf(tarfile.GNU_FORMAT)
    assert "a name of more than 1 MiB" in look(header + bytes(10_240)).gap


def test_a_zip_that_lies_about_sizes_is_damage(look):
    content = bytearray(zipped([("zeros", bytes(1 << 20))]))
    at = content.index(b"PK\x01\x02") + 24
    struct.pack_into("<I", content, at, len(GOLD))
    found = look(bytes(content))
    assert [] == found_gold(found)


def test_the_time_ends_it_and_that_is_told(look):
    found = look(PACKED["tar.gz"], expired=lambda: True)
    assert ([], "the time was over") == (found.members, found.gap)
