"""`dataguard watch` as a process with real sources: killed, restarted, asked what it covers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time

import pytest

from support.mountcleanup import needs_mounts
from support.watching import watching_command

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


def test_one_look_finds_nothing_where_nothing_changed(registered):
    found = registered.ask_json("watch", "--once")
    assert (True, []) == (found["complete"], found["findings"])


def test_one_look_finds_what_differs(registered):
    (registered.gold / "a").write_bytes(b"other\n")
    (registered.gold / "new").write_bytes(b"x")
    found = registered.ask_json("watch", "--once", code=3)
    told = [(one["code"], one["path"]) for one in found["findings"]]
    assert [("DG101", "a"), ("DG103", "new")] == told
    rows = registered.ask("watch", "--once", "--format", "jsonl").rows
    assert told == [(row["code"], row["path"]) for row in rows]
    assert "DG103" in registered.ask("watch", "--once").out


def test_one_look_at_what_cannot_be_read_is_unchecked(registered):
    os.mkfifo(registered.gold / "pipe")
    found = registered.ask_json("watch", "--once", code=4)
    assert ["pipe"] == [one["path"] for one in found["unreadable"]]


def test_dataset_that_is_not_there_is_not_found(registered):
    assert 10 == registered.ask("watch", "--once", "voices").code


@pytest.mark.parametrize(
    "words", [("--once", "--explain"), ("--format", "json"), ("--interval", "soon")]
)
def test_what_makes_no_sense_is_refused(registered, words):
    assert 2 == registered.ask("watch", *words).code


def test_coverage_is_explained_for_each_place(registered):
    [one] = registered.ask_json("watch", "--explain")["watched"]
    assert str(registered.gold) == one["location"]
    assert {"source", "sees", "blind_to", "limits", "weaker_because"} <= {*one["coverage"]}
    text = registered.ask("watch", "--explain", "--source", "inotify").out
    assert "inotify" in text
    assert "blind to" in text


@needs_systemd
def test_unit_is_one_that_systemd_takes_without_a_word(registered, capfd):
    unit = registered.top / "dataguard-watch.service"
    answer = registered.ask("watch", "--emit", "systemd", "faces", "--interval", "5m")
    assert 0 == answer.code
    unit.write_text(answer.out)
    verified = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False
    )
    assert (0, "") == (verified.returncode, verified.stderr)
    scored = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    with capfd.disabled():
        print(scored.stdout.splitlines()[-1])
    assert "UNSAFE" not in scored.stdout


def commands(world, *words):
    beats = world.home / "state" / "watch"
    return watching_command(*words, "--format", "jsonl", heartbeats=beats)


@pytest.mark.parametrize("source", ["fanotify", "inotify"])
def test_write_is_told_while_it_watches(registered, source):
    with commands(registered, "--source", source) as watcher:
        (registered.gold / "a").write_bytes(b"other\n")
        (registered.gold / "dir" / "b").unlink()
        (registered.gold / "link").rename(registered.gold / "moved")
        watcher.wait_for("a", "dir/b", "link", "moved")
        assert 143 == watcher.end()
    assert {"DG301"} == {row["code"] for row in watcher.rows}
    changes = {row["path"]: row["evidence"]["change"] for row in watcher.rows}
    wanted = {"a": "modified", "dir/b": "deleted", "link": "renamed", "moved": "renamed"}
    assert wanted == changes


def test_writer_is_told_by_name(registered):
    with commands(registered) as watcher:
        script = f"exec 3>>{registered.gold}/a; echo x >&3; sleep 5"
        with subprocess.Popen(["sh", "-c", script]) as writer:
            watcher.wait_for("a")
            writer.kill()
    told = watcher.rows[0]["evidence"]["writer"]
    assert (writer.pid, 0, "root") == (told["pid"], told["uid"], told["user"])


def test_signal_of_the_keyboard_ends_it_after_all_was_told(registered):
    with commands(registered) as watcher:
        (registered.gold / "a").write_bytes(b"other\n")
        time.sleep(0.01)
        assert 130 == watcher.end(signal.SIGINT)
    assert ["a"] == [row["path"] for row in watcher.rows]


def test_killed_in_a_burst_it_finds_everything_once(registered):
    world, burst = registered, [f"dir/burst-{number}" for number in range(600)]
    with commands(world) as watcher:
        for name in burst[:400]:
            (world.gold / name).write_bytes(b"x")
        watcher.wait(lambda one: len(one.lines) > 20)
        watcher.process.kill()
    for name in burst[400:]:
        (world.gold / name).write_bytes(b"x")
    (world.gold / "a").unlink()
    with watching_command("--format", "jsonl") as again:
        wanted = {*burst, "a"}
        again.wait(
            lambda one: (
                wanted <= {row["path"] for row in world_findings(world)}
                and any(row["code"] == "DG903" for row in one.rows)
            )
        )
    paths = [row["path"] for row in world_findings(world) if not row["code"].startswith("DG9")]
    assert sorted(wanted) == sorted(paths)
    told = {row["path"] for row in (*watcher.rows, *again.rows)}
    assert wanted <= told


def world_findings(world):
    answer = world.ask_process("findings", "list", "--format", "json")
    return json.loads(answer.out)["findings"]


def test_down_watcher_is_a_gap_for_the_next_look(registered):
    with commands(registered) as watcher:
        watcher.process.kill()
        watcher.process.wait()
    first = registered.ask_json("watch", "--once", code=4)
    assert ["DG903"] == [one["code"] for one in first["findings"]]
    assert [] == registered.ask_json("watch", "--once")["findings"]


def test_metrics_are_written(registered):
    metrics = registered.top / "dataguard.prom"
    with commands(registered, "--metrics-file", str(metrics)) as watcher:
        watcher.wait(lambda _: metrics.exists())
    assert "dataguard_watch_watched_roots 1" in metrics.read_text()


def test_metrics_file_in_gold_is_refused(registered):
    answer = registered.ask("watch", "--metrics-file", str(registered.gold / "x.prom"))
    assert 2 == answer.code


def test_sinks_of_the_configuration_get_alerts(registered):
    alerts = registered.top / "alerts.jsonl"
    (registered.home / "config.toml").write_text(f'[[sinks]]\nkind = "jsonl"\nfile = "{alerts}"\n')
    with commands(registered) as watcher:
        (registered.gold / "a").write_bytes(b"other\n")
        watcher.wait(lambda _: alerts.exists() and alerts.read_text())
    [one] = [json.loads(line) for line in alerts.read_text().splitlines()]
    assert ("DG301", "a", 1) == (one["code"], one["path"], one["count"])


def test_dead_sink_holds_nothing_up_and_is_told(registered):
    (registered.home / "config.toml").write_text(
        '[[sinks]]\nkind = "webhook"\nurl = "http://127.0.0.1:9/x"\n'
    )
    with commands(registered) as watcher:
        (registered.gold / "a").write_bytes(b"other\n")
        watcher.wait_for("a")
        watcher.wait(lambda one: any("takes no alerts" in said for said in one.remarks))
    assert 1 == len([*(registered.home / "state" / "outbox" / "webhook").glob("*.json")])


@pytest.mark.parametrize("kind", ["jsonl", "prometheus"])
def test_sink_with_a_file_in_gold_is_refused_also_through_a_link(registered, kind):
    link = registered.top / "link"
    link.symlink_to(registered.gold)
    (registered.home / "config.toml").write_text(
        f'[[sinks]]\nkind = "{kind}"\nfile = "{link}/alerts"\n'
    )
    for words in (("--once",), ()):
        answer = registered.ask("watch", *words)
        assert 2 == answer.code
        assert "inside gold" in answer.err
    assert not (registered.gold / "alerts").exists()


def test_dead_sink_is_told_of_by_one_look_too(registered):
    (registered.home / "config.toml").write_text(
        '[[sinks]]\nkind = "webhook"\nurl = "http://127.0.0.1:9/x"\n'
    )
    (registered.gold / "a").write_bytes(b"other\n")
    answer = registered.ask("watch", "--once")
    assert 3 == answer.code
    assert "sink `webhook` takes no alerts" in answer.err


def test_no_message_shows_the_password_of_a_web_address(registered):
    (registered.home / "config.toml").write_text(
        '[[sinks]]\nkind = "webhook"\nurl = "https://u:s3cret@x/y?token=t0ken"\n'
    )
    answer = registered.ask("watch", "--once")
    assert 2 == answer.code
    assert not any(word in answer.err for word in ("s3cret", "t0ken"))


@needs_mounts
def test_who_uses_the_version_is_named_in_finding_and_alert(registered):
    workspace = registered.workspace()
    with watching_command(heartbeats=registered.home / "state" / "watch") as watcher:
        (registered.gold / "a").write_bytes(b"other\n")
        watcher.wait(lambda one: any("in use: mounted at" in line for line in one.lines))
    [finding] = registered.ask_json("findings", "list")["findings"]
    [lease] = finding["evidence"]["leases"]
    assert ("mount", "live", str(workspace)) == (
        lease["kind"],
        lease["state"],
        lease["workspace"],
    )


@pytest.mark.parametrize(
    "text",
    [
        'kind = "pigeon"',
        'kind = "webhook"\nurl = "ftp://x/y"',
        'kind = "webhook"\nurl = "https://u:p@x/y"',
        'kind = "webhook"\nurl = "https://x:port/y"',
        'kind = "webhook"\nurl = "https://[::1/y"',
        'kind = "webhook"\nurl = "https://x/a b"',
        'kind = "jsonl"\nfile = "relative"',
        'kind = "jsonl"\nfile = "/x"\ncolour = "red"',
        'kind = "prometheus"\naddress = "0.0.0.0:9000"',
        'kind = "jsonl"\nfile = "/x"\nname = "../x"',
        'kind = "jsonl"\nfile = "/x"\nkeep = 0',
    ],
)
def test_sink_that_makes_no_sense_is_refused(registered, text):
    (registered.home / "config.toml").write_text(f"[[sinks]]\n{text}\n")
    answer = registered.ask("watch", "--once")
    assert 2 == answer.code
    assert 0 == registered.ask("list").code


@needs_mounts
def test_what_is_mounted_over_is_a_gap(registered):
    with commands(registered) as watcher:
        subprocess.run(["mount", "-t", "tmpfs", "none", registered.gold / "dir"], check=True)
        try:
            watcher.wait(lambda one: any(row["code"] == "DG902" for row in one.rows))
            watcher.wait_for("dir/b")
        finally:
            subprocess.run(["umount", registered.gold / "dir"], check=True)


def test_second_watcher_of_the_same_datasets_is_refused(registered):
    with commands(registered):
        for words in ((), ("faces",)):
            answer = registered.ask("watch", *words)
            assert 11 == answer.code
            assert "tells of these datasets already" in answer.err
        assert 0 == registered.ask("watch", "--once").code


def test_watchers_of_different_datasets_live_side_by_side(registered, tmp_path):
    (other := tmp_path / "labels").mkdir()
    (other / "l").write_bytes(b"l")
    assert 0 == registered.ask("register", "labels", other).code
    with commands(registered, "faces") as faces, commands(registered, "labels") as labels:
        (registered.gold / "a").write_bytes(b"changed")
        faces.wait_for("a")
        (other / "l").write_bytes(b"changed")
        labels.wait_for("l")
        assert {"a"} == {row["path"] for row in faces.rows}
        assert 11 == registered.ask("watch").code


def test_times_in_the_evidence_of_gaps_are_those_of_all_output(registered):
    with commands(registered) as watcher:
        watcher.process.kill()
    row = json.loads(registered.ask("watch", "--once", "--format", "jsonl").out.splitlines()[0])
    assert "DG903" == row["code"]
    assert all(row["evidence"][name].endswith("Z") for name in ("from", "to"))
