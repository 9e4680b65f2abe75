"""Ways to gold, and out of a confined job, that lead round its registered path."""

from __future__ import annotations

import os
import subprocess
from contextlib import ExitStack, contextmanager
from functools import partial

import pytest

from support import seccomp


@contextmanager
def mounted(target, *words):
    subprocess.run(["mount", *map(str, words), str(target)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(target)], check=True)


def open_directory(path):
    path.mkdir(mode=0o777, parents=True)
    path.chmod(0o777)
    return path


def test_gold_whose_own_path_is_read_only_is_protected_where_it_can_be_written(place):
    raw, shown = open_directory(place.top / "raw"), open_directory(place.top / "shown")
    inner = open_directory(raw / "gold")
    (inner / "x").write_text("x\n")
    (inner / "x").chmod(0o666)
    with mounted(shown, "--bind", raw):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(shown)], check=True)
        place.shell.ask("register", "other", shown / "gold")
        found = place.run(f"echo evil >> {inner}/x", codes=(2,))
    assert "x\n" == (inner / "x").read_text()
    assert "full" == found["confinement"]["step"]


def test_mount_below_gold_is_protected_where_gold_itself_is_mounted_read_only(place):
    inner = open_directory(place.top / "other" / "below")
    (place.top / "other").chmod(0o777)
    outer = inner.parent
    with mounted(outer, "--bind", outer), mounted(inner, "-t", "tmpfs", "none"):
        (inner / "x").write_text("x\n")
        (inner / "x").chmod(0o666)
        subprocess.run(["mount", "-o", "remount,bind,ro", str(outer)], check=True)
        place.shell.ask("register", "other", outer)
        place.run(f"echo evil >> {inner}/x", codes=(2,))
        assert "x\n" == (inner / "x").read_text()


def test_job_of_root_cannot_change_the_kernels_handlers_by_another_proc(place):
    if os.stat(place.gold).st_uid:
        pytest.skip("for root alone")
    other = open_directory(place.top / "proc")
    with mounted(other, "-t", "proc", "proc"):
        script = f"if (: >> {other}/sys/kernel/core_pattern) 2> /dev/null; then exit 9; fi"
        assert 0 == place.run(script)["exit_code"]


def test_gold_in_front_of_a_deeper_mount_is_protected_by_all_its_paths(place):
    top, other = open_directory(place.top / "front"), open_directory(place.top / "other")
    with ExitStack() as stack:
        stack.enter_context(mounted(top, "-t", "tmpfs", "none"))
        inner = open_directory(top / "deep")
        stack.enter_context(mounted(inner, "-t", "tmpfs", "none"))
        stack.enter_context(mounted(top, "-t", "tmpfs", "none"))
        stack.enter_context(mounted(other, "--bind", top))
        victim = open_directory(inner / "gold") / "x"
        victim.write_text("x\n")
        victim.chmod(0o666)
        os.chown(victim, *(os.stat(place.gold).st_uid,) * 2)
        place.shell.ask("register", "other", victim.parent)
        script = f"chmod 600 {other}/deep/gold/x 2> /dev/null && exit 9; exit 0"
        assert 0 == place.run(script)["exit_code"]
        assert 0o666 == victim.stat().st_mode & 0o777


def test_namespaces_of_a_jobs_own_undo_no_mount_where_landlock_is_missing(place):
    host = place.on_a_host(partial(seccomp.refuse, seccomp.LANDLOCK))
    before = (place.gold / "a").read_bytes()
    gold, handlers = place.gold, "$TMPDIR/sys/kernel/core_pattern"
    tries = (
        f"umount -l {gold}; echo evil >> {gold}/a",
        f"mount -o remount,bind,rw {gold}; echo evil >> {gold}/a",
        f"mount --bind {place.top} $TMPDIR; echo evil >> $TMPDIR/gold/a",
        f"mount -t proc proc $TMPDIR && (: >> {handlers}) && echo handlers",
    )
    for one in tries:
        script = f"unshare --user --map-root-user --mount --pid --fork sh -c 'echo in; {one}'"
        found = place.run(f"{script} > {{out}}/said 2> /dev/null; true", shell=host)
        assert ("mounts", "in\n") == (found["confinement"]["step"], place.written(found, "said"))
    assert before == (place.gold / "a").read_bytes()
