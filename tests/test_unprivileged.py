"""The life of an ordinary user: register, declare, gate, run; what cannot be done is said."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from functools import partial

import pytest

from support import seccomp
from support.namespaces import become, enter_host, why_no_namespaces
from support.warmcommands import Shell

pytestmark = pytest.mark.skipif(bool(why_no_namespaces()), reason=why_no_namespaces() or "-")

USER, OTHER, GROUP = 23456, 23457, 34567
POLICY = 'format = "policy/1"\nname = "strict"\n[mount]\nrequired_guarantee = "enforced"\n'


class Place:
    """A directory that an ordinary user has, beside data that belongs to another."""

    def __init__(self, root):
        self.root = root
        root.chmod(0o755)
        self.gold, self.mine = root / "gold", root / "mine"
        (self.gold / "part").mkdir(parents=True)
        (self.gold / "a").write_text("alpha\n")
        (self.gold / "part" / "b").write_text("beta\n")
        (self.gold / "link").symlink_to("a")
        self.mine.mkdir()
        self.give(self.mine, USER)
        self.work = self.mine / "work"
        self.shell = self.as_user()

    @staticmethod
    def give(path, uid):
        os.chown(path, uid, uid)

    def as_user(self, uid=USER, *, entry=None, groups=()):
        home = self.mine / "home"
        inside = str(self.mine)
        become_user = partial(enter, entry, uid, str(self.root), groups)
        variables = (("HOME", inside), ("TMPDIR", inside))
        return Shell(str(home), inside, environment=variables, entry=become_user)

    def workspace(self):
        self.shell.ask("register", "demo", self.gold)
        self.shell.ask("workspace", "init", self.work, "--outputs", self.work / "outputs")
        return self.work


def enter(entry, uid, reachable, groups):
    if entry is not None:
        entry()
    become(uid, reachable, groups=groups)


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def checks(report):
    return {check["name"]: check for check in report["checks"]}


def test_readable_tree_of_somebody_else_is_registered(place):
    first = place.shell.ask("register", "demo", place.gold)
    assert (first["files"], first["hashed"], first["unreadable"]) == (2, 2, [])
    assert first["writers"]["owners"] == {"root": 2}

    again = place.shell.ask("register", "demo", place.gold)
    assert (again["created"], again["hashed"]) == (False, 0)
    assert place.shell.ask("audit", "--level", "full")["complete"]


def test_records_name_the_account_of_the_kernel(place):
    place.shell.ask("register", "demo", place.gold)
    (event,) = [
        one
        for one in place.shell.ask("catalog", "events")["events"]
        if one["kind"] == "version.registered"
    ]
    assert event["actor"]["uid"] == USER


@pytest.mark.parametrize("name", ["a", "part"])
def test_unreadable_entry_is_reported_and_nothing_registered(place, name):
    (place.gold / name).chmod(0)
    refused = place.shell.ask("register", "demo", place.gold, codes=(4,))
    assert (refused["version"], refused["created"]) == (None, False)
    assert [(one["path"], one["reason"]) for one in refused["unreadable"]] == [
        (name, "permission denied")
    ]
    assert place.shell.call("show", "demo").code == 10


def test_every_unreadable_entry_is_listed(place):
    for name in ("a", "part"):
        (place.gold / name).chmod(0)
    os.mkfifo(place.gold / "fifo")
    refused = place.shell.ask("register", "demo", place.gold, codes=(4,))
    assert sorted(one["path"] for one in refused["unreadable"]) == ["a", "fifo", "part"]


@pytest.mark.parametrize("level", ["quick", "full"])
def test_what_became_unreadable_makes_an_audit_incomplete_not_clean(place, level):
    place.shell.ask("register", "demo", place.gold)
    (place.gold / "part").chmod(0)
    audit = place.shell.ask("audit", "--level", level, codes=(4,))
    assert (audit["complete"], audit["findings"]) == (False, [])
    assert [one["path"] for one in audit["unreadable"]] == ["part"]


def test_file_without_read_permission_is_unchecked_in_a_full_audit(place):
    place.shell.ask("register", "demo", place.gold)
    (place.gold / "a").chmod(0o200)
    audit = place.shell.ask("audit", "--level", "full", codes=(4,))
    assert [one["path"] for one in audit["unreadable"]] == ["a"]


def test_source_that_may_not_be_entered_is_an_error_and_no_empty_version(place):
    place.gold.chmod(0o700)
    done = place.shell.call("register", "demo", place.gold)
    assert done.code in {4, 12}, done
    assert place.shell.call("show", "demo").code == 10


def test_mount_is_declared_and_said_to_be_not_enforced(place):
    work = place.workspace()
    report = place.shell.ask("mount", "demo", "-w", work)
    (mounted,) = report["mounts"]
    assert (mounted["backend"], mounted["guarantee"]) == ("declared", "declared")
    assert "CAP_SYS_ADMIN" in mounted["weaker_because"]
    assert list((work / "data" / "demo").iterdir()) == []

    gate = place.shell.ask("gate", "-w", work)
    assert gate["allowed"]
    assert not checks(gate)["mount"]["enforced"]
    assert "not enforced" in checks(gate)["mount"]["reason"]
    text = place.shell.call("gate", "-w", work).out
    assert "not enforced" in text


def test_best_effort_is_a_link_without_a_guarantee(place):
    work = place.workspace()
    report = place.shell.ask("mount", "demo", "-w", work, "--best-effort")
    assert (report["mounts"][0]["backend"], report["mounts"][0]["guarantee"]) == ("symlink", "none")
    assert os.readlink(work / "data" / "demo") == str(place.gold)
    gate = place.shell.ask("gate", "-w", work)
    assert (gate["allowed"], checks(gate)["mount"]["enforced"]) == (True, False)

    place.shell.ask("unmount", "--all", "-w", work)
    assert list((work / "data").iterdir()) == []


def test_bind_is_refused_with_the_reason(place):
    work = place.workspace()
    done = place.shell.call("mount", "demo", "-w", work, "--backend", "bind")
    assert done.code == 11
    assert "CAP_SYS_ADMIN" in done.err


def strict_host(place):
    """Return a shell on a host whose policy requires enforced mounts."""
    etc = place.root / "etc"
    (etc / "dataguard").mkdir(parents=True)
    (etc / "dataguard" / "policy.toml").write_text(POLICY)
    return place.as_user(entry=partial(enter_host, str(etc)))


def enter_poor(entry):
    """Enter a host that has no namespaces for its users."""
    entry()
    seccomp.refuse(seccomp.NAMESPACES, 1)


@pytest.mark.parametrize("more", [("--best-effort",), ("--backend", "symlink")])
def test_mount_is_refused_where_the_host_requires_an_enforced_one(place, more):
    work = place.workspace()
    strict = strict_host(place)

    done = strict.call("mount", "demo", "-w", work, *more, "--format", "json")
    assert (done.code, json.loads(done.err)["code"]) == (2, "policy")
    assert not os.path.lexists(work / "data" / "demo")

    place.shell.ask("mount", "demo", "-w", work, *more)
    refused = strict.ask("gate", "-w", work, codes=(3,))
    assert not checks(refused)["mount guarantee"]["ok"]
    assert strict.call("run", "-w", work, "--", "true").code == 125


def test_declared_mount_is_made_real_where_the_host_requires_an_enforced_one(place):
    work = place.workspace()
    strict = strict_host(place)
    (mounted,) = strict.ask("mount", "demo", "-w", work)["mounts"]
    assert mounted["guarantee"] == "declared"

    alone = strict.ask("gate", "-w", work, codes=(3,))
    assert not checks(alone)["mount guarantee"]["ok"]
    assert "inside `dataguard run`" in checks(alone)["mount guarantee"]["reason"]

    job = ("sh", "-c", "cat {in:demo}/a > {out}/copy && ! touch {in:demo}/new")
    report = strict.ask("run", "-w", work, "--", *job)
    assert (report["state"], report["enforced"]) == ("complete", True)
    assert "made real for this job" in checks(report)["mount"]["reason"]
    assert checks(report)["mount guarantee"]["ok"]

    unconfined = strict.call("run", "-w", work, "--unconfined", "--", "touch", work / "ran")
    assert unconfined.code == 125
    assert not (work / "ran").exists()


def test_job_is_not_started_where_its_declared_mount_cannot_be_made_real(place):
    work = place.workspace()
    strict = strict_host(place)
    strict.ask("mount", "demo", "-w", work)

    poor = replace(strict, entry=partial(enter_poor, strict.entry))
    done = poor.call("run", "-w", work, "--", "touch", work / "ran")
    assert done.code == 125, done
    assert "mounts" in done.err
    assert not (work / "ran").exists()


def test_run_reads_at_the_declared_mount_and_records_outputs(place):
    work = place.workspace()
    place.shell.ask("mount", "demo", "-w", work)
    job = ("sh", "-c", "cat {in:demo}/a > {out}/copy; id -u > {out}/uid")
    report = place.shell.ask("run", "-w", work, "--", *job)
    assert (report["state"], report["enforced"]) == ("complete", True)
    assert [one["path"] for one in report["outputs"]] == ["copy", "uid"]
    assert {one["before"] for one in report["inputs"]} == {"verified"}
    outputs = report["outputs_directory"]
    with open(os.path.join(outputs, "uid"), encoding="ascii") as uid:
        assert int(uid.read()) == USER
    assert os.stat(outputs).st_uid == USER


def test_unconfined_job_that_writes_back_is_tainted_where_the_source_lets_it(place):
    os.chown(place.gold / "a", USER, USER)
    work = place.workspace()
    place.shell.ask("mount", "demo", "-w", work)
    job = ("sh", "-c", "echo >> {in:demo}/a")
    report = place.shell.ask("run", "-w", work, "--unconfined", "--", *job, codes=(3,))
    assert report["state"] == "tainted"
    assert [(one["code"], one["path"]) for one in report["findings"]] == [("DG304", "a")]


def test_outputs_place_that_may_not_be_written_starts_no_job(place):
    work = place.workspace()
    closed = place.root / "closed"
    closed.mkdir()
    done = place.shell.call(
        "run", "-w", work, "--input", "demo@1", "--output", closed, "--", "touch", work / "ran"
    )
    assert done.code == 12, done
    assert not (work / "ran").exists()


def test_unmount_leaves_nothing_behind(place):
    work = place.workspace()
    place.shell.ask("mount", "demo", "-w", work)
    place.shell.ask("unmount", "--all", "-w", work)
    assert list((work / "data").iterdir()) == []


def test_mount_of_root_is_not_taken_down_by_an_ordinary_user(place):
    work = place.workspace()
    done = place.shell.call("unmount", "demo", "-w", work)
    assert done.code == 10


def test_catalog_of_somebody_else_can_be_read_and_not_written(place):
    place.shell.ask("register", "demo", place.gold)
    place.shell.ask("register", "demo", place.gold)
    other = place.as_user(OTHER)
    assert [one["dataset"] for one in other.ask("list")["datasets"]] == ["demo"]
    assert other.ask("show", "demo")["version"] == 1
    assert other.ask("gate", "--input", "demo@1", "--output", "/nowhere")["allowed"]
    for words in (
        ("register", "demo", place.gold),
        ("register", "new", place.gold),
        ("tag", "demo@1", "prod"),
        ("audit",),
        ("quarantine", "demo", "--reason", "test"),
    ):
        done = other.call(*words)
        assert done.code == 12, (words, done)


def test_home_that_may_not_be_made_is_said(place):
    shell = place.as_user()
    done = Shell(str(place.root / "not mine"), entry=shell.entry).call("list")
    assert done.code == 12
    assert "not mine" in done.err


def test_doctor_says_that_mounts_are_declared_only(place):
    place.shell.ask("catalog", "init")
    found = {one["name"]: one for one in place.shell.ask("doctor")["abilities"]}
    assert found["read-only mounts"]["state"] == "missing"
    assert "declared" in found["read-only mounts"]["detail"]
