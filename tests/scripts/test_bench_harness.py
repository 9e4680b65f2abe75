from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts" / "bench"))

from harness.corpora import Kind, corpus, make, shape, tree_bytes
from harness.document import QUESTIONS, page
from harness.limit import build
from harness.machine import Machine, file_system
from harness.memory import peak_pss, pss, tree, until_end
from harness.results import Figure, Result, Unit, load, save, show
from harness.rounds import Subject, interleave, summarize
from harness.rows import expected_changes, rows
from harness.running import Command, Run, run, run_watched
from harness.warmth import Warmth, drop, is_as_said, warm, warm_program

import dataguard
from dataguard.core.identity import check_order

SMALL = {Kind.S: 0.005, Kind.T: 0.002, Kind.L: 0.001, Kind.P: 0.01, Kind.M: 0.001, Kind.C20: 0.02}
MACHINE = Machine(2, "a model", 1 << 34, "Linux 6", "ext4", "CPython 3.11", 0.5, 0.1)


def digest_of(root):
    """A digest of all paths and contents of a tree."""
    total = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        total.update(str(path.relative_to(root)).encode() + b"\0")
        total.update(path.read_bytes() if path.is_file() else b"/")
    return total.hexdigest()


def taken(wall=1.0, cpu=1.0, read=0, others=0.0):
    return Run(wall_s=wall, cpu_s=cpu, read=read, others_s=others)


def summary_of(runs, as_said=None, name="a"):
    return summarize(name, runs, peak_pss=1, as_said=as_said or [True] * len(runs))


# --- corpora --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SMALL)
def test_same_seed_gives_the_same_corpus_and_another_seed_another(kind, tmp_path):
    wanted = shape(kind, SMALL[kind])
    for name, seed in (("one", 1), ("two", 1), ("other", 2)):
        make(kind, wanted, tmp_path / name, seed=seed)
    assert digest_of(tmp_path / "one") == digest_of(tmp_path / "two")
    assert digest_of(tmp_path / "one") != digest_of(tmp_path / "other")


@pytest.mark.parametrize("kind", SMALL)
def test_corpus_has_the_files_and_sizes_of_its_shape_and_no_two_are_equal(kind, tmp_path):
    made = corpus(kind, tmp_path, scale=SMALL[kind])
    wanted = shape(kind, SMALL[kind])
    files = [path for path in made.root.rglob("*") if path.is_file()]
    assert made.files == wanted.files == len(files)
    assert len(files) == len({path.read_bytes() for path in files})
    most = wanted.largest * 1.01 if kind is Kind.P else wanted.largest
    assert all(wanted.smallest <= path.stat().st_size <= most for path in files)


def test_shards_are_parquet_files(tmp_path):
    made = corpus(Kind.P, tmp_path, scale=0.01)
    shard = min(made.root.iterdir())
    assert 8192 == pq.ParquetFile(shard).metadata.num_rows


def test_complete_corpus_is_kept_and_an_incomplete_one_made_anew(tmp_path):
    made = corpus(Kind.T, tmp_path, scale=0.001)
    before, first = digest_of(made.root), min(made.root.rglob("*.bin"))
    inode = first.stat().st_ino
    corpus(Kind.T, tmp_path, scale=0.001)
    assert inode == first.stat().st_ino
    made.root.rename(tmp_path / "T-0.001.partial")
    first_of_partial = min((tmp_path / "T-0.001.partial").rglob("*.bin"))
    first_of_partial.unlink()
    corpus(Kind.T, tmp_path, scale=0.001)
    assert before == digest_of(made.root)


def test_directory_that_is_no_corpus_is_left_alone(tmp_path):
    (tmp_path / "S").mkdir()
    (tmp_path / "S" / "mine").write_text("keep")
    with pytest.raises(SystemExit, match=r"no S\.corpus\.json"):
        corpus(Kind.S, tmp_path)
    assert "keep" == (tmp_path / "S" / "mine").read_text()


# --- made-up rows ---------------------------------------------------------------------------------


def test_rows_are_in_path_order_and_the_versions_differ_as_expected():
    count = 150_000
    versions = []
    for version in (1, 2):
        last, contents = None, {}
        for batch in rows(count, version):
            last = check_order(batch["path"].cast("binary"), last)
            digests = batch["digest"].to_pylist()
            contents |= dict(zip(batch["path"].to_pylist(), digests, strict=True))
        versions.append(contents)
    old, new = versions
    differing = sum(old.get(path) != new.get(path) for path in old.keys() | new.keys())
    assert expected_changes(count) == differing


# --- medians and ratios ---------------------------------------------------------------------------


def test_median_is_that_of_the_undisturbed_runs():
    quiet = [taken(wall=1, cpu=4), taken(wall=2, cpu=5), taken(wall=3, cpu=6)]
    found = summary_of([*quiet, taken(wall=90, cpu=90, others=89)])
    assert (2, 5) == (found.wall_s, found.cpu_s)
    assert (3, 3, 4) == (found.counted, found.quiet, found.rounds)


def test_median_is_that_of_all_runs_where_too_few_were_undisturbed():
    runs = [taken(wall=1), taken(wall=2), taken(wall=9, others=8), taken(wall=10, others=8)]
    found = summary_of(runs)
    assert 5.5 == found.wall_s
    assert (4, 2) == (found.counted, found.quiet)


def test_warm_run_that_read_the_disk_does_not_count():
    found = summary_of([taken(wall=w) for w in (1, 2, 3, 50)], as_said=[True, True, True, False])
    assert 2 == found.wall_s
    assert 3 == found.as_said


@given(st.lists(st.floats(0.1, 10), min_size=3, max_size=9))
def test_medians_do_not_depend_on_the_order_of_the_rounds(walls):
    shuffled = random.Random(0).sample(walls, len(walls))
    one, other = (summary_of([taken(wall=w) for w in order]) for order in (walls, shuffled))
    assert one.wall_s == other.wall_s
    assert min(walls) <= one.wall_s <= max(walls)


def test_commands_take_turns_and_each_is_prepared_and_checked_every_time(tmp_path, monkeypatch):
    seen = tmp_path / "seen"
    monkeypatch.setattr("harness.rounds.warm_program", lambda: append(seen, "*"))
    subjects = [
        Subject(
            name,
            Command(("sh", "-c", f"printf {name} >> {seen}")),
            prepare=lambda: append(seen, "("),
            check=lambda: append(seen, ")"),
        )
        for name in "AB"
    ]
    found = interleave(subjects, 2, warmth=Warmth.WARM)
    assert "(*A)(*B)" * 3 == seen.read_text()  # once before the rounds
    assert [2, 2] == [one.rounds for one in found.values()]


def append(path, text):
    with path.open("a") as file:
        file.write(text)


def test_interpreter_libraries_and_dataguard_are_made_warm(monkeypatch):
    roots = set()
    monkeypatch.setattr("harness.warmth.warm", lambda *paths: roots.update(paths))
    warm_program()
    packages = {Path(module.__file__).parent for module in (dataguard, os)}
    assert packages | {Path(sys.executable).resolve(), Path(pytest.__file__).parents[1]} <= roots


def test_warm_and_cold_are_told_by_what_was_read():
    assert is_as_said(Warmth.WARM, taken(read=4096), 1 << 30)
    assert not is_as_said(Warmth.WARM, taken(read=1 << 24), 1 << 30)
    assert is_as_said(Warmth.COLD, taken(read=1 << 30), 1 << 30)
    assert not is_as_said(Warmth.COLD, taken(read=1 << 20), 1 << 30)


# --- measuring ------------------------------------------------------------------------------------


def test_memory_is_that_of_all_processes_together(tmp_path):
    size, seen = 40 << 20, tmp_path / "seen"
    # Both hold their memory until the sum was seen.
    child = f"""
import os, time
b = bytearray({size})
while not os.path.exists({str(seen)!r}):
    time.sleep(0.01)
"""
    parent = f"import subprocess, sys\nb = bytearray({size})\n"
    parent += f"subprocess.run([sys.executable, '-c', {child!r}])"

    def look(pids):
        if sum(map(pss, pids)) > 2 * size:
            seen.touch()

    run_watched(Command((sys.executable, "-c", parent)), until_end(look))
    assert seen.exists()


def test_peak_memory_is_sampled_while_the_command_runs():
    peak, used = peak_pss(Command((sys.executable, "-c", "pass")))
    assert peak >= 0
    assert used.cpu_s >= 0


def test_tree_of_a_process_has_its_descendants():
    assert os.getpid() in set(tree(os.getppid()))


def test_command_that_fails_ends_the_script_with_what_it_said():
    with pytest.raises(SystemExit, match=r"(?s)exit code 3 .*no luck"):
        run(Command(("sh", "-c", "echo no luck >&2; exit 3")))


def test_missing_command_ends_the_script():
    with pytest.raises(SystemExit, match="cannot start"):
        run(Command(("/no/such/program",)))


def test_commands_do_not_get_the_catalog_that_the_user_works_with(tmp_path, monkeypatch):
    monkeypatch.setenv("DATAGUARD_CATALOG", "sqlite:////somewhere")
    output = tmp_path / "output"
    run(Command(("env",), {"DATAGUARD_HOME": "/here"}, output=output))
    assert "DATAGUARD_CATALOG" not in output.read_text()
    assert "DATAGUARD_HOME=/here" in output.read_text()


def test_warming_and_dropping_change_no_file(tmp_path):
    made = corpus(Kind.T, tmp_path, scale=0.001)
    before = digest_of(made.root)
    warm(made.root)
    drop(made.root)
    assert before == digest_of(made.root)


def test_file_system_is_that_of_the_deepest_mount():
    assert "proc" == file_system(Path("/proc/self"))


@pytest.fixture(scope="module")
def limit(tmp_path_factory):
    return build(tmp_path_factory.mktemp("limit"))


@pytest.fixture(scope="module")
def small_files(tmp_path_factory):
    return corpus(Kind.S, tmp_path_factory.mktemp("small"), scale=0.005)


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
@pytest.mark.parametrize("threads", [1, 2, 16])
@pytest.mark.parametrize("mode", ["stat", "read", "hash", "drop"])
def test_physical_limit_sees_every_file_once(tmp_path, limit, small_files, mode, threads):
    made, output = small_files, tmp_path / "output"
    run(Command(limit.command(mode, threads, made.root), output=output))
    assert f"{made.files} {tree_bytes(made.root)}\n" == output.read_text()


# --- results --------------------------------------------------------------------------------------


def result(question="register_small", figures=(), runs=(1.0, 2.0, 4.0)):
    return Result(
        question=question,
        title="How long?",
        scale=1.0,
        rounds=3,
        warmth=Warmth.WARM,
        machine=MACHINE,
        versions={"dataguard": "dataguard 1"},
        summaries=(summary_of([taken(wall=w) for w in runs]),),
        figures=tuple(figures),
        notes=("a note",),
    )


@pytest.mark.parametrize(
    ("value", "goal", "met"),
    [(1.0, 1.0, True), (1.1, 1.0, False), (None, 1.0, None), (1, None, None)],
)
def test_goal_is_met_up_to_its_value(value, goal, met):
    assert met is Figure("a", value, Unit.RATIO, goal).met


def test_result_survives_its_file(tmp_path):
    kept = result(figures=(Figure("a / b", 1.5, Unit.RATIO, 1.2, "why"),))
    save(kept, tmp_path / "result.json")
    assert kept == load(tmp_path / "result.json")


@pytest.mark.parametrize("text", ["", "{}", '{"format": 99}', '{"format": 1}'])
def test_file_that_is_no_result_is_refused(tmp_path, text):
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(SystemExit, match="holds no result"):
        load(tmp_path / "result.json")


def test_result_shows_figures_goals_and_notes():
    figures = (
        Figure("a / b", 1.5, Unit.RATIO, 1.2),
        Figure("c / d", None, Unit.RATIO, 1.2, "no d here"),
    )
    text = show(result(figures=figures))
    assert "1.50x     1.20x  NOT MET" in text
    assert "no d here" in text
    assert "note: a note" in text


def test_page_has_machine_figures_and_the_cost_of_an_object():
    figures = [
        Figure("register M, cpu an item", 9.0, Unit.MICROSECONDS),
        Figure("register M, wall an item", 5.0, Unit.MICROSECONDS),
    ]
    text = page([result("register_million", figures)])
    assert "2 cores of a model" in text
    assert "| register, everything in memory | 9.00 | 5.00 | 0.25 |" in text
    assert "<!--" not in text


def test_every_question_is_a_script_with_help(tmp_path):
    scripts = Path(__file__).resolve().parents[2] / "scripts" / "bench"
    for name in (*QUESTIONS, "all", "report", "corpora"):
        output = tmp_path / name
        run(Command((sys.executable, str(scripts / name), "--help"), output=output))
        assert "usage:" in output.read_text()


@pytest.mark.long
@pytest.mark.timeout(600)
def test_all_questions_can_be_asked_of_a_small_corpus(tmp_path):
    scripts = Path(__file__).resolve().parents[2] / "scripts" / "bench"
    words = (sys.executable, str(scripts / "all"), "--scale", "0.005", "--rounds", "1")
    places = ("--directory", str(tmp_path / "corpora"), "--results", str(tmp_path / "results"))
    run(Command((*words, *places)))
    for name in QUESTIONS:
        kept = tmp_path / "results" / f"{name}.json"
        assert json.loads(kept.read_text())["question"] == name
