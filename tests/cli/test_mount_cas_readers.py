"""Mounts from the cache never show a directory to people who may not read all of it."""

from __future__ import annotations

import os
import struct

import pytest

from dataguard.stores.readership import Readers, closed_to
from support.cachedtrees import needs_images, scanned
from support.mountcleanup import as_user, mounts_below

pytestmark = needs_images
GROUP, OTHER = 54321, 54322


@pytest.fixture
def world(registered):
    registered.ask_json("workspace", "init", "work", "--outputs", str(registered.top / "out"))
    os.chdir(registered.top / "work")
    for place in (registered.top, *registered.top.parents):
        if not os.stat(place).st_mode & 0o001:
            os.chmod(place, os.stat(place).st_mode | 0o011)
    return registered


def keep_private(world, group=GROUP):
    (world.home / "config.toml").write_text(f'[cache.private]\nfaces = "{group}"\n')


def refused(world):
    error = world.fails("mount", "faces@1", "--backend", "cas")
    assert (11, True) == (error["exit_code"], "cache.private" in error["hint"])
    assert ([], False) == (mounts_below(world.top), (world.home / "cache").exists())
    return error["message"]


NARROWED = {
    "a": lambda gold: os.chmod(gold / "a", 0o640),
    "of the group": lambda gold: os.chmod(gold / "a", 0o604),
    "dir": lambda gold: os.chmod(gold / "dir", 0o750),
    "dir/b": lambda gold: os.chmod(gold / "dir" / "b", 0o600),
    "not searched": lambda gold: os.chmod(gold / "dir", 0o754),
    "gold": lambda gold: os.chmod(gold, 0o700),
}


@pytest.mark.parametrize("what", NARROWED)
def test_what_somebody_may_not_read_is_refused_before_anything_is_copied(world, what):
    NARROWED[what](world.gold)
    message = refused(world)
    assert "to everybody" in message
    assert what in ("of the group", "not searched") or what in message


def test_directory_on_the_way_keeps_people_out_too(world):
    os.rename(world.gold, world.top / "inner")
    os.mkdir(world.gold, 0o700)
    os.rename(world.top / "inner", world.gold / "inner")
    closed = closed_to(
        Readers(None), str(world.gold / "inner"), str(world.home), scanned(world.gold / "inner")
    )
    assert os.fsencode(world.gold) == closed
    inside = str(world.gold / "cache")
    batches = scanned(world.gold / "inner")
    assert closed_to(Readers(None), str(world.gold / "inner"), inside, batches) is None


def test_access_control_list_counts_as_closed(world):
    entries = ((1, 6, -1), (2, 0, OTHER), (4, 4, -1), (0x10, 4, -1), (0x20, 4, -1))  # acl(5)
    listed = b"".join(struct.pack("<HHi", *entry) for entry in entries)
    try:
        os.setxattr(world.gold / "a", "system.posix_acl_access", struct.pack("<I", 2) + listed)
    except OSError as err:
        pytest.skip(f"no access control lists here: {err.strerror}")
    assert "may not read" in refused(world)


def test_user_who_may_not_read_the_source_reads_neither_the_cache_nor_the_mount(world):
    os.chmod(world.gold / "dir", 0o750)
    os.chown(world.gold / "dir", 0, GROUP)
    refused(world)
    for place in (world.gold, world.gold / "dir", world.gold / "a", world.gold / "dir" / "b"):
        os.chown(place, 0, GROUP)
    keep_private(world)
    assert "cas" == world.ask_json("mount", "faces@1", "--backend", "cas")["backend"]
    target = world.top / "work" / "data" / "faces"
    assert "PermissionError" in as_user(lambda: os.listdir(target), uid=OTHER)
    private = world.home / "cache" / "groups" / str(GROUP)
    assert "PermissionError" in as_user(lambda: os.listdir(private), uid=OTHER)
    assert "['b']" == as_user(lambda: os.listdir(target / "dir"), uid=GROUP)
    with open(target / "dir" / "b", "rb") as stream:
        assert b"deep\n" == stream.read()


def test_group_that_may_not_read_it_gets_no_copy_either(world):
    os.chmod(world.gold / "dir" / "b", 0o640)
    keep_private(world)
    message = refused(world)
    assert (True, True) == (f"group {GROUP}" in message, "dir/b" in message)


def test_what_everybody_may_read_is_mounted_for_everybody(world):
    world.ask_json("mount", "faces@1", "--backend", "cas")
    target = world.top / "work" / "data" / "faces"

    def read():
        with open(target / "dir" / "b", "rb") as stream:
            return stream.read()

    assert "b'deep\\n'" == as_user(read, uid=OTHER)
