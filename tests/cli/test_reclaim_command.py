"""`reclaim` as users give it."""

from __future__ import annotations

import os

import pytest
from asking import tree_state


@pytest.fixture
def copied(registered):
    """faces@1 and a private copy of its largest file, with others beside it."""
    (registered.gold / "big").write_bytes(os.urandom(50_000))
    registered.register("--append", "--reason", "more")
    mine = registered.top / "mine"
    mine.mkdir()
    (mine / "copy\n\xff").write_bytes((registered.gold / "big").read_bytes())
    (mine / "other").write_bytes(b"other")
    return registered, mine


def test_the_plan_changes_nothing_and_is_the_default(copied):
    world, mine = copied
    before = tree_state(mine)
    for words in ((), ("-n", "--apply")):
        found = world.ask_json("reclaim", str(mine), "--method", "link", "--link-gold", *words)
        (step,) = found["steps"]
        assert (False, False, None) == (found["applied"], step["done"], found["id"])
        assert (step["reclaimable"], 0) == (found["reclaimable"], found["reclaimed"])
        assert ("link", "faces", 2) == (step["method"], step["dataset"], step["version"])
    assert before == tree_state(mine)


def test_apply_and_undo(copied):
    world, mine = copied
    before = tree_state(mine)
    done = world.ask_json("reclaim", str(mine), "--method", "link", "--link-gold", "--apply")
    assert (True, done["reclaimable"]) == (done["applied"], done["reclaimed"])
    assert os.path.islink(os.path.join(mine, "copy\n\xff"))
    assert [] == world.ask_json("reclaim", str(mine), "--apply")["steps"]
    planned = world.ask_json("reclaim", "--undo", done["id"], "-n")
    assert ([False], False) == ([one["done"] for one in planned["restored"]], planned["undone"])
    back = world.ask_json("reclaim", "--undo", done["id"])
    assert ([], 50_000, True) == (back["left"], back["bytes"], back["undone"])
    assert before == tree_state(mine)
    assert not os.path.islink(os.path.join(mine, "copy\n\xff"))


def test_a_place_may_be_named_through_a_link(copied):
    world, mine = copied
    (world.top / "way").symlink_to(mine)
    options = ("--method", "link", "--link-gold", "--apply")
    assert 1 == len(world.ask_json("reclaim", str(world.top / "way"), *options)["steps"])
    assert os.path.islink(os.path.join(mine, "copy\n\xff"))


def test_text_says_what_how_and_how_to_take_it_back(copied):
    world, mine = copied
    plan = world.ask("reclaim", str(mine))
    assert 0 == plan.code
    assert "give back" in plan.out
    done = world.ask("reclaim", str(mine), "--method", "link", "--link-gold", "--apply").out
    assert r"mine/copy\n" in done
    words = done.splitlines()[-1].split("dataguard ")[1].split()
    assert "1 file would be brought back" in world.ask(*words, "--dry-run").out.splitlines()[-1]
    assert "brought back" in world.ask(*words).out
    assert "reclaim" in world.ask("log", "faces").out


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("/", "--undo", "x"),
        ("/", "--method", "hardlink"),
        ("/", "--folders", "--method", "dedupe"),
    ],
    ids=repr,
)
def test_what_makes_no_sense_is_refused(registered, words):
    assert 2 == registered.ask("reclaim", *words).code


@pytest.mark.parametrize("name", ["20300102T030405-0a1b2c3d", "../../etc/passwd", ""])
def test_an_unknown_reclaim_is_not_found(registered, name):
    assert 10 == registered.fails("reclaim", "--undo", name)["exit_code"]
