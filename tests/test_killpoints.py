"""SIGKILL at every write-like system call of the commands that write, one after the other.

After each death the catalog is sound, nothing half-written can be seen, the source is untouched,
the next command works at once, and the same command again leads to the same state.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from dataguard.catalog.repository import Catalog
from dataguard.cli.clock import utc_now
from dataguard.model.digest import RootDigest
from dataguard.model.run import Run, RunState
from dataguard.sandbox.processes import current_actor
from dataguard.stores.manifests import ManifestStore
from support.killpoints import WRITE_LIKE, kill_everywhere, why_no_strace
from support.mountcleanup import fingerprint, mounts_below, needs_mounts, swept
from support.warmcommands import Shell

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOT_STARTED = 125
"""Exit code of runs whose job did not start."""

pytestmark = pytest.mark.skipif(bool(why_no_strace()), reason=why_no_strace() or "-")

# fcntl only takes locks here, each beside a write that is a point of its own.
CALLS = tuple(name for name in WRITE_LIKE if name != "fcntl")
PROMPT_S = 10  # a stale lock would be waited for much longer
POINTS_AT_LEAST = 150


class Bench:
    """A source, a home and a workspace, and a copy of each state to start from."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.gold, self.home, self.work = root / "gold", root / "home", root / "work"
        self.template = root / "template"
        self.shell = Shell(str(self.home), environment=(("TMPDIR", str(root / "tmp")),))
        (root / "tmp").mkdir()
        (self.gold / "part").mkdir(parents=True)
        (self.gold / "a").write_text("alpha\n")
        (self.gold / "part" / "b").write_text("beta\n")
        (self.gold / "part" / "empty").mkdir()
        (self.gold / "link").symlink_to("part/b")

    def keep(self) -> None:
        """Make home and workspace as they are now the state to start from."""
        for place in (self.home, self.work):
            if place.exists():
                shutil.copytree(place, self.template / place.name, symlinks=True)

    def restore(self) -> None:
        for place in (self.home, self.work, self.root / "tmp"):
            with swept(place):
                pass
            shutil.rmtree(place, ignore_errors=True)
            kept = self.template / place.name
            if kept.exists():
                shutil.copytree(kept, place, symlinks=True)
        (self.root / "tmp").mkdir()

    def published(self) -> list[Path]:
        return sorted([*self.home.glob("manifests/*"), *self.home.glob("sheets/*/*")])

    def drafts(self) -> list[Path]:
        return [path for path in self.published() if path.name.startswith(".")]


def registered(bench: Bench) -> None:
    bench.shell.ask("register", "demo", bench.gold)


def grown(bench: Bench) -> None:
    registered(bench)
    (bench.gold / "part" / "c").write_text("gamma\n")


def edited(bench: Bench) -> None:
    registered(bench)
    (bench.gold / "a").write_text("ALPHA\n")


def touched(bench: Bench) -> None:
    registered(bench)
    os.utime(bench.gold / "a", ns=(1, 1))


def in_workspace(bench: Bench) -> None:
    registered(bench)
    bench.shell.ask("workspace", "init", bench.work, "--outputs", bench.work / "outputs")


def locked(bench: Bench) -> None:
    in_workspace(bench)
    bench.shell.ask("mount", "demo", "-w", bench.work)
    bench.shell.ask("unmount", "--all", "-w", bench.work)


def damaged(bench: Bench) -> None:
    edited(bench)
    (bench.gold / "extra").write_text("new\n")


def no_start(bench: Bench) -> None:
    """Start from nothing at all."""


def mounted(bench: Bench) -> None:
    bench.shell.ask("mount", "-w", bench.work)


@dataclass(frozen=True)
class Scenario:
    """A command, the state it starts from, and how many points it has at least.

    `each` is done before every start, for what cannot be copied. `code` is what it ends with.
    """

    name: str
    setup: Callable[[Bench], None]
    command: tuple[str, ...]
    least: int
    code: int = 0
    each: Callable[[Bench], None] = no_start
    marks: tuple[pytest.MarkDecorator, ...] = field(default=())


REASON = ("--reason", "test")
JOB = ("--", "sh", "-c", "cat {in:demo}/a > {out}/copy; mkdir {out}/d; echo > {out}/d/e")
SCENARIOS = (
    Scenario("register", no_start, ("register", "demo", "GOLD"), 60),
    Scenario("append", grown, ("register", "demo", "GOLD", "--append", *REASON), 30),
    Scenario("supersede", edited, ("register", "demo", "GOLD", "--supersede", *REASON), 30),
    Scenario("new times", touched, ("register", "demo", "GOLD"), 30),
    Scenario("workspace init", registered, ("workspace", "init", "WORK", "--outputs", "OUT"), 20),
    Scenario("mount", in_workspace, ("mount", "demo", "-w", "WORK"), 40, marks=(needs_mounts,)),
    Scenario(
        "unmount",
        locked,
        ("unmount", "--all", "-w", "WORK"),
        20,
        each=mounted,
        marks=(needs_mounts,),
    ),
    Scenario("run", in_workspace, ("run", "-w", "WORK", "--input", "demo@1", *JOB), 50),
    Scenario("audit", damaged, ("audit", "demo"), 20, code=3),
    Scenario("quick audit", registered, ("audit", "--level", "quick"), 10),
)
EVERY = [pytest.param(one, id=one.name, marks=one.marks) for one in SCENARIOS]


@pytest.fixture
def bench(tmp_path):
    with swept(tmp_path):
        yield Bench(tmp_path)


def test_long_form_has_enough_points():
    assert sum(one.least for one in SCENARIOS) >= POINTS_AT_LEAST


@pytest.mark.parametrize("scenario", EVERY)
def test_death_at_a_call_of_each_kind_leaves_a_sound_state_and_a_rerun_converges(bench, scenario):
    assert kill_through(bench, scenario, spread=1) >= 5


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("scenario", EVERY)
def test_death_at_every_call_leaves_a_sound_state_and_a_rerun_converges(
    bench, scenario, record_property
):
    points = kill_through(bench, scenario, spread=None)
    record_property("points", points)
    print(f"{scenario.name}: killed at {points} points")
    assert points >= scenario.least


def kill_through(bench: Bench, scenario: Scenario, *, spread: int | None) -> int:
    scenario.setup(bench)
    bench.keep()
    places = {"GOLD": bench.gold, "WORK": bench.work, "OUT": bench.work / "outputs"}
    command = [str(places.get(word, word)) for word in scenario.command]
    read_everything(bench.gold)
    source = fingerprint(bench.gold)

    def prepare():
        bench.restore()
        scenario.each(bench)

    def again():
        done = bench.shell.call(*command)
        assert done.code == scenario.code, done
        return state_of(bench)

    def check(point):
        assert fingerprint(bench.gold) == source, point
        check_files(bench)
        check_catalog(bench)
        assert again() == expected, point
        check_leftovers(bench)
        assert fingerprint(bench.gold) == source, point

    prepare()
    expected = again()
    return kill_everywhere(
        lambda: bench.shell.start(*command, traced=True),
        prepare=prepare,
        check=check,
        syscalls=CALLS,
        limit=10_000,
        spread=spread,
    )


def read_everything(top: Path) -> None:
    """Bring access times up to date, so that a job that reads (relatime) moves none."""
    for path in top.rglob("*"):
        if path.is_symlink():
            path.readlink()
        elif path.is_file():
            path.read_bytes()


def check_files(bench: Bench) -> None:
    """Whatever has its final name is whole."""
    store = ManifestStore(str(bench.home))
    for path in bench.published():
        if path in bench.drafts():
            continue
        if path.parent.name == "manifests":
            root = RootDigest(path.stem)
            store.verify(root, store.algorithm(root))
        else:
            assert hashlib.sha256(path.read_bytes()).hexdigest() == path.stem, path
    for path in bench.home.glob("events/*"):
        for line in path.read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n"):
                json.loads(line)


def check_catalog(bench: Bench) -> None:
    """The next command works at once and finds nothing wrong."""
    started = time.monotonic()
    done = bench.shell.call("catalog", "check", "--format", "json")
    assert time.monotonic() - started < PROMPT_S
    if done.code == 10:  # killed before there was a catalog
        assert json.loads(done.err)["code"] == "not_found"
        return
    if not bench.home.exists():
        assert done.code == 12
        return
    assert done.code == 0, done
    assert done.report["sound"]
    assert sorted(done.report["abandoned"]) == [str(path) for path in bench.drafts()]


def check_leftovers(bench: Bench) -> None:
    """What the dead command left is reported, and goes when that is asked for."""
    drafts = [str(path) for path in bench.drafts()]
    found = bench.shell.ask("catalog", "check", "--apply")
    assert sorted(found["abandoned"]) == drafts
    assert not bench.drafts()
    if found["abandoned"] or found["orphans"]:
        clean = bench.shell.ask("catalog", "check")
        assert (clean["sound"], clean["abandoned"], clean["orphans"]) == (True, [], [])
    check_runs(bench)
    if bench.work.exists():
        assert not [path for path in bench.work.iterdir() if path.name.startswith(".")]


def check_runs(bench: Bench) -> None:
    """Each run's own record says what the catalog says, and its private directory is gone."""
    with opened_catalog(bench) as catalog:
        runs = {run.id: run.state for run in catalog.runs()}
    for path in bench.work.glob("outputs/runs/*/run.json"):
        assert json.loads(path.read_bytes())["state"] == runs[path.parent.name]
    left = [path.name for path in (bench.root / "tmp").iterdir()]
    assert not [name for name in left if any(f"dataguard-{run}-" in name for run in runs)]


def state_of(bench: Bench) -> object:
    """Everything that has to be the same after a rerun."""
    with opened_catalog(bench) as catalog:
        versions = catalog.versions()
        last_audits = [catalog.last_audit(v.dataset, v.number) for v in versions]
        return {
            "versions": [(v.reference, str(v.root), v.state) for v in versions],
            "locations": [(x.dataset, x.version, x.place) for x in catalog.active_locations()],
            "mounts": [(m.target, m.state) for m in catalog.mounts()],
            # Whether it was full or quick tells how often the command ran.
            "audits": [audit and audit.clean for audit in last_audits],
            "runs": {run.state for run in catalog.runs() if not was_killed(run)},
            "findings": [(f.code, f.path, f.state) for f in catalog.findings()],
            "mounted": mounts_below(bench.work),
            "workspace": workspace_of(bench),
        }


def was_killed(run: Run) -> bool:
    """Whether a run is one that was killed: as a whole, or only what should start its job."""
    not_started = run.state is RunState.FAILED and run.exit_code == NOT_STARTED
    return not_started or run.state is RunState.INTERRUPTED


def opened_catalog(bench: Bench) -> Catalog:
    return Catalog.open(
        f"sqlite:///{bench.home}/catalog.db",
        events=str(bench.home / "events"),
        clock=utc_now,
        actor=current_actor(),
        create=False,
    )


def workspace_of(bench: Bench) -> dict[str, bytes | None]:
    """Names and contents, without runs, of which each has its own name."""
    found = {}
    for path in sorted(bench.work.rglob("*")):
        name = str(path.relative_to(bench.work))
        if not name.startswith(("outputs/runs/", "data/demo/", ".")):
            found[name] = path.read_bytes() if path.is_file() else None
    return found
