"""Sealing and opening as users do it, on the file systems that have immutable flags."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import stat
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from dataguard.stores import alteration, directorymodes
from dataguard.stores.local import LocalStore
from support.killpoints import why_no_strace
from support.mountcleanup import mount_command, needs_mounts, unmount_command
from support.sealcleanup import flagged, needs_flags, opened_again, set_flag

pytestmark = needs_flags

EVERYTHING = {".", "a", "dir", "dir/b", "empty"}


@pytest.fixture
def gold(registered):
    """faces@1, without a seal again at the end."""
    with opened_again(registered.top):
        yield registered


@pytest.fixture(params=["ext4", "xfs", "btrfs", "tmpfs"])
def anywhere(request, world):
    """faces@1 on each file system that has immutable flags."""
    if request.param == "tmpfs":
        top = world.top / "tmpfs"
        top.mkdir()
        mount_command("-t", "tmpfs", "none", top)
    else:
        top = world.top.__class__(request.getfixturevalue(f"loop_{request.param}").top)
    shutil.copytree(world.gold, top / "gold", symlinks=True)
    world.gold = top / "gold"
    world.register()
    with opened_again(world.gold):
        yield world


def modes(top):
    found = {}
    for directory, names, files in os.walk(top):
        for name in (".", *names, *files):
            path = os.path.join(directory, name)
            found[os.path.relpath(path, top)] = stat.S_IMODE(os.lstat(path).st_mode)
    return found


def seal(world, *words, code=0):
    return world.ask_json("seal", "faces", *words, code=code)


def unseal(world, *words, length="2h"):
    return world.ask_json("unseal", "faces", "--reason", "why", "--for", length, *words)


def quick(world, code=0):
    return world.ask_json("audit", "faces", "--level", "quick", code=code)


def later(monkeypatch, **ahead):
    """Let every command think that it is later."""
    moment = datetime.now(UTC) + timedelta(**ahead)
    for module in ("opening", "doctor"):
        monkeypatch.setattr(f"dataguard.cli.{module}.utc_now", lambda: moment)


def test_a_sealed_tree_refuses_what_root_tries(anywhere):
    found = seal(anywhere)
    assert ("immutable", "sealed") == (found["seal"], found["state"])
    assert EVERYTHING == flagged(anywhere.gold)
    top = str(anywhere.gold)
    a, b = f"{top}/a", f"{top}/dir/b"
    tries = {
        "write": lambda: os.close(os.open(a, os.O_WRONLY)),
        "append": lambda: os.close(os.open(a, os.O_WRONLY | os.O_APPEND)),
        "empty": lambda: os.truncate(a, 0),
        "remove": lambda: os.unlink(b),
        "remove directory": lambda: os.rmdir(f"{top}/empty"),
        "rename": lambda: os.rename(a, f"{top}/c"),
        "rename away": lambda: os.rename(b, f"{os.path.dirname(top)}/b"),
        "rename the root": lambda: os.rename(top, f"{top}2"),
        "link": lambda: os.link(a, f"{os.path.dirname(top)}/linked"),
        "create": lambda: os.close(os.open(f"{top}/dir/new", os.O_WRONLY | os.O_CREAT)),
        "make a directory": lambda: os.mkdir(f"{top}/empty/new"),
        "replace a symlink": lambda: os.unlink(f"{top}/link"),
        "mode": lambda: os.chmod(a, 0o777),
        "owner": lambda: os.chown(top, 1, 1),
        "times": lambda: os.utime(a, ns=(0, 0)),
        "attribute": lambda: os.setxattr(a, "user.x", b"y"),
        "punch": lambda: os.posix_fallocate(os.open(a, os.O_RDWR), 0, 1),
    }
    for name, act in tries.items():
        with pytest.raises(PermissionError):
            print(name, act())
    assert 0 == quick(anywhere)["checked_bytes"]


def test_a_quick_audit_after_seal_and_unseal_reads_nothing(anywhere):
    assert 0 == seal(anywhere)["hashed"]
    assert 0 == quick(anywhere)["checked_bytes"]
    assert 7 - 2 == unseal(anywhere)["changed"]
    assert set() == flagged(anywhere.gold)
    audited = quick(anywhere)
    assert (0, []) == (audited["checked_bytes"], audited["findings"])


def test_who_has_a_file_open_for_writing_keeps_it_from_being_sealed(anywhere):
    with open(anywhere.gold / "dir" / "b", "r+b"):
        found = seal(anywhere, code=3)
        assert ["dir/b"] == [one["path"] for one in found["findings"]]
        assert ("DG106", "sealing") == (found["findings"][0]["code"], found["state"])
        assert EVERYTHING - {"dir/b"} == flagged(anywhere.gold)
    assert "sealed" == seal(anywhere)["state"]
    assert EVERYTHING == flagged(anywhere.gold)
    assert 0 == quick(anywhere)["checked_bytes"]


def test_where_other_hosts_write_too_no_lease_is_asked_for_and_every_file_is_read(
    gold, monkeypatch
):
    known = LocalStore.filesystem
    monkeypatch.setattr(
        LocalStore, "filesystem", lambda store: dataclasses.replace(known(store), shared=True)
    )
    monkeypatch.setattr(alteration, "_lease", lambda _: alteration._Lease.BUSY)  # as NFS says
    gold.register()
    found = seal(gold, "--seal", "mode")
    assert ("sealed", 2) == (found["state"], found["hashed"])
    assert [] == quick(gold)["findings"]


def test_a_shared_mapping_for_writing_keeps_a_file_from_being_sealed(gold):
    import mmap

    with open(gold.gold / "a", "r+b") as file:
        mapped = mmap.mmap(file.fileno(), 0)
    assert ["a"] == [one["path"] for one in seal(gold, code=3)["findings"]]
    mapped.close()
    assert "sealed" == seal(gold)["state"]


def test_a_write_that_hides_its_times_right_before_the_seal_is_found(gold, monkeypatch):
    victim, lease = gold.gold / "a", alteration._lease

    def write_first(descriptor):
        if os.path.samestat(os.fstat(descriptor), os.stat(victim)):
            hide_a_write(victim)
        return lease(descriptor)

    monkeypatch.setattr(alteration, "_lease", write_first)
    found = seal(gold, code=3)
    assert [("DG101", "a")] == [(one["code"], one["path"]) for one in found["findings"]]


@pytest.mark.parametrize("kind", ["mode", "immutable"])
def test_a_write_in_place_of_the_lease_is_found(gold, monkeypatch, kind):
    """Where no lease can be had nothing is proved, so what was written meanwhile is read."""
    perform = alteration.Alteration.perform

    def write_and_perform(self, descriptor, mode, original):
        if os.path.samestat(os.fstat(descriptor), os.stat(gold.gold / "a")):
            hide_a_write(gold.gold / "a")
        perform(self, descriptor, mode, original)

    monkeypatch.setattr(alteration, "_lease", lambda _: alteration._Lease.NONE)
    monkeypatch.setattr(alteration.Alteration, "perform", write_and_perform)
    found = seal(gold, "--seal", kind, code=3)
    assert [("DG101", "a")] == [(one["code"], one["path"]) for one in found["findings"]]


def test_root_writing_right_after_a_seal_by_mode_is_found(gold, monkeypatch):
    from dataguard.actions import seal as action

    monkeypatch.setattr(action, "settle", lambda _: hide_a_write(gold.gold / "a"))
    found = seal(gold, "--seal", "mode", code=3)
    assert [("DG101", "a")] == [(one["code"], one["path"]) for one in found["findings"]]


def hide_a_write(path):
    before = os.stat(path)
    path.write_bytes(b"HELLO\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.skipif(bool(why_no_strace()), reason=why_no_strace() or "-")
def test_the_quick_audit_of_a_sealed_place_opens_no_file(gold):
    seal(gold)
    log = gold.top / "strace.log"
    strace = ("strace", "-f", "-qq", "-e", "trace=open,openat,openat2", "-o", str(log))
    answer = gold.ask_process("audit", "faces", "--level", "quick", under=strace)
    assert 0 == answer.code, answer
    opened = re.findall(r'open\w*\([^"]*"([^"]*)"', log.read_text())
    assert not {"a", "b"} & {os.path.basename(path) for path in opened}
    assert [one for one in opened if os.path.basename(one) == "dir"]  # so the log is of this


def test_unseal_puts_every_mode_back(world):
    odd = {"a": 0o6755, "dir/b": 0o464, "dir": 0o2775, "empty": 0o1777, ".": 0o750}
    for path, mode in odd.items():
        os.chmod(world.gold / path, mode)
    before = modes(world.gold)
    world.register()
    with opened_again(world.top):
        found = seal(world, "--seal", "mode")
        assert ("mode", "sealed", 3 + 2) == (found["seal"], found["state"], found["changed"])
        assert not [p for p, m in modes(world.gold).items() if m & 0o222 and p != "link"]
        assert 0 == quick(world)["checked_bytes"]
        assert [] == world.ask_json("catalog", "check", "--apply")["problems"]
        unseal(world)
        assert before == modes(world.gold)
        audited = quick(world)
        assert (0, []) == (audited["checked_bytes"], audited["findings"])


def test_a_seal_that_is_gone_is_found(gold):
    seal(gold)
    for path in ("a", "dir", "empty", "."):
        set_flag(gold.gold / path, on=False)
    found = quick(gold)
    assert {"", "a", "dir", "empty"} == {one["path"] for one in found["findings"]}
    assert {"DG105"} == {one["code"] for one in found["findings"]}
    assert "sealed" == seal(gold)["state"]
    assert [] == quick(gold)["findings"]


def test_write_permission_that_came_back_is_found_and_sealed_again(gold):
    before = modes(gold.gold)
    seal(gold, "--seal", "mode")
    for path in ("a", "dir", "empty", "."):
        os.chmod(gold.gold / path, 0o755 if path != "a" else 0o644)
    found = quick(gold)
    assert {"", "a", "dir", "empty"} == {one["path"] for one in found["findings"]}
    seal(gold)
    assert [] == quick(gold)["findings"]
    unseal(gold, length="good")
    assert before == modes(gold.gold)


def test_a_seal_opened_for_too_long_is_told_by_whoever_looks(gold, monkeypatch):
    seal(gold)
    opened = unseal(gold)
    assert ("open", "why") == (opened["state"], opened["reason"])
    assert ["open", ""] == [gold.ask_json("show", "faces")[k] for k in ("seal",)] + [
        gold.ask_json("show", "faces")["seals"][0]["notice"]
    ]
    assert [] == quick(gold)["findings"]
    later(monkeypatch, hours=3)
    closes = "`dataguard seal faces@1` closes it"
    assert closes in gold.ask_json("show", "faces")["seals"][0]["notice"]
    assert closes in gold.ask("doctor").out
    assert closes in gold.ask("gate", "--input", "faces@1", "--output", str(gold.top / "o")).out
    (finding,) = quick(gold)["findings"]
    assert ("DG105", "") == (finding["code"], finding["path"])
    assert closes in finding["message"]
    seal(gold)
    assert [] == quick(gold)["findings"]
    assert "immutable" == gold.ask_json("list")["datasets"][0]["seal"]
    assert "why" in gold.ask("log", "faces").out


def test_nothing_is_sealed_where_the_source_is_not_the_version(gold):
    (gold.gold / "a").write_bytes(b"other")
    (gold.gold / "new").write_bytes(b"new")
    found = seal(gold, code=3)
    assert {"a", "new"} == {one["path"] for one in found["findings"]}
    assert (True, None, set()) == (found["refused"], found["state"], flagged(gold.gold))


def test_metadata_that_changed_is_not_taken_into_the_baseline(gold):
    os.utime(gold.gold / "a", ns=(0, 1_000))
    found = seal(gold, code=3)
    assert [("DG105", "a")] == [(one["code"], one["path"]) for one in found["findings"]]
    gold.register()
    assert "sealed" == seal(gold)["state"]


@pytest.mark.parametrize("kind", ["mode", "immutable"])
def test_a_link_that_takes_the_place_of_gold_leads_a_seal_nowhere(gold, monkeypatch, kind):
    from dataguard.actions import seal as action

    other, compare = gold.top / "other", action.compare
    shutil.copytree(gold.gold, other, symlinks=True)
    before = modes(other)

    def compare_and_swap(*words, **more):
        try:
            return compare(*words, **more)
        finally:
            os.rename(gold.gold, gold.top / "aside")
            os.symlink(other, gold.gold)

    monkeypatch.setattr(action, "compare", compare_and_swap)
    assert 12 == gold.ask("seal", "faces", "--seal", kind).code
    assert (set(), before) == (flagged(other), modes(other))


@pytest.mark.parametrize("kind", ["mode", "immutable"])
def test_a_link_that_takes_the_place_of_gold_opens_nothing_else(gold, monkeypatch, kind):
    from dataguard.actions import unseal as action

    other = gold.top / "other"
    shutil.copytree(gold.gold, other, symlinks=True)
    os.chmod(other / "dir", 0o555)
    before, in_use = modes(other), action._location
    seal(gold, "--seal", kind)

    def swap(*words):
        if kind == "immutable":
            set_flag(gold.gold, on=False)
        os.rename(gold.gold, gold.top / "aside")
        os.symlink(other, gold.gold)
        return in_use(*words)

    monkeypatch.setattr(action, "_location", swap)
    assert 12 == gold.ask("unseal", "faces", "--reason", "why", "--for", "1h").code
    assert before == modes(other)


@pytest.mark.parametrize("kind", ["mode", "immutable"])
@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("mode", lambda path: os.chmod(path, 0o4755)),
        ("uid", lambda path: os.chown(path, 12345, -1)),
        ("mtime_ns", lambda path: os.utime(path, ns=(0, 1_000))),
    ],
    ids=["mode", "owner", "time"],
)
def test_metadata_that_changes_during_a_seal_is_not_taken_in(
    gold, monkeypatch, kind, field, change
):
    victim, lease = gold.gold / "dir" / "b", alteration._lease

    def change_first(descriptor):
        if os.path.samestat(os.fstat(descriptor), os.stat(victim)):
            change(victim)
        return lease(descriptor)

    monkeypatch.setattr(alteration, "_lease", change_first)
    (found,) = seal(gold, "--seal", kind, code=3)["findings"]
    assert ("DG105", "dir/b") == (found["code"], found["path"])
    assert field in found["evidence"]


def test_metadata_that_changed_under_a_seal_is_found_after_it_was_opened(gold):
    seal(gold, "--seal", "mode")
    os.chmod(gold.gold / "a", 0o4555)
    os.chown(gold.gold / "dir" / "b", 12345, -1)
    unseal(gold)
    found = quick(gold, code=0)["findings"]
    assert [("DG105", "a"), ("DG105", "dir/b")] == [(one["code"], one["path"]) for one in found]


def test_nothing_is_sealed_where_something_cannot_be_read(gold):
    os.mkfifo(gold.gold / "pipe")
    assert ["pipe"] == [one["path"] for one in seal(gold, code=4)["unreadable"]]
    assert set() == flagged(gold.gold)


def test_dry_runs_change_nothing(gold):
    found = seal(gold, "--dry-run")
    assert (2, 3 - 1, True) == (found["files"], found["directories"], found["dry_run"])
    assert "none" == gold.ask_json("show", "faces")["seal"]
    assert set() == flagged(gold.gold)
    seal(gold)
    assert unseal(gold, "--dry-run")["dry_run"]
    assert EVERYTHING == flagged(gold.gold)
    assert "immutable" == gold.ask_json("show", "faces")["seal"]


def test_every_version_at_the_place_gets_a_baseline(gold):
    (gold.gold / "more").write_bytes(b"more\n")
    gold.register("--append", "--reason", "more")
    assert 11 == gold.ask("seal", "faces@1").code
    seal(gold)
    for number in (1, 2):
        found = gold.ask_json("audit", f"faces@{number}", "--level", "quick")
        assert (0, []) == (found["checked_bytes"], found["findings"])


def test_excluded_names_are_counted_and_not_sealed(world):
    (world.gold / "skip.tmp").write_bytes(b"x")
    (world.gold / "cache").mkdir()
    (world.gold / "cache" / "file").write_bytes(b"x")
    world.register("--exclude", "*.tmp", "--exclude", "cache/")
    with opened_again(world.top):
        assert 2 == seal(world)["excluded"]
        assert EVERYTHING == flagged(world.gold)


def test_other_names_of_a_file_are_told(gold):
    os.link(gold.gold / "a", gold.top / "other")
    gold.register()
    found = seal(gold)
    assert [("DG108", "a")] == [(one["code"], one["path"]) for one in found["findings"]]
    assert {"."} == flagged(gold.top / "other")


def test_sealing_again_changes_nothing_and_another_kind_is_refused(gold):
    seal(gold)
    assert 0 == seal(gold)["changed"]
    assert 11 == gold.ask("seal", "faces", "--seal", "mode").code
    unseal(gold, length="good")
    assert "mode" == seal(gold, "--seal", "mode")["seal"]


def test_what_is_not_sealed_cannot_be_opened(gold):
    assert 11 == gold.ask("unseal", "faces", "--reason", "why", "--for", "2h").code
    seal(gold)
    assert 2 == gold.ask("unseal", "faces", "--reason", " ", "--for", "2h").code
    assert 2 == gold.ask("unseal", "faces", "--reason", "why", "--for", "never").code
    assert 2 == gold.ask("unseal", "faces", "--reason", "why").code


def test_a_policy_that_requires_a_seal_opens_the_gate_for_sealed_inputs_only(gold):
    policy = gold.top / "policy.toml"
    policy.write_text('format = "policy/1"\nname = "p"\n[seal]\nrequired = "immutable"\n')
    ask = ("gate", "--input", "faces@1", "--output", str(gold.top / "o"), "--policy", str(policy))
    assert 3 == gold.ask(*ask).code
    seal(gold)
    assert 0 == gold.ask(*ask).code
    set_flag(gold.gold, on=False)
    assert 3 == gold.ask(*ask).code
    seal(gold)
    unseal(gold)
    assert 3 == gold.ask(*ask).code


def test_the_seal_survives_a_rebuild_of_the_catalog(gold):
    seal(gold)
    shown = gold.ask_json("show", "faces")["seals"]
    gold.ask_json("catalog", "rebuild", "--yes")
    assert shown == gold.ask_json("show", "faces")["seals"]
    assert gold.ask_json("catalog", "check")["sound"]


@needs_mounts
def test_a_place_with_mounts_in_it_is_refused(gold):
    mount_command("-t", "tmpfs", "none", gold.gold / "empty")
    answer = gold.ask("seal", "faces")
    unmount_command(gold.gold / "empty")
    assert (11, set()) == (answer.code, flagged(gold.gold))
    assert "mounted inside" in answer.err


@needs_mounts
def test_a_read_only_place_and_one_without_flags_are_refused_with_a_way_out(gold):
    mount_command("--bind", gold.gold, gold.gold)
    mount_command("-o", "remount,bind,ro", gold.gold)
    assert 12 == gold.ask("seal", "faces").code
    unmount_command(gold.gold)
    layers = [gold.top / name for name in ("upper", "work", "merged")]
    for layer in layers:
        layer.mkdir()
    lower = f"lowerdir={gold.gold},upperdir={layers[0]},workdir={layers[1]}"
    mount_command("-t", "overlay", "-o", lower, "none", layers[2])
    gold.ask_json("register", "other", str(layers[2]))
    answer = gold.ask("seal", "other", "--seal", "immutable")
    unmount_command(layers[2])
    assert 2 == answer.code
    assert "--seal mode" in answer.err


def test_an_ordinary_user_seals_by_mode_and_is_told_what_flags_need(world):
    world.register()
    seal(world, "--dry-run")  # what is imported late is there then
    subprocess.run(["chown", "-R", "12345", world.gold], check=True)
    world.register()
    subprocess.run(["chown", "-R", "12345", world.home], check=True)
    assert (0, "") == world.ask_as_stranger("seal", "faces", "--seal", "mode")
    assert "mode" == world.ask_json("show", "faces")["seal"]
    assert not os.stat(world.gold / "a").st_mode & 0o222
    code, err = world.ask_as_stranger("unseal", "faces", "--reason", "why", "--for", "good")
    assert (0, "") == (code, err)
    assert os.stat(world.gold / "a").st_mode & 0o200
    code, err = world.ask_as_stranger("seal", "faces")
    assert 2 == code
    assert "CAP_LINUX_IMMUTABLE" in err
    assert "--seal mode" in err


def test_register_seals_what_it_recorded(world):
    with opened_again(world.top):
        found = world.register("--seal", "immutable")
        assert ("immutable", "sealed") == (found["seal"]["seal"], found["seal"]["state"])
        assert EVERYTHING == flagged(world.gold)
        assert 0 == quick(world)["checked_bytes"]
        again = world.register("--seal", "immutable")
        assert (False, 0, 0) == (again["created"], again["hashed"], again["seal"]["changed"])


def test_register_refuses_a_seal_that_cannot_be_had_before_it_reads(world):
    assert 2 == world.ask("register", "faces", str(world.gold), "--seal", "glue").code
    world.register(name="other")
    world.ask_as_user("list")
    code, err = world.ask_as_stranger("register", "faces", str(world.gold), "--seal", "mode")
    assert 2 == code
    assert "owner" in err
    assert ["other"] == [one["dataset"] for one in world.ask_json("list")["datasets"]]


def test_an_unfinished_seal_is_told(gold):
    with open(gold.gold / "dir" / "b", "r+b"):
        seal(gold, code=3)
    assert "unfinished" == gold.ask_json("list")["datasets"][0]["seal"]
    (finding,) = quick(gold)["findings"]
    assert "sealing was not finished" in finding["message"]
    assert (
        "not sealed" in gold.ask("show", "faces").out
        or "unfinished" in gold.ask("show", "faces").out
    )
    unseal(gold)
    assert set() == flagged(gold.gold)


def test_two_at_once_do_not_forget_the_modes_from_before(gold, monkeypatch):
    """The one that comes second looked at the place before the first one was done."""
    from dataguard.actions import sealing

    before, only_one = modes(gold.gold), sealing.only_one

    def after_another(place):
        monkeypatch.setattr(sealing, "only_one", only_one)
        gold.ask_process("seal", "faces", "--seal", "mode")
        return only_one(place)

    monkeypatch.setattr(sealing, "only_one", after_another)
    assert 11 == gold.ask("seal", "faces", "--seal", "mode").code
    unseal(gold)
    assert before == modes(gold.gold)


def test_somebody_else_at_work_is_a_conflict(gold):
    import fcntl

    descriptor = os.open(gold.gold, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    assert 11 == gold.ask("seal", "faces").code
    os.close(descriptor)
    assert 0 == gold.ask("seal", "faces").code


def test_modes_are_not_put_back_on_another_file(gold):
    os.chmod(gold.gold / "a", 0o4755)
    gold.register()
    seal(gold, "--seal", "mode")
    (gold.gold / "a").unlink()
    (gold.gold / "a").write_bytes(b"hello\n")
    os.chmod(gold.gold / "a", 0o600)
    unseal(gold)
    assert 0o600 == stat.S_IMODE(os.stat(gold.gold / "a").st_mode)


def replace_directories(gold):
    """Put others in the place of sealed ones, which nobody but their owner may write."""
    for name in ("dir", "empty"):
        os.rename(gold.gold / name, gold.top / f"old {name}")
        (gold.gold / name).mkdir()
    (gold.gold / "dir" / "b").write_bytes(b"deep\n")
    for name in ("dir", "empty"):
        os.chmod(gold.gold / name, 0o500)


def directory_modes(gold):
    return [stat.S_IMODE(os.stat(gold.gold / name).st_mode) for name in ("dir", "empty")]


def test_modes_are_not_put_back_on_another_directory(gold):
    for name in ("dir", "empty"):
        os.chmod(gold.gold / name, 0o777)
    gold.register()
    seal(gold, "--seal", "mode")
    replace_directories(gold)
    unseal(gold)
    assert [0o500, 0o500] == directory_modes(gold)


def test_directory_that_was_sealed_in_place_of_another_gets_its_own_mode_back(gold):
    seal(gold, "--seal", "mode")
    os.rename(gold.gold / "dir", gold.top / "old")
    shutil.copytree(gold.top / "old", gold.gold / "dir")
    os.chmod(gold.gold / "dir", 0o700)
    seal(gold)
    assert 0o500 == directory_modes(gold)[0]
    unseal(gold)
    assert 0o700 == directory_modes(gold)[0]


def test_modes_of_an_older_sheet_without_inodes_are_put_back(gold, monkeypatch):
    os.chmod(gold.gold / "dir", 0o775)
    gold.register()
    batch, first = directorymodes._batch, directorymodes._FIRST
    with monkeypatch.context() as patch:
        patch.setattr(directorymodes, "_batch", lambda rows: batch(rows).select(first.names))
        patch.setattr(directorymodes.pq, "ParquetWriter", writer_of(first))
        seal(gold, "--seal", "mode")
    assert 0o555 == directory_modes(gold)[0]
    seal(gold)
    unseal(gold)
    assert 0o775 == directory_modes(gold)[0]


def writer_of(schema):
    """Return a writer of Parquet that takes no other columns for directories."""
    real = directorymodes.pq.ParquetWriter

    def make(path, wanted, **options):
        return real(path, schema if wanted is directorymodes._SCHEMA else wanted, **options)

    return make


def test_a_seal_that_becomes_overdue_during_a_run_taints_no_outputs(gold, monkeypatch):
    from dataguard.actions import run, runending

    seal(gold)
    unseal(gold)
    verify, calls = run.verify, []

    def verify_later(ctx, inputs, **kwargs):
        calls.append(ctx)
        return verify(dataclasses.replace(ctx, clock=lambda: clock(len(calls))), inputs, **kwargs)

    def clock(count):
        return datetime.now(UTC) + timedelta(hours=3 * (count - 1))

    monkeypatch.setattr(run, "verify", verify_later)
    monkeypatch.setattr(runending, "verify", verify_later)
    gold.workspace()
    ws = str(gold.top / "ws")
    found = gold.ask_json("run", "-w", ws, "--", "true")
    assert ("complete", 2) == (found["state"], len(calls))
