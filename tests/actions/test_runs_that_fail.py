"""Runs whose beginning fails half-way: nothing they took stays taken, and nothing lies in wait."""

from __future__ import annotations

import os
from contextlib import contextmanager

import pytest

from dataguard.actions import run as action
from dataguard.actions.confinement import Rules
from dataguard.actions.runrequest import Request
from dataguard.actions.settings import load, load_policy
from dataguard.cli import main
from dataguard.cli.opening import open_context
from dataguard.cli.progress import choose
from dataguard.errors import ConflictError, DataguardError, StoreUnreachableError
from dataguard.model.confinement import Mode
from dataguard.model.run import RunState
from dataguard.mounts.fuse import FuseBackend
from dataguard.stores.rundirectory import RunDirectory


@pytest.fixture
def ctx(tmp_path, monkeypatch):
    home = tmp_path / "home"
    monkeypatch.setenv("DATAGUARD_HOME", str(home))
    (tmp_path / "gold").mkdir()
    (tmp_path / "gold" / "a").write_bytes(b"alpha\n")
    assert 0 == main(["register", "faces", str(tmp_path / "gold"), "-q"])
    settings = load({}, {"DATAGUARD_HOME": str(home)}, workspace=None)
    with open_context(settings, load_policy(settings).policy, choose("never", quiet=True)) as ctx:
        yield ctx


@pytest.fixture
def request_(tmp_path):
    """Return what is asked: a job that leaves a trace."""
    return Request(
        command=("touch", str(tmp_path / "ran")),
        references=("faces@1",),
        outputs=str(tmp_path / "out"),
        workspace=None,
        directory=str(tmp_path),
        environment=os.environ,
        run_id="job",
        rules=Rules(Mode.UNCONFINED),
    )


def refusing(error):
    def refuse(*_given, **_more):
        raise error

    return refuse


def test_run_that_the_busy_catalog_does_not_take_can_be_asked_for_again(ctx, request_, monkeypatch):
    @contextmanager
    def busy():
        raise ConflictError("the catalog stayed locked")
        yield

    with monkeypatch.context() as patch:
        patch.setattr(ctx.catalog, "transaction", busy)
        with pytest.raises(ConflictError, match="locked"):
            action.run(ctx, request_)
    assert 0 == action.run(ctx, request_)[0].exit_code


def test_run_whose_directory_takes_no_record_has_failed_and_holds_nothing(
    ctx, request_, monkeypatch, tmp_path
):
    full = StoreUnreachableError("cannot write run.json: No space left on device")
    monkeypatch.setattr(RunDirectory, "write_record", refusing(full))
    with pytest.raises(StoreUnreachableError):
        action.run(ctx, request_)
    assert (RunState.FAILED, 125) == (
        ctx.catalog.run("job").state,
        ctx.catalog.run("job").exit_code,
    )
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("step", ["Served", "routed", "start"])
def test_run_that_fails_before_its_job_starts_has_failed_and_holds_nothing(
    ctx, request_, monkeypatch, step
):
    monkeypatch.setattr(action, step, refusing(DataguardError("it went wrong")))
    with pytest.raises(DataguardError, match="it went wrong"):
        action.run(ctx, request_)
    assert RunState.FAILED is ctx.catalog.run("job").state
    assert () == ctx.catalog.runs(state=RunState.RUNNING, dataset="faces", version=1)


def test_notes_of_a_mount_that_cannot_be_read_hold_no_job_up(ctx, request_, monkeypatch, tmp_path):
    """Whoever made the mount may read what it refused, and nobody else."""
    from dataguard.actions import refusals

    class Served(refusals.Served):
        def __init__(self, ctx, inputs):
            super().__init__(ctx, inputs)
            self._targets = [str(tmp_path / "gold")]

    unreadable = DataguardError("cannot read attempts: Permission denied")
    monkeypatch.setattr(FuseBackend, "take_attempts", refusing(unreadable))
    monkeypatch.setattr(action, "Served", Served)
    result, _ = action.run(ctx, request_)
    assert (0, "complete") == (result.exit_code, result.state)
    source = next(one for one in result.attempts.sources if one.name == "fuse")
    assert ("no", "Permission denied") == (source.observable, source.reason.rpartition(": ")[2])


def test_served_mount_of_somebody_else_is_not_observable_from_its_first_look(ctx, monkeypatch):
    from dataguard.actions import mountproof, refusals

    monkeypatch.setattr(mountproof, "report_attempts", refusing(DataguardError("not yours")))
    assert "not yours" == refusals._report(ctx, None)
