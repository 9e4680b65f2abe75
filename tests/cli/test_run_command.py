from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from asking import tree_state

from support.mountcleanup import needs_mounts

pytestmark = needs_mounts

DEFEAT = (
    "set -e; echo result > {{out}}/result; echo line >> {place}/a; echo dropped > {place}/dropped"
)


@pytest.fixture(autouse=True)
def nothing_in_the_home_of_root(registered, monkeypatch):
    """Let the default policy's `{home}` be a place of the test."""
    policy = registered.top / "policy.toml"
    policy.write_text(
        'format = "policy/1"\nname = "ours"\n'
        f'[outputs]\ndefault = "{registered.top}/{{user}}/{{dataset}}"\n'
    )
    monkeypatch.setenv("DATAGUARD_POLICY", str(policy))


@pytest.fixture
def ws(registered):
    """A workspace with faces@1 mounted."""
    return registered.workspace()


def run(world, ws, *command, words=(), code=0):
    return world.ask_json("run", "-w", str(ws), *words, "--", *command, code=code)


def record(found):
    return json.loads(Path(found["outputs_directory"], "run.json").read_text())


def shell(world, ws, script, **how):
    return run(world, ws, "sh", "-c", script, **how)


def test_job_runs_between_two_verifications_and_its_outputs_are_recorded(registered, ws):
    found = shell(
        registered, ws, "cat {in:faces}/a > {out}/copy; mkdir {out}/d; echo x > {out}/d/x"
    )
    assert (True, 0, "complete") == (found["allowed"], found["exit_code"], found["state"])
    shown = registered.ask_json("show", "faces@1")
    one = {"dataset": "faces", "version": 1, "root": shown["root"]}
    one |= {"before": "verified", "after": "verified"}
    assert [one] == [{key: i[key] for key in one} for i in found["inputs"]]
    assert [("copy", 6), ("d/x", 2)] == [(o["path"], o["size"]) for o in found["outputs"]]
    assert ([], []) == (found["findings"], found["diverted"])
    assert ("complete", 0) == (record(found)["state"], record(found)["exit_code"])


def test_job_that_defeats_other_tools_is_blocked_through_the_mount(registered, ws):
    before = tree_state(registered.gold)
    root = registered.ask_json("show", "faces@1")["root"]
    found = shell(registered, ws, DEFEAT.format(place="{in:faces}"), code=2)
    assert ("failed", 2, []) == (found["state"], found["exit_code"], found["findings"])
    assert before == tree_state(registered.gold)
    assert root == record(found)["inputs"][0]["root"]
    assert 0 == registered.ask("audit").code


def test_job_that_defeats_other_tools_is_blocked_by_the_original_path(registered, ws):
    before = tree_state(registered.gold)
    found = shell(registered, ws, DEFEAT.format(place=registered.gold), code=2)
    assert ("failed", 2, []) == (found["state"], found["exit_code"], found["findings"])
    assert before == tree_state(registered.gold)


def test_unconfined_job_that_writes_gold_taints_its_outputs(registered, ws):
    root = registered.ask_json("show", "faces@1")["root"]
    script = DEFEAT.format(place=registered.gold)
    found = shell(registered, ws, script, words=("--unconfined",), code=3)
    assert ("tainted", 0) == (found["state"], found["exit_code"])
    told = sorted((one["code"], one["path"]) for one in found["findings"])
    assert [("DG304", "a"), ("DG304", "dropped")] == told
    assert [(root, "verified", "changed")] == [
        (one["root"], one["before"], one["after"]) for one in record(found)["inputs"]
    ]
    assert ("tainted", ["result"]) == (
        record(found)["state"],
        [one["path"] for one in found["outputs"]],
    )
    runs = registered.ask_json("lineage", "faces@1")["runs"]
    assert [(found["run"], "tainted", root)] == [
        (one["id"], one["state"], one["inputs"][0]["root"]) for one in runs
    ]


def test_input_that_is_not_its_version_any_more_starts_no_job(registered, ws):
    (registered.gold / "a").write_bytes(b"other\n")
    found = shell(registered, ws, "touch started", code=125)
    assert (False, None, None) == (found["allowed"], found["run"], found["exit_code"])
    assert [("DG101", "a")] == [(one["code"], one["path"]) for one in found["findings"]]
    assert not (registered.top / "started").exists()


def test_refusal_of_the_gate_starts_no_job_and_says_why(registered, ws):
    words = ("run", "-w", str(ws), "--output", str(registered.gold), "--", "touch", "started")
    answer = registered.ask(*words)
    assert (125, "") == (answer.code, answer.out)
    assert "[DG303]" in answer.err
    found = registered.ask_json(*words, code=125)
    assert [("output place", "DG303")] == [
        (one["name"], one["code"]) for one in found["checks"] if not one["ok"]
    ]
    assert not (registered.top / "started").exists()
    assert ["a", "dir", "empty", "link"] == sorted(os.listdir(registered.gold))


def test_environment_tells_the_job_where_things_are(registered, ws):
    found = shell(
        registered, ws, "env > {out}/env; echo tmp > $TMPDIR/x; ls -ld $TMPDIR > {out}/ls"
    )
    lines = Path(found["outputs_directory"], "env").read_text().splitlines()
    told = dict(line.split("=", 1) for line in lines if "=" in line)
    assert found["run"] == told["DATAGUARD_RUN_ID"]
    assert found["outputs_directory"] == told["DATAGUARD_OUTPUTS"]
    assert str(ws / "data" / "faces") == told["DATAGUARD_INPUT_FACES"]
    assert not Path(told["TMPDIR"]).exists()
    assert "drwx------" in Path(found["outputs_directory"], "ls").read_text()


def test_names_of_inputs_become_names_of_variables(registered, ws):
    registered.ask_json("mount", "faces@1", "-w", str(ws), "--as", "vision/my-faces.v1")
    found = shell(registered, ws, "env > {out}/env; test -e {in:vision/my-faces.v1}/a")
    assert "DATAGUARD_INPUT_VISION_MY_FACES_V1=" in (
        Path(found["outputs_directory"], "env").read_text()
    )


def test_inputs_that_would_share_a_variable_are_refused(registered, ws):
    for name in ("x-y", "x_y"):
        registered.ask_json("mount", "faces@1", "-w", str(ws), "--as", name)
    error = registered.fails("run", "-w", str(ws), "--", "true")
    assert ("usage", 2) == (error["code"], error["exit_code"])


def test_unknown_placeholder_is_refused_and_other_braces_stay(registered, ws):
    assert 2 == registered.fails("run", "-w", str(ws), "--", "echo", "{in:other}")["exit_code"]
    found = run(
        registered, ws, "sh", "-c", "echo '{x} {}' {in} ${HOME:+set} > $DATAGUARD_OUTPUTS/o"
    )
    assert "{x} {} {in} set\n" == Path(found["outputs_directory"], "o").read_text()


def test_job_runs_in_the_callers_directory_with_its_streams(registered, ws, monkeypatch):
    (registered.top / "here").mkdir()
    monkeypatch.chdir(registered.top / "here")
    answer = registered.ask("run", "-w", str(ws), "--", "sh", "-c", "pwd; echo oops >&2")
    assert f"{registered.top}/here\n" == answer.out
    assert answer.err.startswith("oops\nrun ")


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 9", 9), ("kill -9 $$", 137), ("kill -TERM $$", 143)]
)
def test_exit_code_is_the_jobs_own(registered, ws, script, code):
    found = shell(registered, ws, script, code=code)
    assert (code, "complete" if code == 0 else "failed") == (found["exit_code"], found["state"])


@pytest.mark.parametrize(("command", "code"), [("no-such-command", 127), ("/etc/passwd", 126)])
def test_command_that_cannot_be_started_is_told_as_env_does(registered, ws, command, code):
    assert code == run(registered, ws, command, code=code)["exit_code"]


def test_options_of_the_job_are_the_jobs(registered, ws):
    words = ("run", "-w", str(ws), "printf", "%s ", "--format", "-q", "--", "--help")
    assert "--format -q -- --help " == registered.ask(*words).out


def test_report_goes_to_a_file_and_leaves_the_streams_to_the_job(registered, ws):
    words = ("-w", str(ws), "--report", "report.json", "-q", "--", "echo", "hello")
    answer = registered.ask("run", *words)
    assert (0, "hello\n", "") == (answer.code, answer.out, answer.err)
    report = json.loads((registered.top / "report.json").read_text())
    assert ("dataguard.run/1", "complete") == (report["schema"], report["state"])


def test_report_that_cannot_be_written_starts_no_job(registered, ws):
    words = ("-w", str(ws), "--report", "/nowhere/report.json", "--", "touch", "started")
    assert 2 == registered.ask("run", *words).code
    assert not (registered.top / "started").exists()


def test_json_report_is_the_last_line_after_the_jobs_output(registered, ws):
    answer = registered.ask("run", "-w", str(ws), "--format", "json", "--", "echo", "hello")
    first, last = answer.out.splitlines()
    assert ("hello", "dataguard.run/1") == (first, json.loads(last)["schema"])


def test_format_that_a_run_cannot_have_starts_no_job(registered, ws):
    words = ("-w", str(ws), "--format", "csv", "--", "touch", "started")
    assert 2 == registered.ask("run", *words).code
    assert not (registered.top / "started").exists()


def test_run_id_is_taken_once(registered, ws):
    assert "job-1" == shell(registered, ws, "true", words=("--run-id", "job-1"))["run"]
    error = registered.fails("run", "-w", str(ws), "--run-id", "job-1", "--", "true")
    assert ("conflict", 11) == (error["code"], error["exit_code"])
    error = registered.fails("run", "-w", str(ws), "--run-id", "../x", "--", "true")
    assert 2 == error["exit_code"]


def test_without_a_workspace_the_outputs_place_comes_from_the_policy(registered):
    words = ("run", "--input", "faces@1", "--", "sh", "-c", "cat {in:faces}/a > {out}/x")
    found = registered.ask_json(*words)
    place = registered.top / "root" / "faces" / "runs"
    assert f"{place}/{found['run']}" == found["outputs_directory"]
    assert [("x", 6)] == [(one["path"], one["size"]) for one in found["outputs"]]
    assert True is found["enforced"]


def test_job_that_replaces_its_record_by_a_link_to_gold_does_no_harm(registered, ws):
    before = tree_state(registered.gold)
    script = "cd {out}; rm -f run.json; for f in run.json outputs.parquet; do ln -s $GOLD $f; done"
    script = script.replace("$GOLD", str(registered.gold / "a"))
    found = shell(registered, ws, script)
    assert before == tree_state(registered.gold)
    directory = Path(found["outputs_directory"])
    assert not (directory / "run.json").is_symlink()
    assert "complete" == record(found)["state"]


def test_job_that_replaces_its_directory_by_a_link_to_gold_does_no_harm(registered, ws):
    before = tree_state(registered.gold)
    script = f"mv {{out}} {{out}}.moved; ln -s {registered.gold} {{out}}"
    found = shell(registered, ws, script, code=4)
    assert before == tree_state(registered.gold)
    assert [] == found["outputs"]
    assert ["the run's directory was moved or replaced"] == [
        one["detail"] for one in found["unreadable"]
    ]


def test_outputs_that_cannot_be_hashed_are_said_and_make_the_run_unchecked(registered, ws):
    found = shell(registered, ws, "mkfifo {out}/pipe; echo x > {out}/x", code=4)
    assert [("pipe", "is a FIFO")] == [(one["path"], one["reason"]) for one in found["unreadable"]]


def test_killed_run_is_marked_interrupted_by_the_next_command_and_keeps_its_outputs(registered, ws):
    script = "echo partial > $DATAGUARD_OUTPUTS/partial; echo ready; exec sleep 60"
    process = registered.start("run", "-w", str(ws), "--run-id", "killed", "--", "sh", "-c", script)
    try:
        assert b"ready\n" == process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        (found,) = registered.ask_json("lineage", "killed")["runs"]
    finally:
        end(process)
    directory = Path(found["outputs"])
    assert "interrupted" == found["state"]
    assert "interrupted" == json.loads((directory / "run.json").read_text())["state"]
    assert "partial\n" == (directory / "partial").read_text()


def end(process):
    """End what is left of a process group of ours."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signal_reaches_the_job_whose_end_is_recorded(registered, ws, number, code):
    script = f"trap 'exit {code}' INT TERM; echo ready; while :; do sleep 0.05; done"
    process = registered.start(
        "run", "-w", str(ws), "--run-id", "stopped", "--", "sh", "-c", script
    )
    try:
        assert b"ready\n" == process.stdout.readline()
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # as a terminal does
        else:
            os.kill(process.pid, number)
        assert code == process.wait(20)
    finally:
        end(process)
    (found,) = registered.ask_json("lineage", "stopped")["runs"]
    assert ("failed", code) == (found["state"], found["exit_code"])


def test_lineage_tells_what_made_a_file_and_whether_it_is_unchanged(registered, ws):
    found = shell(registered, ws, "cat {in:faces}/a > {out}/x")
    file = Path(found["outputs_directory"], "x")
    told = registered.ask_json("lineage", str(file))
    assert (found["run"], True) == (told["runs"][0]["id"], told["unchanged"])
    assert [("faces", 1)] == [(i["dataset"], i["version"]) for i in told["runs"][0]["inputs"]]
    file.write_bytes(b"other")
    assert False is registered.ask_json("lineage", str(file))["unchanged"]
    assert 10 == registered.fails("lineage", sys.executable)["exit_code"]


def test_running_job_can_be_read_about(registered, ws):
    script = "echo ready; exec sleep 60"
    process = registered.start("run", "-w", str(ws), "--run-id", "now", "--", "sh", "-c", script)
    try:
        assert b"ready\n" == process.stdout.readline()
        (found,) = registered.ask_json("lineage", "now")["runs"]
        assert "running" == found["state"]
        error = registered.fails("withdraw", "faces@1", "--reason", "old")
        assert "run now" in error["message"]
    finally:
        end(process)


@pytest.mark.parametrize("words", [(), ("-w", "ws"), ("--output", "", "--", "true")])
def test_run_without_a_command_or_with_an_empty_place_is_a_usage_error(registered, ws, words):
    assert ws.is_dir()
    assert 2 == registered.fails("run", *words)["exit_code"]


def test_time_of_a_run_is_recorded(registered, ws):
    shell(registered, ws, "sleep 0.2", words=("--run-id", "timed"))
    (found,) = registered.ask_json("lineage", "timed")["runs"]
    assert found["started"] < found["finished"]
    assert found["finished"].endswith("Z")
    assert time.gmtime().tm_year == int(found["started"][:4])


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("rm -r {out}", 4),
        ("rm -r {out}; echo evil >> $GOLD/a", 3),
        ("rm -r {out}; exit 7", 7),
        ("mv {out} {out}.moved; exit 7", 7),
    ],
)
def test_job_that_removes_its_outputs_does_not_hide_how_it_ended(registered, ws, script, code):
    script = script.replace("$GOLD", str(registered.gold))
    found = shell(registered, ws, script, words=("--unconfined",), code=code)
    assert found["unreadable"]
    assert (3 == code) is ("DG304" in [one["code"] for one in found["findings"]])
    (known,) = registered.ask_json("lineage", found["run"])["runs"]
    assert (found["state"], found["exit_code"]) == (known["state"], known["exit_code"])
    assert "running" != known["state"]


def test_file_of_a_job_that_is_named_like_the_record_is_kept_and_said(registered, ws):
    script = "echo taken > {out}/run.json.job; echo mine > {out}/run.json"
    found = shell(registered, ws, script)
    directory = Path(found["outputs_directory"])
    assert ("mine\n", "complete") == (
        (directory / "run.json.job1").read_text(),
        record(found)["state"],
    )
    assert ["run.json.job", "run.json.job1"] == [one["path"] for one in found["outputs"]]
    assert ["run.json.job1"] == [one["path"] for one in found["diverted"]]


@pytest.mark.parametrize(
    "script", ["rm {out}/run.json", "cp {out}/run.json {out}/x; mv {out}/x {out}/run.json"]
)
def test_record_that_a_job_removed_or_copied_is_written_again(registered, ws, script):
    found = shell(registered, ws, script)
    assert ("complete", [], []) == (record(found)["state"], found["outputs"], found["diverted"])


@pytest.mark.parametrize("kind", ["mkdir -p {out}/run.json/deep", "mkfifo {out}/run.json"])
def test_what_is_no_file_in_place_of_the_record_is_moved_and_the_record_written(
    registered, ws, kind
):
    found = shell(registered, ws, f"rm {{out}}/run.json; {kind}", code=4 if "fifo" in kind else 0)
    assert "complete" == record(found)["state"]
    assert os.path.lexists(os.path.join(found["outputs_directory"], "run.json.job"))


def test_output_named_like_our_temporary_files_is_listed(registered, ws):
    found = shell(registered, ws, "echo mine > {out}/.dataguard-mine")
    assert [".dataguard-mine"] == [one["path"] for one in found["outputs"]]


def test_descriptors_of_the_caller_are_the_jobs_and_none_of_ours(registered, ws):
    descriptor = os.open(registered.top / "log", os.O_WRONLY | os.O_CREAT)
    words = ("run", "-w", str(ws), "--format", "json", "--", "sh", "-c")
    listing = "for f in /proc/$$/fd/*; do readlink $f || true; done > {out}/open"
    script = f"echo mine >/proc/self/fd/{descriptor}; {listing}"
    try:
        done = registered.ask_process(*words, script, pass_fds=(descriptor,))
    finally:
        os.close(descriptor)
    assert (0, "mine\n") == (done.code, (registered.top / "log").read_text()), done
    directory = json.loads(done.out.splitlines()[-1])["outputs_directory"]
    found = Path(directory, "open").read_text().splitlines()
    ours = [name for name in found if str(registered.top) in name and "/runs/" not in name]
    assert [str(registered.top / "log")] == ours
    assert 5 >= len(found), found
