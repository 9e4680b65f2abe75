"""Whole folders that become one link: what `df` gains, what comes back, what is left alone."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from dataguard.cli import main
from dataguard.model.reclaim import Method, Reason, ReclaimState
from dataguard.stores import folderlinking
from support.mountcleanup import needs_mounts, swept, unmount_command
from support.reclaimfolders import FolderPlace, tree_facts
from support.reclaims import free_bytes

pytestmark = needs_mounts
MIB = 1 << 20


def place_at(top, home, monkeypatch, **options):
    monkeypatch.setenv("DATAGUARD_HOME", str(home))
    made = FolderPlace(Path(top), Path(home))
    made.fill_tree(**options)
    made.workspace()
    return made


@pytest.fixture
def place(tmp_path, monkeypatch):
    with swept(tmp_path):
        yield place_at(tmp_path, tmp_path / "home", monkeypatch)


def folder_steps(result):
    return [os.fsdecode(step.path) for step in result.steps if step.folder]


def why_left(result, path):
    return [one.reason for one in result.left if one.path == os.fsencode(path)]


def mounted(place, *parts):
    return str(place.mine.joinpath("data", "faces", *parts))


def test_a_whole_folder_becomes_one_link_to_the_mounts_directory(place):
    before = tree_facts(place.folder)
    planned = place.give_back(apply=False)
    assert before == tree_facts(place.folder)
    (step,) = planned.steps
    assert (True, 8, os.fsencode(place.folder)) == (step.folder, step.files, step.path)
    result = place.give_back()
    assert [str(place.folder)] == folder_steps(result)
    assert (planned.reclaimable, True) == (result.reclaimed, result.steps[0].done)
    assert mounted(place) == os.readlink(place.folder)
    assert {"copy", "data", "dataguard.toml", "dataguard.lock"} == {*os.listdir(place.mine)}
    with pytest.raises(OSError, match="Read-only"):
        (place.folder / "more").touch()


def test_undo_brings_back_bytes_owners_modes_times_and_hard_links(place):
    os.chmod(place.folder / "val", 0o555)
    before = tree_facts(place.folder)
    result = place.give_back()
    assert place.undo(result.id, dry_run=True).restored[0].files == 8
    assert place.folder.is_symlink()
    undone = place.undo(result.id)
    assert ((), True) == (undone.left, undone.undone)
    assert before == tree_facts(place.folder)
    assert os.path.samefile(place.folder / "train" / "a", place.folder / "train/deep/again")
    assert not os.path.samefile(place.folder / "train" / "a", place.gold / "train" / "a")
    with place.context() as ctx:
        record = ctx.catalog.reclaim(result.id)
    assert (ReclaimState.UNDONE, 8) == (record.state, record.files)
    assert () == place.undo(result.id).restored


def gained_at_last(place, free, wanted):
    """What is free in addition; XFS frees the blocks of removed files somewhat later."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and free_bytes(place.top) - free < wanted - wanted // 100:
        time.sleep(0.1)
    return free_bytes(place.top) - free


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs"])
def test_df_gains_what_a_folder_promises(request, kind, tmp_path, monkeypatch):
    image = request.getfixturevalue(f"loop_{kind}")
    place = place_at(image.top, tmp_path / "home", monkeypatch, size=3 * MIB)
    free = free_bytes(place.top)
    result = place.give_back()
    assert [str(place.folder)] == folder_steps(result)
    gained = gained_at_last(place, free, result.reclaimed)
    assert abs(gained - result.reclaimed) <= result.reclaimed / 100


def test_folders_whose_files_can_share_blocks_stay_folders(loop_xfs, tmp_path, monkeypatch):
    place = place_at(loop_xfs.top, tmp_path / "home", monkeypatch)
    result = place.give_back(Method.AUTO)
    assert {Method.DEDUPE} == {step.method for step in result.steps}
    assert not place.folder.is_symlink()


def test_without_asking_no_folder_becomes_a_link(place):
    place.ask("reclaim", str(place.mine), "--method", "link", "--apply")
    assert not place.folder.is_symlink()
    assert (place.folder / "top").is_symlink()


def test_of_a_folder_with_more_than_gold_its_whole_folders_become_links(place):
    (place.folder / "notes.txt").write_text("mine")
    result = place.give_back()
    assert [str(place.folder / "train")] == folder_steps(result)
    assert [Reason.NOT_WHOLE] == why_left(result, place.folder)
    assert [Reason.LEADS_OUT] == why_left(result, place.folder / "val")
    assert "mine" == (place.folder / "notes.txt").read_text()
    assert mounted(place, "train") == os.readlink(place.folder / "train")


@pytest.mark.parametrize("kind", ["missing", "changed", "empty one more", "directory", "fifo"])
def test_a_folder_that_is_not_whole_stays(place, kind):
    inside = place.folder / "train" / "deep"
    match kind:
        case "missing":
            os.unlink(inside / "c")
        case "changed":
            with open(inside / "c", "r+b") as file:
                file.write(b"other")
        case "empty one more":
            (inside / "d").touch()
        case "directory":
            (inside / "d").mkdir()
        case "fifo":
            os.mkfifo(inside / "d")
    before = tree_facts(inside)
    result = place.give_back()
    assert [] == folder_steps(result)
    assert not place.folder.is_symlink()
    assert kind == "missing" or before.keys() == tree_facts(inside).keys()


@pytest.mark.parametrize("path", ["train", "train/a", "val/gone"])
def test_another_owner_inside_is_left_alone(place, path):
    os.chown(place.folder / path, 12345, 12345, follow_symlinks=False)
    result = place.give_back()
    assert [Reason.FOREIGN_INSIDE] == why_left(result, place.folder)
    assert not place.folder.is_symlink()


@pytest.mark.parametrize("path", ["", "train", "train/a"])
def test_attributes_are_left_alone(place, path):
    os.setxattr(place.folder / path, "user.note", b"mine")
    assert [Reason.ATTRIBUTES] == why_left(place.give_back(), place.folder)


def test_a_hard_link_from_outside_is_left_alone(place):
    os.link(place.folder / "train" / "b", place.top / "elsewhere")
    assert [Reason.HARD_LINKS] == why_left(place.give_back(), place.folder)


def test_a_hard_link_to_gold_is_left_alone(place):
    os.unlink(place.folder / "train" / "b")
    os.link(place.gold / "train" / "b", place.folder / "train" / "b")
    result = place.give_back()
    assert [] == folder_steps(result)
    assert not place.folder.is_symlink()


@pytest.mark.parametrize("path", ["", "train", "train/deep/c"])
def test_a_mount_point_is_left_alone(place, path):
    target = place.folder / path
    subprocess.run(["mount", "--bind", target, target], check=True)
    try:
        result = place.give_back()
        assert [Reason.MOUNTED] == why_left(result, place.folder)
        assert not place.folder.is_symlink()
    finally:
        unmount_command(target)


def test_a_folder_that_is_mounted_elsewhere_is_left_alone(place):
    (place.top / "shown").mkdir()
    subprocess.run(["mount", "--bind", place.folder / "train", place.top / "shown"], check=True)
    try:
        assert [Reason.MOUNTED] == why_left(place.give_back(), place.folder)
    finally:
        unmount_command(place.top / "shown")


@pytest.mark.parametrize("kind", ["stands", "holds", "reads"])
def test_a_folder_in_use_is_left_alone(place, kind):
    inside = str(place.folder / "train")
    code = {
        "stands": f"os.chdir({inside!r})",
        "holds": f"os.open({inside!r}, os.O_RDONLY)",
        "reads": f"os.open({inside + '/b'!r}, os.O_RDONLY)",
    }[kind]
    command = ["python3", "-c", f"import os; {code}; print(1, flush=True); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert b"1\n" == other.stdout.readline()
        result = place.give_back()
        other.communicate(b"\n")
    assert [Reason.IN_USE] == why_left(result, place.folder)
    assert not place.folder.is_symlink()


def test_the_plan_has_one_row_and_says_what_a_link_means(place, capsys):
    assert 0 == main(["reclaim", str(place.mine), "--folders", "--method", "link"])
    row, gain, warning, _ = capsys.readouterr().out.splitlines()
    assert f"{place.folder}: link to {mounted(place)} (faces@1, folder of 8 files" in row
    assert gain.endswith("of 8 files")
    assert "nothing can be added" in warning
    assert 0 == main(["reclaim", str(place.mine), "--folders", "--method", "link", "--format=json"])
    (step,) = json.loads(capsys.readouterr().out)["steps"]
    assert (True, 8, "link") == (step["folder"], step["files"], step["method"])


def test_link_gold_makes_no_links_of_folders(place):
    unmount_command(mounted(place))
    result = place.give_back(apply=False, link_gold=True)
    assert ([], True) == (folder_steps(result), bool(result.steps))


@pytest.mark.parametrize("kind", ["in", "around"])
def test_outputs_are_left_alone(place, kind):
    outputs = place.folder / "train" if kind == "around" else place.mine
    other = place.top / "other"
    place.ask("workspace", "init", str(other), "--outputs", str(outputs))
    assert [Reason.OUTPUTS] == why_left(place.give_back(), place.folder)


def test_a_folder_that_is_gold_or_holds_gold_is_left_alone(place):
    place.ask("register", "part", str(place.folder / "train"))
    result = place.give_back()
    assert [] == [path for path in folder_steps(result) if "val" not in path]
    assert not place.folder.is_symlink()


def test_a_link_that_leads_out_is_left_alone(tmp_path, monkeypatch):
    with swept(tmp_path):
        monkeypatch.setenv("DATAGUARD_HOME", str(tmp_path / "home"))
        place = FolderPlace(tmp_path, tmp_path / "home")
        place.gold.mkdir()
        (place.gold / "a").write_bytes(os.urandom(9000))
        (place.gold / "out").symlink_to("../secret")
        place.ask("register", "faces", str(place.gold))
        place.mine.mkdir()
        subprocess.run(["cp", "-a", place.gold, place.folder], check=True)
        place.workspace()
        assert [Reason.LEADS_OUT] == why_left(place.give_back(), place.folder)


def test_who_could_read_the_folder_must_be_able_to_read_the_mount(place):
    for path in (place.top, *place.top.parents):
        os.chmod(path, path.stat().st_mode | 0o005)
    os.chmod(place.folder / "train" / "b", 0o644)
    os.chmod(place.gold / "train", 0o700)
    assert [Reason.UNREADABLE] == why_left(place.give_back(), place.folder)


def change(path):
    with open(path, "ab") as file:
        file.write(b"more")


@pytest.mark.parametrize("kind", ["file", "new", "mode", "open"])
def test_what_happens_between_comparison_and_exchange_is_not_lost(place, monkeypatch, kind):
    real, held = folderlinking.exchange_for_link, []

    def late(one, directory, journal):
        inside = place.folder / "train" / "deep"
        match kind:
            case "file":
                change(inside / "c")
            case "new":
                (inside / "d").write_text("new")
            case "mode":
                os.chmod(inside / "c", 0o600)
            case "open":
                held.append(os.open(inside / "c", os.O_RDONLY))
        real(one, directory, journal)

    monkeypatch.setattr(folderlinking, "exchange_for_link", late)
    result = place.give_back()
    for descriptor in held:
        os.close(descriptor)
    wanted = Reason.IN_USE if kind == "open" else Reason.CHANGED
    assert [wanted] == why_left(result, place.folder)
    assert not place.folder.is_symlink()
    assert ["copy"] == [name for name in os.listdir(place.mine) if not name.startswith("data")]
    assert kind != "file" or (place.folder / "train/deep/c").read_bytes().endswith(b"more")


def test_what_comes_into_a_folder_that_goes_stays_and_is_told(place, monkeypatch):
    real = folderlinking._remove_folder
    places = []

    def late(one, directory, journal):
        path = place.mine / os.fsdecode(one.temporary)
        if not places:
            (path / "train" / "new").write_text("new")
        places.append(path)
        real(one, directory, journal)

    monkeypatch.setattr(folderlinking, "_remove_folder", late)
    result = place.give_back()
    assert result.has_gaps
    assert place.folder.is_symlink()
    assert "new" == (places[0] / "train" / "new").read_text()
    monkeypatch.undo()
    os.environ["DATAGUARD_HOME"] = str(place.home)
    os.unlink(places[0] / "train" / "new")
    with place.context() as ctx:
        (record,) = ctx.catalog.reclaims()
    before = (place.gold / "train" / "a").read_bytes()
    undone = place.undo(record.id)
    assert ((), True) == (undone.left, undone.undone)
    assert not places[0].exists()
    assert before == (place.folder / "train" / "a").read_bytes()


def test_undo_leaves_alone_what_somebody_put_in_place_of_the_link(place):
    result = place.give_back()
    os.unlink(place.folder)
    place.folder.mkdir()
    (place.folder / "new").write_text("new")
    undone = place.undo(result.id)
    assert [Reason.REPLACED] == why_left(undone, place.folder)
    assert ["new"] == os.listdir(place.folder)


def test_undo_takes_no_bytes_that_are_not_those_of_the_version(place):
    result = place.give_back()
    (place.gold / "train" / "b").write_bytes(b"damaged")
    undone = place.undo(result.id)
    assert [Reason.UNVERIFIED] == why_left(undone, place.folder)
    assert place.folder.is_symlink()
    assert ["copy"] == [name for name in os.listdir(place.mine) if not name.startswith("data")]
