"""`cache show|prune|verify`, and what other commands make of the place of the cache."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dataguard.actions.cacheplaces import cache_at as cache_of_settings
from dataguard.actions.cacheplaces import group_of, pin_holds
from dataguard.actions.leases import lasts
from dataguard.actions.settings import load, load_policy
from dataguard.cli.opening import open_context
from dataguard.errors import ConfigurationError
from dataguard.model.actor import Process
from dataguard.model.ports import NoProgress
from dataguard.sandbox.processes import current_process
from support.caches import Source, cache_at, wanted_of
from support.mountcleanup import needs_mounts

ONE, TWO = b"one" * 1000, b"two" * 2000


@pytest.fixture
def place(world):
    return world.home / "cache"


def fill(place, *contents):
    with cache_at(place) as cache:
        return [cache.fill(wanted_of(data), Source(data)) for data in contents]


def pin(place, subject, process, *contents, lasting=False):
    with cache_at(place) as cache:
        cache.pin(subject, map(wanted_of, contents), process, lasting=lasting)


def damage(path):
    os.chmod(path, 0o644)
    Path(path).write_bytes(b"x" * os.path.getsize(path))


def test_cache_that_is_not_there_is_empty(world):
    found = world.ask_json("cache", "show")
    assert (0, 0, []) == (found["files"], found["bytes"], found["caches"])
    assert 0 == world.ask_json("cache", "prune", "--all")["removed_files"]
    assert world.ask_json("cache", "verify")["complete"]
    assert not (world.home / "cache").exists()


def test_show_tells_what_is_there_and_who_needs_it(world, place):
    fill(place, ONE, TWO)
    pin(place, "a test", current_process(), ONE)

    found = world.ask_json("cache", "show")
    assert (2, len(ONE + TWO)) == (found["files"], found["bytes"])
    (cache,) = found["caches"]
    (pinned,) = cache["pins"]
    assert ("a test", 1, True) == (pinned["subject"], pinned["objects"], pinned["holds"])
    said = world.ask("cache", "show").out
    assert "1 object for a test: process" in said


def test_prune_of_all_leaves_what_is_pinned(world, place):
    one, two = fill(place, ONE, TWO)
    pin(place, "a test", current_process(), ONE)

    tried = world.ask_json("cache", "prune", "--all", "-n")
    assert (1, True) == (tried["removed_files"], tried["dry_run"])
    assert os.path.exists(two)
    done = world.ask_json("cache", "prune", "--all")
    assert (1, len(TWO), 1) == (done["removed_files"], done["removed_bytes"], done["files"])
    assert [True, False] == [os.path.exists(path) for path in (one, two)]


def test_prune_to_a_size_leaves_that_much(world, place):
    fill(place, ONE, TWO)
    assert 1 == world.ask_json("cache", "prune", "--to", "6K")["files"]
    assert 0 == world.ask_json("cache", "prune", "--to", "0")["files"]


@pytest.mark.parametrize(("words", "code"), [(("--to", "much"), 2), (("--to", "1", "--all"), 2)])
def test_prune_refuses_what_makes_no_sense(world, words, code):
    assert code == world.ask("cache", "prune", *words).code


def test_verify_removes_what_is_damaged_and_says_so(world, place):
    one, two = fill(place, ONE, TWO)
    damage(one)

    tried = world.ask_json("cache", "verify", "-n", code=3)
    assert [one] == [each["path"] for each in tried["damaged"]]
    assert os.path.exists(one)
    found = world.ask_json("cache", "verify", code=3)
    assert ([one], 2) == ([each["path"] for each in found["damaged"]], found["checked_files"])
    assert [False, True] == [os.path.exists(path) for path in (one, two)]
    again = world.ask_json("cache", "verify")
    assert (True, 1, []) == (again["complete"], again["checked_files"], again["damaged"])
    incidents = world.ask_json("cache", "show")["caches"][0]["incidents"]
    assert [str(wanted_of(ONE))] == [each["object"] for each in incidents]


def test_verify_with_time_for_all_is_complete(world, place):
    fill(place, ONE)
    assert world.ask_json("cache", "verify", "--max-duration", "1h")["complete"]


@needs_mounts
def test_pin_of_a_mount_holds_as_long_as_the_mount(world, place):
    (path,) = fill(place, ONE)
    world.register()
    workspace = str(world.top / "ws")
    world.ask_json("workspace", "init", workspace, "--outputs", "out")
    target = world.ask_json("mount", "faces@1", "-w", workspace)["target"]
    here = current_process()
    gone = Process(here.host, here.boot_id, here.pid, here.started + 1, here.namespace)
    pin(place, f"mount:{target}", gone, ONE, lasting=True)

    world.ask_json("cache", "prune", "--all")
    assert os.path.exists(path)
    world.ask_json("unmount", "--all", "-w", workspace)
    world.ask_json("cache", "prune", "--all")
    assert not os.path.exists(path)


@pytest.mark.parametrize(
    ("subject", "expected"), [("mount:/x", False), ("run:x", False), ("?", True)]
)
def test_lease_that_no_record_has_is_over_and_an_unknown_kind_is_not(world, subject, expected):
    world.register()
    settings = load({}, os.environ, workspace=None)
    with open_context(settings, load_policy(settings).policy, NoProgress()) as ctx:
        assert expected == lasts(ctx, subject)


def test_copies_leaves_the_cache_out_and_says_so(world, monkeypatch):
    world.register()
    place = world.top / "elsewhere" / "cache"
    fill(place, b"hello\n" * 1000)
    monkeypatch.setenv("DATAGUARD_CACHE", str(place))

    found = world.ask_json("copies", str(world.top / "elsewhere"))
    assert {str(place): "the node cache"} == {
        each["path"]: each["reason"] for each in found["skipped"]
    }


def test_cache_in_gold_is_refused(world, monkeypatch):
    world.register()
    monkeypatch.setenv("DATAGUARD_CACHE", str(world.gold / "cache"))
    answer = world.ask("cache", "show")
    assert (2, "") == (answer.code, answer.out)
    assert "the node cache (DATAGUARD_CACHE)" in answer.err
    assert not (world.gold / "cache").exists()


def test_doctor_says_where_the_cache_is(world, place):
    (found,) = [one for one in world.ask_json("doctor")["abilities"] if one["name"] == "node cache"]
    assert "ok" == found["state"]
    assert str(place) in found["detail"]


@pytest.mark.parametrize("group", ["34567", "root"])
def test_private_datasets_have_the_cache_of_their_group(world, group):
    home = world.home
    home.mkdir(exist_ok=True)
    (home / "config.toml").write_text(f'[cache.private]\n"clinic/*" = "{group}"\n')
    settings = load({}, os.environ, workspace=None)
    number = {"root": 0}.get(group) if group == "root" else int(group)

    assert (number, None) == (group_of(settings, "clinic/xrays"), group_of(settings, "faces"))
    with cache_of_settings(settings, number, lambda: None, pin_holds) as cache:
        assert str(home / "cache" / "groups" / str(number)) == cache.place.root


@pytest.mark.parametrize("text", ['"x/*" = 5', '"x/*" = "no-such-group-here"'])
def test_groups_that_are_none_are_refused(world, text):
    world.home.mkdir(exist_ok=True)
    (world.home / "config.toml").write_text(f"[cache.private]\n{text}\n")
    settings = load({}, os.environ, workspace=None)
    with pytest.raises(ConfigurationError, match=r"group|cache\.private"):
        group_of(settings, "x/y")


def test_host_says_first_what_is_private(world, tmp_path):
    host = tmp_path / "etc"
    host.mkdir()
    world.home.mkdir(exist_ok=True)
    (host / "config.toml").write_text('[cache.private]\n"clinic/*" = "7"\n')
    (world.home / "config.toml").write_text('[cache.private]\n"clinic/*" = "8"\n"mine" = "9"\n')
    settings = load({}, os.environ, workspace=None, host_directory=str(host))
    assert (7, 9) == (group_of(settings, "clinic/xrays"), group_of(settings, "mine"))
