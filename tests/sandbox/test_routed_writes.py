"""What a job writes into its inputs lands in its outputs and is listed; gold stays as it is."""

from __future__ import annotations

import json
import os
import subprocess
import time
from functools import partial
from pathlib import Path

import pytest

from support import seccomp
from support.mountcleanup import fingerprint, mount_command
from support.sealcleanup import needs_flags, opened_again
from support.workplace import USER

EVIL = ("a b", "quo'te\"", "co:lon,comma", "new\nline", "back\\slash", "-dash", "%0A", "\udcff")
USERS = pytest.mark.parametrize("place", [USER], indirect=True, ids=["user"])
"""For what is the same for root."""

CACHES = ("labels.cache", "cache-1.arrow", "processed/train.pt", ".ipynb_checkpoints/a-checkpoint")


def routed(place, script, *options, **how):
    """Run a script in the place where a job finds its input, with writes routed."""
    return place.run(f"cd $DATAGUARD_INPUT_GOLD; {script}", "--writes", "route", *options, **how)


def kinds(report):
    """The kinds of diverted writes, by their path in gold."""
    return {one["gold_path"]: one["kind"] for one in report["diverted"]}


def refusal(place, *options, shell=None):
    done = (shell or place.shell).call(
        *("run", "-w", place.work, "--writes", "route", "--format", "json", *options),
        *("--", "true"),
    )
    return done.code, json.loads(done.err)


def kept(report, path):
    return Path(report["outputs_directory"], "diverted", "gold", path)


def test_guarantee_of_route(place):
    """whatever the job writes under the path of an input lands in its run's outputs and is listed;
    the dataset's own files are never opened for writing
    """
    before = fingerprint(place.gold)
    script = f"echo 1 > new; echo 2 >> a; echo 3 > {place.gold}/dir/c; rm dir/b; chmod 700 dir"
    report = routed(place, script)
    assert before == fingerprint(place.gold)
    changed = {"a": "modified", "dir": "metadata", "dir/b": "deleted", "dir/c": "new"}
    assert {**changed, "new": "new"} == kinds(report)
    assert ("1\n", "alpha\n2\n") == (kept(report, "new").read_text(), kept(report, "a").read_text())


def test_guarantee_of_refuse(place):
    """what the job writes under the path of an input is refused"""
    before = fingerprint(place.gold)
    report = place.run("cd $DATAGUARD_INPUT_GOLD; ! echo > new; ! echo >> a; ! rm dir/b")
    assert (0, []) == (report["exit_code"], report["diverted"])
    assert before == fingerprint(place.gold)


def test_what_libraries_keep_beside_their_data_becomes_output(place):
    before = fingerprint(place.gold)
    script = "".join(f"mkdir -p $(dirname {path}); echo {path} > {path}\n" for path in CACHES)
    report = routed(place, f"set -e\n{script} cat {' '.join(CACHES)} > {{out}}/read")
    assert before == fingerprint(place.gold)
    assert "".join(f"{path}\n" for path in CACHES) == place.written(report, "read")
    outputs = {one["path"]: one for one in report["outputs"]}
    diverted = {one["path"]: one for one in report["diverted"] if one["entry"] == "f"}
    assert {f"diverted/gold/{path}" for path in CACHES} == set(diverted)
    assert {p: (o["size"], o["digest"]) for p, o in diverted.items()} == {
        path: (outputs[path]["size"], outputs[path]["digest"]) for path in diverted
    }
    assert ([], {"new"}, "complete") == (
        report["findings"],
        set(kinds(report).values()),
        report["state"],
    )


def test_every_kind_of_change_is_told_apart(place):
    before = fingerprint(place.gold)
    report = routed(
        place,
        "mv a renamed; ln dir/b linked; rm -r dir; mkdir dir; echo beta > dir/b; echo > dir/c;"
        "mkdir empty; ln -s renamed link",
    )
    assert before == fingerprint(place.gold)
    assert {
        "a": "deleted",
        "renamed": "renamed",
        "linked": "renamed",
        "dir": "replaced",
        "dir/b": "metadata",
        "dir/c": "new",
        "empty": "new",
        "link": "new",
    } == kinds(report)
    by_path = {one["gold_path"]: one for one in report["diverted"]}
    assert ("a", None) == (by_path["renamed"]["origin"], by_path["linked"]["origin"])
    assert ["DG302"] * 3 == [one["code"] for one in report["findings"]]
    assert ["a", "dir", "dir/b"] == [one["path"] for one in report["findings"]]


@USERS
def test_hard_link_of_a_file_that_stays_is_named_with_it(place):
    report = routed(place, "ln a linked; chmod 600 dir/b")
    assert {"linked": "linked", "dir/b": "metadata"} == kinds(report)
    assert ["a", None] == [one["origin"] for one in sorted_by_path(report, reverse=True)]


def sorted_by_path(report, *, reverse):
    return sorted(report["diverted"], key=lambda one: one["gold_path"], reverse=reverse)


@USERS
def test_file_that_was_only_opened_for_writing_is_not_listed(place):
    assert {} == kinds(routed(place, "exec 3<> a; exec 4>> dir/b"))


@USERS
def test_one_byte_in_a_big_file_keeps_the_whole_file_beside_gold(place):
    with (place.gold / "a").open("r+b") as file:
        file.truncate(64 << 20)
    place.shell.ask("register", "gold", place.gold, "--supersede", "--reason", "bigger")
    place.shell.ask("unmount", "--all", "-w", place.work)
    place.shell.ask("mount", "gold@2", "-w", place.work)
    before = fingerprint(place.gold)
    report = routed(place, "printf x >> a")
    assert before == fingerprint(place.gold)
    assert {"a": "modified"} == kinds(report)
    assert [(64 << 20) + 1] == [one["size"] for one in report["diverted"]]


@USERS
def test_any_name_can_be_written(place):
    make = "import os, sys; os.chdir(sys.argv[1]); [open(n, 'w').close() for n in sys.argv[2:]]"
    report = place.shell.ask(
        *("run", "-w", place.work, "--writes", "route", "--", "python3", "-c", make),
        *("{in:gold}", *EVIL),
    )
    assert set(EVIL) == set(os.listdir(kept(report, ".")))
    assert len(EVIL) == len(report["diverted"])


def test_job_cannot_write_to_its_layers(place):
    report = routed(
        place, f"for d in {place.mine}/out/runs/.diverted-*; do echo > $d/gold/upper/x; done; true"
    )
    assert [] == report["diverted"]


@USERS
def test_layers_are_gone_after_the_run(place):
    report = routed(place, "echo > new; rm a")
    assert [report["run"]] == os.listdir(place.mine / "out" / "runs")
    record = json.loads(Path(report["outputs_directory"], "run.json").read_text())
    assert ["a", "new"] == [one["gold_path"] for one in record["diverted"]]
    assert ("route", None) == (record["metadata"]["writes"], record["metadata"].get("diverted"))


@USERS
def test_place_of_diverted_writes_gives_way_to_what_the_job_wrote(place):
    report = routed(place, "echo own > {out}/diverted; ln -s / {out}/diverted-1; echo > new")
    assert ["diverted-2/gold/new"] == [one["path"] for one in report["diverted"]]
    assert "own\n" == place.written(report, "diverted")


def test_run_that_is_killed_keeps_its_writes_and_its_record_says_where(place):
    words = ("run", "-w", place.work, "--writes", "route", "--run-id", "killed", "--")
    script = f"cd {place.gold} && echo kept > new && rm a && echo > {{out}}/ready && sleep 999"
    running = place.shell.start(*words, "sh", "-c", script)
    appear(place.mine / "out" / "runs" / "killed" / "ready")
    os.kill(running.pid, 9)
    running.wait()
    running.end()
    place.shell.ask("list")
    (run,) = place.shell.ask("lineage", "gold@1")["runs"]
    assert "interrupted" == run["state"]
    left = Path(run["metadata"]["diverted"])
    assert left.parent == place.mine / "out" / "runs"
    assert "kept\n" == (left / "gold" / "upper" / "new").read_text()
    assert ["a", "dir"] == sorted(os.listdir(place.gold))


def appear(path, within_s=40):
    deadline = time.monotonic() + within_s
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert path.exists()


@USERS
def test_two_runs_at_once_do_not_see_each_other(place):
    script = (
        "cd $DATAGUARD_INPUT_GOLD; echo {0} > new; echo > {{out}}/{0}; {1} cat new > {{out}}/seen"
    )
    wait = "for i in $(seq 400); do [ -e {0} ] && break; sleep 0.05; done;"
    words = ("run", "-w", place.work, "--writes", "route", "--format", "json")
    runs = place.mine / "out" / "runs"
    started = [
        place.shell.start(
            *(*words, "--run-id", one, "--", "sh", "-c"),
            script.format(one, wait.format(runs / other / other)),
        )
        for one, other in (("first", "second"), ("second", "first"))
    ]
    reports = [one.outcome().report for one in started]
    assert ["first\n", "second\n"] == [place.written(report, "seen") for report in reports]
    assert ["first\n", "second\n"] == [kept(report, "new").read_text() for report in reports]


@USERS
def test_mount_inside_an_input_is_refused(place):
    inside = place.gold / "dir"
    mount_command("--bind", inside, inside)
    code, error = refusal(place, "--input", "gold@1")
    assert (125, "not_started") == (code, error["code"])
    assert f"{inside} is mounted inside it" in error["message"]
    assert "--writes route" in error["hint"]


@USERS
def test_other_gold_inside_an_input_is_refused(place):
    place.shell.ask("register", "inner", place.gold / "dir")
    code, error = refusal(place, "--input", "gold@1")
    assert 125 == code
    assert f"other gold lies in it, {place.gold}/dir" in error["message"]
    assert [] == [name for name in os.listdir(place.mine / "out" / "runs") if name[0] == "."]


def test_inner_one_of_two_datasets_can_be_routed(place):
    place.shell.ask("register", "inner", place.gold / "dir")
    script = f"echo > {place.gold}/dir/new; ! echo > {place.gold}/new"
    report = place.run(script, "--writes", "route", "--input", "inner@1")
    assert [("inner", "new")] == [(o["dataset"], o["gold_path"]) for o in report["diverted"]]


@USERS
def test_outputs_that_cannot_hold_layers_are_refused(place):
    lower, upper, work, top = (place.top / name for name in ("lower", "upper", "inner", "over"))
    for directory in (lower, upper, work, top):
        directory.mkdir()
        os.chown(directory, place.uid, place.uid)
    layers = f"lowerdir={lower},upperdir={upper},workdir={work}"
    mount_command("-t", "overlay", "none", "-o", layers, top)
    code, error = refusal(place, "--output", top)
    assert 125 == code
    assert "its file system, overlay, cannot take what an overlay writes" in error["message"]
    assert "--output" in error["hint"]


@USERS
def test_policy_can_forbid_it(place):
    rules = place.top / "policy.toml"
    rules.write_text('format = "policy/1"\nname = "tight"\n[run]\nwrites = "refuse"\n')
    code, error = refusal(place, "--policy", rules)
    assert 125 == code
    assert "does not let writes into inputs be routed" in error["message"]


@USERS
@pytest.mark.parametrize(("reported", "paths"), [("edits", ["a"]), ("all", ["a", "new"])])
def test_policy_says_what_is_a_finding(place, reported, paths):
    rules = place.top / "policy.toml"
    rules.write_text(f'format = "policy/1"\nname = "tight"\n[run]\ndiverted = "{reported}"\n')
    report = routed(place, "echo > new; echo >> a", "--policy", rules)
    found = [(one["code"], one["severity"], one["path"]) for one in report["findings"]]
    assert [("DG302", "warning", path) for path in paths] == found
    listed = place.shell.ask("findings", "list")["findings"]
    assert paths == [one["path"] for one in listed]


@USERS
def test_job_without_confinement_cannot_be_routed(place):
    code, error = refusal(place, "--unconfined")
    assert (2, "usage") == (code, error["code"])


def test_host_without_namespaces_refuses_and_says_why(place):
    host = place.on_a_host(partial(seccomp.refuse, seccomp.NAMESPACES, 1))
    code, error = refusal(place, shell=host)
    assert 125 == code
    assert "routing: it needs mounts of the job's own" in error["message"]
    assert "--writes route" in error["hint"]


@USERS
def test_explaining_shows_the_layer_and_leaves_nothing(place):
    report = place.run("true", "--writes", "route", "--explain")
    layers = {one["name"]: one for one in report["confinement"]["layers"]}
    assert (True, "full") == (layers["routing"]["holds"], report["confinement"]["step"])
    assert "led into the run's outputs" in layers["routing"]["detail"]
    assert [] == [name for name in os.listdir(place.mine) if name.startswith(".diverted")]


def test_strict_job_writes_to_its_input_and_nowhere_else(place):
    script = f"echo > new && ! echo > {place.mine}/elsewhere"
    report = routed(place, script, "--confine", "strict")
    assert {"new": "new"} == kinds(report)


def test_standard_input_from_gold_is_read_on(place):
    name = "dir/b"
    host = place.on_a_host(partial(read_from, str(place.gold / name)))
    report = routed(place, "read first; echo $first > {out}/first; echo > new", shell=host)
    assert (place.gold / name).read_text() == place.written(report, "first")


def read_from(path):
    os.dup2(os.open(path, os.O_RDONLY), 0)


def test_directories_of_others_take_new_files_but_their_files_no_edits(users_place):
    place = users_place
    inner = place.gold / "dir"
    subprocess.run(["chown", "-R", "0:0", inner], check=True)
    inner.chmod(0o755)
    place.shell.ask("audit")
    before = fingerprint(place.gold)
    report = routed(place, "echo > dir/new; ! echo >> dir/b")
    assert before == fingerprint(place.gold)
    assert {"dir/new": "new"} == kinds(report)


@needs_flags
def test_sealed_gold_takes_new_files_but_no_edits(place):
    with opened_again(place.gold):
        if place.uid:
            subprocess.run(["chattr", "-R", "+i", place.gold], check=True)
        else:
            place.shell.ask("seal", "gold@1", "--seal", "immutable")
        script = "echo > new; echo > dir/new; ! echo >> a; ! rm dir/b; ! chmod 600 dir/b"
        report = routed(place, script)
        assert {"dir/new": "new", "new": "new"} == kinds(report)
