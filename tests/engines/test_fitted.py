from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import tasks
from contracts.engine import EngineContract
from dataguard.engines.capacity import workers_for
from dataguard.engines.choose import choose
from dataguard.engines.fitted import FittedEngine, fit
from dataguard.engines.local import LocalEngine
from dataguard.model.medium import Medium

TESTS = str(Path(__file__).parents[1])


@pytest.fixture
def fitted(monkeypatch):
    """An engine on two cores, whose workers can import the tasks of these tests."""
    monkeypatch.setenv("PYTHONPATH", f"{Path(TESTS).parent}:{TESTS}")
    monkeypatch.setattr("dataguard.engines.local.cores", lambda: 2)
    engine = FittedEngine()
    yield engine
    engine.close()


class TestFittedEngine(EngineContract):
    @pytest.fixture
    def engine(self, fitted):
        return fitted


def pids(engine):
    return {pid for _, pid in engine.map(tasks.slow_process, range(40))}


@given(cores=st.integers(1, 256))
def test_only_a_network_gets_more_workers_than_cores_and_only_turning_disks_fewer(cores):
    counts = {medium: workers_for(medium, cores) for medium in Medium}
    network, rotational = counts.pop(Medium.NETWORK), counts.pop(Medium.ROTATIONAL)
    assert {cores} == set(counts.values())
    assert cores <= network <= max(cores, 16)
    assert 1 <= rotational <= cores


def test_medium_decides_how_many_processes_work(fitted):
    assert len(pids(fitted)) <= 2
    fit(fitted, Medium.NETWORK)
    assert 8 == fitted.workers
    assert 2 < len(pids(fitted)) <= 8
    fit(fitted, Medium.SOLID_STATE)
    assert len(pids(fitted)) <= 2
    assert os.getpid() not in pids(fitted)


def test_workers_at_work_are_left_alone(fitted):
    results = fitted.map(tasks.slow_double, range(50))
    found = [next(results)]
    fit(fitted, Medium.NETWORK)
    assert 2 == fitted.workers
    assert [(n, 2 * n) for n in range(50)] == [*found, *results]


def test_number_that_was_asked_for_stays():
    engine = choose("auto", "3")
    fit(engine, Medium.NETWORK)
    assert isinstance(engine, LocalEngine)
    assert 3 == engine.workers
