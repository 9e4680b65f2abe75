"""What a job or a user can put in the way of dataguard: gold stays, and nothing is hidden."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from support.mountcleanup import needs_mounts


@pytest.fixture
def work(registered):
    """A workspace of faces@1 with its outputs beside it."""
    registered.ask_json("workspace", "init", "work", "--outputs", str(registered.top / "out"))
    os.chdir(registered.top / "work")
    return registered


@needs_mounts
def test_mount_that_a_job_leaves_in_its_tmpdir_is_not_emptied(work, monkeypatch):
    (work.top / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(work.top / "tmp"))  # where mounts are swept
    job = f"mkdir $TMPDIR/m && mount --bind {work.gold} $TMPDIR/m"
    work.ask_json("run", "--unconfined", "--input", "faces@1", "--", "sh", "-c", job)
    assert b"hello\n" == (work.gold / "a").read_bytes()
    assert 0 == work.ask("audit", "faces@1").code


def test_runs_directory_that_leads_into_gold_is_refused(work):
    (work.top / "out" / "runs").symlink_to(work.gold)
    found = work.ask_json("gate", "--input", "faces@1", code=3)
    assert "output place" in [check["name"] for check in found["checks"] if not check["ok"]]
    assert 125 == work.ask("run", "--input", "faces@1", "--", "true").code
    assert ["a", "dir", "empty", "link"] == sorted(os.listdir(work.gold))


@needs_mounts
def test_job_reads_what_is_verified_also_with_a_damaged_replica(work):
    replica = work.top / "a-replica"
    shutil.copytree(work.gold, replica, symlinks=True)
    work.ask_json("mount", "faces@1")
    work.ask_json("register", "faces", str(replica), "--replica")
    with (work.gold / "a").open("ab") as file:
        file.write(b"evil")
    assert 125 == work.ask("run", "--", "true").code


@needs_mounts
def test_mount_of_a_tree_that_was_moved_away_is_refused(work):
    work.ask_json("mount", "faces@1")
    os.rename(work.gold, work.top / "old")
    shutil.copytree(work.top / "old", work.gold, symlinks=True)
    found = work.ask_json("gate", code=3)
    assert ["DG401"] == [check["code"] for check in found["checks"] if not check["ok"]]


def test_lock_of_another_catalog_is_refused(work):
    work.ask_json("mount", "faces@1", "--backend", "symlink")
    lock = work.top / "work" / "dataguard.lock"
    text = lock.read_text()
    start = text.index("dg1:")
    lock.write_text(text[:start] + "dg1:" + "0" * 64 + text[text.index('"', start) :])
    found = work.ask_json("gate", code=3)
    assert "known" in [check["name"] for check in found["checks"] if not check["ok"]]


def test_output_named_like_our_manifest_is_kept_and_listed(work):
    job = "echo precious > {out}/outputs.parquet"
    found = work.ask_json("run", "--input", "faces@1", "--", "sh", "-c", job)
    assert ["outputs.parquet"] == [one["path"] for one in found["outputs"]]
    kept = Path(found["outputs_directory"], "outputs.parquet")
    assert "precious\n" == kept.read_text(encoding="utf-8")


def test_gate_refuses_after_a_tainted_run(work):
    job = f"echo evil >> {work.gold}/a"
    work.ask_json("run", "--unconfined", "--input", "faces@1", "--", "sh", "-c", job, code=3)
    assert 3 == work.ask("gate", "--input", "faces@1").code


def test_age_of_an_audit_that_found_damage_is_no_reason_to_skip(registered):
    (registered.gold / "a").write_bytes(b"evil!\n")
    assert 3 == registered.ask("audit", "faces@1").code
    assert 3 == registered.ask("audit", "faces@1", "--max-age", "30d").code


def test_clean_replica_does_not_resolve_the_findings_of_another(registered):
    replica = registered.top / "replica"
    shutil.copytree(registered.gold, replica, symlinks=True)
    registered.ask_json("register", "faces", str(replica), "--replica")
    (replica / "a").write_bytes(b"evil!\n")
    assert 3 == registered.ask("audit", "faces@1").code
    codes = [one["code"] for one in registered.ask_json("findings", "list")["findings"]]
    assert "DG101" in codes


def test_exclusions_cannot_be_changed_on_the_way(registered):
    (registered.gold / "evil").write_bytes(b"")
    assert 2 == registered.ask("register", "faces", "gold", "--exclude", "evil").code
    assert 3 == registered.ask("audit", "faces@1").code


def test_quarantine_is_not_left_by_withdrawing(registered):
    registered.ask_json("quarantine", "faces@1", "--reason", "odd")
    assert 11 == registered.ask("withdraw", "faces@1", "--reason", "x").code


@needs_mounts
@pytest.mark.parametrize("confine", ["protect", "strict"])
def test_link_that_takes_the_place_of_the_run_directory_opens_nothing_in_gold(
    work, monkeypatch, confine
):
    from dataguard.actions import run

    closed, outputs = work.top / "area" / "set", work.top / "area" / "out"
    for place in (closed, outputs):
        place.mkdir(parents=True)
    (closed / "b").write_text("b")
    policy = work.top / "policy.toml"
    areas = f'[areas]\ngold = ["{closed.parent}"]\noutput = ["{outputs}"]\n'
    policy.write_text(f'format = "policy/1"\nname = "ours"\n{areas}')
    monkeypatch.setenv("DATAGUARD_POLICY", str(policy))
    make = run.make_private_directory

    def swap_and_make(run_id):
        made = outputs / "runs" / run_id
        made.rename(outputs / "aside")
        made.symlink_to(closed)
        return make(run_id)

    monkeypatch.setattr(run, "make_private_directory", swap_and_make)
    words = ("run", "--input", "faces@1", "--confine", confine, "--output", str(outputs))
    script = f"echo x > {outputs}/aside/x; echo evil > {closed}/new; chmod 600 {closed}/b"
    work.ask(*words, "--", "sh", "-c", script)
    assert (["b"], 0o644) == (os.listdir(closed), (closed / "b").stat().st_mode & 0o777)
    assert (outputs / "aside" / "x").exists()
