"""The harvest of a layer says what a job did: applied to gold it gives what the job saw."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataguard.model.diversion import DivertedKind
from dataguard.stores.harvest import survey
from dataguard.stores.keeping import keep
from dataguard.stores.layers import Layers
from dataguard.stores.twins import Marks
from support.mountcleanup import fingerprint, mount_command, needs_mounts, swept

GOLD = {"a": b"alpha", "b": b"alpha", "d/a": b"deep", "d/e/b": b"deeper", "f": b""}
NAMES = st.sampled_from(["a", "b", "d", "d/a", "d/e", "d/e/b", "d/n", "f", "n", "n/a"])
OPERATIONS = st.one_of(
    st.tuples(st.just("write"), NAMES, st.sampled_from([b"", b"alpha", b"other", b"deep"])),
    st.tuples(st.sampled_from(["remove", "mkdir", "link", "chmod"]), NAMES, st.none()),
    st.tuples(st.sampled_from(["rename", "hardlink"]), NAMES, NAMES),
)


def make_gold(top):
    for path, content in GOLD.items():
        place = os.path.join(top, path)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "wb") as file:
            file.write(content)
    os.makedirs(os.path.join(top, "d", "empty"))


def act(top, operation, name, other):
    path = os.path.join(top, name)
    match operation:
        case "write":
            with open(path, "wb") as file:
                file.write(other)
        case "remove" if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        case "remove":
            os.unlink(path)
        case "mkdir":
            os.mkdir(path)
        case "link":
            os.symlink("target", path)
        case "chmod":
            os.chmod(path, 0o700)
        case "rename":
            os.rename(path, os.path.join(top, other))
        case "hardlink":
            os.link(path, os.path.join(top, other), follow_symlinks=False)


def seen(top):
    """Everything below a directory: content of files, targets of links, None for directories."""
    found = {}
    for directory, names, files in os.walk(top):
        for name in (*names, *files):
            path = os.path.join(directory, name)
            key = os.path.relpath(path, top).encode()
            if os.path.islink(path):
                found[key] = ("l", os.readlink(path).encode())
            elif os.path.isdir(path):
                found[key] = None
            else:
                with open(path, "rb") as file:
                    found[key] = ("f", file.read())
    return found


def applied(gold, changes, kept):
    """Return what gold is after the changes, whose files are in `kept`."""
    there = dict(gold)
    for one in changes:
        if one.kind is DivertedKind.DELETED or one.kind is DivertedKind.REPLACED:
            inside = [p for p in there if p.startswith(one.path + b"/")]
            lost = inside if one.kind is DivertedKind.DELETED or one.entry != "d" else []
            for path in (one.path, *lost):
                there.pop(path, None)
        if one.is_kept or one.kind is DivertedKind.REPLACED:
            there[one.path] = None if one.entry == "d" else kept[one.path]
    return there


@contextmanager
def overlaid():
    """Gold, a layer over it, and where both are seen as one."""
    with tempfile.TemporaryDirectory() as top, swept(os.path.realpath(top)) as top:
        gold, layers, merged = (os.path.join(top, name) for name in ("gold", "layers", "merged"))
        make_gold(gold)
        os.mkdir(merged)
        layer = Layers.made(layers).make("gold", gold)
        options = f"lowerdir={gold},upperdir={layer.upper},workdir={layer.work}"
        options += ",redirect_dir=nofollow,metacopy=off,index=off"
        mount_command("-t", "overlay", "none", "-o", options, merged)
        yield gold, layer, merged


@needs_mounts
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(OPERATIONS, max_size=8))
def test_changes_applied_to_gold_give_what_the_job_saw(operations):
    with overlaid() as (gold, layer, merged):
        before, marks = seen(gold), fingerprint(gold)
        for operation in operations:
            try:
                act(merged, *operation)
            except OSError:
                continue  # as for any program
        wanted = seen(merged)
        subprocess.run(["umount", merged], check=True)
        found = survey(layer.upper, gold, Marks.TRUSTED)
        place = os.path.join(os.path.dirname(gold), "kept")
        os.mkdir(place)
        left = keep(found.changes, layer.upper, place, b"gold")
        assert () == (*found.unreadable, *left)
        assert wanted == applied(before, found.changes, seen(os.path.join(place, "gold")))
        assert marks == fingerprint(gold)


@pytest.fixture
def layered(tmp_path):
    gold = tmp_path / "gold"
    make_gold(gold)
    layers = Layers.made(str(tmp_path / "layers"))
    return gold, layers.make("gold", str(gold)), layers


def looked_at(layer, gold):
    return survey(layer.upper, str(gold), Marks.TRUSTED)


def test_harvest_that_was_ended_halfway_goes_on_with_the_rest(layered, tmp_path):
    gold, layer, _ = layered
    for name in ("new", "newer"):
        with open(os.path.join(layer.upper, name), "w") as file:
            file.write(name)
    place = tmp_path / "kept"
    place.mkdir()
    first, second = looked_at(layer, gold).changes
    assert () == keep((first,), layer.upper, str(place), b"gold")
    assert (second,) == looked_at(layer, gold).changes
    assert () == keep((second,), layer.upper, str(place), b"gold")
    assert ["new", "newer"] == sorted(os.listdir(place / "gold"))


def test_file_without_permissions_is_compared_and_keeps_its_mode(layered):
    gold, layer, _ = layered
    path = os.path.join(layer.upper, "a")
    with open(path, "wb") as file:
        file.write(GOLD["a"])
    os.chmod(path, 0)
    (change,) = looked_at(layer, gold).changes
    assert (DivertedKind.METADATA, True) == (change.kind, "to 0000" in change.detail)
    assert 0 == os.stat(path).st_mode & 0o777


def test_tree_deeper_than_a_path_may_be_long_is_looked_at_and_kept(layered, tmp_path):
    gold, layer, layers = layered
    name = b"n" * 250
    at = os.open(layer.upper, os.O_RDONLY)
    for _ in range(20):
        os.mkdir(name, dir_fd=at)
        below = os.open(name, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(os.open(b"file", os.O_CREAT | os.O_WRONLY, dir_fd=at))
    os.close(at)
    place = tmp_path / "kept"
    place.mkdir()
    found = looked_at(layer, gold)
    assert () == keep(found.changes, layer.upper, str(place), b"gold")
    assert b"/".join([name] * 20 + [b"file"]) == found.changes[-1].path
    layers.remove()
    assert not (tmp_path / "layers").exists()
    subprocess.run(["rm", "-rf", place], check=True)


def test_layers_that_the_kernel_closed_are_removed(layered, tmp_path):
    _, layer, layers = layered
    os.mkdir(os.path.join(layer.work, "work"), 0)
    layers.remove()
    assert not (tmp_path / "layers").exists()


def test_link_in_place_of_a_layer_is_not_followed(layered, tmp_path):
    gold, layer, layers = layered
    os.rename(layer.upper, tmp_path / "real")
    os.symlink(gold, layer.upper)
    os.rmdir(layer.work)
    (gold / "work").mkdir(mode=0o711)
    os.symlink(gold, layer.work)
    before = fingerprint(gold)
    with pytest.raises(OSError, match="Not a directory"):
        looked_at(layer, gold)
    layers.remove()
    assert before == fingerprint(gold)


def test_link_in_place_of_the_directory_for_what_is_kept_is_not_followed(layered, tmp_path):
    gold, layer, _ = layered
    with open(os.path.join(layer.upper, "new"), "w"):
        pass
    place = tmp_path / "kept"
    place.mkdir()
    (place / "gold").symlink_to(gold)
    before = fingerprint(gold)
    (left,) = keep(looked_at(layer, gold).changes, layer.upper, str(place), b"gold")
    assert b"new" == left.path
    assert before == fingerprint(gold)
    assert ["new"] == os.listdir(layer.upper)


def test_layers_are_found_and_removed_where_they_were_moved_to(layered, tmp_path):
    gold, layer, layers = layered
    os.rename(tmp_path / "layers", tmp_path / "moved")
    shutil.copytree(tmp_path / "moved", tmp_path / "layers")
    with open(os.path.join(layers.of("gold").upper, "new"), "w"):
        pass
    assert [b"new"] == [one.path for one in looked_at(layers.of("gold"), gold).changes]
    layers.remove()
    assert (False, True) == ((tmp_path / "moved").exists(), (tmp_path / "layers").exists())
    assert [] == os.listdir(layer.upper)


@needs_mounts
def test_many_files_of_one_size_are_each_known_by_their_former_name():
    """Each is compared with few others, however many are gone."""
    with overlaid() as (gold, layer, merged):
        subprocess.run(["umount", merged], check=True)
        names = [f"n{number:04}" for number in range(400)]
        for name in names:
            with open(os.path.join(gold, name), "w") as file:
                file.write(name)
        options = f"lowerdir={gold},upperdir={layer.upper},workdir={layer.work}"
        mount_command("-t", "overlay", "none", "-o", options, merged)
        for name, new in zip(names, reversed(names), strict=True):
            os.rename(os.path.join(merged, name), os.path.join(merged, f"new-{new}"))
        subprocess.run(["umount", merged], check=True)
        found = looked_at(layer, gold).changes
        expected = {f"new-{new}": name for name, new in zip(names, reversed(names), strict=True)}
        assert expected == {
            os.fsdecode(one.path): os.fsdecode(one.origin or b"")
            for one in found
            if one.kind is DivertedKind.RENAMED
        }


@needs_mounts
def test_links_of_a_removed_file_have_its_name_all():
    with overlaid() as (gold, layer, merged):
        os.link(os.path.join(merged, "a"), os.path.join(merged, "one"))
        os.link(os.path.join(merged, "a"), os.path.join(merged, "two"))
        os.unlink(os.path.join(merged, "a"))
        subprocess.run(["umount", merged], check=True)
        found = {one.path: one.origin for one in looked_at(layer, gold).changes}
        assert {b"a": None, b"one": b"a", b"two": b"a"} == found
