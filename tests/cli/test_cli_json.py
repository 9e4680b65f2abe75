from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from dataguard.errors import WrongBytesError
from dataguard.sandbox.processes import current_process
from support.caches import Source, cache_at, wanted_of
from support.mountcleanup import needs_mounts

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "json-shapes.json"
FINDING = [
    *("id", "code", "severity", "dataset", "version", "path", "message", "remedy"),
    *("first_seen", "last_seen", "count", "state", "evidence"),
]
UNIT = ("watch", "--emit", "systemd")
OPEN = ("evidence", "payload", "login_uid")


def shape(value):
    """Member names and kinds of values; of a list those of its first item."""
    match value:
        case dict():
            members = ((key, "any" if key in OPEN else shape(item)) for key, item in value.items())
            return dict(sorted(members))
        case list():
            return [shape(value[0])] if value else []
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case None:
            return "null"
        case _:
            return "text"


def copies_story(world):
    """A folder that repeats gold in part, and two files that repeat one another."""
    place = world.top / "private"
    shutil.copytree(world.gold, place / "mine", symlinks=True)
    for name in ("one", "two"):
        (place / "mine" / name).write_bytes(b"neither is in gold")
    (place / "mine" / "c").write_bytes(b"hello\n")
    (place / "mine" / "dir" / "d").write_bytes(b"deep\n")
    return world.ask_json("copies", str(place), str(world.gold), "--among", code=3)


def reclaim_story(world):
    """What can be given back of these: nothing that a link could take the place of."""
    return world.ask_json("reclaim", str(world.top / "private"), "--method", "link")


def cache_story(world):
    """A cache with two contents, both pinned: one was damaged since, one could not be had."""
    one, other = wanted_of(b"one"), wanted_of(b"other")
    with cache_at(world.home / "cache") as cache:
        path = cache.fill(one, Source(b"one"))
        with pytest.raises(WrongBytesError):
            cache.fill(other, Source(b"wrong"))
        cache.pin("a test", [one, other], current_process())
    os.chmod(path, 0o600)
    with open(path, "wb") as file:
        file.write(b"two")
    words = ("show", "prune")
    found = {f"cache {word}": world.ask_json("cache", word) for word in words}
    return found | {"cache verify": world.ask_json("cache", "verify", code=3)}


def policy_story(world):
    """What is said of rules, and made of them for others."""
    ask = world.ask_json
    return {
        "policy check": ask("policy", "check", "regulated"),
        "policy show": ask("policy", "show"),
        "policy explain": ask("policy", "explain", str(world.gold), code=3),
        "policy explain code": ask("policy", "explain", "DG105"),
        "policy export": ask("policy", "export", "s3://data/gold", "--as", "iam-policy"),
    }


def story(world):
    """Every result that can be had from one small story, by what it is about."""
    ask = world.ask_json
    found = {"register": world.register(), "watch once": ask("watch", "--once")}
    found["list"], found["show"], found["watch unit"] = (
        ask("list"),
        ask("show", "faces"),
        ask(*UNIT),
    )
    found["tag"] = ask("tag", "faces@1", "prod")
    ws = world.top / "ws"
    found["workspace init"] = ask("workspace", "init", str(ws), "--outputs", "out")
    found["mount"] = ask("mount", "faces@1", "-w", str(ws))
    found["mount emit"] = ask("mount", "-w", str(ws), "--emit", "bwrap")
    found["workspace show"] = ask("workspace", "show", str(ws))
    found["workspace list"] = ask("workspace", "list")
    found |= {"copies": copies_story(world), "reclaim": reclaim_story(world)}
    found["gate"] = ask("gate", "-w", str(ws))
    found["run"] = ask("run", "-w", str(ws), "--", "sh", "-c", "echo x > {out}/x")
    out = f"{found['run']['outputs_directory']}/x"
    found["lineage"], found["lineage file"] = ask("lineage", "faces@1"), ask("lineage", out)
    found["show in use"] = ask("show", "faces@1")
    (world.gold / "a").write_bytes(b"other\n")
    (world.gold / "new").write_bytes(b"new\n")
    found["run refused"] = ask("run", "-w", str(ws), "--", "true", code=125)
    found["audit"] = ask("audit", "faces", code=3)
    found["findings list"] = ask("findings", "list")
    finding = found["findings list"]["findings"][0]["id"]
    found["findings show"] = ask("findings", "show", finding)
    found["findings ack"] = ask("findings", "ack", finding, "--reason", "known")
    found["findings resolve"] = ask("findings", "resolve", finding, "--reason", "fixed")
    found["register refused"] = world.register(code=3)
    found["register superseding"] = world.register("--supersede", "--reason", "new")
    found["diff"], found["log"] = ask("diff", "faces@1", "faces@2"), ask("log", "faces")
    found["unmount"] = ask("unmount", "--all", "-w", str(ws))
    found["workspace remove"] = ask("workspace", "remove", str(ws), "--yes")
    found["quarantine"] = ask("quarantine", "faces@2", "--reason", "labels")
    ask("audit", "faces@2")
    found["release"] = ask("release", "faces@2", "--reason", "checked")
    found["withdraw"] = ask("withdraw", "faces@1", "--reason", "old")
    found |= policy_story(world) | {"version": ask("version")}
    found["doctor"] = ask("doctor")
    found["catalog check"] = ask("catalog", "check")
    found["catalog events"] = ask("catalog", "events", "--after", "1")
    found["catalog backup"] = ask("catalog", "backup", str(world.top / "backup.tar"))
    found["catalog copy"] = ask("catalog", "copy", str(world.top / "copy"))
    found["catalog upgrade"] = ask("catalog", "upgrade")
    found["catalog rebuild"] = ask("catalog", "rebuild", "--yes")
    found |= cache_story(world)
    found["seal"] = ask("seal", "faces@2", "--seal", "mode")
    found["show sealed"] = ask("show", "faces@2")
    found["unseal"] = ask("unseal", "faces@2", "--reason", "why", "--for", "1h")
    return found


@needs_mounts
def test_shapes_of_all_results_are_as_they_were(world):
    shapes = {name: shape(value) for name, value in story(world).items()}
    assert json.loads(GOLDEN.read_text(encoding="utf-8")) == shapes


FIXED = {
    "copies": ("copies", "reclaimable"),
    "register": (
        *("dataset", "version", "root", "created", "files", "bytes", "algorithm", "hashed"),
        *("location", "manifest", "findings"),
    ),
    "list": ("datasets",),
    "show": (
        *("dataset", "version", "root", "files", "bytes", "location", "state", "strength"),
        *("mounts", "last_audit"),
    ),
    "diff": ("added", "removed", "changed", "renamed"),
    "mount": ("dataset", "version", "root", "target", "backend", "guarantee", "probe"),
    "gate": ("allowed", "checks"),
    "run": ("run", "allowed", "exit_code", "inputs", "outputs", "diverted", "findings"),
    "audit": (
        *("complete", "level", "checked_files", "checked_bytes", "findings", "unreadable"),
        "versions",
    ),
}
ITEMS = {
    ("list", "datasets"): ("dataset", "version", "root", "files", "bytes", "location", "state"),
    ("mount", "probe"): ("operation", "result"),
    ("gate", "checks"): ("name", "ok", "reason"),
    ("run", "inputs"): ("dataset", "version", "root", "before", "after"),
    ("run", "outputs"): ("path", "size", "digest"),
    ("diff", "added"): ("path",),
    ("diff", "changed"): ("path",),
    ("audit", "findings"): FINDING,
    ("copies", "copies"): (
        *("path", "kind", "dataset", "version", "original", "bytes", "reclaimable"),
    ),
    ("copies", "findings"): FINDING,
    ("findings list", "findings"): FINDING,
    ("register refused", "findings"): FINDING,
}


@pytest.mark.parametrize("name", FIXED)
def test_fixed_fields_are_in_the_shapes(name):
    shapes = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert set() == {*FIXED[name]} - {*shapes[name]}


@pytest.mark.parametrize(("name", "member"), ITEMS)
def test_fixed_fields_of_items_are_in_the_shapes(name, member):
    shapes = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert set() == {*ITEMS[name, member]} - {*shapes[name][member][0]}
