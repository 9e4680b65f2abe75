"""Node caches of groups: a digest that somebody knows gives nobody what a group keeps to itself."""

from __future__ import annotations

import os
import stat

import pytest

from dataguard.errors import ConfigurationError, StoreUnreachableError
from support.caches import Source, cache_at, wanted_of

GROUP, OTHERS = 34567, 34568
MEMBER, FELLOW, STRANGER = 23456, 23457, 23458
DATA = b"of patients\n" * 1000

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs other users, and so root")


def as_user(uid, groups, act):
    """Return what an act returns in a child that is this user; an error by its name."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups(groups)
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            os.umask(0o077)
            said = str(act())
        except BaseException as err:  # noqa: BLE001  the parent judges what it was
            said = f"{type(err).__name__}: {err}"
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with open(reading) as answer:
        return answer.read()


@pytest.fixture
def place(tmp_path):
    for directory in (tmp_path, *tmp_path.parents):
        if str(directory) in ("/", "/tmp"):
            break
        if not directory.stat().st_mode & 0o001:
            directory.chmod(0o755)
    return tmp_path / "cache"


def private(place):
    return cache_at(place, group=GROUP)


def fill(place):
    with private(place) as cache:
        return cache.fill(wanted_of(DATA), Source(DATA))


def look(place):
    with private(place) as cache:
        return cache.path_of(wanted_of(DATA))


def read(path):
    with open(path, "rb") as file:
        return len(file.read())


def test_private_content_is_for_members_of_its_group_alone(place):
    path = fill(place)
    assert f"{place}/groups/{GROUP}/xxh3-128/" in path
    for directory in (f"{place}/groups/{GROUP}", os.path.dirname(path)):
        status = os.stat(directory)
        assert (GROUP, 0o2770) == (status.st_gid, stat.S_IMODE(status.st_mode))

    assert path == as_user(MEMBER, [GROUP], lambda: look(place))
    assert str(len(DATA)) == as_user(MEMBER, [GROUP], lambda: read(path))


@pytest.mark.parametrize("act", [look, fill], ids=["look", "fill"])
def test_stranger_gets_nothing_by_knowing_the_digest(place, act):
    path = fill(place)
    said = as_user(STRANGER, [OTHERS], lambda: act(place))
    assert said.startswith("StoreUnreachableError: cannot look into the node cache")
    assert as_user(STRANGER, [OTHERS], lambda: read(path)).startswith("PermissionError")


def test_stranger_learns_nothing_from_the_public_cache(place):
    fill(place)

    def ask():
        with cache_at(place) as cache:
            return cache.path_of(wanted_of(DATA))

    assert "None" == as_user(STRANGER, [OTHERS], ask)


def test_members_fill_for_one_another(place):
    with private(place) as cache:
        cache.prepare()
    path = as_user(MEMBER, [GROUP], lambda: fill(place))
    assert path == as_user(FELLOW, [GROUP], lambda: look(place))

    os.unlink(path)
    assert path == as_user(FELLOW, [GROUP], lambda: fill(place))
    assert str(len(DATA)) == as_user(MEMBER, [GROUP], lambda: read(path))


def test_what_another_member_left_is_begun_anew(place):
    with private(place) as cache:
        cache.prepare()
        part = cache.place.part_of(wanted_of(DATA))

    def leave():
        with private(place) as cache:
            held = cache.held(wanted_of(DATA), wait=True)
            os.write(os.open(held.path, os.O_WRONLY), DATA[:100])
            held.close()

    as_user(MEMBER, [GROUP], leave)
    assert MEMBER == os.stat(part).st_uid
    path = as_user(FELLOW, [GROUP], lambda: fill(place))
    assert FELLOW == os.stat(path).st_uid
    assert str(len(DATA)) == as_user(MEMBER, [GROUP], lambda: read(path))


def test_directory_that_is_open_to_others_is_no_private_cache(place):
    fill(place)
    os.chmod(f"{place}/groups/{GROUP}", 0o2775)
    with pytest.raises(ConfigurationError, match="others than its group"), private(place) as cache:
        cache.fill(wanted_of(b"more"), Source(b"more"))


def test_directory_of_another_group_is_no_private_cache(place):
    fill(place)
    os.chown(f"{place}/groups/{GROUP}", -1, OTHERS)
    with pytest.raises(ConfigurationError, match=f"belongs to group {OTHERS}"):
        fill_more(place)


def fill_more(place):
    with private(place) as cache:
        cache.fill(wanted_of(b"more"), Source(b"more"))


def test_who_may_only_read_the_public_cache_uses_it(place):
    with cache_at(place) as cache:
        path = cache.fill(wanted_of(DATA), Source(DATA))

    def ask():
        with cache_at(place) as mine:
            found = mine.fill(wanted_of(DATA), Source(DATA))
            with open(mine.open(wanted_of(DATA)), "rb") as file:
                return found, len(file.read())

    assert str((path, len(DATA))) == as_user(STRANGER, [OTHERS], ask)

    def more():
        with cache_at(place) as mine:
            mine.fill(wanted_of(b"more"), Source(b"more"))

    assert as_user(STRANGER, [OTHERS], more).startswith(StoreUnreachableError.__name__)
