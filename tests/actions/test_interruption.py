"""Runs whose process died: ended by the next command, unless they had ended before."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest

from dataguard.actions import interruption
from dataguard.actions.interruption import mark_interrupted
from dataguard.actions.runrecord import save
from dataguard.actions.settings import load, load_policy
from dataguard.cli.opening import open_context
from dataguard.cli.progress import choose
from dataguard.model.run import Run, RunState
from dataguard.stores.rundirectory import RunDirectory


@pytest.fixture
def ctx(tmp_path):
    settings = load({}, {"DATAGUARD_HOME": str(tmp_path / "home")}, workspace=None)
    with open_context(settings, load_policy(settings).policy, choose("never", quiet=True)) as ctx:
        yield ctx


@pytest.fixture
def directory(tmp_path):
    with RunDirectory.make(str(tmp_path / "outputs"), "job") as directory:
        yield directory


@pytest.fixture
def run(ctx, directory):
    """Return the record of a run whose process is not there any more."""
    record = Run(
        id="job",
        state=RunState.RUNNING,
        command=("true",),
        directory="/",
        workspace=None,
        outputs=directory.path,
        inputs=(),
        actor=ctx.actor,
        process=replace(ctx.process, started=ctx.process.started - 1),
        started=ctx.clock(),
        metadata={"directory": directory.identity},
    )
    save(ctx, record, directory)
    return record


def written(directory):
    with open(os.path.join(directory.path, "run.json"), encoding="utf-8") as file:
        return json.load(file)["state"]


def states(ctx, directory):
    return ctx.catalog.run("job").state, written(directory)


def test_run_of_a_dead_process_is_marked_in_catalog_and_directory(ctx, run, directory):
    assert [one.id for one in mark_interrupted(ctx)] == [run.id]
    assert states(ctx, directory) == ("interrupted", "interrupted")
    assert mark_interrupted(ctx) == ()


def test_run_that_ended_between_two_looks_keeps_its_result(ctx, run, directory, monkeypatch):
    def ends_well_meanwhile(_process):
        save(ctx, replace(run, state=RunState.COMPLETE, finished=ctx.clock()), directory)
        return False

    monkeypatch.setattr(interruption, "is_alive", ends_well_meanwhile)

    assert mark_interrupted(ctx) == ()
    assert states(ctx, directory) == ("complete", "complete")


def test_death_between_the_two_last_records_leaves_no_run_that_seems_to_go_on(
    ctx, run, directory, monkeypatch
):
    done = replace(run, state=RunState.COMPLETE, finished=ctx.clock())
    with monkeypatch.context() as patch:
        patch.setattr(type(ctx.catalog), "transaction", die)
        with pytest.raises(ZeroDivisionError):
            save(ctx, done, directory)

    mark_interrupted(ctx)

    assert states(ctx, directory) == ("interrupted", "interrupted")


def die(*_arguments):
    raise ZeroDivisionError


def test_record_is_not_written_where_another_directory_is_now(ctx, run, tmp_path):
    os.rename(tmp_path / "outputs" / "runs", tmp_path / "outputs" / "moved")
    gold = tmp_path / "gold"
    (gold / "job").mkdir(parents=True)
    os.symlink(gold, tmp_path / "outputs" / "runs")

    assert [one.id for one in mark_interrupted(ctx)] == [run.id]

    assert os.listdir(gold / "job") == []
    assert ctx.catalog.run("job").state is RunState.INTERRUPTED
