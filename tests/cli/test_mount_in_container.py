"""`dataguard mount` inside a container: it mounts nothing, and believes only what it has tried."""

from __future__ import annotations

import json
import os

import pytest
from asking import tree_state

from support.containers import in_container
from support.mountcleanup import mounts_below, needs_mounts

pytestmark = needs_mounts

READ_ONLY = 'mount --bind {source} "$ROOT{target}"; mount -o remount,bind,ro "$ROOT{target}"'
WRITABLE_BELOW = READ_ONLY + '; mount -t tmpfs none "$ROOT{target}/dir"'


@pytest.fixture
def ws(registered):
    return registered.workspace(mounted=())


def ask(registered, ws, runtime, *words, target=None):
    """Mount faces in a container whose runtime shows gold at a target, at its own place else."""
    place = str(registered.gold if target is None else target)
    runtime = runtime.format(source=registered.gold, target=place)
    words = ("mount", "faces@1", "-w", str(ws), "--format", "json", *words)
    code, out, err = in_container(registered.top / "root", words, runtime=runtime)
    return code, json.loads(out or err)


def test_what_the_runtime_mounted_at_the_registered_place_is_proven(registered, ws):
    before = tree_state(registered.gold)
    code, found = ask(registered, ws, READ_ONLY)
    assert (0, "container", "enforced", str(registered.gold)) == (
        code,
        found["backend"],
        found["guarantee"],
        found["target"],
    )
    assert {"refused"} == {step["result"] for step in found["probe"]}
    assert "container's runtime" in found["guarantee_text"]
    assert (before, []) == (tree_state(registered.gold), mounts_below(ws))


def test_what_the_runtime_mounted_at_the_wanted_place_is_proven(registered, ws):
    target = ws / "data" / "faces"
    target.mkdir()
    code, found = ask(registered, ws, READ_ONLY, target=target)
    assert (0, "container", str(target)) == (code, found["backend"], found["target"])
    assert {"refused"} == {step["result"] for step in found["probe"]}


@pytest.mark.parametrize("runtime", ["", WRITABLE_BELOW], ids=["all", "below"])
def test_what_is_writable_is_a_finding_and_not_recorded_as_a_mount(registered, ws, runtime):
    before = tree_state(registered.gold)
    code, found = ask(registered, ws, runtime)
    assert (3, ["DG402"]) == (code, [one["code"] for one in found["findings"]])
    assert ("none", before) == (found["guarantee"], tree_state(registered.gold))
    assert [] == registered.ask_json("show", "faces")["mounts"]


def test_what_the_runtime_does_not_show_is_a_conflict_with_the_way_out(registered, ws):
    registered.gold.rename(registered.top / "elsewhere")
    code, error = ask(registered, ws, "")
    assert (11, "conflict") == (code, error["code"]), error
    assert "--emit docker" in error["hint"]


def test_another_directory_in_its_place_is_a_conflict(registered, ws):
    (registered.top / "other" / "dir").mkdir(parents=True)
    target = ws / "data" / "faces"
    target.mkdir()
    runtime = READ_ONLY.replace("{source}", str(registered.top / "other"))
    code, error = ask(registered, ws, runtime, target=target)
    assert (11, True) == (code, "another directory" in error["message"]), error


def test_bind_can_be_asked_for_by_name(registered, ws):
    code, found = ask(registered, ws, READ_ONLY, "--backend", "bind")
    assert (0, "bind") == (code, found["backend"]), found
    assert [] == os.listdir(ws / "data" / "faces")  # the mount was the container's own
